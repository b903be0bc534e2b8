//! A channel in memory: fast, and gone with the process.

mod backoff;
mod builder;
mod positions;
mod queue;
mod rest;
mod state;
mod take;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use self::backoff::Backoff;
use self::builder::Settings;
use self::queue::Taken;
use self::state::{Putter, Size, State};
use self::take::OpenTake;
use super::overflow::Overflow;
use super::{Channel, Lease, Leases, PutTarget, PutTransaction, TakeTransaction};
use crate::batch::PutBatch;
use crate::error::{FullReason, PutError, StorageError, TakeError};
use crate::event::{Event, EventId};
use crate::sabotage::{Bug, planted};
use crate::stats::ChannelStats;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::ticket::{PutTicket, Receipt};
use crate::wait::{Patience, Recall, Wait, wake_all};

pub use builder::{MemoryChannelBuilder, MemoryChannelError};
pub(super) use positions::Excess;

/// A channel that holds its events in memory. A clone is another handle to the same channel.
///
/// Puts and takes are transactions as in any channel, and cost a short lock each, whatever the number of events. Nothing
/// survives the process: neither events nor positions. A channel is bounded in events and in bytes; events of open takes
/// count until their take is committed. Puts that wait for room are served in the order in which they came, so that small
/// ones do not starve a large one. Tickets are complete when they are handed out.
///
/// Counters: every event that a caller tries to put is in `put_success_events`, in `dropped_newest_events`, in
/// `diverted_events`, or was given back with an error; and `put_success_events = take_success_events + dropped_oldest_events + depth_events`.
///
/// ```
/// use aqueduct::{Channel, MemoryChannel, Wait};
///
/// let channel = MemoryChannel::new("orders");
/// let mut tx = channel.begin_put();
/// tx.push("one");
/// tx.push("two");
/// tx.commit()?;
///
/// let batch = channel.take(100, Wait::NONE)?;
/// assert_eq!(batch.iter().map(|event| event.body().clone()).collect::<Vec<_>>(), ["one", "two"]);
/// batch.commit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryChannel {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    events: Condvar,
    leases: Leases,
}

impl MemoryChannel {
    /// A channel with the default settings. The name is for messages.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self::with(Settings::new(name.into()))
    }

    /// Settings for a channel of this name.
    ///
    /// ```
    /// use aqueduct::{MemoryChannel, Overflow};
    ///
    /// let channel = MemoryChannel::builder("metrics").capacity_events(10_000).overflow(Overflow::DropOldest).build()?;
    /// let mistake = MemoryChannel::builder("metrics").capacity_events(0).build();
    /// assert_eq!(
    ///     mistake.map_err(|error| error.to_string()).err().as_deref(),
    ///     Some("setting capacity_events of channel metrics is 0; it must be at least 1"),
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> MemoryChannelBuilder {
        MemoryChannelBuilder::new(name.into())
    }

    fn with(settings: Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                state: Mutex::default(),
                events: Condvar::new(),
                leases: Leases::default(),
            }),
        }
    }
}

impl Channel for MemoryChannel {
    fn name(&self) -> &str {
        &self.shared.settings.name
    }

    fn begin_put(&self) -> PutTransaction {
        PutTransaction::new(Arc::clone(&self.shared) as Arc<dyn PutTarget>)
    }

    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        self.shared.take(max, wait)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Wakers are the user's code: none is made or dropped while this is locked.
        let waker = cx.waker().clone();
        let mut state = self.shared.state.lock();
        if state.is_closed || !state.queue.is_empty() {
            return Poll::Ready(());
        }
        let surplus = if state.wakers.knows(&waker) { Vec::new() } else { state.wakers.remember(waker) };
        drop(state);
        wake_all(surplus);
        Poll::Pending
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.shared.state.lock().positions.get(owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.shared.state.lock().positions.with_prefix(prefix)
    }

    fn lease(&self, prefix: &str) -> Option<Lease> {
        self.shared.leases.take(prefix)
    }

    fn stats(&self) -> ChannelStats {
        self.shared.state.lock().stats(&self.shared.settings)
    }

    /// Refuses new transactions and wakes everyone who waits. Takes that are open may still be committed or rolled back.
    /// The events that are left go with the last handle.
    fn close(&self) -> Result<(), StorageError> {
        let mut state = self.shared.state.lock();
        state.is_closed = true;
        for putter in &state.putters {
            putter.condvar.notify_one();
        }
        let wakers = state.wakers.take();
        drop(state);
        self.shared.events.notify_all();
        wake_all(wakers);
        Ok(())
    }
}

impl fmt::Debug for MemoryChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChannel").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl PutTarget for Shared {
    fn submit(&self, mut batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        fit(&mut batch.events);
        let (size, body_max) = measure(&batch.events);
        let checked = self.check(&batch, size, body_max);
        let mut now = self.settings.clock.monotonic();
        let mut state = self.state.lock();
        state.counts.put_attempt_events += size.events;
        if state.is_closed {
            return Err(self.closed(state, batch));
        }
        if let Err(excess) = checked {
            return Err(self.too_large(state, excess, batch));
        }
        let mut full = None;
        if size.events > 0 && state.must_wait(size, &self.settings).is_some() {
            full = self.wait_for_room(&mut state, size, self.wait_of(wait, &batch), batch.recall.clone());
            now = self.settings.clock.monotonic();
            if state.is_closed {
                return Err(self.closed(state, batch));
            }
        }
        if let Err(excess) = state.positions.check_room(&batch.positions) {
            return Err(self.too_large(state, excess, batch));
        }
        let mut dropped = Taken::default();
        if let Some(reason) = full {
            match self.settings.overflow {
                Overflow::DropNewest => return Ok(drop_newest(state, batch)),
                Overflow::DropOldest => match state.drop_oldest(size, &self.settings) {
                    Some(oldest) => dropped = oldest,
                    None => return Err(self.full(state, reason, batch)),
                },
                Overflow::Divert => return self.divert(state, reason, batch),
                Overflow::Block | Overflow::Fail => return Err(self.full(state, reason, batch)),
            }
        }
        let PutBatch { events, positions, .. } = batch;
        state.positions.apply(positions);
        let first = (size.events > 0).then(|| EventId { lane: 0, seq: state.push(events, size, now) });
        self.announce(state);
        Ok(PutTicket::ready(Ok(Receipt::new(first, size.events, dropped.events.len() as u64))))
    }
}

/// Frees what a vector holds beyond its events, if it is much: a channel full of small batches in large vectors would
/// take many times its capacity.
fn fit(events: &mut Vec<Event>) {
    if events.capacity() / 2 > events.len() + 4 {
        events.shrink_to_fit();
    }
}

/// The size of some events, and the longest body among them.
fn measure(events: &[Event]) -> (Size, usize) {
    let (mut bytes, mut body_max) = (0, 0);
    for event in events {
        bytes += event.size_bytes();
        body_max = body_max.max(event.body().len());
    }
    (Size { events: events.len() as u64, bytes }, body_max)
}

fn drop_newest(mut state: MutexGuard<'_, State>, batch: PutBatch) -> PutTicket {
    let PutBatch { events, positions, .. } = batch;
    let count = events.len() as u64;
    state.counts.dropped_newest_events += count;
    state.positions.apply(positions);
    drop(state);
    PutTicket::ready(Ok(Receipt::new(None, 0, count)))
}

impl Shared {
    fn take(self: &Arc<Self>, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        let mut deadline = None;
        let mut backoff = Backoff::default();
        if planted(Bug::MemoryEmptyWhenBusy) && wait == Wait::NONE && self.state.is_locked() {
            return Ok(TakeTransaction::empty());
        }
        let mut state = self.state.lock();
        while state.queue.is_empty() || state.is_closed || max == 0 {
            if state.is_closed {
                state.counts.take_error_count += 1;
                return Err(TakeError::Closed { channel: self.settings.name.clone() });
            }
            if max == 0 {
                return Ok(TakeTransaction::empty());
            }
            let deadline = *deadline.get_or_insert_with(|| wait.deadline());
            if wait != Wait::NONE && !backoff.is_over() {
                MutexGuard::unlocked(&mut state, || backoff.pause());
                continue;
            }
            state.takers += 1;
            let in_time = deadline.wait(&self.events, &mut state);
            state.takers -= 1;
            if !in_time && state.queue.is_empty() && !state.is_closed {
                return Ok(TakeTransaction::empty());
            }
        }
        let (taken, slot) = state.open_take(max.min(self.settings.transaction_events_max));
        // One put may have enough for several takers, and wakes one.
        self.announce(state);
        let Taken { events, runs, bytes } = taken;
        let size = Size { events: events.len() as u64, bytes };
        let open = OpenTake { shared: Arc::clone(self), runs, size, slot };
        Ok(TakeTransaction::new(events, Box::new(open)))
    }

    /// Checks what can be checked without the lock.
    fn check(&self, batch: &PutBatch, size: Size, body_max: usize) -> Result<(), Excess> {
        let settings = &self.settings;
        let events_max = settings.transaction_events_max as u64;
        Excess::check("transaction events (setting capacity_events)", size.events, settings.capacity_events)?;
        Excess::check("transaction events (setting transaction_events_max)", size.events, events_max)?;
        let bytes_max = settings.transaction_bytes_max;
        Excess::check("transaction bytes (setting transaction_bytes_max)", size.bytes, bytes_max)?;
        Excess::check("transaction bytes (setting capacity_bytes)", size.bytes, settings.capacity_bytes)?;
        let body_bytes_max = settings.body_bytes_max as u64;
        Excess::check("event body bytes (setting body_bytes_max)", body_max as u64, body_bytes_max)?;
        positions::check(&batch.positions, settings.owner_bytes_max)
    }

    /// How long a put waits before the policy decides.
    fn wait_of(&self, own: Option<Wait>, batch: &PutBatch) -> Wait {
        own.unwrap_or_else(|| match self.settings.overflow {
            Overflow::Block => self.settings.put_wait.of_channel(batch.recall.as_ref()),
            Overflow::Fail => Wait::NONE.of_channel(batch.recall.as_ref()),
            Overflow::DropNewest | Overflow::DropOldest | Overflow::Divert => Wait::NONE,
        })
    }

    /// Waits until there is room and it is our turn. Returns why there is none if the wait ends before that. Also
    /// returns when the channel is closed.
    fn wait_for_room(
        &self,
        state: &mut MutexGuard<'_, State>,
        size: Size,
        wait: Wait,
        recall: Option<Recall>,
    ) -> Option<FullReason> {
        if wait == Wait::NONE {
            return state.must_wait(size, &self.settings);
        }
        let patience = Patience::new(wait, recall);
        let condvar = Arc::new(Condvar::new());
        state.putters.push_back(Putter { size, condvar: Arc::clone(&condvar) });
        let mut backoff = Backoff::default();
        loop {
            let in_time = if backoff.is_over() {
                patience.wait(&condvar, state)
            } else {
                MutexGuard::unlocked(state, || backoff.pause());
                true
            };
            let is_first = state.putters.front().is_some_and(|first| Arc::ptr_eq(&first.condvar, &condvar));
            let has_room = is_first && state.lacks(size, &self.settings).is_none();
            if in_time && !has_room && !state.is_closed {
                continue;
            }
            let reason = if has_room { None } else { state.must_wait(size, &self.settings) };
            state.putters.retain(|putter| !Arc::ptr_eq(&putter.condvar, &condvar));
            if reason.is_some() {
                // We may have stood before someone who needs less.
                state.wake_putter(&self.settings);
            }
            return reason;
        }
    }

    /// Unlocks, and wakes whoever waits for what is there now.
    fn announce(&self, mut state: MutexGuard<'_, State>) {
        state.wake_putter(&self.settings);
        if state.queue.is_empty() {
            return;
        }
        let has_taker = state.takers > 0;
        // Woken outside the lock: a waker runs code that is not ours.
        let wakers = state.wakers.take();
        drop(state);
        if has_taker {
            self.events.notify_one();
        }
        wake_all(wakers);
    }

    /// Puts a batch that found no room into the other channel.
    fn divert(
        &self,
        state: MutexGuard<'_, State>,
        reason: FullReason,
        mut batch: PutBatch,
    ) -> Result<PutTicket, PutError> {
        let Some(other) = &self.settings.divert_to else { return Err(self.full(state, reason, batch)) };
        // What another channel does takes its time, and may come back to this one.
        drop(state);
        let count = batch.events.len() as u64;
        let mut transaction = other.begin_put();
        transaction.set_batch(PutBatch::new(std::mem::take(&mut batch.events)));
        transaction.set_wait(Wait::NONE);
        match transaction.commit() {
            Ok(receipt) => {
                let mut state = self.state.lock();
                state.counts.diverted_events += count;
                // ORDER: after the events; a position must not be ahead of them.
                state.positions.apply(batch.positions);
                // What the other one dropped may have been its own old events. It passes on what it has no room for, too.
                let diverted = receipt.events + receipt.diverted;
                let receipt = Receipt { diverted, ..Receipt::new(None, 0, receipt.dropped) };
                Ok(PutTicket::ready(Ok(receipt)))
            }
            Err(error @ PutError::Indeterminate { .. }) => Err(error),
            Err(error) => {
                batch.events = error.into_batch().map(|given_back| given_back.events).unwrap_or_default();
                Err(self.full(self.state.lock(), reason, batch))
            }
        }
    }

    fn full(&self, mut state: MutexGuard<'_, State>, reason: FullReason, batch: PutBatch) -> PutError {
        state.counts.put_full_count += 1;
        PutError::Full { channel: self.settings.name.clone(), reason, batch: Box::new(batch) }
    }

    fn closed(&self, mut state: MutexGuard<'_, State>, batch: PutBatch) -> PutError {
        state.counts.put_error_count += 1;
        PutError::Closed { channel: self.settings.name.clone(), batch: Box::new(batch) }
    }

    fn too_large(&self, mut state: MutexGuard<'_, State>, excess: Excess, batch: PutBatch) -> PutError {
        state.counts.put_error_count += 1;
        // Whoever waits behind us for room that we did not use takes it.
        state.wake_putter(&self.settings);
        let Excess { what, actual, max } = excess;
        PutError::TooLarge { channel: self.settings.name.clone(), what, actual, max, batch: Box::new(batch) }
    }
}
