//! The threads of sources.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::backoff::Backoff;
use super::claim::Claim;
use super::component::{Component, ComponentEnd};
use super::failure::{Failure, guarded};
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::limits::{RECALL_LOOK, SOURCE_EMPTY_POLLS_MAX, SOURCE_IDLE_MIN};
use crate::source::{PullBatch, PullSource, Pulled, Source, SourceContext, SourceError};
use crate::ticket::PutTicket;
use crate::wait::Recall;

/// Runs a source of the general form until it ends, and closes it.
pub(super) fn run_push(
    source: &mut dyn Source,
    component: &Component,
    context: &SourceContext,
    claim: &mut Claim,
) -> ComponentEnd {
    let end = supervise_push(source, component, context, claim);
    close(component, || source.close());
    end
}

fn supervise_push(
    source: &mut dyn Source,
    component: &Component,
    context: &SourceContext,
    claim: &mut Claim,
) -> ComponentEnd {
    let accepted = || context.counters().accepted_events.load(Ordering::Relaxed);
    let mut accepted_before = accepted();
    component.supervise(|| {
        if !claim.hold(component)? {
            return Ok(Some(ComponentEnd::Stopped));
        }
        let outcome = guarded(|| source.open(context)).and_then(|()| {
            component.opened();
            guarded(|| source.run(context))
        });
        let stopping = component.stop.is_requested();
        // Failures with work done between them are not a row of failures.
        if outcome.is_err() && accepted() != accepted_before {
            accepted_before = accepted();
            component.progressed();
        }
        outcome.map(|()| Some(if stopping { ComponentEnd::Stopped } else { ComponentEnd::Done }))
    })
}

fn close(component: &Component, close: impl FnOnce()) {
    if let Err(failure) = guarded(|| {
        close();
        Ok::<_, SourceError>(())
    }) {
        component.failed_to_close(&failure);
    }
}

/// Drives a pull source.
pub(super) struct PullRunner {
    pub(super) component: Arc<Component>,
    pub(super) context: SourceContext,
    pub(super) events_max: usize,
    pub(super) idle: Backoff,
}

/// How much a source is asked for.
struct Pace {
    events_max: usize,
    // So many of the events that come next were counted as received before, in a batch that is read again in smaller parts.
    counted: usize,
}

/// What became of a batch.
enum Committed {
    Yes,
    /// The agent stops; the batch was not put.
    No,
    /// The batch is too large as it is and can be read again in smaller parts.
    Smaller(usize),
}

impl PullRunner {
    /// Runs the source until it ends, and closes it.
    pub(super) fn run(&self, source: &mut dyn PullSource, claim: &mut Claim) -> ComponentEnd {
        let end = self.supervise(source, claim);
        close(&self.component, || source.close());
        end
    }

    fn supervise(&self, source: &mut dyn PullSource, claim: &mut Claim) -> ComponentEnd {
        let mut pace = Pace { events_max: self.events_max, counted: 0 };
        self.component.supervise(|| {
            if !claim.hold(&self.component)? {
                return Ok(Some(ComponentEnd::Stopped));
            }
            guarded(|| source.open(&self.context))?;
            self.component.opened();
            self.poll_until_failure(source, &mut pace)
        })
    }

    /// Polls and commits. `None` asks to open the source again at once, at another pace.
    fn poll_until_failure(
        &self,
        source: &mut dyn PullSource,
        pace: &mut Pace,
    ) -> Result<Option<ComponentEnd>, Failure> {
        let (mut idle_polls, mut empty_polls) = (0, 0_u32);
        while !self.component.stop.is_requested() {
            let mut out = PullBatch::new(pace.events_max);
            let pulled = guarded(|| source.poll(&mut out)).inspect_err(|_| self.count_read_failure())?;
            let was_empty = out.is_empty();
            if !was_empty {
                match self.commit(out.into_put_batch(), pace)? {
                    Committed::Yes => guarded(|| source.committed())?,
                    Committed::No => return Ok(Some(ComponentEnd::Stopped)),
                    Committed::Smaller(events) => {
                        pace.events_max = events;
                        return Ok(None);
                    }
                }
                self.component.progressed();
                (idle_polls, empty_polls) = (0, 0);
            }
            match pulled {
                Pulled::More => {
                    empty_polls = empty_polls.saturating_add(u32::from(was_empty));
                    if empty_polls > SOURCE_EMPTY_POLLS_MAX {
                        // A source that reads much without finding an event is not slowed down further and further, nor by a
                        // long pause that is meant for when there is nothing to read.
                        self.component.stop.sleep(self.idle.pause(0).min(SOURCE_IDLE_MIN));
                    }
                }
                Pulled::Done => return Ok(Some(ComponentEnd::Done)),
                Pulled::Idle | Pulled::Waited => {
                    empty_polls = 0;
                    pace.events_max = self.events_max;
                    pace.counted = 0;
                    if was_empty && idle_polls == 0 {
                        self.component.progressed();
                    }
                    if pulled == Pulled::Idle {
                        self.component.stop.sleep(self.idle.pause(idle_polls));
                    }
                    idle_polls = idle_polls.saturating_add(1);
                }
            }
        }
        Ok(Some(ComponentEnd::Stopped))
    }

    fn count_read_failure(&self) {
        self.context.counters().event_read_fail.fetch_add(1, Ordering::Relaxed);
    }

    /// Tries to put the same batch until it is committed or the agent stops. What has no position cannot be read again: such
    /// a batch is tried until the grace of the stop is over, and counted as dropped then.
    fn commit(&self, mut batch: PutBatch, pace: &mut Pace) -> Result<Committed, Failure> {
        let counters = self.context.counters();
        let (events, positions) = (batch.events().len(), batch.positions().len());
        let mut is_uncounted = batch.resume.is_none();
        let mut refused = false;
        let mut full_attempts = 0;
        loop {
            let begun = self.component.signal.now();
            // It waits as long as the channel is configured to, in one go: whoever leaves the line has to queue at its end.
            let stop = if positions > 0 { &self.component.stop } else { &self.component.give_up };
            batch.recall = Some(Recall::of_patient(stop.clone()));
            let attempt = guarded(|| {
                let ticket = self.context.submit_counted(batch, None);
                Ok::<_, SourceError>(ticket.and_then(PutTicket::wait))
            })?;
            let can_shrink = positions > 0 && events > 1 && pace.events_max > 1;
            let shrinks = can_shrink && matches!(attempt, Err(PutError::TooLarge { .. }));
            if !shrinks && std::mem::take(&mut is_uncounted) {
                self.count_received(events, pace);
            }
            let Err(error) = attempt else {
                counters.count_accepted(events as u64);
                return Ok(Committed::Yes);
            };
            if !std::mem::replace(&mut refused, true) {
                counters.channel_write_fail.fetch_add(1, Ordering::Relaxed);
            }
            match error {
                PutError::Full { batch: back, .. } => {
                    batch = *back;
                    // A channel that does not wait for room must not make this loop spin.
                    let waited = self.component.signal.now().saturating_sub(begun) >= RECALL_LOOK / 2;
                    let pause = if waited { Duration::ZERO } else { Backoff::IDLE.pause(full_attempts) };
                    full_attempts = full_attempts.saturating_add(1);
                    if self.gives_up(pause, positions > 0) {
                        return Ok(self.dropped(events, positions));
                    }
                }
                // What has a position can be read again. `events_max` shrinks each time, so this comes to an end even with a
                // source that takes no notice of it.
                PutError::TooLarge { .. } if shrinks => {
                    if !is_uncounted {
                        pace.counted = pace.counted.saturating_add(events);
                    }
                    return Ok(Committed::Smaller(pace.events_max.min(events) / 2));
                }
                // What is committed is known once the store has been opened again. The position from before would bring the same
                // events once more, into a lane that still works.
                PutError::Indeterminate { .. } if positions > 0 => return Err(Failure::Fatal(error.into())),
                PutError::Closed { .. }
                | PutError::ForeignChannel { .. }
                | PutError::Indeterminate { .. }
                | PutError::TooLarge { .. } => {
                    return Err(error.into());
                }
                PutError::Component { .. } | PutError::NotCommitted { .. } | PutError::Stopped { .. } => {
                    let failure = Failure::Retry(error.to_string().into());
                    let has_stopped = self.component.failed(failure).is_some();
                    if has_stopped && self.gives_up(Backoff::IDLE.pause(full_attempts), positions > 0) {
                        return Ok(self.dropped(events, positions));
                    }
                    full_attempts = full_attempts.saturating_add(1);
                    let Some(back) = error.into_batch() else { return Ok(self.dropped(events, positions)) };
                    batch = back;
                }
            }
        }
    }

    /// Of a batch that is read again in smaller parts, those are counted, unless it was counted before: a channel that was full
    /// may turn out to be too small.
    fn count_received(&self, events: usize, pace: &mut Pace) {
        let fresh = events.saturating_sub(pace.counted);
        pace.counted = pace.counted.saturating_sub(events);
        if fresh > 0 || events == 0 {
            self.context.count_received_events(fresh);
        }
    }

    /// Pauses, and says whether a batch that was not committed is to be given up because the agent stops.
    fn gives_up(&self, pause: Duration, can_read_again: bool) -> bool {
        self.component.stop.sleep(pause) && (can_read_again || self.component.give_up.sleep(pause))
    }

    fn dropped(&self, events: usize, positions: usize) -> Committed {
        if positions == 0 {
            self.context.counters().dropped_events.fetch_add(events as u64, Ordering::Relaxed);
        }
        Committed::No
    }
}
