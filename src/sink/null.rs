//! The sink that discards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Delivered, Sink, SinkBatch, SinkError};

/// Discards and counts events: Flume's `null` sink.
///
/// ```
/// use aqueduct::sink::Null;
///
/// let sink = Null::new();
/// let count = sink.count(); // before the sink goes to an agent
/// assert_eq!(count.events(), 0);
/// ```
#[derive(Debug, Default)]
pub struct Null {
    count: NullCount,
    pending: (u64, u64),
}

/// What a [`Null`] sink has discarded. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct NullCount {
    events: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Null {
    /// A sink that has discarded nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The numbers, to be read while the sink runs.
    #[must_use]
    pub fn count(&self) -> NullCount {
        self.count.clone()
    }
}

impl NullCount {
    /// Events in committed takes.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Acquire)
    }

    /// Bytes of their headers and bodies, as [`Event::size_bytes`](crate::Event::size_bytes).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }
}

impl Sink for Null {
    fn open(&mut self, _: &super::SinkContext) -> Result<(), SinkError> {
        self.pending = (0, 0);
        Ok(())
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        let events = batch.events();
        self.pending = (events.len() as u64, events.iter().map(crate::Event::size_bytes).sum());
        Ok(Delivered::All)
    }

    // Counted here and not in `write`, so that events that come again after a failed commit are counted once.
    fn committed(&mut self) -> Result<(), SinkError> {
        let (events, bytes) = std::mem::take(&mut self.pending);
        self.count.bytes.fetch_add(bytes, Ordering::Release);
        self.count.events.fetch_add(events, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::sink::testing::TestChannel;

    #[test]
    fn events_are_counted_once_however_often_their_commit_fails() {
        let channel = TestChannel::new((0..10).map(|i| Event::new(vec![b'x'; i])));
        let mut run = channel.run("null");
        let mut sink = Null::new();
        let count = sink.count();
        assert_eq!(run.step(&mut sink, 4).unwrap(), 4);
        channel.fail_commits(2);
        assert!(run.step(&mut sink, 4).is_err() && run.step(&mut sink, 4).is_err());
        assert_eq!((count.events(), count.bytes()), (4, 6));
        while run.step(&mut sink, 4).unwrap() > 0 {}
        assert_eq!((count.events(), count.bytes()), (10, 45));
    }
}
