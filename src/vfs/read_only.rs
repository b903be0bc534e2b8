//! A file system that lets nobody change anything.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Metadata, OpenMode, Vfs, VfsFile, VfsLock};

/// Another [`Vfs`], of which only reads get through. Files are opened for reading, whatever is asked for, so that a place
/// that may not be written to can be looked at, too.
#[derive(Clone, Debug)]
pub(crate) struct ReadOnly(Arc<dyn Vfs>);

impl ReadOnly {
    pub(crate) fn over(vfs: Arc<dyn Vfs>) -> Self {
        Self(vfs)
    }
}

impl Vfs for ReadOnly {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        match mode {
            OpenMode::Read | OpenMode::ReadWrite => self.0.open(path, OpenMode::Read),
            OpenMode::CreateNew => refuse(),
        }
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.0.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.absolute(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn rename_new(&self, _: &Path, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove_file(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn VfsLock>> {
        // It would create the file.
        refuse()
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.0.is_locked(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.0.available_bytes(path)
    }
}

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "nothing is changed here"))
}
