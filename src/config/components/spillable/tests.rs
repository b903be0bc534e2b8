#![allow(clippy::disallowed_methods)] // a file goes behind the store's back

use super::super::super::Options;
use super::super::super::stores::Stores;
use super::*;
use crate::channel::Channel;
use crate::store::FileStore;

fn problems(dir: &std::path::Path, pairs: &[(&str, &str)]) -> (Made<ChannelSetup>, Vec<String>) {
    let options = Options::new().with_home(dir);
    let site = Site::new(&options, "a1", "c1");
    let mut keys = Keys::of("a1.channels.c1.", pairs.iter().copied());
    let made = make(&mut keys, &site);
    (made, keys.finish("SPILLABLEMEMORY").iter().map(ToString::to_string).collect())
}

fn open(dir: &std::path::Path, pairs: &[(&str, &str)]) -> std::sync::Arc<dyn Channel> {
    let (made, problems) = problems(dir, pairs);
    assert_eq!(problems, [] as [&str; 0], "{pairs:?}");
    (made.unwrap().open)(&Stores::default()).unwrap()
}

#[test]
fn the_capacity_is_that_of_memory_and_overflow() {
    let dir = tempfile::tempdir().unwrap();
    for (pairs, capacity) in [
        (&[][..], 10_000 + 100_000_000),
        (&[("memoryCapacity", "20"), ("overflowCapacity", "7")], 27),
        (&[("memoryCapacity", "0"), ("overflowCapacity", "7")], 7),
        (&[("memoryCapacity", "20"), ("overflowCapacity", "0")], 20),
        (&[("memoryCapacity", "20"), ("overflowCapacity", "-1"), ("transactionCapacity", "500")], 20),
        (&[("overflowTimeout", "-1")], 10_000 + 100_000_000),
    ] {
        let channel = open(dir.path(), pairs);
        assert_eq!(channel.stats().capacity_events, capacity, "{pairs:?}");
        channel.close().unwrap();
    }
}

#[test]
fn without_an_overflow_nothing_is_left_behind_in_the_directories() {
    let dir = tempfile::tempdir().unwrap();
    let without = [("overflowCapacity", "0")];
    open(dir.path(), &without).close().unwrap();
    let with = [("overflowCapacity", "5"), ("memoryCapacity", "1"), ("overflowTimeout", "0")];
    let channel = open(dir.path(), &with);
    for event in ["in memory", "in the overflow"] {
        channel.put(event).unwrap();
    }
    channel.close().unwrap();
    drop(channel);
    let left = || (problems(dir.path(), &without).0.unwrap().open)(&Stores::default());
    let error = left().unwrap_err().to_string();
    assert!(error.contains("the overflow of c1 in ") && error.contains(" has 2 events"), "{error}");
    let channel = open(dir.path(), &with);
    while channel.stats().depth_events > 0 {
        channel.take(2, Wait::NONE).unwrap().commit().unwrap();
    }
    channel.close().unwrap();
    drop(channel);
    left().unwrap();
}

/// Goal: a channel without an overflow is refused where it cannot be told whether its directories have events, and no other is.
/// Method: a directory that is missing among those given, a list of channels that is lost, a store that another has open, with the
/// channel and without it.
#[test]
fn without_an_overflow_nothing_is_left_behind_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let (checkpoint, both) = (place("c"), format!("{},{}", place("d"), place("e")));
    let left = |data: &str| {
        let pairs = [("overflowCapacity", "0"), ("checkpointDir", &checkpoint), ("dataDirs", data)];
        let opened = (problems(dir.path(), &pairs).0.unwrap().open)(&Stores::default());
        opened.map(drop).map_err(|error| error.to_string())
    };
    left(&both).unwrap();
    open(dir.path(), &[("checkpointDir", &checkpoint), ("dataDirs", &both)]).close().unwrap();
    left(&both).unwrap();
    let error = left(&place("e")).unwrap_err();
    assert!(error.contains("cannot be told: data directory 0 of the store "), "{error}");
    let error = left(&format!("{both},{}", place("e"))).unwrap_err();
    assert!(error.contains("a data directory is named twice"), "{error}");

    let other = FileStore::builder(place("c")).data_dir(place("d")).data_dir(place("e")).open().unwrap();
    let error = left(&both).unwrap_err();
    assert!(
        error.contains("the overflow of c1 in ") && error.contains("cannot be told: the store is in use"),
        "{error}"
    );
    other.close().unwrap();
    drop(other);
    left(&both).unwrap();
    std::fs::remove_file(dir.path().join("c").join("manifest")).unwrap();
    let error = left(&both).unwrap_err();
    assert!(error.contains("cannot be told: "), "{error}");

    let foreign = FileStore::builder(place("f")).data_dir(place("g")).open().unwrap();
    foreign.channel("another").unwrap().put("its own").unwrap();
    let pairs = [("overflowCapacity", "0"), ("checkpointDir", &place("f")), ("dataDirs", &place("g"))];
    (problems(dir.path(), &pairs).0.unwrap().open)(&Stores::default()).unwrap();
}

/// Goal: the same where another channel of the configuration has the directories, whose files are changing then.
#[test]
fn without_an_overflow_nothing_is_left_behind_beside_an_open_channel() {
    let dir = tempfile::tempdir().unwrap();
    let stores = Stores::default();
    let with = || problems(dir.path(), &[("overflowCapacity", "5"), ("memoryCapacity", "1")]).0.unwrap();
    let beside = stores.open("beside", &with().store.unwrap()).unwrap();
    beside.put("of another").unwrap();
    let without = || (problems(dir.path(), &[("overflowCapacity", "0")]).0.unwrap().open)(&stores);
    without().unwrap();
    let channel = (with().open)(&stores).unwrap();
    channel.put("in memory").unwrap();
    channel.close().unwrap();
    let error = without().unwrap_err().to_string();
    assert!(error.contains("the overflow of c1 in ") && error.contains(" has 1 events"), "{error}");
}

#[test]
fn what_does_not_fit_into_memory_goes_into_the_directories() {
    let dir = tempfile::tempdir().unwrap();
    let (checkpoint, data) = (dir.path().join("c"), dir.path().join("d"));
    let pairs = [
        ("memoryCapacity", "2"),
        ("overflowCapacity", "3"),
        ("overflowTimeout", "0"),
        ("checkpointDir", checkpoint.to_str().unwrap()),
        ("dataDirs", data.to_str().unwrap()),
    ];
    let channel = open(dir.path(), &pairs);
    for event in 0..5 {
        channel.put(format!("{event}")).unwrap();
    }
    assert!(channel.put("too much").is_err());
    channel.close().unwrap();
    drop(channel);
    let channel = open(dir.path(), &pairs);
    let mut bodies = Vec::new();
    while bodies.len() < 5 {
        let take = channel.take(5, Wait::NONE).unwrap();
        assert!(!take.is_empty(), "{bodies:?}");
        bodies.extend(take.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()));
        take.commit().unwrap();
    }
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
    channel.close().unwrap();
    assert!(data.is_dir() && !dir.path().join(".flume").exists());
}

#[test]
fn every_key_of_flumes_is_known_and_mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let known = [
        ("transactionCapacity", "10"),
        ("byteCapacity", "1000000"),
        ("byteCapacityBufferPercentage", "10"),
        ("fsyncPerTransaction", "false"),
        ("fsyncInterval", "1"),
    ];
    open(dir.path(), &known).close().unwrap();
    for (key, value, expected) in [
        ("capacity", "5", "has no effect, as in Flume; use memoryCapacity and overflowCapacity"),
        ("keep-alive", "5", "use overflowTimeout"),
        ("avgEventSize", "200", "bytes are counted"),
        ("avgEventSize", "large", "must be a number from -2147483648 to 2147483647; Flume takes the default of 500"),
        ("overflowDeactivationThreshold", "10", "when the overflow is empty"),
        ("checkpointInterval", "1000", "takes checkpoints by itself"),
        ("encryption.activeKey", "k", "there is no encryption"),
        ("memoryCapacity", "-1", "must be a number from 0"),
        ("overflowTimeot", "1", "is it overflowTimeout?"),
        ("transactionCapacity", "100000001", "is over the capacity of 100000000"),
    ] {
        let (_, found) = problems(dir.path(), &[(key, value)]);
        assert!(matches!(&found[..], [only] if only.contains(expected)), "{key}: {found:?}");
    }
    for overflow in ["0", "-5"] {
        let (_, found) = problems(dir.path(), &[("memoryCapacity", "0"), ("overflowCapacity", overflow)]);
        let expected = format!("overflowCapacity = {overflow}: is not above 0, and memoryCapacity is 0: no event");
        assert!(matches!(&found[..], [only] if only.contains(&expected)), "{found:?}");
    }
}

#[test]
fn events_are_not_left_where_an_older_list_of_channels_does_not_know_them() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let (checkpoint, data) = (place("c"), place("d"));
    let manifest = dir.path().join("c").join("manifest");
    let put = |channel: &str| {
        let store = FileStore::builder(place("c")).data_dir(place("d")).open().unwrap();
        store.channel(channel).unwrap().put("left").unwrap();
        store.close().unwrap();
    };
    put("another");
    let older = std::fs::read(&manifest).unwrap();
    put("c1");
    let pairs = [("overflowCapacity", "0"), ("checkpointDir", &checkpoint), ("dataDirs", &data)];
    let is_refused = || (problems(dir.path(), &pairs).0.unwrap().open)(&Stores::default()).is_err();
    assert!(is_refused(), "there are events");
    std::fs::write(&manifest, older).unwrap();
    assert!(is_refused(), "nobody knows how many there are");
}
