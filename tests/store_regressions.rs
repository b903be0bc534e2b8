//! Mistakes that the randomised suites found in the store, each as a test of its own.

#![allow(clippy::expect_used)] // an error is a failed test

use std::sync::Arc;

use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, SimVfs, Survive};
use aqueduct::{Channel, Durability, Wait};

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).background(false).segment_bytes(4 << 10)
}

/// Opening after a kill reported a freed segment as missing, if the segment ended with events of another channel and this
/// channel was empty when it was freed and got events since.
#[test]
fn a_segment_that_was_freed_while_a_channel_was_empty_is_not_missed() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let (busy, idle) = (store.channel("busy").expect("a channel"), store.channel("idle").expect("a channel"));
    idle.put("first").expect("a put");
    for channel in [&idle, &busy] {
        for _ in 0..20 {
            busy.put(vec![b'x'; 700]).expect("a put");
        }
        while let take = channel.take(100, Wait::NONE).expect("a take")
            && !take.is_empty()
        {
            take.commit().expect("its commit");
        }
        store.maintain();
    }
    idle.put("second").expect("a put");
    idle.put("third").expect("a put");

    let after_kill = disk.snapshot();
    drop(store);
    // More than once: the first of these opens must not pass the knowledge of the freed segment on without the reasons.
    for _ in 0..3 {
        settings(&after_kill).open().expect("nothing is missing");
    }
    let store = settings(&after_kill).open().expect("nothing is missing");
    let idle = store.channel("idle").expect("a channel");
    let take = idle.take(10, Wait::NONE).expect("a take");
    assert_eq!(take.len(), 2);
    assert_eq!(take[0].body(), "second");
}

/// Opening reported a freed segment as missing if nothing had been written since the segment behind it was begun, and its
/// end was not yet synced then: the log itself did not say that it had been durable.
#[test]
fn a_segment_that_was_freed_right_after_the_next_one_began_is_not_missed() {
    for puts in 1..80 {
        let disk = SimVfs::new();
        let store = settings(&disk).durability(Durability::Os).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        for number in 0..puts {
            let mut put = channel.begin_put();
            put.set_position("owner", vec![number; 100]);
            put.commit().expect("a put");
        }
        store.maintain();
        let after_kill = disk.snapshot();
        drop(store);
        let store = settings(&after_kill).open().unwrap_or_else(|error| panic!("after {puts} puts: {error}"));
        let position = store.channel("channel").expect("a channel").position("owner");
        assert_eq!(position.as_deref(), Some(&[puts - 1; 100][..]));
    }
}

/// The same, where later frames of the segment do say so.
#[test]
fn a_segment_that_later_frames_know_to_be_durable_is_not_missed() {
    for puts in 1..80 {
        let disk = SimVfs::new();
        let store = settings(&disk).durability(Durability::Os).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        for _ in 0..puts {
            channel.put(vec![b'x'; 100]).expect("a put");
        }
        channel.take(100, Wait::NONE).expect("a take").commit().expect("its commit");
        store.maintain();
        let after_kill = disk.snapshot();
        drop(store);
        let store = settings(&after_kill).open().unwrap_or_else(|error| panic!("after {puts} puts: {error}"));
        assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, 0);
    }
}

/// A position that was cleared and set again in one group was missing from the next checkpoint.
#[test]
fn a_position_that_is_cleared_and_set_again_at_once_survives_a_checkpoint() {
    let disk = SimVfs::new();
    let store = settings(&disk).replay_bytes_max(1).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let mut clear = channel.begin_put();
    clear.clear_position("owner");
    let mut set = channel.begin_put();
    set.set_position("owner", "here");
    let tickets = [clear.submit().expect("a ticket"), set.submit().expect("a ticket")];
    for ticket in tickets {
        ticket.wait().expect("a commit");
    }
    store.maintain();
    let after_kill = disk.snapshot();
    drop(store);
    let store = settings(&after_kill).open().expect("an open");
    assert_eq!(store.channel("channel").expect("a channel").position("owner").as_deref(), Some(&b"here"[..]));
}

/// A take could become durable in one lane while its events, in a lane that takes no more writes, were not. After a power
/// cut their sequence numbers were given to new events, which then counted as taken: durable events were lost.
#[test]
fn a_take_does_not_outlive_its_events_in_a_lane_that_failed() {
    let disk = SimVfs::new();
    let two = |disk: &SimVfs| settings(disk).data_dir("/one").data_dir("/two");
    let store = two(&disk).durability(Durability::Os).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    // One event in each lane, and then a write to the first lane fails.
    channel.put("one").expect("a put");
    channel.put("two").expect("a put");
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::Write).path("/one/*").sticky());
    for _ in 0..2 {
        // One of these goes to the lane that fails, the other is durable.
        let mut put = channel.begin_put();
        put.push("more");
        put.set_durability(Durability::Sync);
        drop(put.commit());
    }
    let take = channel.take(1, Wait::NONE).expect("a take");
    let taken = take.commit();
    let disk = disk.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing));
    drop(store);

    let store = two(&disk).open().expect("an open after the power cut");
    let channel = store.channel("channel").expect("a channel");
    let before = channel.stats().depth_events;
    for _ in 0..4 {
        channel.put("new").expect("a put");
    }
    let after_kill = disk.snapshot();
    drop(store);
    let store = two(&after_kill).open().expect("an open");
    let channel = store.channel("channel").expect("a channel");
    let found = channel.take(100, Wait::NONE).expect("a take");
    assert_eq!(found.iter().filter(|event| event.body() == "new").count(), 4, "{taken:?}");
    assert_eq!(found.len() as u64, before + 4);
}
