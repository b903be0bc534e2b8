//! Opening a store: locks, manifest, recovery of every lane, and putting the parts together.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileStore;
use super::backlog::Backlog;
use super::capacity::Capacity;
use super::frame::StoreId;
use super::inner::Inner;
use super::lane::Lane;
use super::log::Log;
use super::losses;
use super::manifest::{LaneMark, MANIFEST, Manifest};
use super::options::{FileStoreBuilder, Options};
use super::queue::Queue;
use super::recovery::{self, Recovered};
use super::report::{OpenError, RecoveryReport};
use super::segment::{LaneDir, parse_segment_name};
use super::shared::{Position, Shared};
use super::spares::Spares;
use super::state::LaneState;
use super::writer::Writer;
use crate::error::StorageError;
use crate::random::{self, splitmix};
use crate::vfs::{Vfs, VfsLock};

pub(crate) fn open(builder: FileStoreBuilder) -> Result<FileStore, OpenError> {
    let FileStoreBuilder { path, data_dirs, options } = builder;
    let vfs = &*options.vfs;
    let begun = options.clock.monotonic();
    let mut random = options.seed.unwrap_or_else(random::seed);
    create_dirs(vfs, &path)?;
    let mut locks = vec![lock(vfs, &path)?];
    for dir in &data_dirs {
        create_dirs(vfs, dir)?;
        locks.push(lock(vfs, dir)?);
    }
    let (mut manifest, dirs) = assign_lanes(&options, &path, &data_dirs, &mut random)?;
    let mut lanes = Vec::new();
    for (lane, path) in (0..).zip(dirs) {
        let dir = LaneDir::new(options.vfs.clone(), path, manifest.store, lane);
        let scanned = recovery::scan(&dir, &options)?;
        lanes.push((dir, scanned));
    }
    let lost = losses::check(&mut lanes, &mut manifest, &path, &options)?;
    if lost.named {
        manifest.write(vfs, &path)?;
    }
    recovery::make_room(&mut lanes);
    let mut recovered = Vec::new();
    for (left, (dir, scanned)) in (1..=lanes.len() as u64).rev().zip(lanes) {
        let salt = splitmix(&mut random);
        recovered.push((dir.clone(), recovery::begin_life(&dir, scanned, &options, (left, salt))?));
    }
    let mut report = RecoveryReport::default();
    let parts = Parts { path, manifest, recovered, lost: lost.events, locks };
    let inner = assemble(options, parts, random, &mut report);
    report.took = inner.shared.options.clock.monotonic().saturating_sub(begun);
    let store = FileStore::start(inner, report)?;
    store.report.tell(store.inner.path());
    Ok(store)
}

/// What a store is put together from.
struct Parts {
    path: PathBuf,
    manifest: Manifest,
    recovered: Vec<(LaneDir, Recovered)>,
    /// Events lost, by channel.
    lost: BTreeMap<u16, u64>,
    locks: Vec<Box<dyn VfsLock>>,
}

fn assemble(options: Options, parts: Parts, random: u64, report: &mut RecoveryReport) -> Arc<Inner> {
    let Parts { path, manifest, recovered, lost, locks } = parts;
    let stamp = recovered.iter().map(|(_, lane)| lane.state.stamp).max().unwrap_or(0);
    let states = || recovered.iter().map(|(dir, lane)| (dir.lane, &lane.state));
    let shared = Shared::new(options, stamp, merge_positions(states()), random);
    let options = &shared.options;
    let mut queues = BTreeMap::new();
    for (id, name, backlog) in backlogs(&manifest, &states()) {
        let lost = lost.get(&id).copied().unwrap_or(0);
        report.note_channel(&name, backlog.iter().map(|lane| lane.events).sum(), lost);
        let capacity = Capacity { events: options.capacity_events, bytes: options.capacity_bytes };
        let queue = Queue::new(id, name, capacity, options.clock.clone(), backlog, lost);
        queues.insert(id, Arc::new(queue));
    }
    *shared.queues.write() = queues;
    let shared = Arc::new(shared);
    let mut lanes = Vec::new();
    let cache_bytes = shared.options.tail_cache_bytes / recovered.len().max(1) as u64;
    for (dir, mut lane) in recovered {
        lane.report.segments = lane.segments.len() as u64;
        report.lanes.push(lane.report.clone());
        lanes.push(Arc::new(build_lane(dir, lane, &shared, cache_bytes)));
    }
    Arc::new(Inner::new(shared, lanes, path, manifest, locks))
}

fn build_lane(dir: LaneDir, recovered: Recovered, shared: &Arc<Shared>, cache_bytes: u64) -> Lane {
    let Recovered { mut state, segments, active, file, offset, junk, reserve, checkpoint_generation, report } =
        recovered;
    let options = &shared.options;
    for path in junk {
        // A file that stays is found again by the next open. One that was reported is evidence, and may be of use to someone.
        let _ = if report.damage.iter().any(|damage| damage.path == path) {
            let mut kept = path.clone().into_os_string();
            kept.push(DAMAGED);
            dir.vfs.rename(&path, Path::new(&kept))
        } else {
            dir.vfs.remove_file(&path)
        };
    }
    state.positions.retain(|owner, (_, value)| value.is_some() || shared.names_position(owner));
    let mut spares = Spares::new(active.id + 1, options.segment_bytes_first, options.segment_bytes, reserve);
    // Without a reserve puts are refused until there is room for it; what is here can be taken.
    let state_bytes = state.encode().len() as u64;
    let _ = spares.secure(&dir, state_bytes);
    let published = state.next_seq;
    let writer = Writer {
        cleared: BTreeMap::new(),
        file,
        durable: super::frame::LanePos::new(active.id, offset),
        durable_seq: published,
        marked: super::frame::LanePos::new(active.id, 0),
        proven: super::frame::LanePos::new(active.id, 0),
        active,
        offset,
        dirty: Vec::new(),
        unsynced_bytes: 0,
        state,
        state_bytes,
        spares,
        since_checkpoint: 0,
        spoiled: false,
        sync_failed: false,
        refused: None,
        wakers: Vec::new(),
    };
    let lane = dir.lane;
    let log = Log::new(dir, cache_bytes, options.read_mode, options.on_corruption, segments, published);
    Lane::new(lane, shared.clone(), log, writer, checkpoint_generation)
}

/// What waits in each channel, by lane.
#[allow(single_use_lifetimes)] // it cannot be left out here
pub(super) fn backlogs<'a>(
    manifest: &Manifest,
    lanes: &(impl Iterator<Item = (u16, &'a LaneState)> + Clone),
) -> Vec<(u16, String, Vec<Backlog>)> {
    let mut done = losses::acknowledged(lanes.clone().map(|(_, state)| state));
    let channels = manifest.channels.iter().map(|(id, name)| {
        let backlog = lanes.clone().map(|(lane, state)| {
            let acked = done.remove(&(lane, *id)).unwrap_or_default();
            Backlog::of(*id, state, acked)
        });
        (*id, name.clone(), backlog.collect())
    });
    channels.collect()
}

/// The newest position of every owner over all lanes.
#[allow(single_use_lifetimes)] // as above
pub(super) fn merge_positions<'a>(lanes: impl Iterator<Item = (u16, &'a LaneState)>) -> BTreeMap<String, Position> {
    let mut newest: BTreeMap<String, Position> = BTreeMap::new();
    for (lane, state) in lanes {
        for (owner, (stamp, value)) in &state.positions {
            let known = newest.entry(owner.clone()).or_default();
            known.lanes |= u64::from(value.is_some()) << lane;
            known.named |= 1 << lane;
            if *stamp >= known.stamp {
                known.stamp = *stamp;
                known.value.clone_from(value);
            }
        }
    }
    // One that is cleared wherever it is named has nothing to overrule any more.
    newest.retain(|_, position| position.lanes != 0);
    newest
}

/// Finds out which directory is which lane, and writes down what is new.
fn assign_lanes(
    options: &Options,
    path: &Path,
    data_dirs: &[PathBuf],
    random: &mut u64,
) -> Result<(Manifest, Vec<PathBuf>), OpenError> {
    let vfs = &*options.vfs;
    let found = Manifest::read(vfs, path)?;
    let is_new = found.is_none();
    let mut manifest = found.unwrap_or_else(|| Manifest { store: new_id(random), lanes: 0, channels: BTreeMap::new() });
    let (mut dirs, added) = find_lanes(vfs, path, &manifest, is_new, data_dirs)?;
    if is_new || !added.is_empty() {
        sync_names(vfs, path)?;
        for dir in added {
            sync_names(vfs, &dir)?;
            LaneMark { store: manifest.store, lane: manifest.lanes }.write(vfs, &dir)?;
            manifest.lanes += 1;
            dirs.push(dir);
        }
        // ORDER: the manifest comes last: a lane that it names is there.
        manifest.write(vfs, path)?;
    } else {
        write_again(vfs, path, &manifest, &dirs)?;
    }
    Ok((manifest, dirs))
}

/// The directories of all lanes, in their order, and those that are none yet. Changes nothing.
pub(super) fn find_lanes(
    vfs: &dyn Vfs,
    path: &Path,
    manifest: &Manifest,
    is_new: bool,
    data_dirs: &[PathBuf],
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), OpenError> {
    let mut dirs: Vec<Option<PathBuf>> = vec![None; usize::from(manifest.lanes)];
    let mut added = Vec::new();
    for dir in data_dirs {
        let not_part = |detail: &str| OpenError::NotPartOf {
            dir: dir.clone(),
            store: path.to_path_buf(),
            detail: detail.to_owned(),
        };
        match LaneMark::read(vfs, dir)? {
            Some(mark) if mark.store == manifest.store && mark.lane < manifest.lanes => {
                match dirs.get_mut(usize::from(mark.lane)) {
                    Some(place @ None) => *place = Some(dir.clone()),
                    _ => return Err(not_part("another of the given directories is a copy of it")),
                }
            }
            // An open that was interrupted before the manifest was written leaves a mark without segments.
            _ if has_segments(vfs, dir)? => {
                let detail = if is_new {
                    format!("it holds events of a store whose file `{MANIFEST}` is missing here")
                } else {
                    "it holds events of another store".to_owned()
                };
                return Err(not_part(&detail));
            }
            _ => added.push(dir.clone()),
        }
    }
    if let Some(lane) = dirs.iter().position(Option::is_none) {
        // A directory without its mark next to a missing lane: most likely the disk of that lane is not mounted.
        if let Some(dir) = added.first() {
            let detail = "it has no mark of a lane, and a data directory of the store is missing: is its disk mounted?";
            return Err(OpenError::NotPartOf {
                dir: dir.clone(),
                store: path.to_path_buf(),
                detail: detail.to_owned(),
            });
        }
        let lane = u16::try_from(lane).unwrap_or(u16::MAX);
        return Err(OpenError::MissingDir { store: path.to_path_buf(), lane });
    }
    Ok((dirs.into_iter().flatten().collect(), added))
}

/// Replaces manifest and marks by the same content.
fn write_again(vfs: &dyn Vfs, path: &Path, manifest: &Manifest, dirs: &[PathBuf]) -> Result<(), StorageError> {
    // ORDER: a process that was killed may have replaced the manifest and not synced its name, and one that heard of a failed
    // sync cannot have told us. What is built on these files now must not outlive them, and only a new name is sure to be
    // written by a new sync.
    for (lane, dir) in (0..).zip(dirs) {
        again(vfs, dir, LaneMark { store: manifest.store, lane }.write(vfs, dir))?;
    }
    again(vfs, path, manifest.write(vfs, path))
}

/// What became of replacing a file by the same content. A full disk is no reason not to open.
fn again(vfs: &dyn Vfs, dir: &Path, result: Result<(), StorageError>) -> Result<(), StorageError> {
    match result {
        Err(StorageError::DiskFull { .. }) => {
            vfs.sync_dir(dir).map_err(|error| StorageError::io("sync directory", dir, error))
        }
        result => result,
    }
}

fn has_segments(vfs: &dyn Vfs, dir: &Path) -> Result<bool, StorageError> {
    let names = vfs.read_dir(dir).map_err(|error| StorageError::io("list", dir, error))?;
    Ok(names.iter().any(|name| name.to_str().is_some_and(|name| parse_segment_name(name).is_some())))
}

/// Creates a directory and those above it that are missing.
fn create_dirs(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    let io = |error| StorageError::io("create directory", path, error);
    match vfs.metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dirs(vfs, parent)?;
    }
    match vfs.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io(error)),
        _ => Ok(()),
    }
}

/// Makes the names of a directory and of all above it durable. That a directory is there does not mean that its name is
/// durable: a process that was killed may have created it.
fn sync_names(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    for above in path.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match vfs.sync_dir(above) {
            // Directories that cannot even be listed were made by someone else, long before.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            // Some file systems that hold only mount points cannot sync a directory.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            result => result.map_err(|error| StorageError::io("sync directory", above, error))?,
        }
    }
    Ok(())
}

fn lock(vfs: &dyn Vfs, dir: &Path) -> Result<Box<dyn VfsLock>, OpenError> {
    let path = dir.join("lock");
    vfs.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked(dir.to_path_buf()),
        _ => StorageError::io("lock", &path, error).into(),
    })
}

fn new_id(random: &mut u64) -> StoreId {
    let mut id = StoreId::default();
    for chunk in id.chunks_mut(8) {
        chunk.copy_from_slice(splitmix(random).to_le_bytes().get(..chunk.len()).unwrap_or_default());
    }
    id
}

/// What is added to the name of a damaged segment that the store has no use for.
const DAMAGED: &str = ".damaged";
