//! Opening stores, and what their channels promise besides the conformance suite: locks, data directories, settings,
//! transactions over several channels, space.

#![allow(clippy::expect_used, clippy::indexing_slicing)] // an error is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aqueduct::store::{FileStore, FileStoreBuilder, OpenError};
use aqueduct::{Channel, Durability, Event, FileChannel, FullReason, MemoryChannel, PutBatch, PutError, Wait};

fn small(path: &Path) -> FileStoreBuilder {
    FileStore::builder(path).segment_bytes(64 << 10).put_wait(Wait::NONE)
}

fn bodies(channel: &FileChannel) -> Vec<Vec<u8>> {
    let take = channel.take(1000, Wait::NONE).expect("a take");
    take.iter().map(|event| event.body().to_vec()).collect()
}

#[test]
fn a_second_opener_is_refused_and_told_where() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::open(dir.path()).expect("a store");
    match FileStore::open(dir.path()) {
        Err(OpenError::Locked(path)) => assert_eq!(path, dir.path()),
        other => panic!("{other:?}"),
    }
    store.close().expect("a close");
    FileStore::open(dir.path()).expect("free after the close, although the old handle is there");
}

#[test]
fn an_unmounted_data_directory_is_noticed_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let open = |dirs: &[&Path]| {
        dirs.iter().fold(small(&dir.path().join("store")), |settings, path| settings.data_dir(*path)).open()
    };
    let store = open(&[&one, &two]).expect("a store");
    store.channel("c").expect("a channel").put("kept").expect("a put");
    store.close().expect("a close");
    drop(store);

    assert!(matches!(open(&[&one]), Err(OpenError::MissingDir { lane: 1, .. })));
    let empty = dir.path().join("empty");
    match open(&[&one, &empty]) {
        Err(OpenError::NotPartOf { dir, detail, .. }) => {
            assert_eq!(dir, empty);
            assert!(detail.contains("mounted"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    let other = FileStore::builder(dir.path().join("other")).data_dir(&empty).open().expect("another store");
    other.channel("c").expect("a channel").put("foreign").expect("a put");
    drop(other);
    assert!(matches!(open(&[&one, &two, &empty]), Err(OpenError::NotPartOf { .. })));

    let three = dir.path().join("three");
    let store = open(&[&two, &three, &one]).expect("in any order, with a new one");
    let channel = store.channel("c").expect("a channel");
    for number in 0..9 {
        channel.put(format!("{number}")).expect("a put");
    }
    assert_eq!(bodies(&channel).len(), 10);
    assert!(store.stats().lanes.iter().all(|lane| lane.segments > 0));
}

#[test]
fn all_bad_settings_are_named_at_once() {
    let settings =
        FileStore::builder("").capacity_events(0).segment_bytes(1).data_dir("a").data_dir("a").body_bytes_max(0);
    match settings.durability(Durability::Interval(Duration::ZERO)).open() {
        Err(OpenError::Options(problems)) => assert_eq!(problems.len(), 6, "{problems:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_channel_whose_name_would_spoil_messages_is_not_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::open(dir.path()).expect("a store");
    for (name, text) in [
        ("", "the name of a channel is empty"),
        ("a\nb", "the name of a channel, \"a\\nb\", has the character '\\n' in it"),
        ("\u{1b}[2J", "the name of a channel, \"\\u{1b}[2J\", has the character '\\u{1b}' in it"),
    ] {
        assert_eq!(store.channel(name).expect_err("a name that cannot be used").to_string(), text);
    }
    assert_eq!(store.channel_names(), [""; 0]);
}

#[test]
fn stores_and_channels_are_shown_by_name_and_path_and_never_with_events() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::open(dir.path()).expect("a store");
    let channel = store.channel("orders").expect("a channel");
    channel.put("secret").expect("a put");
    drop(channel.take(1, Wait::NONE).expect("a take"));
    let mut fan = store.begin_put();
    fan.push_to(&[&channel], "secret");
    let path = dir.path();
    assert_eq!(format!("{store:?}"), format!("FileStore {{ path: {path:?}, .. }}"));
    assert_eq!(format!("{channel:?}"), format!("FileChannel {{ name: \"orders\", store: {path:?}, .. }}"));
    let fan = format!("{fan:?}");
    assert!(!fan.contains("secret") && fan.len() < 500, "{fan}");
}

#[test]
fn the_capacity_can_change_while_the_channel_is_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path()).capacity_events(2).open().expect("a store");
    let channel = store.channel("c").expect("a channel");
    channel.put("1").and_then(|_| channel.put("2")).expect("two puts");
    assert!(matches!(channel.put("3"), Err(PutError::Full { reason: FullReason::Events, .. })));
    channel.set_capacity(3, 1000);
    channel.put("3").expect("room for a third");
    channel.set_capacity(1, 1000);
    assert!(channel.put("4").is_err());
    assert_eq!(bodies(&channel).len(), 3);
}

/// One event that nobody takes must not keep the segments that other channels have filled and emptied since.
#[test]
fn a_parked_event_keeps_its_own_segment_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path()).background(false).open().expect("a store");
    let (parked, busy) = (store.channel("parked").expect("a channel"), store.channel("busy").expect("a channel"));
    parked.put("wait").expect("a put");
    for _ in 0..200 {
        busy.put(vec![0; 10_000]).expect("a put");
        busy.take(1, Wait::NONE).expect("a take").commit().expect("a commit");
        store.maintain();
    }
    let lane = &store.stats().lanes[0];
    assert!(lane.segments <= 4, "{} segments", lane.segments);
    drop((store, parked, busy));
    let store = small(dir.path()).open().expect("a store with segments freed in the middle");
    assert_eq!(bodies(&store.channel("parked").expect("a channel")), [b"wait"]);
}

#[test]
fn a_batch_without_channels_goes_to_all_of_a_transaction() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path()).open().expect("a store");
    let (a, b) = (store.channel("a").expect("a channel"), store.channel("b").expect("a channel"));
    let mut tx = a.begin_put_with(&[&b]).expect("one store");
    tx.set_batch(PutBatch::new(vec!["both".into()]));
    tx.push_to(&[1], "b only");
    tx.commit().expect("a commit");
    drop(store.clone());
    assert_eq!(bodies(&a), [b"both".to_vec()]);
    assert_eq!(bodies(&b), [b"both".to_vec(), b"b only".to_vec()]);
}

/// Channel numbers of one store mean something else, or nothing, in another one, and in a transaction over one channel.
#[test]
fn a_batch_given_back_by_one_store_goes_where_it_is_put_next() {
    let dir = tempfile::tempdir().expect("a directory");
    let full = small(&dir.path().join("full")).capacity_events(1).open().expect("a store");
    let other = small(&dir.path().join("other")).open().expect("a store");
    let (a, b) = (full.channel("a").expect("a channel"), full.channel("b").expect("a channel"));
    a.put("first").expect("a put");
    let mut tx = a.begin_put_with(&[&b]).expect("one store");
    tx.push("second");
    let back = tx.commit().expect_err("no room").into_batch().expect("the batch");
    let target = other.channel("target").expect("a channel");
    target.put_batch(back.clone()).expect("a put");
    assert_eq!(bodies(&target), [b"second"]);
    assert!(bodies(&b).is_empty());
    b.put_batch(back).expect("room there");
    assert_eq!((bodies(&a), bodies(&b)), (vec![b"first".to_vec()], vec![b"second".to_vec()]));

    let mut fan = other.begin_put();
    fan.push_to(&[&target, &a], Event::new("x"));
    assert!(matches!(fan.commit(), Err(PutError::ForeignChannel { channel, .. }) if channel == "a"));
}

/// Goal: a batch that a put over several channels gave back is put again as it was. Method: events for different channels, one
/// of them full; then batches that do not say where their events go.
#[test]
fn a_batch_given_back_by_a_store_put_keeps_the_channels_of_its_events() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(&dir.path().join("store")).capacity_events(2).put_wait(Wait::FOREVER).open().expect("a store");
    let other = small(&dir.path().join("other")).open().expect("a store");
    let [a, b, c] = ["a", "b", "c"].map(|name| store.channel(name).expect("a channel"));
    let foreign = other.channel("foreign").expect("a channel");
    c.put("in the way").expect("a put");

    let mut fan = store.begin_put();
    fan.push_to(&[&a, &c], "a and c");
    fan.push_to(&[&b, &c], "b and c");
    fan.push_to(&[&b], "b");
    fan.set_position("owner", "3");
    fan.set_wait(Wait::NONE);
    let mut back = fan.commit().expect_err("no room in c").into_batch().expect("the batch");
    let mut elsewhere = other.begin_put();
    elsewhere.set_batch(back);
    match elsewhere.commit() {
        Err(PutError::ForeignChannel { batch, .. }) => back = *batch,
        outcome => panic!("numbers of another store were used: {outcome:?}"),
    }
    c.take(1, Wait::NONE).expect("a take").commit().expect("a commit");
    let mut again = store.begin_put();
    again.push_to(&[&a, &foreign], "replaced");
    again.set_batch(back);
    again.push_to(&[&a], "a");
    again.set_durability(Durability::Os);
    again.commit().expect("room there");
    assert_eq!(bodies(&a), [&b"a and c"[..], b"a"]);
    assert_eq!(bodies(&b), [&b"b and c"[..], b"b"]);
    assert_eq!(bodies(&c), [&b"a and c"[..], b"b and c"]);
    assert_eq!(a.position("owner").as_deref(), Some(&b"3"[..]));

    // An event with a foreign channel is given back, too, and goes into none of its channels.
    let mut mixed = store.begin_put();
    mixed.push_to(&[&a, &foreign], "lost?");
    let mut batch = mixed.commit().expect_err("a foreign channel").into_batch().expect("the batch");
    for _ in 0..2 {
        assert_eq!(batch.events().len(), 1);
        let mut put = store.begin_put();
        put.set_batch(batch);
        batch = match put.commit() {
            Err(PutError::ForeignChannel { batch, .. }) => *batch,
            outcome => panic!("an event went into some of its channels: {outcome:?}"),
        };
    }

    let mut position = PutBatch::default();
    position.set_position("owner", "4");
    let mut put = store.begin_put();
    put.set_batch(position);
    put.commit().expect("a position alone needs no channel");
    assert_eq!(a.position("owner").as_deref(), Some(&b"4"[..]));
}

/// Agents and users hold channels behind pointers; what a file channel is beyond the contract must come through.
#[test]
fn a_channel_behind_a_pointer_is_still_a_part_of_its_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(&dir.path().join("store")).open().expect("a store");
    let other = small(&dir.path().join("other")).open().expect("a store");
    let shared =
        |store: &FileStore, name: &str| -> Arc<dyn Channel> { Arc::new(store.channel(name).expect("a channel")) };
    let (a, b, foreign) = (shared(&store, "a"), shared(&store, "b"), shared(&other, "a"));
    let memory: Arc<dyn Channel> = Arc::new(MemoryChannel::new("memory"));
    assert_eq!((a.name(), b.name(), memory.name()), ("a", "b", "memory"));

    let part = |channel: &Arc<dyn Channel>| channel.store_part().expect("a part of a store");
    assert_eq!(part(&a), part(&shared(&store, "a")));
    assert_eq!(part(&a).0, part(&b).0);
    assert_ne!(part(&a).1, part(&b).1);
    assert_ne!(part(&a).0, part(&foreign).0);
    assert!(a.outlives_close() && !memory.outlives_close());
    assert_eq!(memory.store_part(), None);

    for (one, two) in [(&a, &memory), (&memory, &a), (&a, &foreign)] {
        assert!(one.begin_put_with(&[&b, two]).is_none(), "{} and {} are of one store", one.name(), two.name());
    }
    let mut tx = a.begin_put_with(&[&b]).expect("one store");
    tx.push("both");
    tx.push_to(&[1, 7], "b only");
    tx.commit().expect("a commit");
    let bodies = |channel: &Arc<dyn Channel>| {
        let take = channel.take(9, Wait::NONE).expect("a take");
        take.into_iter().map(|event| event.body().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(&a), [b"both".to_vec()]);
    assert_eq!(bodies(&b), [b"both".to_vec(), b"b only".to_vec()]);
}

#[test]
fn a_closed_channel_can_be_opened_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path()).open().expect("a store");
    let channel = store.channel("c").expect("a channel");
    channel.put("kept").expect("a put");
    channel.close().expect("a close");
    assert!(matches!(channel.put("refused"), Err(PutError::Closed { .. })));
    let again = store.channel("c").expect("the channel");
    again.put("and more").expect("a put");
    assert_eq!(bodies(&again).len(), 2);
    store.close().expect("a close");
    assert!(store.channel("c").is_err());
}

#[test]
fn positions_come_and_go_without_trace() {
    let dir = tempfile::tempdir().expect("a directory");
    for lanes in 1..=3 {
        let path = dir.path().join(lanes.to_string());
        let open =
            || (0..lanes).fold(small(&path), |settings, lane| settings.data_dir(path.join(lane.to_string()))).open();
        let store = open().expect("a store");
        let channel = store.channel("c").expect("a channel");
        for number in 0..300 {
            let mut tx = channel.begin_put();
            tx.set_position(format!("file {number}"), "here");
            tx.commit().expect("a commit");
            let mut tx = channel.begin_put();
            tx.clear_position(format!("file {number}"));
            tx.set_position("last", number.to_string());
            tx.commit().expect("a commit");
        }
        assert_eq!(channel.positions("").len(), 1);
        drop((store, channel));
        let store = open().expect("a store");
        let channel = store.channel("c").expect("a channel");
        assert_eq!(channel.positions(""), [("last".to_owned(), "299".into())]);
    }
}
