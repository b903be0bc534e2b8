//! The way from a source to its channels: interceptors, selector, transactions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::component::Component;
use super::failure::Failure;
use super::memory::part_with_others;
use super::routing::{Group, Routing, group};
use crate::batch::{PutBatch, Resume, Routes};
use crate::channel::Channel;
use crate::error::{PutError, panic_message};
use crate::event::Event;
use crate::interceptor::Interceptor;
use crate::selector::Selector;
use crate::source::{SourceCounters, SourcePort};
use crate::ticket::{PutTicket, Receipt};
use crate::wait::Wait;

/// What the agent gives to a source as its [`SourcePort`].
///
/// The required channels are sorted into groups, one transaction each. Positions go with the last group, so that they
/// are never ahead of the events. A batch that is given back carries how far it came, see [`Resume`].
pub(super) struct Port {
    component: Arc<Component>,
    interceptors: Vec<Box<dyn Interceptor>>,
    selector: Option<Box<dyn Selector>>,
    // The required channels, then the optional ones, and their names; indices are the selector's places.
    channels: Vec<Arc<dyn Channel>>,
    names: Vec<String>,
    required: usize,
    groups: Vec<Group>,
    counters: Arc<SourceCounters>,
    identity: Arc<()>,
}

/// What a source's events pass, and where they go.
pub(super) struct Path {
    pub(super) interceptors: Vec<Box<dyn Interceptor>>,
    pub(super) selector: Option<Box<dyn Selector>>,
    pub(super) required: Vec<(String, Arc<dyn Channel>)>,
    pub(super) optional: Vec<(String, Arc<dyn Channel>)>,
}

impl Port {
    pub(super) fn new(component: Arc<Component>, path: Path, counters: Arc<SourceCounters>) -> Self {
        let required = path.required.len();
        let (names, channels): (Vec<_>, Vec<_>) = path.required.into_iter().chain(path.optional).unzip();
        let groups = group(channels.get(..required).unwrap_or_default());
        Self {
            component,
            interceptors: path.interceptors,
            selector: path.selector,
            channels,
            names,
            required,
            groups,
            counters,
            identity: Arc::new(()),
        }
    }

    /// The channel that has the source's positions.
    pub(super) fn with_positions(&self) -> Option<&Arc<dyn Channel>> {
        self.groups.last().and_then(Group::first)
    }

    /// Whether events go to one transaction as they are.
    fn is_direct(&self) -> bool {
        self.interceptors.is_empty() && self.selector.is_none() && self.channels.len() == 1
    }

    fn fresh_resume(&self, received: usize) -> Resume {
        let source = self.identity.clone();
        Resume {
            source,
            received,
            intercepted: 0,
            routed: false,
            pending: Vec::new(),
            begun: false,
            optional: Vec::new(),
        }
    }

    /// How far the batch came before, if it was this port that gave it back.
    fn resume_of(&self, batch: &mut PutBatch) -> Resume {
        match batch.resume.take() {
            Some(resume) if Arc::ptr_eq(&resume.source, &self.identity) => *resume,
            Some(_) => {
                batch.routes = Routes::default();
                self.fresh_resume(batch.events.len())
            }
            None => self.fresh_resume(batch.events.len()),
        }
    }

    /// A panic of an interceptor or selector. It is recorded here, whoever the source tells.
    fn defect(&self, component: &str, reason: String, mut batch: PutBatch, resume: Resume) -> PutError {
        let component = format!("{component} of source {}", self.component.name);
        self.component.note(&Failure::Panic(format!("{component} failed: {reason}")));
        batch.resume = Some(Box::new(resume));
        PutError::Component { component, reason, batch: Box::new(batch) }
    }

    /// Runs the interceptors over the events that have not passed them yet. After a panic the batch holds what passed, the
    /// event it happened on, and the rest.
    fn intercept(&self, batch: &mut PutBatch, resume: &mut Resume) -> Result<(), (String, String)> {
        if self.interceptors.is_empty() {
            resume.intercepted = batch.events.len();
        }
        if resume.intercepted >= batch.events.len() {
            return Ok(());
        }
        let mut passed = Vec::with_capacity(batch.events.len());
        let mut pending = std::mem::take(&mut batch.events).into_iter();
        passed.extend(pending.by_ref().take(resume.intercepted));
        let mut current = None;
        let mut number = 0;
        let mut dropped = 0;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for event in pending.by_ref() {
                current = Some(event.clone());
                number = 0;
                let mut kept = Some(event);
                for interceptor in &self.interceptors {
                    number += 1;
                    kept = kept.and_then(|event| interceptor.intercept(event));
                }
                match kept {
                    Some(event) => passed.push(event),
                    None => dropped += 1,
                }
            }
            current = None;
        }));
        if outcome.is_ok() {
            part_with_others(&mut passed, resume.received);
        }
        resume.intercepted = passed.len();
        self.counters.intercepted_events.fetch_add(dropped, Ordering::Relaxed);
        passed.extend(current);
        passed.extend(pending);
        batch.events = passed;
        outcome.map_err(|panic| (format!("interceptor {number}"), format!("it panicked: {}", panic_message(&*panic))))
    }

    /// Decides which events go where. One group finds its part in `batch`, several in `resume.pending`.
    fn route(&self, batch: &mut PutBatch, resume: &mut Resume) -> Result<(), String> {
        let mut routing = self.routing(batch)?;
        self.counters.unrouted_events.fetch_add(routing.unrouted, Ordering::Relaxed);
        let offers = std::mem::take(&mut routing.offers);
        resume.optional = offers.into_iter().enumerate().filter(|(_, events)| !events.is_empty()).collect();
        resume.routed = true;
        let last = routing.parts.len().saturating_sub(1);
        if last == 0 {
            let part = routing.parts.pop().unwrap_or_default();
            resume.intercepted = part.events.len();
            batch.events = part.events;
            batch.routes = part.routes;
            return Ok(());
        }
        for (number, mut part) in routing.parts.into_iter().enumerate() {
            part.durability = batch.durability;
            if number == last {
                part.positions.clone_from(&batch.positions);
            }
            if !part.is_empty() {
                resume.pending.push((number, part));
            }
        }
        resume.pending.reverse();
        Ok(())
    }

    fn routing(&self, batch: &mut PutBatch) -> Result<Routing, String> {
        let Some(selector) = &self.selector else {
            // Several transactions: the batch keeps its events for the case that it is given back.
            let events = if self.groups.len() > 1 { batch.events.clone() } else { std::mem::take(&mut batch.events) };
            return Ok(Routing::replicate(events, &self.groups, self.required, self.channels.len()));
        };
        catch_unwind(AssertUnwindSafe(|| {
            Routing::select(&batch.events, &**selector, &self.groups, &self.names, self.required)
        }))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_message(&*panic))))
    }

    /// Starts the only commit and leaves its outcome to the ticket; with events for optional channels, which get them once the
    /// others have theirs, it is waited for.
    fn commit_one(&self, mut batch: PutBatch, mut resume: Resume, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let optional = std::mem::take(&mut resume.optional);
        let Some(group) = self.groups.first().filter(|_| !batch.is_empty()) else {
            self.offer(optional);
            return Ok(PutTicket::ready(Ok(Receipt::default())));
        };
        // A batch that comes back through the ticket has its optional puts behind it: they follow below.
        let begun = std::mem::replace(&mut resume.begun, true);
        batch.resume = Some(Box::new(resume));
        let committed = group.submit(batch, wait).and_then(|ticket| {
            if optional.is_empty() { Ok(ticket) } else { ticket.wait().map(|receipt| PutTicket::ready(Ok(receipt))) }
        });
        match committed {
            Ok(ticket) => {
                self.offer(optional);
                Ok(ticket)
            }
            Err(mut error) => {
                if let Some(batch) = error.batch_mut() {
                    let mut resume =
                        batch.resume.take().map_or_else(|| self.fresh_resume(batch.events.len()), |resume| *resume);
                    resume.intercepted = batch.events.len();
                    resume.routed = true;
                    resume.begun = begun;
                    resume.optional = optional;
                    batch.resume = Some(Box::new(resume));
                }
                Err(error)
            }
        }
    }

    /// Commits one group after the other and waits for each, so that a position never is ahead of its events.
    fn commit_all(&self, mut batch: PutBatch, mut resume: Resume, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let mut receipt = Receipt::default();
        while let Some((number, mut part)) = resume.pending.pop() {
            let Some(group) = self.groups.get(number) else { continue };
            part.recall.clone_from(&batch.recall);
            match group.submit(part, wait).and_then(PutTicket::wait) {
                Ok(committed) => {
                    let (dropped, diverted) = (receipt.dropped, receipt.diverted);
                    receipt = committed;
                    receipt.dropped += dropped;
                    receipt.diverted += diverted;
                    resume.begun = true;
                }
                Err(mut error) => {
                    if let Some(given_back) = error.batch_mut() {
                        resume.pending.push((number, std::mem::take(given_back)));
                        batch.resume = Some(Box::new(resume));
                        *given_back = batch;
                    }
                    return Err(error);
                }
            }
        }
        self.offer(resume.optional);
        Ok(PutTicket::ready(Ok(receipt)))
    }

    /// Puts events into optional channels, if there is room at once. Nobody waits for the storage on their behalf, so
    /// only what is decided at once is counted as failed.
    fn offer(&self, optional: Vec<(usize, Vec<Event>)>) {
        for (place, events) in optional {
            let Some(channel) = self.channels.get(place) else { continue };
            let count = events.len() as u64;
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let mut transaction = channel.begin_put();
                transaction.set_batch(PutBatch::new(events));
                transaction.set_wait(Wait::NONE);
                let mut ticket = transaction.submit()?;
                match Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(outcome) => outcome.map(drop),
                    Poll::Pending => Ok(()),
                }
            }));
            if !matches!(outcome, Ok(Ok(()))) {
                self.counters.optional_failed_events.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

impl SourcePort for Port {
    fn submit(&self, mut batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        if self.is_direct()
            && batch.resume.is_none()
            && let Some(group) = self.groups.first().filter(|_| !batch.is_empty())
        {
            return group.submit(batch, wait);
        }
        let mut resume = self.resume_of(&mut batch);
        if let Err((component, reason)) = self.intercept(&mut batch, &mut resume) {
            return Err(self.defect(&component, reason, batch, resume));
        }
        if !resume.routed
            && let Err(reason) = self.route(&mut batch, &mut resume)
        {
            return Err(self.defect("selector", reason, batch, resume));
        }
        if self.groups.len() > 1 { self.commit_all(batch, resume, wait) } else { self.commit_one(batch, resume, wait) }
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.with_positions().and_then(|channel| Channel::position(&**channel, owner))
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let channel = self.groups.last().and_then(Group::first);
        channel.map(|channel| Channel::positions(&**channel, prefix)).unwrap_or_default()
    }
}
