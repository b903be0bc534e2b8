//! What a commit costs, counted instead of timed: system calls, syncs, bytes written, allocations, bytes allocated, and bytes copied
//! (on processors of the kind x86-64). The bounds are what it costs today with little room above: a change that needs more has to
//! say so here.

#![allow(clippy::expect_used, clippy::print_stdout)] // an error is a failed test

#[cfg(target_arch = "x86_64")]
mod copies;
mod disk;

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::AllocationInfo;
use aqueduct::limits::READ_AHEAD_BYTES;
use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::{Channel, Durability, Event, FileChannel, PutBatch, PutTicket, Wait};

use disk::{Calls, Disk};

const BODY: usize = 500;
// All of them fit into the first segment.
const COMMITS: u64 = 10;

/// A store that does nothing on its own, with room for all of a test in its first segment.
struct Fixture {
    disk: Disk,
    _dir: tempfile::TempDir,
    store: FileStore,
    channel: FileChannel,
}

fn fixture(settings: impl FnOnce(FileStoreBuilder) -> FileStoreBuilder) -> Fixture {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::default();
    let builder = FileStore::builder(dir.path().join("store")).vfs(Arc::new(disk.clone())).background(false);
    let store = settings(builder).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let fixture = Fixture { disk, _dir: dir, store, channel };
    // The first transactions make what the later ones use again.
    for _ in 0..3 {
        fixture.channel.put_batch(batch(10, BODY)).expect("a put");
        fixture.channel.take(10, Wait::NONE).expect("a take").commit().expect("its commit");
    }
    fixture
}

fn batch(events: usize, bytes: usize) -> PutBatch {
    let body = bytes::Bytes::from(vec![b'x'; bytes]);
    PutBatch::new((0..events).map(|_| Event::new(body.clone())).collect())
}

/// What so many commits cost, each of a batch that is there before.
fn measured(fixture: &Fixture, batches: Vec<PutBatch>, mut commit: impl FnMut(PutBatch)) -> (Calls, AllocationInfo) {
    let before = fixture.disk.calls();
    let allocated = allocation_counter::measure(|| batches.into_iter().for_each(&mut commit));
    let calls = fixture.disk.calls() - before;
    println!("{calls:?} {allocated:?}");
    (calls, allocated)
}

fn batches(events: usize, bytes: usize) -> Vec<PutBatch> {
    (0..COMMITS).map(|_| batch(events, bytes)).collect()
}

/// Allocations and bytes of them, for each commit at most.
fn assert_allocated(allocated: &AllocationInfo, count: u64, bytes: u64) {
    let (total, total_bytes) = (allocated.count_total / COMMITS, allocated.bytes_total / COMMITS);
    assert!(total <= count, "{total} allocations for each commit instead of {count}");
    assert!(total_bytes <= bytes, "{total_bytes} bytes allocated for each commit instead of {bytes}");
}

#[test]
fn a_put_is_one_write_and_one_sync_and_copies_its_events_once() {
    for events in [1, 10, 100] {
        let fixture = fixture(|settings| settings);
        // The buffer grows once.
        fixture.channel.put_batch(batch(events, BODY)).expect("a put");
        let (calls, allocated) = measured(&fixture, batches(events, BODY), |batch| {
            fixture.channel.put_batch(batch).expect("a put");
        });
        let payload = (events * BODY) as u64;
        assert_eq!((calls.writes, calls.syncs), (COMMITS, COMMITS));
        assert_eq!((calls.reads, calls.others), (0, 0));
        let frames = calls.written - COMMITS * payload;
        assert!(frames <= COMMITS * (110 + 8 * events as u64), "{frames} bytes of frames");
        // None of them is for an event alone; the events are copied into one buffer, which is kept unless it is small.
        let buffer = if events == 1 { payload + 8 } else { 0 };
        assert_allocated(&allocated, PUT_ALLOCATIONS, buffer + PUT_BYTES);
    }
}

#[test]
fn a_put_that_is_left_to_the_system_is_one_write() {
    let fixture = fixture(|settings| settings.durability(Durability::Os));
    fixture.channel.put_batch(batch(100, BODY)).expect("a put");
    let (calls, allocated) = measured(&fixture, batches(100, BODY), |batch| {
        fixture.channel.put_batch(batch).expect("a put");
    });
    assert_eq!((calls.writes, calls.syncs, calls.reads, calls.others), (COMMITS, 0, 0, 0));
    assert_allocated(&allocated, PUT_ALLOCATIONS, PUT_BYTES);
}

/// Bytes copied by each of ten puts of a batch, and by each take of it with its commit.
#[cfg(target_arch = "x86_64")]
fn copied(events: usize, body: usize) -> (u64, u64) {
    let fixture = fixture(|settings| settings.durability(Durability::Os));
    // The buffer grows once.
    fixture.channel.put_batch(batch(events, body)).expect("a put");
    fixture.channel.take(events, Wait::NONE).expect("a take").commit().expect("its commit");
    let batches = batches(events, body);
    let put = copies::measure(|| batches.into_iter().for_each(|batch| drop(fixture.channel.put_batch(batch))));
    let take = copies::measure(|| {
        for _ in 0..COMMITS {
            fixture.channel.take(events, Wait::NONE).expect("a take").commit().expect("its commit");
        }
    });
    assert_eq!(fixture.channel.stats().take_success_events, fixture.channel.stats().put_success_events);
    println!("{events} x {body}: {put} {take}");
    (put / COMMITS, take / COMMITS)
}

#[cfg(target_arch = "x86_64")]
#[test]
fn events_are_copied_once_and_large_ones_not_at_all() {
    for events in [1, 10, 100] {
        let (put, take) = copied(events, BODY);
        let payload = (events * BODY) as u64;
        assert!(put >= payload, "{put}: the copy into the record is not seen");
        assert!(put <= payload + 8 * events as u64 + PUT_COPIED, "{put} bytes copied for a put of {payload}");
        assert!(take <= TAKE_COPIED, "{take} bytes copied for a take of {payload}");
    }
    let (put, take) = copied(1, 16 << 10);
    assert!(put <= PUT_COPIED && take <= TAKE_COPIED, "{put} and {take} bytes copied for one large event");
}

#[test]
fn a_large_body_is_not_copied() {
    let fixture = fixture(|settings| settings);
    let (calls, allocated) = measured(&fixture, batches(1, 16 << 10), |batch| {
        fixture.channel.put_batch(batch).expect("a put");
    });
    assert_eq!((calls.writes, calls.syncs, calls.reads, calls.others), (COMMITS, COMMITS, 0, 0));
    assert_allocated(&allocated, PUT_ALLOCATIONS, PUT_BYTES);
}

#[test]
fn a_take_reads_nothing_and_its_commit_is_one_write_and_one_sync() {
    let fixture = fixture(|settings| settings);
    fixture.channel.put_batch(batch(100, BODY)).expect("a put");
    fixture.channel.take(100, Wait::NONE).expect("a take").commit().expect("its commit");
    let (calls, allocated) = measured(&fixture, batches(100, BODY), |batch| {
        fixture.channel.put_batch(batch).expect("a put");
        let take = fixture.channel.take(100, Wait::NONE).expect("a take");
        assert_eq!(take.len(), 100);
        take.commit().expect("its commit");
    });
    assert_eq!((calls.writes, calls.syncs), (2 * COMMITS, 2 * COMMITS));
    assert_eq!((calls.reads, calls.others), (0, 0));
    let payload = COMMITS * 100 * BODY as u64;
    assert!(calls.written - payload <= COMMITS * (110 + 800 + 120), "{calls:?}");
    let events = 100 * size_of::<Event>() as u64;
    assert_allocated(&allocated, PUT_ALLOCATIONS + TAKE_ALLOCATIONS, events + PUT_BYTES + TAKE_BYTES);
}

/// What is not in the tail cache any more is read in large pieces, however few events a take asks for.
#[test]
fn a_backlog_is_read_ahead() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::default();
    let settings = || FileStore::builder(dir.path().join("store")).vfs(Arc::new(disk.clone())).background(false);
    let open = || {
        let store = settings().durability(Durability::Os).open().expect("a store");
        let channel = store.channel("channel").expect("a channel");
        (store, channel)
    };
    let (store, channel) = open();
    let (puts, events) = (80, 100);
    for _ in 0..puts {
        channel.put_batch(batch(events, BODY)).expect("a put");
    }
    store.close().expect("a close");
    drop((store, channel));

    let (_store, channel) = open();
    let (before, mut taken) = (disk.calls(), 0);
    while taken < puts * events {
        let take = channel.take(10, Wait::NONE).expect("a take");
        taken += take.len();
        take.commit().expect("its commit");
    }
    let calls = disk.calls() - before;
    println!("{calls:?}");
    // The last record of a piece may not be whole in it, and is read again with the next one. Each segment begins anew.
    let record = (events * (BODY + 10)) as u64;
    let pieces = puts as u64 * record / (READ_AHEAD_BYTES - record) + 4;
    assert!(calls.reads <= pieces, "{calls:?}, of {pieces} pieces");
}

#[test]
fn transactions_that_are_submitted_together_share_a_write_and_a_sync() {
    let fixture = fixture(|settings| settings);
    let before = fixture.disk.calls();
    for _ in 0..COMMITS {
        let put = || {
            let mut put = fixture.channel.begin_put();
            put.set_batch(batch(1, BODY));
            put.submit().expect("a ticket")
        };
        let tickets: Vec<PutTicket> = (0..8).map(|_| put()).collect();
        for ticket in tickets {
            assert_eq!(ticket.wait().expect("a put").events, 1);
        }
    }
    let calls = fixture.disk.calls() - before;
    assert_eq!((calls.writes, calls.syncs, calls.reads, calls.others), (COMMITS, COMMITS, 0, 0));
}

#[test]
fn eight_producers_share_syncs() {
    let fixture = fixture(|settings| settings);
    // What the disk of the machine does not decide: while one sync takes its time, the others come.
    fixture.disk.slow_syncs(Duration::from_millis(3));
    let before = fixture.disk.calls();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..COMMITS {
                    fixture.channel.put_batch(batch(10, BODY)).expect("a put");
                }
            });
        }
    });
    let calls = fixture.disk.calls() - before;
    println!("{calls:?}");
    let commits = 8 * COMMITS;
    assert_eq!(calls.writes, calls.syncs);
    assert!(calls.syncs <= commits / 2, "{} syncs for {commits} commits", calls.syncs);
    assert_eq!((calls.reads, calls.others), (0, 0));
    assert_eq!(fixture.channel.stats().depth_events, commits * 10);
    fixture.store.close().expect("a close");
}

/// The records that no sync has reached are not held in memory until they are written again, nor written one by one.
#[test]
fn an_open_after_a_kill_holds_little_however_much_is_unsynced() {
    const PUTS: u64 = 20_000;
    let Fixture { disk, _dir: dir, store, channel } = fixture(|settings| settings.durability(Durability::Os));
    for _ in 0..PUTS {
        channel.put("x").expect("a put");
    }
    // No close: for the next open it is as if the process had been killed.
    drop((store, channel));
    let before = disk.calls();
    let builder = FileStore::builder(dir.path().join("store")).vfs(Arc::new(disk.clone())).background(false);
    let mut opened = None;
    let asked = allocation_counter::measure(|| opened = Some(builder.open().expect("an open")));
    let (store, calls) = (opened.expect("it was opened"), disk.calls() - before);
    println!("{calls:?} {asked:?}");
    let rewritten = store.recovery_report().lanes.iter().map(|lane| lane.rewritten_records).sum::<u64>();
    assert!(rewritten >= PUTS, "{rewritten} records are written again");
    assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, PUTS);
    assert!(asked.bytes_max <= OPEN_BYTES, "{} bytes for {rewritten} records", asked.bytes_max);
    assert!(calls.reads + calls.writes <= PUTS / 50, "{calls:?}");
}

/// Bytes that a put copies besides the events and eight for each, as it is handed on, and that a take and its commit copy.
#[cfg(target_arch = "x86_64")]
const PUT_COPIED: u64 = 7300;
#[cfg(target_arch = "x86_64")]
const TAKE_COPIED: u64 = 5900;
/// Allocations of a put besides its events, and their bytes besides a small buffer for their copy.
const PUT_ALLOCATIONS: u64 = 22;
const PUT_BYTES: u64 = 3400;
/// The same of a take and its commit.
const TAKE_ALLOCATIONS: u64 = 21;
const TAKE_BYTES: u64 = 3400;
/// Bytes that an open holds: mostly what it has read ahead and writes at once.
const OPEN_BYTES: u64 = 3 << 19;
