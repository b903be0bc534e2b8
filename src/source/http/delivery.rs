//! From a complete request to committed events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::events::Events;
use super::hold::Hold;
use super::settings::Settings;
use super::{Ack, Handler, Rejection, Request, body};
use crate::batch::PutBatch;
use crate::clock::{Clock, SystemClock};
use crate::error::PutError;
use crate::event::Event;
use crate::limits::{HTTP_FULL_PAUSE_MIN, HTTP_WAITING_MAX, SOURCE_FULL_WAIT};
use crate::source::SourceContext;
use crate::source::net::{TaskSignals, race};
use crate::ticket::PutTicket;
use crate::wait::{Recall, Wait};

/// What all connections of a source share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) context: SourceContext,
    clock: SystemClock,
    // Permits of the threads that make events of requests, and of those that wait for room in a channel.
    workers: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A complete request.
pub(super) struct Complete {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) is_packed: bool,
    pub(super) peer: SocketAddr,
    pub(super) hold: Arc<Hold>,
    pub(super) signals: TaskSignals,
}

/// How far a request came in a worker thread.
enum Step {
    /// There was no event in it.
    Nothing,
    /// So many events are on their way.
    Put(Result<PutTicket, PutError>, u64),
    /// The client is answered first.
    Told(Vec<Event>),
}

/// What the client is told of a good request.
#[derive(Debug)]
pub(super) enum Told {
    Committed,
    /// The events are received, and the task puts them.
    Received(JoinHandle<()>),
}

impl Shared {
    pub(super) fn new(settings: Settings, handler: Arc<dyn Handler>, context: SourceContext) -> Self {
        let workers = Arc::new(Semaphore::new(settings.workers.min(Semaphore::MAX_PERMITS)));
        let waiting = Arc::new(Semaphore::new(HTTP_WAITING_MAX));
        Self { settings, handler, context, clock: SystemClock::new(), workers, waiting }
    }

    /// Makes events of a request and puts them. What blocks, or may take long, is done in worker threads.
    ///
    /// Whoever waits for this may give up: it goes on as a task of its own, so that what is committed is counted.
    pub(super) async fn deliver(self: Arc<Self>, request: Complete) -> Result<Told, Rejection> {
        let (hold, signals) = (Arc::clone(&request.hold), request.signals.clone());
        let this = Arc::clone(&self);
        let step = self.in_worker(&signals, move || this.first_step(request)).await.and_then(|step| step);
        let step = step.inspect_err(|_| {
            hold.release();
            count(&self.context.counters().event_read_fail, 1);
        })?;
        match step {
            Step::Nothing => hold.release(),
            Step::Put(outcome, events) => {
                let outcome = self.settle(outcome, events, &signals).await;
                hold.release();
                outcome.map_err(|error| self.refusal(&error))?;
            }
            Step::Told(events) => {
                return Ok(Told::Received(tokio::spawn(self.put_told(events, hold, signals))));
            }
        }
        Ok(Told::Committed)
    }

    fn first_step(&self, request: Complete) -> Result<Step, Rejection> {
        let Complete { head, mut body, is_packed, peer, hold, .. } = request;
        let settings = &self.settings;
        let mut before = body.len();
        if is_packed {
            body = body::unpack(&body, &hold, settings.body_bytes_max)?;
            before += body.len();
        }
        let mut events = Events::new(&hold, before, settings.batch_events_max);
        let outcome = self.handler.events(&Request::new(head, body, peer), &mut events);
        // A limit that was passed is the reason, whatever the handler made of it.
        let events = events.finish()?;
        outcome?;
        Ok(match settings.ack {
            _ if events.is_empty() => Step::Nothing,
            Ack::OnReceipt => Step::Told(events),
            Ack::AfterCommit => {
                let number = events.len() as u64;
                Step::Put(self.context.submit(PutBatch::new(events), Some(Wait::NONE)), number)
            }
        })
    }

    /// Puts events that the client takes for accepted already.
    async fn put_told(self: Arc<Self>, events: Vec<Event>, hold: Arc<Hold>, signals: TaskSignals) {
        let number = events.len() as u64;
        let this = Arc::clone(&self);
        let submit = move || this.context.submit(PutBatch::new(events), Some(Wait::NONE));
        let committed = match self.in_worker(&signals, submit).await {
            Ok(outcome) => self.settle(outcome, number, &signals).await.is_ok(),
            Err(_) => false,
        };
        hold.release();
        if !committed {
            count(&self.context.counters().channel_write_fail, 1);
            count(&self.context.counters().dropped_events, number);
        }
    }

    /// Waits for the outcome of a put. A channel that is full is asked again until the time for that is over; nobody else is
    /// blocked meanwhile.
    async fn settle(
        self: &Arc<Self>,
        mut outcome: Result<PutTicket, PutError>,
        events: u64,
        signals: &TaskSignals,
    ) -> Result<(), PutError> {
        let (end, mut pause) = (self.clock.monotonic().saturating_add(self.settings.full_timeout), HTTP_FULL_PAUSE_MIN);
        loop {
            let committed = match outcome {
                Ok(ticket) => ticket.await,
                Err(error) => Err(error),
            };
            let (channel, reason, batch) = match committed {
                Ok(_) => {
                    count(&self.context.counters().accepted_events, events);
                    count(&self.context.counters().accepted_batches, 1);
                    return Ok(());
                }
                Err(PutError::Full { channel, reason, batch }) => (channel, reason, batch),
                Err(error) => return Err(error),
            };
            let left = end.saturating_sub(self.clock.monotonic());
            if left.is_zero() || signals.is_stopping() {
                return Err(PutError::Full { channel, reason, batch });
            }
            race(sleep(pause.min(left)), signals.stopping()).await;
            pause = (pause * 2).min(SOURCE_FULL_WAIT);
            let left = end.saturating_sub(self.clock.monotonic());
            outcome = match self.put_again(*batch, left, signals).await {
                Ok(outcome) => outcome,
                // The batch is gone with the worker.
                Err(rejection) => Err(PutError::Component {
                    component: format!("the put into channel {channel}"),
                    reason: rejection.reason().to_owned(),
                    batch: Box::default(),
                }),
            };
        }
    }

    /// Tries once more: in the line of those who wait for room, if there is a thread left for that. Whoever only looks from time
    /// to time is refused as long as anybody stands there.
    async fn put_again(
        self: &Arc<Self>,
        mut batch: PutBatch,
        left: Duration,
        signals: &TaskSignals,
    ) -> Result<Result<PutTicket, PutError>, Rejection> {
        let this = Arc::clone(self);
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return self.in_worker(signals, move || this.context.submit_counted(batch, Some(Wait::NONE))).await;
        };
        batch.recall = Some(Recall::new(self.context.shutdown().clone()));
        in_thread(signals, place, move || this.context.submit_counted(batch, Some(Wait::up_to(left)))).await
    }

    /// Runs `job` in a worker thread, once there is one for it.
    async fn in_worker<T: Send + 'static>(
        &self,
        signals: &TaskSignals,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        match Arc::clone(&self.workers).acquire_owned().await {
            Ok(worker) => in_thread(signals, worker, job).await,
            Err(_) => Err(Rejection::busy("the source is stopping")),
        }
    }

    fn refusal(&self, error: &PutError) -> Rejection {
        count(&self.context.counters().channel_write_fail, 1);
        let reason = error.to_string();
        match error {
            // It would fail again and again.
            PutError::TooLarge { .. } => Rejection::too_large(reason),
            PutError::ForeignChannel { .. } | PutError::Component { .. } | PutError::Indeterminate { .. } => {
                Rejection::failed(reason)
            }
            _ => Rejection::busy(reason),
        }
    }
}

/// Runs `job` in a thread that `permit` allows for.
async fn in_thread<T: Send + 'static>(
    signals: &TaskSignals,
    permit: OwnedSemaphorePermit,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Rejection> {
    let permitted = move || {
        let _permit = permit;
        job()
    };
    spawn_blocking(permitted).await.map_err(|error| {
        if error.is_panic() {
            signals.handle.count_panic();
            Rejection::failed("the request made a part of the source fail")
        } else {
            Rejection::busy("the source is stopping")
        }
    })
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
