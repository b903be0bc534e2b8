//! Notes of the kernel about directories, so that changes are seen at once. They are a hint: file systems on other machines
//! send none, and a full queue loses some. Whoever uses them looks from time to time all the same.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

use crate::limits::{WATCH_BYTES, WATCH_NOTES_MAX, WATCH_SLICE};
use crate::shutdown::Shutdown;

/// Directories that are watched, by the numbers that their owner gives them.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: OwnedFd,
    dirs: HashMap<i32, Vec<usize>>,
}

/// What has changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Notes were lost: anything may have changed.
    pub(crate) lost: bool,
    /// Directories in which names came or went.
    pub(crate) dirs: BTreeSet<usize>,
    /// Files that were written to, by directory and name.
    pub(crate) files: BTreeSet<(usize, OsString)>,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify, dirs: HashMap::new() })
    }

    /// Watches a directory, unless it is watched already. Where the system has no watches left, it is not watched.
    pub(crate) fn add(&mut self, number: usize, dir: &Path) {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        if let Ok(watch) = add_watch(&self.inotify, dir, flags) {
            let numbers = self.dirs.entry(watch).or_default();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }

    /// Waits until something changes, for `limit` at most, or until `stop` is requested. Returns whether something did.
    pub(crate) fn wait(&self, limit: Duration, stop: &Shutdown) -> io::Result<bool> {
        let mut left = limit;
        loop {
            let slice = left.min(WATCH_SLICE);
            left -= slice;
            match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], Timespec::try_from(slice).ok().as_ref()) {
                Ok(0) | Err(Errno::INTR) if left.is_zero() || stop.is_requested() => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What has changed since the last call. What comes while it looks may be left for the next one.
    pub(crate) fn changes(&mut self) -> io::Result<Changes> {
        let mut changes = Changes::default();
        let mut buf = [MaybeUninit::uninit(); WATCH_BYTES];
        let mut notes = Reader::new(&self.inotify, &mut buf);
        for _ in 0..WATCH_NOTES_MAX {
            let note = match notes.next() {
                Ok(note) => note,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let flags = note.events();
            changes.lost |= flags.contains(ReadFlags::QUEUE_OVERFLOW);
            let Some(dirs) = self.dirs.get(&note.wd()) else { continue };
            let name = note.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_os_string());
            match name {
                Some(name) if flags.contains(ReadFlags::MODIFY) => {
                    changes.files.extend(dirs.iter().map(|dir| (*dir, name.clone())));
                }
                _ => changes.dirs.extend(dirs),
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.dirs.remove(&note.wd());
            }
        }
        Ok(changes)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the tests change directories behind the watch's back
mod tests {
    use std::fs;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn changes_are_told_by_directory_and_name() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        let mut watch = Watch::new().unwrap();
        for (number, dir) in [(1, &one), (2, &two), (3, &one), (1, &one), (4, &dir.path().join("none"))] {
            watch.add(number, dir);
        }
        assert_eq!(watch.changes().unwrap().dirs, BTreeSet::new());

        fs::write(one.join("a"), "x").unwrap();
        assert!(watch.wait(PATIENCE, &Shutdown::new()).unwrap());
        let changes = watch.changes().unwrap();
        assert_eq!(changes.dirs, [1, 3].into(), "{changes:?}");
        assert_eq!(changes.files, [(1, "a".into()), (3, "a".into())].into(), "{changes:?}");
        assert!(!changes.lost);

        fs::rename(one.join("a"), two.join("b")).unwrap();
        let changes = watch.changes().unwrap();
        assert_eq!((changes.dirs, changes.files), ([1, 2, 3].into(), BTreeSet::new()));

        fs::remove_file(two.join("b")).unwrap();
        fs::remove_dir(&two).unwrap();
        assert_eq!(watch.changes().unwrap().dirs, [2].into());
        fs::create_dir(&two).unwrap();
        watch.add(2, &two);
        fs::write(two.join("c"), "").unwrap();
        assert_eq!(watch.changes().unwrap().dirs, [2].into());
    }

    #[test]
    fn lost_notes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new().unwrap();
        watch.add(0, dir.path());
        let max: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        fs::write(&one, "").unwrap();
        for _ in 0..=max / 4 {
            // Two notes each time.
            fs::rename(&one, &two).unwrap();
            fs::rename(&two, &one).unwrap();
        }
        let mut lost = false;
        loop {
            let changes = watch.changes().unwrap();
            lost |= changes.lost;
            if !changes.lost && changes.dirs.is_empty() {
                break;
            }
        }
        assert!(lost, "{max} notes are kept");
    }

    #[test]
    fn a_wait_ends_with_the_request_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new().unwrap();
        watch.add(0, dir.path());
        let stop = Shutdown::new();
        assert!(!watch.wait(Duration::ZERO, &stop).unwrap());
        stop.request();
        assert!(!watch.wait(PATIENCE * 60, &stop).unwrap());
    }
}
