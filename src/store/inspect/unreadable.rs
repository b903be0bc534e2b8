//! Looking on where files cannot be read.
//!
//! What a disk does not give back is shown as zeros, and a segment that cannot even be opened as an empty file. To the recovery
//! both are damage, which it knows how to pass over, so that all that can be read is found. What could not be is remembered.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::StorageError;
use crate::store::segment::parse_segment_name;
use crate::vfs::{Metadata, OpenMode, ReadOnly, Vfs, VfsFile, VfsLock};

/// The first failure of each file.
type Failures = Arc<Mutex<BTreeMap<PathBuf, StorageError>>>;

/// A file system on which every segment can be read.
#[derive(Debug)]
pub(super) struct Unfailing {
    vfs: ReadOnly,
    failures: Failures,
}

impl Unfailing {
    pub(super) fn over(vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs: ReadOnly::over(vfs), failures: Failures::default() }
    }

    /// What could not be read until now, and why.
    pub(super) fn failures(&self) -> BTreeMap<PathBuf, StorageError> {
        self.failures.lock().clone()
    }
}

impl Vfs for Unfailing {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let name = path.file_name().and_then(|name| name.to_str());
        let inner = match self.vfs.open(path, mode) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && name.and_then(parse_segment_name).is_some() => {
                note(&self.failures, "open", path, error);
                None
            }
            opened => Some(opened?),
        };
        let metadata = self.vfs.metadata(path)?;
        let (path, failures) = (path.to_path_buf(), self.failures.clone());
        Ok(Arc::new(Zeroed { inner, metadata, path, failures, failed: AtomicU32::new(0) }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.vfs.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.vfs.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.vfs.metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.vfs.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.vfs.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.vfs.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.vfs.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.vfs.lock(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.vfs.available_bytes(path)
    }
}

/// A file with zeros where it cannot be read; empty if it could not be opened.
#[derive(Debug)]
struct Zeroed {
    inner: Option<Arc<dyn VfsFile>>,
    // Of one that could not be opened.
    metadata: Metadata,
    path: PathBuf,
    failures: Failures,
    // Pieces that could not be read.
    failed: AtomicU32,
}

impl VfsFile for Zeroed {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(inner) = &self.inner else { return Ok(0) };
        let error = match inner.read_at(buf, offset) {
            Err(error) => error,
            read => return read,
        };
        note(&self.failures, "read", &self.path, error);
        let left = self.metadata()?.len.saturating_sub(offset);
        let left = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let piece = usize::try_from(PIECE_BYTES - offset % PIECE_BYTES).unwrap_or(left);
        // A disk takes its time over what it cannot read: a file of nothing else must not take hours.
        let given_up = self.failed.load(Ordering::Relaxed) >= PIECES_TRIED_MAX;
        let zeros = buf.get_mut(..if given_up { left } else { left.min(piece) }).unwrap_or_default();
        if !given_up {
            match inner.read_at(zeros, offset) {
                Ok(read) => return Ok(read),
                Err(_) => self.failed.fetch_add(1, Ordering::Relaxed),
            };
        }
        zeros.fill(0);
        Ok(zeros.len())
    }

    fn write_at(&self, _: &[io::IoSlice<'_>], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.inner.as_ref().map_or(Ok(Metadata { len: 0, ..self.metadata }), |inner| inner.metadata())
    }

    fn map(&self, _: u64) -> io::Result<Bytes> {
        // A page of it that cannot be read would end the process.
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn note(failures: &Failures, operation: &'static str, path: &Path, error: io::Error) {
    failures.lock().entry(path.to_path_buf()).or_insert_with(|| StorageError::io(operation, path, error));
}

/// What is tried by itself where more cannot be read at once: the sector of a disk, and the page of a file system.
const PIECE_BYTES: u64 = 4096;
/// Pieces of one file that are tried to be read, after so many that cannot be.
const PIECES_TRIED_MAX: u32 = 64;
