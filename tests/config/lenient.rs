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
        "{GOOD}a1.channels = c1 c2\na1.channels.c2.type = file\na1.channels.c2.capacity = x\na1.sources.r1.channels = c1 c2\n\
         a1.sinks = k1 k2\na1.sinks.k2.type = null\na1.sinks.k2.channel = c2"
    );
    let (agent, warnings) = lenient(&two);
    assert_eq!(agent, "agent a1: 1 source, 1 channel, 1 sink");
    for expected in [
        "f:11: a1.channels.c2.capacity = x: must be a number from 1 on",
        "f:12: a1.sources.r1.channels = c1 c2: channel c2 is left out, for a mistake of its own",
        "f:15: a1.sinks.k2.channel = c2: channel c2 is left out, for a mistake of its own",
        "f:15: a1.sinks.k2.channel = c2: there is no channel left",
    ] {
        assert!(warnings.contains(&expected.to_owned()), "{expected}: {warnings:?}");
    }
}

#[test]
fn a_group_goes_on_without_a_sink_that_is_dropped() {
    let group = "a1.sinks = k1 k2\na1.sinks.k2.type = null\na1.sinks.k2.channel = c1\na1.sinks.k2.batchSize = x\n\
        a1.sinkgroups = g\na1.sinkgroups.g.sinks = k1 k2\na1.sinkgroups.g.processor.type = failover";
    let (agent, warnings) = lenient(&format!("{GOOD}{group}"));
    assert_eq!(agent, "agent a1: 1 source, 1 channel, 1 sink, 1 sink group");
    let expected = "f:14: a1.sinkgroups.g.sinks = k1 k2: sink k2 is left out, for a mistake of its own";
    assert!(warnings.contains(&expected.to_owned()), "{warnings:?}");
    assert_eq!(warnings.iter().filter(|warning| warning.contains("sinkgroups")).count(), 1, "{warnings:?}");
}

#[test]
fn what_ends_flume_is_an_error_all_the_same() {
    for (text, expected) in [
        (format!("{GOOD}a1.sinks.k1.type = nosuch"), "there is no such type of sink"),
        (
            format!("{GOOD}a1.channels.c1.type = file\na1.channels.c1.capacity = x"),
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

/// Settings of a component instead of which Flume takes others, as told: a mistake that costs nothing in a lenient reading.
fn assert_bearable(base: &str, agent: &str, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let text = format!("{base}{line}");
        let error = plan_with(&text, Options::new()).expect_err(line).to_string();
        assert!(error.contains(expected), "{line}: {error}");
        let (left, warnings) = lenient(&text);
        assert_eq!(left, agent, "{line}: {warnings:?}");
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{line}: {warnings:?}");
    }
}

const ALL: &str = "agent a1: 1 source, 1 channel, 1 sink";

#[test]
fn channels_go_on_with_the_defaults_of_flume() {
    let memory = [
        ("capacity = 0", "must be a number from 1 to 2147483647; Flume takes the default of 100"),
        ("capacity = abc", "Flume takes the default of 100"),
        ("transactionCapacity = 0", "Flume takes the default of 100"),
        ("transactionCapacity = many", "Flume takes the default of 100"),
        ("keep-alive = x", "must be a number from -2147483648 to 2147483647; Flume takes the default of 3"),
        ("byteCapacity = x", "Flume takes the default of 80 % of its memory"),
        ("byteCapacityBufferPercentage = x", "Flume takes the default of 20"),
    ];
    let file = [
        ("capacity = 0", "must be a number from 1 on; Flume takes the default of 1000000"),
        ("capacity = -1", "Flume takes the default of 1000000"),
        ("transactionCapacity = 0", "Flume takes the default of 10000"),
        ("transactionCapacity = -5", "Flume takes the default of 10000"),
    ];
    let spillable = [
        ("memoryCapacity = x", "Flume takes the default of 10000"),
        ("memoryCapacity = -1", "Flume takes the default of 10000"),
        ("overflowCapacity = x", "Flume takes the default of 100000000"),
        ("overflowTimeout = x", "Flume takes the default of 3"),
        ("byteCapacity = x", "Flume takes the default of 80 % of its memory"),
        ("byteCapacityBufferPercentage = x", "Flume takes the default of 20"),
        ("avgEventSize = x", "Flume takes the default of 500"),
        ("overflowDeactivationThreshold = x", "Flume takes the default of 5"),
        ("memoryCapacity = 0\na1.channels.c1.overflowCapacity = 0", "Flume takes the default of 100000000"),
    ];
    for (kind, cases) in [("memory", &memory[..]), ("file", &file), ("SPILLABLEMEMORY", &spillable)] {
        let base = format!("{GOOD}a1.channels.c1.type = {kind}\na1.channels.c1.");
        assert_bearable(&base, ALL, cases);
    }
}

#[test]
fn sources_and_sinks_go_on_with_the_defaults_of_flume() {
    let tail = "a1.sources.r1.type = TAILDIR\na1.sources.r1.filegroups = f1 f2\na1.sources.r1.filegroups.f2 = /x/y\n";
    assert_bearable(
        &format!("{GOOD}{tail}"),
        ALL,
        &[
            (
                "a1.sources.r1.filegroups.f3 = /x",
                "a1.sources.r1.filegroups.f1: is missing; Flume passes over the group",
            ),
            ("a1.sources.r1.maxBatchCount = 0", "must be a number from 1 on; Flume takes the default of no limit"),
        ],
    );
    assert_bearable(
        &format!("{GOOD}a1.sources.r1.type = syslogudp\na1.sources.r1.port = 1\n"),
        ALL,
        &[("a1.sources.r1.keepFields = priority, facility", "\"facility\" is no field of a syslog message")],
    );
    let logger = format!("{GOOD}a1.sinks.k1.type = logger\n");
    let cases = [("a1.sinks.k1.maxBytesToLog = x", "must be a number from 0 on; Flume takes the default of 16")];
    assert_bearable(&logger, ALL, &cases);
    let avro = "a1.sinks.k1.type = avro\na1.sinks.k1.hostname = h\na1.sinks.k1.port = 1\na1.sinks.k1.";
    assert_bearable(
        &format!("{GOOD}{avro}"),
        ALL,
        &[
            ("batch-size = 0", "must be a number from 1 to 100000; Flume takes the default of 100"),
            ("batch-size = x", "Flume takes the default of 100"),
            ("connect-timeout = x", "Flume takes the default of 20000"),
            ("request-timeout = x", "Flume takes the default of 20000"),
            ("compression-level = best", "must be a number from 0 to 9; Flume takes the default of 6"),
            ("compression-type = gzip", "must be none or deflate; Flume takes none"),
        ],
    );
    let thrift = avro.replace("avro", "thrift");
    let cases = [("protocol = json", "must be compact or binary; Flume takes compact")];
    assert_bearable(&format!("{GOOD}{thrift}"), ALL, &cases);
    let roll =
        "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = /x\na1.sinks.k1.sink.serializer = avro_event\n";
    let cases = [
        ("a1.sinks.k1.sink.serializer.compressionCodec = zip", "bzip2; is it bzip2?; Flume does not compress then"),
        ("a1.sinks.k1.sink.serializer.compressionCodec = xz", "; Flume has this codec, this crate has not"),
    ];
    assert_bearable(&format!("{GOOD}{roll}"), ALL, &cases);
}

#[test]
fn what_costs_the_component_in_flume_costs_it_here() {
    let two = format!("{GOOD}a1.channels = c1 c2\na1.channels.c2.type = file\na1.channels.c2.");
    for line in ["capacity = x", "transactionCapacity = x", "checkpointInterval = x", "fsyncInterval = x"] {
        let (_, warnings) = lenient(&format!("{two}{line}\na1.sources.r1.channels = c1 c2"));
        let is_gone = |warning: &String| warning.contains("a1.sources.r1.channels = c1 c2: channel c2 is left out");
        assert!(warnings.iter().any(is_gone), "{line}: {warnings:?}");
    }
    let never = format!("{two}fsyncPerTransaction = false\na1.channels.c2.fsyncInterval = 0");
    assert!(lenient(&never).1.iter().any(|warning| warning.contains("must be a number from 1 to 2147483647")));
    let source = format!("{GOOD}a1.sources.r1.type = TAILDIR\na1.sources.r1.filegroups = f1 f2");
    let (agent, warnings) = lenient(&source);
    assert_eq!(agent, "agent a1: 0 sources, 1 channel, 1 sink", "{warnings:?}");
}

#[test]
fn a_reference_that_leads_nowhere_stays_as_text() {
    let text = format!("{GOOD}a1.sources.r1.totalEvents = ${{env:TOTAL}}");
    let (agent, warnings) = lenient(&text);
    assert_eq!(agent, "agent a1: 0 sources, 1 channel, 1 sink");
    for expected in ["there is no TOTAL in the environment", "= ${env:TOTAL}: must be a number"] {
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{expected}: {warnings:?}");
    }
}
