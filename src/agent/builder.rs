//! Describing an agent.

use std::fmt;
use std::sync::Arc;

use super::Agent;
use super::backoff::Backoff;
use super::grouping::SinkGroupBuilder;
use super::into::{IntoSink, IntoSource, SourceKind};
use super::mistake::BuildErrors;
use super::topology::{ChannelPlan, GroupPlan, SinkPlan, SourcePlan, Topology};
use crate::channel::Channel;
use crate::interceptor::Interceptor;
use crate::limits::{SINK_BATCH_EVENTS, SOURCE_BATCH_EVENTS};
use crate::selector::Selector;
use crate::sink::Sink;
use crate::sink::group::GroupPolicy;

/// Describes an agent: channels, sources and sinks by name, and who puts into and takes from which channel.
///
/// Nothing is checked before [`build`](Self::build), which reports every mistake at once, and nothing runs before
/// [`Agent::start`].
///
/// ```
/// use aqueduct::Agent;
/// use aqueduct::MemoryChannel;
/// use aqueduct::sink::{self, Delivered};
/// use aqueduct::source::{self, Pulled};
///
/// let mut count = 0;
/// let agent = Agent::builder("edge")
///     .channel("mem", MemoryChannel::new("mem"))
///     .source("numbers", source::from_fn(move |out| {
///         count += 1;
///         out.push(count.to_string());
///         Ok(if count == 10 { Pulled::Done } else { Pulled::More })
///     }))
///     .to(["mem"])
///     .sink("print", sink::from_fn(|events| {
///         events.iter().for_each(|event| println!("{:?}", event.body()));
///         Ok(Delivered::All)
///     }))
///     .from("mem")
///     .build()?;
/// # drop(agent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is built before `build`"]
pub struct AgentBuilder {
    topology: Topology,
}

impl AgentBuilder {
    pub(super) fn new(name: String) -> Self {
        Self { topology: Topology::new(name) }
    }

    /// Adds a channel under a name. The agent closes it when it stops.
    pub fn channel(self, name: impl Into<String>, channel: impl Channel + 'static) -> Self {
        self.add_channel(name.into(), Arc::new(channel), true)
    }

    /// Adds a channel that the agent leaves open when it stops: one that the application goes on using.
    pub fn shared_channel(self, name: impl Into<String>, channel: impl Channel + 'static) -> Self {
        self.add_channel(name.into(), Arc::new(channel), false)
    }

    fn add_channel(mut self, name: String, channel: Arc<dyn Channel>, close: bool) -> Self {
        self.topology.channels.push(ChannelPlan { name, channel, close });
        self
    }

    /// Adds a source: a [`Source`](crate::Source), a [`PullSource`](crate::PullSource) or a closure that fills a
    /// [`PullBatch`](crate::source::PullBatch). Say with [`SourceBuilder::to`] where its events go.
    ///
    /// The name is part of the source's positions: if it changes, the source begins at the beginning after a restart.
    pub fn source<M>(self, name: impl Into<String>, source: impl IntoSource<M>) -> SourceBuilder {
        SourceBuilder::new(self, name.into(), source.into_source().0)
    }

    /// Adds a source that the application pushes into, with the [`Pusher`](super::Pusher) that
    /// [`RunningAgent::pusher`](super::RunningAgent::pusher) gives out.
    pub fn pusher(self, name: impl Into<String>) -> SourceBuilder {
        SourceBuilder::new(self, name.into(), SourceKind::Pusher)
    }

    /// Adds a sink: a [`Sink`] or a closure over a slice of events. Say with [`SinkBuilder::from`] where it takes from.
    ///
    /// The name is part of the sink's positions, as the name of a [`source`](Self::source) is of the source's.
    pub fn sink<M>(self, name: impl Into<String>, sink: impl IntoSink<M>) -> SinkBuilder {
        SinkBuilder::new(self, name.into(), sink.into_sink())
    }

    /// Makes a group of sinks, which are named with [`SinkGroupBuilder::of`]: they stand in for each other, or share the
    /// work, as the policy says. See [`sink::group`](crate::sink::group).
    ///
    /// ```
    /// use aqueduct::sink::group::Failover;
    /// use aqueduct::sink::{self, Delivered};
    /// use aqueduct::{Agent, MemoryChannel};
    ///
    /// let agent = Agent::builder("edge")
    ///     .channel("mem", MemoryChannel::new("mem"))
    ///     .pusher("app")
    ///     .to(["mem"])
    ///     .sink("main", sink::from_fn(|_| Ok(Delivered::All)))
    ///     .from("mem")
    ///     .sink("spare", sink::from_fn(|_| Ok(Delivered::All)))
    ///     .from("mem")
    ///     .sink_group("out", Failover::new().priority("main", 10).priority("spare", 5))
    ///     .of(["main", "spare"])
    ///     .build()?;
    /// # drop(agent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink_group(self, name: impl Into<String>, policy: impl GroupPolicy + 'static) -> SinkGroupBuilder {
        SinkGroupBuilder::new(self, name.into(), Box::new(policy))
    }

    pub(super) fn add_group(mut self, plan: GroupPlan) -> Self {
        self.topology.groups.push(plan);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`BuildErrors`] lists all mistakes, not the first one.
    pub fn build(self) -> Result<Agent, BuildErrors> {
        self.topology.check().map(Agent::new)
    }
}

/// Describes one source of an [`AgentBuilder`]; finish it with [`to`](Self::to).
#[must_use = "a source is added by `to`"]
pub struct SourceBuilder {
    agent: AgentBuilder,
    plan: SourcePlan,
}

impl SourceBuilder {
    fn new(agent: AgentBuilder, name: String, source: SourceKind) -> Self {
        let plan = SourcePlan {
            name,
            source,
            interceptors: Vec::new(),
            selector: None,
            required: Vec::new(),
            optional: Vec::new(),
            batch: SOURCE_BATCH_EVENTS,
            retry: Backoff::RETRY,
            idle: Backoff::IDLE,
        };
        Self { agent, plan }
    }

    /// Adds an interceptor; they are applied in the order they were added.
    pub fn interceptor(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.plan.interceptors.push(Box::new(interceptor));
        self
    }

    /// Chooses the channels of each event, instead of sending it to all.
    pub fn selector(mut self, selector: impl Selector + 'static) -> Self {
        self.plan.selector = Some(Box::new(selector));
        self
    }

    /// Adds channels that get the events once the others have them, if they have room at that moment. What they refuse is counted
    /// and fails nothing. A put of events for them waits for the commit of the others, also where it is only submitted.
    pub fn optional(mut self, channels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.plan.optional.extend(channels.into_iter().map(Into::into));
        self
    }

    /// How many events a pull source is asked for at once, which are put in one transaction. Default:
    /// [`SOURCE_BATCH_EVENTS`]. Other sources decide for themselves.
    pub fn batch(mut self, events: usize) -> Self {
        self.plan.batch = events;
        self
    }

    /// Pauses after errors. Default: [`Backoff::RETRY`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.retry = backoff;
        self
    }

    /// Pauses of a pull source that has nothing new. Default: [`Backoff::IDLE`].
    pub fn idle(mut self, backoff: Backoff) -> Self {
        self.plan.idle = backoff;
        self
    }

    /// Names the channels that must take an event before the source goes on, and adds the source to the agent.
    ///
    /// Channels of one store get the events in one transaction: all or none, also across a crash. Channels that do not
    /// share a store are committed one after the other. A crash in between brings the events to the first of them again. A failure
    /// in between does not, with one exception: if a later channel refuses a batch of a source with positions as too large, the
    /// batch is read again in smaller ones. The source's positions are kept by a channel in a store if there is one, otherwise by
    /// the last channel.
    pub fn to(mut self, channels: impl IntoIterator<Item = impl Into<String>>) -> AgentBuilder {
        self.plan.required.extend(channels.into_iter().map(Into::into));
        self.agent.topology.sources.push(self.plan);
        self.agent
    }
}

/// Describes one sink of an [`AgentBuilder`]; finish it with [`from`](Self::from).
#[must_use = "a sink is added by `from`"]
pub struct SinkBuilder {
    agent: AgentBuilder,
    plan: SinkPlan,
}

impl SinkBuilder {
    fn new(agent: AgentBuilder, name: String, sink: Box<dyn Sink>) -> Self {
        let plan = SinkPlan {
            name,
            sink,
            channel: String::new(),
            batch: SINK_BATCH_EVENTS,
            retry: Backoff::RETRY,
            on_permanent: PermanentPolicy::Retry,
        };
        Self { agent, plan }
    }

    /// Events that are taken at once, at most. Default: [`SINK_BATCH_EVENTS`].
    pub fn batch(mut self, events: usize) -> Self {
        self.plan.batch = events;
        self
    }

    /// Pauses after errors. Default: [`Backoff::RETRY`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.retry = backoff;
        self
    }

    /// What happens with an event that the sink can never deliver. Default: [`PermanentPolicy::Retry`].
    pub fn on_permanent(mut self, policy: PermanentPolicy) -> Self {
        self.plan.on_permanent = policy;
        self
    }

    /// Puts an event that the sink can never deliver into this channel, unchanged: [`PermanentPolicy::Divert`].
    pub fn dead_letter(self, channel: impl Into<String>) -> Self {
        self.on_permanent(PermanentPolicy::divert(channel))
    }

    /// Names the channel that the sink takes from, and adds the sink to the agent. Several sinks may take from one
    /// channel; each event goes to one of them.
    pub fn from(mut self, channel: impl Into<String>) -> AgentBuilder {
        self.plan.channel = channel.into();
        self.agent.topology.sinks.push(self.plan);
        self.agent
    }
}

/// What happens with an event for which a sink says [`SinkError::Permanent`](crate::sink::SinkError::Permanent).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermanentPolicy {
    /// It is tried again, with pauses, until it is delivered or someone intervenes. Nothing is lost, and nothing behind it
    /// is delivered.
    #[default]
    Retry,
    /// It is dropped and counted.
    Drop,
    /// It is put into the channel of this name and counted.
    ///
    /// If both channels are of one store, it is there exactly once, also after a crash in between: the transaction that puts it
    /// there notes its identity, by which it is known again when it comes again. Otherwise it may be there twice then.
    ///
    /// Sinks of two channels may divert into each other's, or of more channels in a circle: what one cannot deliver, another one may.
    /// What none of them can goes round. When they have diverted
    /// [`DIVERTED_IN_A_ROW_MAX`](crate::limits::DIVERTED_IN_A_ROW_MAX) events in a row and delivered none, they pause before the
    /// next, as after errors (`backoff`).
    Divert(String),
}

impl PermanentPolicy {
    /// [`PermanentPolicy::Divert`] to `channel`.
    pub fn divert(channel: impl Into<String>) -> Self {
        Self::Divert(channel.into())
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topology.fmt(f)
    }
}

impl fmt::Debug for SourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceBuilder").field("name", &self.plan.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for SinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkBuilder").field("name", &self.plan.name).finish_non_exhaustive()
    }
}
