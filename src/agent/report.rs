//! What an agent tells about itself: while it runs, and when it has stopped.

use std::sync::Arc;
use std::time::Duration;

use super::component::{ComponentEnd, ComponentKind};
use crate::channel::Channel;
use crate::error::StorageError;
use crate::stats::{ChannelStats, ComponentStatus, SinkStats, SourceStats};

/// State and counters of a running agent at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentStats {
    /// Name of the agent.
    pub name: String,
    /// Time since it was started.
    pub uptime: Duration,
    /// Its channels, in the order they were described.
    pub channels: Vec<ChannelSnapshot>,
    /// Its sources.
    pub sources: Vec<SourceSnapshot>,
    /// Its sinks, those of groups included.
    pub sinks: Vec<SinkSnapshot>,
    /// Its groups of sinks.
    pub groups: Vec<SinkGroupSnapshot>,
}

impl AgentStats {
    /// The counters of a channel.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&ChannelStats> {
        self.channels.iter().find(|channel| channel.name == name).map(|channel| &channel.stats)
    }

    /// State and counters of a source.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&SourceSnapshot> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// State and counters of a sink.
    #[must_use]
    pub fn sink(&self, name: &str) -> Option<&SinkSnapshot> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    /// State and counters of a group of sinks.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&SinkGroupSnapshot> {
        self.groups.iter().find(|group| group.name == name)
    }
}

/// A channel at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelSnapshot {
    /// Its name in the agent.
    pub name: String,
    /// Its counters.
    pub stats: ChannelStats,
}

/// A source at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceSnapshot {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: ComponentStatus,
    /// Its counters.
    pub stats: SourceStats,
}

/// A sink at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkSnapshot {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: ComponentStatus,
    /// Its counters.
    pub stats: SinkStats,
}

/// A group of sinks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkGroupSnapshot {
    /// Its name.
    pub name: String,
    /// The names of its sinks.
    pub sinks: Vec<String>,
    /// How it is as a whole.
    pub status: ComponentStatus,
    /// What was taken for it, and what became of that: a failure here is one of all its sinks.
    pub stats: SinkStats,
}

/// How long stopping may take.
///
/// ```
/// use aqueduct::Drain;
/// use std::time::Duration;
///
/// let patient = Drain::up_to(Duration::from_secs(30));
/// let hurried = Drain::NONE.grace(Duration::from_millis(100));
/// assert_ne!(patient, hurried);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    pub(super) limit: Duration,
    pub(super) grace: Duration,
}

impl Drain {
    /// What is in the channels stays there.
    pub const NONE: Self = Self::up_to(Duration::ZERO);

    /// The sinks go on until the channels are empty, or so much time has passed since stopping began.
    #[must_use]
    pub const fn up_to(limit: Duration) -> Self {
        Self { limit, grace: crate::limits::STOP_GRACE }
    }

    /// How long to wait for sources and for sinks to return when they are asked to; one that takes longer is left behind
    /// and reported as [`ComponentEnd::Stuck`]. Default: [`STOP_GRACE`](crate::limits::STOP_GRACE).
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// How a run ended, for whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// All sources are done and every event of a channel with a sink is delivered. Events in channels without a sink, such as dead
    /// letters, are still there.
    Completed,
    /// It was stopped, by request or by a limit, before all was done. Running it again goes on.
    Stopped,
    /// A component failed in a way that will not pass without a person.
    Failed,
}

impl Outcome {
    /// A code for the process to exit with: 0 for completed, 75 (`EX_TEMPFAIL`: try again) for stopped, 1 for failed.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Failed => 1,
            Self::Stopped => 75,
        }
    }
}

/// How an agent stopped and what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Name of the agent.
    pub name: String,
    /// How the run ended.
    pub outcome: Outcome,
    /// For each channel, also those without a sink, what is left in it.
    pub left: Vec<ChannelLeft>,
    /// For each source, then for each sink, how it ended.
    pub components: Vec<ComponentReport>,
    /// The last counters, after sources and sinks have ended and before channels were closed.
    pub stats: AgentStats,
}

impl ShutdownReport {
    /// Whether nothing is left in the channels that have sinks. Nobody drains the others, such as those for dead letters:
    /// [`left`](Self::left) says what is in them.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.left.iter().all(|channel| channel.events == 0 || !channel.has_sink)
    }

    /// How a component ended.
    #[must_use]
    pub fn component(&self, kind: ComponentKind, name: &str) -> Option<&ComponentReport> {
        self.components.iter().find(|component| component.kind == kind && component.name == name)
    }
}

/// What is left in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelLeft {
    /// The channel.
    pub name: String,
    /// Events, those included that were on their way into it: submitted and not committed.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the agent closed it; shared channels stay open.
    pub closed: bool,
    /// Whether a sink takes from it.
    pub has_sink: bool,
}

/// How a source or sink ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentReport {
    /// Source or sink.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub end: ComponentEnd,
    /// Its last state, with the last error.
    pub status: ComponentStatus,
    /// Why closing it failed.
    pub close_error: Option<String>,
}

/// An agent could not be started. What had been started was stopped again; its channels are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A source or sink could not be opened and will not be without a person.
    #[error("{kind} {name} cannot be opened: {source}")]
    Open {
        /// Source or sink.
        kind: ComponentKind,
        /// Its name.
        name: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system gave no thread.
    #[error("no thread for {kind} {name}: {source}")]
    Thread {
        /// Source or sink.
        kind: ComponentKind,
        /// Its name.
        name: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A channel is closed. One of a [`FileStore`](crate::FileStore) is opened again by
    /// [`FileStore::channel`](crate::FileStore::channel) as long as the store is open.
    #[error("channel {channel} is closed")]
    Closed {
        /// Its name in the agent.
        channel: String,
    },
}

/// The agent has stopped, but a channel could not be closed cleanly: what was put into it under a weaker durability
/// than `Sync` may be lost in a power cut, and what it could not save is lost with the process unless it is
/// [closed again](Self::close_again).
#[derive(Debug, thiserror::Error)]
#[error("channel {channel} cannot be closed: {source}")]
#[non_exhaustive]
pub struct ShutdownError {
    /// The first such channel.
    pub channel: String,
    /// The failure.
    pub source: StorageError,
    /// All the rest.
    pub report: Box<ShutdownReport>,
    pub(super) unclosed: Vec<Arc<dyn Channel>>,
}

impl ShutdownError {
    /// Closes the channels that could not be closed once more: what one could not save ([`StorageError::NotSaved`]) is in memory as
    /// long as this error is there, or another handle of the channel.
    ///
    /// # Errors
    /// The first failure; all are tried.
    pub fn close_again(&self) -> Result<(), StorageError> {
        let closed: Vec<_> = self.unclosed.iter().map(Channel::close).collect();
        closed.into_iter().collect()
    }
}

/// A bounded run failed before or after its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It did not stop cleanly.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
}

/// The agent has no such pusher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("agent {agent} has no pusher {name}{}", nearest.as_ref().map(|name| format!("; is it {name}?")).unwrap_or_default())]
#[non_exhaustive]
pub struct UnknownPusher {
    /// The agent.
    pub agent: String,
    /// The name that was asked for.
    pub name: String,
    /// The most similar name of a pusher that there is.
    pub nearest: Option<String>,
}
