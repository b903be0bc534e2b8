//! Describing groups of sinks, and checking the descriptions.

use std::collections::HashMap;
use std::fmt;

use super::backoff::Backoff;
use super::builder::{AgentBuilder, PermanentPolicy};
use super::component::ComponentKind;
use super::mistake::{Mistake, nearest};
use super::topology::{GroupPlan, SinkPlan, Topology, check_backoff, check_names};
use crate::sink::SinkGroup;
use crate::sink::group::{GroupMonitor, GroupPolicy};

/// Describes a group of sinks of an [`AgentBuilder`]; finish it with [`of`](Self::of).
#[must_use = "a group is added by `of`"]
pub struct SinkGroupBuilder {
    agent: AgentBuilder,
    plan: GroupPlan,
}

impl SinkGroupBuilder {
    pub(super) fn new(agent: AgentBuilder, name: String, policy: Box<dyn GroupPolicy>) -> Self {
        let (retry, on_permanent) = (Backoff::RETRY, PermanentPolicy::Retry);
        Self { agent, plan: GroupPlan { name, policy, members: Vec::new(), retry, on_permanent } }
    }

    /// Pauses after none of the sinks could deliver. Default: [`Backoff::RETRY`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.retry = backoff;
        self
    }

    /// What happens with an event that none of the sinks can ever deliver. Default: [`PermanentPolicy::Retry`].
    pub fn on_permanent(mut self, policy: PermanentPolicy) -> Self {
        self.plan.on_permanent = policy;
        self
    }

    /// Puts an event that none of the sinks can ever deliver into this channel, unchanged: [`PermanentPolicy::Divert`].
    pub fn dead_letter(self, channel: impl Into<String>) -> Self {
        self.on_permanent(PermanentPolicy::divert(channel))
    }

    /// Names the sinks of the group, which take from one channel, and adds the group to the agent. Each gets batches as large
    /// as its own setting says; pauses and what happens with undeliverable events are the group's.
    pub fn of(mut self, sinks: impl IntoIterator<Item = impl Into<String>>) -> AgentBuilder {
        self.plan.members.extend(sinks.into_iter().map(Into::into));
        self.agent.add_group(self.plan)
    }
}

impl fmt::Debug for SinkGroupBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkGroupBuilder").field("name", &self.plan.name).finish_non_exhaustive()
    }
}

/// Finds all mistakes in the groups, but for those of their policies.
pub(super) fn check(topology: &Topology, mistakes: &mut Vec<Mistake>) {
    let kind = ComponentKind::SinkGroup;
    let names: Vec<&str> = topology.groups.iter().map(|group| group.name.as_str()).collect();
    check_names(kind, &names, mistakes);
    let mut groups_of = HashMap::new();
    for group in &topology.groups {
        check_backoff(kind, &group.name, "backoff", group.retry, mistakes);
        if group.members.is_empty() {
            mistakes.push(Mistake::EmptyGroup { group: group.name.clone() });
        }
        let mut first: Option<&SinkPlan> = None;
        for member in &group.members {
            if let Some(other) = groups_of.insert(member.as_str(), group.name.as_str()) {
                let (first, second) = (other.to_owned(), group.name.clone());
                mistakes.push(Mistake::SinkInTwoGroups { sink: member.clone(), first, second });
            }
            let Some(sink) = topology.sink(member) else {
                let names = topology.sinks.iter().map(|sink| sink.name.as_str());
                let nearest = nearest(member, names).map(str::to_owned);
                mistakes.push(Mistake::UnknownSink { group: group.name.clone(), sink: member.clone(), nearest });
                continue;
            };
            check_settings(&group.name, sink, mistakes);
            let first = *first.get_or_insert(sink);
            if first.channel != sink.channel {
                mistakes.push(Mistake::GroupChannels {
                    group: group.name.clone(),
                    first: first.name.clone(),
                    first_channel: first.channel.clone(),
                    second: sink.name.clone(),
                    second_channel: sink.channel.clone(),
                });
            }
        }
        let channel = first.map_or("", |sink| &sink.channel);
        topology.check_policy(kind, &group.name, &group.on_permanent, channel, mistakes);
    }
}

fn check_settings(group: &str, sink: &SinkPlan, mistakes: &mut Vec<Mistake>) {
    let own =
        [("on_permanent", sink.on_permanent != PermanentPolicy::Retry), ("backoff", sink.retry != Backoff::RETRY)];
    for (setting, _) in own.into_iter().filter(|(_, is_own)| *is_own) {
        mistakes.push(Mistake::MemberSetting { group: group.to_owned(), sink: sink.name.clone(), setting });
    }
}

/// What is run for a group: one sink, made of its members, which are taken out of `sinks`; and how to watch them.
pub(super) fn assemble(group: GroupPlan, sinks: &mut Vec<SinkPlan>) -> (SinkPlan, GroupMonitor) {
    let GroupPlan { name, policy, members, retry, on_permanent } = group;
    let mut assembled = SinkGroup::of_agent(policy);
    let mut channel = String::new();
    for member in members {
        let Some(place) = sinks.iter().position(|sink| sink.name == member) else { continue };
        let sink = sinks.remove(place);
        assembled = assembled.add(sink.name, sink.sink, sink.batch);
        channel = sink.channel;
    }
    let (batch, monitor) = (assembled.batch(), assembled.monitor());
    (SinkPlan { name, sink: Box::new(assembled), channel, batch, retry, on_permanent }, monitor)
}
