//! Where a put goes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::take::in_memory;
use super::{Gate, Shared};
use crate::batch::PutBatch;
use crate::channel::memory::Excess;
use crate::channel::{Channel, PutTarget};
use crate::error::{FullReason, PutError};
use crate::sync::Mutex;
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
    fn put(&self, mut batch: PutBatch, wait: Wait) -> Result<PutTicket, PutError> {
        let (events, bytes) = (batch.events.len() as u64, batch.size_bytes());
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
        let fits_memory = events <= self.settings.memory_events && bytes <= self.settings.memory_bytes;
        if fits_memory && !self.is_spilled() {
            match self.put_into_memory(batch, patience.deadline().or_after(self.settings.spill_after).left()) {
                Err(PutError::Full { batch: given_back, .. }) => batch = *given_back,
                decided => return decided,
            }
        }
        let spilling = self.begin_spilling();
        if let Err(reason) = self.wait_for_memory(events, bytes, &patience) {
            let (channel, batch) = (self.settings.name.clone(), Box::new(batch));
            return Err(match reason {
                Some(reason) => PutError::Full { channel, reason, batch },
                None => PutError::Closed { channel, batch },
            });
        }
        self.spill(batch, patience.deadline(), spilling)
    }

    fn put_into_memory(&self, batch: PutBatch, wait: Wait) -> Result<PutTicket, PutError> {
        let mut transaction = self.memory.begin_put();
        transaction.set_batch(batch);
        transaction.set_wait(wait);
        // The tickets of memory are complete.
        let receipt = transaction.commit()?;
        Ok(PutTicket::ready(Ok(Receipt { first: receipt.first.map(in_memory), ..receipt })))
    }

    /// Whether new events have to follow others into the overflow.
    fn is_spilled(&self) -> bool {
        let mut gate = self.gate.lock();
        if gate.is_spilled && gate.spilling == 0 && self.overflow.is_idle() && self.saved.is_idle() {
            gate.is_spilled = false;
        }
        gate.is_spilled
    }

    pub(super) fn begin_spilling(&self) -> Spilling {
        let mut gate = self.gate.lock();
        gate.is_spilled = true;
        gate.spilling += 1;
        Spilling(Arc::clone(&self.gate))
    }

    /// Waits until a put could fit beside what is in memory, if the overflow were empty. The error says why it could not;
    /// none if the channel is closed.
    fn wait_for_memory(&self, events: u64, bytes: u64, patience: &Patience) -> Result<(), Option<FullReason>> {
        let mut gate = self.gate.lock();
        loop {
            if gate.is_closed {
                return Err(None);
            }
            let (events_left, bytes_left) = self.capacity_left();
            let reason = match (events > events_left, bytes > bytes_left) {
                (false, false) => break,
                (true, _) => FullReason::Events,
                (false, true) => FullReason::Bytes,
            };
            if !patience.wait(&self.room, &mut gate) {
                return Err(Some(reason));
            }
        }
        self.share_capacity();
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
