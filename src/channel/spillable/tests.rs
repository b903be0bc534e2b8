use std::sync::Arc;
use std::time::Duration;

use super::put::Way;
use super::*;
use crate::batch::PutBatch;
use crate::error::{FullReason, PutError};
use crate::event::Event;
use crate::limits::{POSITION_BYTES_MAX, POSITION_OWNER_BYTES_MAX, POSITIONS_PER_TRANSACTION_MAX};
use crate::store::FileStore;
use crate::testing::Random;
use crate::testing::conformance::model::{self, ModelOptions};
use crate::testing::conformance::{ChannelFactory, ChannelSetup, FactoryError};
use crate::vfs::sim::{CrashMode, Fault, Gate, Inject, OpKind, SimVfs};
use crate::wait::Patience;

mod closing;

/// Channels on simulated disks, with a part of the capacity in memory.
struct Spilling {
    share: fn(u64) -> u64,
}

impl ChannelFactory for Spilling {
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
        let store = store(&Arc::new(SimVfs::new()))?;
        let (events, bytes) = ((self.share)(setup.capacity_events), (self.share)(setup.capacity_bytes));
        let builder = Spillable::builder(format!("spillable-{instance}"))
            .memory_events(events)
            .memory_bytes(bytes)
            .overflow_events(setup.capacity_events - events)
            .overflow_bytes(setup.capacity_bytes - bytes)
            .put_wait(setup.put_wait);
        Ok(Arc::new(builder.open(&store)?))
    }
}

mod a_third_in_memory {
    crate::channel_conformance!(super::Spilling { share: |capacity| capacity / 3 });
}

mod all_but_one_in_memory {
    crate::channel_conformance!(super::Spilling { share: |capacity| capacity - 1 });
}

mod nothing_in_memory {
    crate::channel_conformance!(super::Spilling { share: |_| 0 });
}

fn store(disk: &Arc<SimVfs>) -> Result<FileStore, crate::store::OpenError> {
    let builder = FileStore::builder("/store").vfs(disk.clone()).seed(7);
    builder.data_dir("/d1").segment_bytes(8 << 10).tail_cache_bytes(0).put_wait(Wait::NONE).open()
}

/// A channel with room for four events in memory and twenty besides.
fn open(disk: &Arc<SimVfs>) -> Spillable {
    let store = store(disk).expect("store");
    Spillable::builder("orders")
        .memory_events(4)
        .overflow_events(20)
        .put_wait(Wait::NONE)
        .open(&store)
        .expect("channel")
}

fn numbered(numbers: std::ops::Range<u64>) -> PutBatch {
    PutBatch::new(numbers.map(|number| Event::new(number.to_string())).collect())
}

fn names(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Takes and commits up to `max` events, in as many takes as it needs.
fn drain(channel: &Spillable, max: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < max {
        let take = channel.take(max - bodies.len(), Wait::NONE).expect("take");
        if take.is_empty() {
            break;
        }
        bodies.extend(take.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()));
        take.commit().expect("commit of a take");
    }
    bodies
}

fn spilled(channel: &Spillable) -> u64 {
    channel.overflow_stats().depth_events
}

#[test]
fn ten_thousand_random_steps_agree_with_the_model() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    for share in [|capacity| capacity / 3, |capacity| capacity / 10 * 9] {
        let report = model::run(&Spilling { share }, &ModelOptions::new(seed).steps(10_000));
        println!("{report:?}");
        assert!(report.full > 0 && report.too_large > 0 && report.rollbacks > 0);
    }
}

#[test]
fn once_spilled_all_follow_until_the_overflow_is_empty() {
    let channel = open(&Arc::new(SimVfs::new()));
    channel.put_batch(numbered(0..3)).expect("put");
    assert_eq!(spilled(&channel), 0);
    channel.put_batch(numbered(3..6)).expect("put");
    assert_eq!(spilled(&channel), 3);
    // There is room in memory for one, and then for four; both times something older has spilled.
    channel.put_batch(numbered(6..7)).expect("put");
    assert_eq!(drain(&channel, 3), names(0..3));
    channel.put_batch(numbered(7..8)).expect("put");
    assert_eq!(spilled(&channel), 5);
    assert_eq!(drain(&channel, 4), names(3..7));
    let last = channel.take(1, Wait::NONE).expect("take");
    channel.put_batch(numbered(8..9)).expect("put");
    assert_eq!(spilled(&channel), 2, "an event in flight has not left the overflow");
    last.commit().expect("commit of a take");
    assert_eq!(drain(&channel, 9), names(8..9));
    channel.put_batch(numbered(9..13)).expect("put");
    assert_eq!(spilled(&channel), 0, "it is empty, and memory is used again");
    assert_eq!(drain(&channel, 9), names(9..13));
}

#[test]
fn a_thousand_events_through_few_places_keep_their_order() {
    let channel = open(&Arc::new(SimVfs::new()));
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let (mut next, mut came, mut was_spilled) = (0, Vec::new(), 0);
    // Chance need not fill it.
    while channel.put_batch(numbered(next..next + 4)).is_ok() {
        next += 4;
    }
    while came.len() < 1000 {
        let count = 1 + random.below(6);
        if next < 1000 && channel.put_batch(numbered(next..next + count)).is_ok() {
            next += count;
        }
        was_spilled += u64::from(spilled(&channel) > 0);
        if random.one_in(3) {
            drop(channel.take(3, Wait::NONE).expect("take"));
        }
        came.extend(drain(&channel, random.index(8)));
    }
    assert!(was_spilled > 10 && channel.stats().put_full_count > 0, "{was_spilled} {:?}", channel.stats());
    came.extend(drain(&channel, 100));
    assert_eq!(came, names(0..next));
}

#[test]
fn what_returns_to_memory_comes_before_what_has_spilled() {
    let channel = open(&Arc::new(SimVfs::new()));
    channel.put_batch(numbered(0..4)).expect("put");
    channel.put_batch(numbered(4..8)).expect("put");
    let memory = channel.take(10, Wait::NONE).expect("take");
    let overflow = channel.take(2, Wait::NONE).expect("take");
    assert_eq!((memory.len(), overflow.len()), (4, 2));
    assert!(memory.id(0) < memory.id(1) && memory.id(0).map(|id| id.lane) != overflow.id(0).map(|id| id.lane));
    drop(overflow);
    drop(memory);
    assert_eq!(drain(&channel, 8), names(0..8));
}

#[test]
fn the_capacity_is_that_of_both() {
    let channel = open(&Arc::new(SimVfs::new()));
    // More than memory could ever hold.
    channel.put_batch(numbered(0..10)).expect("put");
    assert_eq!(spilled(&channel), 10);
    channel.put_batch(numbered(10..24)).expect("put");
    let error = channel.put("x").expect_err("full");
    assert!(matches!(error, PutError::Full { reason: FullReason::Events, .. }), "{error}");
    let error = channel.put_batch(numbered(0..25)).expect_err("over the capacity");
    assert!(matches!(error, PutError::TooLarge { actual: 25, max: 24, .. }), "{error}");
    let stats = channel.stats();
    assert_eq!((stats.depth_events, stats.capacity_events), (24, 24));
    assert_eq!((stats.put_attempt_events, stats.put_success_events), (50, 24));
    assert_eq!((stats.put_full_count, stats.put_error_count), (1, 1));
    assert_eq!(drain(&channel, 50), names(0..24));
    assert_eq!(channel.stats().take_success_events, 24);
}

/// Two puts at once were given the same room, one in memory and one in the overflow.
#[test]
fn the_room_of_a_put_on_its_way_into_memory_is_its_own() {
    let store = store(&Arc::new(SimVfs::new())).expect("a store");
    let channel = Spillable::builder("orders").memory_events(2).overflow_events(2).open(&store).expect("a channel");
    let shared = &channel.shared;
    let patience = Patience::new(Wait::NONE, None);
    let bytes = numbered(0..1).size_bytes();
    let way = shared.choose_way(1, bytes, &patience);
    assert!(matches!(way, Some(Way::Memory)), "nothing has spilled");
    assert_eq!(shared.wait_for_memory(4, bytes, &patience), Err(Some(FullReason::Events)));
    std::thread::scope(|scope| {
        let spilled = scope.spawn(|| {
            let mut put = channel.begin_put();
            put.set_batch(numbered(1..4));
            put.set_wait(Wait::NONE);
            put.commit().map(drop)
        });
        while shared.gate.lock().spilling == 0 {
            std::thread::yield_now();
        }
        assert!(matches!(shared.choose_way(1, bytes, &patience), Some(Way::Overflow(_))), "later ones follow");
        assert!(!spilled.is_finished(), "what is newer waits until it is there");
        shared.enter(numbered(0..1), 1, bytes).expect("its place").wait().expect("a put");
        spilled.join().expect("a thread").expect("there is room beside it");
    });
    assert_eq!(drain(&channel, 9), names(0..4));
    assert_eq!(shared.gate.lock().memory.events, 0);
}

/// Who spilled waited for ever for a put that had had a place in memory and was refused there.
#[test]
fn a_put_that_is_refused_in_memory_holds_nobody_up() {
    let store = store(&Arc::new(SimVfs::new())).expect("a store");
    let channel = Spillable::builder("orders").memory_events(1).overflow_events(9).open(&store).expect("a channel");
    let shared = &channel.shared;
    let mut refused = numbered(0..1);
    refused.set_position("o".repeat(POSITION_OWNER_BYTES_MAX + 1), "1");
    let bytes = refused.size_bytes();
    assert!(matches!(shared.choose_way(1, bytes, &Patience::new(Wait::NONE, None)), Some(Way::Memory)));
    std::thread::scope(|scope| {
        let spills = scope.spawn(|| channel.put_batch(numbered(1..3)).map(drop));
        while shared.gate.lock().spilling == 0 {
            std::thread::yield_now();
        }
        assert!(shared.enter(refused, 1, bytes).is_err(), "too long an owner");
        spills.join().expect("a thread").expect("there is room");
    });
    assert_eq!(drain(&channel, 9), names(1..3));
}

/// A put that waited for a place in memory got one although newer ones had spilled, and were taken and given back meanwhile.
#[test]
fn who_waits_for_a_place_in_memory_follows_what_spills() {
    let store = store(&Arc::new(SimVfs::new())).expect("a store");
    let builder = Spillable::builder("orders").memory_events(1).overflow_events(10);
    let channel = builder.spill_after(Duration::from_secs(3600)).open(&store).expect("a channel");
    channel.put_batch(numbered(0..1)).expect("a put into memory");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| channel.put_batch(numbered(1..2)).map(drop));
        while channel.shared.gate.lock().line.is_empty() {
            std::thread::yield_now();
        }
        let mut put = channel.begin_put();
        put.set_batch(numbered(2..3));
        put.set_wait(Wait::NONE);
        put.commit().expect("it spills at once");
        waits.join().expect("a thread").expect("it spills, too");
    });
    assert_eq!(spilled(&channel), 2);
    drain(&channel, 9);
    channel.put_batch(numbered(0..1)).expect("a put into memory again");
    assert_eq!(spilled(&channel), 0);
}

/// Nobody woke it.
#[test]
fn a_put_that_waits_finds_the_room_that_an_earlier_handle_makes() {
    let store = store(&Arc::new(SimVfs::new())).expect("a store");
    let open = || Spillable::builder("orders").memory_events(5).overflow_events(2).open(&store).expect("a channel");
    let first = open();
    first.put_batch(numbered(0..5)).expect("a put");
    first.close().expect("a close");
    let old = open();
    let late = old.take(5, Wait::NONE).expect("a take");
    old.close().expect("a close");
    let new = open();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut put = new.begin_put();
            put.set_batch(numbered(5..12));
            put.set_wait(Wait::FOREVER);
            put.commit().map(|receipt| receipt.events)
        });
        while new.shared.gate.lock().spilling == 0 {
            std::thread::yield_now();
        }
        late.commit().expect("a late commit");
        assert_eq!(waits.join().expect("a thread").expect("there is room"), 7);
    });
}

#[test]
fn the_first_put_that_finds_no_room_may_wait_for_it_before_it_spills() {
    let store = store(&Arc::new(SimVfs::new())).expect("store");
    let patient = Spillable::builder("patient").memory_events(1).spill_after(Duration::from_secs(600));
    let patient = patient.put_wait(Wait::FOREVER).open(&store).expect("channel");
    patient.put("0").expect("put");
    std::thread::scope(|scope| {
        let put = scope.spawn(|| patient.put("1"));
        let take = patient.take(1, Wait::FOREVER).expect("take");
        take.commit().expect("commit of a take");
        put.join().expect("no panic").expect("put");
    });
    assert_eq!(patient.overflow_stats().put_success_events, 0);
    let mut hurried = patient.begin_put();
    hurried.push("2");
    hurried.set_wait(Wait::NONE);
    hurried.commit().expect("it spills at once");
    assert_eq!(spilled(&patient), 1);
    assert_eq!(drain(&patient, 3), names(1..3));
}

#[test]
fn a_put_that_finds_no_room_in_memory_spills_at_once_however_long_it_may_wait() {
    let disk = Arc::new(SimVfs::new());
    let store = store(&disk).expect("store");
    let hour = Wait::up_to(Duration::from_secs(3600));
    let channel = Spillable::builder("orders").memory_events(1).put_wait(hour).open(&store).expect("channel");
    channel.put("1").expect("memory");
    channel.put("2").expect("it does not wait, or this test hangs");
    assert_eq!(spilled(&channel), 1);
}

#[test]
fn nothing_goes_into_memory_while_the_outcome_of_a_spilled_put_is_not_fetched() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..4)).expect("memory");
    let mut put = channel.begin_put();
    put.set_batch(numbered(4..5));
    let ticket = put.submit().expect("overflow");
    let take = channel.take(4, Wait::NONE).expect("take");
    take.commit().expect("commit");
    let take = channel.take(1, Wait::up_to(Duration::from_secs(60))).expect("take");
    assert_eq!(take[0].body(), "4");
    take.commit().expect("commit");
    // It might have to be put again.
    channel.put("5").expect("put");
    assert_eq!(spilled(&channel), 1);
    ticket.wait().expect("committed before");
    assert_eq!(drain(&channel, 10), names(5..6));
    channel.put("6").expect("put");
    assert_eq!(spilled(&channel), 0);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let store = store(&Arc::new(SimVfs::new())).expect("store");
    let told = |builder: SpillableBuilder| builder.open(&store).map(drop).unwrap_err().to_string();
    let zero = told(Spillable::builder("c").overflow_events(0));
    assert_eq!(zero, "setting overflow_events of channel c is 0; it must be at least 1");
    let reserved = told(Spillable::builder("c.saved"));
    assert!(reserved.starts_with("channel c.saved has a name that ends in `.saved`"), "{reserved}");
    let long = told(Spillable::builder("c".repeat(250)));
    assert!(long.ends_with("bytes of a spillable channel's name of 250 is over the limit of 249"), "{long}");
    assert!(told(Spillable::builder("c").overflow_bytes(0)).contains("overflow_bytes"));
    assert!(told(Spillable::builder("")).starts_with("channel : "));
}

#[test]
fn a_put_that_finds_no_room_in_bytes_says_so() {
    let store = store(&Arc::new(SimVfs::new())).expect("store");
    let builder = Spillable::builder("bytes").memory_bytes(10).overflow_bytes(10).put_wait(Wait::NONE);
    let channel = builder.open(&store).expect("channel");
    let full = |bytes: usize| match channel.put(vec![b'x'; bytes]).expect_err("full") {
        PutError::Full { reason, batch, .. } => (reason, batch.size_bytes()),
        other => panic!("{other}"),
    };
    channel.put(vec![b'm'; 10]).expect("memory");
    assert_eq!(full(11), (FullReason::Bytes, 11), "more than memory leaves");
    channel.put(vec![b'o'; 10]).expect("overflow");
    assert_eq!(full(1), (FullReason::Bytes, 1), "more than the overflow has left");
    let error = channel.put(vec![b'x'; 21]).expect_err("over the capacity");
    assert!(matches!(error, PutError::TooLarge { actual: 21, max: 20, .. }), "{error}");
    assert_eq!(channel.stats().capacity_bytes, 20);
    assert_eq!(drain(&channel, 9), ["m".repeat(10), "o".repeat(10)]);
}

#[test]
fn a_put_larger_than_the_overflow_waits_for_room_in_memory() {
    let channel = open(&Arc::new(SimVfs::new()));
    channel.put_batch(numbered(0..4)).expect("memory");
    std::thread::scope(|scope| {
        let put = scope.spawn(|| {
            let mut put = channel.begin_put();
            put.set_batch(numbered(4..28));
            put.set_wait(Wait::up_to(Duration::from_secs(600)));
            put.commit().expect("room for all")
        });
        while channel.shared.gate.lock().spilling == 0 {
            std::thread::yield_now();
        }
        // All of it has to leave: one event in memory, and there is room for 23.
        assert_eq!(drain(&channel, 3), names(0..3));
        assert_eq!(drain(&channel, 1), names(3..4));
        put.join().expect("no panic");
    });
    assert_eq!(spilled(&channel), 24);
    assert_eq!(drain(&channel, 99), names(4..28));
}

#[test]
fn a_position_over_a_limit_is_refused_wherever_the_events_are() {
    let channel = open(&Arc::new(SimVfs::new()));
    let too_large = || vec![0; POSITION_BYTES_MAX + 1];
    for (numbers, is_spilled) in [(0..4, false), (4..6, true)] {
        let mut batch = numbered(numbers.clone());
        batch.set_position("source", too_large());
        let error = channel.put_batch(batch.clone()).expect_err("too large");
        assert!(matches!(error, PutError::TooLarge { .. }), "{error}");
        let back = error.into_batch().expect("the batch");
        assert_eq!((back.events(), back.positions()), (batch.events(), batch.positions()));
        channel.put_batch(numbered(numbers)).expect("put");
        assert_eq!(spilled(&channel) > 0, is_spilled);
    }
    for numbers in [0..4, 4..6] {
        let mut take = channel.take(2, Wait::NONE).expect("take");
        take.set_position("sink", too_large());
        let error = take.commit().expect_err("too large");
        let limit = |source: &StorageError| matches!(source, StorageError::Limit { .. });
        assert!(matches!(&error, TakeError::NotCommitted { source, .. } if limit(source)), "{error}");
        let count = usize::try_from(numbers.end - numbers.start).expect("few");
        assert_eq!(drain(&channel, count), names(numbers), "the events are not back at the head");
    }
    assert_eq!(channel.positions(""), []);
}

#[test]
fn a_spilled_put_that_finds_no_room_gives_its_positions_back() {
    let channel = open(&Arc::new(SimVfs::new()));
    channel.put_batch(numbered(0..4)).expect("memory");
    channel.put_batch(numbered(4..24)).expect("overflow");
    assert_eq!(drain(&channel, 2), names(0..2));
    channel.put_batch(numbered(24..26)).expect("room that memory has left");
    let mut batch = numbered(26..27);
    batch.set_position("source", "27");
    let error = channel.put_batch(batch).expect_err("full");
    assert!(error.is_full(), "{error}");
    assert_eq!(channel.position("source"), None);
    let batch = error.into_batch().expect("the batch");
    assert_eq!(drain(&channel, 1), names(2..3));
    channel.put_batch(batch).expect("room for one");
    assert_eq!(channel.position("source"), Some("27".into()));
    assert_eq!(drain(&channel, 99), names(3..27));
}

#[test]
fn counters_begin_anew_with_each_open_although_the_store_stays_open() {
    let store = store(&Arc::new(SimVfs::new())).unwrap();
    let builder = || Spillable::builder("orders").memory_events(4).overflow_events(20).put_wait(Wait::NONE);
    for _ in 0..2 {
        let channel = builder().open(&store).unwrap();
        channel.put_batch(numbered(0..4)).unwrap();
        channel.put_batch(numbered(4..10)).unwrap();
        drop(channel.take(1, Wait::NONE).unwrap());
        assert_eq!(drain(&channel, 10), names(0..10));
        let stats = channel.stats();
        assert_eq!((stats.put_success_events, stats.take_success_events, stats.rolled_back_events), (10, 10, 1));
        channel.close().unwrap();
    }
}

#[test]
fn a_spilled_put_that_finds_no_room_on_the_disk_is_counted() {
    for has_position in [false, true] {
        let disk = Arc::new(SimVfs::new());
        let store = store(&disk).expect("store");
        let channel = Spillable::builder("orders").memory_events(0).put_wait(Wait::NONE).open(&store).expect("channel");
        disk.set_space(Some(0));
        let mut puts = 0;
        let full = loop {
            puts += 1;
            let mut put = channel.begin_put();
            put.push(vec![b'x'; 3 << 10]);
            if has_position {
                put.set_position("source", "1");
            }
            if let Err(error) = put.commit() {
                break error;
            }
        };
        assert!(matches!(full, PutError::Full { reason: FullReason::Disk, .. }), "{full}");
        let stats = channel.stats();
        assert_eq!((stats.put_attempt_events, stats.put_success_events), (puts, puts - 1));
        assert_eq!((stats.put_full_count, stats.put_error_count), (1, 0));
    }
}

#[test]
fn the_debug_output_names_the_channel_and_shows_no_event() {
    let channel = open(&Arc::new(SimVfs::new()));
    channel.put("secret").expect("put");
    assert_eq!(format!("{channel:?}"), "Spillable { name: \"orders\", .. }");
}
