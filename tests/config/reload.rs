//! A configuration that changes: what stays and what is opened anew.

use super::plan;
use aqueduct::Wait;
use aqueduct::config::Channels;

fn text(keys: &str) -> String {
    format!(
        "a1.sources = r1\na1.channels = c1 c2\na1.sources.r1.type = seq\na1.sources.r1.totalEvents = 5\na1.sources.r1.channels = c1 c2\n\
         a1.channels.c1.type = memory\na1.channels.c2.type = memory\n{keys}\n"
    )
}

#[test]
fn channels_that_did_not_change_go_on_with_what_is_in_them() {
    let mut channels = Channels::new();
    let depth = |channels: &Channels, name: &str| channels.get(name).map(|channel| channel.stats().depth_events);
    let first = plan(&text("")).unwrap();
    assert_eq!(channels.changed_by(&first), [""; 0]);
    first.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((depth(&channels, "c1"), depth(&channels, "c2")), (Some(5), Some(5)));

    let second = plan(&text("a1.channels.c2.capacity = 50")).unwrap();
    assert_eq!(channels.changed_by(&second), ["c2"]);
    second.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((depth(&channels, "c1"), depth(&channels, "c2")), (Some(10), Some(5)));

    let third = plan(&text("a1.channels = c1\na1.sources.r1.channels = c1")).unwrap();
    assert_eq!(channels.changed_by(&third), ["c2"]);
    third.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((depth(&channels, "c1"), depth(&channels, "c2")), (Some(15), None));
    channels.close().unwrap();
    assert_eq!(depth(&channels, "c1"), None);
}

/// Goal: a channel of a store can be changed, added and removed while others of the store go on; one that cannot be opened
/// leaves them as they are.
#[test]
fn a_channel_of_a_shared_store_is_opened_anew_beside_those_that_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let shared = |name: &str, more: &str| {
        let (dir, key) = (dir.path().display(), format!("a1.channels.{name}"));
        format!("{key}.type = file\n{key}.checkpointDir = {dir}/check\n{key}.dataDirs = {dir}/data\n{more}\n")
    };
    let text = |c2: &str| text(&(shared("c1", "") + &shared("c2", c2)));
    let mut channels = Channels::new();
    let stats = |channels: &Channels, name: &str| channels.get(name).map(|channel| channel.stats());
    for (round, capacity) in (1..).zip([1_000_000, 20_000, 1_000_000]) {
        let plan = plan(&text(&format!("a1.channels.c2.capacity = {capacity}"))).unwrap();
        let changed = if round == 1 { vec![] } else { vec!["c2"] };
        assert_eq!(channels.changed_by(&plan), changed);
        plan.open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
        for (name, capacity) in [("c1", 1_000_000), ("c2", capacity)] {
            let stats = stats(&channels, name).unwrap();
            assert_eq!((stats.depth_events, stats.capacity_events), (5 * round, capacity), "{name}");
        }
    }
    channels.close().unwrap();
}

#[test]
fn channels_say_whether_what_is_left_in_them_outlives_their_close() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, outlives) in [("memory", false), ("file", true), ("SPILLABLEMEMORY", true)] {
        let (dir, key) = (dir.path().display(), "a1.channels.c2");
        let keys = if outlives {
            format!("{key}.checkpointDir = {dir}/{kind}/c\n{key}.dataDirs = {dir}/{kind}/d")
        } else {
            String::new()
        };
        let mut channels = Channels::new();
        let open = |channels: &mut Channels| {
            plan(&text(&format!("{key}.type = {kind}\n{keys}"))).unwrap().open_with(channels).unwrap()
        };
        open(&mut channels).run_to_completion(Wait::FOREVER).unwrap();
        assert_eq!(channels.get("c2").unwrap().outlives_close(), outlives, "{kind}");
        channels.close().unwrap();
        drop(open(&mut channels));
        let left = channels.get("c2").unwrap().stats().depth_events;
        assert_eq!(left, if outlives { 5 } else { 0 }, "{kind}");
        channels.close().unwrap();
    }
}
