//! A file system on which files may be read through symbolic links.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::{FileKind, Metadata, OpenMode, Vfs, VfsFile, VfsLock};

/// Another [`Vfs`] on which a symbolic link to a regular file is taken for that file, to look at it and to read it. Renaming
/// and removing change the link, and a link to anything else stays [`FileKind::Other`]: through a link to a directory there
/// would be no end of names.
#[derive(Clone, Debug)]
pub(crate) struct Following(Arc<dyn Vfs>);

impl Following {
    pub(crate) fn over(vfs: Arc<dyn Vfs>) -> Self {
        Self(vfs)
    }
}

impl Vfs for Following {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        match self.0.open(path, mode) {
            Err(error) if mode == OpenMode::Read && error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                self.0.open(&self.0.resolve(path)?, mode)
            }
            opened => opened,
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let own = self.0.metadata(path)?;
        if own.kind != FileKind::Other {
            return Ok(own);
        }
        match self.0.resolve(path).and_then(|real| self.0.metadata(&real)) {
            Ok(found) if found.kind == FileKind::File => Ok(found),
            // What the link leads to may not be read; that there is a file has to be told.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(own),
        }
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.resolve(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.0.read_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.0.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.0.is_locked(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.0.available_bytes(path)
    }
}
