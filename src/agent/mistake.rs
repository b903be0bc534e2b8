//! Mistakes in the description of an agent.

use std::error::Error;
use std::fmt;

use super::component::ComponentKind;
use crate::limits::{NAME_BYTES_MAX, TRANSACTION_EVENTS_MAX};

/// All mistakes in the description of an agent, in the order channels, sources, sinks.
///
/// ```
/// use aqueduct::Agent;
/// use aqueduct::MemoryChannel;
///
/// let errors = Agent::builder("edge")
///     .channel("disk", MemoryChannel::new("disk"))
///     .pusher("app").to(["dsk"])
///     .build()
///     .unwrap_err();
/// assert!(errors.to_string().contains("source app: there is no channel dsk; is it disk?"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildErrors {
    agent: String,
    mistakes: Vec<Mistake>,
}

impl BuildErrors {
    pub(super) fn new(agent: String, mistakes: Vec<Mistake>) -> Self {
        Self { agent, mistakes }
    }

    /// The mistakes; there is at least one.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.agent.as_str() {
            "" => f.write_str("the agent cannot be built: ")?,
            name => write!(f, "agent {name} cannot be built: ")?,
        }
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for BuildErrors {}

/// One mistake in the description of an agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// The agent has no channel.
    #[error("it has no channel")]
    NoChannel,
    /// The agent has neither source nor sink.
    #[error("it has neither source nor sink")]
    NothingToRun,
    /// A name is empty.
    #[error("{} has an empty name", numbered(*kind, *number))]
    EmptyName {
        /// Of what.
        kind: ComponentKind,
        /// Which one of its kind, counted from 1; of agents there is one.
        number: usize,
    },
    /// A name is too long.
    #[error("{kind} {name}: its name of {} bytes is over the limit of {NAME_BYTES_MAX} bytes", name.len())]
    NameTooLong {
        /// Of what.
        kind: ComponentKind,
        /// The name.
        name: String,
    },
    /// A name has a character that no name may have: `/` separates the parts of a position's owner, and control
    /// characters cannot be shown.
    #[error("{kind} {name:?}: a name may not have the character {character:?}")]
    NameCharacter {
        /// Of what.
        kind: ComponentKind,
        /// The name.
        name: String,
        /// The character.
        character: char,
    },
    /// A name is used twice.
    #[error("there is more than one {kind} {name}")]
    DuplicateName {
        /// Of what.
        kind: ComponentKind,
        /// The name.
        name: String,
    },
    /// Two names stand for one channel of a store.
    #[error("channels {first} and {second} are the same channel of a store")]
    SameChannel {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// A channel that nobody puts into or takes from.
    #[error("channel {name} is used by no source and no sink")]
    UnusedChannel {
        /// The channel.
        name: String,
    },
    /// A channel is named that does not exist.
    #[error("{kind} {name}: there is no channel {channel}{}", hint(nearest.as_deref()))]
    UnknownChannel {
        /// Who names it.
        kind: ComponentKind,
        /// Its name.
        name: String,
        /// The channel.
        channel: String,
        /// The most similar name of a channel that does exist.
        nearest: Option<String>,
    },
    /// A channel for dead letters is named that does not exist.
    #[error("{kind} {name}: there is no channel {channel} for its dead letters{}", hint(nearest.as_deref()))]
    UnknownDeadLetter {
        /// A sink or a sink group.
        kind: ComponentKind,
        /// Its name.
        name: String,
        /// The channel.
        channel: String,
        /// The most similar name of a channel that does exist.
        nearest: Option<String>,
    },
    /// A source has no required channel.
    #[error("source {source_name} has no channel; name at least one with `to`")]
    SourceWithoutChannel {
        /// The source.
        source_name: String,
    },
    /// A source names a channel twice, as required or optional.
    #[error("source {source_name} names channel {channel} more than once")]
    RepeatedChannel {
        /// The source.
        source_name: String,
        /// The channel.
        channel: String,
    },
    /// A batch size that cannot work.
    #[error("{kind} {name}: a batch of {events} events is not between 1 and {TRANSACTION_EVENTS_MAX}")]
    BatchSize {
        /// Of what.
        kind: ComponentKind,
        /// The name.
        name: String,
        /// The batch size.
        events: usize,
    },
    /// Pauses that cannot work.
    #[error(
        "{kind} {name}: the first pause of its `{setting}` must be longer than zero and not longer than the last ({backoff:?})"
    )]
    Backoff {
        /// Of what.
        kind: ComponentKind,
        /// The name.
        name: String,
        /// The method that was given them: `backoff` or `idle`.
        setting: &'static str,
        /// The pauses.
        backoff: super::Backoff,
    },
    /// A selector cannot work with the channels of its source.
    #[error("selector of source {source_name}: {reason}")]
    Selector {
        /// The source.
        source_name: String,
        /// What the selector says.
        reason: String,
    },
    /// A sink diverts what it cannot deliver to the channel that it takes from.
    #[error("{kind} {name} diverts to channel {channel}, from which it takes")]
    DivertsToItself {
        /// A sink or a sink group.
        kind: ComponentKind,
        /// Its name.
        name: String,
        /// The channel.
        channel: String,
    },
    /// A sink group names no sink.
    #[error("sink group {group} has no sink; name them with `of`")]
    EmptyGroup {
        /// The group.
        group: String,
    },
    /// A sink group names a sink that does not exist.
    #[error("sink group {group}: there is no sink {sink}{}", hint(nearest.as_deref()))]
    UnknownSink {
        /// The group.
        group: String,
        /// The name.
        sink: String,
        /// The most similar name of a sink that does exist.
        nearest: Option<String>,
    },
    /// A sink is in two groups, or twice in one.
    #[error("sink {sink} is in sink group {first} and in sink group {second}")]
    SinkInTwoGroups {
        /// The sink.
        sink: String,
        /// One group.
        first: String,
        /// The other, or the same.
        second: String,
    },
    /// The sinks of a group do not take from one channel, so that none could deliver what another one cannot.
    #[error(
        "sink group {group}: sink {first} takes from channel {first_channel} and sink {second} from channel \
         {second_channel}; the sinks of a group must take from one channel"
    )]
    GroupChannels {
        /// The group.
        group: String,
        /// One sink.
        first: String,
        /// Its channel.
        first_channel: String,
        /// The other sink.
        second: String,
        /// Its channel.
        second_channel: String,
    },
    /// A sink of a group has a setting of its own that is the group's.
    #[error("sink {sink} is in sink group {group}: set its {setting} for the group")]
    MemberSetting {
        /// The group.
        group: String,
        /// The sink.
        sink: String,
        /// The setting.
        setting: &'static str,
    },
    /// The policy of a group cannot work with its sinks.
    #[error("policy of sink group {group}: {reason}")]
    GroupPolicy {
        /// The group.
        group: String,
        /// What the policy says.
        reason: String,
    },
}

fn numbered(kind: ComponentKind, number: usize) -> String {
    if kind == ComponentKind::Agent { "the agent".to_owned() } else { format!("{kind} number {number}") }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; is it {name}?")).unwrap_or_default()
}

/// The most similar of `names`, if one is similar enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1) + 1;
    let best = names.into_iter().map(|other| (distance(name, other), other)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= limit).then_some(best.1)
}

/// Edits between two names, without regard to case.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(NAME_BYTES_MAX).flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().take(NAME_BYTES_MAX).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (b, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            before = (diagonal + usize::from(a != b)).min(above + 1).min(before + 1);
            diagonal = above;
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (left, right, expected) in
            [("disk", "dsk", 1), ("disk", "disk", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
        assert_eq!(nearest("dsk", ["mem", "disk"]), Some("disk"));
        assert_eq!(nearest("Disk", ["disk"]), Some("disk"));
        assert_eq!(nearest("memory", ["disk"]), None);
        println!("covered: edit distance, nearest name and its limit");
    }
}
