//! Programs on channels in memory, alone and with an overflow on disk.

#![allow(clippy::expect_used)] // an error is a failed test

use aqueduct::{Channel, MemoryChannel, Spillable, Wait};
use shuttle::thread;

use crate::world::{Hand, World, dice, join, start};

fn hand(capacity: u64) -> Hand {
    Hand::new(MemoryChannel::builder("memory").capacity_events(capacity).build().expect("a channel"))
}

/// Threads and a task wait for events while others put them.
pub(crate) fn takers() {
    let hand = hand(100);
    let takers = [
        start(&hand, |hand| hand.take_all(1)),
        start(&hand, |hand| hand.take_all(2)),
        start(&hand, |hand| hand.take_all_as_task(1)),
    ];
    let producers = [0, 1].map(|producer| {
        start(&hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::NONE));
            }
        })
    });
    join(takers.into_iter().chain(producers));
    hand.ledger.check(&*hand.channel, false);
}

/// Puts wait for room while takes make it.
pub(crate) fn room() {
    let hand = hand(1 + dice(2));
    let producers = [0, 1, 2].map(|producer| {
        start(&hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::FOREVER));
            }
        })
    });
    let takers = [3, 3].map(|count| start(&hand, move |hand| hand.take_all(count)));
    join(producers.into_iter().chain(takers));
    hand.ledger.check(&*hand.channel, false);
}

/// The channel is closed while others wait for events and for room.
pub(crate) fn closing() {
    let hand = hand(1);
    let producers = [0, 1].map(|producer| {
        start(&hand, move |hand| {
            for number in 0..2 {
                hand.put(&format!("{producer}.{number}"), Wait::FOREVER);
            }
        })
    });
    let takers = [0, 1].map(|_| start(&hand, |hand| hand.take_until_closed()));
    let channel = hand.channel.clone();
    let closer = thread::spawn(move || channel.close().expect("a close"));
    join(producers.into_iter().chain(takers).chain([closer]));
    assert_eq!(hand.channel.stats().depth_events, hand.ledger.left());
}

/// Puts and takes of a channel that goes on on disk when its memory is full.
pub(crate) fn spilling() {
    let world = World::new(|store| store);
    let builder = Spillable::builder("spilling").memory_events(1).overflow_events(1 + dice(2));
    let hand = Hand::new(builder.open(&world.store).expect("a channel"));
    let producers = [0, 1].map(|producer| {
        start(&hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::FOREVER));
            }
        })
    });
    let takers = [start(&hand, |hand| hand.take_all(2)), start(&hand, |hand| hand.take_all_as_task(2))];
    join(producers.into_iter().chain(takers));
    hand.ledger.check(&*hand.channel, false);
}
