//! The threads of sinks.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::circle::Circle;
use super::claim::Claim;
use super::component::{Component, ComponentEnd};
use super::dead_letter::DeadLetters;
use super::failure::{BoxError, Failure, guarded};
use crate::channel::{Channel, TakeTransaction};
use crate::error::{StorageError, TakeError};
use crate::limits::SINK_IDLE;
use crate::sink::{Delivered, Sink, SinkBatch, SinkContext, SinkCounters, count};
use crate::wait::{Bell, Wait};

/// What to do with an event that the sink says it can never deliver, once the policy's channel is resolved.
pub(super) enum OnPermanent {
    Retry,
    Drop,
    Divert(DeadLetters),
}

/// Drives a sink.
pub(super) struct SinkRunner {
    pub(super) component: Arc<Component>,
    pub(super) context: SinkContext,
    pub(super) channel: Arc<dyn Channel>,
    pub(super) events_max: usize,
    pub(super) on_permanent: OnPermanent,
    /// Its channel is one of a circle.
    pub(super) circle: Option<Arc<Circle>>,
    pub(super) counters: Arc<SinkCounters>,
    pub(super) bell: Arc<Bell>,
    /// Its last commit was refused by a data directory that takes no more writes.
    pub(super) is_refused: Cell<bool>,
}

/// What became of a batch that was taken.
enum Outcome {
    /// Its events, or the first of them, are gone from the channel.
    Committed,
    /// The sink took none of it and called that no error.
    Nothing,
    /// The undeliverable first event is out of the way; the sink has to be opened again.
    Removed,
}

impl SinkRunner {
    /// Runs the sink until it ends, and closes it.
    pub(super) fn run(&self, sink: &mut dyn Sink, claim: &mut Claim) -> ComponentEnd {
        let end = self.supervise(sink, claim);
        if let Err(failure) = guarded(|| sink.close()) {
            self.component.failed_to_close(&failure);
        }
        end
    }

    fn supervise(&self, sink: &mut dyn Sink, claim: &mut Claim) -> ComponentEnd {
        self.component.supervise(|| {
            if !claim.hold(&self.component)? {
                return Ok(Some(ComponentEnd::Stopped));
            }
            guarded(|| sink.open(&self.context))?;
            self.component.opened();
            self.deliver_until_failure(sink)
        })
    }

    /// Takes and writes. `None` asks to open the sink again at once.
    fn deliver_until_failure(&self, sink: &mut dyn Sink) -> Result<Option<ComponentEnd>, Failure> {
        let mut last_active = self.component.signal.now();
        let mut nothing_in_a_row = 0;
        let mut was_empty = false;
        let mut ready_in_a_row = 0;
        let waker = Waker::from(self.bell.clone());
        while !self.component.stop.is_requested() {
            let take = guarded(|| self.channel.take(self.events_max, Wait::NONE))
                .inspect_err(|_| count(&self.counters.channel_read_fail, 1))?;
            if take.is_empty() {
                drop(take);
                count(&self.counters.batch_empty, 1);
                if !std::mem::replace(&mut was_empty, true) {
                    self.component.signal.notify();
                }
                self.wait_for_events(sink, &waker, &mut last_active, &mut ready_in_a_row)?;
                continue;
            }
            was_empty = false;
            ready_in_a_row = 0;
            match self.deliver(sink, take)? {
                Outcome::Committed => {
                    guarded(|| sink.committed())?;
                    self.component.progressed();
                    self.circle.iter().for_each(|circle| circle.progressed());
                    nothing_in_a_row = 0;
                }
                Outcome::Removed => {
                    self.component.progressed();
                    self.pause_in_circle();
                    return Ok(None);
                }
                Outcome::Nothing => {
                    self.component.stop.sleep(self.component.backoff().pause(nothing_in_a_row));
                    nothing_in_a_row += 1;
                }
            }
            last_active = self.component.signal.now();
        }
        Ok(Some(ComponentEnd::Stopped))
    }

    /// Pauses if what was put out of the way may come round again, and this happened often in a row.
    fn pause_in_circle(&self) {
        let Some(circle) = &self.circle else { return };
        if !matches!(self.on_permanent, OnPermanent::Divert(_)) {
            circle.progressed();
        } else if let Some(earlier) = circle.diverted() {
            self.component.stop.sleep(self.component.backoff().pause(earlier));
        }
    }

    /// Waits until the channel may have events, the agent stops, or the sink's idle call is due, and makes that.
    fn wait_for_events(
        &self,
        sink: &mut dyn Sink,
        waker: &Waker,
        last_active: &mut Duration,
        ready_in_a_row: &mut u32,
    ) -> Result<(), Failure> {
        let since = self.component.signal.now().saturating_sub(*last_active);
        let mut limit = SINK_IDLE.saturating_sub(since);
        let polled = guarded(|| Ok::<_, TakeError>(self.channel.poll_ready(&mut Context::from_waker(waker))))?;
        if polled.is_ready() {
            // An event came between take and poll. But a channel that says so again and again must not make this spin.
            let pause = if *ready_in_a_row < 3 { Duration::ZERO } else { Duration::from_millis(1) };
            limit = limit.min(pause);
            *ready_in_a_row = ready_in_a_row.saturating_add(1);
        } else {
            *ready_in_a_row = 0;
        }
        if !limit.is_zero() && !self.component.stop.is_requested() {
            self.bell.wait(Wait::up_to(limit).deadline());
        }
        if self.component.signal.now().saturating_sub(*last_active) >= SINK_IDLE {
            guarded(|| sink.idle())?;
            *last_active = self.component.signal.now();
        }
        Ok(())
    }

    fn deliver(&self, sink: &mut dyn Sink, mut take: TakeTransaction) -> Result<Outcome, Failure> {
        let events = take.len();
        let counters = &self.counters;
        count(if events < self.events_max { &counters.batch_underflow } else { &counters.batch_complete }, 1);
        count(&counters.drain_attempt_events, events);
        let written = guarded(|| sink.write(&mut SinkBatch::new(&mut take, &self.context)));
        let delivered = match written {
            Ok(Delivered::All) => events,
            Ok(Delivered::First(first)) => first.min(events),
            Err(failure) => {
                count(&counters.write_fail, 1);
                // The positions belong to a write that failed.
                take.forget_positions();
                return match failure {
                    Failure::Permanent(error) => self.remove_first(take, error),
                    other => Err(other),
                };
            }
        };
        if delivered == 0 {
            return Ok(Outcome::Nothing);
        }
        self.commit(take, delivered)?;
        count(&counters.drain_success_events, delivered);
        Ok(Outcome::Committed)
    }

    fn commit(&self, take: TakeTransaction, count: usize) -> Result<(), Failure> {
        match guarded(|| Ok::<_, TakeError>(take.commit_first(count)))? {
            Ok(()) => {
                self.is_refused.set(false);
                Ok(())
            }
            // Another data directory may take the next one. If there is none, the same events would be delivered over and over.
            Err(error @ TakeError::NotCommitted { source: StorageError::Poisoned { .. }, .. })
                if self.is_refused.replace(true) =>
            {
                Err(Failure::Fatal(error.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Applies the policy to the first event of `take`, which the sink cannot deliver.
    fn remove_first(&self, mut take: TakeTransaction, error: BoxError) -> Result<Outcome, Failure> {
        let counter = match &self.on_permanent {
            OnPermanent::Retry => return Err(Failure::Retry(error)),
            OnPermanent::Drop => &self.counters.dropped_events,
            OnPermanent::Divert(other) => {
                // ORDER: the other channel first; a kill in between leaves the event in both, not in neither.
                other.put_first(&mut take)?;
                &self.counters.diverted_events
            }
        };
        self.commit(take, 1)?;
        count(counter, 1);
        self.component.note(&Failure::Permanent(error));
        Ok(Outcome::Removed)
    }
}
