//! Reading an agent: sections to components, with everything that is wrong in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::batch_size::BatchSize;
use super::file::Properties;
use super::filters;
use super::groups::{Members, PlannedGroup};
use super::header_maps;
use super::keys::{Entry, Keys, shown};
use super::lookup::{Mentions, Resolver};
use super::options::Options;
use super::plan::{Parts, Plan, PlannedChannel, PlannedSink, PlannedSource};
use super::problem::{ConfigError, Origin, Problem, Severity};
use super::registry::Table;
use super::section::{Kind, Section, Sections};
use super::site::{ChannelSite, Site};
use super::stores::{SHARED, StoreSettings, resolved};
use crate::agent::nearest;
use crate::codec::java_hash::HeaderMap;
use crate::limits::{NAME_BYTES_MAX, PROBLEMS_MAX};

/// Reads the agent of a name.
pub(super) fn plan(properties: &Properties, agent: &str, options: &Options) -> Result<Plan, ConfigError> {
    if !properties.agents().contains(agent) {
        return Err(ConfigError::of(no_agent(properties, agent)));
    }
    let mentions = Mentions::in_values(properties.entries());
    let mut reader = Reader::new(agent, options);
    reader.problems.extend(properties.problems_of(agent).cloned());
    reader.problems.extend(of_no_agent(properties, &mentions));
    let Some(entries) = reader.resolve(properties) else {
        return reader.finish(Parts::default());
    };
    let mut sections = Sections::sort(agent, entries, &reader.blank, &mentions, &mut reader.problems);
    filters::apply(agent, &mut sections, options, &mut reader.problems);
    reader.check_names(&sections);
    let known = names(&sections, Kind::Channel);
    let known_sinks = names(&sections, Kind::Sink);
    reader.connected = connected(&sections);
    let header_maps = header_maps::of_channels(&sections, options.registry());
    let mut channels = Vec::new();
    for section in sections.take(Kind::Channel) {
        let channel = reader.channel(section, &channels);
        channels.extend(channel);
    }
    let sites: Vec<ChannelSite> = channels.iter().map(|channel| channel.site.clone()).collect();
    let sources: Vec<PlannedSource> =
        sections.take(Kind::Source).into_iter().filter_map(|section| reader.source(section, &sites, &known)).collect();
    let sink = |section| reader.sink(section, &sites, &known, &header_maps);
    let mut sinks: Vec<PlannedSink> = sections.take(Kind::Sink).into_iter().filter_map(sink).collect();
    let (groups, lost) = reader.sink_groups(sections.take(Kind::SinkGroup), &sinks, &known_sinks);
    sinks.retain(|sink| !lost.contains(&sink.name));
    reader.finish(Parts { channels, sources, sinks, groups })
}

/// The components that others may name.
fn names(sections: &Sections, kind: Kind) -> Vec<String> {
    sections.of(kind).iter().map(|section| section.name.clone()).collect()
}

/// The channels that a source or sink names.
fn connected(sections: &Sections) -> BTreeSet<String> {
    let lists = [(Kind::Source, "channels"), (Kind::Sink, "channel")];
    let lists = lists.iter().flat_map(|(kind, key)| sections.of(*kind).iter().filter_map(|one| one.entries.get(*key)));
    lists.flat_map(|list| list.value.split_whitespace()).map(str::to_owned).collect()
}

fn no_agent(properties: &Properties, agent: &str) -> Problem {
    let agents = properties.agents();
    let message = match nearest(agent, agents.iter().copied()) {
        Some(near) => format!("there is no agent {agent}; is it {near}?"),
        None if agents.is_empty() => {
            format!(
                "there is no agent {agent}, nor any other: no key is <agent>.sources, <agent>.channels or <agent>.sinks"
            )
        }
        None => format!("there is no agent {agent}; there are {}", agents.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Problem::new(Severity::Fatal, "", message)
}

/// Keys of no agent that stand for nothing else, either: one for each name that should have been an agent's.
fn of_no_agent(properties: &Properties, mentions: &Mentions) -> Vec<Problem> {
    let agents = properties.agents();
    let mut told: BTreeMap<&str, Problem> = BTreeMap::new();
    let mut problems = Vec::new();
    let unused = |key: &str| !mentions.has(key) && !mentions.may_have(key);
    for (key, raw) in properties.entries().iter().filter(|(key, _)| unused(key)) {
        let Some((name, _)) = key.split_once('.') else {
            let message = "belongs to no agent, and no reference uses it";
            problems.push(Problem::new(Severity::Warning, key, message).at(Some(raw.origin.clone())));
            continue;
        };
        // The first of the file is where the mistake begins.
        let is_later = |known: &Problem| known.origin.as_ref().is_some_and(|known| known.order() < raw.origin.order());
        if agents.contains(name) || told.get(name).is_some_and(is_later) {
            continue;
        }
        let near = nearest(name, agents.iter().copied()).map(|near| format!("; is it {near}?")).unwrap_or_default();
        let message = format!("there is no agent {name}, and no reference uses the key{near}");
        told.insert(name, Problem::new(Severity::Warning, key, message).at(Some(raw.origin.clone())));
    }
    problems.extend(told.into_values());
    problems
}

struct Reader<'a> {
    agent: &'a str,
    options: &'a Options,
    problems: Vec<Problem>,
    // Keys without a value.
    blank: BTreeMap<String, Origin>,
    // Channels that are not left out.
    connected: BTreeSet<String>,
    // Of the channels so far, and where they are named.
    dirs: Vec<(PathBuf, String)>,
}

impl<'a> Reader<'a> {
    fn new(agent: &'a str, options: &'a Options) -> Self {
        let (blank, connected) = (BTreeMap::new(), BTreeSet::new());
        Self { agent, options, problems: Vec::new(), blank, connected, dirs: Vec::new() }
    }

    /// The agent's keys, without its name, with their references resolved; `None` if there is too much in these.
    fn resolve(&mut self, properties: &Properties) -> Option<BTreeMap<String, Entry>> {
        let resolver = Resolver::new(properties.entries(), self.options);
        let prefix = format!("{}.", self.agent);
        let mut found = BTreeMap::new();
        for (key, raw) in properties.entries() {
            let Some(name) = key.strip_prefix(&prefix) else { continue };
            let mut outcome = resolver.resolve(raw);
            outcome.problems.dedup();
            for (severity, message) in outcome.problems {
                let problem = Problem::new(severity, key, message).at(Some(raw.origin.clone()));
                self.problems.push(problem.with_value(Some(shown(key, &raw.value))));
            }
            if resolver.is_exhausted() {
                return None;
            }
            if outcome.value.is_empty() {
                let message = "has no value; Flume passes over the line, and the default counts";
                self.problems.push(Problem::new(Severity::Warning, key, message).at(Some(raw.origin.clone())));
                self.blank.insert(key.clone(), raw.origin.clone());
                continue;
            }
            let origin = Some(raw.origin.clone());
            let entry = Entry { value: outcome.value, written: raw.value.clone(), origin };
            found.insert(name.to_owned(), entry);
        }
        Some(found)
    }

    /// Names that Flume takes and that cannot be part of the names of positions.
    fn check_names(&mut self, sections: &Sections) {
        for kind in Kind::ALL {
            for section in sections.of(kind) {
                let name = &section.name;
                if name.len() > NAME_BYTES_MAX || name.contains(|c: char| c == '/' || c.is_control()) {
                    let message =
                        format!("a name has at most {NAME_BYTES_MAX} bytes, and neither / nor control characters");
                    self.fail(Severity::Fatal, kind, name, message, section.origin.clone());
                }
            }
        }
    }

    fn channel(&mut self, section: Section, others: &[PlannedChannel]) -> Option<PlannedChannel> {
        let name = section.name.clone();
        let values = section.entries.iter().map(|(key, entry)| (key.clone(), entry.value.clone())).collect();
        let mut keys = self.keys(Kind::Channel, section);
        let site = Site::new(self.options, self.agent, &name);
        let table = &self.options.registry().channels;
        keys.ignored(&["config"], OLD_CONFIG);
        let made = table.make(&mut keys, &site, "type", None, None);
        let store =
            made.as_ref().ok().and_then(|setup| setup.store.as_ref()).filter(|_| self.connected.contains(&name));
        let dirs = store.map(|store| self.directories(&mut keys, store, others)).unwrap_or_default();
        let kind = keys.value("type").and_then(|name| table.name_of(name)).map(|kind| kind.to_string());
        let is_good = self.finish_component(keys, table);
        let setup = made.ok().filter(|_| is_good)?;
        self.dirs.extend(dirs);
        let transaction_events_max = setup.transaction_events_max;
        let site = ChannelSite { name, kind: kind.unwrap_or_default(), transaction_events_max };
        Some(PlannedChannel { site, setup, values })
    }

    /// The directories of a channel, each of which may be used once, but for those that channels of one store have in common.
    /// Flume locks them one by one, so that a channel that comes second to one of them stays closed.
    fn directories(&self, keys: &mut Keys, store: &StoreSettings, others: &[PlannedChannel]) -> Vec<(PathBuf, String)> {
        let others = others.iter().filter(|other| self.connected.contains(&other.site.name));
        let mut others = others.filter_map(|other| other.setup.store.as_ref());
        if let Some(other) = others.find(|other| other.checkpoint == store.checkpoint) {
            if !store.is_shared_with(other) {
                keys.problem(Severity::Fatal, "checkpointDir", SHARED);
            }
            return Vec::new();
        }
        let mut dirs: Vec<(PathBuf, String)> = Vec::new();
        for (key, dir) in store.dirs() {
            let real = resolved(dir);
            let Some((_, place)) = self.dirs.iter().chain(&dirs).find(|(used, _)| *used == real) else {
                dirs.push((real, keys.place(key)));
                continue;
            };
            let also = if real == dir { String::new() } else { format!(", that is {},", real.display()) };
            let message = format!("{}{also} is a directory of {place} already; each can be used once", dir.display());
            keys.problem(Severity::Fatal, key, message);
        }
        dirs
    }

    /// The groups, and the names of the sinks that do not run because of a mistake in their group.
    fn sink_groups(
        &mut self,
        sections: Vec<Section>,
        sinks: &[PlannedSink],
        known: &[String],
    ) -> (Vec<PlannedGroup>, Vec<String>) {
        let mut all = Members::new(sinks, known, self.options.is_lenient());
        let (mut groups, mut lost) = (Vec::new(), Vec::new());
        for section in sections {
            let name = section.name.clone();
            let mut keys = self.keys(Kind::SinkGroup, section);
            let members = all.of_group(&mut keys, &name);
            let site = Site::new(self.options, self.agent, &name).with_sinks(&members);
            let table = &self.options.registry().processors;
            keys.ignored(&["config"], OLD_CONFIG);
            let made = keys.within("processor.", |part| table.make(part, &site, "type", None, None));
            let made = made.map(|setup| (setup.left_out.clone(), all.divide(&mut keys, &name, members.clone(), setup)));
            let kind = keys.value(PROCESSOR_TYPE).unwrap_or_default().to_owned();
            let kind = table.name_of(&kind).filter(|_| table.has(&kind));
            let is_good = self.finish_keys(keys, kind.map(|kind| format!("a sink group with {kind}")));
            match made {
                Ok((left_out, planned)) if is_good => {
                    groups.extend(planned);
                    lost.extend(left_out);
                }
                _ => lost.extend(members),
            }
        }
        (groups, lost)
    }

    fn source(&mut self, section: Section, sites: &[ChannelSite], known: &[String]) -> Option<PlannedSource> {
        let name = section.name.clone();
        let mut keys = self.keys(Kind::Source, section);
        let channels = keys.required_list("channels");
        // In a lenient reading the selector is what costs the source, so it has to say why.
        let told: &[String] = if self.options.is_lenient() { &[] } else { &channels };
        let sites = self.channels_of(&mut keys, "channels", &channels, sites, known);
        let site = Site::new(self.options, self.agent, &name).with_channels(&sites).with_told(told);
        let registry = self.options.registry();
        keys.ignored(&["config"], OLD_CONFIG);
        let selector =
            keys.within("selector.", |part| registry.selectors.make(part, &site, "type", Some("replicating"), None));
        let interceptors = interceptors(&mut keys, &site, self.options);
        let made = registry.sources.make(&mut keys, &site, "type", None, None);
        let made = made.map(|mut setup| {
            fit(&mut keys, &mut setup.batch, &sites, Kind::Source);
            setup
        });
        let is_good = self.finish_component(keys, &registry.sources);
        let (Ok(setup), Ok(selector), Some(interceptors), true) = (made, selector, interceptors, is_good) else {
            return None;
        };
        let channels = sites.into_iter().map(|site| site.name).collect();
        Some(PlannedSource { name, setup, channels, selector, interceptors })
    }

    fn sink(
        &mut self,
        section: Section,
        sites: &[ChannelSite],
        known: &[String],
        header_maps: &BTreeMap<String, HeaderMap>,
    ) -> Option<PlannedSink> {
        let name = section.name.clone();
        let mut keys = self.keys(Kind::Sink, section);
        let channels = keys.required_list("channel");
        if channels.len() > 1 {
            keys.mistake("channel", "names more than one channel; a sink takes from one");
        }
        let sites = self.channels_of(&mut keys, "channel", &channels, sites, known);
        let map = sites.first().and_then(|site| header_maps.get(&site.name)).copied().unwrap_or_default();
        let site = Site::new(self.options, self.agent, &name).with_channels(&sites).with_header_map(map);
        let table = &self.options.registry().sinks;
        keys.ignored(&["config"], OLD_CONFIG);
        let made = table.make(&mut keys, &site, "type", None, None);
        let made = made.map(|mut setup| {
            fit(&mut keys, &mut setup.batch, &sites, Kind::Sink);
            setup
        });
        let is_good = self.finish_component(keys, table);
        let setup = made.ok().filter(|_| is_good)?;
        let channel = sites.into_iter().next()?.name;
        Some(PlannedSink { name, setup, channel })
    }

    /// The channels that a key names, as far as they exist; `known` are those that are listed. A mistake in one of them is not
    /// one in those who name it.
    fn channels_of(
        &self,
        keys: &mut Keys,
        key: &str,
        names: &[String],
        sites: &[ChannelSite],
        known: &[String],
    ) -> Vec<ChannelSite> {
        let mut found: Vec<ChannelSite> = Vec::new();
        for name in names {
            if found.iter().any(|site| site.name == *name) {
                keys.warn(key, format!("names channel {name} more than once"));
            } else if let Some(site) = sites.iter().find(|site| site.name == *name) {
                found.push(site.clone());
            } else if known.contains(name) {
                if self.options.is_lenient() {
                    keys.problem(
                        Severity::Ignored,
                        key,
                        format!("channel {name} is left out, for a mistake of its own"),
                    );
                }
            } else {
                let near =
                    nearest(name, sites.iter().map(|site| site.name.as_str()).chain(known.iter().map(String::as_str)));
                let hint = near.map(|near| format!("; is it {near}?")).unwrap_or_default();
                keys.problem(Severity::Ignored, key, format!("there is no channel {name}{hint}"));
            }
        }
        if found.is_empty() && keys.is_set(key) && self.options.is_lenient() {
            keys.mistake(key, "there is no channel left");
        }
        found
    }

    fn keys(&self, kind: Kind, section: Section) -> Keys {
        let prefix = format!("{}.{}.{}.", self.agent, kind.word(), section.name);
        let kind_key = if kind == Kind::SinkGroup { PROCESSOR_TYPE } else { "type" };
        let origin = section.entries.get(kind_key).and_then(|entry| entry.origin.clone()).or(section.origin);
        Keys::new(prefix, origin, section.entries)
    }

    fn finish_component<T>(&mut self, keys: Keys, table: &Table<T>) -> bool {
        let kind = keys.value("type").filter(|name| table.has(name)).and_then(|name| table.name_of(name));
        self.finish_keys(keys, kind.map(|kind| kind.to_string()))
    }

    /// Takes over the problems of a component of a kind, if that is known. The answer is whether it can be used.
    fn finish_keys(&mut self, keys: Keys, kind: Option<String>) -> bool {
        let problems = match kind {
            Some(name) => keys.finish(&name),
            // Nobody knows which keys it has.
            None => keys.into_problems(),
        };
        let is_lenient = self.options.is_lenient();
        // What is wrong with a reference explains what is wrong with the value. Where the value is used as it stands, it does
        // not say what becomes of that.
        let explained = |problem: &Problem| {
            let is_same = |known: &Problem| known.key == problem.key && known.severity >= Severity::Ignored;
            !is_lenient && problem.value.is_some() && self.problems.iter().any(is_same)
        };
        let worst = if is_lenient { Severity::Ignored } else { Severity::Warning };
        let is_good = problems.iter().all(|problem| problem.severity <= worst);
        let told = |problem: Problem| self.told_of_blank(problem);
        let news: Vec<Problem> = problems.into_iter().filter(|problem| !explained(problem)).map(told).collect();
        self.problems.extend(news);
        is_good
    }

    /// What is missing because its key has no value, told where that stands.
    fn told_of_blank(&self, mut problem: Problem) -> Problem {
        if let Some(origin) = self.blank.get(&problem.key)
            && let Some(rest) = problem.message.strip_prefix("is missing")
        {
            problem.message = format!("has no value{rest}");
            problem.origin = Some(origin.clone());
        }
        problem
    }

    fn fail(&mut self, severity: Severity, kind: Kind, name: &str, message: impl Into<String>, origin: Option<Origin>) {
        let key = format!("{}.{}.{name}", self.agent, kind.word());
        self.problems.push(Problem::new(severity, key, message).at(origin));
    }

    /// The plan, if what is wrong with it is bearable.
    fn finish(mut self, mut parts: Parts) -> Result<Plan, ConfigError> {
        let from = if self.options.is_lenient() { Severity::Fatal } else { Severity::Ignored };
        let mut is_good = self.problems.iter().all(|problem| problem.severity < from);
        if is_good {
            self.check_whole(&mut parts);
            is_good = self.problems.iter().all(|problem| problem.severity < from);
        }
        let plan = if is_good { parts.build(self.agent) } else { Err(Vec::new()) };
        let plan = plan.map_err(|mistakes| self.problems.extend(mistakes));
        // In the order of the file; what is nowhere comes last.
        self.problems
            .sort_by_cached_key(|problem| problem.origin.as_ref().map_or((usize::MAX, String::new()), Origin::order));
        self.problems.truncate(PROBLEMS_MAX);
        if let Ok(mut plan) = plan {
            plan.warnings = self.problems;
            return Ok(plan);
        }
        let errors = self.problems.into_iter().filter(|problem| problem.severity >= from).collect();
        Err(ConfigError::new(format!("agent {}", self.agent), errors))
    }

    /// What Flume looks at last: who is connected to whom.
    fn check_whole(&mut self, plan: &mut Parts) {
        let agent = self.agent;
        let whole = |message: &str| Problem::new(Severity::Fatal, agent, message);
        if plan.channels.is_empty() {
            self.problems.push(whole("has no channel"));
        }
        if plan.sources.is_empty() && plan.sinks.is_empty() {
            self.problems.push(whole("has neither source nor sink"));
        }
        let (sources, sinks) = (&plan.sources, &plan.sinks);
        plan.channels.retain(|channel| {
            let name = &channel.site.name;
            let has_source = sources.iter().any(|source| source.channels.contains(name));
            let has_sink = sinks.iter().any(|sink| sink.channel == *name);
            let message = match (has_source, has_sink) {
                (true, true) => return true,
                (true, false) => "has no sink, so it fills up",
                (false, true) => "has no source, so nothing comes but what it holds already",
                (false, false) => "has neither source nor sink, so it is left out",
            };
            let key = format!("{agent}.channels.{name}");
            self.problems.push(Problem::new(Severity::Warning, key, message));
            has_source || has_sink
        });
    }
}

/// The interceptors of a source, in the order of their list; `None` if one of them has a mistake.
fn interceptors(keys: &mut Keys, site: &Site<'_>, options: &Options) -> Option<Vec<Box<dyn crate::Interceptor>>> {
    let mut made = Vec::new();
    let names = keys.list("interceptors");
    let unlisted = keys.names_below("interceptors.").into_iter().filter(|name| !names.contains(name));
    let unlisted: Vec<String> = unlisted.collect();
    let count = names.len();
    for name in names {
        let table = &options.registry().interceptors;
        let interceptor =
            keys.within(&format!("interceptors.{name}."), |part| table.make(part, site, "type", None, None));
        made.extend(interceptor.ok());
    }
    for name in unlisted {
        keys.ignored(&[&format!("interceptors.{name}.")], "is not in the list of interceptors");
    }
    (made.len() == count).then_some(made)
}

/// Makes a batch fit into the transactions of its channels.
fn fit(keys: &mut Keys, batch: &mut BatchSize, channels: &[ChannelSite], kind: Kind) {
    let Some(smallest) = channels.iter().min_by_key(|channel| channel.transaction_events_max) else { return };
    let (name, max) = (&smallest.name, smallest.transaction_events_max);
    if batch.events() <= max {
        return;
    }
    match batch.given() {
        None => *batch = BatchSize::fixed(max),
        Some(key) => {
            let message = if batch.is_several() {
                let events = batch.events();
                format!(
                    "makes {events} events at once, which is over the transactionCapacity of {max} of channel {name}; \
                     lower it or batch-size, or raise the transactionCapacity"
                )
            } else {
                format!("is over the transactionCapacity of {max} of channel {name}; Flume drops the {kind}")
            };
            let key = key.to_owned();
            keys.mistake(&key, message);
        }
    }
}

const PROCESSOR_TYPE: &str = "processor.type";
const OLD_CONFIG: &str = "names a class that checks the keys in Flume; they are checked anyway";
