//! Looking at the directories and files: which are there, which have changed, which are gone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::file::{Presence, Tracked};
use super::position::Place;
use super::report::TailProblem;
use super::run::{Reporter, Run};
use crate::limits::{TAIL_FILES_MAX, TAIL_GONE};
use crate::source::files::{Changes, Mark, is_gone};
use crate::vfs::{FileId, FileKind, Metadata, OpenMode};

/// What is known of the directory of a group.
#[derive(Debug, Default)]
pub(super) struct Listing {
    // Names that the group matches.
    names: Vec<OsString>,
    // Times of the directory's last change and of the listing. While nothing has changed since, it holds.
    modified: Option<SystemTime>,
    listed: Option<SystemTime>,
}

/// Places of files that were not found yet, by inode.
#[derive(Debug, Default)]
pub(super) struct Restored {
    places: HashMap<u64, Vec<(u64, Place, Origin)>>,
    /// When they were restored.
    pub(super) began: Duration,
}

/// Where a place comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A position of this source.
    Position,
    /// The position file of an earlier collector, which knows neither device nor content.
    PositionFile,
}

impl Restored {
    pub(super) fn add(&mut self, number: u64, place: Place, is_own: bool) {
        let origin = if is_own { Origin::Position } else { Origin::PositionFile };
        self.places.entry(place.mark.id.inode).or_default().push((number, place, origin));
    }

    fn take_if(&mut self, inode: u64, mut is_it: impl FnMut(&Place, Origin) -> bool) -> Option<(u64, Place, Origin)> {
        let places = self.places.get_mut(&inode)?;
        let at = places.iter().position(|(_, place, origin)| is_it(place, *origin))?;
        let found = places.swap_remove(at);
        if places.is_empty() {
            self.places.remove(&inode);
        }
        Some(found)
    }
}

impl Run {
    pub(super) fn look_at_all(&mut self, now: Duration, reporter: &mut Reporter) {
        // ORDER: before the look, so that nothing is missed between the two.
        self.watch_all();
        self.stale.clear();
        let all = (0..self.settings.groups.len()).collect();
        let listed = self.look(&all, now, reporter);
        self.tidy(now, reporter);
        self.settle_restored(&listed, now);
        self.next_look = now.saturating_add(self.settings.given.poll_interval);
    }

    /// Looks at what the kernel says has changed.
    pub(super) fn look_at_changes(&mut self, changes: Changes, now: Duration, reporter: &mut Reporter) {
        if changes.lost {
            return self.look_at_all(now, reporter);
        }
        let mut dirs = changes.dirs;
        let has_moved = self.files.values().any(|file| file.presence == Presence::Moved);
        for (dir, name) in changes.files {
            let Some(group) = self.settings.groups.get(dir) else { continue };
            let is_wanted = group.wants(&name);
            if dirs.contains(&dir) || !(has_moved || is_wanted) {
                continue;
            }
            let known = self.vfs.metadata(&group.dir.join(&name)).ok().and_then(|metadata| {
                let number = self.by_id.get(&metadata.id)?;
                Some((*number, metadata))
            });
            match known {
                Some((number, metadata)) => self.note(number, &metadata, now),
                None if is_wanted => drop(dirs.insert(dir)),
                None => {}
            }
        }
        if !dirs.is_empty() {
            self.look(&dirs, now, reporter);
        }
    }

    /// Looks at the directories of these groups. Returns the groups whose directories could be listed.
    pub(super) fn look(&mut self, groups: &BTreeSet<usize>, now: Duration, reporter: &mut Reporter) -> BTreeSet<usize> {
        self.looks += 1;
        let mut listed = BTreeSet::new();
        let mut changed = Vec::new();
        let dirs: Vec<PathBuf> = self.settings.groups.iter().map(|group| group.dir.clone()).collect();
        let wanted: HashSet<&Path> = groups.iter().filter_map(|group| dirs.get(*group).map(PathBuf::as_path)).collect();
        // With all groups of a directory: a file that several match belongs to the first, whichever this look is for.
        for (group, dir) in dirs.iter().enumerate().filter(|(_, dir)| wanted.contains(dir.as_path())) {
            match self.list(group, dir) {
                Ok(()) => drop(listed.insert(group)),
                Err(error) => {
                    reporter.report(dir.clone(), None, TailProblem::Unlistable(error), &self.counters);
                    continue;
                }
            }
            let Some(listing) = self.listings.get_mut(group) else { continue };
            let names = std::mem::take(&mut listing.names);
            for name in &names {
                self.look_at_name(group, dir.join(name), now, &mut changed, reporter);
            }
            if let Some(listing) = self.listings.get_mut(group) {
                listing.names = names;
            }
        }
        self.look_for_missing(&listed, now);
        // Group by group, and the oldest first, as in Flume.
        changed.sort_unstable();
        for (_, _, number) in changed {
            self.enqueue(number);
        }
        listed
    }

    /// Lists a directory, unless it has not changed since the last time.
    fn list(&mut self, group: usize, dir: &Path) -> io::Result<()> {
        let (Some(listing), Some(group)) = (self.listings.get_mut(group), self.settings.groups.get(group)) else {
            return Ok(());
        };
        // Before the listing: a change between the two is seen the next time.
        let modified = match self.vfs.metadata(dir)? {
            found if found.kind == FileKind::Directory && self.settings.given.cache_listing => Some(found.modified),
            // The time of a symbolic link says nothing of where it leads.
            _ => None,
        };
        let is_long_ago = |modified: SystemTime, listed: SystemTime| {
            // File systems count time in steps of up to two seconds.
            listed.duration_since(modified).is_ok_and(|since| since >= TIME_STEP)
        };
        if let (Some(modified), Some(listed)) = (modified, listing.listed)
            && listing.modified == Some(modified)
            && is_long_ago(modified, listed)
        {
            return Ok(());
        }
        let listed = self.clock.wall();
        let mut names = self.vfs.read_dir(dir)?;
        names.retain(|name| group.wants(name));
        names.sort();
        *listing = Listing { names, modified, listed: Some(listed) };
        Ok(())
    }

    fn look_at_name(
        &mut self,
        group: usize,
        path: PathBuf,
        now: Duration,
        changed: &mut Vec<(usize, SystemTime, u64)>,
        reporter: &mut Reporter,
    ) {
        let metadata = match self.vfs.metadata(&path) {
            Ok(metadata) if metadata.kind == FileKind::File => metadata,
            Ok(_) => return,
            Err(error) if is_gone(&error) => {
                if let Some(listing) = self.listings.get_mut(group) {
                    listing.modified = None;
                }
                return;
            }
            Err(error) => return reporter.report(path, None, TailProblem::Unreadable(error), &self.counters),
        };
        let number = match self.by_id.get(&metadata.id).copied() {
            Some(number) => number,
            None => match self.track(group, &path, &metadata, now, reporter) {
                Some(number) => number,
                None => return,
            },
        };
        let looks = self.looks;
        let Some(file) = self.files.get_mut(&number) else { return };
        if std::mem::replace(&mut file.seen, looks) == looks {
            // A second name of the same file.
            return;
        }
        file.presence = Presence::Listed;
        file.dir = group;
        if file.path != path {
            file.path = path;
            // Nothing says that it is the file that had the other name.
            if file.place.offset == 0 {
                file.renew(&self.settings);
            }
        }
        if self.has_changed(number, &metadata, now) {
            changed.push((group, metadata.modified, number));
        }
    }

    /// Begins to follow a file.
    fn track(
        &mut self,
        group: usize,
        path: &Path,
        metadata: &Metadata,
        now: Duration,
        reporter: &mut Reporter,
    ) -> Option<u64> {
        if self.files.len() >= TAIL_FILES_MAX {
            let problem = TailProblem::TooMany { max: TAIL_FILES_MAX };
            reporter.report(path.to_path_buf(), Some(metadata.id), problem, &self.counters);
            return None;
        }
        let (number, mut place, has_position) = if let Some((number, place, origin)) = self.restored_of(path, metadata)
        {
            (number, place, origin == Origin::Position)
        } else {
            let number = self.next_number;
            self.next_number += 1;
            if self.skips_new {
                self.skipped.insert(metadata.id, metadata.len);
            }
            // Only what was there at the start is passed over.
            let skipped = if self.looks <= 1 { self.skipped.get(&metadata.id).copied() } else { None };
            let mark = Mark::new(metadata, &[]);
            let offset = skipped.unwrap_or(0).min(metadata.len);
            (number, Place { mark, end_len: 0, end_crc: 0, offset, continues: false, name: path.into() }, false)
        };
        // Content that was read before is looked at again, unless nothing has changed since.
        let is_unchanged = has_position && place.mark.is_unchanged(metadata);
        let is_to_be_read = metadata.len != place.offset || (place.offset > 0 && !is_unchanged);
        place.mark = place.mark.updated(metadata);
        match Tracked::new(place, group, path.into(), &self.settings) {
            Ok(file) => {
                let behind = self.dir_behind(path);
                let file = Tracked { has_position, changed: now, is_troubled: is_to_be_read, behind, ..file };
                self.by_id.insert(metadata.id, number);
                self.files.insert(number, file);
                Some(number)
            }
            Err(error) => {
                reporter.report(path.into(), Some(metadata.id), TailProblem::Unreadable(error), &self.counters);
                None
            }
        }
    }

    /// The place of a file that was read in an earlier life.
    fn restored_of(&mut self, path: &Path, metadata: &Metadata) -> Option<(u64, Place, Origin)> {
        let inode = metadata.id.inode;
        self.restored.places.get(&inode)?;
        let by_id = self.restored.take_if(inode, |place, origin| match origin {
            Origin::Position => place.mark.id == metadata.id,
            Origin::PositionFile => place.name == path,
        });
        if by_id.is_some() {
            return by_id;
        }
        // The number of a device may change when the machine starts; then the content has to tell.
        let file = self.vfs.open(path, OpenMode::Read).ok()?;
        let is_it = |place: &Place| place.offset > 0 && place.is_of(&*file).unwrap_or(false);
        self.restored.take_if(inode, |place, origin| origin == Origin::Position && is_it(place))
    }

    /// Whether a file that was found is to be read: it has changed, or could not be read before.
    fn has_changed(&mut self, number: u64, metadata: &Metadata, now: Duration) -> bool {
        let Some(file) = self.files.get_mut(&number) else { return false };
        let is_same = file.place.mark.is_unchanged(metadata);
        if !is_same {
            file.place.mark = file.place.mark.updated(metadata);
            file.changed = now;
            file.is_ending = false;
            file.is_unreadable = false;
        }
        !is_same || file.is_troubled
    }

    fn note(&mut self, number: u64, metadata: &Metadata, now: Duration) {
        if self.has_changed(number, metadata, now) {
            self.enqueue(number);
        }
    }

    /// Looks for the files that were not found under a name of their group: they may have been rotated away, with lines in
    /// them that are not read, or be removed.
    fn look_for_missing(&mut self, listed: &BTreeSet<usize>, now: Duration) {
        let mut missing = HashMap::new();
        for (number, file) in &self.files {
            if listed.contains(&file.dir) && file.seen != self.looks {
                missing.insert(file.place.mark.id, *number);
            }
        }
        if missing.is_empty() {
            return;
        }
        self.find_moved(listed, &mut missing, now);
        for number in missing.into_values() {
            let is_hidden = self.files.get(&number).is_some_and(|file| self.is_out_of_sight(&file.path));
            let Some(file) = self.files.get_mut(&number) else { continue };
            file.is_unreadable |= is_hidden;
            file.presence = match file.presence {
                presence if is_hidden => presence,
                Presence::Missing { since, looks } => Presence::Missing { since, looks: looks.saturating_add(1) },
                _ => Presence::Missing { since: now, looks: 1 },
            };
            if let Some(Ok(metadata)) = file.open.as_ref().map(super::file::OpenFile::metadata) {
                self.note(number, &metadata, now);
            }
        }
    }

    /// Finds files under other names and takes them out of `missing`.
    fn find_moved(&mut self, listed: &BTreeSet<usize>, missing: &mut HashMap<FileId, u64>, now: Duration) {
        // Where it was found the last time, first.
        let known: Vec<u64> = missing.values().copied().collect();
        for number in known {
            let Some(file) = self.files.get(&number).filter(|file| file.presence == Presence::Moved) else { continue };
            let (path, dir) = (file.path.clone(), file.dir);
            self.found_moved(&path, dir, missing, now);
        }
        let is_sought = |file: &Tracked| match file.presence {
            Presence::Missing { since, looks } => looks < LOOKS_MIN || now.saturating_sub(since) < TAIL_GONE,
            _ => true,
        };
        let dirs: BTreeSet<usize> = missing
            .values()
            .filter_map(|number| self.files.get(number).filter(|file| is_sought(file)).map(|file| file.dir))
            .collect();
        let mut places: BTreeSet<(PathBuf, usize)> = BTreeSet::new();
        for dir in dirs.intersection(listed) {
            places.extend(self.settings.groups.get(*dir).map(|group| (group.dir.clone(), *dir)));
        }
        let sought = missing.values().filter_map(|number| self.files.get(number)).filter(|file| is_sought(file));
        // Of a link that was removed nothing more is wanted.
        let has_link = |file: &&Tracked| !self.vfs.metadata(&file.place.name).is_err_and(|error| is_gone(&error));
        let behind = sought.filter(|file| file.behind.is_some()).filter(has_link);
        places.extend(behind.filter_map(|file| Some((file.behind.clone()?, file.dir))));
        for (path, dir) in places {
            // If it cannot be listed now, they are looked for again.
            let names = self.vfs.read_dir(&path).unwrap_or_default();
            for name in names {
                if missing.is_empty() {
                    return;
                }
                self.found_moved(&path.join(name), dir, missing, now);
            }
        }
    }

    /// The directory of the file that a symbolic link leads to: there it is rotated.
    fn dir_behind(&self, link: &Path) -> Option<PathBuf> {
        if self.settings.given.follow_links { self.vfs.dir_behind(link).ok() } else { None }
    }

    /// Whether there is a symbolic link of this name whose file cannot be seen now. It may be back when the disk is.
    fn is_out_of_sight(&self, link: &Path) -> bool {
        self.settings.given.follow_links && self.vfs.metadata(link).is_err_and(|error| !is_gone(&error))
    }

    fn found_moved(&mut self, path: &Path, dir: usize, missing: &mut HashMap<FileId, u64>, now: Duration) {
        let Ok(metadata) = self.vfs.metadata(path) else { return };
        let Some(number) = missing.get(&metadata.id).copied() else { return };
        let Some(file) = self.files.get_mut(&number).filter(|file| file.place.mark.is_of(&metadata)) else { return };
        missing.remove(&metadata.id);
        if file.presence != Presence::Moved {
            // It has to be opened again under its new name.
            file.is_troubled |= file.open.is_none() && file.unread_bytes() > 0;
        }
        file.presence = Presence::Moved;
        file.path = path.to_path_buf();
        file.dir = dir;
        self.note(number, &metadata, now);
    }

    /// Ends, closes and forgets what has been still for long enough.
    fn tidy(&mut self, now: Duration, reporter: &mut Reporter) {
        let idle = self.settings.given.idle_timeout;
        let (mut ending, mut closing, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (number, file) in &self.files {
            if file.is_queued || self.is_busy(*number) {
                continue;
            }
            let is_idle = now.saturating_sub(file.changed) >= idle;
            let is_unread = file.unread_bytes() > 0;
            match file.presence {
                Presence::Missing { since, looks } => {
                    let is_gone = looks >= LOOKS_MIN && now.saturating_sub(since) >= TAIL_GONE;
                    match file.open {
                        None if is_gone => gone.push(*number),
                        Some(_) if is_idle && is_unread => ending.push(*number),
                        Some(_) if is_idle && is_gone => gone.push(*number),
                        _ => {}
                    }
                }
                _ if !is_idle || file.is_troubled => {}
                _ if is_unread => ending.push(*number),
                _ if file.open.is_some() => closing.push(*number),
                _ => {}
            }
        }
        for number in ending {
            if let Some(file) = self.files.get_mut(&number) {
                file.is_ending = true;
            }
            self.enqueue(number);
        }
        closing.into_iter().for_each(|number| self.close_file(number));
        gone.into_iter().for_each(|number| self.forget(number, reporter));
    }

    /// Looks for the files of places that were not found at the start, and clears the positions of those that are gone.
    fn settle_restored(&mut self, listed: &BTreeSet<usize>, now: Duration) {
        if self.restored.places.is_empty() {
            return;
        }
        let places = self.restored.places.values().flatten();
        let mut dirs: BTreeSet<(PathBuf, usize)> = BTreeSet::new();
        for (_, place, _) in places {
            let group = self.settings.group_of_dir(&place.name).filter(|group| listed.contains(group));
            let (Some(group), Some(dir)) = (group, place.name.parent()) else { continue };
            dirs.insert((dir.to_path_buf(), group));
            dirs.extend(self.dir_behind(&place.name).map(|dir| (dir, group)));
        }
        for (dir, group) in dirs {
            // If it cannot be listed now, they are looked for again.
            for name in self.vfs.read_dir(&dir).unwrap_or_default() {
                self.restore_moved(group, &dir.join(name), now);
            }
        }
        // A file that was being renamed may have been missed.
        if self.looks < u64::from(LOOKS_MIN) || now.saturating_sub(self.restored.began) < TAIL_GONE {
            return;
        }
        let mut restored = std::mem::take(&mut self.restored);
        let is_kept = |place: &Place| {
            let group = self.settings.group_of_dir(&place.name);
            group.is_some_and(|group| !listed.contains(&group) || self.is_out_of_sight(&place.name))
        };
        let mut gone = BTreeSet::new();
        for places in restored.places.values_mut() {
            let cleared = places.extract_if(.., |(_, place, _)| !is_kept(place));
            gone.extend(cleared.filter(|(_, _, origin)| *origin == Origin::Position).map(|(number, _, _)| number));
        }
        restored.places.retain(|_, places| !places.is_empty());
        self.restored = restored;
        self.unsaved.extend(gone);
    }

    /// Goes on with a file that was rotated away while nobody followed it.
    fn restore_moved(&mut self, group: usize, path: &Path, now: Duration) {
        let Ok(metadata) = self.vfs.metadata(path) else { return };
        let is_sought = self.restored.places.contains_key(&metadata.id.inode);
        if !is_sought || metadata.kind != FileKind::File || self.by_id.contains_key(&metadata.id) {
            return;
        }
        let Ok(file) = self.vfs.open(path, OpenMode::Read) else { return };
        let mut restored = std::mem::take(&mut self.restored);
        let is_it = |place: &Place, origin: Origin| {
            let is_same_dir = place.name.parent() == path.parent()
                || self.dir_behind(&place.name).is_some_and(|dir| Some(&*dir) == path.parent());
            let is_it = || place.mark.is_of(&metadata) && place.is_of(&*file).unwrap_or(false);
            origin == Origin::Position && is_same_dir && place.offset > 0 && is_it()
        };
        let found = restored.take_if(metadata.id.inode, is_it);
        self.restored = restored;
        let Some((number, place, _)) = found else { return };
        let place = Place { mark: place.mark.updated(&metadata), ..place };
        if let Ok(file) = Tracked::new(place, group, path.into(), &self.settings) {
            let seen = self.looks;
            let file = Tracked { has_position: true, changed: now, presence: Presence::Moved, seen, ..file };
            self.by_id.insert(metadata.id, number);
            self.files.insert(number, file);
            self.enqueue(number);
        }
    }
}

/// Looks in which a file must be missing before it counts as gone: one may have come while it was being renamed.
const LOOKS_MIN: u32 = 3;
const TIME_STEP: Duration = Duration::from_secs(2);
