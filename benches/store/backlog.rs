//! What a long backlog costs: the next open, memory, and the rate at which it is taken. Each in a process of its own, so that
//! the memory is that of the store alone.

use std::path::Path;
use std::time::{Duration, Instant};

use aqueduct::{Channel, FileStore};

use crate::BODY;
use crate::alone;
use crate::measure::{batch_of, drain, median, open, status_kib};
use crate::report::Report;

/// Ten million events of 500 bytes, left by a process that did not close the store.
pub(crate) fn reopen(dir: &Path, report: &mut Report) {
    one(dir, report, largest(), BODY);
}

/// Ten thousand events and more.
pub(crate) fn growth(dir: &Path, report: &mut Report) {
    let mut events = 10_000;
    while events <= largest() {
        one(dir, report, events, 100);
        events *= 10;
    }
}

fn largest() -> u64 {
    let text = std::env::var("AQUEDUCT_BENCH_BACKLOG").ok();
    text.map_or(10_000_000, |text| text.parse().expect("AQUEDUCT_BENCH_BACKLOG is a number"))
}

fn one(dir: &Path, report: &mut Report, events: u64, bytes: usize) {
    let rounds: Vec<[f64; 7]> = (0..report.rounds).map(|_| round(dir, events, bytes)).collect();
    let [waiting, seconds, replayed, before, after, rate, peak] =
        std::array::from_fn(|place| median(rounds.iter().map(|numbers| numbers[place]).collect()));
    report.say(&format!(
        "{waiting} events of {bytes} bytes waiting: open {seconds:.3} s (replayed {replayed} bytes), resident {before} KiB \
         before, {after} after, taken at {rate:.0} events/s, resident {peak} KiB at most; medians \
         of {} rounds",
        rounds.len()
    ));
    let x = waiting.to_string();
    report.value("open", &x, seconds, "s");
    report.value("resident after the open", &x, after, "KiB");
    report.value("resident at most", &x, peak, "KiB");
    report.value("take", &x, rate, "events/s");
}

/// Leaves a backlog and opens it, in a directory of its own: what `take` prints.
fn round(dir: &Path, events: u64, bytes: usize) -> [f64; 7] {
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    alone::run(&alone::Job::Fill { dir: dir.path().into(), events, bytes });
    let text = alone::run(&alone::Job::Reopen { dir: dir.path().into() });
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    numbers.try_into().expect("seven numbers")
}

/// Leaves a backlog, as a crash would.
pub(crate) fn fill(dir: &Path, events: u64, bytes: usize) {
    let capacity = events.max(1_000_000);
    let settings = FileStore::builder(dir).capacity_events(capacity).capacity_bytes(u64::MAX);
    let (_store, channel) = open(settings);
    (0..events / 1000).for_each(|_| {
        channel.put_batch(batch_of(1000, bytes)).expect("put");
    });
    std::process::exit(0);
}

/// Opens what was left and takes it.
pub(crate) fn take(dir: &Path) {
    let before = status_kib("VmRSS:");
    let begun = Instant::now();
    let (store, channel) = open(FileStore::builder(dir).capacity_events(u64::MAX).capacity_bytes(u64::MAX));
    let took = begun.elapsed();
    let after = status_kib("VmRSS:");
    let waiting = channel.stats().depth_events;
    let replayed = store.recovery_report().lanes[0].replayed_bytes;
    let begun = Instant::now();
    drain(&channel);
    let rate = waiting as f64 / begun.elapsed().max(Duration::from_micros(1)).as_secs_f64();
    let peak = status_kib("VmHWM:");
    println!("{waiting} {} {replayed} {before} {after} {rate} {peak}", took.as_secs_f64());
    store.close().expect("close");
}
