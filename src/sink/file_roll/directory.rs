//! The directory of the sink: which files there are, and whose.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::{FileNaming, Names};
use super::position::{Place, Position};
use super::{FileRollError, Fsync};
use crate::sink::SinkError;
use crate::tell::tell;
use crate::vfs::{FileKind, OpenMode, Vfs, VfsFile};

/// The directory that holds the output.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) path: PathBuf,
    pub(super) names: Names,
    pub(super) fsync: Fsync,
    /// Whether this process has created the directory.
    pub(super) made: bool,
    /// Whether a committed position names the series.
    pub(super) claimed: bool,
}

impl Directory {
    /// Creates the directory if it is missing, and makes it and what a process that was killed did in it durable: a
    /// commit to come relies on it.
    pub(super) fn prepare(&mut self) -> Result<(), SinkError> {
        match self.vfs.metadata(&self.path) {
            Ok(found) if found.kind == FileKind::File => {
                let error = io::ErrorKind::NotADirectory.into();
                return Err(FileRollError::io("write files to", &self.path, error).into());
            }
            // A symbolic link may lead to a directory; if not, the next call says so.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.vfs
                    .create_dir(&self.path)
                    .map_err(|error| FileRollError::io("create the directory", &self.path, error))?;
                self.made = true;
            }
            Err(error) => return Err(FileRollError::io("look at the directory", &self.path, error).into()),
        }
        if self.fsync == Fsync::Never {
            return Ok(());
        }
        let parent = match self.path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return self.sync(),
        };
        match self.vfs.sync_dir(parent) {
            // A directory that an administrator made may lie in one that this process may not read.
            Err(error) if !self.made && error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(sync_error(parent, error)),
            Ok(()) => {}
        }
        self.sync()
    }

    /// Creates the file that follows `last`, or the first one of a series that begins `now`.
    ///
    /// A series belongs to the sink that created its first file, so that all files of the series are known to be this
    /// sink's, whoever else writes to the directory. A file of a series that no committed take names, has a
    /// name by which the sink knows it.
    pub(super) fn create(&self, last: Option<Place>, now: u64) -> Result<Created, FileRollError> {
        let mut place = match last {
            Some(last) => last.next(),
            None => self.unused_series(now)?,
        };
        loop {
            let in_progress = self.names.in_progress(place);
            let is_free =
                !self.exists(&self.names.of_series(place))? && (self.claimed || !self.exists(&in_progress)?);
            let name = if self.claimed { in_progress } else { self.names.unclaimed(&in_progress) };
            let path = self.path.join(&name);
            if is_free {
                match self.vfs.open(&path, OpenMode::CreateNew) {
                    // IMPORTANT: names of two sinks differ, so both can have created one. Who sees the other's goes away:
                    // the second does, because its own was there before it looked, and so was the first's.
                    Ok(_) if last.is_none() && self.is_shared(place.series, &name)? => {
                        self.vfs.remove_file(&path).map_err(|error| FileRollError::io("remove", &path, error))?;
                    }
                    Ok(file) => return Ok(Created { place, file, path }),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(FileRollError::io("create", &path, error)),
                }
            }
            place = if last.is_some() { place.next() } else { Place { series: place.series + 1, ..place } };
        }
    }

    /// Removes the files in progress that follow `last`, the file of the newest committed take: whatever is in them is
    /// in no committed take.
    pub(super) fn remove_strays(&self, last: Place) -> Result<(), FileRollError> {
        for name in self.list()? {
            if self.names.number_in_progress(&name, last.series).is_some_and(|number| number > last.number) {
                let path = self.path.join(name);
                self.vfs.remove_file(&path).map_err(|error| FileRollError::io("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// Removes the files of this sink that no committed take has named; not that of `kept`, the newest committed take.
    pub(super) fn remove_unclaimed(&self, kept: Option<&str>) -> Result<(), FileRollError> {
        let kept = kept.map(|in_progress| self.names.unclaimed(in_progress));
        for name in self.list()? {
            if name.starts_with(&self.names.owner) && kept.as_ref() != Some(&name) {
                let path = self.path.join(name);
                self.vfs.remove_file(&path).map_err(|error| FileRollError::io("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// Gives the files of this sink that no committed take is known to name the names of files in progress, and leaves them:
    /// where positions are lost with the process, they may have delivered events in them, which nobody delivers again.
    pub(super) fn leave_unclaimed(&self) -> Result<(), FileRollError> {
        for name in self.list()? {
            let Some(in_progress) = name.strip_prefix(&self.names.owner) else { continue };
            let from = self.path.join(&name);
            let mut to = self.path.join(in_progress);
            for taken in 1_u64.. {
                match self.vfs.rename_new(&from, &to) {
                    Ok(()) => break,
                    // IMPORTANT: not hidden, and so taken for what can be removed once something is committed.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        to = self.path.join(format!("{taken}.{in_progress}"));
                    }
                    Err(error) => return Err(FileRollError::io("give its name to", &from, error)),
                }
            }
            tell!(
                WARN,
                "file of an earlier run is left: how much of it was committed is not known",
                file = to.display()
            );
        }
        Ok(())
    }

    /// Gives a file that a committed take names the name that is in the position, unless it has it, or somebody has put a
    /// file there. Returns its path. A power cut may undo it: either name is found again.
    pub(super) fn claim(&self, in_progress: &str) -> Result<PathBuf, FileRollError> {
        let unclaimed = self.names.unclaimed(in_progress);
        let (from, to) = (self.path.join(&unclaimed), self.path.join(in_progress));
        if !self.exists(&unclaimed)? {
            return Ok(to);
        }
        match self.vfs.rename_new(&from, &to) {
            Ok(()) => Ok(to),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(from),
            Err(error) => Err(FileRollError::io("give its name to", &from, error)),
        }
    }

    /// Gives a file its final name, or, if someone has put a file there, the next free one. Returns its place.
    pub(super) fn rename(&self, from: &Path, at: &Position) -> Result<Place, SinkError> {
        let (mut to, mut taken) = (at.name.clone(), 0);
        // Another sink may give the same name to a file of its own at this moment.
        loop {
            match self.vfs.rename_new(from, &self.path.join(&to)) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    taken += 1;
                    to = self.names.finished(at.place, at.begun, taken);
                }
                Err(error) => return Err(FileRollError::io("give its final name to", from, error).into()),
            }
        }
        if self.fsync != Fsync::Never {
            self.sync()?;
        }
        Ok(match self.names.naming {
            FileNaming::Start => at.place.after(taken),
            FileNaming::Date => at.place,
        })
    }

    /// Makes the entries durable.
    pub(super) fn sync(&self) -> Result<(), SinkError> {
        self.vfs.sync_dir(&self.path).map_err(|error| sync_error(&self.path, error))
    }

    fn exists(&self, name: &str) -> Result<bool, FileRollError> {
        let path = self.path.join(name);
        match self.vfs.metadata(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FileRollError::io("look at", &path, error)),
        }
    }

    /// The first place of the first series from `now` on of which no file is there.
    fn unused_series(&self, now: u64) -> Result<Place, FileRollError> {
        let entries = self.list()?;
        let mut series = now;
        while entries.iter().any(|name| self.names.is_of_series(name, series)) {
            series += 1;
        }
        Ok(Place { series, number: 1 })
    }

    /// Whether there is another file of the series than `own`.
    fn is_shared(&self, series: u64, own: &str) -> Result<bool, FileRollError> {
        Ok(self.list()?.iter().any(|name| name != own && self.names.is_of_series(name, series)))
    }

    /// The names of the files, but for those that are not UTF-8: they are not of a sink.
    fn list(&self) -> Result<Vec<String>, FileRollError> {
        let entries = self.vfs.read_dir(&self.path).map_err(|error| FileRollError::io("list", &self.path, error))?;
        Ok(entries.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }
}

/// A file that was created.
pub(super) struct Created {
    pub(super) place: Place,
    pub(super) file: Arc<dyn VfsFile>,
    pub(super) path: PathBuf,
}

impl Place {
    fn next(self) -> Self {
        self.after(1)
    }

    /// So many files later.
    pub(super) fn after(self, files: u64) -> Self {
        Self { number: self.number.saturating_add(files), ..self }
    }
}

/// A directory that cannot be synced must not be tried again: the next call may say `Ok` although the entries are lost.
/// Only a missing permission says that nothing was tried.
fn sync_error(path: &Path, error: io::Error) -> SinkError {
    let passes = error.kind() == io::ErrorKind::PermissionDenied;
    let error = FileRollError::io("sync the directory", path, error);
    if passes { SinkError::retry(error) } else { SinkError::fatal(error) }
}
