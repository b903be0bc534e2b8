//! Pushing from the application.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::component::{Component, ComponentEnd};
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::event::Event;
use crate::source::{SourceContext, SourceCounters};
use crate::ticket::{PutTicket, RawTicket, Receipt, Ticket};
use crate::wait::{Recall, Wait};

/// Puts events into a running agent from the application's own threads. Clones share one source.
///
/// What is pushed passes the source's interceptors and selector like the events of any source.
///
/// ```
/// use aqueduct::{Agent, Drain};
/// use aqueduct::MemoryChannel;
/// use aqueduct::sink::{self, Delivered};
///
/// let running = Agent::builder("edge")
///     .channel("mem", MemoryChannel::new("mem"))
///     .pusher("app").to(["mem"])
///     .sink("out", sink::from_fn(|_| Ok(Delivered::All))).from("mem")
///     .build()?
///     .start()?;
/// let app = running.pusher("app")?;
/// app.put("hello")?;
/// app.put_batch(vec!["one".into(), "two".into()])?;
/// running.shutdown(Drain::up_to(std::time::Duration::from_secs(5)))?;
/// assert!(app.put("too late").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A stop waits for puts that are under way, up to its grace. One that still waits for room then is given back, and so it is at
/// once when the agent is dropped: nothing of it is put later. One that has not returned a moment after that, in an interceptor for
/// example, is reported as [`ComponentEnd::Stuck`]. It may still commit, and so may what was
/// [submitted](Self::submit) and whose outcome nobody has waited for: an application that sets positions has to know the
/// outcome before it starts another agent and goes on from the position that is found there.
#[derive(Clone, Debug)]
pub struct Pusher {
    context: SourceContext,
    gate: Arc<Gate>,
}

/// Lets puts in until it is shut. The source has ended when the last one has left.
#[derive(Debug)]
pub(super) struct Gate {
    component: Arc<Component>,
    end: OnceLock<ComponentEnd>,
    shut: AtomicBool,
    inside: AtomicUsize,
}

impl Gate {
    pub(super) fn new(component: Arc<Component>) -> Self {
        Self { component, end: OnceLock::new(), shut: AtomicBool::new(false), inside: AtomicUsize::new(0) }
    }

    /// Refuses further puts.
    pub(super) fn shut(&self, end: ComponentEnd) {
        self.end.get_or_init(|| end);
        self.shut.store(true, Ordering::SeqCst);
        if self.inside.load(Ordering::SeqCst) == 0 {
            self.record_end();
        }
    }

    /// It is shut, and nobody is inside.
    fn record_end(&self) {
        if !self.component.has_ended()
            && let Some(end) = self.end.get()
        {
            self.component.ended(end.clone());
        }
    }

    fn enter(&self) -> Option<Inside<'_>> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(self);
        // ORDER: counted before looking. Who shuts and then sees nobody inside can be sure that nobody comes in, and who leaves and
        // does not see it shut is seen to have left.
        (!self.shut.load(Ordering::SeqCst)).then_some(inside)
    }
}

struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.inside.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.shut.load(Ordering::SeqCst) {
            self.0.record_end();
        }
    }
}

impl Pusher {
    pub(super) fn new(context: SourceContext, gate: Arc<Gate>) -> Self {
        Self { context, gate }
    }

    /// The name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        self.context.name()
    }

    /// Puts one event and returns once it is committed to every required channel.
    ///
    /// # Blocking
    /// For room in the channels as long as they are configured to, then for the storage.
    ///
    /// # Errors
    /// [`PutError`]; `Stopped` once the agent stops or [`finish`](Self::finish) was called.
    pub fn put(&self, event: impl Into<Event>) -> Result<Receipt, PutError> {
        self.put_batch(vec![event.into()])
    }

    /// Puts a batch in one transaction. Position owners are keys of this source. A batch that an error gave back continues where
    /// it stopped: no event passes an interceptor twice or goes to a channel twice.
    ///
    /// # Blocking
    /// As [`put`](Self::put).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_batch(&self, batch: impl Into<PutBatch>) -> Result<Receipt, PutError> {
        self.put_for(batch.into(), None)
    }

    /// As [`put_batch`](Self::put_batch), waiting for room in the channels so long instead of as long as they are configured to.
    ///
    /// # Blocking
    /// For room, in each channel at most for `wait`, then for the storage.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_batch_within(&self, batch: impl Into<PutBatch>, wait: Wait) -> Result<Receipt, PutError> {
        self.put_for(batch.into(), Some(wait))
    }

    fn put_for(&self, batch: PutBatch, wait: Option<Wait>) -> Result<Receipt, PutError> {
        let Some(_inside) = self.gate.enter() else { return Err(self.stopped(batch)) };
        self.context.put_batch(self.recallable(batch), wait).map_err(give_back)
    }

    /// What waits for room when the grace of a stop is over, or the agent is dropped, is not put any more.
    fn recallable(&self, mut batch: PutBatch) -> PutBatch {
        batch.recall = Some(Recall::new(self.gate.component.give_up.clone()));
        batch
    }

    /// Starts the commit of a batch and returns a ticket for its outcome; many may be in flight. Batches keep the order
    /// in which they were submitted. They are counted as accepted when their tickets are waited for or polled.
    ///
    /// # Blocking
    /// For room in the channels. With several channels that are not all of one store, until it is committed.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn submit(&self, batch: impl Into<PutBatch>) -> Result<PutTicket, PutError> {
        let batch = batch.into();
        let Some(_inside) = self.gate.enter() else { return Err(self.stopped(batch)) };
        let events = batch.received_events();
        let counters = self.context.counters().clone();
        match self.context.submit(self.recallable(batch), None) {
            Ok(ticket) => Ok(Ticket::pending(Box::new(Counting { ticket, events, counters }))),
            Err(error) => {
                count(&counters, events, false);
                Err(give_back(error))
            }
        }
    }

    /// The last committed position `key` of this source.
    #[must_use]
    pub fn position(&self, key: &str) -> Option<Bytes> {
        self.context.position(key)
    }

    /// Says that nothing more will come, from any clone: the source is done, which
    /// [`wait_done`](super::RunningAgent::wait_done) waits for. Later puts are refused.
    pub fn finish(&self) {
        self.gate.shut(ComponentEnd::Done);
    }

    fn stopped(&self, batch: PutBatch) -> PutError {
        PutError::Stopped { source_name: self.context.name().to_owned(), batch: Box::new(batch) }
    }
}

/// Counts the outcome of a ticket.
struct Counting {
    ticket: PutTicket,
    events: u64,
    counters: Arc<SourceCounters>,
}

impl RawTicket<Result<Receipt, PutError>> for Counting {
    fn wait(self: Box<Self>) -> Result<Receipt, PutError> {
        let outcome = self.ticket.wait();
        count(&self.counters, self.events, outcome.is_ok());
        outcome.map_err(give_back)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, PutError>> {
        let polled = Pin::new(&mut self.ticket).poll(cx);
        if let Poll::Ready(outcome) = &polled {
            count(&self.counters, self.events, outcome.is_ok());
        }
        polled.map_err(give_back)
    }
}

/// Only this source calls the batch back.
fn give_back(mut error: PutError) -> PutError {
    if let Some(batch) = error.batch_mut() {
        batch.recall = None;
    }
    error
}

fn count(counters: &SourceCounters, events: u64, accepted: bool) {
    if accepted {
        counters.count_accepted(events);
    } else {
        counters.channel_write_fail.fetch_add(1, Ordering::Relaxed);
    }
}
