//! The one door to the file system.
//!
//! Everything that aqueduct writes or reads goes through [`Vfs`] and [`VfsFile`]. There are two implementations: the
//! operating system ([`OsVfs`]) and, with the feature `testing`, a simulator that loses, reorders and tears unsynced
//! writes and injects errors (`SimVfs`). The same code runs on both, so what the simulator proves holds for the product.

mod following;
mod os;
mod read_only;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::sabotage::{Bug, planted};

pub(crate) use following::Following;
pub use os::OsVfs;
#[cfg(feature = "tls")]
pub(crate) use os::read_settings;
pub(crate) use read_only::ReadOnly;

/// How [`Vfs::open`] opens a file. It does not follow a symbolic link in the last component of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no fourth way that this crate opens the file of a name
pub enum OpenMode {
    /// Read an existing regular file.
    Read,
    /// Read and write an existing regular file.
    ReadWrite,
    /// Create a file that must not exist (mode 0600), to read and write it.
    CreateNew,
}

/// What kind of thing a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, FIFO, socket or device: never opened by this crate as such.
    Other,
}

/// The identity of a file, stable over renames. Inode numbers are reused after a deletion, so whoever stores an
/// identity for long stores a check on the content beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs)] // device and inode are all that POSIX knows of identity
pub struct FileId {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Kind of the entry itself; a symbolic link is [`FileKind::Other`].
    pub kind: FileKind,
    /// Length in bytes.
    pub len: u64,
    /// Time of last modification.
    pub modified: SystemTime,
    /// Identity.
    pub id: FileId,
    /// Time of creation, where the file system keeps it: of two files that have a number one after the other each has its own.
    pub created: Option<SystemTime>,
}

impl Metadata {
    /// Puts the parts together, without a time of creation; for implementers of [`Vfs`].
    #[must_use]
    pub fn new(kind: FileKind, len: u64, modified: SystemTime, id: FileId) -> Self {
        Self { kind, len, modified, id, created: None }
    }

    /// Adds the time of creation.
    #[must_use]
    pub fn with_created(self, created: Option<SystemTime>) -> Self {
        Self { created, ..self }
    }
}

/// File system operations, named by path. Paths are used as given.
///
/// # Durability
///
/// An operation that changes a directory (create, rename, remove) is durable only after [`Vfs::sync_dir`] on that
/// directory; bytes are durable only after [`VfsFile::sync_data`].
pub trait Vfs: Debug + Send + Sync {
    /// Opens a regular file.
    ///
    /// # Errors
    /// As the operating system reports; `InvalidInput` if the path is not a regular file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;

    /// Creates one directory (mode 0700); its parent must exist.
    ///
    /// # Errors
    /// `AlreadyExists` if there is such an entry, else as the operating system reports.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Names of the entries of a directory, without `.` and `..`, in no particular order.
    ///
    /// # Errors
    /// As the operating system reports.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<std::ffi::OsString>>;

    /// Metadata of the entry itself (a symbolic link is not followed).
    ///
    /// # Errors
    /// As the operating system reports; `NotFound` if there is no entry.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Metadata of what a symbolic link leads to; of anything else, as [`metadata`](Self::metadata). Used, like the next two, only by
    /// sources that follow links; the provided methods are for file systems without links.
    ///
    /// # Errors
    /// As the operating system reports; `NotFound` also if a link leads nowhere.
    fn follow(&self, path: &Path) -> io::Result<Metadata> {
        self.metadata(path)
    }

    /// Opens a regular file to read it, also one that a symbolic link leads to.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_followed(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.open(path, OpenMode::Read)
    }

    /// The directory in which that lies to which a symbolic link leads, also if it is not there now.
    ///
    /// # Errors
    /// `InvalidInput` if it is no link, else as the operating system reports.
    fn dir_behind(&self, link: &Path) -> io::Result<PathBuf> {
        let _ = link;
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// The same path, so that it stays the same whatever becomes of the working directory of the process. A store asks once, when it
    /// is opened. The provided method is for file systems that know no working directory; one that hands on to another has to hand this on,
    /// too.
    ///
    /// # Errors
    /// As the operating system reports.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    /// Renames atomically, replacing `to` if it exists.
    ///
    /// # Errors
    /// As the operating system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames atomically, unless there is an entry `to` already.
    ///
    /// # Errors
    /// `AlreadyExists` if there is such an entry, else as the operating system reports.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file (not a directory). Open handles stay usable.
    ///
    /// # Errors
    /// As the operating system reports.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// As the operating system reports; must not be retried after `EIO`.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive advisory lock on the file `path`, which is created if need be. The lock is held until the
    /// returned guard is dropped or the process ends.
    ///
    /// # Errors
    /// `WouldBlock` if someone else, in this or another process, holds it, and does so for longer than a moment.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>>;

    /// Whether someone, in this or another process, holds the lock on the file `path`. Creates nothing, and keeps nobody from
    /// taking the lock but for the moment of the call. Needed only by those who look at a store without opening it.
    ///
    /// # Errors
    /// `Unsupported` unless it is implemented, else as the operating system reports.
    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Bytes that can still be written on the file system that holds `path`.
    ///
    /// # Errors
    /// As the operating system reports.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. All methods take positions, so a handle can be shared between threads.
pub trait VfsFile: Debug + Send + Sync {
    /// Reads at `offset` into `buf`; fewer bytes than asked for may come, 0 only at the end of the file.
    ///
    /// # Errors
    /// As the operating system reports; interruptions are retried inside.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the buffers one after the other at `offset`; fewer bytes than given may be written.
    ///
    /// # Errors
    /// As the operating system reports; interruptions are retried inside.
    fn write_at(&self, bufs: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Makes the bytes and the length durable (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system reports. After an error the unsynced bytes may be lost although later calls succeed:
    /// never retry.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts or extends (with zeros) the file.
    ///
    /// # Errors
    /// As the operating system reports.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Metadata of the open file.
    ///
    /// # Errors
    /// As the operating system reports.
    fn metadata(&self) -> io::Result<Metadata>;

    /// Maps the first `len` bytes, which the file must have, as shared memory. The mapping lives as long as a clone or
    /// slice of the returned `Bytes`. The simulator returns a copy.
    ///
    /// # Errors
    /// As the operating system reports; `InvalidInput` if the file is shorter than `len`.
    fn map(&self, len: u64) -> io::Result<Bytes>;
}

/// An exclusive lock, released on drop.
pub trait VfsLock: Debug + Send + Sync {}

/// Helpers on top of [`VfsFile`] that loop over short reads and writes.
impl dyn VfsFile + '_ {
    /// Reads exactly `buf.len()` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends first, else as [`VfsFile::read_at`].
    pub fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            let n = self.read_at(buf, offset)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = buf.get_mut(n..).unwrap_or_default();
            offset += n as u64;
        }
        Ok(())
    }

    /// Writes all of the buffers. On an error the number of bytes that were written before it is in the first place.
    ///
    /// # Errors
    /// `WriteZero` if the file takes no more bytes, else as [`VfsFile::write_at`].
    pub fn write_all_at(&self, mut bufs: &mut [io::IoSlice<'_>], offset: u64) -> Result<(), (u64, io::Error)> {
        let mut written = 0_u64;
        io::IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            match self.write_at(bufs, offset + written) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(_) if planted(Bug::ShortWriteIgnored) => return Ok(()),
                Ok(n) => {
                    written += n as u64;
                    io::IoSlice::advance_slices(&mut bufs, n);
                }
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}
