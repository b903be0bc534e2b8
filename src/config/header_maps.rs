//! How the maps of headers come to be that a channel hands out in Flume, which tells the order of headers in text.

use std::collections::BTreeMap;

use super::registry::{Registry, Table};
use super::section::{Kind, Section, Sections};
use crate::codec::java_hash::HeaderMap;

/// The maps of each channel, as far as they are not those of Java's default size.
pub(super) fn of_channels(sections: &Sections, registry: &Registry) -> BTreeMap<String, HeaderMap> {
    let sources = sections.of(Kind::Source);
    let of_channel = |channel: &Section| {
        // The file channel fills new ones; one in memory hands out those of its sources.
        if kind(&registry.channels, channel) == "file" {
            return HeaderMap::Filled;
        }
        let feeds = |source: &&Section| words(source, "channels").any(|name| name == channel.name);
        let mut maps = sources.iter().filter(feeds).map(|source| of_source(source, registry));
        let first = maps.next().unwrap_or_default();
        if maps.all(|map| map == first) { first } else { HeaderMap::Filled }
    };
    sections.of(Kind::Channel).iter().map(|channel| (channel.name.clone(), of_channel(channel))).collect()
}

fn of_source(source: &Section, registry: &Registry) -> HeaderMap {
    let of_map = match &*kind(&registry.sources, source) {
        "avro" | "syslogtcp" | "syslogudp" | "multiport_syslogtcp" => true,
        #[cfg(feature = "http")]
        "http" => match super::components::map_of_handler(value(source, "handler").unwrap_or_default()) {
            HeaderMap::Copied { of_map, .. } => of_map,
            map => return map,
        },
        "thrift" => false,
        "netcatudp" => return HeaderMap::CopiedFrom(1),
        // The headers of a group of files come first, and all at once.
        "TAILDIR" if !is_on(source, "byteOffsetHeader") => return of_files(source),
        _ => return HeaderMap::Filled,
    };
    let added = words(source, "interceptors").map(|name| added_by(source, name, registry)).sum::<usize>();
    let of_clients = OF_CLIENTS.iter().filter(|key| value(source, key).is_some()).count();
    HeaderMap::Copied { of_map, added: added + of_clients }
}

/// Where the groups have as many headers as the first one, or none.
fn of_files(source: &Section) -> HeaderMap {
    let count = |group: &str| {
        let prefix = format!("headers.{group}.");
        source.entries.keys().filter(|key| key.starts_with(&prefix)).count()
    };
    match words(source, "filegroups").map(count).find(|count| *count > 0) {
        Some(count) => HeaderMap::CopiedFrom(count),
        None => HeaderMap::Filled,
    }
}

/// How many headers an interceptor adds, if all goes well.
fn added_by(source: &Section, name: &str, registry: &Registry) -> usize {
    let kind = value(source, &format!("interceptors.{name}.type")).and_then(|kind| registry.interceptors.name_of(kind));
    match kind.as_deref() {
        Some("timestamp" | "host" | "static" | "uuid") => 1,
        Some("regex_extractor") => words(source, &format!("interceptors.{name}.serializers")).count(),
        _ => 0,
    }
}

fn kind<T>(table: &Table<T>, section: &Section) -> String {
    value(section, "type").and_then(|name| table.name_of(name)).map(|name| name.to_string()).unwrap_or_default()
}

fn value<'a>(section: &'a Section, key: &str) -> Option<&'a str> {
    section.entries.get(key).map(|entry| entry.value.as_str())
}

fn is_on(section: &Section, key: &str) -> bool {
    value(section, key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn words<'a>(section: &'a Section, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    value(section, key).unwrap_or_default().split_whitespace()
}

/// Keys of headers that the syslog sources add to a message that is an event already.
const OF_CLIENTS: [&str; 3] = ["clientIPHeader", "clientHostnameHeader", "portHeader"];

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::super::keys::Entry;
    use super::super::lookup::Mentions;
    use super::*;

    #[test]
    fn maps_are_those_of_the_sources_unless_the_channel_has_its_own() {
        let copied = |of_map, added| HeaderMap::Copied { of_map, added };
        for (lines, expected) in [
            (&["type = netcat"][..], HeaderMap::Filled),
            (&["type = http"], copied(false, 0)),
            (&["type = http", "handler = org.apache.flume.source.http.JSONHandler"], copied(false, 0)),
            (&["type = http", "handler = org.apache.flume.source.http.BLOBHandler"], HeaderMap::Filled),
            (&["type = http", "handler = Blob"], HeaderMap::Filled),
            (&["type = http", "handler = ndjson"], copied(false, 0)),
            (&["type = http", "handler = org.apache.flume.sink.solr.morphline.BlobHandler"], copied(true, 0)),
            (&["type = AVRO"], copied(true, 0)),
            (&["type = avro", "interceptors = i", "interceptors.i.type = regex_filter"], copied(true, 0)),
            (&["type = avro", "interceptors = i j", "interceptors.j.type = host"], copied(true, 1)),
            (&["type = syslogtcp", "clientIPHeader = ip"], copied(true, 1)),
            (
                &[
                    "type = http",
                    "interceptors = i",
                    "interceptors.i.type = regex_extractor",
                    "interceptors.i.serializers = a b c",
                ],
                copied(false, 3),
            ),
            (&["type = thrift"], copied(false, 0)),
            (&["type = netcatudp", "interceptors = i", "interceptors.i.type = host"], HeaderMap::CopiedFrom(1)),
            (&["type = TAILDIR", "filegroups = e f", "headers.f.k = v"], HeaderMap::CopiedFrom(1)),
            (
                &["type = TAILDIR", "filegroups = f", "headers.f.k = v", "headers.f.l = w", "fileHeader = TRUE"],
                HeaderMap::CopiedFrom(2),
            ),
            (&["type = TAILDIR", "filegroups = f", "headers.f.k = v", "byteOffsetHeader = true"], HeaderMap::Filled),
            (&["type = TAILDIR", "filegroups = f", "headers.e.k = v", "fileHeader = true"], HeaderMap::Filled),
        ] {
            let maps = maps(lines, "memory");
            assert_eq!(maps, [expected; 2], "{lines:?}");
        }
        assert_eq!(maps(&["type = http"], "file"), [HeaderMap::Filled; 2]);
        // Another source feeds the second channel, too.
        let mixed = maps(&["type = http", "x.channels = c2", "x.type = netcat"], "SPILLABLEMEMORY");
        assert_eq!(mixed, [copied(false, 0), HeaderMap::Filled]);
    }

    /// The maps of the channels `c1` and `c2`, which the source `s` feeds unless its lines say otherwise.
    fn maps(source: &[&str], channel: &str) -> [HeaderMap; 2] {
        let lines = source.iter().map(|line| match line.strip_prefix("x.") {
            Some(other) => format!("a.sources.x.{other}\n"),
            None => format!("a.sources.s.{line}\n"),
        });
        let text = format!(
            "a.sources = s x\na.channels = c1 c2\na.channels.c1.type = {channel}\na.channels.c2.type = {channel}\n\
             a.sources.s.channels = c1 c2\n{}",
            lines.collect::<String>()
        );
        let properties = Properties::parse("f", text.as_bytes()).unwrap();
        let entry = |(key, raw): (&String, &super::super::file::Raw)| {
            let entry = Entry { value: raw.value.clone(), written: raw.value.clone(), origin: None };
            (key.strip_prefix("a.").unwrap().to_owned(), entry)
        };
        let entries = properties.entries().iter().map(entry).collect();
        let sections = Sections::sort("a", entries, &BTreeMap::new(), &Mentions::default(), &mut Vec::new());
        let maps = of_channels(&sections, &Registry::standard());
        ["c1", "c2"].map(|name| maps[name])
    }
}
