//! The listing of the spool directory, in steps of bounded work.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::complete::with_suffix;
use super::position::parse_tracker;
use super::report::SpoolProblem;
use super::settings::{Checked, Completed, ConsumeOrder};
use crate::limits::{SPOOL_CANDIDATES_MAX, SPOOL_DEPTH_MAX, SPOOL_ENTRIES_PER_POLL, SPOOL_TRACKED_MAX};
use crate::source::files::{HEAD_BYTES_MAX, Mark, is_gone, read_up_to};
use crate::vfs::{FileId, FileKind, Metadata, OpenMode, Vfs};

/// A file that could be read.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) rel: PathBuf,
    pub(super) metadata: Metadata,
}

/// A listing in progress.
#[derive(Debug, Default)]
pub(super) struct Scan {
    // Directories to list, below the spool directory.
    dirs: Vec<PathBuf>,
    here: PathBuf,
    names: Vec<OsString>,
    // What is completed in `here`: the names of completed files or of trackers.
    completed: HashSet<OsString>,
    /// Files to read.
    pub(super) found: Vec<Candidate>,
    /// What is to be reported.
    pub(super) problems: Vec<(PathBuf, Option<FileId>, SpoolProblem)>,
    began: bool,
}

/// Files that a tracker says are completed, as they were when that was last checked.
pub(super) type Tracked = HashMap<PathBuf, Mark>;

impl Scan {
    /// Goes on with the listing; returns whether it is complete.
    ///
    /// # Errors
    /// If the spool directory itself cannot be listed.
    pub(super) fn step(&mut self, settings: &Checked, known: &mut Tracked, vfs: &dyn Vfs) -> io::Result<bool> {
        if !self.began {
            self.began = true;
            self.enter(PathBuf::new(), settings, vfs)?;
        }
        for _ in 0..SPOOL_ENTRIES_PER_POLL {
            if let Some(name) = self.names.pop() {
                self.look_at(&name, settings, known, vfs);
                continue;
            }
            let Some(dir) = self.dirs.pop() else {
                self.keep_first(settings.given.order, SPOOL_CANDIDATES_MAX);
                return Ok(true);
            };
            match self.enter(dir.clone(), settings, vfs) {
                Err(error) if !is_gone(&error) => self.problems.push((dir, None, SpoolProblem::Unlistable(error))),
                _ => {}
            }
        }
        Ok(false)
    }

    fn enter(&mut self, dir: PathBuf, settings: &Checked, vfs: &dyn Vfs) -> io::Result<()> {
        let path = settings.path(&dir);
        self.names = vfs.read_dir(&path)?;
        // The directory may have been exchanged for a symbolic link just before it was listed.
        if !dir.as_os_str().is_empty() && vfs.metadata(&path)?.kind != FileKind::Directory {
            self.names.clear();
        }
        self.completed.clear();
        match (&settings.completed, &settings.tracker_dir) {
            (Completed::Rename { .. }, _) => {
                let is_completed = |name: &&OsString| name.as_bytes().ends_with(settings.suffix().as_bytes());
                self.completed.extend(self.names.iter().filter(is_completed).cloned());
            }
            (_, Some(tracker_dir)) => match vfs.read_dir(&tracker_dir.join(&dir)) {
                Ok(names) => self.completed.extend(names),
                Err(error) if is_gone(&error) => {}
                // Without the trackers all files would look new.
                Err(error) => {
                    self.names.clear();
                    return Err(error);
                }
            },
            _ => {}
        }
        self.here = dir;
        Ok(())
    }

    fn look_at(&mut self, name: &OsString, settings: &Checked, known: &mut Tracked, vfs: &dyn Vfs) {
        let text = name.to_string_lossy();
        // As in Flume: what begins with a dot is somebody's unfinished or private business.
        let is_hidden = name.as_bytes().starts_with(b".");
        let is_file_wanted = !is_hidden && settings.wants(&text) && !self.is_completed_name(name, settings);
        if !is_file_wanted && !settings.given.recursive {
            return;
        }
        let rel = self.here.join(name);
        let metadata = match vfs.metadata(&settings.path(&rel)) {
            Ok(metadata) => metadata,
            Err(error) if is_gone(&error) => return,
            Err(error) => return self.problems.push((rel, None, SpoolProblem::Unreadable(error))),
        };
        match metadata.kind {
            FileKind::Directory if settings.given.recursive => {
                let is_skipped = is_hidden
                    || settings.ignores(&text)
                    || settings.tracker_dir.as_ref().is_some_and(|dir| *dir == settings.path(&rel));
                if !is_skipped && rel.components().count() <= SPOOL_DEPTH_MAX {
                    self.dirs.push(rel);
                }
            }
            FileKind::File if is_file_wanted => self.look_at_file(rel, name, metadata, settings, known, vfs),
            _ => {}
        }
    }

    fn look_at_file(
        &mut self,
        rel: PathBuf,
        name: &OsString,
        metadata: Metadata,
        settings: &Checked,
        known: &mut Tracked,
        vfs: &dyn Vfs,
    ) {
        let mut completed_name = name.clone();
        completed_name.push(settings.suffix());
        if !self.completed.contains(&completed_name) {
            self.found.push(Candidate { rel, metadata });
            if self.found.len() >= 2 * SPOOL_CANDIDATES_MAX {
                self.keep_first(settings.given.order, SPOOL_CANDIDATES_MAX);
            }
            return;
        }
        let completed = match &settings.tracker_dir {
            None => with_suffix(&settings.path(&rel), settings),
            Some(dir) => {
                let tracker = with_suffix(&dir.join(&rel), settings);
                if is_tracked(&rel, &metadata, &tracker, settings, known, vfs) {
                    return;
                }
                tracker
            }
        };
        self.problems.push((rel, Some(metadata.id), SpoolProblem::NameReused { completed }));
    }

    fn is_completed_name(&self, name: &OsString, settings: &Checked) -> bool {
        matches!(settings.completed, Completed::Rename { .. }) && self.completed.contains(name)
    }

    /// Keeps those that come first in the order, sorted from the last to the first.
    fn keep_first(&mut self, order: ConsumeOrder, max: usize) {
        match order {
            ConsumeOrder::Random => shuffle(&mut self.found),
            _ => self.found.sort_unstable_by(|a, b| compare(order, a, b).reverse()),
        }
        if self.found.len() > max {
            self.found.drain(..self.found.len() - max);
        }
    }
}

/// Whether the tracker was written for this file. If it is not ours, its existence is all that counts.
fn is_tracked(
    rel: &Path,
    metadata: &Metadata,
    tracker: &Path,
    settings: &Checked,
    known: &mut Tracked,
    vfs: &dyn Vfs,
) -> bool {
    if let Some(mark) = known.get(rel)
        && mark.is_unchanged(metadata)
    {
        return true;
    }
    let head_of = |path: &Path| vfs.open(path, OpenMode::Read).and_then(|file| read_up_to(&*file, HEAD_BYTES_MAX));
    // What cannot be read now is looked at again at the next listing; until then the tracker is believed.
    let Ok(text) = head_of(tracker) else { return true };
    let is_same = match parse_tracker(&text) {
        Some(mark) if !mark.is_unchanged(metadata) => {
            let Ok(head) = head_of(&settings.path(rel)) else { return true };
            // What follows the head may differ: another file is not taken for this one because it begins like it. Where nothing
            // does, the inode does not matter; it is another one in a directory that comes from a backup.
            let is_whole = u64::from(mark.head_len) == mark.len;
            mark.len == metadata.len && (is_whole || mark.is_of(metadata)) && mark.begins_with(&head)
        }
        _ => true,
    };
    if is_same {
        if known.len() >= SPOOL_TRACKED_MAX {
            known.clear();
        }
        known.insert(rel.to_path_buf(), Mark::new(metadata, &[]));
    }
    is_same
}

fn compare(order: ConsumeOrder, a: &Candidate, b: &Candidate) -> Ordering {
    // In milliseconds, as Flume: files that were dropped together come by name.
    let by_time = millis(a).cmp(&millis(b));
    let by_time = if order == ConsumeOrder::Youngest { by_time.reverse() } else { by_time };
    by_time.then_with(|| a.rel.file_name().cmp(&b.rel.file_name())).then_with(|| a.rel.cmp(&b.rel))
}

fn millis(candidate: &Candidate) -> i128 {
    match candidate.metadata.modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_millis()).unwrap_or(i128::MAX),
        Err(before) => i128::try_from(before.duration().as_millis()).map_or(i128::MIN, |millis| -millis),
    }
}

fn shuffle(found: &mut [Candidate]) {
    let random = RandomState::new();
    for end in (1..found.len()).rev() {
        let place = random.hash_one(end) % (end as u64 + 1);
        found.swap(end, usize::try_from(place).unwrap_or_default());
    }
}
