//! The operating system's files, counting what is asked of them.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aqueduct::vfs::{Metadata, OpenMode, OsVfs, Vfs, VfsFile, VfsLock};
use bytes::Bytes;

/// Calls and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) writes: u64,
    pub(crate) written: u64,
    pub(crate) syncs: u64,
    pub(crate) reads: u64,
    /// Everything else.
    pub(crate) others: u64,
}

impl std::ops::Sub for Calls {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            writes: self.writes - before.writes,
            written: self.written - before.written,
            syncs: self.syncs - before.syncs,
            reads: self.reads - before.reads,
            others: self.others - before.others,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    writes: AtomicU64,
    written: AtomicU64,
    syncs: AtomicU64,
    reads: AtomicU64,
    others: AtomicU64,
    sync_micros: AtomicU64,
}

/// A disk that counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    os: OsVfs,
    counters: Arc<Counters>,
}

impl Disk {
    pub(crate) fn calls(&self) -> Calls {
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let Counters { writes, written, syncs, reads, others, .. } = &*self.counters;
        Calls { writes: get(writes), written: get(written), syncs: get(syncs), reads: get(reads), others: get(others) }
    }

    /// From now on a sync takes at least so long.
    pub(crate) fn slow_syncs(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).expect("a short time");
        self.counters.sync_micros.store(micros, Ordering::SeqCst);
    }

    fn other(&self) -> &OsVfs {
        self.counters.others.fetch_add(1, Ordering::SeqCst);
        &self.os
    }
}

impl Vfs for Disk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(DiskFile { file: self.other().open(path, mode)?, counters: self.counters.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.other().create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.other().read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.other().metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.other().rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.other().rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.other().remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.other().sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.other().lock(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.other().available_bytes(path)
    }
}

#[derive(Debug)]
struct DiskFile {
    file: Arc<dyn VfsFile>,
    counters: Arc<Counters>,
}

impl VfsFile for DiskFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.counters.reads.fetch_add(1, Ordering::SeqCst);
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let written = self.file.write_at(bufs, offset)?;
        self.counters.writes.fetch_add(1, Ordering::SeqCst);
        self.counters.written.fetch_add(written as u64, Ordering::SeqCst);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(self.counters.sync_micros.load(Ordering::SeqCst)));
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.counters.others.fetch_add(1, Ordering::SeqCst);
        self.file.set_len(len)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.counters.others.fetch_add(1, Ordering::SeqCst);
        self.file.metadata()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.counters.others.fetch_add(1, Ordering::SeqCst);
        self.file.map(len)
    }
}
