//! What a call sends, and how far it is.

use crate::event::Event;
use crate::limits::{RPC_REQUEST_BYTES_MAX, RPC_REQUEST_EVENT_BYTES};

/// The events of a call.
pub(super) enum Load<'a> {
    One { event: &'a Event, is_delivered: bool },
    Many(Requests<'a>),
}

impl Load<'_> {
    pub(super) fn delivered(&self) -> usize {
        match self {
            Self::One { is_delivered, .. } => usize::from(*is_delivered),
            Self::Many(requests) => requests.delivered,
        }
    }
}

/// Events that are sent in requests.
#[derive(Debug)]
pub(crate) struct Requests<'a> {
    events: &'a [Event],
    // From the first on.
    delivered: usize,
    // At least those that are delivered.
    sent: usize,
    batch_events: usize,
    in_flight: usize,
}

impl<'a> Requests<'a> {
    /// Requests of up to `batch_events`, up to `in_flight` of them at once.
    pub(super) fn new(events: &'a [Event], batch_events: usize, in_flight: usize) -> Self {
        Self { events, delivered: 0, sent: 0, batch_events, in_flight }
    }

    /// How many requests may be under way at once.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether all events are delivered.
    pub(super) fn are_done(&self) -> bool {
        self.delivered >= self.events.len()
    }

    /// Begins again behind what is delivered.
    pub(super) fn restart(&mut self) {
        self.sent = self.delivered;
    }

    /// The events of the next request; none if all are sent. At least one, whatever its size.
    pub(super) fn next(&mut self) -> Option<&'a [Event]> {
        let left = self.events.get(self.sent..).unwrap_or_default();
        let mut bytes = 0_u64;
        let fitting = left.iter().take(self.batch_events).take_while(|event| {
            bytes = bytes.saturating_add(event.size_bytes()).saturating_add(RPC_REQUEST_EVENT_BYTES);
            bytes <= RPC_REQUEST_BYTES_MAX
        });
        let count = fitting.count().max(1);
        let part = left.get(..count)?;
        self.sent += count;
        Some(part)
    }

    /// Takes note that so many more events are delivered.
    pub(super) fn deliver(&mut self, events: usize) {
        self.delivered += events;
    }
}
