//! The events of one request, within limits.

use std::fmt;

use super::Rejection;
use super::hold::Hold;
use crate::event::Event;

/// Where a [`Handler`](super::Handler) puts the events of a request. What would pass a limit is refused, so that a small
/// request cannot become large in memory.
pub struct Events<'a> {
    list: Vec<Event>,
    count_max: usize,
    hold: &'a Hold,
    // Bytes that are held besides the events: those of the request.
    before: usize,
    bytes: usize,
    refused: Option<Rejection>,
}

/// What an event costs besides its bytes: its place in a list that may be twice as long as need be.
pub(super) const EVENT_COST: usize = 2 * size_of::<Event>();

impl<'a> Events<'a> {
    pub(super) fn new(hold: &'a Hold, before: usize, events_max: usize) -> Self {
        Self { list: Vec::new(), count_max: events_max, hold, before, bytes: 0, refused: None }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If there are too many events, or their bytes do not fit into what the source may hold. The answer is that of the
    /// first such error, whatever the handler returns.
    pub fn push(&mut self, event: Event) -> Result<(), Rejection> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let bytes = self.bytes.saturating_add(EVENT_COST + event.headers().as_encoded().len() + event.body().len());
        let refused = if self.list.len() == self.count_max {
            Rejection::too_large(format!("the request has more than {} events", self.count_max))
        } else if self.hold.grow_to(self.before.saturating_add(bytes)) {
            self.bytes = bytes;
            self.list.push(event);
            return Ok(());
        } else {
            self.no_room(bytes)
        };
        self.refused = Some(refused.clone());
        Err(refused)
    }

    /// The number of events so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no event so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.bytes = 0;
    }

    /// Makes room for so many bytes that are needed while the events are made.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Rejection> {
        self.before = self.before.saturating_add(bytes);
        if self.hold.grow_to(self.before.saturating_add(self.bytes)) {
            return Ok(());
        }
        Err(self.no_room(self.bytes))
    }

    /// What the client is told if the source has no room for events of so many bytes: to come again, unless that is in vain.
    fn no_room(&self, bytes: usize) -> Rejection {
        let max = self.hold.max();
        if self.before.saturating_add(bytes) > max {
            let reason = format!("the request would take more than {max} bytes of memory with its events");
            return Rejection::too_large(format!("{reason}, which is all that bytes_in_flight_max leaves to one"));
        }
        Rejection::busy("the source holds as many bytes as it may; send the request again later")
    }

    /// The events, if none was refused.
    pub(super) fn finish(self) -> Result<Vec<Event>, Rejection> {
        match self.refused {
            None => Ok(self.list),
            Some(refused) => Err(refused),
        }
    }
}

impl fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("len", &self.list.len()).finish_non_exhaustive()
    }
}
