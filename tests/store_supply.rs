//! How large the files of a store are, and what its positions may take.

#![allow(clippy::expect_used, clippy::panic)] // an error is a failed test

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use aqueduct::limits::{
    POSITION_BYTES_MAX, POSITIONS_BYTES_MAX, POSITIONS_PER_TRANSACTION_MAX, SEGMENT_BYTES_FIRST, SEGMENT_BYTES_MIN,
};
use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::vfs::Vfs;
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{Channel, FileChannel, PutBatch, PutError, Wait};

const DATA: &str = "/store/data";
const BODY_BYTES: usize = 256 << 10;

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).background(false)
}

fn open(builder: FileStoreBuilder) -> (FileStore, FileChannel) {
    let store = builder.open().expect("a store");
    let channel = store.channel("channel").expect("a channel");
    (store, channel)
}

/// The sizes of the segments that there are.
fn segment_sizes(disk: &SimVfs) -> BTreeSet<u64> {
    let names = disk.read_dir(Path::new(DATA)).expect("the directory").into_iter();
    let segments =
        names.map(|name| Path::new(DATA).join(name)).filter(|path| path.extension().is_some_and(|e| e == "seg"));
    segments.map(|path| disk.metadata(&path).expect("a file").len).collect()
}

#[test]
fn segments_grow_fourfold_up_to_their_full_size() {
    let disk = SimVfs::new();
    let sizes = [1, 4, 16].map(|times| SEGMENT_BYTES_FIRST * times);
    let [.., full] = sizes;
    let (_store, channel) = open(settings(&disk).segment_bytes(full));
    let mut put = 0;
    while put < sizes.iter().sum::<u64>() + full {
        put += BODY_BYTES as u64;
        channel.put(vec![b'x'; BODY_BYTES]).expect("a put");
    }
    assert_eq!(segment_sizes(&disk), BTreeSet::from(sizes));
}

/// Where the state is large, new segments are to have room for more than that. On a disk that has no room for such a one, one that
/// just fits does.
#[test]
fn a_segment_that_just_fits_does_where_the_disk_has_no_room_for_a_larger_one() {
    let disk = SimVfs::new();
    let (_store, channel) = open(settings(&disk).segment_bytes(SEGMENT_BYTES_MIN));
    channel.put_batch(positions(0, 8)).expect("positions");
    let state = 8 * POSITION_BYTES_MAX as u64;
    // Into the next segment, which has room for more than the state.
    channel.put(vec![b'x'; 1000]).expect("a put");
    let largest = |disk: &SimVfs| segment_sizes(disk).last().copied().unwrap_or(0);
    assert!(largest(&disk) > 3 * state, "{}", largest(&disk));

    let free = state * 2;
    disk.set_space(Some(free));
    let mut puts = 0;
    while channel.put(vec![b'x'; 100_000]).is_ok() {
        puts += 1;
    }
    let sizes = segment_sizes(&disk);
    assert!(sizes.iter().any(|size| (state..free).contains(size)), "after {puts} puts there are segments of {sizes:?}");
}

/// On a full disk acknowledgements go to files that are kept for them. Segments that become free take their places, although
/// the disk gives no room.
#[test]
fn freed_segments_make_the_reserve_good_on_a_full_disk() {
    let disk = SimVfs::new();
    let (store, channel) = open(settings(&disk).segment_bytes(SEGMENT_BYTES_MIN));
    let reserve = || {
        let names = disk.read_dir(Path::new(DATA)).expect("the directory").into_iter();
        names.filter(|name| name.to_string_lossy().starts_with("reserve-")).collect::<BTreeSet<_>>()
    };
    let first = reserve();
    disk.set_space(Some(20 * SEGMENT_BYTES_MIN));
    while channel.put(vec![b'x'; 500]).is_ok() {}
    disk.set_space(Some(0));
    let mut taken = 0;
    while taken < 100 {
        channel.take(1, Wait::NONE).expect("a take").commit().expect("its commit");
        taken += 1;
    }
    store.maintain();
    let now = reserve();
    assert_eq!(now.len(), first.len(), "{now:?}");
    assert_ne!(now, first, "none was used");
}

/// A transaction that sets `count` positions of the largest size, those from `first` on.
fn positions(first: usize, count: usize) -> PutBatch {
    let mut batch = PutBatch::default();
    for number in first..first + count {
        batch.set_position(format!("owner{number:04}"), vec![b'x'; POSITION_BYTES_MAX]);
    }
    batch
}

/// The bound holds for what there is, over an open, too; what makes nothing more is taken all the same.
#[test]
fn positions_take_no_more_bytes_than_they_may() {
    let disk = SimVfs::new();
    let (store, channel) = open(settings(&disk));
    let each = ("owner0000".len() + POSITION_BYTES_MAX) as u64;
    let fit = usize::try_from(POSITIONS_BYTES_MAX / each).expect("few");
    assert!(fit < POSITIONS_PER_TRANSACTION_MAX);
    channel.put_batch(positions(0, fit - 1)).expect("the first ones");
    channel.put_batch(positions(fit - 1, 1)).expect("the last one that fits");
    let is_refused = |channel: &FileChannel| {
        let error = channel.put_batch(positions(fit, 1)).expect_err("one more");
        let PutError::TooLarge { what, actual, max, .. } = &error else { panic!("{error}") };
        assert_eq!(*what, "bytes of the positions of a store");
        assert_eq!((*actual, *max), (each * (fit as u64 + 1), POSITIONS_BYTES_MAX));
        channel.put_batch(positions(0, 3)).expect("others in place of those that are there");
    };
    is_refused(&channel);
    store.close().expect("a close");
    drop((store, channel));

    let (_store, channel) = open(settings(&disk));
    is_refused(&channel);
    let mut cleared = PutBatch::default();
    cleared.clear_position("owner0000");
    channel.put_batch(cleared).expect("a position that is cleared");
    channel.put_batch(positions(fit, 1)).expect("another one in its place");
}
