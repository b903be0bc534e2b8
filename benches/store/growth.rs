//! How costs grow: with producers, sizes, channels, lanes, a consumer, and the work behind commits.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use aqueduct::{Channel, Durability, FileChannel, FileStore};

use crate::BODY;
use crate::measure::{Run, Runs, batch, drain, open, put, put_threads, put_timed, take_timed};
use crate::report::Report;

/// 1 to 64 producers with commits of 10 events.
pub(crate) fn producers(dir: &Path, report: &mut Report) {
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    for producers in [1, 2, 4, 8, 16, 64] {
        let commits = (1600 / producers).clamp(50, 400);
        let events = producers * commits * 10;
        let mut runs = Runs::default();
        for round in 0..=report.rounds {
            let run = Run::of(&store, events, events * BODY as u64, || put_threads(&channel, producers, commits, 10));
            if round > 0 {
                runs.push(run);
            }
            drain(&channel);
        }
        report.point("producers", &producers.to_string(), &runs);
    }
    store.close().expect("close");
}

/// Bodies of 0 bytes to 1 MiB.
pub(crate) fn bodies(dir: &Path, report: &mut Report) {
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    for (bytes, each, commits) in
        [(0, 100, 300), (100, 100, 300), (1 << 10, 100, 300), (64 << 10, 16, 60), (1 << 20, 1, 60)]
    {
        let events = commits * each as u64;
        let mut runs = Runs::default();
        for round in 0..=report.rounds {
            let run = Run::of(&store, events, events * bytes as u64, || put_timed(&channel, commits, each, bytes));
            if round > 0 {
                runs.push(run);
            }
            drain(&channel);
        }
        report.point("body bytes", &bytes.to_string(), &runs);
    }
    store.close().expect("close");
}

/// 1 to 16 channels: a record of 100 events for one after the other, and each event for all of them; then everything is
/// taken.
pub(crate) fn channels(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 320;
    for count in [1_u64, 2, 4, 8, 16] {
        let (store, first) = open(FileStore::builder(dir.join(format!("store-{count}"))));
        let others = (1..count).map(|i| store.channel(&format!("bench-{i}")).expect("a channel"));
        let all: Vec<FileChannel> = std::iter::once(first).chain(others).collect();
        let refs: Vec<&FileChannel> = all.iter().collect();
        let (events, payload) = (COMMITS * 100, COMMITS * 100 * BODY as u64);
        let mut series = [Runs::default(), Runs::default(), Runs::default()];
        for round in 0..=report.rounds {
            let one_each =
                || all.iter().cycle().take(COMMITS as usize).flat_map(|to| put_timed(to, 1, 100, BODY)).collect();
            let spread = Run::of(&store, events, payload, one_each);
            let take = Run::of(&store, events, payload, || {
                all.iter().flat_map(|from| take_timed(from, events / count, 100)).collect()
            });
            let fan_out = Run::of(&store, events, payload, || {
                let commit = |_| {
                    let begun = std::time::Instant::now();
                    let mut fan = store.begin_put();
                    batch(100).into_parts().0.into_iter().for_each(|event| fan.push_to(&refs, event));
                    fan.commit().expect("put");
                    begun.elapsed()
                };
                (0..COMMITS).map(commit).collect()
            });
            all.iter().for_each(drain);
            if round > 0 {
                series.iter_mut().zip([spread, take, fan_out]).for_each(|(runs, run)| runs.push(run));
            }
        }
        for (name, runs) in ["put to one after the other", "take from each", "put to all"].iter().zip(&series) {
            report.point(name, &count.to_string(), runs);
        }
        store.close().expect("close");
    }
}

/// 1 to 4 lanes, whose directories are on one disk here.
pub(crate) fn lanes(dir: &Path, report: &mut Report) {
    for count in 1..=4 {
        let base = dir.join(format!("store-{count}"));
        let settings = FileStore::builder(&base);
        // One directory is the store's own.
        let settings = (0..count).fold(settings, |settings, i| {
            if count == 1 { settings } else { settings.data_dir(base.join(format!("data-{i}"))) }
        });
        let (store, channel) = open(settings);
        for producers in [1, 8] {
            let events = producers * 100 * 10;
            let mut runs = Runs::default();
            for round in 0..=report.rounds {
                let run = Run::of(&store, events, events * BODY as u64, || put_threads(&channel, producers, 100, 10));
                if round > 0 {
                    runs.push(run);
                }
                drain(&channel);
            }
            let name = if producers == 1 { "1 producer" } else { "8 producers" };
            report.point(name, &count.to_string(), &runs);
        }
        store.close().expect("close");
    }
}

/// A consumer that keeps up, and one so far behind that what it reads is in no cache of the store.
pub(crate) fn consumer(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 400;
    // Eight times the tail cache.
    const BEHIND: u64 = 128_000;
    for (name, behind) in [("keeps up", 0), ("far behind", BEHIND)] {
        let (store, channel) = open(FileStore::builder(dir.join(name)));
        let (mut puts, mut takes) = (Runs::default(), Runs::default());
        for round in 0..=report.rounds {
            (0..behind / 1000).for_each(|_| put(&channel, 1000));
            let (events, payload) = (COMMITS * 100, COMMITS * 100 * BODY as u64);
            let begun = std::time::Instant::now();
            let (put_run, mut take_run) = std::thread::scope(|scope| {
                let producer =
                    scope.spawn(|| Run::of(&store, events, payload, || put_timed(&channel, COMMITS, 100, BODY)));
                let latencies = take_timed(&channel, events, 100);
                let rate = events as f64 / begun.elapsed().as_secs_f64();
                (producer.join().expect("a producer"), Run { rate, latencies, events, payload, ..Run::default() })
            });
            (take_run.syncs, take_run.bytes) = (put_run.syncs, put_run.bytes);
            drain(&channel);
            if round > 0 {
                puts.push(put_run);
                takes.push(take_run);
            }
        }
        report.point(&format!("{name} put"), &behind.to_string(), &puts);
        report.point(&format!("{name} take"), &behind.to_string(), &takes);
        store.close().expect("close");
    }
}

/// Puts while checkpoints are taken and segments change, ever more often, and are freed by a consumer.
pub(crate) fn maintenance(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 2000;
    for (name, segment, replay) in [
        ("default", 64 << 20, 16 << 20),
        ("checkpoint each 1 MiB", 64 << 20, 2 << 20),
        ("segment each 4 MiB", 4 << 20, 16 << 20),
        ("both", 4 << 20, 2 << 20),
    ] {
        let settings = FileStore::builder(dir.join(name)).segment_bytes(segment).replay_bytes_max(replay);
        let (store, channel) = open(settings.take_durability(Durability::Os));
        let mut runs = Runs::default();
        let (events, payload) = (COMMITS * 20, COMMITS * 20 * BODY as u64);
        for round in 0..=report.rounds {
            let stop = AtomicBool::new(false);
            let run = std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let take = channel.take(2000, aqueduct::Wait::up_to(std::time::Duration::from_millis(5)));
                        take.expect("take").commit().expect("commit");
                    }
                });
                let run = Run::of(&store, events, payload, || put_timed(&channel, COMMITS, 20, BODY));
                stop.store(true, Ordering::Relaxed);
                run
            });
            drain(&channel);
            if round > 0 {
                runs.push(run);
            }
        }
        report.point("put", name, &runs);
        store.close().expect("close");
    }
}
