//! Putting events that came without being asked for.

use std::collections::VecDeque;
use std::time::Duration;

use super::SourceContext;
use crate::batch::PutBatch;
use crate::clock::{Clock, SystemClock};
use crate::error::PutError;
use crate::event::Event;
use crate::limits::SOURCE_FULL_WAIT;
use crate::ticket::Receipt;
use crate::wait::{Recall, Wait};

/// What a source does with received events that a full channel does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// It keeps them, waits for room, and reads nothing more meanwhile. Nothing is dropped; over TCP, and through a pipe,
    /// whoever sends is slowed down.
    #[default]
    Wait,
    /// They are dropped and counted once the channel's own waiting time is over, or, when the source is to stop, a moment
    /// ([`SOURCE_FULL_WAIT`](crate::limits::SOURCE_FULL_WAIT)) after that, and a client that is answered is told so.
    /// This is what Flume does. Events that came together and do not fit together wait one after the other, until one of them
    /// has waited in vain.
    Fail,
}

/// Puts received events in as few transactions as the channel takes them.
pub(crate) struct Delivery<'a> {
    context: &'a SourceContext,
    on_full: OnFull,
    clock: SystemClock,
    is_stopping: &'a dyn Fn() -> bool,
    // Whether a component that fails does so because of an event.
    blames_events: bool,
}

/// Is told what became of each event, in their order.
pub(crate) trait Verdicts {
    fn accepted(&mut self, events: usize);

    /// These events will not be put; one reason is the one of all of them.
    fn refused(&mut self, events: usize, reason: &str);

    /// What whoever is refused is told of an error.
    fn reason(&self, error: &PutError) -> String {
        error.to_string()
    }

    /// Whether each event has an answer of its own. Then a batch is put in parts only while it is known which of its events
    /// are left.
    fn is_answered(&self) -> bool {
        true
    }
}

/// What a source holds an event for, headers and body included.
pub(crate) fn cost(event: &Event) -> usize {
    EVENT_COST + event.headers().as_encoded().len() + event.body().len()
}

/// What an event costs besides its bytes.
pub(crate) const EVENT_COST: usize = size_of::<Event>();

/// The verdicts for a sender that is not answered.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) events: usize,
    pub(crate) reason: String,
}

impl Verdicts for Refusals {
    fn accepted(&mut self, _events: usize) {}

    fn refused(&mut self, events: usize, reason: &str) {
        self.events += events;
        reason.clone_into(&mut self.reason);
    }

    fn is_answered(&self) -> bool {
        false
    }
}

/// The channel cannot be put into, for a reason that is not the events'. They are refused.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// Whether another attempt can succeed.
    pub(crate) can_pass: bool,
    /// Whether an interceptor or the selector failed, for which one of the events may be to blame.
    pub(crate) in_component: bool,
    /// The refused events, for another attempt, unless nobody knows what became of them.
    pub(crate) kept: Kept,
}

/// Events that not every channel has.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    // As they were given back, so that no event passes the interceptors twice.
    batches: VecDeque<PutBatch>,
    rest: Vec<Event>,
}

impl Kept {
    pub(crate) fn new(events: Vec<Event>) -> Self {
        Self { batches: VecDeque::new(), rest: events }
    }

    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(PutBatch::received).sum::<usize>() + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.rest.is_empty()
    }

    /// Appends events that were not put before.
    pub(crate) fn append(&mut self, events: &mut Vec<Event>) {
        self.rest.append(events);
    }
}

impl<'a> Delivery<'a> {
    /// `is_stopping` ends all waiting for room.
    pub(crate) fn new(context: &'a SourceContext, on_full: OnFull, is_stopping: &'a dyn Fn() -> bool) -> Self {
        Self { context, on_full, clock: SystemClock::new(), is_stopping, blames_events: false }
    }

    /// Refuses events of which each makes an interceptor or selector fail, even alone, instead of giving back all of them.
    pub(crate) fn blame_events(&mut self, blames_events: bool) {
        self.blames_events = blames_events;
    }

    /// Puts the events. Each of them is accepted or refused when this returns.
    pub(crate) fn put_all(&self, events: Vec<Event>, verdicts: &mut dyn Verdicts) -> Result<(), Unusable> {
        self.put_kept(Kept::new(events), verdicts)
    }

    /// As [`put_all`](Self::put_all), beginning with what an earlier call gave back.
    pub(crate) fn put_kept(&self, kept: Kept, verdicts: &mut dyn Verdicts) -> Result<(), Unusable> {
        let Kept { batches: mut again, rest: mut events } = kept;
        let mut size = events.len();
        // Once a single event waited in vain for room, nothing behind it waits; nor, at a stop, behind a batch that did.
        let (mut is_hurried, mut is_singled) = (false, false);
        loop {
            let (batch, is_new) = if let Some(batch) = again.pop_front() {
                (batch, false)
            } else if events.is_empty() {
                return Ok(());
            } else {
                let rest = events.split_off(size.min(events.len()));
                (PutBatch::new(std::mem::replace(&mut events, rest)), true)
            };
            let tried = batch.received();
            let is_urgent = is_hurried || is_singled && self.is_stopping();
            let Err(error) = self.put(batch, is_new, is_urgent) else {
                verdicts.accepted(tried);
                continue;
            };
            let reason = verdicts.reason(&error);
            let one_by_one = match &error {
                // Perhaps a part of them fits: Flume puts each event on its own.
                PutError::Full { .. } if self.on_full == OnFull::Fail => Some(true),
                PutError::TooLarge { .. } => Some(false),
                PutError::Component { .. } if self.blames_events => Some(false),
                _ => None,
            };
            let can_pass = !matches!(error, PutError::Closed { .. } | PutError::ForeignChannel { .. });
            let in_component = matches!(error, PutError::Component { .. });
            let returned = error.into_batch();
            // Interceptors may have dropped some meanwhile.
            let left = returned.as_ref().map_or(0, |batch| batch.events().len());
            let is_known = left == tried || !verdicts.is_answered();
            match (one_by_one, returned) {
                (Some(one_by_one), Some(batch)) if is_known => {
                    verdicts.accepted(tried - left);
                    // The parts are counted by themselves.
                    self.context.count_accepted_events(tried - left);
                    is_singled |= one_by_one;
                    is_hurried |= one_by_one && left <= 1;
                    let part = if one_by_one { 1 } else { (left / 2).max(1) };
                    let mut parts = batch.in_parts(part);
                    if left <= 1 {
                        // The event cannot be put, but what others of its batch are to go to is not concerned.
                        verdicts.refused(left, &reason);
                        parts.retain(|part| part.events().is_empty());
                    } else {
                        size = part;
                    }
                    while let Some(part) = parts.pop_back() {
                        again.push_front(part);
                    }
                }
                (_, batch) => {
                    let behind = Kept { batches: again, rest: events };
                    verdicts.refused(tried + behind.len(), &reason);
                    let batches = batch.into_iter().chain(behind.batches).collect();
                    return Err(Unusable { can_pass, in_component, kept: Kept { batches, rest: behind.rest } });
                }
            }
        }
    }

    /// Puts one transaction. It keeps its place in the line of the channel until the source is asked to stop. Then it waits for
    /// another moment, whatever is to become of what finds no room, unless it is not to wait at all.
    fn put(&self, mut batch: PutBatch, mut is_new: bool, is_hurried: bool) -> Result<Receipt, PutError> {
        loop {
            let is_last = is_hurried || self.is_stopping();
            let wait = match (is_hurried, is_last) {
                (true, _) => Some(Wait::NONE),
                (false, true) => Some(Wait::up_to(SOURCE_FULL_WAIT)),
                (false, false) => None,
            };
            batch.recall = (!is_last).then(|| {
                let stop = self.context.shutdown().clone();
                if self.on_full == OnFull::Wait { Recall::of_patient(stop) } else { Recall::new(stop) }
            });
            let begun = self.clock.monotonic();
            let outcome = if std::mem::take(&mut is_new) {
                self.context.put_batch(batch, wait)
            } else {
                self.context.put_again(batch, wait)
            };
            batch = match outcome {
                // Who takes "full" for an answer may have been called back before it was one.
                Err(PutError::Full { batch, .. })
                    if !is_last && (self.on_full == OnFull::Wait || self.is_stopping()) =>
                {
                    *batch
                }
                outcome => return outcome,
            };
            // A channel need not wait: one on a full disk has no room to wait for.
            let waited: Duration = self.clock.monotonic().saturating_sub(begun);
            self.context.shutdown().sleep(SOURCE_FULL_WAIT.saturating_sub(waited));
        }
    }

    fn is_stopping(&self) -> bool {
        (self.is_stopping)() || self.context.shutdown().is_requested()
    }
}

#[cfg(test)]
mod tests;
