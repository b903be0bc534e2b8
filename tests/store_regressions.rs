//! Mistakes that the randomised suites found in the store, each as a test of its own.

#![allow(clippy::expect_used)] // an error is a failed test

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use aqueduct::clock::StepClock;
use aqueduct::limits::{POSITIONS_MAX, POSITIONS_PER_TRANSACTION_MAX};
use aqueduct::store::{FileStore, FileStoreBuilder, OnCorruption, OpenError};
use aqueduct::vfs::Vfs;
use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Gate, Inject, OpKind, SimVfs, Survive};
use aqueduct::{Channel, Durability, Event, FileChannel, FullReason, PutBatch, PutError, PutTicket, Spillable, Wait};

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

fn two_lanes(disk: &SimVfs) -> FileStoreBuilder {
    settings(disk).data_dir("/one").data_dir("/two").put_wait(Wait::NONE)
}

/// With a weak level, what a directory had not synced when it failed was handed out again and again, although no take of it could be
/// committed any more, and what other directories had behind it was never delivered.
#[test]
fn what_a_failed_directory_may_lose_stops_nothing_else() {
    let disk = SimVfs::new();
    let two = |disk: &SimVfs| two_lanes(disk).durability(Durability::Os);
    let store = two(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let put = |number: u8| channel.put(number.to_string()).expect("a put").first.expect("its identity").lane;
    let mut lanes: Vec<u16> = (0..4).map(put).collect();
    channel.close().expect("what is there is synced");
    let channel = store.channel("channel").expect("it opens again");
    let put = |number: u8| channel.put(number.to_string()).expect("a put").first.expect("its identity").lane;
    lanes.extend((4..10).map(put));
    let failing = lanes[4];
    let numbers = |of: &dyn Fn(usize, u16) -> bool| -> Vec<usize> {
        lanes.iter().enumerate().filter(|(number, lane)| of(*number, **lane)).map(|(number, _)| number).collect()
    };
    let at_risk = numbers(&|number, lane| number >= 4 && lane == failing);
    let others = numbers(&|number, lane| number < 4 || lane != failing);
    assert!(!at_risk.is_empty() && others.len() > 4, "{lanes:?}");

    // One take is rolled back before the failure, one stays open over it, and the rest is unread.
    channel.take(5, Wait::NONE).expect("a take").rollback();
    let open = channel.take(7, Wait::NONE).expect("a take");
    channel.take(1, Wait::NONE).expect("a take").rollback();
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).path(["/one/*", "/two/*"][usize::from(failing)]));
    channel.close().expect_err("a sync fails");
    let channel = store.channel("channel").expect("it opens again");
    let refused = open.commit().expect_err("what may be lost cannot be acknowledged");
    assert!(refused.to_string().contains("no more writes"), "{refused}");

    let taken = |channel: &FileChannel| -> Vec<usize> {
        let take = channel.take(100, Wait::NONE).expect("a take");
        let numbers =
            take.iter().map(|event| String::from_utf8_lossy(event.body()).parse().expect("a number")).collect();
        take.commit().expect("a commit");
        numbers
    };
    assert_eq!(taken(&channel), others);
    assert_eq!(channel.take(100, Wait::up_to(Duration::from_millis(1))).expect("a take").len(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(channel.poll_ready(&mut cx).is_pending());
    let stats = channel.stats();
    let count = at_risk.len() as u64;
    assert_eq!((stats.depth_events, stats.withheld_events, stats.in_flight_events), (count, count, 0), "{stats:?}");
    assert_eq!(stats.depth_bytes, count, "of one byte each");
    // What comes goes to the other directory, and out.
    channel.put("99").expect("a put");
    assert_eq!(taken(&channel), [99]);

    let disk = disk.crash(&CrashChoice::new(CrashMode::Kill, Survive::All));
    let store = two(&disk).open().expect("an open after a kill");
    let channel = store.channel("channel").expect("a channel");
    assert_eq!(taken(&channel), at_risk);
    assert_eq!(channel.stats().withheld_events, 0);
}

/// Where no other directory goes on, takes of what is withheld found nothing, or waited for ever, and said nothing.
#[test]
fn a_take_fails_where_all_is_withheld_and_nothing_can_come() {
    for dirs in [1, 2] {
        let disk = SimVfs::new();
        let builder = settings(&disk).durability(Durability::Os).data_dir("/one").put_wait(Wait::NONE);
        let store = if dirs == 2 { builder.data_dir("/two") } else { builder }.open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        for number in 0..4 {
            channel.put(number.to_string()).expect("a put");
        }
        let open = channel.take(4, Wait::NONE).expect("a take");
        disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).sticky());
        channel.close().expect_err("a sync fails");
        let channel = store.channel("channel").expect("it opens again");
        // One that waits already hears of it, too.
        let waiting = std::thread::spawn({
            let channel = channel.clone();
            move || channel.take(1, Wait::up_to(Duration::from_secs(60))).map(|take| take.len())
        });
        std::thread::sleep(Duration::from_millis(20));
        open.rollback();
        assert!(channel.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        for wait in [Wait::NONE, Wait::up_to(Duration::from_millis(1)), Wait::FOREVER] {
            let error = channel.take(10, wait).map(|take| take.len()).expect_err("nothing can come");
            assert!(error.to_string().contains("no more writes"), "{error}");
        }
        waiting.join().expect("a thread").expect_err("nothing can come");
        assert!(channel.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready(), "it would fail");
        assert_eq!(channel.take(0, Wait::NONE).expect("a take of nothing").len(), 0);
        let stats = channel.stats();
        assert_eq!((stats.depth_events, stats.withheld_events, stats.in_flight_events), (4, 4, 0), "{stats:?}");
        channel.put("more").expect_err("no directory takes it");
    }
}

/// What was rolled back came before an older event that its slower directory had made visible meanwhile.
#[test]
fn what_was_rolled_back_waits_for_what_is_older_in_another_lane() {
    let disk = SimVfs::new();
    let store = two_lanes(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let submit = |body: &'static str| {
        let mut put = channel.begin_put();
        put.push(body);
        put.submit().expect("a place in a group")
    };
    let older = submit("older");
    // Another thread: its put does not follow the one before, and goes to the lane that is not busy.
    std::thread::scope(|scope| scope.spawn(|| channel.put("newer").map(drop)).join().expect("a thread"))
        .expect("a put");
    let take = channel.take(10, Wait::NONE).expect("a take");
    assert_eq!(take.iter().map(aqueduct::Event::body).collect::<Vec<_>>(), ["newer"]);
    older.wait().expect("its commit");
    take.rollback();
    for expected in [["older", "newer"], ["older", "newer"]] {
        let take = channel.take(10, Wait::NONE).expect("a take");
        assert_eq!(take.iter().map(aqueduct::Event::body).collect::<Vec<_>>(), expected);
        take.rollback();
    }
}

/// A position that an indeterminate put may have left in the log of one directory came back after it had been cleared:
/// the clear went to another directory, which saw nobody to overrule and kept no trace of it.
#[test]
fn a_cleared_position_does_not_come_back_from_a_transaction_of_unknown_outcome() {
    for kept in [0, usize::MAX] {
        let disk = SimVfs::new();
        let store = two_lanes(&disk).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        for lane in ["/one/*", "/two/*"] {
            disk.inject(Inject::new(Fault::PartialSync { errno: 5, kept }).on(OpKind::SyncData).path(lane));
        }
        // The first put fails in its lane, with or without having reached the disk; what follows goes to the other one.
        let mut put = channel.begin_put();
        put.set_position("owner", "old");
        drop(put.commit().expect_err("the sync failed"));
        disk.clear_faults();
        let mut put = channel.begin_put();
        put.clear_position("owner");
        put.commit().expect("the other directory is well");
        assert_eq!(channel.position("owner"), None);
        store.maintain();
        for disk in [disk.snapshot(), disk.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing))] {
            let store = two_lanes(&disk).open().expect("an open");
            let channel = store.channel("channel").expect("a channel");
            assert_eq!(channel.position("owner"), None, "{kept} changes had reached the disk");
        }
    }
}

/// A store that was closed on a full disk gave its reserve away: with no byte free it could not be opened again, and with
/// a few bytes free it accepted puts into room that acknowledgements needed.
#[test]
fn a_store_that_was_closed_on_a_full_disk_opens_and_drains_without_any_room() {
    let disk = SimVfs::new();
    disk.set_space(Some(3 << 20));
    let open = |disk: &SimVfs| {
        let settings = settings(disk).segment_bytes(1 << 20).put_wait(Wait::NONE);
        settings.open().expect("an open")
    };
    let mut store = open(&disk);
    let mut put = 0;
    for _ in 0..3 {
        let channel = store.channel("channel").expect("a channel");
        while channel.put(vec![b'x'; 2000]).is_ok() {
            put += 1;
        }
        store.close().expect("a close");
        disk.set_space(Some(0));
        store = open(&disk);
    }
    assert!(put > 50, "{put}");
    let channel = store.channel("channel").expect("a channel");
    channel.put("refused").expect_err("there is no room");
    let mut taken = 0;
    while let take = channel.take(1, Wait::NONE).expect("a take")
        && !take.is_empty()
    {
        taken += take.len();
        take.commit().expect("the reserve has room for every acknowledgement");
        store.maintain();
    }
    assert_eq!(taken, put);
    channel.put("accepted").expect("the segments that were freed have room");
}

/// A state that had outgrown the reserve (many positions) could not be carried on when the disk was full: no take could be
/// committed any more.
#[test]
fn the_reserve_grows_with_the_state() {
    let disk = SimVfs::new();
    let open = |disk: &SimVfs| {
        let settings = settings(disk).segment_bytes(1 << 20).put_wait(Wait::NONE);
        settings.open().expect("an open")
    };
    let store = open(&disk);
    let channel = store.channel("channel").expect("a channel");
    for owner in 0..300 {
        let mut put = channel.begin_put();
        put.set_position(format!("owner {owner}"), vec![1; 4000]);
        put.commit().expect("a put");
    }
    disk.set_space(Some(5 << 20));
    let mut put = 0;
    while channel.put(vec![b'x'; 20_000]).is_ok() {
        put += 1;
    }
    disk.set_space(Some(0));
    let mut taken = 0;
    while let take = channel.take(1, Wait::NONE).expect("a take")
        && !take.is_empty()
    {
        let mut ack = take;
        ack.set_position("sink", vec![2; 60_000]);
        taken += ack.len();
        ack.commit().expect("room for every acknowledgement");
        store.maintain();
    }
    assert_eq!(taken, put);
}

/// The reason why a freed segment may be missing stood in one slot of the checkpoint alone; without it the open refused a
/// healthy store.
#[test]
fn a_freed_segment_is_not_missed_when_the_checkpoints_are_lost() {
    for durability in [Durability::Sync, Durability::Os] {
        for puts in 1..40 {
            let disk = SimVfs::new();
            let store = settings(&disk).durability(durability).open().expect("a new store");
            let channel = store.channel("channel").expect("a channel");
            for _ in 0..puts {
                channel.put(vec![b'x'; 500]).expect("a put");
            }
            channel.take(1000, Wait::NONE).expect("a take").commit().expect("its commit");
            store.maintain();
            let after_kill = disk.snapshot();
            drop(store);
            for file in after_kill.files() {
                if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint-")) {
                    after_kill.erase(&file).expect("a file that is there");
                }
            }
            let opened = settings(&after_kill).open();
            assert!(opened.is_ok(), "after {puts} puts: {:?}", opened.err());
        }
    }
}

/// A batch over several channels was refused for the capacity of one of them although its share of the batch fitted.
#[test]
fn only_the_share_of_a_channel_counts_towards_its_capacity() {
    let disk = SimVfs::new();
    let store = settings(&disk).put_wait(Wait::NONE).open().expect("a new store");
    let (large, small) = (store.channel("large").expect("a channel"), store.channel("small").expect("a channel"));
    small.set_capacity(1, 1 << 20);
    let mut put = store.begin_put();
    put.push_to(&[&large, &small], "for both");
    put.push_to(&[&large], "for one");
    put.commit().expect("one event fits into the small channel");
    assert_eq!((large.stats().depth_events, small.stats().depth_events), (2, 1));
    let mut put = store.begin_put();
    (0..2).for_each(|_| put.push_to(&[&large, &small], "for both"));
    let error = put.commit().expect_err("two events never fit");
    assert!(matches!(error, aqueduct::PutError::TooLarge { max: 1, .. }), "{error}");
}

/// A take whose commit found no room in the first directory failed for ever, although another one had room.
#[test]
fn an_acknowledgement_goes_to_another_directory_when_one_has_no_room() {
    let disk = SimVfs::new();
    let store = two_lanes(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..10 {
        channel.put(vec![b'x'; 3000]).expect("a put");
    }
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).path("/one/*").sticky());
    let mut refused = 0;
    while let take = channel.take(1, Wait::NONE).expect("a take")
        && !take.is_empty()
    {
        refused += usize::from(take.commit().is_err());
        assert!(refused <= 1, "the next commit goes where there is room");
    }
    assert_eq!(channel.stats().depth_events, 0);
}

struct Panics;

impl std::task::Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the test");
    }
}

/// A task whose waker panicked left its directory without anyone who writes.
#[test]
fn a_waker_that_panics_harms_nobody_else() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let waker = std::task::Waker::from(Arc::new(Panics));
    let mut context = std::task::Context::from_waker(&waker);
    let mut ready = std::pin::pin!(channel.ready());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    channel.put("first").expect("a put that wakes the task");
    channel.put("second").expect("a put after it");
    assert_eq!(channel.take(10, Wait::NONE).expect("a take").len(), 2);
}

/// A take that left events behind woke a task while it still held the place where the channel reads.
#[test]
fn a_waker_may_take_from_the_channel_that_woke_it() {
    let disk = SimVfs::new();
    let builder = settings(&disk).tail_cache_bytes(0).transaction_bytes_max(100);
    let store = builder.open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..2 {
        channel.put(vec![1; 100]).expect("a put");
    }
    let gate = Gate::new();
    disk.inject(Inject::pause(&gate).on(OpKind::Read));
    let taker = std::thread::spawn({
        let channel = channel.clone();
        move || channel.take(10, Wait::NONE).expect("a take").len()
    });
    gate.wait_for(1);
    // Both events are claimed now, and only one fits.
    let (count, counts) = std::sync::mpsc::channel();
    let waker = std::task::Waker::from(Arc::new(Takes(channel.clone(), count)));
    let mut context = std::task::Context::from_waker(&waker);
    let mut ready = std::pin::pin!(channel.ready());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    gate.open();
    let rest = counts.recv_timeout(Duration::from_secs(60)).expect("the waker comes back");
    assert_eq!((rest, taker.join().expect("the taker")), (1, 1));
}

struct Takes(FileChannel, std::sync::mpsc::Sender<usize>);

impl std::task::Wake for Takes {
    fn wake(self: Arc<Self>) {
        let take = self.0.take(10, Wait::NONE).expect("a take");
        self.1.send(take.len()).expect("the test");
    }
}

/// In a store without a thread of its own, a transaction that was polled, or whose ticket was dropped, while another thread
/// wrote stayed unwritten: that thread asked for somebody to write it, and there was nobody.
#[test]
fn without_a_thread_whoever_writes_goes_on_with_what_nobody_else_would_write() {
    for is_dropped in [false, true] {
        let disk = SimVfs::new();
        let store = settings(&disk).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        let gate = Gate::new();
        disk.inject(Inject::pause(&gate).on(OpKind::SyncData));
        let writer = std::thread::spawn({
            let channel = channel.clone();
            move || channel.put("first").expect("a put")
        });
        gate.wait_for(1);
        let mut put = channel.begin_put();
        put.push("second");
        let mut ticket = Some(Box::pin(put.submit().expect("a ticket")));
        let (sender, woken) = std::sync::mpsc::channel();
        let waker = std::task::Waker::from(Arc::new(Tells(sender)));
        if is_dropped {
            ticket = None;
        } else if let Some(ticket) = &mut ticket {
            assert!(ticket.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        }
        gate.open();
        writer.join().expect("no panic");
        assert_eq!(channel.stats().depth_events, 2, "is_dropped: {is_dropped}");
        if let Some(mut ticket) = ticket {
            woken.try_recv().expect("the task is woken");
            assert!(ticket.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_ready());
        }
    }
}

struct Tells(std::sync::mpsc::Sender<()>);

impl std::task::Wake for Tells {
    fn wake(self: Arc<Self>) {
        self.0.send(()).expect("the test");
    }
}

/// A transaction whose ticket was neither waited for nor dropped stayed unwritten until someone else wrote.
#[test]
fn a_submitted_transaction_is_written_without_anyone_who_waits_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::open(dir.path()).expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let mut put = channel.begin_put();
    put.push("event");
    let ticket = put.submit().expect("room");
    assert_eq!(channel.take(1, Wait::FOREVER).expect("a take").len(), 1);
    ticket.wait().expect("committed before");
}

/// The same, where there was so much other work that the store's thread never came to look: it forgot that there was one.
#[test]
fn a_submitted_transaction_is_written_beside_other_work() {
    let dir = tempfile::tempdir().expect("a directory");
    let durability = Durability::Interval(Duration::from_millis(5));
    let store = FileStore::builder(dir.path()).durability(durability).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..10 {
        channel.put("first").expect("a put");
        let mut put = channel.begin_put();
        put.push("second");
        let ticket = put.submit().expect("room");
        for expected in ["first", "second"] {
            let take = channel.take(1, Wait::up_to(Duration::from_secs(60))).expect("a take");
            assert_eq!(take.iter().map(aqueduct::Event::body).collect::<Vec<_>>(), [expected]);
            take.commit().expect("its commit");
        }
        ticket.wait().expect("committed before");
    }
}

/// An interval that no clock reaches ended the lane at its first commit.
#[test]
fn an_interval_may_be_as_long_as_it_likes() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::builder(dir.path()).durability(Durability::Interval(Duration::MAX)).open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..3 {
        channel.put("event").expect("a put");
    }
    store.close().expect("a close");
}

fn newest_segment(disk: &SimVfs, dir: &str) -> std::path::PathBuf {
    let of_dir = |path: &std::path::PathBuf| path.starts_with(dir) && path.extension().is_some_and(|ext| ext == "seg");
    let mut files = disk.files().into_iter().filter(of_dir);
    // Those that were only prepared hold nothing behind their header.
    let begun =
        |path: &std::path::PathBuf| disk.peek(path).expect("a file").get(512..516) == Some(b"\xA9Qf1".as_slice());
    files.rfind(begun).expect("a segment")
}

fn salvaging(disk: &SimVfs) -> FileStoreBuilder {
    settings(disk).on_corruption(OnCorruption::Salvage)
}

fn bodies(channel: &FileChannel) -> Vec<Vec<u8>> {
    channel.take(1000, Wait::NONE).expect("a take").iter().map(|event| event.body().to_vec()).collect()
}

/// Opening with `OnCorruption::Salvage` counted the events of a missing segment as waiting, at each open again.
#[test]
fn the_events_of_a_missing_segment_are_lost_once() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for number in 0..12 {
        channel.put(vec![number; 1000]).expect("a put");
    }
    let disk = disk.snapshot();
    disk.erase("/store/data/0000000001.seg").expect("the first segment");
    let store = salvaging(&disk).open().expect("an open without it");
    let report = store.recovery_report();
    let [damage] = &report.lanes[0].damage[..] else { panic!("{:?}", report.lanes) };
    let lost = damage.events.expect("sequence numbers tell");
    assert!(lost > 0 && damage.path.ends_with("0000000001.seg"), "{damage:?}");
    assert_eq!(report.lost, [("channel".to_owned(), lost)]);
    let left = 12 - lost;
    let said = store.channel("channel").expect("a channel").stats();
    assert_eq!((said.depth_events, said.depth_bytes, said.lost_events), (left, left * 1000, lost));
    let disk = disk.snapshot();
    drop(store);
    for settings in [salvaging(&disk), settings(&disk)] {
        let store = settings.open().expect("a store without contradictions");
        assert!(store.recovery_report().lanes[0].damage.is_empty() && store.recovery_report().lost.is_empty());
        let channel = store.channel("channel").expect("a channel");
        assert_eq!(channel.stats().depth_events, left);
        assert_eq!(bodies(&channel).len() as u64, left);
        assert_eq!(channel.stats().lost_events, 0);
    }
}

/// What a take had passed over as damaged came back to the depth, and was lost again, at each open; its bytes never left it.
#[test]
fn what_a_take_passed_over_is_lost_once() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for number in 0..5 {
        channel.put(vec![number; 700]).expect("a put");
    }
    store.close().expect("a close");
    let disk = disk.snapshot();
    // In the second of them.
    let first = disk.peek("/store/data/0000000001.seg").expect("a segment");
    let place = first.windows(700).position(|bytes| bytes == [1; 700]).expect("its body");
    disk.flip_bit("/store/data/0000000001.seg", place as u64 * 8).expect("a bit");
    let store = salvaging(&disk).open().expect("an open that reads nothing of it");
    let channel = store.channel("channel").expect("a channel");
    assert_eq!(bodies(&channel).len(), 4);
    // Its claim is found empty by whoever asks for the fifth, if it was not found before.
    assert_eq!(channel.take(10, Wait::NONE).expect("a take").len(), 4);
    let said = channel.stats();
    assert_eq!((said.depth_events, said.depth_bytes, said.lost_events), (4, 4 * 700, 1));
    let disk = disk.snapshot();
    drop((store, channel));
    for settings in [salvaging(&disk), settings(&disk)] {
        let store = settings.open().expect("an open");
        let channel = store.channel("channel").expect("a channel");
        assert_eq!((channel.stats().depth_events, channel.stats().depth_bytes), (4, 4 * 700));
        assert_eq!(bodies(&channel).len(), 4);
        assert_eq!(channel.stats().lost_events, 0);
        assert_eq!(store.stats().lanes[0].damaged_bytes, 0);
    }
}

/// If the first record of the newest segment was damaged, all others in it were thrown away with it.
#[test]
fn records_behind_a_damaged_begin_are_salvaged() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for number in 0..9 {
        channel.put(vec![number; 500]).expect("a put");
    }
    let disk = disk.snapshot();
    let newest = newest_segment(&disk, "/store");
    disk.flip_bit(&newest, 520 * 8).expect("a bit of its begin");
    let refused = settings(&disk).open().expect_err("damage to what was durable");
    let store = salvaging(&disk).open().expect("an open");
    assert_eq!(bodies(&store.channel("channel").expect("a channel")).len(), 9);
    // What is told to be damaged is the begin, up to the record behind it.
    let begin = 512;
    let segment = disk.peek(&newest).expect("the segment");
    let next = segment.windows(4).skip(begin + 1).position(|bytes| bytes == b"\xA9Qf1").expect("a record") + 1;
    let OpenError::Corrupt(told) = refused else { panic!("{refused}") };
    for report in [&*told, store.recovery_report()] {
        let damage = &report.lanes[0].damage[0];
        assert_eq!((&damage.path, damage.offset, damage.bytes), (&newest, begin as u64, next as u64));
    }
}

/// What was put after a close was thrown away with the damaged first record of its segment: the last checkpoint said that nothing
/// would follow.
#[test]
fn records_behind_a_damaged_begin_are_salvaged_after_a_close() {
    let disk = SimVfs::new();
    let put = |numbers: std::ops::Range<u8>| {
        let store = settings(&disk).segment_bytes(64 << 10).open().expect("a store");
        let channel = store.channel("channel").expect("a channel");
        for number in numbers {
            channel.put(vec![number; 100]).expect("a put");
        }
        (store, channel)
    };
    let (store, channel) = put(0..3);
    store.close().expect("a close");
    drop((store, channel));
    let _open = put(3..6);
    let disk = disk.snapshot();
    disk.flip_bit(newest_segment(&disk, "/store"), 520 * 8).expect("a bit of its begin");
    settings(&disk).open().expect_err("damage to what was durable");
    let store = salvaging(&disk).open().expect("an open");
    assert!(!store.recovery_report().lanes[0].clean);
    assert_eq!(bodies(&store.channel("channel").expect("a channel")).len(), 6);
}

/// The segment before a damaged begin was read beyond its end, where records are left that an open after a crash has written again or
/// has not taken. They counted as lost, or came instead of those behind, and what was put next got their numbers and was gone.
#[test]
fn what_is_left_behind_the_end_of_a_segment_is_not_salvaged() {
    let put = |channel: &FileChannel, numbers: std::ops::Range<u8>| {
        for number in numbers {
            let events = (0..3).map(|_| Event::new(vec![number; 20])).collect();
            channel.put_batch(PutBatch::new(events)).expect("a put");
        }
    };
    let numbers = |channel: &FileChannel| bodies(channel).iter().map(|body| body[0]).collect::<Vec<u8>>();
    let crashes = (0..6).map(|lost| CrashChoice::new(CrashMode::Journaled, Survive::AllBut(lost)));
    for crash in std::iter::once(CrashChoice::new(CrashMode::Kill, Survive::All)).chain(crashes) {
        let weak = |disk: &SimVfs| settings(disk).segment_bytes(64 << 10).durability(Durability::Os);
        let disk = SimVfs::new();
        let store = weak(&disk).open().expect("a new store");
        put(&store.channel("channel").expect("a channel"), 0..6);
        let disk = disk.crash(&crash);
        drop(store);
        let store = settings(&disk).segment_bytes(64 << 10).open().expect("an open after a crash");
        let channel = store.channel("channel").expect("a channel");
        put(&channel, 10..12);
        let expected = numbers(&channel);
        let disk = disk.snapshot();
        disk.flip_bit(newest_segment(&disk, "/store"), 520 * 8).expect("a bit of its begin");
        let store = salvaging(&disk).open().expect("an open");
        let channel = store.channel("channel").expect("a channel");
        assert_eq!(numbers(&channel), expected, "{crash:?}");
        assert_eq!(channel.stats().lost_events, 0, "{crash:?}");
        put(&channel, 20..24);
        let disk = disk.crash(&CrashChoice::new(CrashMode::Kill, Survive::All));
        drop((store, channel));
        let store = settings(&disk).open().expect("an open after a kill");
        let all = [expected, (20..24).flat_map(|number| [number; 3]).collect()].concat();
        assert_eq!(numbers(&store.channel("channel").expect("a channel")), all, "{crash:?}");
    }
}

/// Behind damage the state that the next segment begins with was not looked at: acknowledged events came back, positions
/// fell back, and what was lost was not counted.
#[test]
fn what_later_segments_repeat_is_not_lost_with_the_record() {
    let disk = SimVfs::new();
    // Without syncs nothing but the last frames says that the first segment was durable, so it is read again.
    let store = settings(&disk).durability(Durability::Os).take_durability(Durability::Os).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    channel.put("taken").expect("a put");
    let mut take = channel.take(1, Wait::NONE).expect("a take");
    take.set_position("owner", "here");
    take.commit().expect("its commit");
    for number in 0..3 {
        channel.put(vec![number; 1500]).expect("a put");
    }
    let mut put = channel.begin_put();
    put.push("synced");
    put.set_durability(Durability::Sync);
    put.commit().expect("a put");
    channel.put("last").expect("a put that knows of the sync");
    let disk = disk.snapshot();
    let first = disk.peek("/store/data/0000000001.seg").expect("a segment");
    let place = first.windows(9).position(|bytes| bytes == b"ownerhere").expect("the acknowledgement");
    disk.flip_bit("/store/data/0000000001.seg", place as u64 * 8).expect("a bit");
    let store = salvaging(&disk).open().expect("an open");
    let channel = store.channel("channel").expect("a channel");
    assert_eq!(channel.position("owner").as_deref(), Some(&b"here"[..]));
    assert!(!bodies(&channel).contains(&b"taken".to_vec()));
    assert_eq!(bodies(&channel).len(), 5);
}

/// A file with the last possible number as its name made the open panic.
#[test]
fn a_segment_with_the_last_number_is_refused_and_can_be_salvaged() {
    let disk = SimVfs::new();
    drop(settings(&disk).open().expect("a new store"));
    let disk = disk.snapshot();
    disk.poke("/store/data/4294967295.seg", 0, b"nothing").expect("a file");
    let error = settings(&disk).open().expect_err("a segment without a header");
    assert!(error.to_string().contains("4294967295.seg"), "{error}");
    let store = salvaging(&disk).open().expect("an open without it");
    store.channel("channel").expect("a channel").put("event").expect("a put");
    assert!(disk.peek("/store/data/4294967295.seg.damaged").is_ok(), "evidence is kept");
}

/// A log that had lost its end, in which events were taken already, gave their numbers to new events, which then counted as
/// taken.
#[test]
fn numbers_that_were_acknowledged_are_not_given_to_new_events() {
    let disk = SimVfs::new();
    let two = |disk: &SimVfs| settings(disk).data_dir("/one").data_dir("/two");
    let store = two(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..4 {
        channel.put("old").expect("a put");
    }
    // The acknowledgements are in the first directory.
    channel.take(4, Wait::NONE).expect("a take").commit().expect("its commit");
    let disk = disk.snapshot();
    drop((store, channel));
    let path = newest_segment(&disk, "/two");
    let bytes = disk.peek(&path).expect("a segment");
    let last = bytes.windows(4).rposition(|bytes| bytes == b"\xA9Qf1").expect("a frame");
    disk.poke(&path, last as u64, &[0; 200]).expect("a segment");

    let error = two(&disk).open().expect_err("durable events are gone");
    assert!(error.to_string().contains("/two/") && error.to_string().contains("acknowledged"), "{error}");
    let store = two(&disk).on_corruption(OnCorruption::Salvage).open().expect("an open");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..4 {
        channel.put("new").expect("a put");
    }
    let disk = disk.snapshot();
    drop((store, channel));
    let store = two(&disk).open().expect("an open");
    assert_eq!(bodies(&store.channel("channel").expect("a channel")), vec![b"new".to_vec(); 4]);
}

/// With an older manifest in place of the newest, the events of the channels that it did not name were out of reach, without
/// a word, and came out of the next channel that was created.
#[test]
fn an_older_manifest_does_not_hide_a_channel() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    store.channel("first").expect("a channel");
    let older = disk.save("/store/manifest").expect("a manifest");
    store.channel("second").expect("a channel").put("event").expect("a put");
    let disk = disk.snapshot();
    drop(store);
    disk.restore("/store/manifest", &older).expect("a manifest");
    let error = settings(&disk).open().expect_err("a channel without a name");
    assert!(error.to_string().contains("/store/manifest"), "{error}");
    let store = salvaging(&disk).open().expect("an open");
    assert_eq!(store.channel_names(), ["first", "channel-1"]);
    assert_eq!(bodies(&store.channel("channel-1").expect("a channel")), [b"event"]);
    assert!(bodies(&store.channel("third").expect("a channel")).is_empty());
}

/// A newest segment that had been cut short counted as one whose end was never written: durable events were gone without a
/// word.
#[test]
fn a_segment_that_was_cut_short_is_not_an_unfinished_one() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    channel.put("first").expect("a put");
    channel.put("last").expect("a put");
    let disk = disk.snapshot();
    let path = newest_segment(&disk, "/store");
    let bytes = disk.peek(&path).expect("a segment");
    let last = bytes.windows(4).position(|bytes| bytes == b"last").expect("the event");
    disk.cut(&path, last as u64).expect("a cut");
    let error = settings(&disk).open().expect_err("the file is shorter than it was");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    let store = salvaging(&disk).open().expect("an open");
    assert_eq!(store.recovery_report().lanes[0].damage[0].events, Some(1));
    assert_eq!(bodies(&store.channel("channel").expect("a channel")), [b"first"]);
}

/// Damage among the events of one channel, all of them taken, made takes of another one fail.
#[test]
fn damage_to_events_that_nobody_waits_for_is_passed_over() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let (busy, parked) = (store.channel("busy").expect("a channel"), store.channel("parked").expect("a channel"));
    parked.put("first").expect("a put");
    busy.put(vec![b'x'; 1000]).expect("a put");
    busy.take(1, Wait::NONE).expect("a take").commit().expect("its commit");
    store.close().expect("a close");
    let disk = disk.snapshot();
    let bytes = disk.peek("/store/data/0000000001.seg").expect("a segment");
    let place = bytes.windows(1000).position(|bytes| bytes == [b'x'; 1000]).expect("the event");
    // The head of its record.
    disk.flip_bit("/store/data/0000000001.seg", (place as u64 - 80) * 8).expect("a bit");
    let store = settings(&disk).open().expect("an open");
    let parked = store.channel("parked").expect("a channel");
    parked.put("second").expect("a put");
    let disk = disk.snapshot();
    drop((store, parked));
    let store = settings(&disk).open().expect("an open");
    assert_eq!(bodies(&store.channel("parked").expect("a channel")), [b"first".to_vec(), b"second".to_vec()]);
}

/// Two directories whose marks had been swapped were opened with `OnCorruption::Salvage` as if they were empty.
#[test]
fn directories_whose_marks_were_swapped_are_refused_and_left_alone() {
    let disk = SimVfs::new();
    let two = |disk: &SimVfs| settings(disk).data_dir("/one").data_dir("/two").on_corruption(OnCorruption::Salvage);
    let store = two(&disk).open().expect("a new store");
    store.channel("channel").expect("a channel").put("event").expect("a put");
    let disk = disk.snapshot();
    drop(store);
    let (one, two_mark) = (disk.save("/one/lane").expect("a mark"), disk.save("/two/lane").expect("a mark"));
    disk.restore("/one/lane", &two_mark).and_then(|()| disk.restore("/two/lane", &one)).expect("two marks");
    let before = disk.files();
    let error = two(&disk).open().expect_err("the segments are of the other directory");
    assert!(error.to_string().contains("another data directory"), "{error}");
    assert_eq!(disk.files(), before);
}

/// The write of the first transactions of a group found no room; those behind them, which did not fit into the same segment,
/// were accepted. Put again, the first came out last.
#[test]
fn puts_behind_one_that_found_no_room_are_refused_with_it() {
    let disk = SimVfs::new();
    let store = settings(&disk).put_wait(Wait::NONE).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let put = |number: u8| {
        let mut put = channel.begin_put();
        put.push(vec![number; 900]);
        put.submit().expect("a ticket")
    };
    // Three of them fit into the segment.
    let tickets: Vec<_> = (0..5).map(put).collect();
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write));
    let mut accepted = tickets.into_iter().map(|ticket| ticket.wait().is_ok());
    assert!(accepted.all(|accepted| !accepted));
    assert_eq!(channel.stats().depth_events, 0);
    for number in 0..5 {
        put(number).wait().expect("there is room again");
    }
}

/// The same, where what found no room and what was submitted behind it are in different groups.
#[test]
fn puts_that_were_on_their_way_when_one_found_no_room_are_refused_with_it() {
    let disk = SimVfs::new();
    let large = settings(&disk).segment_bytes(64 << 20).put_wait(Wait::NONE);
    let store = large.open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let put = |number: u8| {
        let mut put = channel.begin_put();
        // Two of them are too much for a group.
        put.push(vec![number; 5 << 20]);
        put.submit().expect("a ticket")
    };
    let tickets: Vec<_> = (0..3).map(put).collect();
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write));
    let mut accepted = tickets.into_iter().map(|ticket| ticket.wait().is_ok());
    assert!(accepted.all(|accepted| !accepted));
    for number in 0..3 {
        put(number).wait().expect("there is room again");
    }
    let taken = channel.take(9, Wait::NONE).expect("a take");
    assert_eq!(taken.iter().map(|event| event.body()[0]).collect::<Vec<_>>(), [0, 1, 2]);
}

/// Files of freed segments were removed, because they were to be opened by a name that they had just lost.
#[test]
fn files_of_freed_segments_are_used_again() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let round = || {
        channel.put(vec![b'x'; 3000]).expect("a put");
        channel.take(1, Wait::NONE).expect("a take").commit().expect("its commit");
        store.maintain();
    };
    (0..10).for_each(|_| round());
    let before = disk.op_count();
    (0..20).for_each(|_| round());
    let made = disk.ops_since(before).iter().filter(|op| op.kind == OpKind::Create && op.error.is_none()).count();
    assert_eq!(made, 0, "{:?}", disk.files());
}

/// A take failed with damage if the file of a segment that it only passed was freed and used again meanwhile.
#[test]
fn a_segment_that_is_used_again_while_a_take_passes_it_is_no_damage() {
    let disk = SimVfs::new();
    // Larger than what is read ahead; three of them fill a segment.
    let event = vec![b'x'; 300 << 10];
    let store = settings(&disk).segment_bytes(1 << 20).tail_cache_bytes(0).open().expect("a new store");
    let (busy, idle) = (store.channel("busy").expect("a channel"), store.channel("idle").expect("a channel"));
    idle.put("first").expect("a put");
    for _ in 0..12 {
        busy.put(event.clone()).expect("a put");
    }
    idle.put("last").expect("a put");
    idle.take(1, Wait::NONE).expect("a take").commit().expect("its commit");

    // Of each event its head is read and then its body: the eighth is the body of the fourth, the first of a segment.
    let gate = Gate::new();
    disk.inject(Inject::pause(&gate).on(OpKind::Read).path("*.seg").skip(7));
    std::thread::scope(|scope| {
        let passing = scope.spawn(|| idle.take(1, Wait::NONE).map(|take| take.len()));
        gate.wait_for(1);
        busy.take(12, Wait::NONE).expect("a take").commit().expect("its commit");
        let before = disk.op_count();
        for _ in 0..20 {
            store.maintain();
            busy.put(event.clone()).expect("a put");
        }
        let renamed = disk.ops_since(before).iter().filter(|op| op.kind == OpKind::Rename).count();
        assert!(renamed >= 4, "segments are freed and used again");
        gate.open();
        assert_eq!(passing.join().expect("no panic").expect("a take"), 1);
    });
}

/// A failed sync of a lane's directory, made for a checkpoint that anybody can do without, was followed by another one for the
/// next segment. That one succeeded, although the first may have dropped the name of a segment that was being prepared.
#[test]
fn a_directory_whose_sync_failed_is_not_synced_again() {
    let disk = SimVfs::new();
    let store = settings(&disk).replay_bytes_max(1 << 10).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..3 {
        channel.put(vec![b'x'; 700]).expect("a put");
    }
    // The first one is that of the next segment.
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncDir).skip(1));
    let begun = disk.op_count();
    store.maintain();
    let refused = (0..40).find_map(|_| channel.put(vec![b'x'; 700]).err()).expect("the lane takes no more");
    assert!(refused.to_string().contains("os error 5"), "{refused}");

    let ops = disk.ops_since(begun);
    let failed = ops.iter().position(|op| op.fault.is_some()).expect("a sync that failed");
    assert!(ops[failed - 1].path.ends_with("checkpoint-1"), "it was that of a checkpoint: {}", ops[failed - 1]);
    let again = ops[failed + 1..].iter().find(|op| op.kind == OpKind::SyncDir);
    assert!(again.is_none(), "{:?}", again.map(ToString::to_string));
    drop((store, channel));
    let store = settings(&disk.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing))).open().expect("an open");
    assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, 3);
}

/// A limit that is no channel's was told with the channel of an empty name, and a name without bytes as too long.
#[test]
fn refusals_of_a_store_name_a_channel_only_where_there_is_one() {
    let store = settings(&SimVfs::new()).open().expect("a new store");
    assert_eq!(store.channel("").expect_err("no name").to_string(), "the name of a channel is empty");
    let error = store.channel(&"n".repeat(256)).expect_err("a long name");
    assert_eq!(error.to_string(), "bytes of a channel's name of 256 is over the limit of 255");

    let owner = "o".repeat(2000);
    let mut put = store.begin_put();
    put.set_position(owner.as_str(), "x");
    let error = put.commit().expect_err("a long owner");
    assert_eq!(error.to_string(), "bytes of a position's owner of 2000 is over the limit of 1024");

    let mut put = store.channel("c").expect("a channel").begin_put();
    put.set_position(owner, "x");
    let error = put.commit().expect_err("a long owner");
    assert_eq!(error.to_string(), "bytes of a position's owner of 2000 is over the limit of 1024 of channel c");
}

/// Whoever closes second must not hear that all is well if the first time said otherwise.
#[test]
fn closing_again_says_again_what_could_not_be_made_durable() {
    for closes_channel_first in [true, false] {
        let disk = SimVfs::new();
        let store = settings(&disk).durability(Durability::Os).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        channel.put("in danger").expect("a put");
        disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData));
        let channel_closes = || channel.close().expect_err("a channel that is not durable");
        let store_closes = || store.close().expect_err("a store that is not durable");
        let mut said = vec![if closes_channel_first { channel_closes() } else { store_closes() }];
        said.extend([channel_closes(), store_closes(), store_closes(), channel_closes()]);
        assert!(said.iter().all(|error| error.to_string() == said[0].to_string()), "{said:?}");
    }
}

/// A put with a position went where that position was, although an earlier put of the same thread was on its way elsewhere: its
/// events came first, and after a kill in between the position was ahead of events that were lost.
#[test]
fn a_put_with_a_position_stays_behind_the_put_before_it() {
    let disk = SimVfs::new();
    let two_lanes = |disk: &SimVfs| settings(disk).data_dir("/one").data_dir("/two").open().expect("a store");
    let store = two_lanes(&disk);
    let channel = store.channel("channel").expect("a channel");
    let submit = |body: &'static str, position: Option<&'static str>| {
        let mut put = channel.begin_put();
        put.push(body);
        if let Some(position) = position {
            put.set_position("source", position);
        }
        put.submit().expect("a ticket")
    };
    submit("where the position is", Some("1")).wait().expect("a put");
    channel.take(1, Wait::NONE).expect("a take").commit().expect("its commit");
    // Lanes take turns: one of these is not that of the position.
    for _ in 0..4 {
        let first = submit("first", None);
        submit("second", Some("2")).wait().expect("a put");
        let after_kill = two_lanes(&disk.snapshot());
        for store in [&store, &after_kill] {
            let take = store.channel("channel").expect("a channel").take(9, Wait::NONE).expect("a take");
            assert_eq!(take.iter().map(|event| &event.body()[..]).collect::<Vec<_>>(), [&b"first"[..], b"second"]);
            take.commit().expect("its commit");
        }
        assert_eq!(after_kill.channel("channel").expect("a channel").position("source").as_deref(), Some(&b"2"[..]));
        first.wait().expect("a put");
    }
}

/// It went on in the other directory, with a position that was ahead of events that may be lost.
#[test]
fn a_put_with_a_position_fails_with_the_put_before_it() {
    for (has_position, is_written) in [(true, false), (false, false), (true, true), (false, true)] {
        let disk = SimVfs::new();
        let store = settings(&disk).data_dir("/one").data_dir("/two").open().expect("a store");
        let channel = store.channel("channel").expect("a channel");
        let submit = |position: Option<&'static str>| {
            let mut put = channel.begin_put();
            put.push("event");
            if let Some(position) = position {
                put.set_position("source", position);
            }
            put.submit()
        };
        let lane_of = |ticket: PutTicket| ticket.wait().expect("a put").first.map(|id| id.lane);
        // A put into a directory whose syncs fail, which is not that of the position if there is one.
        let holder = if has_position { lane_of(submit(Some("1")).expect("a ticket")) } else { None };
        let other = u16::from(holder == Some(0));
        while lane_of(submit(None).expect("a ticket")) == Some(other) {}
        disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).path(["/one/*", "/two/*"][usize::from(other)]));
        let before = submit(None).expect("a ticket");
        if is_written {
            // By somebody else, and nobody has asked for the outcome.
            store.maintain();
        }
        let put = submit(Some("2")).and_then(PutTicket::wait);
        assert!(before.wait().is_err());
        assert!(put.is_err(), "{put:?}");
        // With the failure known, the other directory goes on.
        assert_eq!(lane_of(submit(Some("2")).expect("a ticket")), Some(1 - other));
    }
}

/// The two lanes of a pipelined put with a position, or of a close and an open of a `Spillable`, both named an owner then, and
/// a position that was cleared counted for ever.
#[test]
fn cleared_positions_are_forgotten_whatever_was_on_its_way() {
    const OWNERS: usize = 1000;
    let store = || {
        let settings = settings(&SimVfs::new()).background(false);
        settings.data_dir("/one").data_dir("/two").open().expect("a store")
    };
    let owners = |round: usize, value: Option<&'static str>| {
        let mut batch = PutBatch::default();
        for number in 0..OWNERS {
            let owner = format!("{round}-{number}");
            match value {
                Some(value) => batch.set_position(owner, value),
                None => batch.clear_position(owner),
            }
        }
        batch
    };
    // A little more than what a store has room for, if all stay.
    let rounds = || 0..POSITIONS_MAX / OWNERS + 2;

    let pipelined = store();
    let channel = pipelined.channel("channel").expect("a channel");
    for round in rounds() {
        for value in [Some("1"), Some("2"), None] {
            let mut put = channel.begin_put();
            put.push("x");
            let ticket = put.submit().expect("a ticket");
            channel.put_batch(owners(round, value)).expect("positions");
            ticket.wait().expect("a put");
        }
        channel.take(9, Wait::NONE).expect("a take").commit().expect("its commit");
    }

    let reopened = store();
    let open = || Spillable::builder("orders").memory_events(9).open(&reopened).expect("a channel");
    for round in rounds() {
        for value in [Some("1"), None] {
            let channel = open();
            channel.put_batch(owners(round, value)).expect("positions");
            channel.close().expect("a close");
        }
    }
}

/// A put whose ticket nobody asks, as of an optional channel, was counted nowhere if it found no room on the disk.
#[test]
fn a_put_that_nobody_asks_for_is_counted_where_it_found_no_disk() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    disk.set_space(Some(0));
    for _ in 0..9 {
        let mut put = channel.begin_put();
        put.push(vec![b'x'; 3 << 10]);
        drop(put.submit());
        store.maintain();
    }
    let stats = channel.stats();
    assert!(stats.put_full_count > 0 && stats.put_error_count == 0, "{stats:?}");
    assert_eq!(stats.put_attempt_events, stats.put_success_events + stats.put_full_count, "{stats:?}");
}

/// A close refused what was on its way in one directory where another one had failed before.
#[test]
fn a_close_writes_what_is_on_its_way_beside_a_directory_that_failed() {
    let disk = SimVfs::new();
    let two_lanes = |disk: &SimVfs| settings(disk).durability(Durability::Os).data_dir("/one").data_dir("/two").open();
    let store = two_lanes(&disk).expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..4 {
        channel.put("before").expect("a put");
    }
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).path("/one/*"));
    channel.close().expect_err("a directory that failed");
    let channel = store.channel("channel").expect("open again");
    let mut put = channel.begin_put();
    put.push("late");
    let ticket = put.submit().expect("a ticket");
    store.close().expect_err("a directory that failed");
    ticket.wait().expect("the other directory took it");
}

/// A closed channel refuses a put of positions alone, as channels in memory do.
#[test]
fn a_closed_channel_takes_no_positions() {
    let store = settings(&SimVfs::new()).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    channel.close().expect("a close");
    let mut batch = PutBatch::default();
    batch.set_position("source", "1");
    let error = channel.put_batch(batch.clone()).expect_err("closed");
    assert!(matches!(error, PutError::Closed { .. }), "{error}");
    assert_eq!(error.into_batch().expect("the batch").positions(), batch.positions());
    assert_eq!((channel.position("source"), channel.stats().put_error_count), (None, 1));
    store.channel("channel").expect("open again").put_batch(batch).expect("a put");
    assert_eq!(channel.position("source").as_deref(), Some(&b"1"[..]));
}

/// A put that waited for room on the disk was counted anew with each try, and each as one that failed for another reason.
#[test]
fn a_put_that_waits_for_room_on_the_disk_counts_once() {
    let body = || vec![b'x'; 3 << 10];
    for wait in [Wait::NONE, Wait::up_to(Duration::from_millis(1))] {
        let disk = SimVfs::new();
        let store = settings(&disk).open().expect("a new store");
        let (channel, other) =
            (store.channel("channel").expect("a channel"), store.channel("other").expect("a channel"));
        disk.set_space(Some(0));
        let mut puts = 0;
        let full = loop {
            puts += 1;
            let mut put = channel.begin_put_with(&[&other]).expect("one store");
            put.push_to(&[0, 1], body());
            put.set_wait(wait);
            if let Err(error) = put.commit() {
                break error;
            }
        };
        assert!(matches!(full, PutError::Full { reason: FullReason::Disk, .. }), "{full}");
        for channel in [&channel, &other] {
            let stats = channel.stats();
            assert_eq!((stats.put_attempt_events, stats.put_success_events), (puts, puts - 1));
            assert_eq!((stats.put_full_count, stats.put_error_count), (1, 0));
        }
    }
}

/// A put into several channels that found one of them full was counted as a failure by those that had room.
#[test]
fn a_put_that_one_channel_has_no_room_for_is_no_failure_of_the_others() {
    let store = settings(&SimVfs::new()).put_wait(Wait::NONE).open().expect("a new store");
    let (roomy, small) = (store.channel("roomy").expect("a channel"), store.channel("small").expect("a channel"));
    small.set_capacity(1, 1000);
    small.put("the only one").expect("a put");
    let mut put = roomy.begin_put_with(&[&small]).expect("one store");
    put.push_to(&[0, 1], "x");
    assert!(put.commit().expect_err("full").is_full());
    let counts = |channel: &FileChannel| (channel.stats().put_full_count, channel.stats().put_error_count);
    assert_eq!((counts(&roomy), counts(&small)), ((0, 0), (1, 0)));
}

/// Behind a backlog, the ages of events were taken for those of events that had come before: the oldest seemed too young.
#[test]
fn the_oldest_age_counts_from_the_first_event_that_is_left() {
    let disk = SimVfs::new();
    let clock = Arc::new(StepClock::new());
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..5 {
        channel.put("backlog").expect("a put");
    }
    drop((store, channel));
    let store = settings(&disk).clock(clock.clone()).open().expect("an open");
    let channel = store.channel("channel").expect("a channel");
    let takes = |count| channel.take(count, Wait::NONE).expect("a take").commit().expect("its commit");
    let age = || channel.stats().oldest_age;
    assert_eq!(age(), None, "only of what came since");
    let second = Duration::from_secs(1);
    channel.put("1").expect("a put");
    clock.step(second);
    channel.put("2").expect("a put");
    clock.step(second / 20);
    channel.put("3, which is not noted by itself").expect("a put");
    takes(5);
    assert_eq!(age(), Some(second + second / 20));
    takes(1);
    assert_eq!(age(), Some(second / 20));
    takes(1);
    clock.step(second);
    channel.put("4").expect("a put");
    assert_eq!(age(), Some(second + second / 20), "within a tenth of a second");
    takes(1);
    assert_eq!(age(), Some(Duration::ZERO));
    takes(1);
    assert_eq!(age(), None);
}

/// Owners that two directories name, as one put had positions of both, stayed for ever once they were cleared, until there was no
/// room for others.
#[test]
fn cleared_positions_are_forgotten_in_all_directories() {
    const OWNERS: usize = 1000;
    let disk = SimVfs::new();
    let open = || settings(&disk).data_dir("/one").data_dir("/two").open().expect("a store");
    let mut store = open();
    let mut channel = store.channel("channel").expect("a channel");
    // An owner whose position is in each directory.
    let mut at: [Option<String>; 2] = [None, None];
    for number in 0.. {
        if at.iter().all(Option::is_some) {
            break;
        }
        let mut put = channel.begin_put();
        put.push("x");
        put.set_position(format!("steady-{number}"), "1");
        let lane = put.commit().expect("a put").first.expect("an event").lane;
        at[usize::from(lane)].get_or_insert(format!("steady-{number}"));
    }
    let [one, two] = at.map(|owner| owner.expect("one in each"));
    let batch = |first: &str, round: usize, value: Option<&'static str>| {
        let mut batch = PutBatch::default();
        batch.set_position(first, "1");
        for number in 0..OWNERS {
            let owner = format!("file-{round}-{number}");
            match value {
                Some(value) => batch.set_position(owner, value),
                None => batch.clear_position(owner),
            }
        }
        batch
    };
    for round in 0..POSITIONS_MAX / OWNERS + 5 {
        channel.put_batch(batch(&one, round, Some("1"))).expect("positions in the first directory");
        channel.put_batch(batch(&two, round, Some("2"))).expect("positions in the second");
        channel.put_batch(batch(&two, round, None)).expect("positions cleared in the second");
        match round % 4 {
            0 => store.maintain(),
            // A kill with all that, or half of it, still to be done.
            1 | 2 => {
                if round % 4 == 2 {
                    store.maintain();
                }
                let after_kill = disk.snapshot();
                let after_kill = settings(&after_kill).data_dir("/one").data_dir("/two").open().expect("a store");
                let files = after_kill.channel("channel").expect("a channel").positions("file-");
                assert_eq!(files, [], "cleared positions are back");
            }
            _ => {
                drop((channel, store));
                store = open();
                channel = store.channel("channel").expect("a channel");
                store.maintain();
            }
        }
        store.maintain();
    }
    // What the states name is seen from the size of what they are written into.
    store.close().expect("a close");
    for dir in ["/one", "/two"] {
        for name in disk.read_dir(Path::new(dir)).expect("a directory") {
            let name = name.to_string_lossy().into_owned();
            let len = disk.metadata(&Path::new(dir).join(&name)).expect("a file").len;
            assert!(!name.starts_with("checkpoint") || len < 10_000, "{dir}/{name} has {len} bytes");
        }
    }
}

/// Two puts in flight got past the limit, and what changed or cleared a position then was refused for what others had done.
#[test]
fn positions_over_the_limit_can_be_changed_and_cleared() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    for first in (0..POSITIONS_MAX - 1).step_by(POSITIONS_PER_TRANSACTION_MAX) {
        let mut batch = PutBatch::default();
        for number in first..(first + POSITIONS_PER_TRANSACTION_MAX).min(POSITIONS_MAX - 1) {
            batch.set_position(number.to_string(), "1");
        }
        channel.put_batch(batch).expect("positions");
    }
    let set = |owner: &str| {
        let mut put = channel.begin_put();
        put.set_position(owner, "2");
        put.submit()
    };
    let tickets = [set("a").expect("a ticket"), set("b").expect("a ticket")];
    for ticket in tickets {
        ticket.wait().expect("a position");
    }
    assert_eq!(channel.positions("").len(), POSITIONS_MAX + 1);
    assert!(matches!(set("c"), Err(PutError::TooLarge { .. })));
    set("a").expect("a ticket").wait().expect("one that is there");
    let mut put = channel.begin_put();
    put.clear_position("a");
    put.commit().expect("one less");
    assert_eq!(channel.positions("").len(), POSITIONS_MAX);
}

/// Nobody was woken.
#[test]
fn the_room_of_lost_events_wakes_who_waits_for_it() {
    let disk = SimVfs::new();
    let salvage = settings(&disk).on_corruption(OnCorruption::Salvage);
    let store = salvage.tail_cache_bytes(0).capacity_events(5).open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    channel.put_batch((0..5).map(|number| number.to_string().into()).collect::<Vec<Event>>().into()).expect("a put");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut put = channel.begin_put();
            put.push("more");
            put.set_wait(Wait::FOREVER);
            put.commit().map(|receipt| receipt.events)
        });
        // Until it waits, or is about to: both must do.
        std::thread::sleep(Duration::from_millis(20));
        disk.inject(Inject::new(Fault::Flip(40)).on(OpKind::Read).sticky());
        assert_eq!(channel.take(9, Wait::NONE).map(|take| take.len()).expect("a take"), 0);
        disk.clear_faults();
        assert_eq!(waits.join().expect("a thread").expect("there is room"), 1);
    });
    assert_eq!(channel.stats().lost_events, 5);
}

/// A sync between two clears of an owner made the second one count for ever.
#[test]
fn a_position_that_is_cleared_twice_is_forgotten() {
    const OWNERS: usize = 1000;
    let store = settings(&SimVfs::new()).segment_bytes(1 << 20).open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    for round in 0..POSITIONS_MAX / OWNERS + 2 {
        for level in [Durability::Os, Durability::Sync] {
            let mut put = channel.begin_put();
            for number in 0..OWNERS {
                put.clear_position(format!("{round}-{number}"));
            }
            put.set_durability(level);
            put.commit().expect("cleared positions");
        }
    }
    let mut put = channel.begin_put();
    put.set_position("new", "1");
    put.commit().expect("there are no others");
}

/// A sync that had begun before a clear was written into a second log, with the stamp of the clear in the first one, was taken for
/// one of that, too: all forgot the owner, and its old position came back.
#[test]
fn a_clear_in_a_second_directory_is_durable_once_it_is_synced_itself() {
    let disk = SimVfs::new();
    let two = || settings(&disk).data_dir("/one").data_dir("/two").segment_bytes(16 << 10).durability(Durability::Os);
    let store = two().open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    let lane_of = |owner: &str| {
        let mut put = channel.begin_put();
        put.push("x");
        put.set_position(owner, "1");
        put.commit().expect("a put").first.expect("an event").lane
    };
    let in_lane = |lane: u16| {
        let names = (0..).map(|number| format!("in-{lane}-{number}"));
        names.into_iter().find(|name| lane_of(name) == lane).expect("lanes take turns")
    };
    let (one, two_) = (in_lane(0), in_lane(1));
    let put = |first: &str, value: Option<&'static str>| {
        let mut batch = PutBatch::default();
        batch.set_position(first, "1");
        for number in 0..6 {
            // So large that the note of the clears needs another segment.
            let owner = format!("owner-{number}-{}", "o".repeat(900));
            match value {
                Some(value) => batch.set_position(owner, value),
                None => batch.clear_position(owner),
            }
        }
        channel.put_batch(batch).expect("positions");
    };
    put(&two_, Some("old"));
    put(&one, Some("new"));
    put(&one, None);
    store.channel("other").expect("a channel").close().expect("all is durable");
    let mut batch = PutBatch::new(vec![vec![b'x'; 7800].into()]);
    batch.set_position(&two_, "2");
    channel.put_batch(batch).expect("something to sync");
    let gate = Gate::new();
    disk.inject(Inject::pause(&gate).on(OpKind::SyncData).path("/two/*"));
    std::thread::scope(|scope| {
        let other = store.channel("other").expect("a channel");
        let flush = scope.spawn(move || other.close());
        gate.wait_for(1);
        let maintain = scope.spawn(|| store.maintain());
        // Until the note is written, and waits to be synced.
        std::thread::sleep(Duration::from_millis(100));
        disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).path("/two/*"));
        gate.open();
        let _ = flush.join().expect("a thread");
        maintain.join().expect("a thread");
    });
    store.maintain();
    let _ = store.close();
    drop((channel, store));
    let after = disk.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing));
    let store = settings(&after).data_dir("/one").data_dir("/two").open().expect("a store");
    assert_eq!(store.channel("channel").expect("a channel").positions("owner"), []);
}

/// A put that waited for room when the channel was made smaller than it waited for ever, and so did all behind it.
#[test]
fn a_put_that_can_no_longer_fit_is_refused() {
    let store = settings(&SimVfs::new()).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    channel.set_capacity(10, u64::MAX);
    channel.put("first").expect("a put");
    let waiting = std::thread::spawn({
        let channel = channel.clone();
        move || {
            let mut put = channel.begin_put();
            put.set_batch(PutBatch::new((0..10).map(|_| Event::new("large")).collect()));
            put.set_wait(Wait::FOREVER);
            put.commit()
        }
    });
    while channel.stats().put_attempt_events < 11 {
        std::thread::yield_now();
    }
    channel.set_capacity(5, u64::MAX);
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(waiting.join().expect("no panic")));
    let outcome = is_done.recv_timeout(Duration::from_secs(60)).expect("it does not wait any more");
    assert!(matches!(outcome, Err(PutError::TooLarge { actual: 10, max: 5, .. })), "{outcome:?}");
    channel.put("small").expect("a put behind it");
}
