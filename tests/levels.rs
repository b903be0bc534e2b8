//! What each level of durability promises, as docs/guarantees.md has it: each cell of its table of levels, the bounds of the weaker
//! levels, and transactions over several channels. `tests/durability` and `tests/faults` try the same at every operation of longer
//! workloads.

#![allow(clippy::expect_used, clippy::indexing_slicing)] // an error is a failed test

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aqueduct::clock::{Clock, SystemClock};
use aqueduct::store::FileStoreBuilder;
use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, OpRecord, SimVfs, Survive};
use aqueduct::{Channel, Durability, FileChannel, FileStore, PutError, Wait};

const INTERVAL: Duration = Duration::from_millis(100);
const LEVELS: [Durability; 3] = [Durability::Sync, Durability::Interval(INTERVAL), Durability::Os];
const POWER_CUTS: [CrashMode; 3] = [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage];

fn settings(disk: &SimVfs, level: Durability) -> FileStoreBuilder {
    let builder = FileStore::builder("/store").vfs(Arc::new(disk.clone())).segment_bytes(4 << 10);
    builder.background(false).seed(7).durability(level).take_durability(level)
}

/// What a store has, by a look at it.
fn found(disk: &SimVfs, channel: &str) -> Vec<u64> {
    let found = settings(disk, Durability::Sync).inspect().expect("a store");
    assert!(found.obstacles.is_empty(), "{:?}", found.obstacles);
    found.events(channel).map(|stored| number(stored.expect("an event").event.body())).collect()
}

/// The event of a number: its size makes a handful fill a segment.
fn event(number: u64) -> String {
    format!("{number} {}", "x".repeat(500))
}

fn number(body: &[u8]) -> u64 {
    let digits = body.split(|byte| *byte == b' ').next().expect("a number");
    std::str::from_utf8(digits).expect("digits").parse().expect("a number")
}

fn put(channel: &FileChannel, numbers: std::ops::Range<u64>) {
    for number in numbers {
        channel.put(event(number)).expect("a put");
    }
}

fn take(channel: &FileChannel, count: usize) {
    channel.take(count, Wait::NONE).expect("a take").commit().expect("a commit");
}

/// What is left of a disk in power cuts of every kind.
fn power_cuts(disk: &SimVfs) -> Vec<SimVfs> {
    let choices = POWER_CUTS.iter().flat_map(|mode| disk.crash_choices(*mode, 40, 1));
    choices.map(|choice| disk.crash(&choice)).collect()
}

fn killed(disk: &SimVfs) -> SimVfs {
    disk.crash(&CrashChoice::new(CrashMode::Kill, Survive::All))
}

#[test]
fn a_kill_loses_and_repeats_nothing_at_any_level() {
    for level in LEVELS {
        let disk = SimVfs::new();
        let store = settings(&disk, level).open().expect("a store");
        let channel = store.channel("a").expect("a channel");
        put(&channel, 0..30);
        take(&channel, 10);
        assert_eq!(found(&killed(&disk), "a"), (10..30).collect::<Vec<_>>(), "{level:?}");
        take(&channel, 15);
        assert_eq!(found(&killed(&disk), "a"), (25..30).collect::<Vec<_>>(), "{level:?}");
    }
}

#[test]
fn a_power_cut_takes_and_repeats_nothing_of_what_is_synced() {
    let disk = SimVfs::new();
    let store = settings(&disk, Durability::Sync).open().expect("a store");
    let channel = store.channel("a").expect("a channel");
    put(&channel, 0..30);
    take(&channel, 10);
    for cut in power_cuts(&disk) {
        assert_eq!(found(&cut, "a"), (10..30).collect::<Vec<_>>());
    }
}

/// Of each data directory, what a power cut takes is an end of what was put there.
#[test]
fn a_power_cut_takes_an_end_of_each_directory_and_never_a_middle() {
    for (level, dirs) in LEVELS.into_iter().flat_map(|level| [(level, 1), (level, 2)]) {
        let disk = SimVfs::new();
        let settings =
            |disk: &SimVfs| (0..dirs).fold(settings(disk, level), |all, dir| all.data_dir(format!("/disk{dir}")));
        let store = settings(&disk).open().expect("a store");
        let channel = store.channel("a").expect("a channel");
        let mut lanes = BTreeMap::<u16, Vec<u64>>::new();
        for number in 0..30 {
            let receipt = channel.put(event(number)).expect("a put");
            lanes.entry(receipt.first.expect("its identity").lane).or_default().push(number);
        }
        assert_eq!(lanes.len(), dirs, "{lanes:?}");
        let mut lost = 0;
        for cut in power_cuts(&disk) {
            let found = settings(&cut).inspect().expect("a store");
            assert!(found.obstacles.is_empty(), "{level:?}: {:?}", found.obstacles);
            let mut left = BTreeMap::<u16, Vec<u64>>::new();
            for stored in found.events("a").map(|stored| stored.expect("an event")) {
                left.entry(stored.id.lane).or_default().push(number(stored.event.body()));
            }
            for (lane, all) in &lanes {
                let left = left.remove(lane).unwrap_or_default();
                assert!(all.starts_with(&left), "{level:?}: {left:?} of {all:?}");
                lost += all.len() - left.len();
            }
        }
        assert_eq!(lost > 0, level != Durability::Sync, "{level:?}: {lost}");
    }
}

/// By itself, whatever else is done: the store's own thread syncs. How late it may be depends on the machine.
#[test]
fn a_power_cut_takes_no_more_than_the_commits_of_an_interval() {
    let (disk, clock) = (SimVfs::new(), SystemClock::new());
    let settings = settings(&disk, Durability::Interval(INTERVAL)).segment_bytes(1 << 20).background(true);
    let store = settings.open().expect("a store");
    let channel = store.channel("a").expect("a channel");
    let mut at_risk = 0;
    for round in 1..=5 {
        put(&channel, (round - 1) * 3..round * 3);
        let until = clock.monotonic() + INTERVAL * 100;
        let mut safe = 0;
        while safe < round * 3 {
            let cuts = power_cuts(&disk);
            assert!(clock.monotonic() < until, "{safe} of {} are safe", round * 3);
            safe = cuts.iter().map(|cut| found(cut, "a").len() as u64).min().expect("a cut");
            at_risk += round * 3 - safe;
        }
    }
    assert!(at_risk > 0, "all was synced at once");
}

/// Preparing a segment of one directory may take longer than the interval of another one.
#[test]
fn an_interval_is_synced_before_segments_are_prepared() {
    let disk = SimVfs::new();
    let settings = settings(&disk, Durability::Interval(INTERVAL)).data_dir("/disk0").data_dir("/disk1");
    let store = settings.open().expect("a store");
    put(&store.channel("a").expect("a channel"), 0..30);
    let before = disk.op_count();
    store.maintain();
    let ops = disk.ops_since(before);
    let prepared = ops.iter().position(|op| op.kind == OpKind::Create).expect("a segment is prepared");
    for dir in ["/disk0", "/disk1"] {
        let synced = |op: &OpRecord| op.kind == OpKind::SyncData && op.path.starts_with(dir);
        assert!(ops[..prepared].iter().any(synced), "{dir} waits: {ops:?}");
    }
}

#[test]
fn a_sync_that_fails_ends_the_writes_and_keeps_what_was_synced() {
    for level in LEVELS {
        let disk = SimVfs::new();
        let store = settings(&disk, level).segment_bytes(1 << 20).open().expect("a store");
        let channel = store.channel("a").expect("a channel");
        let put_synced = |number| {
            let mut put = channel.begin_put();
            put.push(event(number));
            put.set_durability(Durability::Sync);
            put.commit()
        };
        put(&channel, 0..4);
        put_synced(4).expect("a good sync");
        let at_risk = if level == Durability::Sync { 5 } else { 8 };
        put(&channel, 5..at_risk);
        disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData));
        let failed = put_synced(at_risk);
        assert!(matches!(failed, Err(PutError::Indeterminate { .. })), "{level:?}: {failed:?}");
        let refused = channel.put(event(99));
        assert!(matches!(refused, Err(PutError::NotCommitted { .. })), "{level:?}: {refused:?}");
        let mut seen = killed(&disk);
        for left in power_cuts(&disk).into_iter().chain([seen.clone()]) {
            let left = found(&left, "a");
            assert!(left.len() >= 5 && (0..=at_risk).collect::<Vec<_>>().starts_with(&left), "{level:?}: {left:?}");
        }
        // Earlier events are there for takes, and for whoever opens the store again, which takes writes then.
        let all = channel.take(100, Wait::NONE).expect("a take");
        assert_eq!(all.iter().map(|event| number(event.body())).take(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        drop((all, channel, store));
        seen.clear_faults();
        let store = settings(&seen, level).open().expect("it opens again");
        store.channel("a").expect("a channel").put(event(100)).expect("a put");
        seen = killed(&seen);
        assert_eq!(found(&seen, "a").last(), Some(&100), "{level:?}");
    }
}

#[test]
fn a_weaker_take_may_come_again_and_loses_nothing() {
    let disk = SimVfs::new();
    let store = settings(&disk, Durability::Sync).take_durability(Durability::Os).open().expect("a store");
    let channel = store.channel("a").expect("a channel");
    put(&channel, 0..20);
    (0..3).for_each(|_| take(&channel, 4));
    assert_eq!(found(&killed(&disk), "a"), (12..20).collect::<Vec<_>>());
    let mut repeated = 0;
    for cut in power_cuts(&disk) {
        let left = found(&cut, "a");
        let begin = left.first().copied().expect("what was not taken");
        assert!([0, 4, 8, 12].contains(&begin) && left == (begin..20).collect::<Vec<_>>(), "{left:?}");
        repeated += 12 - begin;
    }
    assert!(repeated > 0, "no take was lost");
}

/// Killed before every operation of such a put, and cut off from power there.
#[test]
fn a_put_for_several_channels_is_left_in_all_of_them_or_in_none() {
    for level in LEVELS {
        let mut whole = false;
        for at in 0.. {
            let disk = SimVfs::new();
            let store = settings(&disk, level).open().expect("a store");
            let channels = ["a", "b", "c"].map(|name| store.channel(name).expect("a channel"));
            let before = disk.op_count();
            disk.inject(Inject::new(Fault::KillAfter(100)).not_before(before + at));
            for number in 0..12 {
                let mut put = store.begin_put();
                put.push_to(&[&channels[0], &channels[1], &channels[2]], event(number));
                if put.commit().is_err() {
                    break;
                }
            }
            for left in power_cuts(&disk).into_iter().chain([killed(&disk)]) {
                let [a, b, c] = ["a", "b", "c"].map(|name| found(&left, name));
                assert!(a == b && b == c, "{level:?} {at}: {a:?} {b:?} {c:?}");
                whole |= a.len() == 12;
            }
            if !disk.is_killed() {
                break;
            }
        }
        assert!(whole, "{level:?}");
    }
}

/// Whoever has got an event from one of its channels finds it in the others.
#[test]
fn a_put_for_several_channels_is_seen_in_all_of_them_or_in_none() {
    const EVENTS: u64 = 2000;
    let disk = SimVfs::new();
    let store = settings(&disk, Durability::Os).segment_bytes(1 << 20).open().expect("a store");
    let channels = ["a", "b"].map(|name| store.channel(name).expect("a channel"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..EVENTS {
                let mut put = store.begin_put();
                put.push_to(&[&channels[0], &channels[1]], number.to_string());
                put.commit().expect("a put");
            }
        });
        for number in 0..EVENTS {
            // Each in turn is the one that is looked at first.
            let (first, second) = if number % 2 == 0 { (0, 1) } else { (1, 0) };
            for (channel, wait) in [(first, Wait::up_to(Duration::from_secs(30))), (second, Wait::NONE)] {
                let take = channels[channel].take(1, wait).expect("a take");
                let bodies: Vec<_> = take.iter().map(|event| event.body().to_vec()).collect();
                assert_eq!(bodies, [number.to_string().into_bytes()], "channel {channel}");
                take.commit().expect("a commit");
            }
        }
    });
}
