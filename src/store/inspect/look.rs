//! Gathers what is in a store.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::segments::segments;
use super::unreadable::Unfailing;
use super::{InspectedChannel, InspectedCheckpoint, InspectedLane, Inspection};
use crate::error::StorageError;
use crate::limits::LANES_MAX;
use crate::store::checkpoint;
use crate::store::frame::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::store::losses::{self, Losses};
use crate::store::manifest::{LaneMark, Manifest};
use crate::store::open::{backlogs, find_lanes, merge_positions};
use crate::store::options::{OnCorruption, Options};
use crate::store::recovery::{self, Scanned};
use crate::store::report::{LaneReport, OpenError, RecoveryReport};
use crate::store::segment::{LaneDir, parse_segment_name};
use crate::vfs::{OpenMode, ReadOnly, Vfs};

pub(super) fn look(path: &Path, data_dirs: &[PathBuf], options: &Options) -> Result<Inspection, OpenError> {
    let begun = options.clock.monotonic();
    let mut options = options.clone();
    options.vfs = Arc::new(ReadOnly::over(options.vfs));
    let vfs = &*options.vfs;
    let mut obstacles = Vec::new();
    let (mut manifest, known) = read_manifest(vfs, path, data_dirs, &mut obstacles)?;
    let added = if known { find_added(vfs, path, &manifest, data_dirs, &mut obstacles) } else { Vec::new() };
    let dirs = lanes(vfs, &manifest, data_dirs);
    let dirs = dirs.into_iter().map(|(lane, path)| LaneDir::new(options.vfs.clone(), path, manifest.store, lane));
    let dirs: Vec<_> = dirs.collect();
    let Looked { lanes: scanned, losses, unreadable } =
        scan(&dirs, known, &mut manifest, path, &options, &mut obstacles);
    let states = || scanned.iter().map(|(dir, scanned)| (dir.lane, &scanned.state));
    let mut report = RecoveryReport::default();
    let mut channels = Vec::new();
    for (number, name, backlog) in backlogs(&manifest, &states()) {
        let lost = losses.events.get(&number).copied().unwrap_or(0);
        let events = backlog.iter().map(|lane| lane.events).fold(0, u64::saturating_add);
        let bytes = backlog.iter().map(|lane| lane.bytes).fold(0, u64::saturating_add);
        report.note_channel(&name, events, lost);
        channels.push(InspectedChannel { name, events, bytes, lost });
    }
    channels.sort_by(|a, b| a.name.cmp(&b.name));
    report.lanes = scanned.iter().map(|(_, scanned)| report_of(scanned)).collect();
    // An open gives each directory that is new a first segment.
    report.lanes.extend(added.into_iter().map(|path| LaneReport { path, segments: 1, ..LaneReport::default() }));
    let positions = merge_positions(states()).into_iter();
    let positions = positions.filter_map(|(owner, position)| Some((owner, position.value?))).collect();
    let done = losses::acknowledged(states().map(|(_, state)| state));
    let lanes = scanned.iter().map(|(dir, scanned)| describe(dir, scanned, &manifest)).collect();
    report.took = options.clock.monotonic().saturating_sub(begun);
    Ok(Inspection {
        path: path.to_path_buf(),
        in_use: in_use(vfs, path, data_dirs),
        obstacles,
        unreadable,
        report,
        channels,
        lanes,
        positions,
        scanned,
        done,
        numbers: manifest.channels.into_iter().collect(),
    })
}

/// Whether a process has the store, or a directory of it; `None` if that cannot be found out.
pub(super) fn in_use(vfs: &dyn Vfs, path: &Path, data_dirs: &[PathBuf]) -> Option<bool> {
    let dirs = [path].into_iter().chain(data_dirs.iter().map(PathBuf::as_path));
    let locked: Vec<_> = dirs.map(|dir| vfs.is_locked(&dir.join("lock"))).collect();
    if locked.iter().any(|locked| matches!(locked, Ok(true))) {
        return Some(true);
    }
    locked.iter().all(Result::is_ok).then_some(false)
}

/// The manifest. Where there is none, or it is damaged, what the data directories tell of it; `false`: it is such a one.
fn read_manifest(
    vfs: &dyn Vfs,
    path: &Path,
    data_dirs: &[PathBuf],
    obstacles: &mut Vec<OpenError>,
) -> Result<(Manifest, bool), OpenError> {
    let found = match Manifest::read(vfs, path) {
        Ok(Some(manifest)) => return Ok((manifest, true)),
        found => found.err().map(OpenError::Storage),
    };
    let Some(mark) = data_dirs.iter().find_map(|dir| mark_of(vfs, dir)) else {
        return Err(found.unwrap_or_else(|| OpenError::NoStore(path.to_path_buf())));
    };
    let manifest = Manifest { store: mark.store, lanes: 0, channels: BTreeMap::new() };
    let obstacle = found.or_else(|| find_lanes(vfs, path, &manifest, true, data_dirs).err());
    // Without a manifest and events an open would make a new store.
    obstacles.push(obstacle.unwrap_or_else(|| OpenError::NoStore(path.to_path_buf())));
    Ok((manifest, false))
}

/// The data directories that an open would add to the store, if nothing is in its way.
fn find_added(
    vfs: &dyn Vfs,
    path: &Path,
    manifest: &Manifest,
    data_dirs: &[PathBuf],
    obstacles: &mut Vec<OpenError>,
) -> Vec<PathBuf> {
    // One that is not there is made by an open.
    let is_missing = |dir: &&PathBuf| vfs.metadata(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let there: Vec<PathBuf> = data_dirs.iter().filter(|dir| !is_missing(dir)).cloned().collect();
    match find_lanes(vfs, path, manifest, false, &there) {
        Ok((_, added)) => data_dirs.iter().filter(|dir| added.contains(dir) || is_missing(dir)).cloned().collect(),
        Err(error) => {
            obstacles.push(error);
            Vec::new()
        }
    }
}

/// The data directories that can be told to be of the store.
fn lanes(vfs: &dyn Vfs, manifest: &Manifest, data_dirs: &[PathBuf]) -> BTreeMap<u16, PathBuf> {
    let mut lanes = BTreeMap::new();
    for dir in data_dirs {
        let mark = mark_of(vfs, dir).filter(|mark| mark.store == manifest.store);
        if let Some(mark) = mark.filter(|mark| usize::from(mark.lane) < LANES_MAX) {
            lanes.entry(mark.lane).or_insert_with(|| dir.clone());
        }
    }
    lanes
}

/// The mark of a data directory. If it is gone or damaged, what the first segment there says.
fn mark_of(vfs: &dyn Vfs, dir: &Path) -> Option<LaneMark> {
    if let Ok(Some(mark)) = LaneMark::read(vfs, dir) {
        return Some(mark);
    }
    let mut names: Vec<_> = vfs.read_dir(dir).ok()?.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| parse_segment_name(name).is_some());
    names.sort();
    names.iter().find_map(|name| {
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
        vfs.open(&dir.join(name), OpenMode::Read).ok()?.read_exact_at(&mut bytes, 0).ok()?;
        let header = SegmentHeader::decode(&Bytes::from(bytes)).ok()?;
        Some(LaneMark { store: header.store, lane: header.lane })
    })
}

/// What the logs say.
struct Looked {
    lanes: Vec<(LaneDir, Scanned)>,
    losses: Losses,
    unreadable: BTreeMap<PathBuf, StorageError>,
}

/// What the logs say: as an open would find it, or, where that would fail, as one would that passes over damage, and over what
/// cannot be read.
fn scan(
    dirs: &[LaneDir],
    known: bool,
    manifest: &mut Manifest,
    path: &Path,
    options: &Options,
    obstacles: &mut Vec<OpenError>,
) -> Looked {
    let mut failed = None;
    if obstacles.is_empty() {
        match scan_all(dirs, manifest, path, options) {
            Ok((lanes, losses)) => return Looked { lanes, losses, unreadable: BTreeMap::new() },
            Err(error) => failed = Some(error),
        }
    }
    let vfs = Arc::new(Unfailing::over(options.vfs.clone()));
    let salvage = Options { on_corruption: OnCorruption::Salvage, vfs: vfs.clone(), ..options.clone() };
    let mut lanes = Vec::new();
    let mut unreadable = BTreeMap::new();
    for dir in dirs {
        let dir = LaneDir::new(vfs.clone(), dir.path.clone(), dir.store, dir.lane);
        match recovery::scan(&dir, &salvage) {
            Ok(scanned) => lanes.push((dir, scanned)),
            Err(error) => {
                if let OpenError::Storage(error) = &error {
                    unreadable.insert(dir.path.clone(), error.clone());
                }
                obstacles.push(error);
            }
        }
    }
    if !known {
        for number in lanes.iter().flat_map(|(_, scanned)| scanned.state.channels.keys()) {
            manifest.channels.entry(*number).or_insert_with(|| format!("channel-{number}"));
        }
    }
    let losses = losses::check(&mut lanes, manifest, path, &salvage).unwrap_or_else(|error| {
        obstacles.push(error);
        Losses::default()
    });
    let failures = vfs.failures();
    for damage in lanes.iter_mut().flat_map(|(_, scanned)| &mut scanned.report.damage) {
        if let Some(error) = failures.get(&damage.path) {
            damage.detail = format!("{}, or cannot be read: {error}", damage.detail);
        }
    }
    obstacles.extend(failures.values().cloned().map(OpenError::Storage));
    unreadable.extend(failures);
    let damaged = lanes.iter().any(|(_, scanned)| !scanned.report.damage.is_empty());
    if damaged && options.on_corruption == OnCorruption::Fail {
        let lanes = lanes.iter().map(|(_, scanned)| report_of(scanned)).collect();
        obstacles.push(OpenError::Corrupt(Box::new(RecoveryReport { lanes, ..RecoveryReport::default() })));
    }
    if obstacles.is_empty() {
        // It has passed, and may come again.
        obstacles.extend(failed);
    }
    Looked { lanes, losses, unreadable }
}

fn scan_all(
    dirs: &[LaneDir],
    manifest: &mut Manifest,
    path: &Path,
    options: &Options,
) -> Result<(Vec<(LaneDir, Scanned)>, Losses), OpenError> {
    let scanned = dirs.iter().map(|dir| Ok((dir.clone(), recovery::scan(dir, options)?)));
    let mut lanes = scanned.collect::<Result<Vec<_>, OpenError>>()?;
    // A copy: what is found here counts only if all is well.
    let mut names = manifest.clone();
    let losses = losses::check(&mut lanes, &mut names, path, options)?;
    *manifest = names;
    Ok((lanes, losses))
}

fn report_of(scanned: &Scanned) -> LaneReport {
    // An open begins a new one.
    LaneReport { segments: scanned.segments.len() as u64 + 1, ..scanned.report.clone() }
}

fn describe(dir: &LaneDir, scanned: &Scanned, manifest: &Manifest) -> InspectedLane {
    let slots = checkpoint::SLOTS.filter(|slot| dir.vfs.metadata(&dir.file(&checkpoint::slot_name(*slot))).is_ok());
    let slots: Vec<_> = slots.map(|slot| checkpoint::read_slot(dir, slot)).collect();
    let unreadable = slots.iter().filter(|slot| slot.is_none()).count();
    let mut checkpoints: Vec<_> = slots.into_iter().flatten().collect();
    checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.generation));
    let checkpoints = checkpoints.into_iter().map(|checkpoint| InspectedCheckpoint {
        generation: checkpoint.generation,
        segment: checkpoint.pos.segment(),
        offset: checkpoint.pos.offset(),
        by_close: checkpoint.clean,
    });
    InspectedLane {
        number: dir.lane,
        path: dir.path.clone(),
        segments: segments(dir, scanned, manifest),
        checkpoints: checkpoints.collect(),
        checkpoints_unreadable: unreadable as u64,
        reserve: scanned.reserve.iter().map(|spare| spare.path.clone()).collect(),
        leftovers: scanned.junk.clone(),
    }
}
