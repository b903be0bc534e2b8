//! Put and take transactions: the only state machine of transactions, shared by all channels.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Positions, PutBatch, Routes, set_position};
use crate::durability::Durability;
use crate::error::{PutError, TakeError};
use crate::event::{Event, EventId};
use crate::ticket::{PutTicket, Receipt, TakeTicket};
use crate::wait::Wait;

/// What an implementer of a channel provides for puts.
pub trait PutTarget: Send + Sync {
    /// Reserves room, waiting for it at most `wait` (`None`: as the channel is configured), and starts the commit.
    ///
    /// In the channels of this crate, a request to stop ends the wait of pull sources and of other sources that wait until there is
    /// room. Other waits, and those in other channels, go on until they are over, at most for the grace of the stop; so the
    /// configured wait should be shorter than that.
    ///
    /// # Errors
    /// With the batch, if nothing was started.
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError>;
}

/// A put transaction. Events are collected in memory; [`commit`](Self::commit) puts all of them, dropping puts none.
#[must_use = "a transaction that is dropped puts nothing"]
pub struct PutTransaction {
    target: Arc<dyn PutTarget>,
    batch: PutBatch,
    wait: Option<Wait>,
    // The store, and the numbers of the channels there, of a transaction over several; no channels for one.
    store: u64,
    channels: Vec<u16>,
}

impl PutTransaction {
    /// An empty transaction; for implementers of channels.
    pub fn new(target: Arc<dyn PutTarget>) -> Self {
        Self { target, batch: PutBatch::default(), wait: None, store: 0, channels: Vec::new() }
    }

    /// An empty transaction over several channels of a store, given by their numbers.
    pub(crate) fn over(target: Arc<dyn PutTarget>, store: u64, channels: Vec<u16>) -> Self {
        let mut tx = Self { store, channels, ..Self::new(target) };
        tx.batch.routes.store = store;
        tx
    }

    /// Adds an event, for all channels of the transaction.
    pub fn push(&mut self, event: impl Into<Event>) {
        if !self.channels.is_empty() {
            self.batch.routes.push(&self.channels);
        }
        self.batch.events.push(event.into());
    }

    /// Adds an event for some channels of a transaction over several. Each is given by its place: 0 is the channel that
    /// [`Channel::begin_put_with`](super::Channel::begin_put_with) was called on, 1 the first of the others. Places that do not
    /// exist are ignored; an event for no channel is dropped.
    pub fn push_to(&mut self, places: &[usize], event: impl Into<Event>) {
        if self.channels.is_empty() {
            if places.contains(&0) {
                self.push(event);
            }
            return;
        }
        let set: Vec<u16> = places.iter().filter_map(|place| self.channels.get(*place).copied()).collect();
        if !set.is_empty() {
            self.batch.routes.push(&set);
            self.batch.events.push(event.into());
        }
    }

    /// Replaces everything collected so far. In a transaction over several channels, a batch that another one over channels of the
    /// same store gave back keeps the channels of its events; any other batch goes to all channels of this transaction. In a
    /// transaction over one channel, every batch goes to that channel.
    pub fn set_batch(&mut self, batch: PutBatch) {
        self.batch = batch;
        let known = self.batch.routes.store == self.store && !self.batch.routes.runs.is_empty();
        if self.channels.is_empty() || !known {
            self.batch.routes = Routes { store: self.store, ..Routes::default() };
        }
        if !self.channels.is_empty() && !known {
            self.batch.events.iter().for_each(|_| self.batch.routes.push(&self.channels));
        }
    }

    /// Sets the position of an owner; it is committed if and only if the events are. An owner of that name in any channel of
    /// the same store is the same owner, see [`Channel::position`](super::Channel::position).
    pub fn set_position(&mut self, owner: impl Into<String>, position: impl Into<Bytes>) {
        set_position(&mut self.batch.positions, owner.into(), Some(position.into()));
    }

    /// Removes the position of an owner, with the commit.
    pub fn clear_position(&mut self, owner: impl Into<String>) {
        set_position(&mut self.batch.positions, owner.into(), None);
    }

    /// How long the commit may wait for room, instead of the channel's own setting.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = Some(wait);
    }

    /// The durability of this transaction, instead of the store's. Channels in memory ignore it.
    pub fn set_durability(&mut self, durability: Durability) {
        self.batch.durability = Some(durability);
    }

    /// The events collected so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.batch.events
    }

    /// Puts the events and returns once they are as durable as configured.
    ///
    /// # Blocking
    /// For room in the channel, at most as long as the wait; then for the storage.
    ///
    /// # Errors
    /// [`PutError`]; all variants but `Indeterminate` give the batch back.
    pub fn commit(self) -> Result<Receipt, PutError> {
        self.submit()?.wait()
    }

    /// Starts the commit and returns a ticket for its outcome, so that one thread can have many commits in flight.
    /// Transactions submitted one after the other by one thread keep their order.
    ///
    /// # Blocking
    /// For room in the channel, at most as long as the wait. Whether the disk has room, a file channel finds out only when it
    /// writes. If it has none, [`Ticket::wait`](crate::Ticket::wait) waits for what is left of the wait that began here, and
    /// retries; a ticket that is awaited returns [`Full`](PutError::Full) at once. In a store of several data directories a put
    /// with positions also waits until
    /// the last one that this thread has submitted is over, if that went into another directory than the one with the positions;
    /// in a [`Spillable`](crate::Spillable), until that one is over wherever it went.
    ///
    /// # Errors
    /// If there is no room, or the transaction can never be put. One with positions is refused, too, as long as this thread has not
    /// asked for the outcome of one before it that a data directory has lost.
    pub fn submit(self) -> Result<PutTicket, PutError> {
        self.target.submit(self.batch, self.wait)
    }
}

impl fmt::Debug for PutTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutTransaction").field("events", &self.batch.events.len()).finish_non_exhaustive()
    }
}

/// What an implementer of a channel provides for an open take.
pub trait RawTake: Send {
    /// Identity of the event at `index` of the take.
    fn id(&self, index: usize) -> EventId;

    /// Starts the commit of the first `commit.count` events; the others return to the head of the channel.
    ///
    /// # Errors
    /// [`TakeError::NotCommitted`] if nothing was started; all events are back in the channel then.
    fn submit(self: Box<Self>, commit: TakeCommit) -> Result<TakeTicket, TakeError>;

    /// Returns all events to the head of the channel. Must not block, fail or do I/O.
    fn rollback(self: Box<Self>, events: Vec<Event>);
}

/// What the commit of a take carries.
#[non_exhaustive]
pub struct TakeCommit {
    /// All events of the take.
    pub events: Vec<Event>,
    /// How many of them, from the first on, are done with.
    pub count: usize,
    /// Positions that become durable together with the take.
    pub positions: Positions,
    /// Durability, if not the channel's own.
    pub durability: Option<Durability>,
}

impl fmt::Debug for TakeCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeCommit")
            .field("events", &self.events.len())
            .field("count", &self.count)
            .field("positions", &self.positions.len())
            .field("durability", &self.durability)
            .finish()
    }
}

/// A take transaction: a slice of events that are gone from the channel once it is committed, and back at its head if
/// it is rolled back or dropped.
#[must_use = "a take that is dropped returns its events to the channel"]
pub struct TakeTransaction {
    events: Vec<Event>,
    positions: Positions,
    durability: Option<Durability>,
    // `None` once committed or rolled back, and for the empty take.
    raw: Option<Box<dyn RawTake>>,
}

impl TakeTransaction {
    /// An open take of `events`; for implementers of channels.
    pub fn new(events: Vec<Event>, raw: Box<dyn RawTake>) -> Self {
        Self { events, positions: Vec::new(), durability: None, raw: Some(raw) }
    }

    /// A take that found nothing. Committing it does nothing; positions that were set with it are lost.
    pub fn empty() -> Self {
        Self { events: Vec::new(), positions: Vec::new(), durability: None, raw: None }
    }

    /// Identity of the event at `index`.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<EventId> {
        self.raw.as_ref().filter(|_| index < self.events.len()).map(|raw| raw.id(index))
    }

    /// Sets the position of an owner (such as how far a sink has written); it is committed if and only if the take is. Owners
    /// are those of the whole store, see [`Channel::position`](super::Channel::position).
    pub fn set_position(&mut self, owner: impl Into<String>, position: impl Into<Bytes>) {
        set_position(&mut self.positions, owner.into(), Some(position.into()));
    }

    /// Removes the position of an owner, with the commit.
    pub fn clear_position(&mut self, owner: impl Into<String>) {
        set_position(&mut self.positions, owner.into(), None);
    }

    /// Forgets the positions set so far: those of a delivery that failed.
    pub(crate) fn forget_positions(&mut self) {
        self.positions.clear();
    }

    /// The events and what stands behind them, for a channel that wraps another; `None` for the empty take.
    pub(crate) fn into_raw(mut self) -> Option<(Vec<Event>, Box<dyn RawTake>)> {
        let raw = self.raw.take()?;
        Some((std::mem::take(&mut self.events), raw))
    }

    /// The durability of this commit, instead of the store's. [`Durability::Os`] makes it lazy: the commit rides on the
    /// next sync, and a power cut before that brings the events again. Channels in memory ignore it.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = Some(durability);
    }

    /// Removes the events from the channel.
    ///
    /// # Blocking
    /// For the storage.
    ///
    /// # Errors
    /// [`TakeError::NotCommitted`]: the events are back in the channel. [`TakeError::Indeterminate`]: they do not come again
    /// until the store is opened again, and may come then.
    pub fn commit(self) -> Result<(), TakeError> {
        self.submit()?.wait()
    }

    /// Removes the first `count` events and returns the others to the head of the channel. With a count of 0 it is a rollback:
    /// positions are not set either.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_first(self, count: usize) -> Result<(), TakeError> {
        self.submit_first(count)?.wait()
    }

    /// Starts the commit and returns a ticket for its outcome.
    ///
    /// # Errors
    /// [`TakeError::NotCommitted`] if nothing was started; the events are back in the channel.
    pub fn submit(self) -> Result<TakeTicket, TakeError> {
        let count = self.events.len();
        self.submit_first(count)
    }

    /// Returns the events to the head of the channel, in their old order. The same as dropping.
    pub fn rollback(self) {}

    fn submit_first(mut self, count: usize) -> Result<TakeTicket, TakeError> {
        let events = std::mem::take(&mut self.events);
        let count = count.min(events.len());
        match self.raw.take() {
            None => Ok(TakeTicket::ready(Ok(()))),
            Some(raw) if count == 0 => {
                raw.rollback(events);
                Ok(TakeTicket::ready(Ok(())))
            }
            Some(raw) => raw.submit(TakeCommit {
                events,
                count,
                positions: std::mem::take(&mut self.positions),
                durability: self.durability,
            }),
        }
    }
}

impl Deref for TakeTransaction {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.events
    }
}

impl<'a> IntoIterator for &'a TakeTransaction {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}

impl Drop for TakeTransaction {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            raw.rollback(std::mem::take(&mut self.events));
        }
    }
}

impl fmt::Debug for TakeTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeTransaction").field("events", &self.events.len()).finish_non_exhaustive()
    }
}
