//! A file system on which files may be read through symbolic links.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FileKind, Metadata, OpenMode, Vfs, VfsFile, VfsLock};

/// Another [`Vfs`] on which a symbolic link to a regular file is taken for that file, to look at it and to read it. Renaming
/// and removing change the link. A link to a directory stays [`FileKind::Other`]: through it there would be no end of names.
///
/// It is the operating system that follows, in the one call, so that it can refuse to (`fs.protected_symlinks`).
#[derive(Clone, Debug)]
pub(crate) struct Following(Arc<dyn Vfs>);

impl Following {
    pub(crate) fn over(vfs: Arc<dyn Vfs>) -> Self {
        Self(vfs)
    }
}

impl Vfs for Following {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if mode == OpenMode::Read { self.0.open_followed(path) } else { self.0.open(path, mode) }
    }

    /// A link whose file cannot be seen is an error that does not say `NotFound`: a name that is there must not count as gone
    /// for the time in which a disk is away or a file is being rotated.
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.0.follow(path) {
            Ok(found) if found.kind == FileKind::Directory => self.0.metadata(path),
            Ok(found) => Ok(found),
            Err(error) => match self.0.metadata(path)? {
                own if own.kind == FileKind::Other => {
                    Err(io::Error::other(format!("symbolic link to what cannot be seen: {error}")))
                }
                own => Ok(own),
            },
        }
    }

    fn follow(&self, path: &Path) -> io::Result<Metadata> {
        self.0.follow(path)
    }

    fn open_followed(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.0.open_followed(path)
    }

    fn dir_behind(&self, link: &Path) -> io::Result<PathBuf> {
        self.0.dir_behind(link)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.0.read_dir(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.absolute(path)
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
