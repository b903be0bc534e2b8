//! What the lock of a memory channel protects.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Settings;
use super::positions::PositionTable;
use super::queue::{Queue, Taken};
use crate::error::FullReason;
use crate::event::Event;
use crate::stats::ChannelStats;
use crate::sync::Condvar;
use crate::wakers::Wakers;

/// What a transaction needs room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// A put that waits for room.
#[derive(Debug)]
pub(super) struct Putter {
    pub(super) size: Size,
    pub(super) condvar: Arc<Condvar>,
}

/// A place in the list of open takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeSlot(usize);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: Queue,
    /// All events that count against the capacity.
    pub(super) depth: Size,
    /// Those of open takes.
    pub(super) in_flight: Size,
    /// Puts that wait for room, first come first served: whoever comes while others wait queues behind them, however
    /// small, so that a large batch gets its turn.
    pub(super) putters: VecDeque<Putter>,
    /// Threads that wait in `take`.
    pub(super) takers: usize,
    /// Tasks that wait for events.
    pub(super) wakers: Wakers,
    pub(super) positions: PositionTable,
    pub(super) is_closed: bool,
    /// The counters; what can be computed is left at zero.
    pub(super) counts: ChannelStats,
    // When the oldest event of each open take was put.
    open: Vec<Option<Duration>>,
    // Indices of `open` that are `None`.
    open_free: Vec<usize>,
}

impl State {
    /// What is missing for `size`, if anything.
    pub(super) fn lacks(&self, size: Size, settings: &Settings) -> Option<FullReason> {
        if self.depth.events.saturating_add(size.events) > settings.capacity_events {
            Some(FullReason::Events)
        } else if self.depth.bytes.saturating_add(size.bytes) > settings.capacity_bytes {
            Some(FullReason::Bytes)
        } else {
            None
        }
    }

    /// Why a put that comes now must wait, if it must.
    pub(super) fn must_wait(&self, size: Size, settings: &Settings) -> Option<FullReason> {
        let own = self.lacks(size, settings);
        own.or_else(|| self.putters.front().map(|first| self.lacks(first.size, settings).unwrap_or(FullReason::Events)))
    }

    /// Wakes the put that waits longest, if its turn has come.
    pub(super) fn wake_putter(&self, settings: &Settings) {
        if let Some(first) = self.putters.front()
            && self.lacks(first.size, settings).is_none()
        {
            first.condvar.notify_one();
        }
    }

    /// Appends events, for which there is room, or the policy made it. Returns the sequence number of the first.
    pub(super) fn push(&mut self, events: Vec<Event>, size: Size, now: Duration) -> u64 {
        self.depth.events += size.events;
        self.depth.bytes += size.bytes;
        self.counts.put_success_events += size.events;
        self.queue.push(events, size.bytes, now)
    }

    /// Drops the oldest events until there is room for `size`. `None`, and nothing is dropped, if open takes hold too
    /// much for that.
    pub(super) fn drop_oldest(&mut self, size: Size, settings: &Settings) -> Option<Taken> {
        let held = self.in_flight;
        if held.events.saturating_add(size.events) > settings.capacity_events
            || held.bytes.saturating_add(size.bytes) > settings.capacity_bytes
        {
            return None;
        }
        let excess_events = (self.depth.events + size.events).saturating_sub(settings.capacity_events);
        let excess_bytes = (self.depth.bytes + size.bytes).saturating_sub(settings.capacity_bytes);
        let dropped = self.queue.drop_front(excess_events, excess_bytes);
        let count = dropped.events.len() as u64;
        self.depth.events -= count;
        self.depth.bytes -= dropped.bytes;
        self.counts.dropped_oldest_events += count;
        Some(dropped)
    }

    /// Opens a take of up to `max` events, which there are.
    pub(super) fn open_take(&mut self, max: usize) -> (Taken, TakeSlot) {
        let oldest = self.queue.oldest();
        let taken = self.queue.take(max);
        let count = taken.events.len() as u64;
        self.in_flight.events += count;
        self.in_flight.bytes += taken.bytes;
        self.counts.take_attempt_events += count;
        let slot = self.open_free.pop().unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        if let Some(open) = self.open.get_mut(slot) {
            *open = oldest;
        }
        (taken, TakeSlot(slot))
    }

    /// Ends a take of `all`, of which the first `done` are gone for good and the others are returned by the caller.
    pub(super) fn end_take(&mut self, slot: TakeSlot, all: Size, done: Size) {
        if let Some(open) = self.open.get_mut(slot.0) {
            *open = None;
            self.open_free.push(slot.0);
        }
        self.in_flight.events -= all.events;
        self.in_flight.bytes -= all.bytes;
        self.depth.events -= done.events;
        self.depth.bytes -= done.bytes;
        self.counts.take_success_events += done.events;
        self.counts.rolled_back_events += all.events - done.events;
    }

    /// A snapshot.
    pub(super) fn stats(&self, settings: &Settings) -> ChannelStats {
        let oldest = self.open.iter().flatten().copied().chain(self.queue.oldest()).min();
        ChannelStats {
            depth_events: self.depth.events,
            depth_bytes: self.depth.bytes,
            in_flight_events: self.in_flight.events,
            capacity_events: settings.capacity_events,
            capacity_bytes: settings.capacity_bytes,
            oldest_age: oldest.map(|put_at| settings.clock.monotonic().saturating_sub(put_at)),
            ..self.counts.clone()
        }
    }
}
