//! Where a take gets its events.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Shared;
use crate::channel::memory::Excess;
use crate::channel::{Channel, RawTake, TakeCommit, TakeTransaction};
use crate::durability::Durability;
use crate::error::{StorageError, TakeError};
use crate::event::{Event, EventId};
use crate::ticket::TakeTicket;
use crate::wait::Wait;

/// The lane of events in memory; a store has far fewer.
const MEMORY_LANE: u16 = u16::MAX;

/// The identity of an event of the memory channel among those of the store.
pub(super) fn in_memory(id: EventId) -> EventId {
    EventId { lane: MEMORY_LANE, ..id }
}

/// Where the events of a take came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Memory,
    Overflow,
    Saved,
}

impl Shared {
    pub(super) fn take(self: &Arc<Self>, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        let take = self.try_take(max)?;
        if !take.is_empty() || max == 0 || wait == Wait::NONE {
            return Ok(take);
        }
        let deadline = wait.deadline();
        let bell = self.bells.lock().pop().unwrap_or_default();
        let waker = Waker::from(bell.clone());
        let take = loop {
            // ORDER: asks to be woken before it looks. What comes in between rings.
            let polled = self.poll_ready(&mut Context::from_waker(&waker));
            let take = self.try_take(max);
            match &take {
                Ok(found) if found.is_empty() && !deadline.has_passed() => {}
                _ => break take,
            }
            if polled.is_pending() {
                bell.wait(deadline);
            }
        };
        self.bells.lock().push(bell);
        take
    }

    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Each of them wakes the task, so each has to be asked.
        let memory = self.memory.poll_ready(cx);
        let saved = self.saved.poll_ready(cx);
        let overflow = self.overflow.poll_ready(cx);
        let is_ready = memory.is_ready() || saved.is_ready() || overflow.is_ready();
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes what is there now, the oldest first: what is in memory, what was saved at the last close, what has spilled.
    fn try_take(self: &Arc<Self>, max: usize) -> Result<TakeTransaction, TakeError> {
        loop {
            let take = self.memory.take(max, Wait::NONE)?;
            if !take.is_empty() {
                return Ok(self.wrap(take, Place::Memory));
            }
            let take = self.saved.take(max, Wait::NONE)?;
            if !take.is_empty() {
                return Ok(self.wrap(take, Place::Saved));
            }
            let take = self.overflow.take(max, Wait::NONE)?;
            // Since memory was looked at, the overflow may have been emptied, memory filled, and the overflow begun again:
            // these events are then newer than those in memory, and go back.
            if take.is_empty() || !self.memory.has_events() {
                return Ok(self.wrap(take, Place::Overflow));
            }
        }
    }

    fn wrap(self: &Arc<Self>, take: TakeTransaction, place: Place) -> TakeTransaction {
        match take.into_raw() {
            None => TakeTransaction::empty(),
            Some((events, raw)) => {
                TakeTransaction::new(events, Box::new(OpenTake { shared: Arc::clone(self), raw, place }))
            }
        }
    }
}

struct OpenTake {
    shared: Arc<Shared>,
    raw: Box<dyn RawTake>,
    place: Place,
}

impl RawTake for OpenTake {
    fn id(&self, index: usize) -> EventId {
        let id = self.raw.id(index);
        if self.place == Place::Memory { in_memory(id) } else { id }
    }

    fn submit(self: Box<Self>, mut commit: TakeCommit) -> Result<TakeTicket, TakeError> {
        let Self { shared, raw, place } = *self;
        // Most takes have none, and need no lock for them.
        let has_positions = !commit.positions.is_empty();
        let fits = if has_positions { shared.memory.check_positions(&commit.positions) } else { Ok(()) };
        if place == Place::Memory {
            let committing = if has_positions { shared.begin_commit() } else { None };
            if committing.is_none() && has_positions && fits.is_ok() {
                // The close has saved the positions already, and this take's events are done with.
                let saved = shared.saved.commit_positions(shared.in_store(commit.positions.clone()), Durability::Sync);
                if let Err(error) = saved {
                    raw.rollback(commit.events);
                    return Err(error);
                }
            }
            let done = commit.events.iter().take(commit.count);
            let (events, bytes) = done.fold((0, 0), |(events, bytes), event| (events + 1, bytes + event.size_bytes()));
            let ticket = raw.submit(commit)?;
            shared.left_memory(&mut shared.gate.lock(), events, bytes);
            return Ok(ticket);
        }
        if let Err(Excess { what, actual, max }) = fits {
            raw.rollback(commit.events);
            let channel = shared.settings.name.clone();
            return Err(TakeError::NotCommitted { channel, source: StorageError::Limit { what, actual, max } });
        }
        let positions = std::mem::take(&mut commit.positions);
        if place == Place::Overflow && positions.is_empty() {
            return raw.submit(commit);
        }
        let committing = shared.begin_commit();
        if committing.is_none() {
            commit.positions = shared.in_store(positions.clone());
        }
        raw.submit(commit)?.wait()?;
        shared.memory.set_positions(positions);
        shared.give_room(&shared.gate.lock());
        Ok(TakeTicket::ready(Ok(())))
    }

    fn rollback(self: Box<Self>, events: Vec<Event>) {
        self.raw.rollback(events);
    }
}
