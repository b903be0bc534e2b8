//! The events that wait, in batches.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::event::Event;
use crate::sabotage::{Bug, planted};

/// Where the events of a take came from, to be able to put them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Sequence number of the first event; the others follow.
    pub(super) first: u64,
    pub(super) count: usize,
    pub(super) put_at: Duration,
}

/// Events that left the queue.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) events: Vec<Event>,
    pub(super) runs: Vec<Run>,
    pub(super) bytes: u64,
}

/// The waiting events, in the order of their sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Slices of takes that were rolled back, by sequence number. All of them precede `fresh`, as a take gets the front
    /// events; a map, as thousands of open takes may be rolled back in any order.
    returned: BTreeMap<u64, Slice>,
    /// Slices that were never taken, or of which only the first events were.
    fresh: VecDeque<Slice>,
    next: u64,
}

/// Neighbouring events of one put; never empty while it is in the queue.
#[derive(Debug)]
struct Slice {
    /// Sequence number of the first event; the others follow.
    first: u64,
    put_at: Duration,
    bytes: u64,
    events: VecDeque<Event>,
}

/// Below this a slice keeps the memory of the events that it has handed out.
const SHRINK_CAPACITY_MIN: usize = 256;

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    /// When the front event was put.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let front = self.returned.first_key_value().map(|(_, slice)| slice).or_else(|| self.fresh.front());
        front.map(|slice| slice.put_at)
    }

    /// Appends a batch, which is not empty. Returns the sequence number of its first event.
    pub(super) fn push(&mut self, events: Vec<Event>, bytes: u64, put_at: Duration) -> u64 {
        let first = self.next;
        self.next = self.next.saturating_add(events.len() as u64);
        self.fresh.push_back(Slice { first, put_at, bytes, events: events.into() });
        first
    }

    /// Takes up to `max` events from the front.
    pub(super) fn take(&mut self, max: usize) -> Taken {
        let mut taken = Taken::default();
        while taken.events.len() < max {
            let Some((mut slice, origin)) = self.pop_front() else { break };
            let count = slice.events.len().min(max - taken.events.len());
            taken.runs.push(Run { first: slice.first, count, put_at: slice.put_at });
            if count < slice.events.len() {
                taken.bytes += slice.split_off_front(count, &mut taken.events);
                self.push_front(slice, origin);
            } else {
                taken.bytes += slice.bytes;
                if taken.events.is_empty() {
                    // The usual case, a take of one whole put: the vector of the producer goes on to the consumer.
                    taken.events = slice.events.into();
                } else {
                    taken.events.extend(slice.events);
                }
            }
        }
        taken
    }

    /// Puts back what a take got, or the rest of it.
    pub(super) fn put_back(&mut self, events: Vec<Event>, runs: &[Run]) {
        if let [run] = runs {
            self.insert(*run, events.into());
            return;
        }
        let mut rest = events.into_iter();
        for run in runs {
            self.insert(*run, rest.by_ref().take(run.count).collect());
        }
    }

    /// Drops events from the front until they amount to `events` and `bytes`, or there are no more. Returns them, for
    /// the caller to let go of outside the lock.
    pub(super) fn drop_front(&mut self, events: u64, bytes: u64) -> Taken {
        let mut dropped = Taken::default();
        let is_enough = |dropped: &Taken| dropped.events.len() as u64 >= events && dropped.bytes >= bytes;
        while !is_enough(&dropped) {
            let Some((mut slice, origin)) = self.pop_front() else { break };
            while !is_enough(&dropped) && !slice.events.is_empty() {
                dropped.bytes += slice.split_off_front(1, &mut dropped.events);
            }
            if !slice.events.is_empty() {
                self.push_front(slice, origin);
            }
        }
        dropped
    }

    fn insert(&mut self, run: Run, events: VecDeque<Event>) {
        let bytes = events.iter().map(Event::size_bytes).sum();
        self.returned.insert(run.first, Slice { first: run.first, put_at: run.put_at, bytes, events });
    }

    fn pop_front(&mut self) -> Option<(Slice, Origin)> {
        if planted(Bug::MemoryRollbackBehind)
            && let Some(slice) = self.fresh.pop_front()
        {
            return Some((slice, Origin::Fresh));
        }
        match self.returned.pop_first() {
            Some((_, slice)) => Some((slice, Origin::Returned)),
            None => self.fresh.pop_front().map(|slice| (slice, Origin::Fresh)),
        }
    }

    fn push_front(&mut self, slice: Slice, origin: Origin) {
        match origin {
            Origin::Returned => {
                self.returned.insert(slice.first, slice);
            }
            Origin::Fresh => self.fresh.push_front(slice),
        }
    }
}

/// The part of the queue that a slice came from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Returned,
    Fresh,
}

impl Slice {
    /// Moves the first events to `out`. Returns their bytes.
    fn split_off_front(&mut self, count: usize, out: &mut Vec<Event>) -> u64 {
        let before = out.len();
        out.extend(self.events.drain(..count.min(self.events.len())));
        let bytes = out.iter().skip(before).map(Event::size_bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.first = self.first.saturating_add((out.len() - before) as u64);
        // A remainder does not keep the memory of the whole; each halving costs no more than the events taken since.
        if self.events.capacity() >= SHRINK_CAPACITY_MIN && self.events.len() < self.events.capacity() / 4 {
            self.events.shrink_to(self.events.len() * 2);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize) -> Vec<Event> {
        (0..count).map(|number| Event::new(number.to_string())).collect()
    }

    #[test]
    fn a_whole_put_is_handed_on_without_a_copy() {
        let mut queue = Queue::default();
        let put = events(100);
        let address = put.as_ptr();
        queue.push(put, 190, Duration::ZERO);
        let taken = queue.take(100);
        assert_eq!(taken.events.as_ptr(), address);
        assert_eq!(taken.bytes, 190);
        assert_eq!(taken.runs, [Run { first: 0, count: 100, put_at: Duration::ZERO }]);
    }

    #[test]
    fn a_remainder_lets_go_of_the_memory_of_the_whole() {
        let mut queue = Queue::default();
        queue.push(events(10_000), 0, Duration::ZERO);
        let taken = queue.take(9_990);
        assert_eq!(taken.events.len(), 9_990);
        assert!(queue.fresh[0].events.capacity() < SHRINK_CAPACITY_MIN);
        assert_eq!(queue.take(100).events, events(10_000)[9_990..]);
    }

    #[test]
    fn what_returns_comes_before_what_is_fresh_with_its_old_time() {
        let mut queue = Queue::default();
        queue.push(events(3), 3, Duration::from_secs(1));
        queue.push(events(3), 3, Duration::from_secs(2));
        let first = queue.take(2);
        let second = queue.take(3);
        assert_eq!(queue.oldest(), Some(Duration::from_secs(2)));
        queue.put_back(second.events, &second.runs);
        queue.put_back(first.events, &first.runs);
        assert_eq!(queue.oldest(), Some(Duration::from_secs(1)));
        let all = queue.take(100);
        assert_eq!(all.bytes, 6);
        let firsts: Vec<_> = all.runs.iter().map(|run| (run.first, run.count)).collect();
        assert_eq!(firsts, [(0, 2), (2, 1), (3, 2), (5, 1)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn events_are_dropped_one_by_one_until_it_is_enough() {
        let mut queue = Queue::default();
        queue.push(vec![Event::new("aaaa"), Event::new("bb"), Event::new("c")], 7, Duration::ZERO);
        queue.push(vec![Event::new("d")], 1, Duration::ZERO);
        assert!(queue.drop_front(0, 0).events.is_empty());
        assert_eq!(queue.drop_front(1, 0).bytes, 4);
        assert_eq!(queue.drop_front(0, 3).events, [Event::new("bb"), Event::new("c")]);
        assert_eq!(queue.drop_front(7, 7).events, [Event::new("d")]);
        assert!(queue.is_empty());
    }
}
