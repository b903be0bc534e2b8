//! The source that makes load.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{PullBatch, PullSource, Pulled, SourceContext, SourceError};
use crate::clock::{Clock, SystemClock};
use crate::limits::{BODY_BYTES_MAX, MADE_EVENTS_PER_POLL_MAX, STRESS_BODY_BYTES, STRESS_SLICE};
use crate::shutdown::Shutdown;

/// Makes events as fast as they are taken, or as fast as it is told to: Flume's `StressSource`, to measure a pipeline.
///
/// ```
/// use aqueduct::source::{PullBatch, PullSource, Pulled, Stress};
///
/// let mut source = Stress::new().body_bytes(4).total(3);
/// let mut batch = PullBatch::new(100);
/// assert_eq!(source.poll(&mut batch)?, Pulled::Done);
/// let bodies: Vec<_> = batch.events().iter().map(|event| event.body().clone()).collect();
/// assert_eq!(bodies, [&[127; 4][..]; 3]);
/// # Ok::<(), aqueduct::source::SourceError>(())
/// ```
///
/// All bodies are one buffer, each byte of which is 127, as in Flume. Nothing is remembered over a restart.
#[derive(Debug)]
pub struct Stress {
    body: Bytes,
    total: Option<u64>,
    successful: Option<u64>,
    rate: Option<u64>,
    clock: Arc<dyn Clock>,
    shutdown: Option<Shutdown>,
    made: u64,
    committed: u64,
    // Made since the last commit.
    batch: u64,
    // When the next event is due, once there has been one.
    due: Option<Duration>,
}

impl Stress {
    /// Events of 500 bytes, without end.
    #[must_use]
    pub fn new() -> Self {
        Self {
            body: body(STRESS_BODY_BYTES),
            total: None,
            successful: None,
            rate: None,
            clock: Arc::new(SystemClock::new()),
            shutdown: None,
            made: 0,
            committed: 0,
            batch: 0,
            due: None,
        }
    }

    /// The bytes of a body; [`STRESS_BODY_BYTES`] by default.
    #[must_use]
    pub fn body_bytes(mut self, bytes: usize) -> Self {
        self.body = body(bytes);
        self
    }

    /// Ends after so many events, committed or not.
    #[must_use]
    pub fn total(mut self, events: u64) -> Self {
        self.total = Some(events);
        self
    }

    /// Ends as soon as so many events are committed, with whole batches: the last one may bring some more, as in Flume.
    #[must_use]
    pub fn successful(mut self, events: u64) -> Self {
        self.successful = Some(events);
        self
    }

    /// Makes no more than so many events in a second, from 1, and in a batch. What was not taken in time is made up for, up to a
    /// second's events.
    #[must_use]
    pub fn events_per_second(mut self, events: u64) -> Self {
        self.rate = Some(events.max(1));
        self
    }

    /// Uses another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn is_done(&self) -> bool {
        self.total.is_some_and(|total| self.made >= total)
            || self.successful.is_some_and(|successful| self.committed >= successful)
    }

    /// Waits until the next event is due, or for a slice of that time. Returns whether it is.
    fn is_due(&self) -> bool {
        let now = self.clock.monotonic();
        let left = self.due.map_or(Duration::ZERO, |due| due.saturating_sub(now));
        if left.is_zero() {
            return true;
        }
        if let Some(shutdown) = &self.shutdown {
            shutdown.sleep(left.min(STRESS_SLICE));
        }
        self.due.is_none_or(|due| self.clock.monotonic() >= due)
    }
}

impl Default for Stress {
    fn default() -> Self {
        Self::new()
    }
}

impl PullSource for Stress {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        self.shutdown = Some(context.shutdown().clone());
        // What failed does not come again, and counts as made.
        self.batch = 0;
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        if self.is_done() {
            return Ok(Pulled::Done);
        }
        if !self.is_due() {
            return Ok(Pulled::Waited);
        }
        let left = self.total.map_or(u64::MAX, |total| total - self.made);
        let room = u64::try_from(out.room()).unwrap_or(u64::MAX);
        self.batch = left.min(room).min(MADE_EVENTS_PER_POLL_MAX).min(self.rate.unwrap_or(u64::MAX));
        for _ in 0..self.batch {
            out.push(self.body.clone());
        }
        self.made += self.batch;
        if let Some(rate) = self.rate {
            let now = self.clock.monotonic();
            let from = self.due.map_or(now, |due| due.max(now.saturating_sub(Duration::from_secs(1))));
            self.due = Some(from + Duration::from_secs(1).mul_f64(per(self.batch, rate)));
        }
        let is_last = self.total.is_some_and(|total| self.made >= total);
        Ok(if is_last { Pulled::Done } else { Pulled::More })
    }

    fn committed(&mut self) -> Result<(), SourceError> {
        self.committed += std::mem::take(&mut self.batch);
        Ok(())
    }
}

fn body(bytes: usize) -> Bytes {
    vec![127; bytes.min(BODY_BYTES_MAX)].into()
}

/// Seconds that so many events take. Neither number is near what a float cannot hold.
#[allow(clippy::cast_precision_loss)]
fn per(events: u64, rate: u64) -> f64 {
    events as f64 / rate as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::StepClock;
    use crate::source::testing::TestPort;

    fn opened(mut source: Stress) -> (Stress, SourceContext) {
        let context = SourceContext::new("stress", Arc::<TestPort>::default(), Shutdown::new());
        // So that nobody sleeps.
        context.shutdown().request();
        source.open(&context).unwrap();
        (source, context)
    }

    /// The sizes of the batches until the source is done.
    fn batches(source: Stress, room: usize, commits: bool) -> Vec<usize> {
        let (mut source, _) = opened(source);
        let mut sizes = Vec::new();
        loop {
            let mut batch = PullBatch::new(room);
            let pulled = source.poll(&mut batch).unwrap();
            sizes.extend(Some(batch.events().len()).filter(|events| *events > 0));
            if commits {
                source.committed().unwrap();
            }
            if pulled == Pulled::Done {
                return sizes;
            }
        }
    }

    #[test]
    fn the_end_is_exact_in_total_and_a_whole_batch_in_successes() {
        assert_eq!(batches(Stress::new().total(25), 10, true), [10, 10, 5]);
        assert_eq!(batches(Stress::new().total(20), 10, true), [10, 10]);
        assert_eq!(batches(Stress::new().total(0), 10, true), [0; 0]);
        assert_eq!(batches(Stress::new().successful(15), 10, true), [10, 10]);
        assert_eq!(batches(Stress::new().successful(15).total(12), 10, true), [10, 2]);
        assert_eq!(batches(Stress::new().successful(15).total(30), 10, false), [10, 10, 10]);
        assert_eq!(batches(Stress::new().successful(0), 10, true), [0; 0]);
    }

    #[test]
    fn bodies_have_flumes_bytes_and_no_more_than_a_channel_takes() {
        let (mut source, _) = opened(Stress::new().body_bytes(3));
        let mut batch = PullBatch::new(2);
        source.poll(&mut batch).unwrap();
        assert_eq!(batch.events()[1].body(), "\x7f\x7f\x7f");
        assert_eq!(Stress::new().body.len(), 500);
        assert_eq!(Stress::new().body_bytes(usize::MAX).body.len(), BODY_BYTES_MAX);
    }

    /// Goal: no second has more events than asked for, and a pause is made up for by one second at most. Method: a clock that
    /// is stepped by tenths of a second, with a pause of a minute among them.
    #[test]
    fn no_more_events_are_made_than_are_due() {
        let clock = Arc::new(StepClock::new());
        let (mut source, _) = opened(Stress::new().events_per_second(100).clock(clock.clone()));
        let mut due = || {
            let mut events = 0;
            loop {
                let mut batch = PullBatch::new(5);
                match source.poll(&mut batch).unwrap() {
                    Pulled::Waited => return events,
                    _ => events += batch.events().len(),
                }
            }
        };
        assert_eq!(due(), 5, "the first batch is not waited for");
        let mut batch = PullBatch::new(100);
        Stress::new().events_per_second(3).poll(&mut batch).unwrap();
        assert_eq!(batch.events().len(), 3, "a batch is not more than a second's events");
        let mut events = 0;
        for _ in 0..100 {
            clock.step(Duration::from_millis(100));
            events += due();
        }
        assert!((995..=1005).contains(&events), "{events}");
        clock.step(Duration::from_secs(60));
        let made_up = due();
        assert!((100..=110).contains(&made_up), "{made_up}");
    }
}
