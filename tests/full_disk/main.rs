//! Disks that are really full: a `tmpfs` of 8 MiB here, other file systems in `systems`.
//!
//! Goal: puts get `Full` and their events back, takes and commits go on, the store can be closed and opened with no byte
//! free, and after draining puts go on; nothing is lost or repeated. Method: one event of 4 KiB a transaction until the disk
//! refuses, with another file taking what is left. Where the process may not mount a file system the test says so and
//! leaves the matter to the simulator (`tests/durability`).

#![allow(clippy::expect_used, clippy::print_stdout, clippy::disallowed_methods)] // an error is a failed test

mod disk;
mod systems;

use std::path::PathBuf;

use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::{Channel, FileChannel, FullReason, PutError, Wait};

use disk::Disk;

fn settings(path: PathBuf) -> FileStoreBuilder {
    FileStore::builder(path).segment_bytes(1 << 20).put_wait(Wait::NONE)
}

fn body(number: u32) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(4096, 0xAB);
    body
}

/// Puts numbered events until the disk is full; returns the number after the last one that fit.
fn fill(channel: &FileChannel, mut number: u32) -> u32 {
    loop {
        match channel.put(body(number)) {
            Ok(_) => number += 1,
            Err(PutError::Full { reason: FullReason::Disk, batch, .. }) => {
                assert_eq!(batch.events().first().map(|event| event.body().to_vec()), Some(body(number)));
                return number;
            }
            Err(error) => panic!("event {number}: {error}"),
        }
    }
}

/// Takes these events, one a commit: the most acknowledgements that a backlog can need.
fn drain(channel: &FileChannel, expected: std::ops::Range<u32>) {
    for next in expected {
        let take = channel.take(1, Wait::NONE).expect("a take");
        assert_eq!(take.first().map(|event| event.body().to_vec()), Some(body(next)), "event {next}");
        take.commit().expect("a commit on a full disk");
    }
}

#[test]
fn a_full_disk_refuses_puts_and_lets_everything_else_go_on() {
    let tmpfs = match Disk::tmpfs("8m") {
        Ok(tmpfs) => tmpfs,
        Err(problem) => {
            println!("no tmpfs can be mounted here ({problem}): only the simulator fills disks");
            return;
        }
    };
    let store = settings(tmpfs.path().join("store")).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let full = fill(&channel, 0);
    assert!(full > 500, "most of 8 MiB is usable, not only {full} events");

    // Someone else takes what is left.
    tmpfs.hog("hog", 0);
    assert_eq!(fill(&channel, full), full, "still full");

    // A rollback, a commit, a close and an open with no byte free.
    drop(channel.take(10, Wait::NONE).expect("a take"));
    drain(&channel, 0..100);
    store.close().expect("a close on a full disk");
    drop((store, channel));
    let store = settings(tmpfs.path().join("store")).open().expect("an open on a full disk");
    let channel = store.channel("channel").expect("a channel");
    assert_eq!(channel.stats().depth_events, u64::from(full - 100));
    drain(&channel, 100..full);
    assert!(channel.take(1, Wait::NONE).expect("a take").is_empty());

    store.maintain();
    let again = fill(&channel, full);
    assert!(again > full + 100, "after draining there is room again");
    drain(&channel, full..again);
    store.close().expect("a close");
    println!("{full} events fit, then {}", again - full);
}
