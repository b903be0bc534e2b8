//! How fast the store is, against a plain loop of `pwrite` and `fdatasync` in the same run.
//!
//!     cargo bench --bench store [-- FILTER...]
//!
//! Every row is measured in rounds, our side and its reference in turn, and shows the medians: a machine that gets slower
//! in between slows down both. The raw loop writes to a file that was filled with zeros before, as the store does.
//! `AQUEDUCT_BENCH_DIR` names the directory to write in (default: the system's for temporary files); where its file
//! system makes `fdatasync` free, durable numbers mean nothing, and the first line says so. `AQUEDUCT_BENCH_BACKLOG` is the
//! number of events for the reopen row (default 1,000,000).

#![allow(clippy::print_stdout, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // numbers for people

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqueduct::{
    Agent, Channel, Durability, Event, FileChannel, FileRoll, FileStore, FileStoreBuilder, MemoryChannel, PutBatch,
    SpoolDir, Wait,
};

type Row = fn(&Path);

const BODY: usize = 500;
// Set for the process of the row `collect`: the directory to work in.
const COLLECT_IN: &str = "AQUEDUCT_BENCH_COLLECT_IN";
const ROUNDS: usize = 5;

fn main() {
    if let Some(dir) = std::env::var_os(COLLECT_IN) {
        return collect(Path::new(&dir));
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let parent = std::env::var_os("AQUEDUCT_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory to write in");
    let sync = Raw::new(dir.path(), 1 << 20).run(4096, 200, true);
    println!("{} bytes a body, {ROUNDS} rounds; one fdatasync of 4 KiB takes {:.0} us here", BODY, 1e6 / sync);
    if sync > 50_000.0 {
        println!("fdatasync is free on this file system: the durable numbers below say nothing");
    }
    let rows: [(&str, Row); 10] = [
        ("put-1x100", |dir| put_blocking(dir, 1, 100, 300, Durability::Sync)),
        ("put-1x1", |dir| put_blocking(dir, 1, 1, 1000, Durability::Sync)),
        ("put-8x10", |dir| put_blocking(dir, 8, 10, 300, Durability::Sync)),
        ("put-os-1x100", |dir| put_blocking(dir, 1, 100, 3000, Durability::Os)),
        ("tickets-64", tickets),
        ("put-take-ack-1x100", put_take),
        ("fan-out-4", fan_out),
        ("reopen", reopen),
        ("memory-1x100", memory),
        ("collect", collect_alone),
    ];
    for (name, row) in rows {
        if wanted(name) {
            let dir = tempfile::tempdir_in(dir.path()).expect("a directory");
            print!("{name:20}");
            row(dir.path());
        }
    }
}

/// A file of zeros, written in a loop.
struct Raw {
    file: File,
    len: u64,
    at: AtomicU64,
}

impl Raw {
    fn new(dir: &Path, len: u64) -> Self {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).read(true).open(dir.join("raw")).expect("a file");
        let zeros = vec![0; 1 << 20];
        (0..len.div_ceil(1 << 20)).for_each(|i| file.write_all_at(&zeros, i << 20).expect("zeros"));
        file.sync_all().expect("sync");
        Self { file, len, at: AtomicU64::new(0) }
    }

    /// Writes `count` times `bytes`; returns writes a second.
    fn run(&self, bytes: usize, count: u64, sync: bool) -> f64 {
        let data = vec![7; bytes];
        let begun = Instant::now();
        for _ in 0..count {
            let at = self.at.fetch_add(bytes as u64, Ordering::Relaxed) % (self.len - bytes as u64);
            self.file.write_all_at(&data, at).expect("write");
            if sync {
                self.file.sync_data().expect("sync");
            }
        }
        count as f64 / begun.elapsed().as_secs_f64()
    }
}

fn open(settings: FileStoreBuilder) -> (FileStore, FileChannel) {
    let store = settings.open().expect("a store");
    let channel = store.channel("bench").expect("a channel");
    (store, channel)
}

fn batch(events: usize) -> PutBatch {
    static BODIES: std::sync::OnceLock<bytes::Bytes> = std::sync::OnceLock::new();
    let body = BODIES.get_or_init(|| vec![b'x'; BODY].into());
    PutBatch::new((0..events).map(|_| Event::new(body.clone())).collect())
}

fn put(channel: &impl Channel, events: usize) {
    channel.put_batch(batch(events)).expect("put");
}

/// Empties a channel, outside of what is measured.
fn drain(channel: &FileChannel) {
    loop {
        let mut take = channel.take(10_000, Wait::NONE).expect("take");
        take.set_durability(Durability::Os);
        if take.is_empty() {
            break;
        }
        take.commit().expect("commit");
    }
}

fn put_blocking(dir: &Path, producers: u64, events: usize, commits: u64, durability: Durability) {
    let raw = Raw::new(dir, 256 << 20);
    let (store, channel) = open(FileStore::builder(dir.join("store")).durability(durability));
    let (mut ours, mut theirs, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut syncs, mut bytes) = (0, 0);
    for round in 0..=ROUNDS {
        let raw_rate = raw.run(events * BODY, commits, durability == Durability::Sync) * events as f64;
        let before = store.stats();
        let begun = Instant::now();
        let times: Vec<Vec<Duration>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..producers)
                .map(|_| {
                    scope.spawn(|| {
                        let put = |_| {
                            let begun = Instant::now();
                            channel.put_batch(batch(events)).expect("put");
                            begun.elapsed()
                        };
                        (0..commits).map(put).collect()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a producer")).collect()
        });
        let rate = (producers * commits * events as u64) as f64 / begun.elapsed().as_secs_f64();
        // The first round warms up files and caches.
        if round > 0 {
            let after = store.stats();
            syncs += after.syncs - before.syncs;
            bytes += after.bytes - before.bytes;
            ours.push(rate);
            theirs.push(raw_rate);
            latencies.extend(times.into_iter().flatten());
        }
        drain(&channel);
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_micros();
    let total = (ROUNDS as u64 * producers * commits) as f64;
    print_row(&mut ours, &mut theirs, "raw loop");
    println!(
        "{:20}commit p50 {} p99 {} p99.9 {} us, {:.3} syncs/commit, {:.4} bytes written/payload byte",
        "",
        at(0.5),
        at(0.99),
        at(0.999),
        syncs as f64 / total,
        bytes as f64 / (total * (events * BODY) as f64),
    );
    store.close().expect("close");
}

fn print_row(ours: &mut [f64], theirs: &mut [f64], reference: &str) {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs.iter()).map(|(ours, theirs)| ours / theirs).collect();
    let (ours, theirs, ratio) = (median(ours), median(theirs), median(&mut ratios));
    let mb = ours * BODY as f64 / 1e6;
    println!("{ours:9.0} events/s {mb:7.1} MB/s | {reference} {theirs:9.0} | ratio {ratio:.2}");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One thread with 64 commits of one event in flight, against its own blocking commits.
fn tickets(dir: &Path) {
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        (0..500).for_each(|_| put(&channel, 1));
        let blocking = 500.0 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let mut in_flight = std::collections::VecDeque::new();
        for _ in 0..20_000 {
            if in_flight.len() == 64 {
                let ticket: aqueduct::PutTicket = in_flight.pop_front().expect("64 of them");
                ticket.wait().expect("put");
            }
            let mut tx = channel.begin_put();
            tx.set_batch(batch(1));
            in_flight.push_back(tx.submit().expect("put"));
        }
        for ticket in in_flight {
            ticket.wait().expect("put");
        }
        if round > 0 {
            ours.push(20_000.0 / begun.elapsed().as_secs_f64());
            theirs.push(blocking);
        }
        drain(&channel);
    }
    print_row(&mut ours, &mut theirs, "blocking");
    store.close().expect("close");
}

/// One producer and one consumer, every put and every take durable.
fn put_take(dir: &Path) {
    const COMMITS: u64 = 300;
    let raw = Raw::new(dir, 256 << 20);
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let raw_rate = raw.run(100 * BODY, COMMITS, true) * 100.0;
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COMMITS).for_each(|_| put(&channel, 100)));
            let mut taken = 0;
            while taken < COMMITS * 100 {
                let take = channel.take(100, Wait::FOREVER).expect("take");
                taken += take.len() as u64;
                take.commit().expect("commit");
            }
        });
        if round > 0 {
            ours.push((COMMITS * 100) as f64 / begun.elapsed().as_secs_f64());
            theirs.push(raw_rate);
        }
    }
    print_row(&mut ours, &mut theirs, "raw loop, puts only");
    store.close().expect("close");
}

fn fan_out(dir: &Path) {
    const COMMITS: u64 = 300;
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    let others: Vec<_> = (0..4).map(|i| store.channel(&format!("fan-{i}")).expect("a channel")).collect();
    let all: Vec<&FileChannel> = others.iter().collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        (0..COMMITS).for_each(|_| put(&channel, 100));
        let one = (COMMITS * 100) as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        for _ in 0..COMMITS {
            let mut fan = store.begin_put();
            batch(100).into_parts().0.into_iter().for_each(|event| fan.push_to(&all, event));
            fan.commit().expect("put");
        }
        if round > 0 {
            ours.push((COMMITS * 100) as f64 / begun.elapsed().as_secs_f64());
            theirs.push(one);
        }
        drain(&channel);
        others.iter().for_each(drain);
    }
    print_row(&mut ours, &mut theirs, "one channel");
    store.close().expect("close");
}

fn reopen(dir: &Path) {
    let wanted =
        std::env::var("AQUEDUCT_BENCH_BACKLOG").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000_u32);
    let (store, channel) = open(FileStore::builder(dir.join("store")).durability(Durability::Os));
    (0..wanted / 1000).for_each(|_| put(&channel, 1000));
    // Not closed: this is what a crash leaves.
    drop((store, channel));
    let before = status_kib("VmRSS:");
    let begun = Instant::now();
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    let took = begun.elapsed();
    let lane = &store.recovery_report().lanes[0];
    println!(
        "{} events waiting: open {:.3} s (replayed {} bytes), resident {} KiB before, {} after",
        channel.stats().depth_events,
        took.as_secs_f64(),
        lane.replayed_bytes,
        before,
        status_kib("VmRSS:"),
    );
    let begun = Instant::now();
    drain(&channel);
    println!("{:20}drained at {:.0} events/s", "", f64::from(wanted) / begun.elapsed().as_secs_f64());
    store.close().expect("close");
}

fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn memory(_: &Path) {
    const COMMITS: u64 = 20_000;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (sender, receiver) = crossbeam_channel::bounded::<Event>(10_000);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                (0..COMMITS).for_each(|_| {
                    batch(100).into_parts().0.into_iter().for_each(|event| sender.send(event).expect("send"));
                });
            });
            receiver.iter().for_each(drop);
        });
        let one_by_one = (COMMITS * 100) as f64 / begun.elapsed().as_secs_f64();
        let channel = MemoryChannel::builder("bench").capacity_events(10_000).build().expect("a channel");
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COMMITS).for_each(|_| put(&channel, 100)));
            let mut taken = 0;
            while taken < COMMITS * 100 {
                let take = channel.take(100, Wait::FOREVER).expect("take");
                taken += take.len() as u64;
                take.commit().expect("commit");
            }
        });
        if round > 0 {
            ours.push((COMMITS * 100) as f64 / begun.elapsed().as_secs_f64());
            theirs.push(one_by_one);
        }
    }
    print_row(&mut ours, &mut theirs, "crossbeam-channel");
}

/// In a process of its own, so that the peak of its memory is its own, too.
fn collect_alone(dir: &Path) {
    let program = std::env::current_exe().expect("this program");
    std::io::stdout().flush().expect("standard output");
    let status = std::process::Command::new(program).env(COLLECT_IN, dir).status().expect("a process");
    assert!(status.success(), "{status}");
}

/// The main job: 10 files of 202-byte lines through a durable file channel into one file, everything synced.
fn collect(dir: &Path) {
    const FILES: usize = 10;
    const LINES: usize = 100_000;
    let (input, output) = (dir.join("in"), dir.join("out"));
    std::fs::create_dir(&input).expect("a directory");
    for file in 0..FILES {
        let lines: Vec<String> = (0..LINES).map(|line| format!("{file:01} {line:08} {:x<190}", "")).collect();
        std::fs::write(input.join(format!("{file}.log")), lines.join("\n") + "\n").expect("a file");
    }
    let begun = Instant::now();
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    let agent = Agent::builder("collect")
        .channel("disk", channel)
        .source("in", SpoolDir::new(&input).until_empty())
        .batch(1000)
        .to(["disk"])
        .sink("out", FileRoll::new(&output).roll_interval(Duration::ZERO))
        .batch(1000)
        .from("disk");
    let report = agent.build().expect("an agent").run_to_completion(Wait::FOREVER).expect("a run");
    store.close().expect("close");
    let seconds = begun.elapsed().as_secs_f64();
    let rate = (FILES * LINES) as f64 / seconds;
    println!(
        "{rate:9.0} events/s {:7.1} MB/s | {:?} in {seconds:.2} s, resident {} KiB at most",
        rate * 202.0 / 1e6,
        report.outcome,
        status_kib("VmHWM:"),
    );
}
