//! Many threads at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::super::support::{PATIENTLY, Subject, bodies_of};
use super::super::{ChannelFactory, ChannelSetup};
use crate::channel::Channel;
use crate::event::Event;
use crate::testing::Random;
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

const PRODUCERS: u64 = 4;
const CONSUMERS: u64 = 4;
const EVENTS_PER_PRODUCER: u64 = 250;

pub(in super::super) fn each_producer_keeps_its_order(factory: &dyn ChannelFactory) {
    let subject = Subject::with(factory, small());
    let mut next = BTreeMap::new();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let handle = subject.handle();
            scope.spawn(move || produce(&*handle, producer));
        }
        let mut left = PRODUCERS * EVENTS_PER_PRODUCER;
        while left > 0 {
            let take = subject.take(7, PATIENTLY).expect("take");
            assert!(!take.is_empty(), "{left} events are missing");
            for body in bodies_of(&take) {
                let (producer, number) = parse(&body);
                let expected = next.entry(producer).or_insert(0);
                assert_eq!(number, *expected, "producer {producer}");
                *expected += 1;
                left -= 1;
            }
            take.commit().expect("commit of a take");
        }
    });
    subject.assert_nothing_to_take();
}

pub(in super::super) fn nothing_is_lost_or_repeated_between_threads(factory: &dyn ChannelFactory) {
    let subject = Subject::with(factory, small());
    let left = AtomicU64::new(PRODUCERS * EVENTS_PER_PRODUCER);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let handle = subject.handle();
            scope.spawn(move || produce(&*handle, producer));
        }
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|consumer| {
                let (handle, left) = (subject.handle(), &left);
                scope.spawn(move || consume(&*handle, consumer, left))
            })
            .collect();
        for consumer in consumers {
            for body in consumer.join().expect("consumer") {
                *seen.entry(body).or_default() += 1;
            }
        }
    });
    subject.assert_nothing_to_take();
    assert_eq!(seen.len() as u64, PRODUCERS * EVENTS_PER_PRODUCER, "events are missing");
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "events were committed more than once: {twice:?}");
    let stats = subject.stats();
    assert_eq!(stats.put_success_events, PRODUCERS * EVENTS_PER_PRODUCER);
    assert_eq!(stats.take_success_events, stats.put_success_events);
    assert_eq!(stats.take_attempt_events, stats.take_success_events + stats.rolled_back_events);
    assert_eq!((stats.depth_events, stats.depth_bytes, stats.in_flight_events), (0, 0, 0));
}

/// Small enough that producers wait for consumers.
fn small() -> ChannelSetup {
    ChannelSetup { capacity_events: 64, put_wait: PATIENTLY, ..ChannelSetup::default() }
}

fn produce(channel: &dyn Channel, producer: u64) {
    let mut random = Random::new(producer);
    let mut next = 0;
    while next < EVENTS_PER_PRODUCER {
        let end = EVENTS_PER_PRODUCER.min(next + 1 + random.below(20));
        let mut tx = channel.begin_put();
        for number in next..end {
            tx.push(Event::new(format!("{producer}/{number}")));
        }
        if random.one_in(5) {
            drop(tx);
            continue;
        }
        tx.commit().expect("put");
        next = end;
    }
}

/// Takes until all producers' events are gone, and returns its own share. Rolls back every third take or so.
fn consume(channel: &dyn Channel, consumer: u64, left: &AtomicU64) -> Vec<String> {
    let mut random = Random::new(consumer);
    let mut bodies = Vec::new();
    while left.load(Ordering::Acquire) > 0 {
        let take = channel.take(1 + random.index(30), Wait::NONE).expect("take");
        if take.is_empty() {
            thread::yield_now();
            continue;
        }
        match random.below(6) {
            0 => drop(take),
            1 => take.rollback(),
            2 => {
                let count = random.index(take.len() + 1);
                let part = bodies_of(&take[..count]);
                take.commit_first(count).expect("commit of a part");
                left.fetch_sub(count as u64, Ordering::AcqRel);
                bodies.extend(part);
            }
            _ => {
                let all = bodies_of(&take);
                take.commit().expect("commit of a take");
                left.fetch_sub(all.len() as u64, Ordering::AcqRel);
                bodies.extend(all);
            }
        }
    }
    bodies
}

fn parse(body: &str) -> (u64, u64) {
    let (producer, number) = body.split_once('/').expect("producer/number");
    (producer.parse().expect("a number"), number.parse().expect("a number"))
}
