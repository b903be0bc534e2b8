//! Groups of sinks.

use super::{GOOD, mistakes, plan, plan_with, warnings};
use aqueduct::config::Options;

/// A right agent with three sinks.
fn three(lines: &str) -> String {
    let mut text = GOOD.replace("a1.sinks = k1", "a1.sinks = k1 k2 k3");
    text += "a1.sinks.k2.type = null\na1.sinks.k2.channel = c1\na1.sinks.k3.type = null\na1.sinks.k3.channel = c1\n";
    text + lines
}

const GROUP: &str = "a1.sinkgroups = g
a1.sinkgroups.g.sinks = k1 k2
a1.sinkgroups.g.processor.type = failover
";

#[test]
fn every_key_of_flumes_is_known() {
    for lines in [
        GROUP.to_owned(),
        format!("{GROUP}a1.sinkgroups.g.processor.priority.k1 = 10\na1.sinkgroups.g.processor.priority.k2 = -5"),
        format!("{GROUP}a1.sinkgroups.g.processor.maxpenalty = 0"),
        format!("{GROUP}a1.sinkgroups.g.processor.maxpenalty = -1"),
        GROUP.replace("failover", "Load_Balance"),
        format!(
            "{}a1.sinkgroups.g.processor.backoff = true\na1.sinkgroups.g.processor.selector = RANDOM\n\
             a1.sinkgroups.g.processor.selector.maxTimeOut = 0",
            GROUP.replace("failover", "org.apache.flume.sink.LoadBalancingSinkProcessor")
        ),
    ] {
        let text = three(&lines);
        assert_eq!(warnings(&text), [""; 0], "{lines}");
        assert_eq!(plan(&text).unwrap().to_string(), "agent a1: 1 source, 1 channel, 3 sinks, 1 sink group");
    }
    let single = GROUP.replace("failover", "default").replace("k1 k2", "k3");
    assert_eq!(plan(&three(&single)).unwrap().to_string(), "agent a1: 1 source, 1 channel, 3 sinks");
    let twice = GROUP.replace("k1 k2", "k1 k2 k1");
    assert_eq!(warnings(&three(&twice)), ["f:14: a1.sinkgroups.g.sinks = k1 k2 k1: names sink k1 more than once"]);
}

#[test]
fn what_makes_flume_drop_or_weaken_a_group_is_a_mistake() {
    let key = "a1.sinkgroups.g.processor";
    for (lines, expected) in [
        ("a1.sinkgroups = g h".to_owned(), "f:16: a1.sinkgroups.h: is listed and has no properties"),
        (
            "a1.sinkgroups.g.sinks = k1 k4".to_owned(),
            "f:16: a1.sinkgroups.g.sinks = k1 k4: there is no sink k4; is it k1?",
        ),
        (
            "a1.sinkgroups.g.sinks = nonsense".to_owned(),
            "f:16: a1.sinkgroups.g.sinks = nonsense: there is no sink nonsense",
        ),
        (
            format!("{key}.type = fail_over"),
            "f:16: a1.sinkgroups.g.processor.type = fail_over: there is no such type of sink processor; is it failover?",
        ),
        (
            format!("{key}.type = default"),
            "f:16: a1.sinkgroups.g.processor.type = default: is for one sink, not for 2; Flume drops the group and its \
             sinks; use failover or load_balance",
        ),
        (
            format!("{key}.type = load_balance\na1.sinkgroups.g.sinks = k2"),
            "f:16: a1.sinkgroups.g.processor.type = load_balance: needs two sinks at least, to share the work; Flume drops \
             the group and its sink",
        ),
        (
            format!("{key}.type = load_balance\n{key}.selector = round-robin"),
            "f:17: a1.sinkgroups.g.processor.selector = round-robin: must be round_robin or random; is it round_robin?",
        ),
        (
            format!("{key}.type = load_balance\n{key}.selector.maxTimeout = 1"),
            "f:17: a1.sinkgroups.g.processor.selector.maxTimeout: load_balance has no such key; is it selector.maxTimeOut?",
        ),
        (
            format!("{key}.priority.k1 = high"),
            "f:16: a1.sinkgroups.g.processor.priority.k1 = high: must be a number from -2147483648 to 2147483647; Flume \
             gives the sink a priority below those that have one",
        ),
        (
            format!("{key}.priority.k1 = 3000000000"),
            "f:16: a1.sinkgroups.g.processor.priority.k1 = 3000000000: must be a number from -2147483648 to 2147483647; \
             Flume gives the sink a priority below those that have one",
        ),
        (
            format!("{key}.priority.k1 = 5\n{key}.priority.k2 = 5"),
            "f:17: a1.sinkgroups.g.processor.priority.k2 = 5: sink k1 has the priority 5, too; Flume leaves k2 out of the \
             group",
        ),
        (
            format!("{key}.priority.k2 = -1"),
            "f:16: a1.sinkgroups.g.processor.priority.k2 = -1: sink k1 has the priority -1, too; Flume leaves k2 out of \
             the group",
        ),
        (
            format!("{key}.priority.k3 = 5"),
            "f:16: a1.sinkgroups.g.processor.priority.k3: failover has no such key; is it priority.k1?",
        ),
        (
            format!("{key}.maxpenalty = 1 s"),
            "f:16: a1.sinkgroups.g.processor.maxpenalty = 1 s: must be a number from -2147483648 to 2147483647; Flume takes \
             the default of 30000",
        ),
        (
            "a1.sinkgroups.g.sink = k3".to_owned(),
            "f:16: a1.sinkgroups.g.sink: a sink group with failover has no such key",
        ),
    ] {
        assert_eq!(mistakes(&three(&format!("{GROUP}{lines}"))), [expected], "{lines}");
    }
    let without = GROUP.replace("a1.sinkgroups.g.processor.type = failover\n", "");
    assert_eq!(mistakes(&three(&without)), ["f:13: a1.sinkgroups.g.processor.type: is missing"]);
    let without = GROUP.replace("a1.sinkgroups.g.sinks = k1 k2\n", "");
    assert_eq!(mistakes(&three(&without)), ["f:14: a1.sinkgroups.g.sinks: is missing"]);
    let two = format!(
        "{GROUP}a1.sinkgroups = g h\na1.sinkgroups.h.sinks = k2 k3\na1.sinkgroups.h.processor.type = load_balance"
    );
    assert_eq!(
        mistakes(&three(&two)),
        [
            "f:17: a1.sinkgroups.h.sinks = k2 k3: sink k2 is in group g already; a sink is in one group",
            "f:18: a1.sinkgroups.h.processor.type = load_balance: needs two sinks at least, to share the work; Flume drops \
             the group and its sink",
        ]
    );
    // A mistake in a sink is not one in its group.
    let text = three(&format!("{GROUP}a1.sinks.k2.batchSize = x"));
    assert_eq!(mistakes(&text), ["f:16: a1.sinks.k2.batchSize = x: must be a number from 1 to 100000"]);
}

#[test]
fn sinks_of_several_channels_share_work_and_cannot_stand_in_for_each_other() {
    let channels = "a1.channels = c1 c2\na1.channels.c2.type = memory\na1.sources.r1.channels = c1 c2\n\
        a1.sinks.k2.channel = c2\na1.sinkgroups.g.sinks = k1 k2 k3\n";
    let found = mistakes(&three(&format!("{GROUP}{channels}")));
    assert_eq!(
        found,
        [
            "f:20: a1.sinkgroups.g.sinks = k1 k2 k3: they take from several channels, c1, c2; in Flume only those of the sink \
             that is active are emptied, so that the events of the others wait for its failure: give all sinks of the group \
             the same channel"
        ]
    );
    let text = three(&format!("{GROUP}{channels}a1.sinkgroups.g.processor.type = load_balance"));
    let plan = plan(&text).unwrap();
    assert_eq!(plan.to_string(), "agent a1: 1 source, 2 channels, 3 sinks, 2 sink groups");
    assert_eq!(plan.open().unwrap().name(), "a1");
}

#[test]
fn lenient_does_what_flume_does() {
    let agent = |lines: &str| {
        let plan = plan_with(&three(&format!("{GROUP}{lines}")), Options::new().lenient()).unwrap();
        let text = plan.to_string();
        drop(plan.open().unwrap());
        text
    };
    let key = "a1.sinkgroups.g.processor";
    // The group is gone, and its sinks with it.
    assert_eq!(agent(&format!("{key}.type = default")), "agent a1: 1 source, 1 channel, 1 sink");
    assert_eq!(agent(&format!("{key}.type = nonsense")), "agent a1: 1 source, 1 channel, 1 sink");
    // The sink is gone.
    let priorities = format!("{key}.priority.k1 = 5\n{key}.priority.k2 = 5");
    assert_eq!(agent(&priorities), "agent a1: 1 source, 1 channel, 2 sinks, 1 sink group");
    // The sink is not there, or its priority is passed over.
    assert_eq!(agent("a1.sinkgroups.g.sinks = k1 k4"), "agent a1: 1 source, 1 channel, 3 sinks, 1 sink group");
    assert_eq!(agent(&format!("{key}.priority.k1 = x")), "agent a1: 1 source, 1 channel, 3 sinks, 1 sink group");
}

#[test]
fn the_spare_sink_of_a_failover_group_has_no_empty_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = three(GROUP);
    for (sink, priority) in [("k1", 2), ("k2", 1)] {
        let roll = format!(
            "a1.sinks.{sink}.type = file_roll\na1.sinks.{sink}.sink.directory = {}/{sink}\n\
             a1.sinks.{sink}.sink.rollInterval = 1\na1.sinkgroups.g.processor.priority.{sink} = {priority}\n",
            dir.path().display()
        );
        text += &roll;
    }
    text += "a1.sources.r1.totalEvents = 1\n";
    let running = plan(&text).unwrap().open().unwrap().start().unwrap();
    let files = |sink| std::fs::read_dir(dir.path().join(sink)).map_or(0, Iterator::count);
    let begun = std::time::Instant::now();
    while files("k1") < 2 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the first sink has no second file");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(files("k2"), 0);
    running.shutdown(aqueduct::Drain::NONE).unwrap();
}
