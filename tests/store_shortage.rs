//! What a store does where descriptors, room or its settings are short.

#![allow(clippy::expect_used)] // an error is a failed test
#![allow(clippy::disallowed_methods)] // one test damages files on the real disk

use std::path::Path;
use std::sync::Arc;

use aqueduct::limits::{STORE_UNSYNCED_BYTES_MAX, UNSYNCED_SEGMENTS_MAX};
use aqueduct::store::{FileStore, FileStoreBuilder, OnCorruption, OpenError};
use aqueduct::vfs::Vfs;
use aqueduct::vfs::sim::{Fault, Inject, OpKind, OpRecord, SimVfs};
use aqueduct::{Channel, Durability, Event, FileChannel, PutBatch, PutError, PutTicket, Receipt, Wait};

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).background(false).segment_bytes(4 << 10)
}

fn bytes_in(disk: &SimVfs, dir: &str) -> u64 {
    let dir = Path::new(dir);
    let names = disk.read_dir(dir).expect("the directory");
    names.iter().map(|name| disk.metadata(&dir.join(name)).expect("a file").len).sum()
}

/// Once what a segment begins with was as large as a segment, each put got one of its own, which made the next one larger.
#[test]
fn a_long_backlog_in_small_segments_takes_little_more_than_its_events() {
    let disk = SimVfs::new();
    let store = settings(&disk).durability(Durability::Os).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let before = bytes_in(&disk, "/store/data");
    for _ in 0..4000 {
        channel.put(vec![b'x'; 100]).expect("a put");
    }
    let took = bytes_in(&disk, "/store/data") - before;
    assert!(took < 4000 * 400, "{took} bytes for events of 400,000");
    store.close().expect("a close");
    drop((channel, store));
    let channel = settings(&disk).open().expect("the store").channel("channel").expect("a channel");
    assert_eq!(channel.stats().depth_events, 4000);
}

/// Each segment that nothing had synced yet was open, until the process had no descriptors left.
#[test]
fn segments_that_nobody_syncs_are_synced_when_there_are_many() {
    let disk = SimVfs::new();
    let store = settings(&disk).durability(Durability::Os).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..UNSYNCED_SEGMENTS_MAX * 3 {
        channel.put(vec![b'x'; 3000]).expect("a put");
    }
    assert!(store.stats().syncs >= 2, "{}", store.stats().syncs);
}

/// An open writes again what was not synced, into one segment. It could not if that was more than a segment can hold.
#[test]
fn no_more_may_wait_for_a_sync_than_an_open_can_write_again() {
    let over = settings(&SimVfs::new()).unsynced_bytes_max(STORE_UNSYNCED_BYTES_MAX + 1).open();
    let Err(OpenError::Options(problems)) = over else { panic!("it is refused") };
    assert_eq!(problems, ["unsynced_bytes_max is over 1 GiB"]);
    settings(&SimVfs::new()).unsynced_bytes_max(STORE_UNSYNCED_BYTES_MAX).open().expect("a new store");
}

/// A moment without a free descriptor ended a data directory, although nothing had been tried that could fail.
#[test]
fn a_directory_that_cannot_be_opened_for_a_moment_is_used_again() {
    for nth in 0..20 {
        let disk = SimVfs::new();
        let store = settings(&disk).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        // EMFILE
        disk.inject(Inject::new(Fault::Errno(24)).on(OpKind::SyncDir).skip(nth));
        let put = || channel.put(vec![b'x'; 2000]);
        let accepted = (0..20).filter(|_| put().is_ok()).count() as u64;
        assert!(accepted >= 19, "{accepted}");
        // That one may be the first which needs the directory.
        put().or_else(|_| put()).expect("a put with descriptors");
        store.close().expect("a close");
        drop((channel, store));
        let channel = settings(&disk).open().expect("the store").channel("channel").expect("a channel");
        let waiting = channel.take(100, Wait::NONE).expect("a take").len() as u64;
        assert!(waiting == accepted + 1, "{waiting} of {accepted} and one");
    }
}

/// The error had no channel, and nobody counted it.
#[test]
fn a_position_for_which_there_is_no_room_is_refused_by_name() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).sticky());
    let mut batch = PutBatch::default();
    batch.set_position("owner", "1");
    let refused = channel.put_batch(batch).expect_err("the disk is full");
    assert!(matches!(&refused, PutError::Full { channel, .. } if channel == "channel"), "{refused}");
    assert_eq!(channel.stats().put_full_count, 1);
}

/// The acknowledgement of very many damaged records was a record that the next open could not read.
#[test]
fn any_number_of_damaged_records_is_lost_once() {
    const EVENTS: u64 = 70_000;
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::builder(dir.path()).durability(Durability::Os).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let submit = |_| {
        let mut put = channel.begin_put();
        put.push("MARK");
        put.submit().expect("a put")
    };
    let tickets: Vec<_> = (0..EVENTS).map(submit).collect();
    for ticket in tickets {
        ticket.wait().expect("its commit");
    }
    store.close().expect("a close");
    drop((channel, store));
    for file in std::fs::read_dir(dir.path().join("data")).expect("a directory") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let mut bytes = std::fs::read(&path).expect("a segment");
            let marks: Vec<_> = bytes.windows(4).enumerate().filter(|(_, bytes)| *bytes == b"MARK").collect();
            let marks: Vec<_> = marks.into_iter().map(|(at, _)| at).collect();
            marks.into_iter().for_each(|at| bytes[at] = b'X');
            std::fs::write(&path, bytes).expect("the disk has room");
        }
    }
    let settings = || FileStore::builder(dir.path()).durability(Durability::Os);
    let store = settings().on_corruption(OnCorruption::Salvage).open().expect("the store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..400 {
        channel.put(vec![b'y'; 1000]).expect("a put");
    }
    // The next segment is ready.
    store.maintain();
    let take = channel.take(1000, Wait::NONE).expect("a take");
    assert_eq!((take.len(), channel.stats().lost_events), (400, EVENTS));
    take.commit().expect("its commit");
    channel.put("whole").expect("a put");
    drop((channel, store));
    let channel = settings().open().expect("nothing is wrong any more").channel("channel").expect("a channel");
    let take = channel.take(1000, Wait::NONE).expect("a take");
    assert_eq!((take.len(), channel.stats().depth_events, channel.stats().lost_events), (1, 1, 0));
}

/// To find the next event of a channel in a record whose events go to channels in turn took a walk over all of them, so that this
/// took minutes.
#[test]
fn events_that_alternate_between_channels_are_found_at_once() {
    let store = settings(&SimVfs::new()).segment_bytes(8 << 20).open().expect("a new store");
    let names = ["a", "b"].map(|name| store.channel(name).expect("a channel"));
    let mut put = store.begin_put();
    for n in 0..100_000 {
        put.push_to(&[&names[n % 2]], n.to_string());
    }
    put.commit().expect("a put");
    for (first, channel) in names.iter().enumerate() {
        let mut next = first;
        while let take = channel.take(1000, Wait::NONE).expect("a take")
            && !take.is_empty()
        {
            for event in &take[..] {
                assert_eq!(event.body(), next.to_string().as_bytes());
                next += 2;
            }
            take.commit().expect("its commit");
        }
        assert_eq!(next, 100_000 + first);
    }
}

/// The neighbours that were found for a channel were looked for again by each take that got some of them.
#[test]
fn neighbours_are_found_once_however_few_a_take_gets() {
    let store = settings(&SimVfs::new()).segment_bytes(8 << 20).take_durability(Durability::Os).open();
    let store = store.expect("a new store");
    let (all, some) = (store.channel("all").expect("a channel"), store.channel("some").expect("a channel"));
    let mut put = store.begin_put();
    for n in 0..60_000_u32 {
        let channels: &[&FileChannel] = if n % 2 == 0 { &[&all] } else { &[&all, &some] };
        put.push_to(channels, n.to_string());
    }
    put.commit().expect("a put");
    for (channel, step, count) in [(&all, 1, 60_000), (&some, 2, 30_000)] {
        for n in 0..count {
            let take = channel.take(1, Wait::NONE).expect("a take");
            assert_eq!(take[0].body(), (step - 1 + n * step).to_string().as_bytes());
            take.commit().expect("its commit");
        }
        assert!(channel.take(1, Wait::NONE).expect("a take").is_empty());
    }
}

/// Segments grew with what might have come to the state, not with what had.
#[test]
fn segments_keep_their_size_while_events_are_taken_one_by_one() {
    let disk = SimVfs::new();
    let builder = settings(&disk).segment_bytes(64 << 10).durability(Durability::Os).take_durability(Durability::Os);
    let store = builder.open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..40 {
        let batch = (0..500).map(|_| Event::new("x")).collect();
        channel.put_batch(PutBatch::new(batch)).expect("a put");
    }
    for n in 0..20_000 {
        channel.take(1, Wait::NONE).expect("a take").commit().expect("its commit");
        if n % 500 == 0 {
            store.maintain();
        }
    }
    let dir = Path::new("/store/data");
    for name in disk.read_dir(dir).expect("the directory") {
        let len = disk.metadata(&dir.join(&name)).expect("a file").len;
        assert!(len <= 256 << 10, "{name:?} has {len} bytes");
    }
}

/// After a sync that failed in the middle of a group, what the group had written before counted as put.
#[test]
fn what_a_sync_in_the_middle_of_a_group_was_about_is_indeterminate() {
    let group = |fail_at: Option<u64>| {
        let disk = SimVfs::new();
        let store = settings(&disk).durability(Durability::Os).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        if let Some(index) = fail_at {
            // EIO
            disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).not_before(index));
        }
        let from = disk.op_count();
        let submit = |_| {
            let mut put = channel.begin_put();
            put.push(vec![b'x'; 3000]);
            put.submit().expect("a put")
        };
        let tickets: Vec<PutTicket> = (0..UNSYNCED_SEGMENTS_MAX + 10).map(submit).collect();
        let outcomes: Vec<_> = tickets.into_iter().map(PutTicket::wait).collect();
        (outcomes, disk.ops_since(from))
    };
    let (outcomes, ops) = group(None);
    assert!(outcomes.iter().all(Result::is_ok));
    // A new segment is synced twice; more in a row are those that are full.
    let is_sync = |ops: &[OpRecord]| ops.iter().all(|op| op.kind == OpKind::SyncData);
    let first = ops.windows(10).find(|ops| is_sync(ops)).expect("a sync of all").first().map(|op| op.index);
    let (outcomes, _) = group(first);
    let refused = |outcome: &&Result<Receipt, PutError>| matches!(outcome, Err(PutError::NotCommitted { .. }));
    let unknown = |outcome: &&Result<Receipt, PutError>| matches!(outcome, Err(PutError::Indeterminate { .. }));
    let (refused, unknown) = (outcomes.iter().filter(refused).count(), outcomes.iter().filter(unknown).count());
    assert!(refused > 0 && unknown > 0 && refused + unknown == outcomes.len(), "{refused} and {unknown}");
}
