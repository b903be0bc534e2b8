//! From properties to an agent: every component made and checked, nothing opened.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::channels::Channels;
use super::groups::PlannedGroup;
use super::problem::{ConfigError, OpenError, Problem, Severity};
use super::setup::{ChannelSetup, SelectorSetup, SinkSetup, SourceSetup};
use super::site::ChannelSite;
use crate::agent::{Agent, AgentBuilder, BuildErrors};
use crate::channel::MemoryChannel;
use crate::event::Event;
use crate::interceptor::Interceptor;
use crate::selector::{Route, Selector, SelectorError};
use crate::sink::group::{GroupPolicy, PolicyError};

/// An agent that was read and found to be right, before anything of it is opened.
#[derive(Debug)]
#[must_use = "a plan opens nothing before `open`"]
pub struct Plan {
    // On channels that stand for those of the plan, so that everything else is checked before one is opened.
    agent: Agent,
    summary: String,
    pub(super) channels: Vec<PlannedChannel>,
    pub(super) warnings: Vec<Problem>,
}

/// What an agent is put together of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) channels: Vec<PlannedChannel>,
    pub(super) sources: Vec<PlannedSource>,
    pub(super) sinks: Vec<PlannedSink>,
    pub(super) groups: Vec<PlannedGroup>,
}

#[derive(Debug)]
pub(super) struct PlannedChannel {
    pub(super) site: ChannelSite,
    pub(super) setup: ChannelSetup,
    /// All that was configured, to tell whether it has changed.
    pub(super) values: BTreeMap<String, String>,
}

pub(super) struct PlannedSource {
    pub(super) name: String,
    pub(super) setup: SourceSetup,
    pub(super) channels: Vec<String>,
    pub(super) selector: SelectorSetup,
    pub(super) interceptors: Vec<Box<dyn Interceptor>>,
}

#[derive(Debug)]
pub(super) struct PlannedSink {
    pub(super) name: String,
    pub(super) setup: SinkSetup,
    pub(super) channel: String,
}

impl Plan {
    /// The name of the agent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.agent.name()
    }

    /// What is odd and harms nothing; of a lenient reading also what was passed over and dropped.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Opens the channels and puts the agent together. It closes them when it stops.
    ///
    /// # Errors
    /// If a channel cannot be opened. Those that were opened are closed again then.
    pub fn open(self) -> Result<Agent, OpenError> {
        let mut channels = Channels::new();
        let agent = self.assemble(&mut channels, true);
        if agent.is_err() {
            // Nothing was put into them.
            let _ = channels.close();
        }
        agent
    }

    /// The same with channels that outlive the agent: those that are configured as before are used as they are, with what
    /// is in them. The others are closed; the agent must have stopped before.
    ///
    /// ```
    /// use aqueduct::config::{Channels, Options, Properties};
    /// use aqueduct::{Drain, Wait};
    ///
    /// let text = |total: u32| format!("
    ///     a.sources = s\na.channels = c\na.sources.s.channels = c\na.channels.c.type = memory
    ///     a.sources.s.type = seq\na.sources.s.totalEvents = {total}");
    /// let mut channels = Channels::new();
    /// for total in [3, 4] {
    ///     let plan = Properties::parse("a.properties", text(total).as_bytes())?.plan("a", &Options::new())?;
    ///     plan.open_with(&mut channels)?.run_to_completion(Wait::FOREVER)?;
    /// }
    /// assert_eq!(channels.get("c").map(|channel| channel.stats().depth_events), Some(7));
    /// channels.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a channel cannot be opened or closed. Those that are open stay so.
    pub fn open_with(self, channels: &mut Channels) -> Result<Agent, OpenError> {
        self.assemble(channels, false)
    }

    fn assemble(self, channels: &mut Channels, close: bool) -> Result<Agent, OpenError> {
        let agent = self.agent.name().to_owned();
        let closed = channels.close_others(&self.channels);
        closed.map_err(|source| OpenError::Close { agent: agent.clone(), source })?;
        let mut open = Vec::new();
        for planned in self.channels {
            let name = planned.site.name.clone();
            let key = format!("{agent}.channels.{name}");
            let channel = channels.open(planned).map_err(|source| OpenError::Channel { key, source })?;
            open.push((name, channel));
        }
        let assembled = self.agent.on_channels(open, close);
        Ok(assembled.map_err(|errors| ConfigError::new(format!("agent {agent}"), problems(&agent, &errors)))?)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl Parts {
    /// Puts the agent together, on channels that are not open yet.
    pub(super) fn build(self, name: &str) -> Result<Plan, Vec<Problem>> {
        let summary = self.summary(name);
        let mut builder = Agent::builder(name);
        for PlannedChannel { site, .. } in &self.channels {
            builder = builder.channel(&site.name, MemoryChannel::new(&site.name));
        }
        for source in self.sources {
            builder = source.add_to(builder);
        }
        for sink in self.sinks {
            let in_group = self.groups.iter().any(|group| group.sinks.contains(&sink.name));
            builder = sink.add_to(builder, in_group);
        }
        for PlannedGroup { name, sinks, policy } in self.groups {
            builder = builder.sink_group(name, Boxed(policy)).of(sinks);
        }
        let agent = builder.build().map_err(|errors| problems(name, &errors))?;
        Ok(Plan { agent, summary, channels: self.channels, warnings: Vec::new() })
    }

    fn summary(&self, name: &str) -> String {
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (sources, channels) = (count(self.sources.len(), "source"), count(self.channels.len(), "channel"));
        let mut parts = vec![sources, channels, count(self.sinks.len(), "sink")];
        if !self.groups.is_empty() {
            parts.push(count(self.groups.len(), "sink group"));
        }
        format!("agent {name}: {}", parts.join(", "))
    }
}

fn problems(agent: &str, errors: &BuildErrors) -> Vec<Problem> {
    errors.mistakes().iter().map(|mistake| Problem::new(Severity::Fatal, agent, mistake.to_string())).collect()
}

impl PlannedSource {
    fn add_to(self, builder: AgentBuilder) -> AgentBuilder {
        let SourceSetup { source, batch, idle, retry } = self.setup;
        let mut builder = builder.source(self.name, source).batch(batch.events()).idle(idle).backoff(retry);
        for interceptor in self.interceptors {
            builder = builder.interceptor(Boxed(interceptor));
        }
        let SelectorSetup { selector, optional } = self.selector;
        let required: Vec<String> = self.channels.iter().filter(|name| !optional.contains(name)).cloned().collect();
        if let Some(selector) = selector {
            builder = builder.selector(Boxed(selector));
        } else if required.is_empty() {
            // All channels are optional, which an agent has no other word for.
            return builder.selector(offer_to_all).to(self.channels);
        }
        builder.optional(optional).to(required)
    }
}

impl PlannedSink {
    fn add_to(self, builder: AgentBuilder, in_group: bool) -> AgentBuilder {
        let SinkSetup { sink, batch, retry, on_permanent } = self.setup;
        let sink = builder.sink(self.name, sink).batch(batch.events());
        if in_group {
            // Pauses, and what cannot be delivered, are the group's.
            return sink.from(self.channel);
        }
        sink.backoff(retry).on_permanent(on_permanent).from(self.channel)
    }
}

fn offer_to_all(_: &Event, route: &mut Route<'_>) {
    (0..route.channels().len()).for_each(|place| route.offer(place));
}

struct Boxed<T: ?Sized>(Box<T>);

impl Interceptor for Boxed<dyn Interceptor> {
    fn intercept(&self, event: Event) -> Option<Event> {
        self.0.intercept(event)
    }
}

impl Selector for Boxed<dyn Selector> {
    fn select(&self, event: &Event, route: &mut Route<'_>) {
        self.0.select(event, route);
    }

    fn bind(&mut self, channels: &[String]) -> Result<(), SelectorError> {
        self.0.bind(channels)
    }
}

impl GroupPolicy for Boxed<dyn GroupPolicy> {
    fn order(&mut self, now: Duration) -> Vec<usize> {
        self.0.order(now)
    }

    fn failed(&mut self, place: usize, now: Duration) {
        self.0.failed(place, now);
    }

    fn delivered(&mut self, place: usize, now: Duration) {
        self.0.delivered(place, now);
    }

    fn stands_by(&self, place: usize) -> bool {
        self.0.stands_by(place)
    }

    fn bind(&mut self, members: &[String]) -> Result<(), PolicyError> {
        self.0.bind(members)
    }
}

impl fmt::Debug for PlannedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedSource").field("name", &self.name).field("setup", &self.setup).finish_non_exhaustive()
    }
}
