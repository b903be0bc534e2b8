//! Real file systems: full, read-only, cut off.
//!
//! Runs with `AQUEDUCT_FILE_SYSTEMS` set to names such as `ext4,xfs,btrfs`, as `tests/full_disk/run` does; then a file system
//! that cannot be had is a failure. What ran is said in the output.

use std::path::Path;

use aqueduct::store::FileStore;
use aqueduct::{Channel, FileChannel, PutError, TakeError, Wait};

use crate::disk::Disk;
use crate::{body, fill, settings};

#[test]
fn real_file_systems_keep_the_promises() {
    let Ok(wanted) = std::env::var("AQUEDUCT_FILE_SYSTEMS") else {
        println!("AQUEDUCT_FILE_SYSTEMS is not set: nothing but tmpfs; tests/full_disk/run does all");
        return;
    };
    for (kind, mebibytes) in [("ext4", 32), ("xfs", 320), ("btrfs", 128)] {
        if !wanted.split(',').any(|name| name == kind) {
            println!("{kind}: not asked for");
            continue;
        }
        let disk = Disk::image(kind, mebibytes).unwrap_or_else(|problem| panic!("{kind} cannot be had: {problem}"));
        full(&disk);
        read_only(&disk);
        cut(&disk);
    }
}

fn open(path: &Path) -> (FileStore, FileChannel) {
    let store = settings(path.to_owned()).open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    (store, channel)
}

/// The numbers of the events that a channel holds; takes are rolled back.
fn content(channel: &FileChannel) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut takes = Vec::new();
    loop {
        let take = channel.take(1000, Wait::NONE).expect("a take");
        if take.is_empty() {
            return numbers;
        }
        for event in &take {
            let number = u32::from_le_bytes(*event.body().first_chunk::<4>().expect("a number"));
            assert_eq!(event.body().to_vec(), body(number), "event {number} is what was put");
            numbers.push(number);
        }
        takes.push(take);
    }
}

/// Filled, drained, and filled again. Where overwriting takes new room (copy-on-write), a commit may find none: then it says
/// so, the events stay, and room that somebody frees is all that it needs.
fn full(disk: &Disk) {
    let kind = disk.kind();
    // Before the rest: a full disk may have no room for a new name.
    disk.hog("rest", disk.available() - (1 << 20));
    disk.hog("most", 16 << 20);
    let path = disk.path().join("full");
    let (store, channel) = open(&path);
    let end = fill(&channel, 0);
    assert!(end > 100, "{kind}: most of 16 MiB is usable, not only {end} events");
    disk.hog("rest", 0);
    assert_eq!(fill(&channel, end), end, "{kind}: still full");
    drop(channel.take(10, Wait::NONE).expect("a take"));
    let (mut next, mut refused) = (0, None);
    while next < end {
        let take = channel.take(1, Wait::NONE).expect("a take");
        assert_eq!(take.first().map(|event| event.body().to_vec()), Some(body(next)), "{kind}: event {next}");
        match take.commit() {
            Ok(()) => next += 1,
            Err(error) => {
                refused = Some((next, error));
                break;
            }
        }
    }
    let closed = store.close();
    drop((store, channel));
    if let Some((_, TakeError::Closed { .. })) = &refused {
        panic!("{kind}: the channel is open");
    }
    match &refused {
        None => {
            println!("{kind}: full with {end} events, drained with {} bytes free, close {closed:?}", disk.available());
        }
        Some((at, error)) => println!("{kind}: full with {end} events; of a take after {at} it says: {error}"),
    }
    assert!(
        kind == "btrfs" || (refused.is_none() && closed.is_ok()),
        "{kind} writes in place: {refused:?}, {closed:?}"
    );
    std::fs::remove_file(disk.path().join("rest")).expect("room again");
    let (store, channel) = open(&path);
    let found = content(&channel);
    // A commit of unknown outcome went either way.
    let unknown = matches!(refused, Some((_, TakeError::Indeterminate { .. })));
    let at = if unknown && found.first() == Some(&(next + 1)) { next + 1 } else { next };
    assert_eq!(found, (at..end).collect::<Vec<u32>>(), "{kind}: nothing is lost or repeated");
    for _ in at..end {
        channel.take(1, Wait::NONE).expect("a take").commit().expect("a commit with room");
    }
    store.maintain();
    let again = fill(&channel, end);
    assert!(again > end + 100, "{kind}: after draining there is room again");
    store.close().expect("a close");
    println!("{kind}: filled again with {} events", again - end);
    std::fs::remove_dir_all(&path).expect("the store can be removed");
    std::fs::remove_file(disk.path().join("most")).expect("the file can be removed");
}

/// A store on a file system that is mounted for reading only cannot be opened, and is the same afterwards.
fn read_only(disk: &Disk) {
    let kind = disk.kind();
    let path = disk.path().join("read-only");
    let (store, channel) = open(&path);
    for number in 0..10 {
        channel.put(body(number)).expect("room");
    }
    store.close().expect("a close");
    drop((store, channel));
    disk.remount("ro");
    let error = settings(path.clone()).open().expect_err("a lock cannot be taken there");
    assert!(error.to_string().contains("os error 30"), "{kind}: EROFS, not {error}");
    println!("{kind}: read-only: {}", error.to_string().replace(&disk.path().display().to_string(), ""));
    disk.remount("rw");
    let (store, channel) = open(&path);
    assert_eq!(content(&channel), (0..10).collect::<Vec<u32>>(), "{kind}: all is there");
    store.close().expect("a close");
}

/// The file system is shut down under a running store, without what it has not written yet, and recovers by itself.
fn cut(disk: &Disk) {
    let kind = disk.kind();
    let path = disk.path().join("cut");
    for round in 0..5_u32 {
        let (store, channel) = open(&path);
        let before = content(&channel);
        let first = 1000 * round;
        for number in first..first + 100 {
            channel.put(body(number)).expect("room");
        }
        let take = channel.take(before.len() + 30, Wait::NONE).expect("a take");
        take.commit().expect("a commit");
        match disk.cut() {
            Ok(()) => {}
            Err(problem) if kind == "btrfs" => {
                println!("{kind}: it cannot be shut down ({problem}): only the simulator cuts its power");
                return;
            }
            Err(problem) => panic!("{kind}: it could not be shut down: {problem}"),
        }
        let error = channel.put(body(first + 100)).expect_err("nothing can be written");
        let unknown = matches!(error, PutError::Indeterminate { .. });
        let _ = store.close();
        drop((store, channel));
        disk.mount_again();
        let (store, channel) = open(&path);
        let found = content(&channel);
        let mut expected: Vec<u32> = (first + 30..first + 100).collect();
        if unknown && found.last() == Some(&(first + 100)) {
            expected.push(first + 100);
        }
        assert_eq!(found, expected, "{kind}, round {round}: after {error}");
        drop((store, channel));
    }
    println!("{kind}: shut down five times, nothing lost or repeated");
}
