//! Reading as Flume does: what is wrong is passed over or dropped, with a warning, and the rest runs.

use super::{GOOD, plan_with};
use aqueduct::config::Options;

/// The agent that is left, and the warnings.
fn lenient(text: &str) -> (String, Vec<String>) {
    let plan = plan_with(text, Options::new().lenient()).unwrap_or_else(|error| panic!("{error}"));
    (plan.to_string(), plan.warnings().iter().map(ToString::to_string).collect())
}

#[test]
fn a_component_with_a_mistake_is_dropped_and_the_others_run() {
    let text = format!(
        "{GOOD}a1.sources = r1 r2\na1.sources.r2.type = netcat\na1.sources.r2.bind = ::\na1.sources.r2.port = none\na1.sources.r2.channels = c1"
    );
    let (agent, warnings) = lenient(&text);
    assert_eq!(agent, "agent a1: 1 source, 1 channel, 1 sink");
    assert!(warnings.contains(&"f:12: a1.sources.r2.port = none: must be a number from 0 to 65535".to_owned()));
}

#[test]
fn a_key_that_is_passed_over_drops_nothing() {
    let (agent, warnings) = lenient(&format!("{GOOD}a1.sources.r1.colour = red\na1.other.x = 1"));
    assert_eq!(agent, "agent a1: 1 source, 1 channel, 1 sink");
    assert_eq!(warnings.len(), 2);
}

#[test]
fn what_needs_a_dropped_channel_goes_with_it() {
    let two = format!(
        "{GOOD}a1.channels = c1 c2\na1.channels.c2.type = memory\na1.channels.c2.capacity = x\na1.sources.r1.channels = c1 c2\n\
         a1.sinks = k1 k2\na1.sinks.k2.type = null\na1.sinks.k2.channel = c2"
    );
    let (agent, warnings) = lenient(&two);
    assert_eq!(agent, "agent a1: 1 source, 1 channel, 1 sink");
    for expected in [
        "f:11: a1.channels.c2.capacity = x: must be a number from 1 to 2147483647",
        "f:12: a1.sources.r1.channels = c1 c2: there is no channel c2; is it c1?",
        "f:15: a1.sinks.k2.channel = c2: there is no channel c2; is it c1?",
        "f:15: a1.sinks.k2.channel = c2: there is no channel left",
    ] {
        assert!(warnings.contains(&expected.to_owned()), "{expected}: {warnings:?}");
    }
}

#[test]
fn what_ends_flume_is_an_error_all_the_same() {
    for (text, expected) in [
        (format!("{GOOD}a1.sinks.k1.type = nosuch"), "there is no such type of sink"),
        (
            format!("{GOOD}a1.channels.c1.capacity = x"),
            "agent a1: 2 mistakes\n  a1: has no channel\n  a1: has neither source nor sink",
        ),
        (format!("{GOOD}a1.sources.r1.totalEvents = ${{a1.sources.r1.totalEvents}}"), "the reference contains itself"),
    ] {
        let error = plan_with(&text, Options::new().lenient()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn interceptors_of_an_unknown_type_cost_their_source_only() {
    let text = format!(
        "{GOOD}a1.sources = r1 r2\na1.sources.r2.type = seq\na1.sources.r2.channels = c1\n\
         a1.sources.r2.interceptors = i\na1.sources.r2.interceptors.i.type = nosuch"
    );
    assert_eq!(lenient(&text).0, "agent a1: 1 source, 1 channel, 1 sink");
}
