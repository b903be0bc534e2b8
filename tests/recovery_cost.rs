//! What an open reads: in proportion to what there is, however much of it is torn, damaged or missing.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // an error is a failed test

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqueduct::store::OnCorruption;
use aqueduct::vfs::sim::SimVfs;
use aqueduct::vfs::{Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use aqueduct::{Channel, Durability, FileStore, FileStoreBuilder, Wait};
use bytes::Bytes;

/// Bytes that an open reads for each byte that is there, at most: four looks at what was not known to be durable, one at
/// what proves it, and one count of what is left, all of them a little ahead.
const READS_PER_BYTE: u64 = 8;
/// Every file is looked at, however little is in it.
const BYTES_PER_FILE: u64 = 2 << 10;

/// A disk that counts the bytes that are read from it.
#[derive(Clone, Debug)]
struct Counting {
    disk: SimVfs,
    read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn VfsFile>,
    read: Arc<AtomicU64>,
}

impl Vfs for Counting {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(CountingFile { file: self.disk.open(path, mode)?, read: self.read.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.disk.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.available_bytes(path)
    }
}

impl VfsFile for CountingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_at(bufs, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.file.map(len)
    }
}

fn settings(vfs: Arc<dyn Vfs>) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(vfs).seed(1).background(false).put_wait(Wait::NONE).replay_bytes_max(1 << 30)
}

/// A store with `puts` small records that nothing was waited for, in segments of a size, and one more that was synced if
/// so wanted; its process was killed.
fn store(puts: u64, segment_bytes: u64, synced: bool) -> SimVfs {
    let disk = SimVfs::new();
    let builder = settings(Arc::new(disk.clone())).segment_bytes(segment_bytes).durability(Durability::Os);
    let store = builder.open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for number in 0..puts {
        channel.put(number.to_le_bytes().to_vec()).expect("a put");
    }
    if synced {
        for _ in 0..2 {
            let mut put = channel.begin_put();
            put.push("synced");
            put.set_durability(Durability::Sync);
            put.commit().expect("a put");
        }
    }
    // What the system writes on its own; the store does not know of it.
    disk.sync_everything();
    disk.snapshot()
}

fn segments(disk: &SimVfs) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
    disk.files().into_iter().filter(is_segment).collect()
}

/// Flips a bit in every so many-th record.
fn damage(disk: &SimVfs, every: usize) {
    let mut records = 0;
    for path in segments(disk) {
        let bytes = disk.peek(&path).expect("a segment");
        for (at, _) in bytes.windows(4).enumerate().filter(|(_, bytes)| *bytes == b"\xA9Qf1") {
            records += 1;
            if records % every == 0 {
                disk.flip_bit(&path, (at as u64 + 20) * 8).expect("a bit");
            }
        }
    }
}

/// Opens a store and checks what is read for it.
fn open(case: &str, disk: &SimVfs, policy: OnCorruption) {
    let read = Arc::new(AtomicU64::new(0));
    let files = disk.files();
    let there: u64 = files.iter().map(|path| disk.peek(path).expect("a file").len() as u64).sum();
    let counting = Counting { disk: disk.snapshot(), read: read.clone() };
    let opened = settings(Arc::new(counting)).on_corruption(policy).open();
    let read = read.load(Ordering::Relaxed);
    println!("{case}: {there} bytes in {} files, {read} read, open: {}", files.len(), opened.is_ok());
    let bound = there * READS_PER_BYTE + files.len() as u64 * BYTES_PER_FILE;
    assert!(read <= bound, "{case}: {read} bytes were read, of {there}");
}

const SIZES: [u64; 2] = [500, 4000];
/// Each segment begins with the list of those before it: with very small ones there is little else.
const SEGMENT_BYTES: [u64; 2] = [16 << 10, 1 << 20];

#[test]
fn recovery_reads_in_proportion_to_the_bytes_there_are() {
    for puts in SIZES {
        for segment_bytes in SEGMENT_BYTES {
            let name = |what: &str| format!("{what}, {puts} records, segments of {segment_bytes}");
            let disk = store(puts, segment_bytes, false);
            open(&name("nothing synced"), &disk, OnCorruption::Fail);
            open(&name("synced"), &store(puts, segment_bytes, true), OnCorruption::Fail);

            // Unfinished from its first record on: the others are looked at, and do not count.
            let first = segments(&disk).remove(0);
            let head = disk.peek(&first).expect("a segment").windows(4).rposition(|bytes| bytes == b"\xA9Qf1");
            disk.flip_bit(&first, (head.expect("a record") as u64 + 20) * 8).expect("a bit");
            open(&name("torn"), &disk, OnCorruption::Fail);
        }
    }
}

#[test]
fn passing_over_damage_reads_in_proportion_to_the_bytes_there_are() {
    for puts in SIZES {
        for segment_bytes in SEGMENT_BYTES {
            for every in [2, 10, 100] {
                let disk = store(puts, segment_bytes, true);
                damage(&disk, every);
                let name = format!("every {every}. of {puts} records damaged, segments of {segment_bytes}");
                open(&name, &disk, OnCorruption::Fail);
                open(&name, &disk, OnCorruption::Salvage);
            }
            let disk = store(puts, segment_bytes, true);
            for path in segments(&disk).into_iter().skip(1).step_by(2) {
                disk.erase(&path).expect("a segment");
            }
            open(&format!("every other segment of {segment_bytes} missing"), &disk, OnCorruption::Salvage);
        }
    }
}
