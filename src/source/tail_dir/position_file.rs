//! Flume's position file: read once to take over where an earlier collector stopped, and written for tools that look at it.
//! The source itself goes by its committed positions.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Presence, Tracked};
use super::position::Place;
use super::position_json::{Entry, parse, render};
use super::settings::Settings;
use crate::limits::TAIL_POSITION_FILE_BYTES_MAX;
use crate::source::SourceError;
use crate::source::files::{Mark, read_up_to};
use crate::vfs::{FileId, OpenMode, Vfs};

/// The position file, if there is to be one.
#[derive(Debug)]
pub(super) struct PositionFile {
    pub(super) path: PathBuf,
    /// When it is to be written next.
    pub(super) due: Duration,
    /// The places in memory are the committed ones.
    pub(super) is_current: bool,
    interval: Option<Duration>,
    written: Option<Vec<u8>>,
}

impl PositionFile {
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let (path, interval) = (settings.position_file.clone()?, settings.write_position_file);
        Some(Self { path, due: Duration::ZERO, is_current: true, interval, written: None })
    }

    /// The places that the file names. There is none if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read: to go on without it would repeat everything.
    pub(super) fn take_over(&self, vfs: &dyn Vfs) -> Result<Vec<Place>, SourceError> {
        let cannot = |error: io::Error| {
            let text = format!("cannot read position file {:?}: {error}", self.path);
            SourceError::retry(io::Error::new(error.kind(), text))
        };
        let file = match vfs.open(&self.path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        let len = usize::try_from(file.metadata().map_err(cannot)?.len).unwrap_or(usize::MAX);
        let wrong = |what: String| {
            let text = format!(
                "position file {:?} {what}; mend it, or move it away to read all from the beginning",
                self.path
            );
            SourceError::fatal(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        if len > TAIL_POSITION_FILE_BYTES_MAX {
            return Err(wrong(format!("has {len} bytes, more than {TAIL_POSITION_FILE_BYTES_MAX}")));
        }
        let text = read_up_to(&*file, len).map_err(cannot)?;
        let entries = parse(&text).map_err(|error| wrong(format!("is not what Flume writes: {error}")))?;
        Ok(entries.into_iter().map(place).collect())
    }

    /// Writes it if it is due and says something new.
    pub(super) fn write_if_due(
        &mut self,
        now: Duration,
        files: &BTreeMap<u64, Tracked>,
        vfs: &dyn Vfs,
    ) -> io::Result<()> {
        let Some(interval) = self.interval.filter(|_| self.is_current && now >= self.due) else { return Ok(()) };
        self.due = now.saturating_add(interval);
        let listed = files.values().filter(|file| file.presence == Presence::Listed);
        let mut entries: Vec<Entry> = listed.map(entry).collect();
        entries.sort_by(|a, b| a.file.cmp(&b.file));
        let text = render(&entries);
        if self.written.as_ref() != Some(&text) {
            replace(&self.path, &text, vfs)?;
            self.written = Some(text);
        }
        Ok(())
    }
}

/// Whoever reads the file finds the old content or the new one.
fn replace(path: &Path, text: &[u8], vfs: &dyn Vfs) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".tmp");
    let new = PathBuf::from(new);
    match vfs.remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = match vfs.open(&new, OpenMode::CreateNew) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_dirs_of(&new, vfs)?;
            vfs.open(&new, OpenMode::CreateNew)?
        }
        opened => opened?,
    };
    file.write_all_at(&mut [IoSlice::new(text)], 0).map_err(|(_, error)| error)?;
    vfs.rename(&new, path)
}

/// Creates the directory of a file and those above it, as Flume does: that of the default is not there on a new machine.
fn create_dirs_of(path: &Path, vfs: &dyn Vfs) -> io::Result<()> {
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && vfs.metadata(dir).is_err();
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(is_missing).collect();
    for dir in missing.into_iter().rev() {
        match vfs.create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn place(entry: Entry) -> Place {
    let id = FileId { device: 0, inode: entry.inode };
    let mark = Mark { id, len: entry.pos, modified: 0, created: 0, head_len: 0, head_crc: 0 };
    Place { mark, end_len: 0, end_crc: 0, offset: entry.pos, continues: false, name: entry.file.into() }
}

fn entry(file: &Tracked) -> Entry {
    let file_name = file.path.to_string_lossy().into_owned();
    Entry { inode: file.place.mark.id.inode, pos: file.place.offset, file: file_name }
}
