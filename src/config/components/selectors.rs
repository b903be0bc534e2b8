//! Flume's channel selectors.

use std::collections::HashSet;

use super::super::{Keys, Made, Registry, SelectorSetup, Severity, Site};
use crate::event::Event;
use crate::selector::{LoadBalancing, Multiplexing, Route};

pub(super) fn register(registry: &mut Registry) {
    registry.selector(&["replicating", "org.apache.flume.channel.ReplicatingChannelSelector"], replicating);
    registry.selector(&["multiplexing", "org.apache.flume.channel.MultiplexingChannelSelector"], multiplexing);
    registry.selector(&["load_balancing", "org.apache.flume.channel.LoadBalancingChannelSelector"], load_balancing);
}

fn replicating(keys: &mut Keys, site: &Site<'_>) -> Made<SelectorSetup> {
    Ok(SelectorSetup::replicating().optional(channels_of(keys, "optional", site)))
}

fn multiplexing(keys: &mut Keys, site: &Site<'_>) -> Made<SelectorSetup> {
    let mut selector = Multiplexing::on(keys.text("header", "flume.selector.header"));
    let mut is_empty = true;
    for (value, _) in keys.sub("mapping.") {
        let channels = channels_for(keys, &format!("mapping.{value}"), site);
        selector = selector.map(value, channels);
        is_empty = false;
    }
    for (value, _) in keys.sub("optional.") {
        let channels = channels_for(keys, &format!("optional.{value}"), site);
        selector = selector.optional(value, channels);
        is_empty = false;
    }
    let default = channels_named_once(keys, "default", site);
    if is_empty && default.is_empty() {
        keys.warn("type", "without mapping.<value>, optional.<value> and default, every event is dropped, as in Flume");
        return Ok(SelectorSetup::new(|_: &Event, _: &mut Route<'_>| ()));
    }
    Ok(SelectorSetup::new(selector.default_to(default)))
}

/// Flume has this selector since 1.10 and cannot make it.
fn load_balancing(keys: &mut Keys, _: &Site<'_>) -> Made<SelectorSetup> {
    let random = keys.choice("policy", &[("round_robin", false), ("random", true)], false);
    Ok(SelectorSetup::new(if random { LoadBalancing::random() } else { LoadBalancing::round_robin() }))
}

/// The channels for one value of a header.
fn channels_for(keys: &mut Keys, key: &str, site: &Site<'_>) -> Vec<String> {
    let channels = channels_named_once(keys, key, site);
    if channels.is_empty() {
        keys.mistake(key, "names no channel");
    }
    channels
}

/// The channels of a key that names none of them again.
fn channels_named_once(keys: &mut Keys, key: &str, site: &Site<'_>) -> Vec<String> {
    let count = keys.list(key).len();
    let channels = channels_of(keys, key, site);
    if channels.len() < count {
        let why = "names a channel more than once; Flume puts every event there as often, here it is put once";
        keys.problem(Severity::Ignored, key, why);
    }
    channels
}

/// The names of channels of the source, in a key of its selector.
fn channels_of(keys: &mut Keys, key: &str, site: &Site<'_>) -> Vec<String> {
    let mut names = keys.list(key);
    for name in &names {
        if !site.knows_channel(name) {
            let channels: Vec<&str> = site.channels().collect();
            keys.mistake(
                key,
                format!("{name} is no channel of source {}; it has {}", site.name(), channels.join(", ")),
            );
        }
    }
    // As in Flume for those that are optional, a channel that is named again is meant once.
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

#[cfg(test)]
mod tests {
    use super::super::testing::{mistakes_of_selector, selector};
    use super::*;

    /// Where events with these values of a header go: first letters of the channels, the optional ones behind a bar.
    fn routes(kind: &str, pairs: &[(&str, &str)], header: &str, values: &[&str]) -> Vec<String> {
        let names = ["c1", "c2", "c3", "c4"].map(str::to_owned);
        let mut selector = selector(kind, pairs).selector.unwrap();
        selector.bind(&names).unwrap();
        let route = |value: &&str| {
            let mut route = Route::new(&names, names.len());
            selector.select(&Event::new("x").with_header(header, value).unwrap(), &mut route);
            let of = |places: &[usize]| places.iter().map(|place| names[*place].as_str()).collect::<String>();
            format!("{}|{}", of(route.required()), of(route.optional()))
        };
        values.iter().map(route).collect()
    }

    #[test]
    fn multiplexing_has_the_keys_and_defaults_of_flume() {
        let pairs = [
            ("header", "state"),
            ("mapping.CZ", "c1"),
            ("mapping.New Mexico", "c2 c3"),
            ("optional.CZ", "c1 c3"),
            ("optional.US", "c3"),
            ("default", "c4"),
        ];
        let found = routes("Multiplexing", &pairs, "state", &["CZ", "New Mexico", "cz", "US", ""]);
        assert_eq!(found, ["c1|c3", "c2c3|", "c4|", "c4|c3", "c4|"]);
        let class = "org.apache.flume.channel.MultiplexingChannelSelector";
        assert_eq!(routes(class, &[("mapping.a", "c1")], "flume.selector.header", &["a", "b"]), ["c1|", "|"]);
        let told = mistakes_of_selector(class, &[]);
        assert!(told.len() == 1 && told[0].ends_with("every event is dropped, as in Flume"), "{told:?}");
    }

    #[test]
    fn load_balancing_has_the_keys_and_defaults_of_flume() {
        assert_eq!(routes("load_balancing", &[], "h", &["a", "b", "c", "d", "e"]), ["c1|", "c2|", "c3|", "c4|", "c1|"]);
        let found = routes("load_balancing", &[("policy", "RANDOM")], "h", &["x"; 200]);
        assert!(["c1|", "c2|", "c3|", "c4|"].iter().all(|channel| found.iter().any(|other| other == channel)));
    }

    #[test]
    fn replicating_may_have_optional_channels() {
        let setup = selector("replicating", &[("optional", "c2 c3")]);
        assert!(setup.selector.is_none());
        assert_eq!(setup.optional, ["c2", "c3"]);
        assert_eq!(selector("replicating", &[("optional", "c3 c2 c3")]).optional, ["c3", "c2"]);
    }

    #[test]
    fn a_channel_that_is_named_again_is_a_mistake_where_flume_puts_events_twice() {
        for (key, value) in [("mapping.CZ", "c1 c1"), ("optional.CZ", "c2 c1 c2"), ("default", "c1 c1")] {
            let found = mistakes_of_selector("multiplexing", &[("mapping.US", "c1"), (key, value)]);
            let expected = format!("selector.{key} = {value}: names a channel more than once; Flume puts every event");
            assert!(matches!(&found[..], [only] if only.contains(&expected)), "{found:?}");
        }
    }

    #[test]
    fn channels_that_the_source_does_not_have_are_mistakes() {
        let key = "a1.sources.r1.selector";
        assert_eq!(
            mistakes_of_selector("multiplexing", &[("mapping.a", "c9"), ("optional.b", " "), ("defaults", "c1")]),
            [
                format!("{key}.mapping.a = c9: c9 is no channel of source r1; it has c1, c2, c3, c4"),
                format!("{key}.optional.b =  : names no channel"),
                format!("{key}.defaults: multiplexing has no such key; is it default?"),
            ]
        );
        assert_eq!(
            mistakes_of_selector("load_balancing", &[("policy", "roundrobin")]),
            [format!("{key}.policy = roundrobin: must be round_robin or random; is it round_robin?")]
        );
    }
}
