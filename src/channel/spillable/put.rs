//! Where a put goes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::builder::Settings;
use super::take::in_memory;
use super::{Gate, Shared};
use crate::batch::PutBatch;
use crate::channel::memory::Excess;
use crate::channel::{Channel, PutTarget};
use crate::error::{FullReason, PutError};
use crate::sync::{Mutex, thread};
use crate::ticket::{PutTicket, RawTicket, Receipt};
use crate::wait::{Deadline, Patience, Wait};

impl PutTarget for Shared {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let events = batch.events.len() as u64;
        self.put_attempt_events.fetch_add(events, Ordering::Relaxed);
        let wait = wait.unwrap_or_else(|| self.settings.put_wait.of_channel(batch.recall.as_ref()));
        let put = self.put(batch, wait);
        if let Err(error) = &put {
            self.gate.lock().count(error);
        }
        put
    }
}

/// Where a put goes.
pub(super) enum Way {
    /// There is a place for it in memory.
    Memory,
    Overflow(Spilling),
}

/// A put that is on its way to the overflow: while there is one, nothing newer goes into memory.
pub(super) struct Spilling(Arc<Mutex<Gate>>);

impl Spilling {
    fn count<T>(&self, outcome: &Result<T, PutError>) {
        if let Err(error) = outcome {
            self.0.lock().count(error);
        }
    }
}

impl Drop for Spilling {
    fn drop(&mut self) {
        self.0.lock().spilling -= 1;
    }
}

/// The ticket of a put into the overflow. The put is on its way until its outcome is fetched: on a full disk it is put again
/// then, and must not find newer events in memory.
struct SpillTicket {
    ticket: PutTicket,
    spilling: Spilling,
}

impl RawTicket<Result<Receipt, PutError>> for SpillTicket {
    fn wait(self: Box<Self>) -> Result<Receipt, PutError> {
        let Self { ticket, spilling } = *self;
        let outcome = ticket.wait();
        spilling.count(&outcome);
        outcome
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, PutError>> {
        let polled = Pin::new(&mut self.ticket).poll(cx);
        if let Poll::Ready(outcome) = &polled {
            self.spilling.count(outcome);
        }
        polled
    }
}

impl Shared {
    fn put(&self, batch: PutBatch, wait: Wait) -> Result<PutTicket, PutError> {
        let (events, bytes) = (batch.events.len() as u64, batch.size_bytes());
        if !batch.positions.is_empty()
            && let Err(source) = self.overflow.settle_own_puts()
        {
            return Err(PutError::NotCommitted { source, batch: Box::new(batch) });
        }
        if events == 0 {
            return self.put_into_memory(batch, Wait::NONE);
        }
        let limits = [
            ("transaction events (capacity of memory and overflow)", events, self.settings.capacity_events()),
            ("transaction bytes (capacity of memory and overflow)", bytes, self.settings.capacity_bytes()),
        ];
        if let Some((what, actual, max)) = limits.into_iter().find(|(_, actual, max)| actual > max) {
            let channel = self.settings.name.clone();
            return Err(PutError::TooLarge { channel, what, actual, max, batch: Box::new(batch) });
        }
        let patience = Patience::new(wait, batch.recall.clone());
        let spilling = match self.choose_way(events, bytes, &patience) {
            Some(Way::Memory) => return self.enter(batch, events, bytes),
            Some(Way::Overflow(spilling)) => spilling,
            None => return Err(PutError::Closed { channel: self.settings.name.clone(), batch: Box::new(batch) }),
        };
        if let Err(reason) = self.wait_for_memory(events, bytes, &patience) {
            let (channel, batch) = (self.settings.name.clone(), Box::new(batch));
            return Err(match reason {
                Some(reason) => PutError::Full { channel, reason, batch },
                None => PutError::Closed { channel, batch },
            });
        }
        self.spill(batch, patience.deadline(), spilling)
    }

    /// Finds a place in memory for a put, if need be after a wait; into the overflow go what does not get one and what comes behind
    /// others that went there. `None`: the channel is closed.
    pub(super) fn choose_way(&self, events: u64, bytes: u64, patience: &Patience) -> Option<Way> {
        let Settings { memory_events, memory_bytes, spill_after, .. } = self.settings;
        let mut until = None;
        let mut place = None;
        let mut gate = self.gate.lock();
        let way = loop {
            if gate.is_closed {
                break None;
            }
            if gate.is_spilled && gate.spilling == 0 && self.overflow.is_idle() && self.saved.is_idle() {
                gate.is_spilled = false;
            }
            let fits = |taken: u64, more: u64, max: u64| taken.saturating_add(more) <= max;
            if gate.is_spilled || !fits(0, events, memory_events) || !fits(0, bytes, memory_bytes) {
                break Some(Way::Overflow(self.begin_spilling(&mut gate)));
            }
            let is_first = gate.line.front().is_none_or(|first| Some(*first) == place);
            if is_first
                && fits(gate.memory.events, events, memory_events)
                && fits(gate.memory.bytes, bytes, memory_bytes)
            {
                gate.memory.events += events;
                gate.memory.bytes += bytes;
                gate.entered_events += events;
                break Some(Way::Memory);
            }
            if place.is_none() && !spill_after.is_zero() {
                place = Some(gate.line_next);
                gate.line.extend(place);
                gate.line_next += 1;
            }
            let until = until.get_or_insert_with(|| patience.or_after(spill_after));
            if !until.wait(&self.room, &mut gate) {
                break Some(Way::Overflow(self.begin_spilling(&mut gate)));
            }
        };
        if place.is_some() {
            gate.line.retain(|waiting| Some(*waiting) != place);
            if !gate.line.is_empty() {
                self.room.notify_all();
            }
        }
        way
    }

    /// Puts into memory, where there is a place for it.
    pub(super) fn enter(&self, batch: PutBatch, events: u64, bytes: u64) -> Result<PutTicket, PutError> {
        let put = self.put_into_memory(batch, Wait::NONE);
        if put.is_err() {
            let mut gate = self.gate.lock();
            gate.entered_events -= events;
            self.left_memory(&mut gate, events, bytes);
        }
        put
    }

    fn put_into_memory(&self, batch: PutBatch, wait: Wait) -> Result<PutTicket, PutError> {
        let mut transaction = self.memory.begin_put();
        transaction.set_batch(batch);
        transaction.set_wait(wait);
        // The tickets of memory are complete.
        let receipt = transaction.commit()?;
        Ok(PutTicket::ready(Ok(Receipt { first: receipt.first.map(in_memory), ..receipt })))
    }

    pub(super) fn begin_spilling(&self, gate: &mut Gate) -> Spilling {
        if !gate.line.is_empty() && !gate.is_spilled {
            // Those who wait for a place in memory come behind this one now.
            self.room.notify_all();
        }
        gate.is_spilled = true;
        gate.spilling += 1;
        Spilling(Arc::clone(&self.gate))
    }

    /// Waits until a put could fit beside what is in memory, if the overflow were empty. The error says why it could not;
    /// none if the channel is closed.
    pub(super) fn wait_for_memory(
        &self,
        events: u64,
        bytes: u64,
        patience: &Patience,
    ) -> Result<(), Option<FullReason>> {
        let mut gate = self.gate.lock();
        loop {
            if gate.is_closed {
                return Err(None);
            }
            let (events_left, bytes_left) = self.capacity_left(&gate);
            let reason = match (events > events_left, bytes > bytes_left) {
                (false, false) => break,
                (true, _) => FullReason::Events,
                (false, true) => FullReason::Bytes,
            };
            // Nobody wakes it when a handle that was closed commits a take of what is in the store: it looks from time to time.
            if !patience.wait_up_to(ROOM_LOOK, &self.room, &mut gate) {
                return Err(Some(reason));
            }
        }
        self.share_capacity(&gate);
        // ORDER: what got a place in memory before this began to spill is there. Taken first, and given back, this would be
        // behind it.
        // One that fails there gives its place back.
        while self.memory.put_events() < gate.entered_events && !gate.is_closed {
            drop(gate);
            thread::yield_now();
            gate = self.gate.lock();
        }
        Ok(())
    }

    /// Puts into the overflow. Positions stay in memory, and are set once the events are safe.
    pub(super) fn spill(
        &self,
        mut batch: PutBatch,
        deadline: Deadline,
        spilling: Spilling,
    ) -> Result<PutTicket, PutError> {
        let positions = std::mem::take(&mut batch.positions);
        if let Err(Excess { what, actual, max }) = self.memory.check_positions(&positions) {
            batch.positions = positions;
            let channel = self.settings.name.clone();
            return Err(PutError::TooLarge { channel, what, actual, max, batch: Box::new(batch) });
        }
        let committing = if positions.is_empty() { None } else { self.begin_commit() };
        if committing.is_none() && !positions.is_empty() {
            // The overflow would refuse it, unless the channel has been opened again meanwhile.
            batch.positions = positions;
            return Err(PutError::Closed { channel: self.settings.name.clone(), batch: Box::new(batch) });
        }
        let mut transaction = self.overflow.begin_put();
        transaction.set_batch(batch);
        transaction.set_wait(deadline.left());
        if positions.is_empty() {
            let ticket = transaction.submit()?;
            return Ok(PutTicket::pending(Box::new(SpillTicket { ticket, spilling })));
        }
        match transaction.commit() {
            Ok(receipt) => {
                self.memory.set_positions(positions);
                Ok(PutTicket::ready(Ok(receipt)))
            }
            Err(mut error) => {
                if let Some(batch) = error.batch_mut() {
                    batch.positions = positions;
                }
                Err(error)
            }
        }
    }
}

/// How often one that waits for room looks for what nobody tells it.
const ROOM_LOOK: Duration = Duration::from_millis(100);
