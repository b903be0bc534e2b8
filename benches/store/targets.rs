//! The rows that have something to reach, each beside its reference.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use aqueduct::{
    Channel, Durability, Event, EventPacker, FileChannel, FileStore, Headers, MemoryChannel, PutBatch, PutTicket,
};
use bytes::Bytes;

use crate::BODY;
use crate::measure::{
    Run, Runs, batch, drain, median, open, put_threads, put_timed, take_timed, take_untimed, warm_up,
};
use crate::raw::Raw;
use crate::report::Report;

/// Runs both sides, another one first in each round. The reference runs once before: a disk that had nothing to do for a moment
/// is faster for some hundred syncs, which would be those of the first one.
fn in_turn(round: usize, ours: impl Fn() -> Run, theirs: impl Fn() -> Run) -> (Run, Run) {
    theirs();
    if round.is_multiple_of(2) {
        let run = ours();
        (run, theirs())
    } else {
        let reference = theirs();
        (ours(), reference)
    }
}

/// Blocking commits.
pub(crate) fn put_blocking(
    dir: &Path,
    report: &mut Report,
    producers: u64,
    events: usize,
    commits: u64,
    level: Durability,
) {
    // As large as what the store writes in a round of the largest row, with its spare segments.
    let raw = Raw::new(dir, 256 << 20);
    let (store, channel) = open(FileStore::builder(dir.join("store")).durability(level));
    warm_up(&channel);
    let (mut ours, mut theirs, mut least) = (Runs::default(), Runs::default(), Runs::default());
    let count = producers * commits * events as u64;
    let reference = || {
        let run = raw.run(events * BODY, commits, level == Durability::Sync);
        Run { rate: run.rate * events as f64, ..run }
    };
    let store_run =
        || Run::of(&store, count, count * BODY as u64, || put_threads(&channel, producers, commits, events));
    for round in 0..=report.rounds {
        let (run, reference) = in_turn(round, store_run, reference);
        let least_run = if level == Durability::Os { raw.run_least(events, commits) } else { Run::default() };
        // The first round warms up files and caches.
        if round > 0 {
            ours.push(run);
            theirs.push(reference);
            least.push(Run { rate: least_run.rate * events as f64, ..least_run });
        }
        drain(&channel);
        // Segments become free once their acknowledgements are durable, and the next round begins with them.
        store.maintain();
    }
    report.compare(&ours, &theirs, if level == Durability::Sync { "raw loop" } else { "pwrite" });
    report.costs(&ours);
    if level == Durability::Os {
        let (most, [p50, ..]) = (least.rate(), least.latencies());
        let (of_pwrite, ours_of_it) = (most / theirs.rate(), ours.rate() / most);
        report.say(&format!(
            "a loop that makes the events, copies, checks and writes them: {most:.0} events/s, p50 {p50:.1} us, {of_pwrite:.2} of \
             pwrite; ours is {ours_of_it:.2} of it"
        ));
    }
    store.close().expect("close");
}

/// One thread with 64 commits of one event in flight, against its own blocking commits.
pub(crate) fn tickets(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 20_000;
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    warm_up(&channel);
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for round in 0..=report.rounds {
        let blocking = Run::of(&store, 500, 500 * BODY as u64, || put_timed(&channel, 500, 1, BODY));
        let run = Run::of(&store, COMMITS, COMMITS * BODY as u64, || {
            let (mut in_flight, mut times) = (VecDeque::new(), Vec::new());
            let mut land = |(begun, ticket): (Instant, PutTicket)| {
                ticket.wait().expect("put");
                times.push(begun.elapsed());
            };
            for _ in 0..COMMITS {
                if in_flight.len() == 64 {
                    land(in_flight.pop_front().expect("64 of them"));
                }
                let begun = Instant::now();
                let mut tx = channel.begin_put();
                tx.set_batch(batch(1));
                in_flight.push_back((begun, tx.submit().expect("put")));
            }
            in_flight.into_iter().for_each(land);
            times
        });
        if round > 0 {
            ours.push(run);
            theirs.push(blocking);
        }
        drain(&channel);
    }
    report.compare(&ours, &theirs, "blocking");
    report.costs(&ours);
    store.close().expect("close");
}

/// One producer and one consumer, every put and every take durable.
pub(crate) fn put_take(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 300;
    let raw = Raw::new(dir, 256 << 20);
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    warm_up(&channel);
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for round in 0..=report.rounds {
        let reference = || {
            let run = raw.run(100 * BODY, COMMITS, true);
            Run { rate: run.rate * 100.0, ..run }
        };
        let store_run = || {
            let mut acks = Vec::new();
            let run = Run::of(&store, COMMITS * 100, COMMITS * 100 * BODY as u64, || {
                std::thread::scope(|scope| {
                    let producer = scope.spawn(|| put_timed(&channel, COMMITS, 100, BODY));
                    acks = take_timed(&channel, COMMITS * 100, 100);
                    producer.join().expect("a producer")
                })
            });
            Run { acks, ..run }
        };
        let (run, reference) = in_turn(round, store_run, reference);
        if round > 0 {
            ours.push(run);
            theirs.push(reference);
        }
    }
    report.compare(&ours, &theirs, "raw loop (puts only)");
    report.costs(&ours);
    store.close().expect("close");
}

/// Each event to four channels, against the same puts to one.
pub(crate) fn fan_out(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 300;
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    warm_up(&channel);
    let others: Vec<_> = (0..4).map(|i| store.channel(&format!("fan-{i}")).expect("a channel")).collect();
    let all: Vec<&FileChannel> = others.iter().collect();
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    let (events, payload) = (COMMITS * 100, COMMITS * 100 * BODY as u64);
    for round in 0..=report.rounds {
        let one = Run::of(&store, events, payload, || put_timed(&channel, COMMITS, 100, BODY));
        let run = Run::of(&store, events, payload, || {
            let commit = |_| {
                let begun = Instant::now();
                let mut fan = store.begin_put();
                batch(100).into_parts().0.into_iter().for_each(|event| fan.push_to(&all, event));
                fan.commit().expect("put");
                begun.elapsed()
            };
            (0..COMMITS).map(commit).collect()
        });
        if round > 0 {
            ours.push(run);
            theirs.push(one);
        }
        drain(&channel);
        others.iter().for_each(drain);
    }
    report.compare(&ours, &theirs, "one channel");
    report.costs(&ours);
    store.close().expect("close");
}

/// Bodies that are slices of a buffer for each transaction, as those of a source are: with a common one, both sides would measure
/// how two processors share its reference count.
pub(crate) fn memory_of_buffers(_: &Path, report: &mut Report) {
    // More than there are transactions on their way.
    const BUFFERS: usize = 256;
    let buffers: Vec<Bytes> = (0..BUFFERS).map(|_| vec![b'x'; BODY].into()).collect();
    let batch = |turn: usize| (0..100).map(|_| Event::new(buffers[turn % BUFFERS].clone())).collect::<Vec<_>>();
    memory(report, batch, batch);
}

/// Bodies that cost nothing to make and to drop: what the channels alone take.
pub(crate) fn memory_of_fixed(_: &Path, report: &mut Report) {
    static FIXED: [u8; BODY] = [b'x'; BODY];
    let batch = |_| (0..100).map(|_| Event::new(Bytes::from_static(&FIXED))).collect::<Vec<_>>();
    memory(report, batch, batch);
}

/// Bodies that are copied from elsewhere: by the packer for our channel, each to memory of its own for the other one.
pub(crate) fn memory_of_copies(_: &Path, report: &mut Report) {
    let received = vec![b'x'; 100 * BODY];
    let packed = |_| {
        let mut packer = EventPacker::new(100);
        received.chunks(BODY).for_each(|body| packer.push(Headers::new(), body));
        packer.finish()
    };
    let alone = |_| received.chunks(BODY).map(|body| Event::new(Bytes::copy_from_slice(body))).collect();
    memory(report, packed, alone);
}

/// The memory channel with a producer and a consumer, against a channel of single events. `ours` and `theirs` make the events of
/// a transaction.
fn memory(report: &mut Report, ours: impl Fn(usize) -> Vec<Event> + Sync, theirs: impl Fn(usize) -> Vec<Event> + Sync) {
    const COMMITS: usize = 20_000;
    let (mut our_runs, mut their_runs, mut latencies) = (Runs::default(), Runs::default(), Runs::default());
    let rate = |begun: Instant| Run {
        rate: (COMMITS * 100) as f64 / begun.elapsed().as_secs_f64(),
        events: COMMITS as u64 * 100,
        payload: (COMMITS * 100 * BODY) as u64,
        ..Run::default()
    };
    for round in 0..=report.rounds {
        let (sender, receiver) = crossbeam_channel::bounded::<Event>(10_000);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sender = sender;
                (0..COMMITS).for_each(|turn| {
                    theirs(turn).into_iter().for_each(|event| sender.send(event).expect("send"));
                });
            });
            receiver.iter().for_each(drop);
        });
        let one_by_one = rate(begun);
        let channel = MemoryChannel::builder("bench").capacity_events(10_000).build().expect("a channel");
        let put = |turn| {
            channel.put_batch(PutBatch::new(ours(turn))).expect("put");
        };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COMMITS).for_each(put));
            take_untimed(&channel, COMMITS as u64 * 100, 100);
        });
        if round > 0 {
            our_runs.push(rate(begun));
            their_runs.push(one_by_one);
        }
        // Once more for the latencies: to read the clock takes a good part of such a commit.
        let (puts, acks) = std::thread::scope(|scope| {
            let producer = scope.spawn(|| {
                let timed = |turn| {
                    let begun = Instant::now();
                    put(turn);
                    begun.elapsed()
                };
                (0..COMMITS).map(timed).collect()
            });
            let acks = take_timed(&channel, COMMITS as u64 * 100, 100);
            (producer.join().expect("a producer"), acks)
        });
        if round > 0 {
            latencies.push(Run { latencies: puts, acks, ..Run::default() });
        }
    }
    report.compare(&our_runs, &their_runs, "crossbeam-channel");
    report.latencies(&latencies);
}

/// Bytes of the log for each event, each round in a store of its own.
pub(crate) fn disk_bytes(dir: &Path, report: &mut Report) {
    const COMMITS: u64 = 1000;
    let mut all = Vec::new();
    for round in 0..report.rounds {
        let settings = FileStore::builder(dir.join(format!("store-{round}"))).durability(Durability::Os);
        let (store, channel) = open(settings);
        let events = COMMITS * 100;
        let run = Run::of(&store, events, events * BODY as u64, || put_timed(&channel, COMMITS, 100, BODY));
        all.push(run.bytes as f64 / run.events as f64);
        store.close().expect("close");
    }
    let bytes = median(all);
    let rounds = report.rounds;
    report.say(&format!(
        "{bytes:.2} bytes of the log for an event of {BODY}, in commits of 100; median of {rounds} rounds"
    ));
    report.value("log", "", bytes, "bytes/event");
}
