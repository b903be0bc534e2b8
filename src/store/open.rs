//! Opening a store: locks, manifest, recovery of every lane, and putting the parts together.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileStore;
use super::frame::StoreId;
use super::inner::Inner;
use super::lane::Lane;
use super::log::Log;
use super::losses;
use super::manifest::{LaneMark, MANIFEST, Manifest};
use super::options::{FileStoreBuilder, Options};
use super::queue::{Backlog, Capacity, Queue};
use super::recovery::{self, Recovered};
use super::report::{OpenError, RecoveryReport};
use super::segment::{LaneDir, parse_segment_name};
use super::shared::{Position, Shared};
use super::spares::Spares;
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
        let dir = LaneDir { vfs: options.vfs.clone(), path, store: manifest.store, lane };
        let scanned = recovery::scan(&dir, &options)?;
        lanes.push((dir, scanned));
    }
    let lost = losses::check(&mut lanes, &mut manifest, &path, &options)?;
    recovery::make_room(&mut lanes);
    let mut recovered = Vec::new();
    for (dir, scanned) in lanes {
        let salt = splitmix(&mut random);
        recovered.push((dir.clone(), recovery::begin_life(&dir, scanned, &options, salt)?));
    }
    let mut report = RecoveryReport::default();
    let parts = Parts { path, manifest, recovered, lost, locks };
    let inner = assemble(options, parts, random, &mut report);
    report.took = inner.shared.options.clock.monotonic().saturating_sub(begun);
    FileStore::start(inner, report).map_err(OpenError::Storage)
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
    let shared = Shared::new(options, stamp, merge_positions(&recovered), random);
    let options = &shared.options;
    let mut queues = BTreeMap::new();
    let mut done = losses::acknowledged(recovered.iter().map(|(_, lane)| &lane.state));
    for (id, name) in &manifest.channels {
        let lanes = recovered.iter().map(|(dir, lane)| {
            let acked = done.remove(&(dir.lane, *id)).unwrap_or_default();
            Backlog::of(*id, &lane.state, acked)
        });
        let backlog: Vec<_> = lanes.collect();
        report.backlog.push((name.clone(), backlog.iter().map(|lane| lane.events).sum()));
        let lost = lost.get(id).copied().unwrap_or(0);
        if lost > 0 {
            report.lost.push((name.clone(), lost));
        }
        let capacity = Capacity { events: options.capacity_events, bytes: options.capacity_bytes };
        let queue = Queue::new(*id, name.clone(), capacity, options.clock.clone(), backlog, lost);
        queues.insert(*id, Arc::new(queue));
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
        refused: None,
        wakers: Vec::new(),
    };
    let lane = dir.lane;
    let log = Log::new(dir, cache_bytes, options.read_mode, options.on_corruption, segments, published);
    Lane::new(lane, shared.clone(), log, writer, checkpoint_generation)
}

/// The newest position of every owner over all lanes.
fn merge_positions(recovered: &[(LaneDir, Recovered)]) -> BTreeMap<String, Position> {
    let mut newest: BTreeMap<String, Position> = BTreeMap::new();
    for (dir, lane) in recovered {
        for (owner, (stamp, value)) in &lane.state.positions {
            let known = newest.entry(owner.clone()).or_default();
            known.lanes |= 1 << dir.lane;
            if *stamp >= known.stamp {
                known.stamp = *stamp;
                known.value.clone_from(value);
            }
        }
    }
    // A cleared position that no other lane names has nothing to overrule any more.
    newest.retain(|_, position| position.value.is_some() || position.lanes.count_ones() > 1);
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
    if is_new || !added.is_empty() {
        sync_names(vfs, path)?;
        for dir in added {
            sync_names(vfs, &dir)?;
            LaneMark { store: manifest.store, lane: manifest.lanes }.write(vfs, &dir)?;
            manifest.lanes += 1;
            dirs.push(Some(dir));
        }
        // ORDER: the manifest comes last: a lane that it names is there.
        manifest.write(vfs, path)?;
    } else {
        write_again(vfs, path, &manifest, &dirs)?;
    }
    Ok((manifest, dirs.into_iter().flatten().collect()))
}

/// Replaces manifest and marks by the same content.
fn write_again(vfs: &dyn Vfs, path: &Path, manifest: &Manifest, dirs: &[Option<PathBuf>]) -> Result<(), StorageError> {
    // ORDER: a process that was killed may have replaced the manifest and not synced its name, and one that heard of a failed
    // sync cannot have told us. What is built on these files now must not outlive them, and only a new name is sure to be
    // written by a new sync.
    for (lane, dir) in (0..).zip(dirs) {
        let Some(dir) = dir else { continue };
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
