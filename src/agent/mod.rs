//! Agents: sources, channels and sinks put together and kept running.
//!
//! An agent is described with [`Agent::builder`], checked as a whole by [`AgentBuilder::build`], and started by
//! [`Agent::start`]. Every pull source and every sink has a thread of its own; a listener brings its own threads.
//!
//! # Supervision
//!
//! If a source or sink panics, or returns an error that can pass, there is a pause and then another attempt; the pauses grow
//! ([`Backoff`]). An error that will not pass ends that component; the others go on. Both are visible in
//! [`RunningAgent::stats`]. A panic of an interceptor or selector fails the put, which is then tried again, too.
//!
//! # What is guaranteed
//!
//! Nothing leaves a channel before its sink has delivered it, and a single sink keeps the order of its channel. If a pull
//! source's batch cannot be committed, it is tried again as it is: its events do not pass the interceptors again, and a
//! channel that has it does not get it again. A crash between a sink's delivery and the commit of its take, or between the
//! commits of channels that do not share a store, leads to repetition, never to loss. A sink that keeps its position in the
//! take, and a source that keeps it in the put, avoid repetition, too.

mod backoff;
mod builder;
mod circle;
mod claim;
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
    /// The owners of its sources' and sinks' positions begin with its name (`<agent>/source/<name>/`, `<agent>/sink/<name>/`). So
    /// the name must stay the same over restarts: under another one they begin at the beginning. And two agents with channels of
    /// one store must have different names, or they would use each other's positions.
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
    /// Until every source has tried once to open, and for the sinks' first attempts at most
    /// [`SINK_OPEN_WAIT`](crate::limits::SINK_OPEN_WAIT).
    ///
    /// # Errors
    /// If a channel is closed, opening a source or sink fails with an error that will not pass, or there is no thread for it. What
    /// was started is then stopped again, and the channels stay open.
    pub fn start(self) -> Result<RunningAgent, StartError> {
        start::start(self.topology)
    }

    /// Runs until all sources are done and all channels that have sinks are empty, or until the limit; then stops.
    ///
    /// # Blocking
    /// As long as `limit` says; then for the grace of a stop ([`Drain::NONE`]).
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
    /// If the agent could not be started, or a channel could not be closed cleanly. Other failures are in the report.
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
