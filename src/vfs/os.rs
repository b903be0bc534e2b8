//! The operating system's file system. Thin on purpose: but for locks, each method is one system call.
#![allow(clippy::disallowed_methods)] // this is the one file that may name `std::fs`

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{process, thread};

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{FileId, FileKind, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use crate::limits::LOCK_WAIT;

#[cfg(test)]
mod tests;

/// [`Vfs`] on the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OsVfs;

impl OsVfs {
    /// The operating system's file system.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Vfs for OsVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let flags = match mode {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::ReadWrite => OFlags::RDWR,
            OpenMode::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        open_regular(path, flags | OFlags::NOFOLLOW)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        convert(&fs::symlink_metadata(path)?)
    }

    fn follow(&self, path: &Path) -> io::Result<Metadata> {
        convert(&fs::metadata(path)?)
    }

    fn open_followed(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        open_regular(path, OFlags::RDONLY)
    }

    fn dir_behind(&self, link: &Path) -> io::Result<PathBuf> {
        let mut path = link.to_path_buf();
        for _ in 0..LINKS_MAX {
            let target = match fs::read_link(&path) {
                Ok(target) => target,
                // The last one: a file, or nothing.
                Err(_) if path != link => return fs::canonicalize(parent(&path)),
                Err(error) => return Err(error),
            };
            path = parent(&path).join(target);
        }
        Err(Errno::LOOP.into())
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        std::path::absolute(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system can; then there is a moment in which somebody else could put a file there.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
                Err(error) => Err(error),
            },
            renamed => Ok(renamed?),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        File::from(rustix::fs::open(path, flags, Mode::empty())?).sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        // Held for a moment by who looks whether it is held, and longer than its owner by a program that is being started: until
        // that begins, it has all descriptors of the process that starts it.
        for _ in 0..LOCK_WAIT.as_millis() / LOCK_PAUSE.as_millis() {
            match OsLock::take(path) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOCK_PAUSE),
                decided => return Ok(Box::new(decided?)),
            }
        }
        Ok(Box::new(OsLock::take(path)?))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::RDONLY;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            file => File::from(file?),
        };
        // A shared lock, so that several who look do not see each other.
        match file.try_lock_shared() {
            Ok(()) => {
                let _ = file.unlock();
                Ok(false)
            }
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn open_regular(path: &Path, flags: OFlags) -> io::Result<Arc<dyn VfsFile>> {
    // NONBLOCK: opening a FIFO must not hang; it has no effect on the regular files that pass the check below.
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(Arc::new(OsFile(file)))
}

/// The directory that a path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a whole file of settings, such as keys: at most `bytes_max` bytes. Symbolic links are followed, since whoever
/// installs settings may well use them; nothing is ever written this way.
#[cfg(feature = "tls")]
pub(crate) fn read_settings(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // NONBLOCK: as above.
    let flags = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::RDONLY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    // Not by the length, which says little about files such as those below /proc.
    io::Read::read_to_end(&mut io::Read::take(file, bytes_max.saturating_add(1)), &mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

#[derive(Debug)]
struct OsFile(File);

impl VfsFile for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| rustix::io::pread(&self.0, &mut *buf, offset))
    }

    fn write_at(&self, bufs: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize> {
        // The kernel refuses more slices than IOV_MAX in one call; a short write is the contract's way out.
        let bufs = bufs.get(..IOV_MAX).unwrap_or(bufs);
        retry(|| rustix::io::pwritev(&self.0, bufs, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        // Only an interruption is repeated: it says that nothing was tried. Any other error is final.
        retry(|| rustix::fs::fdatasync(&self.0))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        convert(&self.0.metadata()?)
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        if self.0.metadata()?.len() < len {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "file is shorter than the range to map"));
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        #[allow(unsafe_code)]
        // SAFETY: the bytes of a mapping can change or vanish (SIGBUS) if another process writes to or truncates the
        // file. The caller maps only segments that it owns under a lock, never truncates one, and never rewrites one that
        // this process may have mapped; the remaining risk (a foreign process) is documented at `ReadMode::Mmap`.
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(&self.0) }?;
        Ok(Bytes::from_owner(map))
    }
}

#[derive(Debug)]
struct OsLock {
    file: File,
    process: u32,
}

impl OsLock {
    fn take(path: &Path) -> io::Result<Self> {
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CREATE;
        let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
        match file.try_lock() {
            Ok(()) => Ok(Self { file, process: process::id() }),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl VfsLock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        // Closing the descriptor does not suffice while a program that is being started has a copy of it. A process that was forked
        // from the owner must not release the owner's lock.
        if self.process == process::id() {
            let _ = self.file.unlock();
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

fn convert(metadata: &fs::Metadata) -> io::Result<Metadata> {
    let kind = if metadata.is_file() {
        FileKind::File
    } else if metadata.is_dir() {
        FileKind::Directory
    } else {
        FileKind::Other
    };
    let id = FileId { device: metadata.dev(), inode: metadata.ino() };
    Ok(Metadata::new(kind, metadata.len(), metadata.modified()?, id).with_created(metadata.created().ok()))
}

const IOV_MAX: usize = 1024;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// As the kernel has it.
const LINKS_MAX: usize = 40;
