//! Tests of agents, with memory channels and with components that tell what is done to them.

mod building;
mod channels;
mod fan_out;
mod groups;
mod leases;
mod life;
mod pushing;
mod splitting;
mod supervision;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Agent, AgentBuilder, Backoff, RunningAgent};
use crate::channel::{Channel, MemoryChannel};
use crate::event::Event;
use crate::sink::{Delivered, SinkError};
use crate::source::{PullBatch, Pulled, SourceError};

/// Long enough that only a hang gets there.
pub(super) const HANG: Duration = Duration::from_secs(60);

/// Pauses that do not hold a test up.
pub(super) fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(1), Duration::from_millis(2))
}

/// What happened, in order, told from any thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn add(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// A closure sink that notes every body.
    pub(super) fn sink(&self) -> impl FnMut(&[Event]) -> Result<Delivered, SinkError> + Send + 'static {
        let log = self.clone();
        move |events: &[Event]| {
            for event in events {
                log.add(text(event));
            }
            Ok(Delivered::All)
        }
    }
}

pub(super) fn text(event: &Event) -> String {
    String::from_utf8_lossy(event.body()).into_owned()
}

/// The numbers below `count`, one poll for each `per_poll` of them, then done.
pub(super) fn numbers(
    count: u64,
    per_poll: u64,
) -> impl FnMut(&mut PullBatch) -> Result<Pulled, SourceError> + Send + 'static {
    let mut next = 0;
    move |out: &mut PullBatch| {
        for _ in 0..per_poll {
            if next < count {
                out.push(next.to_string());
                next += 1;
            }
        }
        Ok(if next == count { Pulled::Done } else { Pulled::More })
    }
}

pub(super) fn numbers_text(count: u64) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

pub(super) fn start(builder: AgentBuilder) -> RunningAgent {
    builder.build().unwrap().start().unwrap()
}

/// Waits until a condition holds; fails if it never does.
pub(super) fn wait_for(running: &RunningAgent, what: &str, condition: impl FnMut() -> bool) {
    let end = running.signal.now() + HANG;
    assert!(running.signal.wait_until(Some(end), condition), "waited in vain for: {what}; {:#?}", running.stats());
}

/// The bodies in a channel, in order, left where they are.
pub(super) fn peek(channel: &dyn Channel) -> Vec<String> {
    channel.take(usize::MAX, crate::Wait::NONE).unwrap().iter().map(text).collect()
}

pub(super) fn memory(name: &str) -> MemoryChannel {
    MemoryChannel::new(name)
}

pub(super) fn small(name: &str, events: u64) -> MemoryChannel {
    MemoryChannel::builder(name).capacity_events(events).build().unwrap()
}

pub(super) fn agent() -> AgentBuilder {
    Agent::builder("test")
}
