//! The source that counts.

use bytes::Bytes;

use super::{PullBatch, PullSource, Pulled, SourceContext, SourceError};
use crate::limits::MADE_EVENTS_PER_POLL_MAX;

/// Events with the bodies `0`, `1`, `2` and so on: Flume's `seq` source, for tests of a pipeline.
///
/// ```
/// use aqueduct::source::{PullBatch, PullSource, Pulled, Sequence};
///
/// let mut source = Sequence::new().total(3);
/// let mut batch = PullBatch::new(100);
/// assert_eq!(source.poll(&mut batch)?, Pulled::Done);
/// let bodies: Vec<_> = batch.events().iter().map(|event| event.body().clone()).collect();
/// assert_eq!(bodies, ["0", "1", "2"]);
/// # Ok::<(), aqueduct::source::SourceError>(())
/// ```
///
/// The next number is committed with the events, as decimal text, so after a restart the source goes on where it was, and
/// each number comes exactly once, if the channel keeps positions. Flume's begins with 0 again; so does this one with
/// [`from_zero`](Self::from_zero).
#[derive(Clone, Debug)]
pub struct Sequence {
    total: u64,
    from_zero: bool,
    next: u64,
    committed: u64,
}

impl Sequence {
    /// A source without an end.
    #[must_use]
    pub fn new() -> Self {
        Self { total: u64::MAX, from_zero: false, next: 0, committed: 0 }
    }

    /// Ends the sequence before this number: as many events come in all, restarts included.
    #[must_use]
    pub fn total(mut self, events: u64) -> Self {
        self.total = events;
        self
    }

    /// Begins with 0 after each restart and commits no position, as Flume does.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.from_zero = true;
        self
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Self::new()
    }
}

impl PullSource for Sequence {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if !self.from_zero {
            self.committed = match context.position(POSITION) {
                None => 0,
                Some(position) => decode(&position).ok_or_else(|| SourceError::fatal(PositionError(position)))?,
            };
        }
        self.next = self.committed;
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        let room = u64::try_from(out.room()).unwrap_or(u64::MAX).min(MADE_EVENTS_PER_POLL_MAX);
        let end = self.next.saturating_add(room).min(self.total);
        if self.next < end {
            push_numbers(self.next, end, out);
            self.next = end;
            if !self.from_zero {
                out.set_position(POSITION, end.to_string());
            }
        }
        Ok(if self.next >= self.total { Pulled::Done } else { Pulled::More })
    }

    fn committed(&mut self) -> Result<(), SourceError> {
        self.committed = self.next;
        Ok(())
    }
}

/// Adds an event for each number. All bodies of a batch share one buffer.
fn push_numbers(from: u64, end: u64, out: &mut PullBatch) {
    use std::fmt::Write;

    let mut text = String::new();
    let mut ends = Vec::new();
    for number in from..end {
        // Writing to a string does not fail.
        let _ = write!(text, "{number}");
        ends.push(text.len());
    }
    let mut rest = Bytes::from(text);
    let mut start = 0;
    for end in ends {
        out.push(rest.split_to(end - start));
        start = end;
    }
}

fn decode(position: &[u8]) -> Option<u64> {
    std::str::from_utf8(position).ok()?.parse().ok()
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the committed position {0:?} of this source is not a number; give the source a name that no other kind of source had"
)]
struct PositionError(Bytes);

const POSITION: &str = "";

#[cfg(test)]
mod tests;
