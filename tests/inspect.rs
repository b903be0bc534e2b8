//! A look at a store from outside: what it finds, and that it changes nothing. `tests/corruption` and `tests/kill9` compare it
//! with what an open finds, on every damage and after every kill.

#![allow(clippy::disallowed_methods)] // it is about the real disk
#![allow(clippy::expect_used, clippy::indexing_slicing)] // an error is a failed test

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aqueduct::store::{FileStoreBuilder, Inspection};
use aqueduct::vfs::sim::{Fault, Inject, OpKind, SimVfs};
use aqueduct::{Channel, Event, FileStore, OpenError, StorageError, Wait};

/// Every file below a directory, with its bytes and its time.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Option<Vec<u8>>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("its metadata");
        let bytes = metadata.is_file().then(|| fs::read(&path).expect("its bytes"));
        found.insert(path.clone(), (bytes, metadata.modified().expect("its time")));
        if metadata.is_dir() {
            found.extend(files(&path));
        }
    }
    found
}

/// A look that must change nothing below `dir`.
fn look(dir: &Path, builder: FileStoreBuilder) -> Result<Inspection, OpenError> {
    let before = files(dir);
    let found = builder.inspect();
    if let Ok(found) = &found {
        found.verify(|_| ());
        found.channels.iter().for_each(|channel| found.events(&channel.name).for_each(drop));
    }
    assert!(files(dir) == before, "a look changed something");
    found
}

fn small(dir: &Path, lanes: usize) -> FileStoreBuilder {
    let builder = FileStore::builder(dir.join("store")).segment_bytes(4 << 10).background(false);
    (0..lanes).fold(builder, |builder, lane| builder.data_dir(dir.join(format!("disk{lane}"))))
}

/// Puts `count` events into two channels and takes some out of one of them.
fn fill(store: &FileStore, count: usize) {
    let (orders, audit) = (store.channel("orders").expect("a channel"), store.channel("audit").expect("a channel"));
    for number in 0..count {
        let mut put = store.begin_put();
        let event = Event::new(format!("{number} {}", "x".repeat(200)));
        put.push_to(&[&orders, &audit], event.with_header("number", &number.to_string()).expect("a header"));
        // Not always: what has a position goes where the position is, and the others in turn to all data directories.
        if number % 3 == 0 {
            put.set_position("file", number.to_string());
        }
        put.commit().expect("a put");
    }
    orders.take(count / 4, Wait::NONE).expect("a take").commit().expect("a commit");
}

fn events(found: &Inspection, channel: &str) -> Vec<Event> {
    found.events(channel).map(|stored| stored.expect("an event").event).collect()
}

fn taken(store: &FileStore, channel: &str) -> Vec<Event> {
    let mut all = Vec::new();
    let channel = store.channel(channel).expect("a channel");
    loop {
        let take = channel.take(1000, Wait::NONE).expect("a take");
        if take.is_empty() {
            return all;
        }
        all.extend(take.iter().cloned());
        take.commit().expect("a commit");
    }
}

/// What the look found is what an open finds.
fn agrees(found: &Inspection, store: &FileStore) {
    let mut report = store.recovery_report().clone();
    report.took = found.report.took;
    assert_eq!(report, found.report);
    for channel in &found.channels {
        let stats = store.channel(&channel.name).expect("a channel").stats();
        assert_eq!((channel.events, channel.bytes), (stats.depth_events, stats.depth_bytes), "{channel:?}");
        assert_eq!(events(found, &channel.name).len() as u64, channel.events, "{channel:?}");
    }
}

#[test]
fn a_closed_store_is_seen_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 0).open().expect("a store");
    fill(&store, 100);
    store.close().expect("a close");
    drop(store);

    let found = look(dir.path(), small(dir.path(), 0)).expect("a store");
    assert_eq!(found.in_use, Some(false));
    assert!(found.obstacles.is_empty() && found.report.lanes[0].clean, "{found:?}");
    assert_eq!(found.positions, [("file".to_owned(), "99".into())]);
    let lane = &found.lanes[0];
    assert!(lane.segments.len() > 1 && lane.segments.iter().all(|segment| segment.channels.len() == 2), "{lane:?}");
    assert!(lane.checkpoints[0].by_close && !lane.reserve.is_empty() && lane.checkpoints_unreadable == 0, "{lane:?}");
    let verified = found.verify(|_| ());
    assert!(verified.damage.is_empty() && verified.unreadable.is_empty(), "{verified:?}");
    assert!(verified.events >= 100 && verified.records > 100, "{verified:?}");
    let (orders, audit) = (events(&found, "orders"), events(&found, "audit"));
    assert_eq!((orders.len(), audit.len()), (75, 100));
    assert!(found.channel("nowhere").is_none() && found.events("nowhere").next().is_none());

    let store = small(dir.path(), 0).open().expect("a store");
    assert_eq!((taken(&store, "orders"), taken(&store, "audit")), (orders, audit));
}

#[test]
fn a_store_that_was_not_closed_is_seen_as_the_next_open_will_find_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 0).open().expect("a store");
    fill(&store, 50);
    drop(store);
    let found = look(dir.path(), small(dir.path(), 0)).expect("a store");
    assert!(!found.report.lanes[0].clean && found.report.lanes[0].replayed_records > 0, "{found:?}");
    let seen = events(&found, "orders");
    // The files of before are what the look goes on with.
    let copy = tempfile::tempdir().expect("a directory");
    copy_all(dir.path(), copy.path());
    let store = small(copy.path(), 0).open().expect("a store");
    let mut report = store.recovery_report().clone();
    report.took = found.report.took;
    report.lanes[0].path.clone_from(&found.report.lanes[0].path);
    assert_eq!(report, found.report);
    assert_eq!(taken(&store, "orders"), seen);
}

fn copy_all(from: &Path, to: &Path) {
    for (path, (bytes, _)) in files(from) {
        let copy = to.join(path.strip_prefix(from).expect("below it"));
        match bytes {
            Some(bytes) => fs::write(copy, bytes).expect("a copy"),
            None => fs::create_dir(copy).expect("a directory"),
        }
    }
}

#[test]
fn a_store_in_use_says_so_and_stays_usable() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 1).open().expect("a store");
    fill(&store, 20);
    let found = small(dir.path(), 1).inspect().expect("a store");
    assert_eq!(found.in_use, Some(true));
    assert_eq!(events(&found, "audit").len(), 20);
    assert!(matches!(small(dir.path(), 1).open(), Err(OpenError::Locked(_))));
    fill(&store, 5);
    store.close().expect("a close");
    assert_eq!(small(dir.path(), 1).inspect().expect("a store").in_use, Some(false));
}

#[test]
fn where_no_store_is_none_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["", "missing"] {
        match look(dir.path(), FileStore::builder(dir.path().join(name))) {
            Err(error @ OpenError::NoStore(_)) => assert!(error.to_string().contains("holds no store"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_store_without_channels_is_empty() {
    let dir = tempfile::tempdir().expect("a directory");
    small(dir.path(), 2).open().expect("a store").close().expect("a close");
    let found = look(dir.path(), small(dir.path(), 2)).expect("a store");
    assert!(found.obstacles.is_empty() && found.channels.is_empty() && found.lanes.len() == 2, "{found:?}");
    agrees(&found, &small(dir.path(), 2).open().expect("a store"));
}

#[test]
fn two_lanes_are_merged_in_the_order_of_the_commits() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 2).open().expect("a store");
    fill(&store, 60);
    store.close().expect("a close");
    drop(store);
    let found = look(dir.path(), small(dir.path(), 2)).expect("a store");
    let mut lanes: Vec<_> = found.events("audit").map(|stored| stored.expect("an event").id.lane).collect();
    let seen = events(&found, "audit");
    lanes.sort_unstable();
    lanes.dedup();
    assert_eq!(lanes, [0, 1]);
    assert_eq!(taken(&small(dir.path(), 2).open().expect("a store"), "audit"), seen);
}

#[test]
fn a_directory_that_the_next_open_adds_is_in_its_report() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 1).open().expect("a store");
    fill(&store, 10);
    store.close().expect("a close");
    let found = look(dir.path(), small(dir.path(), 2)).expect("a look");
    assert_eq!(found.report.lanes.len(), 2);
    let mut report = small(dir.path(), 2).open().expect("an open").recovery_report().clone();
    report.took = found.report.took;
    assert_eq!(found.report, report);
}

#[test]
fn a_missing_and_a_foreign_directory_are_obstacles_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 2).open().expect("a store");
    fill(&store, 60);
    store.close().expect("a close");
    drop(store);
    let found = look(dir.path(), small(dir.path(), 1)).expect("a store");
    assert!(matches!(found.obstacles[..], [OpenError::MissingDir { lane: 1, .. }]), "{:?}", found.obstacles);
    let shown = events(&found, "audit").len();
    assert!(found.lanes.len() == 1 && shown > 0 && shown < 60, "{shown}");

    let foreign = FileStore::builder(dir.path().join("other")).data_dir(dir.path().join("foreign")).open();
    fill(&foreign.expect("another store"), 3);
    let found = look(dir.path(), small(dir.path(), 2).data_dir(dir.path().join("foreign"))).expect("a store");
    assert!(matches!(found.obstacles[..], [OpenError::NotPartOf { .. }]), "{:?}", found.obstacles);
    assert_eq!((found.lanes.len(), events(&found, "audit").len()), (2, 60));
}

/// The file and offset of the record with an event of a channel.
fn place(found: &Inspection, channel: &str, index: usize) -> (PathBuf, usize) {
    let stored = found.events(channel).nth(index).expect("an event").expect("it can be read");
    (stored.path, stored.offset as usize)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn damage_is_named_and_what_is_left_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 0).open().expect("a store");
    fill(&store, 100);
    drop(store);
    let found = look(dir.path(), small(dir.path(), 0)).expect("a store");
    let (path, offset) = place(&found, "audit", 97);
    flip(&path, offset + 100);
    let found = look(dir.path(), small(dir.path(), 0)).expect("a store");
    assert!(matches!(found.obstacles[..], [OpenError::Corrupt(_)]), "{:?}", found.obstacles);
    assert!(found.obstacles[0].to_string().contains(&path.display().to_string()), "{}", found.obstacles[0]);
    assert_eq!(found.report.lanes[0].damage.iter().map(|damage| damage.events).collect::<Vec<_>>(), [Some(1)]);
    let numbers = events(&found, "audit").into_iter().map(|event| event.headers().get("number").map(str::to_owned));
    let expected = (0..100).filter(|number| *number != 97).map(|number| Some(number.to_string()));
    assert!(numbers.eq(expected));
    let verified = found.verify(|_| ());
    let damage: Vec<_> = verified.damage.iter().map(|damage| (&damage.path, damage.offset, damage.events)).collect();
    assert_eq!(damage, [(&path, offset as u64, Some(1))]);
}

#[test]
fn damage_that_no_open_minds_is_found_by_a_verification() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = small(dir.path(), 0).open().expect("a store");
    let channel = store.channel("only").expect("a channel");
    for number in 0..8 {
        channel.put(format!("{number}")).expect("a put");
    }
    store.close().expect("a close");
    let found = small(dir.path(), 0).inspect().expect("a store");
    let (path, offset) = place(&found, "only", 2);
    let store = small(dir.path(), 0).open().expect("a store");
    store.channel("only").expect("a channel").take(5, Wait::NONE).expect("a take").commit().expect("a commit");
    store.close().expect("a close");
    drop(store);
    flip(&path, offset + 60);
    let found = look(dir.path(), small(dir.path(), 0)).expect("a store");
    let verified = found.verify(|_| ());
    assert!(found.obstacles.is_empty() && verified.damage.len() == 1, "{found:?} {verified:?}");
    assert_eq!((verified.damage[0].offset, verified.damage[0].events), (offset as u64, Some(0)));
    let left = events(&found, "only");
    assert_eq!(left, [Event::new("5"), Event::new("6"), Event::new("7")]);
    assert_eq!(taken(&small(dir.path(), 0).open().expect("it opens"), "only"), left);
}

#[test]
fn without_a_manifest_or_a_mark_the_events_can_still_be_read() {
    for file in ["store/manifest", "disk0/lane"] {
        for remove in [false, true] {
            let dir = tempfile::tempdir().expect("a directory");
            let store = small(dir.path(), 1).open().expect("a store");
            fill(&store, 30);
            store.close().expect("a close");
            drop(store);
            let path = dir.path().join(file);
            if remove {
                fs::remove_file(&path).expect("a file");
            } else {
                flip(&path, 20);
            }
            let found = look(dir.path(), small(dir.path(), 1)).expect("enough of a store");
            assert!(small(dir.path(), 1).open().is_err(), "{file}");
            assert_eq!(found.obstacles.len(), 1, "{file}: {:?}", found.obstacles);
            let most = found.channels.iter().map(|channel| events(&found, &channel.name).len()).max();
            assert_eq!(most, Some(30), "{file}: {:?}", found.channels);
        }
    }
}

/// A store on a simulated disk, whose events are in several segments: closed, or as a kill leaves it.
fn simulated(closed: bool) -> SimVfs {
    let sim = SimVfs::new();
    let store = on(&sim).open().expect("a store");
    fill(&store, 60);
    if closed {
        store.close().expect("a close");
    }
    drop(store);
    sim
}

fn on(sim: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(sim.clone())).segment_bytes(4 << 10).background(false).seed(7)
}

/// What can be read of a channel, by number, and how often something could not be.
fn readable(found: &Inspection, channel: &str) -> (Vec<u64>, usize) {
    let (read, failed): (Vec<_>, Vec<_>) = found.events(channel).partition(Result::is_ok);
    (read.into_iter().map(|stored| stored.expect("an event").id.seq).collect(), failed.len())
}

#[test]
fn a_segment_that_cannot_be_read_is_named_and_the_others_are_shown() {
    for closed in [true, false] {
        let all = on(&simulated(closed)).inspect().expect("a store");
        assert!(all.lanes[0].segments.len() > 2, "{all:?}");
        for (segment, kind) in all.lanes[0].segments.iter().flat_map(|all| [(all, OpKind::Read), (all, OpKind::Open)]) {
            let sim = simulated(closed);
            sim.inject(Inject::new(Fault::Errno(5)).on(kind).path(segment.path.display().to_string()).sticky());
            let found = on(&sim).inspect().expect("a store");
            let name = format!("{closed} {kind:?} {}", segment.path.display());
            let is_named = |error: &OpenError| matches!(error, OpenError::Storage(StorageError::Io { path, .. }) if *path == segment.path);
            assert!(found.obstacles.iter().any(is_named), "{name}: {:?}", found.obstacles);
            assert!(found.unreadable.keys().eq([&segment.path]), "{name}: {:?}", found.unreadable);
            assert!(on(&sim).open().is_err(), "{name}: it opens");
            // All that is elsewhere is there.
            let elsewhere = (0..60).filter(|seq| !(segment.first_seq..segment.unproven_end_seq).contains(seq));
            assert_eq!(readable(&found, "audit"), (elsewhere.collect(), 0), "{name}");
            assert_eq!(found.lanes.len(), 1, "{name}");
            assert!(!found.positions.is_empty(), "{name}");
            let (channel, verified) = (found.channel("audit").expect("it is known"), found.verify(|_| ()));
            assert_eq!(channel.events, readable(&found, "audit").0.len() as u64, "{name}");
            assert!(verified.unreadable.iter().any(|(path, _)| *path == segment.path), "{name}: {verified:?}");
            assert!(verified.records > 0 && verified.segments > 0, "{name}: {verified:?}");
        }
    }
}

#[test]
fn whatever_read_fails_nothing_is_missing_without_a_word() {
    for closed in [true, false] {
        let segments = on(&simulated(closed)).inspect().expect("a store").lanes[0].segments.clone();
        for (segment, sticky) in segments.iter().flat_map(|segment| [(segment, true), (segment, false)]) {
            for skip in 0..12 {
                let sim = simulated(closed);
                let rule = Inject::new(Fault::Errno(5)).on(OpKind::Read).path(segment.path.display().to_string());
                sim.inject(if sticky { rule.skip(skip).sticky() } else { rule.skip(skip) });
                let found = on(&sim).inspect().expect("a store");
                let (read, failed) = readable(&found, "audit");
                let of_it = segment.first_seq..segment.unproven_end_seq;
                let name = format!("{closed} {sticky} {skip} {}: {read:?}", segment.path.display());
                assert!((0..60).all(|seq| of_it.contains(&seq) || read.contains(&seq)), "{name}");
                assert!(read.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
                let told = !found.obstacles.is_empty() || failed > 0;
                assert!(read.len() == 60 || told, "{name}");
                if sticky && told {
                    assert!(found.verify(|_| ()).unreadable.iter().any(|(path, _)| *path == segment.path), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_segment_that_cannot_be_read_any_more_costs_only_its_events() {
    let sim = simulated(true);
    let found = on(&sim).inspect().expect("a store");
    let first = &found.lanes[0].segments[0];
    sim.inject(Inject::new(Fault::Errno(5)).on(OpKind::Read).path(first.path.display().to_string()).sticky());
    assert!(found.events("audit").next().expect("a word").is_err());
    assert_eq!(readable(&found, "audit"), ((first.end_seq..60).collect(), 1));
}

#[test]
fn a_directory_that_cannot_be_listed_is_named() {
    let sim = simulated(true);
    sim.inject(Inject::new(Fault::Errno(5)).on(OpKind::ReadDir).path("/store/data").sticky());
    let found = on(&sim).inspect().expect("a store");
    assert!(!found.obstacles.is_empty() && found.unreadable.keys().eq([Path::new("/store/data")]), "{found:?}");
}

#[test]
fn the_numbers_of_a_store_that_was_not_closed_agree() {
    let sim = SimVfs::new();
    let store = on(&sim).open().expect("a store");
    fill(&store, 59);
    store.channel("audit").expect("a channel").put("the last").expect("a put");
    drop(store);
    let found = on(&sim).inspect().expect("a store");
    let (segments, verified) = (&found.lanes[0].segments, found.verify(|_| ()));
    let last = segments.last().expect("a segment");
    assert!(last.unproven_end_seq == 60 && last.end_seq < 60 && last.used_bytes < last.unproven_end_bytes, "{last:?}");
    assert_eq!(verified.events, last.unproven_end_seq - segments[0].first_seq);
    assert_eq!(verified.bytes, segments.iter().map(|segment| segment.unproven_end_bytes).sum::<u64>());
    for stored in found.events("audit").map(|stored| stored.expect("an event")) {
        let segment = segments.iter().find(|segment| segment.path == stored.path).expect("it is shown");
        assert!((segment.first_seq..segment.unproven_end_seq).contains(&stored.id.seq), "{stored:?}");
    }
}
