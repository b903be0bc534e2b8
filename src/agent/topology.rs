//! The description of an agent, and its check.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::backoff::Backoff;
use super::builder::PermanentPolicy;
use super::component::ComponentKind;
use super::grouping;
use super::into::SourceKind;
use super::mistake::{BuildErrors, Mistake, nearest};
use crate::channel::Channel;
use crate::interceptor::Interceptor;
use crate::limits::{NAME_BYTES_MAX, TRANSACTION_EVENTS_MAX};
use crate::selector::Selector;
use crate::sink::Sink;
use crate::sink::group::GroupPolicy;

/// An agent as it was described.
pub(super) struct Topology {
    pub(super) name: String,
    pub(super) channels: Vec<ChannelPlan>,
    pub(super) sources: Vec<SourcePlan>,
    pub(super) sinks: Vec<SinkPlan>,
    pub(super) groups: Vec<GroupPlan>,
}

pub(super) struct ChannelPlan {
    pub(super) name: String,
    pub(super) channel: Arc<dyn Channel>,
    /// Whether the agent closes it at the end.
    pub(super) close: bool,
}

pub(super) struct SourcePlan {
    pub(super) name: String,
    pub(super) source: SourceKind,
    pub(super) interceptors: Vec<Box<dyn Interceptor>>,
    pub(super) selector: Option<Box<dyn Selector>>,
    pub(super) required: Vec<String>,
    pub(super) optional: Vec<String>,
    pub(super) batch: usize,
    pub(super) retry: Backoff,
    pub(super) idle: Backoff,
}

pub(super) struct SinkPlan {
    pub(super) name: String,
    pub(super) sink: Box<dyn Sink>,
    pub(super) channel: String,
    pub(super) batch: usize,
    pub(super) retry: Backoff,
    pub(super) on_permanent: PermanentPolicy,
}

pub(super) struct GroupPlan {
    pub(super) name: String,
    pub(super) policy: Box<dyn GroupPolicy>,
    /// Names of sinks.
    pub(super) members: Vec<String>,
    pub(super) retry: Backoff,
    pub(super) on_permanent: PermanentPolicy,
}

impl Topology {
    pub(super) fn new(name: String) -> Self {
        Self { name, channels: Vec::new(), sources: Vec::new(), sinks: Vec::new(), groups: Vec::new() }
    }

    /// The sink of a name.
    pub(super) fn sink(&self, name: &str) -> Option<&SinkPlan> {
        self.sinks.iter().find(|plan| plan.name == name)
    }

    /// The channel of a name.
    pub(super) fn channel(&self, name: &str) -> Option<&Arc<dyn Channel>> {
        self.channels.iter().find(|plan| plan.name == name).map(|plan| &plan.channel)
    }

    /// Finds all mistakes.
    pub(super) fn check(mut self) -> Result<Self, BuildErrors> {
        let mut mistakes = Vec::new();
        check_names(ComponentKind::Agent, &[&self.name], &mut mistakes);
        if self.channels.is_empty() {
            mistakes.push(Mistake::NoChannel);
        }
        if self.sources.is_empty() && self.sinks.is_empty() {
            mistakes.push(Mistake::NothingToRun);
        }
        self.check_channels(&mut mistakes);
        check_names(
            ComponentKind::Source,
            &self.sources.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>(),
            &mut mistakes,
        );
        for source in &self.sources {
            self.check_source(source, &mut mistakes);
        }
        self.bind_selectors(&mut mistakes);
        check_names(
            ComponentKind::Sink,
            &self.sinks.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>(),
            &mut mistakes,
        );
        for sink in &self.sinks {
            self.check_sink(sink, &mut mistakes);
        }
        grouping::check(&self, &mut mistakes);
        self.bind_policies(&mut mistakes);
        if mistakes.is_empty() { Ok(self) } else { Err(BuildErrors::new(self.name, mistakes)) }
    }

    /// Finds two names for one channel.
    pub(super) fn check_same(&self) -> Result<(), BuildErrors> {
        let mut mistakes = Vec::new();
        self.check_stores(&mut mistakes);
        if mistakes.is_empty() { Ok(()) } else { Err(BuildErrors::new(self.name.clone(), mistakes)) }
    }

    fn check_stores(&self, mistakes: &mut Vec<Mistake>) {
        for (index, plan) in self.channels.iter().enumerate() {
            let part = plan.channel.store_part();
            let same =
                self.channels.iter().take(index).find(|other| part.is_some() && other.channel.store_part() == part);
            if let Some(first) = same {
                mistakes.push(Mistake::SameChannel { first: first.name.clone(), second: plan.name.clone() });
            }
        }
    }

    fn check_channels(&self, mistakes: &mut Vec<Mistake>) {
        check_names(
            ComponentKind::Channel,
            &self.channels.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>(),
            mistakes,
        );
        self.check_stores(mistakes);
        for plan in &self.channels {
            if !self.is_used(&plan.name) {
                mistakes.push(Mistake::UnusedChannel { name: plan.name.clone() });
            }
        }
    }

    fn is_used(&self, channel: &str) -> bool {
        let by_source = |plan: &SourcePlan| plan.required.iter().chain(&plan.optional).any(|name| name == channel);
        let by_sink = |plan: &SinkPlan| {
            plan.channel == channel || matches!(&plan.on_permanent, PermanentPolicy::Divert(name) if name == channel)
        };
        let by_group =
            |plan: &GroupPlan| matches!(&plan.on_permanent, PermanentPolicy::Divert(name) if name == channel);
        self.sources.iter().any(by_source) || self.sinks.iter().any(by_sink) || self.groups.iter().any(by_group)
    }

    pub(super) fn check_known(&self, kind: ComponentKind, name: &str, channel: &str, mistakes: &mut Vec<Mistake>) {
        if self.channel(channel).is_none() {
            mistakes.push(Mistake::UnknownChannel {
                kind,
                name: name.to_owned(),
                channel: channel.to_owned(),
                nearest: self.nearest_channel(channel),
            });
        }
    }

    fn nearest_channel(&self, channel: &str) -> Option<String> {
        nearest(channel, self.channels.iter().map(|plan| plan.name.as_str())).map(str::to_owned)
    }

    fn check_source(&self, source: &SourcePlan, mistakes: &mut Vec<Mistake>) {
        let kind = ComponentKind::Source;
        if source.required.is_empty() {
            mistakes.push(Mistake::SourceWithoutChannel { source_name: source.name.clone() });
        }
        let mut seen = HashSet::new();
        for channel in source.required.iter().chain(&source.optional) {
            if seen.insert(channel) {
                self.check_known(kind, &source.name, channel, mistakes);
            } else {
                let (source_name, channel) = (source.name.clone(), channel.clone());
                mistakes.push(Mistake::RepeatedChannel { source_name, channel });
            }
        }
        check_batch(kind, &source.name, source.batch, mistakes);
        check_backoff(kind, &source.name, "backoff", source.retry, mistakes);
        check_backoff(kind, &source.name, "idle", source.idle, mistakes);
    }

    fn bind_selectors(&mut self, mistakes: &mut Vec<Mistake>) {
        for source in &mut self.sources {
            let Some(selector) = &mut source.selector else { continue };
            let names: Vec<String> = source.required.iter().chain(&source.optional).cloned().collect();
            if let Err(error) = selector.bind(&names) {
                mistakes.push(Mistake::Selector { source_name: source.name.clone(), reason: error.to_string() });
            }
        }
    }

    fn bind_policies(&mut self, mistakes: &mut Vec<Mistake>) {
        for group in self.groups.iter_mut().filter(|group| !group.members.is_empty()) {
            if let Err(error) = group.policy.bind(&group.members) {
                mistakes.push(Mistake::GroupPolicy { group: group.name.clone(), reason: error.to_string() });
            }
        }
    }

    /// Checks what becomes of events that cannot be delivered; they come from `from`.
    pub(super) fn check_policy(
        &self,
        kind: ComponentKind,
        name: &str,
        policy: &PermanentPolicy,
        from: &str,
        mistakes: &mut Vec<Mistake>,
    ) {
        let PermanentPolicy::Divert(channel) = policy else { return };
        let (name, channel) = (name.to_owned(), channel.clone());
        if self.channel(&channel).is_none() {
            let nearest = self.nearest_channel(&channel);
            mistakes.push(Mistake::UnknownDeadLetter { kind, name, channel, nearest });
        } else if channel == from {
            mistakes.push(Mistake::DivertsToItself { kind, name, channel });
        }
    }

    fn check_sink(&self, sink: &SinkPlan, mistakes: &mut Vec<Mistake>) {
        let kind = ComponentKind::Sink;
        self.check_known(kind, &sink.name, &sink.channel, mistakes);
        self.check_policy(kind, &sink.name, &sink.on_permanent, &sink.channel, mistakes);
        check_batch(kind, &sink.name, sink.batch, mistakes);
        check_backoff(kind, &sink.name, "backoff", sink.retry, mistakes);
    }
}

pub(super) fn check_names(kind: ComponentKind, names: &[&str], mistakes: &mut Vec<Mistake>) {
    let mut seen = HashSet::new();
    let mut told = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            mistakes.push(Mistake::EmptyName { kind, number: index + 1 });
            continue;
        }
        if name.len() > NAME_BYTES_MAX {
            mistakes.push(Mistake::NameTooLong { kind, name: (*name).to_owned() });
        }
        if let Some(character) = name.chars().find(|c| *c == '/' || c.is_control()) {
            mistakes.push(Mistake::NameCharacter { kind, name: (*name).to_owned(), character });
        }
        if !seen.insert(name) && told.insert(name) {
            mistakes.push(Mistake::DuplicateName { kind, name: (*name).to_owned() });
        }
    }
}

fn check_batch(kind: ComponentKind, name: &str, events: usize, mistakes: &mut Vec<Mistake>) {
    if events == 0 || events > TRANSACTION_EVENTS_MAX {
        mistakes.push(Mistake::BatchSize { kind, name: name.to_owned(), events });
    }
}

pub(super) fn check_backoff(
    kind: ComponentKind,
    name: &str,
    setting: &'static str,
    backoff: Backoff,
    mistakes: &mut Vec<Mistake>,
) {
    if !backoff.is_valid() {
        mistakes.push(Mistake::Backoff { kind, name: name.to_owned(), setting, backoff });
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels: Vec<_> = self.channels.iter().map(|plan| &plan.name).collect();
        let sources: Vec<_> = self.sources.iter().map(|plan| &plan.name).collect();
        let sinks: Vec<_> = self.sinks.iter().map(|plan| &plan.name).collect();
        f.debug_struct("Agent")
            .field("name", &self.name)
            .field("channels", &channels)
            .field("sources", &sources)
            .field("sinks", &sinks)
            .field("groups", &self.groups.iter().map(|plan| &plan.name).collect::<Vec<_>>())
            .finish()
    }
}
