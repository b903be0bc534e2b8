//! Completion of files that were read to their end.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::position::{Place, is_inside, tracker_line};
use super::settings::{Checked, Completed};
use crate::source::SourceError;
use crate::source::files::{HEAD_BYTES_MAX, Mark, is_gone, read_up_to};
use crate::vfs::{FileKind, Metadata, OpenMode, Vfs};

/// What became of one file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is renamed, removed or tracked.
    Completed,
    /// The same, but its time of modification changed since it was read.
    CompletedModified,
    /// There is nothing of that name.
    Gone,
    /// There is another file of that name.
    Replaced,
    /// It grew since it was read.
    Grown(Metadata),
    /// It shrank since it was read.
    Shrunk(Metadata),
    /// The mark of the completion of an earlier file of this name is in the way.
    Taken(PathBuf),
    /// It cannot be completed.
    Failed(io::Error),
}

/// When the completion takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Just after the file was read.
    Read,
    /// Later: the file may have been completed or taken away since, and the name may belong to a newer one.
    Later,
}

/// Completes files and makes that durable.
///
/// # Errors
/// `Fatal` if a directory cannot be synced: then it is not known what a power cut would bring back.
pub(super) fn complete_all(
    places: &[Place],
    when: When,
    settings: &Checked,
    vfs: &dyn Vfs,
) -> Result<Vec<Outcome>, SourceError> {
    let mut dirs = BTreeSet::new();
    let outcomes = places.iter().map(|place| complete(place, when, settings, vfs, &mut dirs)).collect();
    // ORDER: before the position stops naming these files. Otherwise a power cut could bring a file back that nothing
    // knows to be read. That holds for files found gone as well: an earlier run may have ended before this sync.
    for dir in dirs {
        match vfs.sync_dir(&dir) {
            Err(error) if !is_gone(&error) => {
                let text = format!("cannot sync directory {dir:?} after completing files in it: {error}");
                return Err(SourceError::fatal(io::Error::new(error.kind(), text)));
            }
            _ => {}
        }
    }
    Ok(outcomes)
}

fn complete(place: &Place, when: When, settings: &Checked, vfs: &dyn Vfs, dirs: &mut BTreeSet<PathBuf>) -> Outcome {
    if !is_inside(&place.rel) {
        return Outcome::Gone;
    }
    let path = settings.path(&place.rel);
    dirs.insert(path.parent().unwrap_or(&settings.dir).to_path_buf());
    let metadata = match vfs.metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if is_gone(&error) => return Outcome::Gone,
        Err(error) => return Outcome::Failed(error),
    };
    let mark = &place.mark;
    if metadata.kind != FileKind::File || !mark.is_of(&metadata) {
        return Outcome::Replaced;
    }
    if !mark.is_unchanged(&metadata) {
        // The inode number may have been used again, and the next file may have the same content. To read a file twice that was
        // only touched is better than to complete one that was never read.
        let may_be_same = metadata.len > mark.len || metadata.len == mark.len && mark.is_surely_of(&metadata);
        if when == When::Later && !(may_be_same && begins_with(mark, &path, vfs)) {
            return Outcome::Replaced;
        }
        if metadata.len > mark.len {
            return Outcome::Grown(metadata);
        }
        if metadata.len < mark.len {
            return Outcome::Shrunk(metadata);
        }
    }
    match mark_completed(place, &path, settings, vfs, dirs) {
        Ok(None) if mark.is_unchanged(&metadata) => Outcome::Completed,
        Ok(None) => Outcome::CompletedModified,
        Ok(Some(taken)) => Outcome::Taken(taken),
        Err(error) if error.kind() == io::ErrorKind::NotFound && vfs.metadata(&path).is_err() => Outcome::Gone,
        Err(error) => Outcome::Failed(error),
    }
}

/// Renames, removes or tracks; returns what is in the way of it, if anything.
fn mark_completed(
    place: &Place,
    path: &Path,
    settings: &Checked,
    vfs: &dyn Vfs,
    dirs: &mut BTreeSet<PathBuf>,
) -> io::Result<Option<PathBuf>> {
    match &settings.completed {
        Completed::Delete => vfs.remove_file(path)?,
        Completed::Rename { .. } => {
            let target = with_suffix(path, settings);
            match vfs.metadata(&target) {
                // A rename would silently replace it.
                Ok(_) => return Ok(Some(target)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => vfs.rename(path, &target)?,
                Err(error) => return Err(error),
            }
        }
        Completed::Tracker { .. } => {
            let tracker_dir = settings.tracker_dir.as_deref().unwrap_or(&settings.dir);
            let tracker = with_suffix(&tracker_dir.join(&place.rel), settings);
            create_dirs(tracker_dir, place.rel.parent().unwrap_or(Path::new("")), vfs, dirs)?;
            write_tracker(&tracker, &place.mark, vfs)?;
            dirs.insert(tracker.parent().unwrap_or(tracker_dir).to_path_buf());
        }
    }
    Ok(None)
}

/// The path of the completed file or of the tracker file.
pub(super) fn with_suffix(path: &Path, settings: &Checked) -> PathBuf {
    let mut target = path.as_os_str().to_owned();
    target.push(settings.suffix());
    target.into()
}

/// Creates the directory of the trackers and those below it; `dirs` are then to be synced.
pub(super) fn create_dirs(root: &Path, rel: &Path, vfs: &dyn Vfs, dirs: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let mut dir = root.to_path_buf();
    let mut parts = rel.components();
    loop {
        match vfs.create_dir(&dir) {
            Ok(()) => {
                dirs.insert(dir.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).into());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let Some(part) = parts.next() else { return Ok(()) };
        dir.push(part);
    }
}

/// Writes a tracker file. That it exists is what counts; its content serves only to notice that another file has taken the
/// name, so it is not synced.
fn write_tracker(tracker: &Path, mark: &Mark, vfs: &dyn Vfs) -> io::Result<()> {
    let file = match vfs.open(tracker, OpenMode::CreateNew) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => vfs.open(tracker, OpenMode::ReadWrite)?,
        opened => opened?,
    };
    file.set_len(0)?;
    file.write_all_at(&mut [IoSlice::new(tracker_line(mark).as_bytes())], 0).map_err(|(_, error)| error)
}

fn begins_with(mark: &Mark, path: &Path, vfs: &dyn Vfs) -> bool {
    let head = vfs.open(path, OpenMode::Read).and_then(|file| read_up_to(&*file, HEAD_BYTES_MAX));
    head.is_ok_and(|head| mark.begins_with(&head))
}
