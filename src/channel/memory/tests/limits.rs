//! Settings and limits.

use std::sync::Arc;
use std::time::Duration;

use super::{assert_conserved, drain, names, numbered};
use crate::batch::PutBatch;
use crate::channel::memory::MemoryChannelBuilder;
use crate::channel::{Channel, MemoryChannel};
use crate::clock::StepClock;
use crate::error::{PutError, StorageError, TakeError};
use crate::event::Event;
use crate::limits::{
    POSITION_BYTES_MAX, POSITION_OWNER_BYTES_MAX, POSITIONS_MAX, POSITIONS_PER_TRANSACTION_MAX, TRANSACTION_EVENTS_MAX,
};
use crate::testing::Random;
use crate::wait::Wait;

fn builder() -> MemoryChannelBuilder {
    MemoryChannel::builder("limits")
}

#[test]
fn a_mistake_in_the_settings_is_an_error_that_names_it() {
    let mistakes = [
        (builder().capacity_events(0), "setting capacity_events of channel limits is 0; it must be at least 1"),
        (builder().capacity_bytes(0), "setting capacity_bytes of channel limits is 0; it must be at least 1"),
        (
            builder().transaction_events_max(0),
            "setting transaction_events_max of channel limits is 0; it must be at least 1",
        ),
        (
            builder().transaction_bytes_max(0),
            "setting transaction_bytes_max of channel limits is 0; it must be at least 1",
        ),
        (builder().body_bytes_max(0), "setting body_bytes_max of channel limits is 0; it must be at least 1"),
        (
            builder().capacity_events(10).transaction_events_max(11),
            "setting transaction_events_max of channel limits is 11, over its capacity_events of 10; \
             no such transaction could be put",
        ),
        (MemoryChannel::builder(""), "the name of a channel has 0 bytes; it must have 1 to 255"),
        (MemoryChannel::builder("x".repeat(256)), "the name of a channel has 256 bytes; it must have 1 to 255"),
    ];
    for (builder, message) in mistakes {
        assert_eq!(builder.build().expect_err(message).to_string(), message);
    }
}

#[test]
fn the_smallest_and_the_largest_settings_work() {
    let smallest = builder().capacity_events(1).capacity_bytes(1).body_bytes_max(1).transaction_bytes_max(1);
    let channel = smallest.build().expect("settings");
    channel.put("x").expect("put");
    assert_eq!(drain(&channel), ["x"]);
    let largest = builder().capacity_events(u64::MAX).capacity_bytes(u64::MAX).transaction_events_max(usize::MAX);
    let channel = largest.transaction_bytes_max(u64::MAX).body_bytes_max(usize::MAX).build().expect("settings");
    channel.put("x").expect("put");
    assert_eq!(drain(&channel), ["x"]);
}

#[test]
fn a_transaction_over_a_limit_is_given_back_with_the_setting_named() {
    let builder = builder().capacity_events(10).capacity_bytes(1000).transaction_events_max(5);
    let channel = builder.transaction_bytes_max(100).body_bytes_max(50).build().expect("settings");
    let body = |bytes| Event::new(vec![0; bytes]);
    let cases = [
        (numbered(0..6), "transaction_events_max", 6, 5),
        (vec![body(34), body(34), body(34)], "transaction_bytes_max", 102, 100),
        (vec![body(0), body(51)], "body_bytes_max", 51, 50),
    ];
    for (index, (events, setting, is, may_be)) in cases.into_iter().enumerate() {
        match channel.put_batch(PutBatch::new(events.clone())) {
            Err(PutError::TooLarge { what, actual, max, batch, .. }) => {
                assert!(what.contains(setting), "{what}");
                assert_eq!((actual, max), (is, may_be));
                assert_eq!(batch.events(), events);
            }
            other => panic!("expected `TooLarge` for {setting}, got {other:?}"),
        }
        assert_eq!(channel.stats().put_error_count, index as u64 + 1);
    }
    channel.put_batch(PutBatch::new(vec![body(50), body(50)])).expect("at the limits");
}

#[test]
fn a_take_hands_out_no_more_than_a_transaction_may_hold() {
    let channel = builder().transaction_events_max(5).build().expect("settings");
    for start in [0, 5, 10] {
        channel.put_batch(PutBatch::new(numbered(start..start + 5))).expect("put");
    }
    assert_eq!(channel.take(usize::MAX, Wait::NONE).expect("take").len(), 5);
    assert_eq!(drain(&channel), names(0..15));
    // The default follows a smaller capacity and stays at its own otherwise.
    let small = builder().capacity_events(3).build().expect("settings");
    assert!(matches!(small.put_batch(PutBatch::new(numbered(0..4))), Err(PutError::TooLarge { max: 3, .. })));
    let large = builder().capacity_events(u64::MAX).build().expect("settings");
    assert_eq!(large.shared.settings.transaction_events_max, TRANSACTION_EVENTS_MAX);
}

#[test]
fn positions_have_limits() {
    let channel = MemoryChannel::new("limits");
    let put = |positions: Vec<(String, Vec<u8>)>| {
        let mut tx = channel.begin_put();
        tx.push("event");
        for (owner, position) in positions {
            tx.set_position(owner, position);
        }
        tx.commit()
    };
    let owner = |bytes| "o".repeat(bytes);
    let many = |count: usize| (0..count).map(|number| (number.to_string(), Vec::new())).collect::<Vec<_>>();
    put(vec![(owner(POSITION_OWNER_BYTES_MAX), vec![0; POSITION_BYTES_MAX])]).expect("at the limits");
    put(many(POSITIONS_PER_TRANSACTION_MAX)).expect("at the limit");
    for positions in [
        vec![(owner(POSITION_OWNER_BYTES_MAX + 1), Vec::new())],
        vec![(owner(1), vec![0; POSITION_BYTES_MAX + 1])],
        many(POSITIONS_PER_TRANSACTION_MAX + 1),
    ] {
        let before = channel.positions("").len();
        assert!(matches!(put(positions), Err(PutError::TooLarge { .. })));
        assert_eq!(channel.positions("").len(), before);
    }
    assert_eq!(drain(&channel).len(), 2);
}

#[test]
fn a_channel_keeps_a_limited_number_of_positions() {
    let channel = MemoryChannel::new("limits");
    for start in (0..POSITIONS_MAX).step_by(POSITIONS_PER_TRANSACTION_MAX) {
        let mut tx = channel.begin_put();
        for number in start..start + POSITIONS_PER_TRANSACTION_MAX {
            tx.set_position(number.to_string(), "");
        }
        tx.commit().expect("put of positions");
    }
    channel.put("event").expect("put");
    let mut put = channel.begin_put();
    put.set_position("one more", "");
    assert!(matches!(put.commit(), Err(PutError::TooLarge { .. })));
    let mut take = channel.take(1, Wait::NONE).expect("take");
    take.set_position("one more", "");
    let error = take.commit().expect_err("one more");
    let TakeError::NotCommitted { source: StorageError::Limit { max, .. }, .. } = error else { panic!("{error}") };
    assert_eq!(max, POSITIONS_MAX as u64);
    assert_eq!(drain(&channel), ["event"], "the event of a take that failed is not back");

    let mut change = channel.begin_put();
    change.clear_position("7");
    change.set_position("one more", "");
    change.set_position("8", "changed");
    change.commit().expect("one less and one more");
    assert_eq!(channel.positions("").len(), POSITIONS_MAX);
}

#[test]
fn a_take_with_a_position_over_a_limit_is_not_committed() {
    let channel = MemoryChannel::new("limits");
    channel.put_batch(PutBatch::new(numbered(0..5))).expect("put");
    let mut take = channel.take(4, Wait::NONE).expect("take");
    take.set_position("sink", vec![0; POSITION_BYTES_MAX + 1]);
    let error = take.commit_first(2).expect_err("too large");
    assert!(matches!(error, TakeError::NotCommitted { .. }), "{error}");
    let stats = channel.stats();
    assert_eq!((stats.take_error_count, stats.in_flight_events, stats.depth_events), (1, 0, 5));
    assert_conserved(&channel);
    assert_eq!(drain(&channel), names(0..5));
}

#[test]
fn the_oldest_age_is_that_of_the_first_event_not_yet_committed() {
    let clock = Arc::new(StepClock::new());
    let channel = builder().clock(clock.clone()).build().expect("settings");
    let second = Duration::from_secs(1);
    assert_eq!(channel.stats().oldest_age, None);
    channel.put("0").expect("put");
    clock.step(5 * second);
    channel.put_batch(PutBatch::new(numbered(1..4))).expect("put");
    clock.step(second);
    assert_eq!(channel.stats().oldest_age, Some(6 * second));
    let first = channel.take(2, Wait::NONE).expect("take");
    let rest = channel.take(2, Wait::NONE).expect("take");
    assert_eq!(channel.stats().oldest_age, Some(6 * second), "events of open takes have an age");
    first.commit_first(1).expect("commit of a part");
    assert_eq!(channel.stats().oldest_age, Some(second));
    rest.rollback();
    assert_eq!(channel.stats().oldest_age, Some(second), "a rollback made events younger");
    drain(&channel);
    assert_eq!(channel.stats().oldest_age, None);
}

#[test]
fn thousands_of_open_takes_may_end_in_any_order() {
    const EVENTS: u64 = 50_000;
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let channel = MemoryChannel::new("many");
    channel.put_batch(PutBatch::new(numbered(0..EVENTS))).expect("put");
    let mut open: Vec<_> = (0..EVENTS).map(|_| channel.take(1, Wait::NONE).expect("take")).collect();
    let mut committed = 0;
    while !open.is_empty() {
        let take = open.swap_remove(random.index(open.len()));
        if random.one_in(4) {
            take.commit().expect("commit of a take");
            committed += 1;
        } else {
            take.rollback();
        }
    }
    assert_conserved(&channel);
    let rest: Vec<u64> =
        drain(&channel).iter().map(|body| String::from_utf8_lossy(body).parse().expect("number")).collect();
    assert_eq!(rest.len() as u64, EVENTS - committed);
    assert!(rest.is_sorted());
}

#[test]
fn a_small_put_in_a_large_vector_does_not_keep_it() {
    let channel = MemoryChannel::new("vectors");
    let mut events = Vec::with_capacity(100_000);
    events.push(Event::new("x"));
    channel.put_batch(PutBatch::new(events)).expect("put");
    let take = channel.shared.state.lock().queue.take(1);
    assert!(take.events.capacity() < 10, "{}", take.events.capacity());
}

#[test]
fn a_clone_is_another_handle() {
    let channel = MemoryChannel::new("one");
    let other = channel.clone();
    channel.put("event").expect("put");
    assert_eq!(other.stats().depth_events, 1);
    assert_eq!(drain(&other), ["event"]);
    drop(channel);
    other.put("more").expect("put");
    assert_eq!(drain(&other), ["more"]);
    assert_eq!(format!("{other:?}"), "MemoryChannel { name: \"one\", .. }");
}

#[test]
fn the_debug_output_of_a_transaction_counts_its_events_and_shows_none() {
    let channel = MemoryChannel::new("one");
    let mut put = channel.begin_put();
    put.push("secret");
    put.push("secret");
    assert_eq!(format!("{put:?}"), "PutTransaction { events: 2, .. }");
    put.commit().expect("put");
    let take = channel.take(1, Wait::NONE).expect("take");
    assert_eq!(format!("{take:?}"), "TakeTransaction { events: 1, .. }");
}

#[test]
fn positions_that_a_take_forgets_are_not_committed_with_it() {
    let channel = MemoryChannel::new("one");
    channel.put("event").expect("put");
    let mut take = channel.take(1, Wait::NONE).expect("take");
    take.set_position("failed", "1");
    take.forget_positions();
    take.set_position("sink", "2");
    take.commit().expect("commit of a take");
    assert_eq!(channel.positions(""), [("sink".to_owned(), "2".into())]);
}
