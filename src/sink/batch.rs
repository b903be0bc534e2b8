//! What a sink is given.

use bytes::Bytes;

use crate::channel::TakeTransaction;
use crate::event::{Event, EventId};

/// The events of an open take, without the power to commit or roll it back.
#[derive(Debug)]
pub struct SinkBatch<'a> {
    take: &'a mut TakeTransaction,
    // How many of the events are shown.
    limit: usize,
    // `[<agent>/]sink/<name>/`, see `SinkContext`.
    prefix: &'a str,
}

impl<'a> SinkBatch<'a> {
    /// The events of `take`, for the sink that `context` belongs to. An agent does this; without one, a test or a program can.
    pub fn new(take: &'a mut TakeTransaction, context: &'a super::SinkContext) -> Self {
        let limit = take.len();
        Self { take, limit, prefix: context.prefix() }
    }

    /// The first events, up to `max`, for a sink of a group. What another one has set before is forgotten.
    pub(super) fn part<'b>(&'b mut self, max: usize, context: &'b super::SinkContext) -> SinkBatch<'b> {
        self.take.forget_positions();
        SinkBatch { limit: self.limit.min(max), take: self.take, prefix: context.prefix() }
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        self.take.get(..self.limit).unwrap_or_default()
    }

    /// Identity of the event at `index`; the same at every redelivery, and, in a file channel only, after a restart:
    /// see [`EventId`].
    #[must_use]
    pub fn id(&self, index: usize) -> Option<EventId> {
        if index < self.limit { self.take.id(index) } else { None }
    }

    /// Sets the position `key` of this sink, such as the length of its output. It is committed if and only if the take
    /// is, so that the next [`open`](super::Sink::open) can cut off what was written for takes that were not.
    pub fn set_position(&mut self, key: &str, position: impl Into<Bytes>) {
        self.take.set_position(format!("{}{key}", self.prefix), position);
    }

    /// Removes the position `key` of this sink, with the commit.
    pub fn clear_position(&mut self, key: &str) {
        self.take.clear_position(format!("{}{key}", self.prefix));
    }
}
