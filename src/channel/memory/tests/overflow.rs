//! What becomes of puts that find no room.

use super::{assert_conserved, drain, names, numbered};
use crate::batch::PutBatch;
use crate::channel::{Channel, MemoryChannel, Overflow};
use crate::error::{FullReason, PutError};
use crate::event::Event;
use crate::testing::Random;
use crate::ticket::Receipt;
use crate::wait::Wait;

fn channel(overflow: Overflow, events: u64, bytes: u64) -> MemoryChannel {
    // A wait that no test could sit out: only `Block` may use it.
    let builder = MemoryChannel::builder("overflow").put_wait(Wait::FOREVER).overflow(overflow);
    builder.capacity_events(events).capacity_bytes(bytes).build().expect("settings")
}

fn put(channel: &MemoryChannel, numbers: std::ops::Range<u64>) -> Result<Receipt, PutError> {
    channel.put_batch(PutBatch::new(numbered(numbers)))
}

#[test]
fn fail_refuses_at_once() {
    let channel = channel(Overflow::Fail, 3, 100);
    put(&channel, 0..3).expect("put");
    let error = put(&channel, 3..4).expect_err("full");
    assert!(matches!(error, PutError::Full { reason: FullReason::Events, .. }), "{error}");
    assert_eq!(drain(&channel), names(0..3));
    channel.put(vec![0; 100]).expect("put");
    let error = channel.put("x").expect_err("full");
    assert!(matches!(error, PutError::Full { reason: FullReason::Bytes, .. }), "{error}");
    assert_eq!(channel.stats().put_full_count, 2);
    assert_conserved(&channel);
}

#[test]
fn drop_newest_drops_the_whole_transaction_and_keeps_its_positions() {
    let channel = channel(Overflow::DropNewest, 3, 100);
    put(&channel, 0..2).expect("put");
    let mut tx = channel.begin_put();
    tx.set_batch(PutBatch::new(numbered(2..5)));
    tx.set_position("source", "5");
    let receipt = tx.commit().expect("a put that is dropped succeeds");
    assert_eq!(receipt, Receipt::new(None, 0, 3));
    assert_eq!(channel.position("source"), Some("5".into()));
    let receipt = put(&channel, 5..6).expect("there is room for one");
    assert_eq!((receipt.events, receipt.dropped), (1, 0));
    let stats = channel.stats();
    assert_eq!((stats.dropped_newest_events, stats.dropped_oldest_events, stats.put_full_count), (3, 0, 0));
    assert_eq!(stats.put_attempt_events, stats.put_success_events + stats.dropped_newest_events);
    assert_conserved(&channel);
    assert_eq!(drain(&channel), [names(0..2), names(5..6)].concat());
}

#[test]
fn drop_oldest_drops_no_more_than_it_must() {
    let channel = channel(Overflow::DropOldest, 10, 1000);
    put(&channel, 0..4).expect("put");
    put(&channel, 4..10).expect("put");
    let receipt = put(&channel, 10..15).expect("room is made");
    assert_eq!((receipt.events, receipt.dropped), (5, 5));
    let receipt = put(&channel, 15..16).expect("room is made");
    assert_eq!((receipt.events, receipt.dropped), (1, 1));
    assert_eq!(channel.stats().dropped_oldest_events, 6);
    assert_conserved(&channel);
    assert_eq!(drain(&channel), names(6..16));
}

#[test]
fn drop_oldest_makes_room_in_bytes() {
    let channel = channel(Overflow::DropOldest, 100, 100);
    for size in [10, 20, 70] {
        channel.put(vec![0; size]).expect("put");
    }
    assert_eq!(channel.put(vec![1; 25]).expect("room is made").dropped, 2);
    assert_eq!(channel.stats().depth_bytes, 95);
    assert_eq!(channel.put(vec![2; 100]).expect("room is made").dropped, 2);
    assert_conserved(&channel);
    assert_eq!(drain(&channel), [vec![2; 100]]);
}

#[test]
fn drop_oldest_leaves_open_takes_alone() {
    let channel = channel(Overflow::DropOldest, 10, 1000);
    put(&channel, 0..10).expect("put");
    let open = channel.take(4, Wait::NONE).expect("take");
    assert_eq!(put(&channel, 10..13).expect("room is made").dropped, 3);
    let error = put(&channel, 13..20).expect_err("six are not in flight");
    assert!(error.is_full(), "{error}");
    assert_eq!(channel.stats().dropped_oldest_events, 3, "a put that was refused dropped events");
    assert_eq!(put(&channel, 13..19).expect("room is made").dropped, 6);
    assert_conserved(&channel);
    open.rollback();
    assert_eq!(drain(&channel), [names(0..4), names(13..19)].concat());
}

#[test]
fn what_was_rolled_back_is_the_oldest() {
    let channel = channel(Overflow::DropOldest, 6, 1000);
    put(&channel, 0..6).expect("put");
    let first = channel.take(2, Wait::NONE).expect("take");
    let second = channel.take(2, Wait::NONE).expect("take");
    second.rollback();
    first.rollback();
    assert_eq!(put(&channel, 6..9).expect("room is made").dropped, 3);
    assert_eq!(drain(&channel), names(3..9));
}

#[test]
fn no_policy_takes_what_is_over_the_whole_capacity() {
    for overflow in [Overflow::Block, Overflow::Fail, Overflow::DropNewest, Overflow::DropOldest] {
        let channel = channel(overflow, 3, 100);
        put(&channel, 0..2).expect("put");
        for events in [numbered(0..4), vec![Event::new(vec![0; 101])]] {
            let error = channel.put_batch(PutBatch::new(events.clone())).expect_err("too large");
            assert!(matches!(error, PutError::TooLarge { .. }), "{error}");
            assert_eq!(error.into_batch().expect("batch").events(), events);
        }
        assert_eq!(drain(&channel), names(0..2), "{overflow:?}");
    }
}

#[test]
fn every_policy_conserves_events_through_random_steps() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    for overflow in [Overflow::Fail, Overflow::DropNewest, Overflow::DropOldest] {
        let mut random = Random::new(seed);
        let channel = channel(overflow, 40, 120);
        let mut open = Vec::new();
        let (mut next, mut refused) = (0, 0);
        for _ in 0..5000 {
            match random.below(5) {
                0 | 1 => {
                    let count = random.below(12);
                    match put(&channel, next..next + count) {
                        Ok(_) => {}
                        Err(error) => refused += error.into_batch().expect("batch").events().len() as u64,
                    }
                    next += count;
                }
                2 => open.push(channel.take(1 + random.index(10), Wait::NONE).expect("take")),
                3 if !open.is_empty() => drop(open.swap_remove(random.index(open.len()))),
                4 if !open.is_empty() => {
                    open.swap_remove(random.index(open.len())).commit_first(random.index(8)).expect("commit");
                }
                _ => {}
            }
            assert_conserved(&channel);
            let stats = channel.stats();
            assert!(stats.depth_events <= 40 && stats.depth_bytes <= 120, "{stats:?}");
            assert_eq!(next, stats.put_success_events + stats.dropped_newest_events + refused, "{stats:?}");
            let in_flight: usize = open.iter().map(|take| take.len()).sum();
            assert_eq!(stats.in_flight_events, in_flight as u64);
        }
        drop(open);
        let rest: Vec<u64> =
            drain(&channel).iter().map(|body| String::from_utf8_lossy(body).parse().expect("number")).collect();
        assert!(rest.is_sorted(), "{overflow:?}: the order is lost: {rest:?}");
        let stats = channel.stats();
        println!("{overflow:?}: {next} events, {refused} refused, {stats:?}");
        assert_eq!((stats.depth_events, stats.depth_bytes), (0, 0));
    }
}
