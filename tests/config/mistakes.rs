//! The text of every mistake: what a user reads who made it.

use super::{GOOD, mistakes, plan, plan_with, warnings};
use aqueduct::config::{Keys, Options, Properties};

/// The mistakes that lines behind a right agent make; the first of them is line 9.
fn behind(lines: &str) -> Vec<String> {
    mistakes(&format!("{GOOD}{lines}"))
}

#[test]
fn a_right_agent_has_none() {
    assert_eq!(warnings(GOOD), [""; 0]);
    assert_eq!(plan(GOOD).unwrap().to_string(), "agent a1: 1 source, 1 channel, 1 sink");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "a1.sources = r1 r3
a1.channels = c1 c2
a1.sinks = k1
a1.sourcs.r1.type = netcat
a1.sources.r1.type = netcat
a1.sources.r1.bnd = 0.0.0.0
a1.sources.r1.port = 70000
a1.sources.r1.channels = c1 c3
a1.sources.r1.ack-every-event = yes
a1.channels.c1.type = memory
a1.channels.c1.capacity = 10
a1.channels.c1.transactionCapacity = 100
a1.channels.c2.type = fil
a1.sinks.k1.type = hdfs
a1.sinks.k1.channel = c1
a1.sinks.k1.hdfs.path = /x
";
    let error = plan(text).unwrap_err().to_string();
    assert_eq!(
        error,
        "agent a1: 10 mistakes
  f:1: a1.sources.r3: is listed and has no properties
  f:4: a1.sourcs.r1.type: an agent has no sourcs; is it sources?
  f:5: a1.sources.r1.bind: is missing
  f:6: a1.sources.r1.bnd: netcat has no such key; is it bind?
  f:7: a1.sources.r1.port = 70000: must be a number from 0 to 65535
  f:8: a1.sources.r1.channels = c1 c3: there is no channel c3; is it c1?
  f:9: a1.sources.r1.ack-every-event = yes: must be true or false; Flume takes it for false
  f:12: a1.channels.c1.transactionCapacity = 100: is over the capacity of 10; Flume drops the channel
  f:13: a1.channels.c2.type = fil: there is no such type of channel; is it file?
  f:14: a1.sinks.k1.type = hdfs: Flume's sink hdfs is not part of this crate; write with file_roll where a job uploads from, or register a sink of your own under this name"
    );
}

#[test]
fn keys_that_belong_nowhere() {
    for (lines, expected) in [
        ("a1.surces.r1.x = 1", "f:9: a1.surces.r1.x: an agent has no surces; is it sources?"),
        (
            "a1.monitoring = 1",
            "f:9: a1.monitoring: an agent has no monitoring; behind the name of an agent comes sources, channels, sinks, \
             sinkgroups or configfilters",
        ),
        ("a1.sources.r1 = seq", "f:9: a1.sources.r1: must be sources.<name>.<key>"),
        ("a1.sinks..type = seq", "f:9: a1.sinks..type: must be sinks.<name>.<key>"),
        ("a1.sources.r1.batchSise = 5", "f:9: a1.sources.r1.batchSise: seq has no such key; is it batchSize?"),
        ("a1.sources.r1.chanels = c1", "f:9: a1.sources.r1.chanels: seq has no such key"),
        ("a1.sources.r1.color = red", "f:9: a1.sources.r1.color: seq has no such key"),
        ("a1.sources.r1.selector.kind = x", "f:9: a1.sources.r1.selector.kind: replicating has no such key"),
        ("a1.sinks.k1.channels = c1", "f:9: a1.sinks.k1.channels: null has no such key"),
    ] {
        assert_eq!(behind(lines), [expected], "{lines}");
    }
}

#[test]
fn a_key_that_lost_its_value_is_told_where_it_stands() {
    for (lines, expected) in [
        ("a1.sinks.k1.channel", "f:9: a1.sinks.k1.channel: has no value"),
        ("a1.sinks.k1.type =", "f:9: a1.sinks.k1.type: has no value"),
        (
            "a1.sources.r1.type = netcat\na1.sources.r1.bind = 0.0.0.0\na1.sources.r1.port = ",
            "f:11: a1.sources.r1.port: has no value",
        ),
    ] {
        assert_eq!(behind(lines), [expected], "{lines}");
    }
}

#[test]
fn types_that_do_not_exist() {
    for (lines, expected) in [
        ("a1.sources.r1.type = sec", "f:9: a1.sources.r1.type = sec: there is no such type of source; is it seq?"),
        (
            "a1.sinks.k1.type = com.example.Sink",
            "f:9: a1.sinks.k1.type = com.example.Sink: there is no such type of sink; there are ",
        ),
        (
            "a1.channels.c1.type = jdbc",
            "f:9: a1.channels.c1.type = jdbc: Flume's channel jdbc is not part of this crate; use file",
        ),
        (
            "a1.sources.r1.selector.type = replicate",
            "f:9: a1.sources.r1.selector.type = replicate: there is no such type of selector; is it ",
        ),
        (
            "a1.sources.r1.interceptors = i\na1.sources.r1.interceptors.i.type = hosts",
            "f:10: a1.sources.r1.interceptors.i.type = hosts: there is no such type of interceptor; is it host?",
        ),
        ("a1.sources.r1.interceptors = i", "f:9: a1.sources.r1.interceptors.i.type: is missing"),
        (
            "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = /o\na1.sinks.k1.sink.serializer = txt",
            "f:11: a1.sinks.k1.sink.serializer = txt: there is no such type of serializer; is it text?",
        ),
    ] {
        let found = behind(lines);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{lines}: {found:?}");
    }
    let text = GOOD.replace("a1.sources.r1.type = seq\n", "");
    assert_eq!(mistakes(&text), ["f:1: a1.sources.r1.type: is missing"]);
}

#[test]
fn connections_that_do_not_hold() {
    for (lines, expected) in [
        ("a1.sources.r1.channels = c2", "f:9: a1.sources.r1.channels = c2: there is no channel c2; is it c1?"),
        ("a1.sources.r1.channels = disk", "f:9: a1.sources.r1.channels = disk: there is no channel disk"),
        ("a1.sinks.k1.channel = c2", "f:9: a1.sinks.k1.channel = c2: there is no channel c2; is it c1?"),
        (
            "a1.sinks.k1.channel = c1 c1",
            "f:9: a1.sinks.k1.channel = c1 c1: names more than one channel; a sink takes from one",
        ),
        (
            "a1.sources.r1.selector.optional = c1 c7",
            "f:9: a1.sources.r1.selector.optional = c1 c7: c7 is no channel of source r1; it has c1",
        ),
        ("a1.channels = c1 c2", "f:9: a1.channels.c2: is listed and has no properties"),
        (
            "a1.channels = c1 c2\na1.channels.c2.type =",
            "f:9: a1.channels.c2: is listed, and none of its properties has a value",
        ),
        (
            "a1.channels = c1 d1\na1.channels.d2.type = memory",
            "f:9: a1.channels.d1: is listed and has no properties; is it d2?",
        ),
    ] {
        assert_eq!(behind(lines), [expected], "{lines}");
    }
    let text = GOOD.replace("a1.sinks.k1.channel = c1\n", "");
    assert_eq!(mistakes(&text), ["f:7: a1.sinks.k1.channel: is missing"]);
}

#[test]
fn an_agent_that_is_none() {
    let agent = |text: &str, name: &str| {
        let error = Properties::parse("f", text.as_bytes()).unwrap().plan(name, &Options::new()).unwrap_err();
        error.to_string()
    };
    assert_eq!(agent(GOOD, "a2"), "there is no agent a2; is it a1?");
    assert_eq!(agent(GOOD, "edge"), "there is no agent edge; there are a1");
    assert_eq!(
        agent("a = b", "a1"),
        "there is no agent a1, nor any other: no key is <agent>.sources, <agent>.channels or <agent>.sinks"
    );
    assert_eq!(
        agent("a1.sources = r1\na1.sources.r1.type = seq\na1.sources.r1.channels=c", "a1"),
        "agent a1: f:3: a1.sources.r1.channels = c: there is no channel c"
    );
    assert_eq!(
        agent("a1.channels = c\na1.channels.c.type = memory", "a1"),
        "agent a1: a1: has neither source nor sink"
    );
    assert_eq!(
        agent("a1.sources=", "a1"),
        "agent a1: 2 mistakes\n  a1: has no channel\n  a1: has neither source nor sink"
    );
    let slash = GOOD.replace("c1", "c/1");
    assert_eq!(
        agent(&slash, "a1"),
        "agent a1: f:2: a1.channels.c/1: a name has at most 255 bytes, and neither / nor control characters"
    );
}

#[test]
fn batches_that_do_not_fit() {
    let lines = "a1.sources.r1.batchSize = 101\na1.sinks.k1.batchSize = 200";
    assert_eq!(
        behind(lines),
        [
            "f:9: a1.sources.r1.batchSize = 101: is over the transactionCapacity of 100 of channel c1; Flume drops the source",
            "f:10: a1.sinks.k1.batchSize = 200: is over the transactionCapacity of 100 of channel c1; Flume drops the sink",
        ]
    );
    let avro = "a1.sinks.k1.type = avro\na1.sinks.k1.hostname = h\na1.sinks.k1.port = 1\na1.sinks.k1.batch-size = 50";
    assert_eq!(
        behind(&format!("{avro}\na1.sinks.k1.requests-in-flight = 4")),
        [
            "f:13: a1.sinks.k1.requests-in-flight = 4: makes 200 events at once, which is over the transactionCapacity of 100 of \
             channel c1; lower it or batch-size, or raise the transactionCapacity"
        ]
    );
    let fits = format!("{}{avro}\na1.sinks.k1.requests-in-flight = 2", GOOD.replace("a1.sinks.k1.type = null\n", ""));
    assert_eq!(warnings(&fits), [""; 0]);
    // Flume drops the sink for its default, too, and the channel for that of its transactions.
    assert_eq!(warnings(&format!("{GOOD}a1.channels.c1.capacity = 7")), [""; 0]);
    let file = GOOD.replace("= memory", "= file");
    assert_eq!(warnings(&format!("{file}a1.channels.c1.capacity = 50")), [""; 0]);
}

const EXEC: &str = "exec\na1.sources.r1.command = cat";
const SPOOL: &str = "spooldir\na1.sources.r1.spoolDir = /in";
const TAIL: &str = "TAILDIR\na1.sources.r1.filegroups = g\na1.sources.r1.filegroups.g = /in/x";
const SYSLOG: &str = "syslogtcp\na1.sources.r1.host = h\na1.sources.r1.port = 1";

/// What is said of a source of a type, with a key more.
fn of_source(kind: &str, key: &str) -> Vec<String> {
    let text =
        format!("{}a1.sources.r1.type = {kind}\na1.sources.r1.{key}\n", GOOD.replace("a1.sources.r1.type = seq\n", ""));
    match plan(&text) {
        Ok(plan) => plan.warnings().iter().map(ToString::to_string).collect(),
        Err(error) => error.problems().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_mistake_in_a_channel_is_not_one_in_the_selector_that_names_it() {
    let two = "a1.channels = c1 c2\na1.channels.c2.type = memory\na1.channels.c2.capacity = x\n\
        a1.sources.r1.channels = c1 c2\na1.sources.r1.selector.";
    let given_again = |found: &String| found.contains("given again");
    for lines in [
        "optional = c2",
        "type = multiplexing\na1.sources.r1.selector.mapping.a = c2\na1.sources.r1.selector.default = c2",
    ] {
        let mut found = behind(&format!("{two}{lines}"));
        found.retain(|found| !given_again(found));
        let expected = "f:11: a1.channels.c2.capacity = x: must be a number from 1 to 2147483647; Flume takes";
        assert!(matches!(&found[..], [only] if only.starts_with(expected)), "{found:?}");
    }
}

#[test]
fn what_a_component_refuses_is_told_with_the_key_that_is_wrong() {
    let netcat = "netcat\na1.sources.r1.bind = h\na1.sources.r1.port = 1";
    let tls = format!("{}\na1.sources.r1.ssl = true", netcat.replace("netcat", "avro"));
    let stored = format!(
        "{tls}\na1.sources.r1.keystore-password = changeit\na1.sources.r1.keystore = {}/tests/fixtures/tls/server.jks",
        env!("CARGO_MANIFEST_DIR")
    );
    for (kind, key, expected) in [
        (netcat, "encoding = klingon", "11: a1.sources.r1.encoding = klingon: is no known character set"),
        (SPOOL, "includePattern = (a", "10: a1.sources.r1.includePattern = (a: a group is not closed"),
        (SPOOL, "ignorePattern = a(?=b)", "10: a1.sources.r1.ignorePattern = a(?=b): look-ahead (?= at character 2"),
        (SPOOL, "inputCharset = klingon", "10: a1.sources.r1.inputCharset = klingon: is no known character set"),
        (SPOOL, "fileSuffix = /", "10: a1.sources.r1.fileSuffix = /: must not be empty, nor contain a slash"),
        (
            SPOOL,
            "trackingPolicy = tracker_dir\na1.sources.r1.trackerDir = ../x",
            "11: a1.sources.r1.trackerDir = ../x: must name a directory",
        ),
        (TAIL, "filegroups.g = /x/(a", "11: a1.sources.r1.filegroups.g = /x/(a: a group is not closed"),
        (TAIL, "filegroups.g = x", "11: a1.sources.r1.filegroups.g = x: has no directory"),
        (TAIL, "filegroups = f g", "11: a1.sources.r1.filegroups.f: is missing; Flume passes over the group"),
        (EXEC, "charset = UTF-16", "10: a1.sources.r1.charset = UTF-16: leaves the order of bytes open"),
        (&tls, "threads = 1", "11: a1.sources.r1.keystore: is missing; with ssl there must be a key"),
        (&tls, "keystore = /absent", "12: a1.sources.r1.keystore = /absent: cannot read key store /absent"),
        (&stored, "truststore = /absent", "14: a1.sources.r1.truststore = /absent: cannot read trust store /absent"),
        (&stored, "include-protocols = TLSv9", "14: a1.sources.r1.include-protocols = TLSv9: TLSv9 is not a version"),
        (
            &stored,
            "include-protocols = TLSv1.2\na1.sources.r1.exclude-protocols = TLSv9",
            "15: a1.sources.r1.exclude-protocols = TLSv9: TLSv9 is not a version",
        ),
        (
            &stored,
            "include-protocols = TLSv1.2\na1.sources.r1.exclude-protocols = TLSv1.2",
            "15: a1.sources.r1.exclude-protocols = TLSv1.2: no version of TLS is left",
        ),
        (
            &stored,
            "exclude-protocols = SSLv3\na1.sources.r1.include-protocols = TLSv1",
            "15: a1.sources.r1.include-protocols = TLSv1: no version of TLS is left",
        ),
        (
            &stored,
            "include-cipher-suites = TLS_RSA_WITH_AES_128_CBC_SHA",
            "14: a1.sources.r1.include-cipher-suites = TLS_RSA_WITH_AES_128_CBC_SHA: no cipher suite is left",
        ),
        (
            &stored,
            "include-cipher-suites = TLS_AES_128_GCM_SHA256\n\
             a1.sources.r1.exclude-cipher-suites = TLS_AES_128_GCM_SHA256",
            "15: a1.sources.r1.exclude-cipher-suites = TLS_AES_128_GCM_SHA256: no cipher suite is left",
        ),
    ] {
        let found: Vec<String> = of_source(kind, key).into_iter().filter(|one| !one.contains("given again")).collect();
        let is_it = |one: &String| one.strip_prefix("f:").is_some_and(|one| one.starts_with(expected));
        assert!(found.len() == 1 && is_it(&found[0]), "{key}: {found:?}");
    }
}

#[test]
fn a_trust_store_without_a_certificate_that_can_be_used_is_told_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.pem");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n").unwrap();
    let server = format!("{}/tests/fixtures/tls/server.jks", env!("CARGO_MANIFEST_DIR"));
    let tls = format!(
        "avro\na1.sources.r1.bind = h\na1.sources.r1.port = 1\na1.sources.r1.ssl = true\na1.sources.r1.keystore = {server}\n\
         a1.sources.r1.keystore-password = changeit"
    );
    let path = path.display();
    let found = of_source(&tls, &format!("truststore = {path}"));
    let expected =
        format!("f:14: a1.sources.r1.truststore = {path}: trust store {path}: none of its certificates can be parsed");
    assert_eq!(found, [expected]);
}

#[test]
fn all_that_is_wrong_with_a_spool_directory_is_told_at_once() {
    let found = of_source(SPOOL, "includePattern = (\na1.sources.r1.ignorePattern = )\na1.sources.r1.inputCharset = x");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_part_of_the_names_of_files_is_no_path() {
    let sink = "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = /o\na1.sinks.k1.sink.pathManager.";
    for key in ["prefix", "extension"] {
        let found = behind(&format!("{sink}{key} = a/b"));
        let expected = format!("f:11: a1.sinks.k1.sink.pathManager.{key} = a/b: is a part of the names of files");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    }
}

#[test]
fn an_unknown_key_of_a_part_is_told_with_the_part() {
    let part = "a1.sources.r1.interceptors = i\na1.sources.r1.interceptors.i.";
    assert_eq!(
        behind(&format!("{part}type = host\na1.sources.r1.interceptors.i.useIp = false")),
        ["f:11: a1.sources.r1.interceptors.i.useIp: host has no such key; is it useIP?"]
    );
    // Nobody knows the keys of an unknown one.
    let found = behind(&format!("{part}type = hst\na1.sources.r1.interceptors.i.useIp = false"));
    assert!(found.len() == 1 && found[0].contains("there is no such type of interceptor"), "{found:?}");
    let morphline = "org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder";
    let found = behind(&format!("{part}type = {morphline}\na1.sources.r1.interceptors.i.morphlineFile = /m"));
    assert!(found.len() == 1 && found[0].contains("is not part of this crate"), "{found:?}");
    let sink = "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = /o\na1.sinks.k1.sink.serializer.";
    assert_eq!(
        behind(&format!("{sink}appendNewLine = false")),
        ["f:11: a1.sinks.k1.sink.serializer.appendNewLine: text has no such key; is it appendNewline?"]
    );
    let found = behind(&format!("{sink}x = y\na1.sinks.k1.sink.serializer = txt"));
    assert!(found.len() == 1 && found[0].contains("there is no such type of serializer"), "{found:?}");
}

#[test]
fn numbers_that_flume_works_with_are_taken() {
    for (kind, key) in [
        (EXEC, "batchSize = 0"),
        (EXEC, "batchSize = -1"),
        (EXEC, "restartThrottle = -1"),
        (SPOOL, "maxBackoff = 0"),
        (TAIL, "idleTimeout = -1"),
        (TAIL, "maxBackoffSleep = 0"),
        (TAIL, "backoffSleepIncrement = 0"),
        ("seq", "totalEvents = -1"),
        (SYSLOG, "eventSize = 0"),
        (SYSLOG, "eventSize = -1"),
    ] {
        assert_eq!(of_source(kind, key), [""; 0], "{kind} {key}");
    }
    let group = "a1.sinks = k1 k2\na1.sinks.k2.type = null\na1.sinks.k2.channel = c1\na1.sinkgroups = g\n\
         a1.sinkgroups.g.sinks = k1 k2\na1.sinkgroups.g.processor.type = load_balance\n\
         a1.sinkgroups.g.processor.backoff = true\na1.sinkgroups.g.processor.selector.maxTimeOut = -1";
    assert!(!warnings(&format!("{GOOD}{group}")).iter().any(|warning| warning.contains("maxTimeOut")));
}

#[test]
fn numbers_that_stop_flume_are_mistakes() {
    for (kind, key, expected) in [
        (EXEC, "batchTimeout = 0", "must be a number from 1 to 86400000"),
        (EXEC, "restart = true\na1.sources.r1.restartThrottle = -1", "Flume does not start the command again"),
        (SPOOL, "batchSize = 0", "must be a number from 1 to 100000"),
        (SPOOL, "maxBackoff = -1", "must be a number from 0 to 86400000"),
        (
            SPOOL,
            "deserializer.maxLineLength = 3",
            "must be a number from 4 to 268435456; Flume cuts lines into shorter",
        ),
        (SPOOL, "bufferMaxLineLength = 0", "must be a number from 4 to 268435456; Flume cuts lines into shorter"),
        (TAIL, "batchSize = 0", "must be a number from 1 to 100000"),
        (TAIL, "writePosInterval = 0", "must be a number from 1 to 86400000"),
        (TAIL, "backoffSleepIncrement = -1", "must be a number from 0 on; Flume fails at each pause"),
        (TAIL, "maxBackoffSleep = -1", "must be a number from 0 to 86400000"),
    ] {
        let found = of_source(kind, key);
        assert!(matches!(&found[..], [only] if only.contains(expected)), "{kind} {key}: {found:?}");
    }
    let null = format!("{GOOD}a1.sinks.k1.logEveryNEvents = 0");
    assert_eq!(mistakes(&null), ["f:9: a1.sinks.k1.logEveryNEvents = 0: must be a number from 1 on"]);
}

#[test]
fn references_that_lead_nowhere() {
    for (line, expected) in [
        (
            "a1.sources.r1.totalEvents = ${env:TOTAL}",
            vec![
                "f:9: a1.sources.r1.totalEvents = ${env:TOTAL}: there is no TOTAL in the environment, so the text stays as it is; ${name:-text} gives a default",
            ],
        ),
        (
            "a1.sources.r1.totalEvents = ${env:TOTAL:-ten}",
            vec!["f:9: a1.sources.r1.totalEvents = ${env:TOTAL:-ten}: must be a number from 0 on"],
        ),
        (
            "a1.configfilters = f\na1.configfilters.f.type = env\na1.sources.r1.totalEvents = ${f['N']}",
            vec![
                "f:11: a1.sources.r1.totalEvents = ${f['N']}: config filter f: there is no N in the environment, so the text stays as it is",
            ],
        ),
    ] {
        assert_eq!(behind(line), expected);
    }
    let options = Options::new().with_property("total", "12");
    let text = format!("count = ${{sys:total}}\n{GOOD}a1.sources.r1.totalEvents = ${{count}}");
    assert!(plan_with(&text, options).is_ok());
}

#[test]
fn a_key_that_references_use_needs_no_component() {
    for (lines, value) in [
        ("a1.total = 5", "${a1.total}"),
        ("total = 5", "${total}"),
        ("a1.sources.total = 5", "${a1.sources.total:-7}"),
        ("a1.total.big = 5\na1.total.small = 3\nsize = big", "${a1.total.${size}}"),
    ] {
        let text = format!("{GOOD}{lines}\na1.sources.r1.totalEvents = {value}");
        assert_eq!(warnings(&text), [""; 0], "{lines}");
    }
    // Also where another agent of the file uses it.
    assert_eq!(warnings(&format!("{GOOD}a1.out = /x\na2.sinks = k\na2.sinks.k.dir = ${{a1.out}}")), [""; 0]);
    // What ends otherwise, or looks like a mistake, is not what a reference with another one in it is for.
    let nested = "size = big\na1.total.big.events = 5\na1.sources.r1.totalEvents = ${a1.total.${size}.events}";
    assert_eq!(warnings(&format!("{GOOD}{nested}")), [""; 0]);
    for (lines, key, part) in [
        ("a1.total.small.bytes = 5", "a1.total.small.bytes", "an agent has no total"),
        ("a1.sinkgroup.g = 5\nb = ${a1.${size}}", "a1.sinkgroup.g", "is it sinkgroups?"),
        ("b = 5\na1.sources.r1.x = ${a1.totl}", "a1.sources.r1.x", "nothing is called a1.totl"),
    ] {
        let found = behind(&format!("{nested}\n{lines}"));
        assert!(found.iter().any(|line| line.contains(key) && line.contains(part)), "{key}: {found:?}");
    }
    let unused = "a1.total = 5\na1.sources.r1.totalEvents = ${a1.totl:-9}";
    assert!(behind(unused)[0].starts_with("f:9: a1.total: an agent has no total"));
}

#[test]
fn a_byte_order_mark_before_a_key_is_a_mistake() {
    let marked = format!("\u{feff}{GOOD}");
    let found = mistakes(&marked);
    assert!(
        found[0]
            .starts_with("f:1: a1.sources: has a byte order mark before it, which Flume takes for a part of the key"),
        "{found:?}"
    );
    let warned = plan_with(&marked, Options::new().lenient()).unwrap();
    assert_eq!(warned.to_string(), "agent a1: 0 sources, 1 channel, 1 sink");
    for line in ["# sources = x", "", "!"] {
        let found = warnings(&format!("\u{feff}{line}\n{GOOD}"));
        assert!(
            matches!(&found[..], [only] if only.starts_with("f:1: the file begins with a byte order mark")),
            "{found:?}"
        );
    }
}

#[test]
fn what_flume_passes_over_without_harm_is_a_warning() {
    for (lines, expected) in [
        (
            "a1.channels.c2.type = memory",
            vec!["f:9: a1.channels.c2: is not in the list a1.channels, so there is no such channel"],
        ),
        (
            "a1.sources.r1.batchSize =",
            vec!["f:9: a1.sources.r1.batchSize: has no value; Flume passes over the line, and the default counts"],
        ),
        ("lone = 1", vec!["f:9: lone: belongs to no agent, and no reference uses it"]),
        ("other.sinks = x\nother.sources.nonsense = 1", vec![]),
        (
            "al.channels.c1.type = file\nal.channels.c1.capacity = 5",
            vec!["f:9: al.channels.c1.type: there is no agent al, and no reference uses the key; is it a1?"],
        ),
        ("elsewhere.x = 1", vec!["f:9: elsewhere.x: there is no agent elsewhere, and no reference uses the key"]),
        ("total.events = 3\na1.sources.r1.totalEvents = ${total.events}", vec![]),
        ("a1.sources.r1.channels = c1", vec!["f:9: a1.sources.r1.channels: is given again here; f:5 has no effect"]),
        (
            "a1.sources.r1.interceptors.i1.type = host",
            vec!["f:9: a1.sources.r1.interceptors.i1.type = host: is not in the list of interceptors"],
        ),
        (
            "a1.sinks.k1.logEveryNEvents = 7",
            vec!["f:9: a1.sinks.k1.logEveryNEvents = 7: the sink counts and logs nothing; see its statistics"],
        ),
        (
            "a1.sinks = k1 k1",
            vec!["f:9: a1.sinks.k1: is listed more than once", "f:9: a1.sinks: is given again here; f:3 has no effect"],
        ),
        (
            "a1.channels = c1 c2\na1.channels.c2.type = memory",
            vec![
                "f:9: a1.channels: is given again here; f:2 has no effect",
                "a1.channels.c2: has neither source nor sink, so it is left out",
            ],
        ),
        (
            "a1.sources.r1.config = x.Y",
            vec![
                "f:9: a1.sources.r1.config = x.Y: names a class that checks the keys in Flume; they are checked anyway",
            ],
        ),
    ] {
        let mut found = warnings(&format!("{GOOD}{lines}"));
        let mut expected = expected;
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{lines}");
    }
    let without_sink = GOOD.replace("a1.sinks = k1\n", "");
    assert_eq!(
        warnings(&without_sink),
        [
            "f:7: a1.sinks.k1: is not in the list a1.sinks, so there is no such sink",
            "a1.channels.c1: has no sink, so it fills up"
        ]
    );
    let without_source = GOOD.replace("a1.sources = r1\n", "");
    assert!(
        warnings(&without_source)
            .contains(&"a1.channels.c1: has no source, so nothing comes but what it holds already".to_owned())
    );
}

#[test]
fn text_in_utf_8_is_read_as_flume_reads_it_and_told() {
    let text = format!(
        "{GOOD}a1.sources.r1.interceptors = i\na1.sources.r1.interceptors.i.type = static\na1.sources.r1.interceptors.i.value = \u{e9}"
    );
    assert_eq!(
        warnings(&text),
        [
            "f:11: a1.sources.r1.interceptors.i.value: has characters in UTF-8, of which each byte counts as a character of its own, as in Flume; write them as \\uXXXX"
        ]
    );
}

#[test]
fn a_file_that_is_none() {
    let error = Properties::load("/none/at/all.properties").unwrap_err().to_string();
    assert!(error.starts_with("cannot read /none/at/all.properties: No such file"), "{error}");
    let error = Properties::parse("f", b"a = 1\nb = \\u12").unwrap_err().to_string();
    assert_eq!(error, "f:2: \\u must be followed by four hexadecimal digits; write \\\\u for a backslash and a u");
    let dir = tempfile::tempdir().unwrap();
    let error = Properties::load(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", dir.path().display())), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let lines = "a1.sources.r1.keystore-password = hunter2\na1.configfilters = f\na1.configfilters.f.type = env\n\
        a1.sources.r1.interceptors = i\na1.sources.r1.interceptors.i.type = static\na1.sources.r1.interceptors.i.secretive = ${f['NONE']}x";
    for mistake in behind(lines) {
        assert!(!mistake.contains("hunter2") && !mistake.contains("NONE']}x"), "{mistake}");
    }
    let shown = format!("{:?}", Properties::parse("f", lines.as_bytes()).unwrap());
    assert!(shown.contains("keystore-password") && !shown.contains("hunter2"), "{shown}");
    let shown = format!("{:?}", Keys::of("a1.sinks.k1.", [("keystore-password", "hunter2")]));
    assert!(shown.contains("keystore-password") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn file_groups_that_no_list_names_are_passed_over_with_a_warning() {
    let found = warnings(&format!(
        "{GOOD}a1.sources.r1.type = TAILDIR\na1.sources.r1.filegroups = f1\na1.sources.r1.filegroups.f1 = /nowhere/.*\n\
         a1.sources.r1.headers.f1.k = v\na1.sources.r1.filegroups.f2 = /nowhere/.*\na1.sources.r1.headers.f2.k = v\n"
    ));
    let of_groups: Vec<&String> = found.iter().filter(|warning| warning.contains("no group")).collect();
    assert_eq!(of_groups.len(), 2, "{found:?}");
    assert!(of_groups[0].contains("a1.sources.r1.filegroups.f2 = /nowhere/.*: belongs to no group"), "{found:?}");
    assert!(of_groups[1].contains("a1.sources.r1.headers.f2.k"), "{found:?}");
}

#[test]
fn a_timestamp_goes_under_the_key_that_flume_knows() {
    let found = behind(
        "a1.sources.r1.interceptors = i\na1.sources.r1.interceptors.i.type = timestamp\n\
         a1.sources.r1.interceptors.i.header = t",
    );
    assert_eq!(found, ["f:11: a1.sources.r1.interceptors.i.header: timestamp has no such key"]);
}

#[test]
fn times_that_flume_takes_for_none_are_accepted() {
    let lines = "a1.channels.c1.keep-alive = -1\na1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = /nowhere\n\
                 a1.sinks.k1.sink.rollInterval = ";
    for none in ["-1", "-2"] {
        let found = warnings(&format!("{GOOD}{lines}{none}"));
        assert!(found.iter().all(|warning| warning.contains("is given again here")), "{found:?}");
    }
    assert_eq!(behind(&format!("{lines}never")).len(), 1);
}

/// A selector of the user's that works with no channel.
struct Never;

impl aqueduct::selector::Selector for Never {
    fn select(&self, _: &aqueduct::Event, _: &mut aqueduct::selector::Route<'_>) {}

    fn bind(&mut self, _: &[String]) -> Result<(), aqueduct::selector::SelectorError> {
        Err(aqueduct::selector::SelectorError::new("no channel will do"))
    }
}

#[test]
fn what_the_agent_refuses_is_found_by_the_plan_before_anything_is_opened() {
    let mut registry = aqueduct::config::Registry::standard();
    registry.selector(&["never"], |_, _| Ok(aqueduct::config::SelectorSetup::new(Never)));
    let text = format!("{GOOD}a1.sources.r1.selector.type = never\n");
    let error = super::plan_with(&text, aqueduct::config::Options::new().with_registry(registry)).unwrap_err();
    assert!(error.to_string().contains("no channel will do"), "{error}");
    // As Flume takes it: a channel that is named again is meant once.
    let again = format!("{GOOD}a1.channels = c1 c2\na1.channels.c2.type = memory\na1.sources.r1.channels = c1 c2\n");
    super::plan(&format!("{again}a1.sources.r1.selector.optional = c2 c1 c2\n")).unwrap().open().unwrap();
    let empty = format!("{GOOD}a1.sources.r1.selector.type = multiplexing\n");
    let warnings = super::warnings(&empty);
    assert!(warnings.iter().any(|warning| warning.contains("every event is dropped")), "{warnings:?}");
    super::plan(&empty).unwrap().open().unwrap();
}
