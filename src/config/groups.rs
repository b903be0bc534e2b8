//! Groups of sinks: who is in them, and what becomes of them where their sinks take from different channels.

use std::collections::BTreeMap;
use std::fmt;

use super::keys::Keys;
use super::plan::PlannedSink;
use super::problem::Severity;
use super::setup::{Policies, ProcessorSetup};
use crate::agent::nearest;
use crate::codec::java_hash;
use crate::sink::group::{GroupPolicy, Single};

/// A group as it will run: all of its sinks take from one channel.
pub(super) struct PlannedGroup {
    pub(super) name: String,
    pub(super) sinks: Vec<String>,
    pub(super) policy: Box<dyn GroupPolicy>,
}

/// The sinks of an agent, while its groups are read.
pub(super) struct Members<'a> {
    sinks: &'a [PlannedSink],
    /// Sinks that are listed: a mistake in one of them is not one in its group.
    known: &'a [String],
    /// Whether a group goes on without a sink that has a mistake.
    is_lenient: bool,
    /// The group of each sink that has one.
    taken: BTreeMap<String, String>,
}

impl<'a> Members<'a> {
    pub(super) fn new(sinks: &'a [PlannedSink], known: &'a [String], is_lenient: bool) -> Self {
        Self { sinks, known, is_lenient, taken: BTreeMap::new() }
    }

    /// The sinks of a group, as far as they are there and free, in the order in which Flume has them.
    pub(super) fn of_group(&mut self, keys: &mut Keys, group: &str) -> Vec<String> {
        let mut members: Vec<String> = Vec::new();
        let listed = keys.required_list("sinks");
        for name in &listed {
            if members.contains(name) {
                keys.warn("sinks", format!("names sink {name} more than once"));
            } else if let Some(other) = self.taken.get(name) {
                let message = format!("sink {name} is in group {other} already; a sink is in one group");
                keys.problem(Severity::Ignored, "sinks", message);
            } else if self.channel(name).is_some() || (!self.is_lenient && self.known.contains(name)) {
                members.push(name.clone());
            } else if self.known.contains(name) {
                let message = format!("sink {name} is left out, for a mistake of its own");
                keys.problem(Severity::Ignored, "sinks", message);
            } else {
                let names = self.known.iter().map(String::as_str);
                let hint = nearest(name, names).map(|near| format!("; is it {near}?")).unwrap_or_default();
                keys.problem(Severity::Ignored, "sinks", format!("there is no sink {name}{hint}"));
            }
        }
        if members.is_empty() && keys.is_good() {
            keys.mistake("sinks", "there is no sink left");
        }
        self.taken.extend(members.iter().map(|name| (name.clone(), group.to_owned())));
        sort_as_java(&mut members, listed.len());
        members
    }

    /// The groups that run for one that was configured: where the sinks take from several channels, one for each of these.
    pub(super) fn divide(
        &self,
        keys: &mut Keys,
        group: &str,
        members: Vec<String>,
        setup: ProcessorSetup,
    ) -> Vec<PlannedGroup> {
        let ProcessorSetup { policies, left_out } = setup;
        let members: Vec<String> = members.into_iter().filter(|name| !left_out.contains(name)).collect();
        let mut by_channel: Vec<(&str, Vec<String>)> = Vec::new();
        for name in members {
            // One with a mistake of its own has no channel.
            let Some(channel) = self.channel(&name) else { continue };
            match by_channel.iter_mut().find(|(other, _)| *other == channel) {
                Some((_, sinks)) => sinks.push(name),
                None => by_channel.push((channel, vec![name])),
            }
        }
        let one = |(_, sinks): (&str, Vec<String>), policy| PlannedGroup { name: group.to_owned(), sinks, policy };
        match (policies, by_channel.len()) {
            (Policies::None, _) | (_, 0) => Vec::new(),
            (Policies::One(policy), 1) => {
                by_channel.into_iter().zip([policy]).map(|(part, policy)| one(part, policy)).collect()
            }
            (Policies::EachChannel(make), 1) => by_channel.into_iter().map(|part| one(part, make())).collect(),
            (Policies::EachChannel(make), _) => {
                by_channel.into_iter().map(|part| part_of(group, part, &*make)).collect()
            }
            (Policies::One(_), _) => {
                let channels: Vec<&str> = by_channel.iter().map(|(channel, _)| *channel).collect();
                keys.problem(Severity::Fatal, "sinks", several_channels(&channels));
                Vec::new()
            }
        }
    }

    fn channel(&self, sink: &str) -> Option<&'a str> {
        self.sinks.iter().find(|known| known.name == sink).map(|known| known.channel.as_str())
    }
}

/// The part of a group that takes from one of its channels. No name of a group has a dot.
fn part_of(
    group: &str,
    (channel, sinks): (&str, Vec<String>),
    make: &dyn Fn() -> Box<dyn GroupPolicy>,
) -> PlannedGroup {
    let policy = if sinks.len() == 1 { Box::new(Single::new()) } else { make() };
    PlannedGroup { name: format!("{group}.{channel}"), sinks, policy }
}

fn several_channels(channels: &[&str]) -> String {
    format!(
        "they take from several channels, {}; in Flume only those of the sink that is active are emptied, so that the events \
         of the others wait for its failure: give all sinks of the group the same channel",
        channels.join(", ")
    )
}

/// Flume keeps the sinks of a group in a hash set of their names, and takes turns in the order in which that hands them out:
/// `s3 s1 s2`, whatever the file says.
fn sort_as_java(names: &mut [String], listed: usize) {
    let buckets = java_hash::buckets_of_set(listed);
    names.sort_by_key(|name| java_hash::place(name, buckets));
}

impl fmt::Debug for PlannedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedGroup").field("name", &self.name).field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_sinks_is_that_of_a_hash_set_of_java() {
        for (listed, expected) in [
            ("k1 k2 k3", "k1 k2 k3"),
            ("k3 k2 k1", "k1 k2 k3"),
            ("s1 s2 s3", "s3 s1 s2"),
            ("dead alive", "alive dead"),
            ("main spare", "main spare"),
            // Both are in one bucket, in the order in which they came.
            ("Aa BB", "Aa BB"),
            ("BB Aa", "BB Aa"),
            ("\u{1f980} j\u{f6}rg", "j\u{f6}rg \u{1f980}"),
            // A larger set has more buckets.
            ("k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13 k14", "k1 k2 k3 k4 k5 k11 k6 k10 k7 k13 k8 k12 k9 k14"),
        ] {
            let mut names: Vec<String> = listed.split(' ').map(str::to_owned).collect();
            let count = names.len();
            sort_as_java(&mut names, count);
            assert_eq!(names.join(" "), expected, "{listed}");
        }
    }
}
