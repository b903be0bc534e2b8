//! One sink of a group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::super::{Delivered, Sink, SinkBatch, SinkContext, SinkError, count};
use super::monitor::Watch;
use crate::error::{chain, panic_message};
use crate::stats::Health;
use crate::tell::tell;

pub(super) struct Member {
    pub(super) watch: Arc<Watch>,
    sink: Box<dyn Sink>,
    /// Events at once, at most.
    pub(super) batch: usize,
    pub(super) context: Option<SinkContext>,
    /// Whether it was opened and has not failed since.
    pub(super) is_open: bool,
    /// Whether it has ended for good.
    pub(super) is_over: bool,
    pub(super) last_active: Duration,
    /// Events that it has delivered and that are not committed yet.
    uncommitted: usize,
}

/// What an error means for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It is opened again at its next turn.
    Retry,
    /// The same, and the event is to blame.
    Permanent,
    /// It has ended.
    Fatal,
}

/// Why a call of a member did not succeed.
struct Failure {
    class: Class,
    message: String,
    is_panic: bool,
    error: SinkError,
}

impl Member {
    pub(super) fn new(name: String, sink: Box<dyn Sink>, batch: usize) -> Self {
        let watch = Arc::new(Watch::new(name));
        let (context, last_active) = (None, Duration::ZERO);
        Self { watch, sink, batch, context, is_open: false, is_over: false, last_active, uncommitted: 0 }
    }

    /// Opens the sink if it is not open. Returns whether it is.
    pub(super) fn ensure_open(&mut self, now: Duration) -> Result<bool, Class> {
        if self.is_open || self.is_over {
            return Ok(self.is_open);
        }
        let Some(context) = &self.context else { return Ok(false) };
        let opened = guarded(|| self.sink.open(context));
        match opened {
            Ok(()) => {
                self.is_open = true;
                self.last_active = now;
                self.watch.status().health = Health::Running;
                Ok(true)
            }
            Err(failure) => Err(self.fail(failure).0),
        }
    }

    /// Shows a batch, or as much of it as the sink may have at once. Returns how many of the events were delivered.
    pub(super) fn write(&mut self, batch: &mut SinkBatch<'_>, now: Duration) -> Result<usize, (Class, SinkError)> {
        let Some(context) = &self.context else { return Ok(0) };
        self.last_active = now;
        let mut part = batch.part(self.batch, context);
        let shown = part.events().len();
        let counters = &self.watch.counters;
        count(if shown < self.batch { &counters.batch_underflow } else { &counters.batch_complete }, 1);
        count(&counters.drain_attempt_events, shown);
        match guarded(|| self.sink.write(&mut part)) {
            Ok(delivered) => {
                self.uncommitted = match delivered {
                    Delivered::All => shown,
                    Delivered::First(first) => first.min(shown),
                };
                Ok(self.uncommitted)
            }
            Err(failure) => {
                count(&counters.write_fail, 1);
                Err(self.fail(failure))
            }
        }
    }

    pub(super) fn committed(&mut self) -> Result<(), Class> {
        count(&self.watch.counters.drain_success_events, std::mem::take(&mut self.uncommitted));
        let committed = guarded(|| self.sink.committed());
        self.watch.status().health = Health::Running;
        committed.map_err(|failure| self.fail(failure).0)
    }

    pub(super) fn idle(&mut self, now: Duration) -> Result<(), Class> {
        self.last_active = now;
        let idled = guarded(|| self.sink.idle());
        idled.map_err(|failure| self.fail(failure).0)
    }

    /// Closes the sink, unless it has ended before. Returns what is to be said about it if that failed.
    pub(super) fn close(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        self.is_open = false;
        self.is_over = true;
        let closed = guarded(|| self.sink.close());
        let mut status = self.watch.status();
        if status.health != Health::Failed {
            status.health = Health::Ended;
        }
        let failure = closed.err()?;
        status.note(&failure.message, failure.is_panic);
        drop(status);
        tell!(ERROR, "sink of a group failed to close", name = self.watch.name, error = failure.message);
        self.watch.failed_to_close(failure.message.clone());
        Some(format!("{}: {}", self.watch.name, failure.message))
    }

    fn fail(&mut self, failure: Failure) -> (Class, SinkError) {
        let Failure { class, message, is_panic, error } = failure;
        self.is_open = false;
        self.uncommitted = 0;
        let is_final = class == Class::Fatal;
        tell!(WARN, "sink of a group failed", name = self.watch.name, error = message, for_good = is_final);
        let mut status = self.watch.status();
        status.note(&message, is_panic);
        if is_final {
            status.health = Health::Failed;
            drop(status);
            let _ = self.close();
        } else {
            status.health = Health::Retrying;
            status.restarts += 1;
        }
        (class, error)
    }
}

/// Calls a sink; a panic becomes an error that can pass, as in an agent.
fn guarded<T>(call: impl FnOnce() -> Result<T, SinkError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let (class, message) = match &error {
                SinkError::Retry(cause) => (Class::Retry, chain(&**cause)),
                SinkError::Permanent(cause) => (Class::Permanent, chain(&**cause)),
                SinkError::Fatal(cause) => (Class::Fatal, chain(&**cause)),
            };
            Err(Failure { class, message, is_panic: false, error })
        }
        Err(panic) => {
            let message = format!("panicked: {}", panic_message(&*panic));
            let error = SinkError::retry(message.clone());
            Err(Failure { class: Class::Retry, message, is_panic: true, error })
        }
    }
}
