//! Agents: sources, channels and sinks put together and kept running.
//!
//! An agent is described with [`Agent::builder`], checked as a whole by [`AgentBuilder::build`], and started by
//! [`Agent::start`]. Every pull source and every sink has a thread of its own; a listener brings its own threads.
//!
//! # Supervision
//!
//! An error that can pass, or a panic, of a source or sink leads to a pause and another attempt; the pauses grow
//! ([`Backoff`]). An error that will not pass ends that component; the others go on. Both are visible in
//! [`RunningAgent::stats`]. Interceptors and selectors that panic fail the put, which is tried again, too.
//!
//! # What is guaranteed
//!
//! Nothing leaves a channel before its sink has delivered it, and the order of a channel is kept by a single sink. A pull
//! source's batch that cannot be committed is tried again as it is: its events do not pass the interceptors again, and a
//! channel that has it does not get it again. Between a sink's delivery and the commit of its take, and between the
//! commits of channels that do not share a store, a crash leads to repetition, never to loss. A sink that keeps its
//! position in the take, and a source that keeps it in the put, avoid repetition, too.

mod backoff;
mod builder;
mod component;
mod dead_letter;
mod failure;
mod grouping;
mod into;
mod memory;
mod mistake;
mod port;
mod pusher;
mod report;
mod routing;
mod running;
mod signal;
mod sink_runner;
mod source_runner;
mod start;
mod topology;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::channel::Channel;
pub use crate::stats::{ComponentStatus, Health};
pub use backoff::Backoff;
pub use builder::{AgentBuilder, PermanentPolicy, SinkBuilder, SourceBuilder};
pub use component::{ComponentEnd, ComponentKind};
pub use grouping::SinkGroupBuilder;
pub use into::{AnySource, IntoSink, IntoSource, marker};
pub(crate) use mistake::nearest;
pub use mistake::{BuildErrors, Mistake};
pub use pusher::Pusher;
pub use report::{
    AgentStats, ChannelLeft, ChannelSnapshot, ComponentReport, Drain, Outcome, RunError, ShutdownError, ShutdownReport,
    SinkGroupSnapshot, SinkSnapshot, SourceSnapshot, StartError, UnknownPusher,
};
pub use running::RunningAgent;

use crate::wait::Wait;

/// An agent that was checked and can be started.
///
/// ```
/// use aqueduct::MemoryChannel;
/// use aqueduct::sink::{self, Delivered};
/// use aqueduct::{Agent, Drain, Event};
/// use std::time::Duration;
///
/// let agent = Agent::builder("edge")
///     .channel("mem", MemoryChannel::new("mem"))
///     .pusher("app")
///     .interceptor(|event: Event| (!event.body().is_empty()).then_some(event))
///     .to(["mem"])
///     .sink("print", sink::from_fn(|events| {
///         events.iter().for_each(|event| println!("{:?}", event.body()));
///         Ok(Delivered::All)
///     }))
///     .from("mem")
///     .build()?;
/// let running = agent.start()?;
/// running.pusher("app")?.put("hello")?;
/// let report = running.shutdown(Drain::up_to(Duration::from_secs(30)))?;
/// assert!(report.is_drained());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Agent {
    topology: topology::Topology,
}

impl Agent {
    fn new(topology: topology::Topology) -> Self {
        Self { topology }
    }

    /// Begins the description of an agent.
    ///
    /// Its name is part of the positions of its sources and sinks (`<agent>/source/<name>/`, `<agent>/sink/<name>/`). So it must
    /// stay the same over restarts: under another name they begin at the beginning. And no two agents with channels of
    /// one store may have the same name: nothing tells their positions apart then.
    pub fn builder(name: impl Into<String>) -> AgentBuilder {
        AgentBuilder::new(name.into())
    }

    /// The name of the agent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.topology.name
    }

    /// The same agent on other channels of the same names, in their order; whether it closes them when it stops.
    pub(crate) fn on_channels(
        mut self,
        channels: Vec<(String, Arc<dyn Channel>)>,
        close: bool,
    ) -> Result<Self, BuildErrors> {
        let plans = channels.into_iter().map(|(name, channel)| topology::ChannelPlan { name, channel, close });
        self.topology.channels = plans.collect();
        self.topology.check_same().map(|()| self)
    }

    /// Starts the sinks, then the sources, and returns once every source is open, so that listeners accept connections.
    /// A source whose opening fails for now is tried again while the agent runs.
    ///
    /// # Blocking
    /// Until every source's first attempt to open is over, and for the sinks' at most
    /// [`SINK_OPEN_WAIT`](crate::limits::SINK_OPEN_WAIT).
    ///
    /// # Errors
    /// If a channel is closed, a source or sink says that it cannot be opened without a person, or there is no thread for it.
    /// What was started is stopped again then, and the channels stay open.
    pub fn start(self) -> Result<RunningAgent, StartError> {
        start::start(self.topology)
    }

    /// Runs until all sources are done and all channels that have sinks are empty, or until the limit; then stops.
    ///
    /// ```
    /// use aqueduct::agent::Outcome;
    /// use aqueduct::MemoryChannel;
    /// use aqueduct::sink::{self, Delivered};
    /// use aqueduct::source::{self, Pulled};
    /// use aqueduct::{Agent, Wait};
    ///
    /// let mut lines = "one two three".split(' ');
    /// let report = Agent::builder("job")
    ///     .channel("mem", MemoryChannel::new("mem"))
    ///     .source("words", source::from_fn(move |out| match lines.next() {
    ///         None => Ok(Pulled::Done),
    ///         Some(word) => {
    ///             out.push(word);
    ///             Ok(Pulled::More)
    ///         }
    ///     }))
    ///     .to(["mem"])
    ///     .sink("null", sink::from_fn(|_| Ok(Delivered::All)))
    ///     .from("mem")
    ///     .build()?
    ///     .run_to_completion(Wait::FOREVER)?;
    /// assert_eq!(report.outcome, Outcome::Completed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it could not be started, or a channel could not be closed in good order. Other failures are in the report.
    pub fn run_to_completion(self, limit: Wait) -> Result<ShutdownReport, RunError> {
        let running = self.start()?;
        let _ = running.wait_done(limit);
        Ok(running.shutdown(Drain::NONE)?)
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topology.fmt(f)
    }
}
