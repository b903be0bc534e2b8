//! File channels: their directories, their stores, and those of a Flume before.

use std::path::Path;

use super::{mistakes, plan, warnings};
use aqueduct::config::{Channels, Options, Properties};
use aqueduct::{Agent, Channel, Wait};

/// An agent that counts to `total` into file channels with these keys each.
fn text(total: u32, channels: &[(&str, String)]) -> String {
    let names = channels.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!(
            "a1.sources = r1\na1.channels = {names}\na1.sources.r1.type = seq\na1.sources.r1.totalEvents = {total}"
        ),
        format!("a1.sources.r1.channels = {names}"),
    ];
    for (name, keys) in channels {
        lines.push(format!("a1.channels.{name}.type = FILE"));
        lines.extend(keys.lines().map(|line| format!("a1.channels.{name}.{line}")));
    }
    lines.join("\n")
}

fn dirs(dir: &Path, name: &str) -> String {
    let dir = dir.join(name);
    format!("checkpointDir = {0}/check\ndataDirs = {0}/data1, {0}/data2", dir.display())
}

fn agent(text: &str) -> Agent {
    plan(text).unwrap_or_else(|error| panic!("{error}")).open().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn events_wait_in_the_directories_of_the_channel_for_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dirs(dir.path(), "c");
    for _ in 0..2 {
        agent(&text(10, &[("c1", keys.clone())])).run_to_completion(Wait::FOREVER).unwrap();
    }
    for part in ["c/check/manifest", "c/data1/lane", "c/data2/lane"] {
        assert!(dir.path().join(part).exists(), "{part}");
    }
    let mut channels = Channels::new();
    drop(plan(&text(10, &[("c1", keys)])).unwrap().open_with(&mut channels).unwrap());
    let batch = channels.get("c1").unwrap().take(100, Wait::NONE).unwrap();
    let bodies: Vec<_> = batch.iter().map(|event| String::from_utf8(event.body().to_vec()).unwrap()).collect();
    let mut expected: Vec<_> = (0..10).chain(0..10).map(|number: u32| number.to_string()).collect();
    let mut found = bodies;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    drop(batch);
    channels.close().unwrap();
}

#[test]
fn channels_of_the_same_directories_share_a_store_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, own) = (dirs(dir.path(), "s"), dirs(dir.path(), "o"));
    let channels = [("a", shared.clone()), ("b", format!("{shared}\ncapacity = 20000")), ("c", own)];
    let mut open = Channels::new();
    let agent = plan(&text(5, &channels)).unwrap().open_with(&mut open).unwrap();
    agent.run_to_completion(Wait::FOREVER).unwrap();
    let part = |name: &str| open.get(name).unwrap().store_part().unwrap();
    assert_eq!(part("a").0, part("b").0);
    assert_ne!(part("a").0, part("c").0);
    let stats = |name: &str| open.get(name).unwrap().stats();
    assert_eq!(["a", "b", "c"].map(|name| stats(name).depth_events), [5, 5, 5]);
    assert_eq!(["a", "b", "c"].map(|name| stats(name).capacity_events), [1_000_000, 20_000, 1_000_000]);
    open.close().unwrap();
    let differ = [("a", shared.clone()), ("b", format!("{shared}\nfsyncPerTransaction = false"))];
    let found = mistakes(&text(5, &differ));
    let problem = "shares its checkpointDir with another; all keys but capacity must be the same in both";
    assert!(
        matches!(&found[..], [only] if only.contains("a1.channels.b.checkpointDir") && only.contains(problem)),
        "{found:?}"
    );
    agent_again(&text(5, &[("a", shared)]));
}

fn agent_again(text: &str) {
    agent(text).run_to_completion(Wait::FOREVER).unwrap();
}

/// Goal: what a start would refuse is found before, as in Flume, which locks every directory. Method: channels that name one
/// directory twice.
#[test]
fn a_directory_that_is_used_twice_is_a_mistake_of_both_lines() {
    let one = |data: &str| text(1, &[("a", format!("checkpointDir = /no/a\ndataDirs = {data}"))]);
    assert_eq!(
        mistakes(&one("/no/b, /no/b/")),
        [
            "f:8: a1.channels.a.dataDirs = /no/b, /no/b/: /no/b/ is a directory of a1.channels.a.dataDirs (f:8) already; \
             each can be used once"
        ]
    );
    assert_eq!(
        mistakes(&one("/no/a")),
        [
            "f:8: a1.channels.a.dataDirs = /no/a: /no/a is a directory of a1.channels.a.checkpointDir (f:7) already; each can \
             be used once"
        ]
    );
    let own = |check: &str, data: &str| format!("checkpointDir = /no/{check}\n{data}");
    let two = [("a", own("a", "dataDirs = /no/1, /no/2")), ("b", own("b", "dataDirs = /no/2, /no/3"))];
    assert_eq!(
        mistakes(&text(1, &two)),
        [
            "f:11: a1.channels.b.dataDirs = /no/2, /no/3: /no/2 is a directory of a1.channels.a.dataDirs (f:8) already; each \
             can be used once"
        ]
    );
    // What nobody puts into or takes from is left out, and never opened, as in Flume.
    for left_out in ["a", "b"] {
        let lines = text(1, &two);
        let used = if left_out == "a" { "b" } else { "a" };
        let lines = lines.replace("a1.sources.r1.channels = a b", &format!("a1.sources.r1.channels = {used}"));
        let found = warnings(&lines);
        assert!(
            found.contains(&format!("a1.channels.{left_out}: has neither source nor sink, so it is left out")),
            "{found:?}"
        );
    }
    let both_by_default = [("a", own("a", "")), ("b", own("b", ""))];
    let found = mistakes(&text(1, &both_by_default));
    assert!(
        matches!(&found[..], [only] if only.contains("a1.channels.b.dataDirs") && only.contains("a1.channels.a.dataDirs (by default)")),
        "{found:?}"
    );
}

#[test]
fn a_directory_is_the_same_one_by_whatever_path() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("d")).unwrap();
    std::os::unix::fs::symlink(real.join("d"), real.join("link")).unwrap();
    let real = real.display();
    for (first, second) in [("d", "link"), ("link/x", "d/x"), ("d/x", "d/../d/x")] {
        let one = format!("checkpointDir = {real}/{first}\ndataDirs = {real}/1");
        let two = format!("checkpointDir = {real}/2\ndataDirs = {real}/{second}");
        let found = mistakes(&text(1, &[("a", one), ("b", two)]));
        let message = "is a directory of a1.channels.a.checkpointDir (f:7) already; each can be used once";
        assert!(matches!(&found[..], [only] if only.contains(message)), "{first} {second}: {found:?}");
    }
}

#[test]
fn default_directories_are_flumes_below_the_home() {
    let home = tempfile::tempdir().unwrap();
    let options = Options::new().with_home(home.path());
    let text = text(3, &[("c1", String::new()), ("c2", String::new())]);
    let plan = Properties::parse("f", text.as_bytes()).unwrap().plan("a1", &options).unwrap();
    plan.open().unwrap().run_to_completion(Wait::FOREVER).unwrap();
    for part in ["checkpoint/manifest", "data/lane"] {
        assert!(home.path().join(".flume/file-channel").join(part).exists(), "{part}");
    }
}

#[test]
fn directories_of_a_flume_file_channel_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dirs(dir.path(), "c");
    for file in ["c/check/checkpoint", "c/data2/log-12"] {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "x").unwrap();
    }
    let found = mistakes(&text(5, &[("c1", keys)]));
    let place = dir.path().join("c").display().to_string();
    let tail = "which cannot be used in place; import them with the example import_flume_channel, and name the directories of that store here";
    assert_eq!(
        found,
        [
            format!(
                "f:7: a1.channels.c1.checkpointDir = {place}/check: {place}/check holds the files of a Flume file channel (checkpoint), {tail}"
            ),
            format!(
                "f:8: a1.channels.c1.dataDirs = {place}/data1, {place}/data2: {place}/data2 holds the files of a Flume file channel (log-12), {tail}"
            ),
        ]
    );
    assert!(!dir.path().join("c/data1").exists(), "a check makes nothing");
}

#[test]
fn keys_of_flumes_log_are_known_and_those_that_cannot_be_kept_are_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dirs(dir.path(), "c")
        + "\ncheckpointInterval = 30000\nuseDualCheckpoints = true\nbackupCheckpointDir = /b\nmaxFileSize = 100\nkeep-alive = 1\nminimumRequiredSpace = -1\nfsyncInterval = 0";
    let plan = plan(&text(1, &[("c1", keys.clone())])).unwrap();
    assert_eq!(plan.warnings().len(), 6, "{:?}", plan.warnings());
    let found = mistakes(&text(1, &[("c1", keys + "\nencryption.activeKey = k\ndataDirs = ,")]));
    assert_eq!(
        found,
        [
            "f:16: a1.channels.c1.encryption.activeKey = k: there is no encryption; put the directories on an encrypted file system",
            "f:17: a1.channels.c1.dataDirs = ,: names no directory",
        ]
    );
}

#[test]
fn a_channel_without_overflow_does_not_mind_files_of_flume() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("c/check")).unwrap();
    std::fs::write(dir.path().join("c/check/checkpoint"), "x").unwrap();
    let text = |overflow: u32| {
        let keys = format!("{}\ntype = SPILLABLEMEMORY\noverflowCapacity = {overflow}", dirs(dir.path(), "c"));
        text(5, &[("c1", keys)])
    };
    assert!(mistakes(&text(10))[0].contains("holds the files of a Flume file channel"));
    agent(&text(0)).run_to_completion(Wait::FOREVER).unwrap();
}

/// Goal: a channel that was a spillable one does not leave behind, without a word, what it had in memory. Method: it is made a file
/// channel while events are there, and once they are delivered.
#[test]
fn a_spillable_channel_becomes_a_file_channel_only_once_nothing_waits_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let keys = |kind: &str| format!("{}\ntype = {kind}", dirs(dir.path(), "c"));
    let spilling = text(5, &[("c1", keys("SPILLABLEMEMORY"))]);
    let file = text(5, &[("c1", keys("file"))]);
    agent(&spilling).run_to_completion(Wait::FOREVER).unwrap();
    for _ in 0..2 {
        let error = plan(&file).unwrap().open().expect_err("events are in c1.saved");
        assert!(error.to_string().contains("5 events that were in memory then wait in c1.saved"), "{error}");
    }
    let mut channels = Channels::new();
    drop(plan(&spilling).unwrap().open_with(&mut channels).unwrap());
    let take = channels.get("c1").unwrap().take(10, Wait::NONE).unwrap();
    assert_eq!(take.len(), 5);
    take.commit().unwrap();
    drop(plan(&file).unwrap().open_with(&mut channels).unwrap());
    channels.close().unwrap();
}
