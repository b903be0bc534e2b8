//! The events that wait, in batches.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Event;

/// Neighbouring events of one put.
#[derive(Debug)]
struct Slice {
    /// Sequence number of the first event; the others follow.
    first: u64,
    put_at: Duration,
    bytes: u64,
    events: VecDeque<Event>,
}

/// Where the events of a take came from, to be able to put them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Sequence number of the first event; the others follow.
    pub(super) first: u64,
    pub(super) count: usize,
    pub(super) put_at: Duration,
}

/// Events that a take got.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) events: Vec<Event>,
    pub(super) runs: Vec<Run>,
    pub(super) bytes: u64,
}

/// Slices in the order of their sequence numbers. New ones come to the back; those of a take that is rolled back go
/// to where they were, which is at or near the front.
#[derive(Debug, Default)]
pub(super) struct Queue {
    slices: VecDeque<Slice>,
    next: u64,
}

/// Below this a slice keeps the memory of the events that it has handed out.
const SHRINK_CAPACITY_MIN: usize = 256;

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// When the front event was put.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.slices.front().map(|slice| slice.put_at)
    }

    /// Appends a batch, which is not empty. Returns the sequence number of its first event.
    pub(super) fn push(&mut self, events: Vec<Event>, bytes: u64, put_at: Duration) -> u64 {
        let first = self.next;
        self.next = self.next.saturating_add(events.len() as u64);
        self.slices.push_back(Slice { first, put_at, bytes, events: events.into() });
        first
    }

    /// Takes up to `max` events from the front.
    pub(super) fn take(&mut self, max: usize) -> Taken {
        let mut taken = Taken::default();
        while taken.events.len() < max {
            let Some(mut slice) = self.slices.pop_front() else { break };
            let count = slice.events.len().min(max - taken.events.len());
            taken.runs.push(Run { first: slice.first, count, put_at: slice.put_at });
            if count < slice.events.len() {
                let bytes = slice.split_off_front(count, &mut taken.events);
                taken.bytes += bytes;
                self.slices.push_front(slice);
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

    /// Puts back what a take got.
    pub(super) fn put_back(&mut self, events: Vec<Event>, runs: &[Run]) {
        if let [run] = runs {
            return self.insert(*run, events.into());
        }
        let mut rest = events.into_iter();
        for run in runs {
            self.insert(*run, rest.by_ref().take(run.count).collect());
        }
    }

    fn insert(&mut self, run: Run, events: VecDeque<Event>) {
        let bytes = events.iter().map(Event::size_bytes).sum();
        let at = self.slices.partition_point(|slice| slice.first < run.first);
        self.slices.insert(at, Slice { first: run.first, put_at: run.put_at, bytes, events });
    }

    /// Drops events from the front until they amount to `events` and `bytes`, or there are no more. Returns what was
    /// dropped, for the caller to let go of outside the lock.
    pub(super) fn drop_front(&mut self, events: u64, bytes: u64) -> Taken {
        let mut dropped = Taken::default();
        while (dropped.events.len() as u64) < events || dropped.bytes < bytes {
            let Some(slice) = self.slices.front_mut() else { break };
            dropped.bytes += slice.split_off_front(1, &mut dropped.events);
            if slice.events.is_empty() {
                self.slices.pop_front();
            }
        }
        dropped
    }
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
