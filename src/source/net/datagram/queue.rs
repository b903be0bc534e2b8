//! What is received and not committed.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::event::Event;
use crate::source::delivery::cost;

/// Events on their way from the thread that receives to the one that commits, bounded in bytes. Those under way in
/// a commit count as well.
#[derive(Debug)]
pub(super) struct Queue {
    max: usize,
    state: Mutex<State>,
    filled: Condvar,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    bytes: usize,
    peak: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self { max, state: Mutex::default(), filled: Condvar::new(), freed: Condvar::new() }
    }

    /// Bytes in use, the most there ever were, and the most there can be.
    pub(super) fn usage(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (state.bytes, state.peak, self.max)
    }

    /// Appends all of `events`, waiting for room if `waits`. Returns how many were refused instead, because there is no
    /// room or the queue is closed. A batch for which the whole queue is too small comes in when it is empty.
    pub(super) fn push(&self, events: &mut Vec<Event>, waits: bool) -> usize {
        let bytes = events.iter().map(cost).sum::<usize>();
        let mut state = self.state.lock();
        while !state.closed && state.bytes > 0 && state.bytes.saturating_add(bytes) > self.max {
            if !waits {
                return events.drain(..).count();
            }
            self.freed.wait(&mut state);
        }
        if state.closed {
            return events.drain(..).count();
        }
        state.bytes += bytes;
        state.peak = state.peak.max(state.bytes);
        state.events.extend(events.drain(..));
        drop(state);
        self.filled.notify_one();
        0
    }

    /// Up to so many events, and the bytes to [`release`](Self::release) for them; waits for the first. `None`: the queue is
    /// closed and empty.
    pub(super) fn take(&self, max: usize) -> Option<(Vec<Event>, usize)> {
        let mut state = self.state.lock();
        while state.events.is_empty() {
            if state.closed {
                return None;
            }
            self.filled.wait(&mut state);
        }
        let count = max.min(state.events.len());
        let events: Vec<_> = state.events.drain(..count).collect();
        let bytes = events.iter().map(cost).sum();
        Some((events, bytes))
    }

    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.state.lock();
        assert!(state.bytes >= bytes, "more bytes released than were taken");
        state.bytes -= bytes;
        drop(state);
        self.freed.notify_one();
    }

    /// Throws away what is there, and says how much it was.
    pub(super) fn clear(&self) -> usize {
        let mut state = self.state.lock();
        let events = std::mem::take(&mut state.events);
        state.bytes -= events.iter().map(cost).sum::<usize>();
        events.len()
    }

    /// Nothing more is pushed.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
        self.freed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize, bytes: usize) -> Vec<Event> {
        (0..count).map(|_| Event::new(vec![0; bytes])).collect()
    }

    #[test]
    fn bytes_are_bounded_until_they_are_released() {
        let one = cost(&Event::new(vec![0; 10]));
        let queue = Queue::new(3 * one);
        assert_eq!(queue.push(&mut events(3, 10), false), 0);
        assert_eq!(queue.push(&mut events(1, 10), false), 1, "full");
        let (taken, bytes) = queue.take(2).unwrap();
        assert_eq!((taken.len(), bytes), (2, 2 * one));
        assert_eq!(queue.push(&mut events(1, 10), false), 1, "what is taken counts until it is released");
        queue.release(bytes);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push(&mut events(3, 10), true));
            let (_, bytes) = queue.take(10).unwrap();
            queue.release(bytes);
            assert_eq!(waiting.join().unwrap(), 0, "waits for room");
        });
        let (taken, bytes) = queue.take(10).unwrap();
        assert_eq!(taken.len(), 3);
        queue.release(bytes);
        assert_eq!(queue.usage(), (0, 3 * one, 3 * one));
        assert_eq!(queue.push(&mut events(1, 1000), false), 0, "an empty queue takes anything");
    }

    #[test]
    fn closing_wakes_both_sides_and_keeps_what_is_there() {
        let queue = Queue::new(1);
        assert_eq!(queue.push(&mut events(2, 10), true), 0);
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| queue.push(&mut events(2, 10), true));
            queue.close();
            assert_eq!(pushing.join().unwrap(), 2);
        });
        assert_eq!(queue.take(1).map(|(events, _)| events.len()), Some(1));
        assert_eq!(queue.clear(), 1);
        assert!(queue.take(1).is_none());
    }
}
