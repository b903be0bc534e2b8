//! Recovery of a whole store.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::channel::Channel;
use crate::event::Event;
use crate::store::{FileStore, FileStoreBuilder, OnCorruption};
use crate::vfs::Vfs;
use crate::vfs::sim::SimVfs;
use crate::wait::Wait;

/// A whole store: the files of a small one are edited, with checksums that fit afterwards or not, and opened. Whatever
/// comes out, nothing panics, and new events come and go. A look from outside comes first.
pub(super) fn run(data: &[u8]) {
    let Some((&first, edits)) = data.split_first() else { return };
    let images = images();
    let Some(image) = images.get(usize::from(first & 1)) else { return };
    let disk = image.snapshot();
    let files = disk.files();
    for edit in edits.chunks(EDIT_BYTES) {
        apply(&disk, &files, edit);
    }
    if first & 2 != 0 {
        files.iter().for_each(|path| crate::store::fuzz::reseal(&disk, path));
    }
    let policy = if first & 4 == 0 { OnCorruption::Fail } else { OnCorruption::Salvage };
    for seed in 100..102 {
        look(&disk, policy);
        let Ok(store) = settings(&disk, seed).on_corruption(policy).open() else { return };
        use_it(&store);
        let left = disk.snapshot();
        drop(store);
        for path in left.files() {
            if let Ok(saved) = left.save(&path) {
                drop(disk.restore(&path, &saved));
            }
        }
    }
}

/// A look from outside: it need not succeed, and changes nothing.
fn look(disk: &SimVfs, policy: OnCorruption) {
    let contents = || disk.files().into_iter().map(|path| (disk.peek(&path).ok(), path)).collect::<Vec<_>>();
    let before = contents();
    if let Ok(found) = settings(disk, 100).on_corruption(policy).inspect() {
        drop(found.verify(|_| ()));
        found.channels.iter().for_each(|channel| found.events(&channel.name).for_each(drop));
    }
    assert!(contents() == before, "a look from outside changes files");
}

/// Every operation of a store; none of them has to succeed.
fn use_it(store: &FileStore) {
    for name in store.channel_names() {
        let Ok(channel) = store.channel(&name) else { continue };
        let takes = [1, 100, 100].map(|max| channel.take(max, Wait::NONE));
        let count: usize = takes.iter().flatten().map(|take| take.len()).sum();
        let said = channel.stats();
        assert!(said.in_flight_events == count as u64, "{count} events are taken, and {said:?}");
        takes.into_iter().flatten().for_each(|take| drop(take.commit_first(1)));
        drop(channel.put("new"));
        drop(channel.positions(""));
    }
    store.maintain();
    drop(store.stats());
}

/// One edit: what, which file, where, and the bytes for it.
fn apply(disk: &SimVfs, files: &[PathBuf], edit: &[u8]) {
    let [what, file, lo, hi, bytes @ ..] = edit else { return };
    let Some(path) = files.get(usize::from(*file) % files.len().max(1)) else { return };
    let len = disk.peek(path).map_or(0, |bytes| bytes.len() as u64);
    let at = u64::from(u16::from_le_bytes([*lo, *hi])) % len.max(1);
    let done = match what % 8 {
        0 => disk.erase(path),
        1 => disk.cut(path, at),
        2 => disk.flip_bit(path, at * 8 + u64::from(what >> 5)),
        3 => {
            // Bytes from somewhere else in the store.
            let from = bytes.first().and_then(|from| files.get(usize::from(*from) % files.len()));
            let other = from.and_then(|from| disk.peek(from).ok()).unwrap_or_default();
            let piece = other.get(usize::try_from(at).unwrap_or(0)..).unwrap_or_default();
            disk.poke(path, at, piece.get(..piece.len().min(600)).unwrap_or_default())
        }
        _ => disk.poke(path, at, bytes),
    };
    drop(done);
}

/// No edit, each file removed, and a few bytes of each overwritten.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let kinds = 0..8_u8;
    let mut seeds: Vec<Vec<u8>> = kinds.clone().map(|first| vec![first]).collect();
    seeds.extend(kinds.clone().flat_map(|first| (0..10).map(move |file| vec![first, 0, file, 0, 0])));
    let ones = [0xff_u8; 8];
    seeds.extend(
        kinds.flat_map(|first| (0..6_u8).map(move |file| [&[first, 4, file, 16 * file, 2][..], &ones].concat())),
    );
    seeds
}

/// Two small stores with every kind of record: left by a kill, and closed.
pub(super) fn images() -> &'static [SimVfs] {
    static IMAGES: OnceLock<Vec<SimVfs>> = OnceLock::new();
    IMAGES.get_or_init(|| [false, true].into_iter().filter_map(image).collect())
}

fn image(close: bool) -> Option<SimVfs> {
    let disk = SimVfs::new();
    let store = settings(&disk, 1).open().ok()?;
    let (a, b) = (store.channel("a").ok()?, store.channel("b").ok()?);
    for number in 0..6_u8 {
        let mut put = store.begin_put();
        put.push_to(&[&a, &b], vec![number; 300]);
        put.push_to(&[&b], Event::new("x").with_header("name", "value").ok()?);
        put.set_position("source", vec![number; 3]);
        put.commit().ok()?;
        let mut take = a.take(1, Wait::NONE).ok()?;
        take.set_position("sink", vec![number]);
        take.commit().ok()?;
        if number == 3 {
            store.maintain();
        }
    }
    if close {
        store.close().ok()?;
    }
    Some(disk.snapshot())
}

fn settings(disk: &SimVfs, seed: u64) -> FileStoreBuilder {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    FileStore::builder("/store").vfs(vfs).seed(seed).background(false).put_wait(Wait::NONE).segment_bytes(4 << 10)
}

/// Bytes of one edit: eight of them are content.
const EDIT_BYTES: usize = 12;
