mod contract;
mod divert;
mod limits;
mod overflow;
mod waiting;

use bytes::Bytes;

use super::MemoryChannel;
use crate::channel::Channel;
use crate::event::Event;
use crate::wait::Wait;

/// Takes and commits all there is.
fn drain(channel: &MemoryChannel) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    loop {
        let take = channel.take(1000, Wait::NONE).expect("take");
        if take.is_empty() {
            return bodies;
        }
        bodies.extend(take.iter().map(|event| event.body().clone()));
        take.commit().expect("commit of a take");
    }
}

/// Events with these numbers as bodies.
fn numbered(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|number| Event::new(number.to_string())).collect()
}

/// The bodies of the events with these numbers.
fn names(numbers: std::ops::Range<u64>) -> Vec<Bytes> {
    numbers.map(|number| Bytes::from(number.to_string())).collect()
}

/// Asserts that every event that was accepted is somewhere.
fn assert_conserved(channel: &MemoryChannel) {
    let stats = channel.stats();
    let accounted = stats.take_success_events + stats.dropped_oldest_events + stats.depth_events;
    assert_eq!(stats.put_success_events, accounted, "{stats:?}");
    let handed_out = stats.take_success_events + stats.rolled_back_events + stats.in_flight_events;
    assert_eq!(stats.take_attempt_events, handed_out, "{stats:?}");
}
