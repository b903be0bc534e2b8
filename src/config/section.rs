//! The properties of one agent, sorted by component.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::keys::Entry;
use super::lookup::Mentions;
use super::problem::{Origin, Problem, Severity};
use crate::agent::nearest;

/// The kinds of components that have a list and sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    ConfigFilter,
    Channel,
    Source,
    Sink,
    SinkGroup,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::ConfigFilter, Self::Channel, Self::Source, Self::Sink, Self::SinkGroup];

    /// The word in keys.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ConfigFilter => "configfilters",
            Self::Channel => "channels",
            Self::Source => "sources",
            Self::Sink => "sinks",
            Self::SinkGroup => "sinkgroups",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigFilter => "config filter",
            Self::Channel => "channel",
            Self::Source => "source",
            Self::Sink => "sink",
            Self::SinkGroup => "sink group",
        })
    }
}

/// The keys of one component.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    /// Where the component is listed.
    pub(super) origin: Option<Origin>,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// The listed components of one agent, in the order of their lists.
#[derive(Debug, Default)]
pub(super) struct Sections {
    of_kind: BTreeMap<Kind, Vec<Section>>,
}

impl Sections {
    /// Sorts the properties of an agent, whose keys come without its name. Those that values mention need not belong to a
    /// component. `blank` are keys of it without a value, with the agent's name.
    pub(super) fn sort(
        agent: &str,
        entries: BTreeMap<String, Entry>,
        blank: &BTreeMap<String, Origin>,
        mentions: &Mentions,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut lists = BTreeMap::new();
        let mut sections: BTreeMap<(Kind, String), BTreeMap<String, Entry>> = BTreeMap::new();
        for (key, entry) in entries {
            if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.word() == key) {
                lists.insert(kind, entry);
                continue;
            }
            match part(&key) {
                Ok((kind, name, key)) => {
                    sections.entry((kind, name.to_owned())).or_default().insert(key.to_owned(), entry);
                }
                Err(_) if mentions.has(&format!("{agent}.{key}")) => {}
                // Unless it is more likely a mistake.
                Err(_) if !is_near_kind(&key) && mentions.may_have(&format!("{agent}.{key}")) => {}
                Err(message) => {
                    let problem = Problem::new(Severity::Ignored, format!("{agent}.{key}"), message);
                    problems.push(problem.at(entry.origin));
                }
            }
        }
        let mut sorted = Self::default();
        for (kind, list) in lists {
            let listed = take_listed(agent, kind, &list, blank, &mut sections, problems);
            sorted.of_kind.insert(kind, listed);
        }
        unlisted(agent, sections, problems);
        sorted
    }

    pub(super) fn take(&mut self, kind: Kind) -> Vec<Section> {
        self.of_kind.remove(&kind).unwrap_or_default()
    }

    /// Every property: its component's kind and name, its key, and its value.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (Kind, &str, &str, &mut Entry)> {
        self.of_kind.iter_mut().flat_map(|(kind, sections)| {
            let kind = *kind;
            sections.iter_mut().flat_map(move |section| {
                let name = section.name.as_str();
                section.entries.iter_mut().map(move |(key, entry)| (kind, name, key.as_str(), entry))
            })
        })
    }

    pub(super) fn of(&self, kind: Kind) -> &[Section] {
        self.of_kind.get(&kind).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether the key begins with something like the word for a kind of components.
fn is_near_kind(key: &str) -> bool {
    let word = key.split_once('.').map_or(key, |(word, _)| word);
    nearest(word, Kind::ALL.map(Kind::word)).is_some()
}

/// Kind, name and key of `<kind>.<name>.<key>`.
fn part(key: &str) -> Result<(Kind, &str, &str), String> {
    let (word, rest) = key.split_once('.').unwrap_or((key, ""));
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.word() == word) else {
        let hint = nearest(word, Kind::ALL.map(Kind::word)).map(|word| format!("; is it {word}?"));
        let kinds =
            "; behind the name of an agent comes sources, channels, sinks, sinkgroups or configfilters".to_owned();
        return Err(format!("an agent has no {word}{}", hint.unwrap_or(kinds)));
    };
    match rest.split_once('.') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok((kind, name, key)),
        _ => Err(format!("must be {word}.<name>.<key>")),
    }
}

fn take_listed(
    agent: &str,
    kind: Kind,
    list: &Entry,
    blank: &BTreeMap<String, Origin>,
    sections: &mut BTreeMap<(Kind, String), BTreeMap<String, Entry>>,
    problems: &mut Vec<Problem>,
) -> Vec<Section> {
    let mut seen = BTreeSet::new();
    let mut listed = Vec::new();
    for name in list.value.split_whitespace() {
        let full = format!("{agent}.{}.{name}", kind.word());
        if !seen.insert(name) {
            problems.push(Problem::new(Severity::Warning, full, "is listed more than once").at(list.origin.clone()));
            continue;
        }
        let Some(entries) = sections.remove(&(kind, name.to_owned())) else {
            let own = format!("{full}.");
            if blank.keys().any(|key| key.starts_with(&own)) {
                let message = "is listed, and none of its properties has a value";
                problems.push(Problem::new(Severity::Dropped, full, message).at(list.origin.clone()));
                continue;
            }
            let free = sections.keys().filter(|(other, _)| *other == kind).map(|(_, name)| name.as_str());
            let hint = nearest(name, free).map(|other| format!("; is it {other}?")).unwrap_or_default();
            let message = format!("is listed and has no properties{hint}");
            problems.push(Problem::new(Severity::Dropped, full, message).at(list.origin.clone()));
            continue;
        };
        listed.push(Section { name: name.to_owned(), origin: list.origin.clone(), entries });
    }
    listed
}

/// Components that no list names, which Flume passes over.
fn unlisted(agent: &str, sections: BTreeMap<(Kind, String), BTreeMap<String, Entry>>, problems: &mut Vec<Problem>) {
    for ((kind, name), entries) in sections {
        let origin = entries.into_values().next().and_then(|entry| entry.origin);
        let full = format!("{agent}.{}.{name}", kind.word());
        let message = format!("is not in the list {agent}.{}, so there is no such {kind}", kind.word());
        problems.push(Problem::new(Severity::Warning, full, message).at(origin));
    }
}
