//! A configuration that changes: what stays and what is opened anew.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::{plan, plan_with};
use aqueduct::agent::{Drain, Outcome};
use aqueduct::config::{ChannelSetup, Channels, Options, Registry};
use aqueduct::vfs::sim::{Fault, Inject, OpKind, SimVfs};
use aqueduct::{Channel, FileStore, Spillable, Wait};

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
    let stats = |channels: &Channels, name: &str| channels.get(name).map(Channel::stats);
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

/// A channel of the type `spilling`, with its store on a simulated disk.
fn spilling(disk: &SimVfs) -> Options {
    let mut registry = Registry::standard();
    let disk = disk.clone();
    registry.channel(&["spilling"], move |keys, site| {
        let events = keys.number("memoryCapacity", 1..=1000, 100);
        let (name, disk) = (site.name().to_owned(), disk.clone());
        Ok(ChannelSetup::new(move || -> Result<_, Box<dyn Error + Send + Sync>> {
            let store = FileStore::builder("/store").vfs(Arc::new(disk)).background(false).open()?;
            Ok(Spillable::builder(name).memory_events(events).open(&store)?)
        }))
    });
    Options::new().with_registry(registry)
}

fn no_room() -> Inject {
    Inject::new(Fault::Errno(28)).on(OpKind::Write).sticky()
}

/// Goal: what a channel cannot save when it is closed is not lost, however often the configuration is read. Method: the disk of
/// its store is full at a reload and at the close, for a while.
#[test]
fn a_channel_that_cannot_be_saved_stays_until_it_can() {
    let disk = SimVfs::new();
    let spilling = |more: &str| {
        plan_with(&text(&format!("a1.channels.c2.type = spilling\n{more}")), spilling(&disk)).expect("a plan")
    };
    let mut channels = Channels::new();
    let depth = |channels: &Channels| channels.get("c2").map(|channel| channel.stats().depth_events);
    spilling("").open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!(depth(&channels), Some(5));

    disk.inject(no_room());
    for changed in ["a1.channels.c2.memoryCapacity = 50", ""] {
        let plan = spilling(changed);
        assert_eq!(channels.changed_by(&plan), ["c2"]);
        let error = plan.open_with(&mut channels).expect_err("no room");
        let told = Error::source(&error).map(ToString::to_string).unwrap_or_default() + &error.to_string();
        assert!(told.contains("5 events of channel c2 are in memory only"), "{told}");
        assert_eq!(depth(&channels), Some(5));
    }
    disk.clear_faults();
    spilling("").open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!(depth(&channels), Some(10));

    // While events wait in the store, nothing goes into memory.
    while depth(&channels) > Some(0) {
        channels.get("c2").unwrap().take(10, Wait::NONE).unwrap().commit().unwrap();
    }
    spilling("").open_with(&mut channels).unwrap().run_to_completion(Wait::FOREVER).unwrap();
    disk.inject(no_room());
    for _ in 0..2 {
        channels.close().expect_err("no room");
        assert_eq!(depth(&channels), Some(5));
    }
    disk.clear_faults();
    channels.close().unwrap();
    drop(spilling("").open_with(&mut channels).unwrap());
    assert_eq!(depth(&channels), Some(5));
}

#[test]
fn an_agent_that_cannot_save_a_channel_says_so_and_can_try_again() {
    let disk = SimVfs::new();
    let plan = || plan_with(&text("a1.channels.c2.type = spilling"), spilling(&disk)).expect("a plan");
    let running = plan().open().unwrap().start().unwrap();
    assert_eq!(running.wait_done(Wait::up_to(Duration::from_secs(60))), Outcome::Completed);
    disk.inject(no_room());
    let error = running.shutdown(Drain::NONE).expect_err("no room");
    assert!(error.to_string().contains("5 events of channel c2 are in memory only"), "{error}");
    assert_eq!(error.report.left.iter().map(|left| left.closed).collect::<Vec<_>>(), [true, false]);
    error.close_again().expect_err("no room yet");
    disk.clear_faults();
    error.close_again().expect("room again");
    drop(error);
    let mut channels = Channels::new();
    drop(plan().open_with(&mut channels).unwrap());
    assert_eq!(channels.get("c2").map(|channel| channel.stats().depth_events), Some(5));
}
