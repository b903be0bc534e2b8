//! What is measured, and what all rows do to measure it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aqueduct::{Channel, Durability, Event, FileChannel, FileStore, FileStoreBuilder, PutBatch, Wait};

use crate::{BODY, disk};

/// What one run of a workload gave.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Events a second.
    pub(crate) rate: f64,
    /// Of each commit.
    pub(crate) latencies: Vec<Duration>,
    /// Of each acknowledgement, which is the commit of a take, in rows that have some beside their puts.
    pub(crate) acks: Vec<Duration>,
    pub(crate) events: u64,
    pub(crate) payload: u64,
    pub(crate) syncs: u64,
    /// Bytes of the log.
    pub(crate) bytes: u64,
    /// Bytes that the disk has written meanwhile, for whomever: also zeros, and what is beside the log.
    pub(crate) disk_bytes: u64,
}

impl Run {
    /// Measures what `work`, which returns the latencies of its commits, does to `store`.
    pub(crate) fn of(store: &FileStore, events: u64, payload: u64, work: impl FnOnce() -> Vec<Duration>) -> Self {
        let (before, disk_bytes) = (store.stats(), disk::bytes_written());
        let begun = Instant::now();
        let latencies = work();
        let rate = events as f64 / begun.elapsed().as_secs_f64();
        let after = store.stats();
        Self {
            rate,
            latencies,
            acks: Vec::new(),
            events,
            payload,
            syncs: after.syncs - before.syncs,
            bytes: after.bytes - before.bytes,
            disk_bytes: disk::bytes_written() - disk_bytes,
        }
    }
}

/// Several runs of the same.
#[derive(Debug, Default)]
pub(crate) struct Runs(Vec<Run>);

impl Runs {
    pub(crate) fn push(&mut self, run: Run) {
        self.0.push(run);
    }

    pub(crate) fn rates(&self) -> Vec<f64> {
        self.0.iter().map(|run| run.rate).collect()
    }

    pub(crate) fn rate(&self) -> f64 {
        median(self.rates())
    }

    /// Median, 99th and 99.9th percentile of the commits, in microseconds.
    pub(crate) fn latencies(&self) -> [f64; 3] {
        percentiles(self.0.iter().flat_map(|run| run.latencies.iter().copied()).collect())
    }

    /// The same of acknowledgements, in rows that have some beside their puts.
    pub(crate) fn ack_latencies(&self) -> Option<[f64; 3]> {
        let all: Vec<Duration> = self.0.iter().flat_map(|run| run.acks.iter().copied()).collect();
        (!all.is_empty()).then(|| percentiles(all))
    }

    pub(crate) fn syncs_per_event(&self) -> f64 {
        self.sum(|run| run.syncs) / self.sum(|run| run.events)
    }

    pub(crate) fn bytes_per_payload_byte(&self) -> f64 {
        self.sum(|run| run.bytes) / self.sum(|run| run.payload)
    }

    pub(crate) fn disk_bytes_per_payload_byte(&self) -> f64 {
        self.sum(|run| run.disk_bytes) / self.sum(|run| run.payload)
    }

    /// Payload bytes of an event.
    pub(crate) fn event_bytes(&self) -> f64 {
        self.sum(|run| run.payload) / self.sum(|run| run.events)
    }

    fn sum(&self, of: impl Fn(&Run) -> u64) -> f64 {
        self.0.iter().map(of).sum::<u64>() as f64
    }
}

fn percentiles(mut all: Vec<Duration>) -> [f64; 3] {
    all.sort_unstable();
    let at = |share: f64| all.get(((all.len().max(1) - 1) as f64 * share) as usize);
    [0.5, 0.99, 0.999].map(|share| at(share).map_or(0.0, |time| time.as_secs_f64() * 1e6))
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn open(settings: FileStoreBuilder) -> (FileStore, FileChannel) {
    let store = settings.open().expect("a store");
    let channel = store.channel("bench").expect("a channel");
    (store, channel)
}

/// Brings a store to where it is after its first minutes: segments have their full size, and those that were emptied are used
/// again. Outside of what is measured, as the file of the raw loop is filled with zeros before.
pub(crate) fn warm_up(channel: &FileChannel) {
    let each = 100 * BODY as u64;
    for _ in 0..WARM_UP_ROUNDS {
        for _ in 0..WARM_UP_ROUND_BYTES / each {
            let mut put = channel.begin_put();
            put.set_batch(batch(100));
            put.set_durability(Durability::Os);
            put.commit().expect("put");
        }
        drain(channel);
    }
}

/// Events of `bytes` bytes that share a body, each batch that of another one: as those of a source, which shares its buffer
/// among the events of one read. With one body for all, processors would pass its reference count to and fro.
pub(crate) fn batch_of(events: usize, bytes: usize) -> PutBatch {
    let body = BODIES.with_borrow_mut(|bodies| {
        bodies.retain(|body| body.len() == bytes);
        let oldest = if bodies.len() == BODIES_MAX { bodies.pop_front() } else { None };
        let body = oldest.unwrap_or_else(|| vec![b'x'; bytes].into());
        bodies.push_back(body.clone());
        body
    });
    PutBatch::new((0..events).map(|_| Event::new(body.clone())).collect())
}

pub(crate) fn batch(events: usize) -> PutBatch {
    batch_of(events, BODY)
}

pub(crate) fn put(channel: &impl Channel, events: usize) {
    channel.put_batch(batch(events)).expect("put");
}

/// So many commits of so many events, one after the other; how long each took.
pub(crate) fn put_timed(channel: &impl Channel, commits: u64, events: usize, bytes: usize) -> Vec<Duration> {
    let one = |_| {
        let begun = Instant::now();
        channel.put_batch(batch_of(events, bytes)).expect("put");
        begun.elapsed()
    };
    (0..commits).map(one).collect()
}

/// The same in several threads.
pub(crate) fn put_threads(channel: &FileChannel, threads: u64, commits: u64, events: usize) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let put = || scope.spawn(|| put_timed(channel, commits, events, BODY));
        let threads: Vec<_> = (0..threads).map(|_| put()).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a producer")).collect()
    })
}

/// Takes and commits so many events; how long each commit took, which acknowledges a take.
pub(crate) fn take_timed(channel: &impl Channel, events: u64, each: usize) -> Vec<Duration> {
    let (mut taken, mut times) = (0, Vec::new());
    while taken < events {
        let take = channel.take(each, Wait::FOREVER).expect("take");
        let begun = Instant::now();
        taken += take.len() as u64;
        take.commit().expect("commit");
        times.push(begun.elapsed());
    }
    times
}

/// The same without a look at the clock.
pub(crate) fn take_untimed(channel: &impl Channel, events: u64, each: usize) {
    let mut taken = 0;
    while taken < events {
        let take = channel.take(each, Wait::FOREVER).expect("take");
        taken += take.len() as u64;
        take.commit().expect("commit");
    }
}

/// Empties a channel, outside of what is measured.
pub(crate) fn drain(channel: &FileChannel) {
    loop {
        let mut take = channel.take(10_000, Wait::NONE).expect("take");
        take.set_durability(Durability::Os);
        if take.is_empty() {
            break;
        }
        take.commit().expect("commit");
    }
}

/// A line of `/proc/self/status`, in KiB.
pub(crate) fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// More than the largest segment takes in a round, and rounds for as many segments as are kept.
const WARM_UP_ROUND_BYTES: u64 = 80 << 20;
const WARM_UP_ROUNDS: usize = 5;
/// Bodies that a thread has in turn.
const BODIES_MAX: usize = 64;

thread_local! {
    static BODIES: RefCell<VecDeque<bytes::Bytes>> = const { RefCell::new(VecDeque::new()) };
}
