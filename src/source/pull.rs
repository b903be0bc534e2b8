//! Sources that are asked for data.

use std::fmt;

use bytes::Bytes;

use super::{SourceContext, SourceError};
use crate::batch::{Positions, PutBatch, set_position};
use crate::event::Event;
use crate::limits::POSITIONS_PER_TRANSACTION_MAX;

/// A source that is asked for data. Whoever asks decides how much of it is wanted; the runner owns the transaction.
///
/// ```
/// use aqueduct::source::{PullBatch, PullSource, Pulled, SourceContext, SourceError};
///
/// struct Ticks(u64);
///
/// impl PullSource for Ticks {
///     fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
///         let count = context.position("count").unwrap_or_else(|| "0".into());
///         let count = std::str::from_utf8(&count).map_err(SourceError::fatal)?;
///         self.0 = count.parse().map_err(SourceError::fatal)?;
///         Ok(())
///     }
///
///     fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
///         if self.0 < 3 {
///             self.0 += 1;
///             out.push(format!("tick {}", self.0));
///             out.set_position("count", self.0.to_string());
///         }
///         Ok(if self.0 == 3 { Pulled::Done } else { Pulled::More })
///     }
/// }
/// ```
///
/// # Contract
///
/// After a `poll` that added events or positions, exactly one of these happens:
///
/// * The batch is committed to every required channel, and [`committed`](Self::committed) is called.
/// * The batch cannot be committed yet. It is tried again, and the source is not polled until it is committed.
/// * The agent stops, and the next [`open`](Self::open) finds the position of the last committed batch.
///
/// So a source that reads on from its committed position loses nothing and repeats nothing.
///
/// A batch with positions that is too large for the channel is discarded. The source is opened again at its last committed
/// position and asked for less, with a smaller [`PullBatch::room`]. If it has no positions, or was asked for a single event or
/// delivered only one, it ends with a fatal error instead.
///
/// A commit whose outcome is unknown ends a source with positions: what is committed is known only after the store has been opened
/// again, and to read on from the position before it could bring the same events twice. A source without positions is opened
/// again after a back-off; it does not get the batch back, which may or may not be in the channel.
pub trait PullSource: Send {
    /// Adds up to [`PullBatch::room`] events to `out`.
    ///
    /// # Blocking
    /// Should return within a second or so; a longer wait delays the shutdown.
    ///
    /// # Errors
    /// [`SourceError::Retry`]: what `out` holds is discarded, and the source is opened and polled again after a
    /// back-off. [`SourceError::Fatal`] ends the source.
    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError>;

    /// Called before the first poll, after every error, and before a batch is read again in smaller parts. Continue behind the
    /// committed position, [`SourceContext::position`]; if there is none, begin at the beginning, because whatever was polled
    /// before was discarded.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        let _ = context;
        Ok(())
    }

    /// The batch of the last poll is committed: what it was read from may be acknowledged, renamed or deleted now.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    fn committed(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Called once when the agent stops.
    fn close(&mut self) {}
}

impl<S: PullSource + ?Sized> PullSource for Box<S> {
    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        (**self).poll(out)
    }

    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        (**self).open(context)
    }

    fn committed(&mut self) -> Result<(), SourceError> {
        (**self).committed()
    }

    fn close(&mut self) {
        (**self).close();
    }
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pulled {
    /// There may be more: poll again at once. A source that says so and brings nothing, neither event nor position, more than
    /// [`SOURCE_EMPTY_POLLS_MAX`](crate::limits::SOURCE_EMPTY_POLLS_MAX) times in a row is asked again after the first pause
    /// of `idle` each time, but after [`SOURCE_IDLE_MIN`](crate::limits::SOURCE_IDLE_MIN) at the latest, so that it does not keep a
    /// processor busy.
    More,
    /// Nothing more for now: poll again after a back-off.
    Idle,
    /// Nothing more for now, and the source itself has waited: poll again at once.
    Waited,
    /// Nothing more, ever: the source is done once this batch is committed.
    Done,
}

/// What one poll reads: events, and positions that are committed with them.
#[derive(Default)]
pub struct PullBatch {
    events: Vec<Event>,
    positions: Positions,
    events_max: usize,
}

impl PullBatch {
    /// An empty batch for at most `events_max` events.
    #[must_use]
    pub fn new(events_max: usize) -> Self {
        Self { events: Vec::new(), positions: Vec::new(), events_max }
    }

    /// Adds an event.
    pub fn push(&mut self, event: impl Into<Event>) {
        self.events.push(event.into());
    }

    /// Sets the position `key` of this source. It is committed with the events, or alone if there are none.
    pub fn set_position(&mut self, key: impl Into<String>, position: impl Into<Bytes>) {
        set_position(&mut self.positions, key.into(), Some(position.into()));
    }

    /// Removes the position `key` of this source, with the commit.
    pub fn clear_position(&mut self, key: impl Into<String>) {
        set_position(&mut self.positions, key.into(), None);
    }

    /// How many more events are wanted. More are accepted, for a source that reads units of several events.
    #[must_use]
    pub fn room(&self) -> usize {
        self.events_max.saturating_sub(self.events.len())
    }

    /// How many more positions a transaction takes.
    pub(crate) fn positions_room(&self) -> usize {
        POSITIONS_PER_TRANSACTION_MAX.saturating_sub(self.positions.len())
    }

    /// The events so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether there is neither event nor position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.positions.is_empty()
    }

    /// The batch as a transaction's content; position keys stay relative to the source.
    #[must_use]
    pub fn into_put_batch(self) -> PutBatch {
        PutBatch { events: self.events, positions: self.positions, ..PutBatch::default() }
    }
}

impl fmt::Debug for PullBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullBatch")
            .field("events", &self.events.len())
            .field("positions", &self.positions.len())
            .field("events_max", &self.events_max)
            .finish()
    }
}
