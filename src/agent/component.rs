//! What every source and sink of a running agent has: a state that can be watched, and supervision.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::backoff::Backoff;
use super::failure::{BoxError, Failure};
use super::signal::Signal;
use crate::shutdown::Shutdown;
use crate::stats::{ComponentStatus, Health};
use crate::tell::tell;

/// Which kind of component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ComponentKind {
    /// The agent itself.
    Agent,
    /// A source.
    Source,
    /// A channel.
    Channel,
    /// A sink.
    Sink,
    /// A group of sinks.
    SinkGroup,
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Source => "source",
            Self::Channel => "channel",
            Self::Sink => "sink",
            Self::SinkGroup => "sink group",
        })
    }
}

/// How a component ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentEnd {
    /// A source that has nothing more to come.
    Done,
    /// It was asked to stop and did.
    Stopped,
    /// It ended with this error.
    Failed(String),
    /// It was asked to stop and had not returned within the grace time; its thread is left behind. It may still commit what
    /// it is at, so the component of that name in the next agent on the same channel is not opened before that thread has
    /// ended: until then it fails, and is tried again. Of a [`Pusher`](crate::agent::Pusher): one of its puts had not returned.
    Stuck,
}

impl fmt::Display for ComponentEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Stuck => f.write_str("stuck"),
        }
    }
}

/// One source or sink under supervision.
pub(super) struct Component {
    pub(super) kind: ComponentKind,
    pub(super) name: String,
    pub(super) stop: Shutdown,
    /// The grace of a stop is over: what cannot be read again is given up, too.
    pub(super) give_up: Shutdown,
    pub(super) signal: Arc<Signal>,
    backoff: Backoff,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    status: ComponentStatus,
    // Whether the first attempt to open is over.
    attempted: bool,
    failed_open: Option<BoxError>,
    // Failures in a row.
    failures: u32,
    end: Option<ComponentEnd>,
    close_error: Option<String>,
    // When a failure was told that changes nothing, by the agent's clock.
    noted: Option<Duration>,
}

impl State {
    fn note(&mut self, failure: &Failure) -> String {
        let message = failure.message();
        self.status.note(&message, matches!(failure, Failure::Panic(_)));
        message
    }
}

impl Component {
    pub(super) fn new(
        kind: ComponentKind,
        name: &str,
        stop: Shutdown,
        signal: Arc<Signal>,
        backoff: Backoff,
    ) -> Arc<Self> {
        Arc::new(Self {
            kind,
            name: name.to_owned(),
            stop,
            give_up: Shutdown::new(),
            signal,
            backoff,
            state: Mutex::default(),
        })
    }

    pub(super) fn status(&self) -> ComponentStatus {
        self.state.lock().status.clone()
    }

    pub(super) fn end(&self) -> Option<ComponentEnd> {
        self.state.lock().end.clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().end.is_some()
    }

    pub(super) fn close_error(&self) -> Option<String> {
        self.state.lock().close_error.clone()
    }

    /// Whether the first attempt to open is over, well or not.
    pub(super) fn has_attempted(&self) -> bool {
        let state = self.state.lock();
        state.attempted || state.end.is_some()
    }

    /// The fatal error of the first attempt to open.
    pub(super) fn take_failed_open(&self) -> Option<BoxError> {
        self.state.lock().failed_open.take()
    }

    /// It is open, or open again.
    pub(super) fn opened(&self) {
        let mut state = self.state.lock();
        state.attempted = true;
        let is_news = std::mem::replace(&mut state.status.health, Health::Running) != Health::Running;
        drop(state);
        if is_news {
            tell!(INFO, "component is open", kind = self.kind, name = self.name);
        }
        self.signal.notify();
    }

    /// It has done something useful: the next failure is the first in a row.
    pub(super) fn progressed(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.status.health = Health::Running;
    }

    /// Makes attempts, with a pause after each that fails, until it is told how the component ends. An attempt opens the
    /// component and works with it; `None` asks for another one at once.
    pub(super) fn supervise(&self, mut attempt: impl FnMut() -> Result<Option<ComponentEnd>, Failure>) -> ComponentEnd {
        loop {
            match attempt() {
                Ok(Some(end)) => return end,
                Ok(None) => {}
                Err(failure) => {
                    if let Some(end) = self.failed(failure) {
                        return end;
                    }
                }
            }
        }
    }

    /// Records a failure. Returns how the component ends, or `None` after a pause if it is to try again.
    pub(super) fn failed(&self, failure: Failure) -> Option<ComponentEnd> {
        let mut state = self.state.lock();
        let message = state.note(&failure);
        let first = !std::mem::replace(&mut state.attempted, true);
        if let Failure::Fatal(error) = failure {
            state.status.health = Health::Failed;
            if first {
                state.failed_open = Some(error);
            }
            drop(state);
            tell!(ERROR, "component failed for good", kind = self.kind, name = self.name, error = message);
            return Some(ComponentEnd::Failed(message));
        }
        state.status.health = Health::Retrying;
        state.status.restarts += 1;
        let pause = self.backoff.pause(state.failures);
        state.failures = state.failures.saturating_add(1);
        drop(state);
        let pause_ms = pause.as_millis();
        tell!(WARN, "component failed", kind = self.kind, name = self.name, error = message, pause_ms = pause_ms);
        self.signal.notify();
        self.stop.sleep(pause).then_some(ComponentEnd::Stopped)
    }

    /// Records a failure of closing, which is not tried again.
    pub(super) fn failed_to_close(&self, failure: &Failure) {
        let message = self.state.lock().note(failure);
        tell!(ERROR, "component failed to close", kind = self.kind, name = self.name, error = message);
        self.state.lock().close_error = Some(message);
    }

    /// Records a failure that changes nothing for the component.
    pub(super) fn note(&self, failure: &Failure) {
        let now = self.signal.now();
        let mut state = self.state.lock();
        let message = state.note(failure);
        // There may be one for each event.
        let is_due = state.noted.is_none_or(|last| now.saturating_sub(last) >= NOTE_INTERVAL);
        if is_due {
            state.noted = Some(now);
        }
        drop(state);
        if is_due {
            tell!(WARN, "component goes on after a failure", kind = self.kind, name = self.name, error = message);
        } else {
            tell!(DEBUG, "component goes on after a failure", kind = self.kind, name = self.name, error = message);
        }
    }

    pub(super) fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// Its thread is about to end.
    pub(super) fn ended(&self, end: ComponentEnd) {
        let mut state = self.state.lock();
        let is_first = state.end.is_none();
        let told = end.to_string();
        let is_bad = matches!(end, ComponentEnd::Failed(_) | ComponentEnd::Stuck);
        if is_first {
            state.status.health = if matches!(end, ComponentEnd::Failed(_)) { Health::Failed } else { Health::Ended };
            state.end = Some(end);
        }
        drop(state);
        if is_first && is_bad {
            tell!(ERROR, "component ended", kind = self.kind, name = self.name, end = told);
        } else if is_first {
            tell!(INFO, "component ended", kind = self.kind, name = self.name, end = told);
        }
        self.signal.notify();
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}

/// How often a failure is told that changes nothing for the component.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
