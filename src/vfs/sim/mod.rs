//! A file system in memory that crashes on command (feature `testing`).
//!
//! [`SimVfs`] implements [`Vfs`], so the code under test runs on it unchanged. It keeps apart what the running system
//! sees and what the disk holds: changes become durable only by `sync_data` (bytes and length of a file) and `sync_dir`
//! (entries of a directory). [`SimVfs::crash`] yields a new file system with what a crash at this moment may leave, for
//! any choice of what survives. [`SimVfs::inject`] makes operations fail, [`SimVfs::set_space`] and
//! [`SimVfs::set_handles`] run out of resources, and a set of methods damages files behind the back of the system.
//!
//! # What is modelled
//!
//! - A write is torn at sectors; a lost sector has its old bytes, zeros in an extended area, or (in
//!   [`CrashMode::Garbage`]) garbage. Bytes outside a written range never change.
//! - The length of a file changes independently of its bytes.
//! - Entries of directories survive as a prefix ([`CrashMode::Journaled`]) or as any subset; a rename is atomic. A file
//!   whose entry was not made durable vanishes, however well its bytes were synced.
//! - A sync that fails drops the changes: the running system still reads them, the disk never gets them, and the next
//!   sync succeeds.
//! - Space is counted in blocks of 4 KiB; overwriting takes none, a removed file gives its blocks back when the last
//!   handle closes.
//!
//! Not modelled: symbolic links, hard links, permissions, removal of directories, disks that drop what they
//! acknowledged. Inode numbers of removed files are reused soon. [`VfsFile::map`] yields a copy.

mod change;
mod choice;
mod content;
mod crash;
mod fault;
mod file;
mod gate;
mod rng;
mod state;
mod tamper;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;

use super::{FileId, FileKind, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use crate::sync::step;
use content::Content;
use file::{SimFile, SimLock};
use state::{Body, Moments, State};

pub use change::{Unsynced, UnsyncedKind};
pub use choice::{CrashChoice, CrashChoices, CrashMode, Fate, ParseChoiceError, Sector, Survive};
pub use fault::{Fault, Inject, OpKind, OpRecord, TRACE_RECORDS_MAX, is_simulated_kill};
pub use gate::Gate;
pub use rng::SplitMix;
pub use tamper::SavedFile;

/// The device number of all files.
const DEVICE: u64 = 1;
/// What `available_bytes` says while space is unlimited.
const SPACE_UNLIMITED_BYTES: u64 = 1 << 50;

/// A simulated file system. Clones are handles to the same one; [`SimVfs::snapshot`] makes an independent copy.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::io::IoSlice;
/// use std::path::Path;
///
/// use aqueduct::vfs::sim::{CrashMode, SimVfs};
/// use aqueduct::vfs::{OpenMode, Vfs};
///
/// let sim = SimVfs::new();
/// sim.make_dirs("/data")?;
///
/// // The code under test: a file that is written and synced, but its directory is not.
/// let file = sim.open(Path::new("/data/log"), OpenMode::CreateNew)?;
/// file.write_at(&[IoSlice::new(b"precious")], 0)?;
/// file.sync_data()?;
///
/// // Somewhere among all the ways to lose power the file is gone. A test would assert that there is none.
/// let mut images = 0;
/// let mut lost = 0;
/// for choice in sim.crash_choices(CrashMode::Posix, 16, 1) {
///     let disk = sim.crash(&choice);
///     images += 1;
///     lost += usize::from(disk.peek("/data/log").is_err());
/// }
/// assert!(lost > 0 && lost < images);
///
/// // With the directory synced it survives them all.
/// sim.sync_dir(Path::new("/data"))?;
/// for choice in sim.crash_choices(CrashMode::Posix, 16, 1) {
///     assert_eq!(sim.crash(&choice).peek("/data/log")?, b"precious", "{choice}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SimVfs {
    state: Arc<Mutex<State>>,
}

impl SimVfs {
    /// An empty file system with unlimited space, in which only `/` exists.
    #[must_use]
    pub fn new() -> Self {
        Self::of(State::new())
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// What the disk holds after a crash at this moment. This file system goes on as if nothing had happened, so one
    /// moment can be crashed in many ways.
    ///
    /// The new file system has no handles, locks, faults or operations; limits of space and handles are kept.
    #[must_use]
    pub fn crash(&self, choice: &CrashChoice) -> Self {
        let next = self.state.lock().after(choice);
        Self::of(next)
    }

    /// The classic ways to crash at this moment: nothing survives, all, only names, only metadata, only data, no
    /// lengths, no names, each prefix, each prefix with the next change torn, all but one, only one; then `random` ones
    /// made from the seed.
    #[must_use]
    pub fn crash_choices(&self, mode: CrashMode, random: u64, seed: u64) -> CrashChoices {
        let kinds = self.state.lock().pending.iter().map(|pending| pending.change.kind()).collect();
        CrashChoices::new(kinds, mode, random, seed)
    }

    /// An independent copy, as it is after all processes were killed: no handles, no locks, no faults; what is unsynced
    /// stays unsynced. Costs no copies of bytes.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let next = self.state.lock().after_kill();
        Self::of(next)
    }

    /// The changes that no sync has made durable, oldest first; masks of [`Survive::Mask`] refer to this list.
    #[must_use]
    pub fn unsynced(&self) -> Vec<Unsynced> {
        self.state.lock().pending.iter().map(change::Pending::describe).collect()
    }

    /// From now on keeps a [`snapshot`](SimVfs::snapshot) of the moment before each operation that can change the disk,
    /// `max` at most. One run of a program, even one with threads, then yields every moment at which to crash it.
    pub fn record_moments(&self, max: usize) {
        self.state.lock().moments = Some(Moments { max, ..Moments::default() });
    }

    /// Ends the recording and yields it: the number of the operation, and the file system before it. How many moments
    /// did not fit is in the second place.
    #[must_use]
    pub fn take_moments(&self) -> (Vec<(u64, Self)>, u64) {
        self.state.lock().moments.take().map(|moments| (moments.taken, moments.missed)).unwrap_or_default()
    }

    /// Makes everything durable, as the system does on its own sooner or later. What a failed sync lost stays lost.
    pub fn sync_everything(&self) {
        // The only error is an inode that does not exist, and this goes through those that do.
        drop(self.state.lock().sync_everything());
    }

    /// Lets the system forget its cache: where a failed sync dropped changes, reads see the bytes of the disk again.
    pub fn drop_caches(&self) {
        self.state.lock().drop_caches();
    }

    /// Adds a fault to the plan. If several are due, the one added first happens, and the others stay.
    pub fn inject(&self, rule: Inject) {
        self.state.lock().control.add(rule);
    }

    /// Drops the fault plan. A killed process stays killed.
    pub fn clear_faults(&self) {
        self.state.lock().control.clear();
    }

    /// True if [`Fault::Kill`] or [`Fault::KillAfter`] has happened.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.state.lock().control.is_killed()
    }

    /// Operations begun so far.
    #[must_use]
    pub fn op_count(&self) -> u64 {
        self.state.lock().control.count()
    }

    /// The newest operations, oldest first, [`TRACE_RECORDS_MAX`] at most.
    #[must_use]
    pub fn ops(&self) -> Vec<OpRecord> {
        self.ops_since(0)
    }

    /// Those of them that have this number or a later one.
    #[must_use]
    pub fn ops_since(&self, index: u64) -> Vec<OpRecord> {
        self.state.lock().control.trace(index)
    }

    /// Sets how many bytes can still be allocated, in blocks of 4 KiB; `None` is no limit.
    pub fn set_space(&self, free_bytes: Option<u64>) {
        let mut state = self.state.lock();
        state.capacity = free_bytes.map(|free| state.used.saturating_add(free));
    }

    /// Sets how many files and locks may be open at a time; beyond that is `EMFILE`. `None` is no limit.
    pub fn set_handles(&self, max: Option<usize>) {
        self.state.lock().handles_max = max;
    }

    /// Files and locks that are open.
    #[must_use]
    pub fn handles(&self) -> usize {
        self.state.lock().handles
    }

    /// Moves the clock on that modification times are taken from. Each change moves it by a microsecond.
    pub fn step(&self, by: Duration) {
        let mut state = self.state.lock();
        state.now_ns = state.now_ns.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX));
    }

    fn run<T>(
        &self,
        kind: OpKind,
        path: &Path,
        op: impl FnOnce(&mut State, &Arc<Path>) -> io::Result<T>,
    ) -> io::Result<T> {
        let path: Arc<Path> = Arc::from(path);
        let on_sync_error = |state: &mut State, kept| {
            if let Ok(dir) = state.find(&path) {
                state.lose_entries(dir, kept);
            }
        };
        run(&self.state, (kind, &path, 0, 0), on_sync_error, |state, _| op(state, &path))
    }
}

impl Default for SimVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("SimVfs")
            .field("inodes", &state.nodes.len())
            .field("unsynced", &state.pending.len())
            .field("ops", &state.control.count())
            .finish_non_exhaustive()
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let kind = if mode == OpenMode::CreateNew { OpKind::Create } else { OpKind::Open };
        self.run(kind, path, |state, path| {
            state.take_handle()?;
            let opened = open_inode(state, path, mode);
            if opened.is_err() {
                state.handles -= 1;
            }
            let inode = opened?;
            let file = SimFile::new(Arc::clone(&self.state), inode, Arc::clone(path), mode != OpenMode::Read);
            Ok(Arc::new(file) as Arc<dyn VfsFile>)
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.run(OpKind::CreateDir, path, |state, path| {
            if state.find(path).is_ok() {
                return Err(Errno::EXIST.into());
            }
            let place = state.place(path)?;
            state.create(&place, Body::Dir { durable: Arc::default(), current: Arc::default() }, path).map(drop)
        })
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.run(OpKind::ReadDir, path, |state, path| {
            spare_handle(state)?;
            let dir = state.find(path)?;
            Ok(state.entries(dir)?.keys().cloned().collect())
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.run(OpKind::Metadata, path, |state, path| metadata_of(state, state.find(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(OpKind::Rename, to, |state, path| {
            let (from, to) = (state.place(from)?, state.place(to)?);
            state.rename(from, to, path)
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(OpKind::Rename, to, |state, path| {
            let (place, new) = (state.place(from)?, state.place(to)?);
            state.find(from)?;
            if state.find(to).is_ok() {
                return Err(Errno::EXIST.into());
            }
            state.rename(place, new, path)
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(OpKind::Remove, path, |state, path| {
            let place = state.place(path)?;
            state.remove(&place, path)
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run(OpKind::SyncDir, path, |state, path| {
            spare_handle(state)?;
            let dir = state.find(path)?;
            state.sync_entries(dir)
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.run(OpKind::Lock, path, |state, path| {
            state.take_handle()?;
            let locked = lock_inode(state, path);
            if locked.is_err() {
                state.handles -= 1;
            }
            Ok(Box::new(SimLock::new(Arc::clone(&self.state), locked?, Arc::clone(path))) as Box<dyn VfsLock>)
        })
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.run(OpKind::Lock, path, |state, path| match state.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(state.locked.contains(&found?)),
        })
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.run(OpKind::Available, path, |state, path| {
            state.find(path)?;
            Ok(state.free_bytes().min(SPACE_UNLIMITED_BYTES))
        })
    }
}

fn open_inode(state: &mut State, path: &Arc<Path>, mode: OpenMode) -> io::Result<u64> {
    let inode = if mode == OpenMode::CreateNew {
        if state.find(path).is_ok() {
            return Err(Errno::EXIST.into());
        }
        let place = state.place(path)?;
        state.create(&place, Body::File { durable: Content::default(), current: Content::default() }, path)?
    } else {
        let inode = state.find(path)?;
        match state.node(inode)?.body {
            Body::File { .. } => {}
            Body::Dir { .. } if mode == OpenMode::ReadWrite => return Err(Errno::ISDIR.into()),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
        inode
    };
    state.node_mut(inode)?.opens += 1;
    Ok(inode)
}

fn lock_inode(state: &mut State, path: &Arc<Path>) -> io::Result<u64> {
    let inode = match state.find(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let place = state.place(path)?;
            state.create(&place, Body::File { durable: Content::default(), current: Content::default() }, path)?
        }
        found => found?,
    };
    if matches!(state.node(inode)?.body, Body::Dir { .. }) {
        return Err(Errno::ISDIR.into());
    }
    if !state.locked.insert(inode) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    state.node_mut(inode)?.opens += 1;
    Ok(inode)
}

/// For operations that open a descriptor for their own duration.
fn spare_handle(state: &mut State) -> io::Result<()> {
    state.take_handle()?;
    state.handles -= 1;
    Ok(())
}

fn metadata_of(state: &State, inode: u64) -> io::Result<Metadata> {
    let node = state.node(inode)?;
    let (kind, len) = match &node.body {
        Body::File { current, .. } => (FileKind::File, current.len()),
        Body::Dir { .. } => (FileKind::Directory, 0),
        Body::Special => (FileKind::Other, 0),
    };
    let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(node.modified_ns);
    Ok(Metadata::new(kind, len, modified, FileId { device: DEVICE, inode }))
}

/// Whether syncing a directory fails like this because the directory could not be opened for it: then nothing was tried.
fn is_refusal_to_open(errno: i32) -> bool {
    [Errno::ACCESS, Errno::INTR, Errno::MFILE, Errno::NFILE, Errno::NOENT, Errno::NOMEM]
        .contains(&Errno::from_raw_os_error(errno))
}

/// Counts an operation, lets the fault that is due happen, or carries the operation out.
fn run<T>(
    shared: &Mutex<State>,
    (kind, path, offset, len): (OpKind, &Arc<Path>, u64, u64),
    on_sync_error: impl FnOnce(&mut State, usize),
    op: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>,
) -> io::Result<T> {
    // What an operation returned to a process that is dead by then: a handle in it takes the lock when it drops, so it
    // must outlive the guard.
    let _unseen;
    step();
    let mut guard = shared.lock();
    if guard.control.is_killed() {
        return Err(guard.control.kill());
    }
    let due = guard.control.begin(kind, path, offset, len);
    if let Some(gate) = &due.gate {
        MutexGuard::unlocked(&mut guard, || gate.pass());
        if guard.control.is_killed() {
            let killed = guard.control.kill();
            return guard.control.finish(due.index, Err(killed));
        }
    }
    let state = &mut *guard;
    if kind.changes_disk() {
        state.record_moment(due.index);
    }
    let result = match due.fault {
        Some(Fault::Kill) => Err(state.control.kill()),
        Some(Fault::KillAfter(_)) => {
            _unseen = op(state, due.fault);
            Err(state.control.kill())
        }
        Some(Fault::Errno(errno) | Fault::PartialSync { errno, .. }) => {
            if kind == OpKind::SyncData || (kind == OpKind::SyncDir && !is_refusal_to_open(errno)) {
                let kept = if let Some(Fault::PartialSync { kept, .. }) = due.fault { kept } else { 0 };
                on_sync_error(state, kept);
            }
            Err(io::Error::from_raw_os_error(errno))
        }
        _ => op(state, due.fault),
    };
    state.control.finish(due.index, result)
}
