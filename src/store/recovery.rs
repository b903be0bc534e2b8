//! Recovery of one lane: from the bytes in its directory to the state after the last record that counts.
//!
//! 1. The newest segment with a valid BEGIN record is the tail. Its BEGIN holds the state of everything before it, and how
//!    far the log was durable when it was written; if that is not the whole of the segment before, the scan starts
//!    there. A checkpoint that is further on takes the place of the BEGIN.
//! 2. The frames from there on are read. Each says how far the log was durable when it was written; the largest such
//!    place is `durable`.
//! 3. At the first invalid frame: if a valid head further on proves that the place had been durable, durable data is
//!    damaged. Otherwise the log ends here: whatever follows belongs to commits that never returned.
//! 4. Frames between `durable` and the end may be only in the page cache, even if they can be read (a failed sync leaves
//!    such pages). They are written again, into the new segment with which every open begins, before anyone sees them.
//!
//! No segment of an earlier life is ever written to. `replay` walks over the frames, `losses` looks at all lanes together.
//! Where damage is passed over, what is known of the state before it comes from whatever repeats it: the begin of a later
//! segment, or a checkpoint.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use super::begin::{begin_head, begin_payload};
use super::checkpoint::{self, Checkpoint};
use super::files::{Files, Tail, damage, is_leftover};
use super::frame::{HEAD_BYTES, Head, LanePos, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::options::{OnCorruption, Options};
use super::ranges::RangeSet;
use super::replay::Replay;
use super::report::{Damage, LaneReport, OpenError, RecoveryReport};
use super::rest::{Found, Rest};
use super::segment::{LaneDir, Segment, Spare, segment_name, segment_number};
use super::spares::RESERVE_SEGMENTS;
use super::state::LaneState;
use crate::error::StorageError;
use crate::limits::SEGMENT_BYTES_RESERVE;
use crate::sabotage::{Bug, planted};
use crate::vfs::VfsFile;

/// A lane, ready to be written to.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) state: LaneState,
    pub(crate) segments: BTreeMap<u32, Arc<Segment>>,
    pub(crate) active: Arc<Segment>,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) offset: u32,
    /// Files that nothing refers to; to be removed once the new segment is durable.
    pub(crate) junk: Vec<PathBuf>,
    /// What is left of the reserve of the last life.
    pub(crate) reserve: Vec<Spare>,
    pub(crate) checkpoint_generation: u64,
    pub(crate) report: LaneReport,
}

/// What a lane's log says, before anything is written.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// After the records that are known to be durable, with the tail sealed.
    pub(crate) durable_state: LaneState,
    /// End of those records.
    pub(crate) durable_end: LanePos,
    /// The records behind them, to be written again.
    pub(crate) rest: Rest,
    /// After all records.
    pub(crate) state: LaneState,
    pub(crate) segments: BTreeMap<u32, Arc<Segment>>,
    /// Sealed segments that are not there, or shorter than they were.
    pub(crate) missing: Vec<u32>,
    /// Events that are gone with them, and other damage that was passed over.
    pub(crate) lost: RangeSet,
    /// Damage was passed over, and from this segment on no record repeated what was lost.
    pub(crate) shaken_from: Option<u32>,
    pub(crate) junk: Vec<PathBuf>,
    /// Those of them that no event needs any more.
    retired: Vec<PathBuf>,
    /// Spares that the last life held in reserve.
    pub(crate) reserve: Vec<Spare>,
    next_id: u32,
    checkpoint_generation: u64,
    pub(crate) report: LaneReport,
}

/// Reads a lane without changing anything.
pub(crate) fn scan(dir: &LaneDir, options: &Options) -> Result<Scanned, OpenError> {
    let mut files = Files::list(dir)?;
    let checkpoint = checkpoint::read_newest(dir);
    let checkpoint_generation = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.generation);
    let mut report = LaneReport { path: dir.path.clone(), ..LaneReport::default() };
    let next_id = files.next_id();
    let reserve = take_reserve(dir, &mut files, options);
    let tail = files.find_tail(checkpoint.as_ref(), options.on_corruption, &mut report)?;
    let checkpoint = match checkpoint {
        Some(checkpoint) => usable(checkpoint, &files, tail.as_ref(), dir, options, &mut report),
        None => None,
    };
    fail_on_damage(&report, options)?;
    let Some(tail) = tail else {
        let junk = files.all_paths();
        return Ok(Scanned { junk, reserve, next_id, checkpoint_generation, report, ..Scanned::default() });
    };
    let mut replay = Replay::new(&files, tail, checkpoint, report, options)?;
    let oldest = replay.oldest();
    replay.run()?;
    let unproven_begin = replay.unproven_begin();
    let rest = replay.rest();
    let Replay { state: mut durable_state, folded, sealed, mut report, shaken_from, .. } = replay;
    let durable_end = unproven_begin.unwrap_or(folded);
    // The newest segment may be missing, and is not to come back under another's name.
    let next_id = next_id.max(folded.segment().saturating_add(1));
    if unproven_begin.is_none() && !sealed {
        durable_state.seal(folded);
    }
    report.rewritten_records = rest.records();
    let mut state = durable_state.clone();
    if !planted(Bug::NumbersReused) {
        rest.apply(&mut state)?;
    }
    let mut segments = BTreeMap::new();
    let mut missing = Vec::new();
    for (id, sealed) in &state.sealed {
        match files.segments.remove(id) {
            Some(mut segment) => {
                let end = sealed.end.min(u32::try_from(segment.size).unwrap_or(u32::MAX));
                if end < sealed.end {
                    missing.push(*id);
                }
                segment.first_seq = sealed.first_seq;
                segment.seal_at(end);
                segment.release();
                segments.insert(*id, Arc::new(segment));
            }
            None => missing.push(*id),
        }
    }
    let retired = files.segments.range(..oldest).map(|(_, segment)| segment.path.clone()).collect();
    let junk = files.all_paths();
    Ok(Scanned {
        durable_state,
        durable_end,
        rest,
        state,
        segments,
        missing,
        shaken_from,
        junk,
        retired,
        reserve,
        next_id,
        checkpoint_generation,
        report,
        ..Scanned::default()
    })
}

/// The spares that the last life held in reserve. One that cannot be opened is of no use, and one that was not finished
/// neither.
fn take_reserve(dir: &LaneDir, files: &mut Files, options: &Options) -> Vec<Spare> {
    let size = SEGMENT_BYTES_RESERVE.min(options.segment_bytes);
    let mut reserve = Vec::new();
    for path in std::mem::take(&mut files.reserve).into_values() {
        match dir.open_spare(&path) {
            Ok(spare) if reserve.len() < RESERVE_SEGMENTS && spare.size >= size => reserve.push(spare),
            Ok(_) | Err(_) => files.junk.push(path),
        }
    }
    reserve
}

impl Scanned {
    /// Bytes of the segment with which the new life begins.
    fn need(&self) -> u64 {
        let state = begin_payload(self.durable_end, &self.durable_state).len;
        let rest = self.rest.bytes();
        // The last head shows where the log ends.
        u64::from(SEGMENT_HEADER_BYTES) + u64::from(HEAD_BYTES) + state + rest + u64::from(HEAD_BYTES)
    }
}

/// Removes what only takes the room that the new segments of this lane and of the others may need: files that the last life
/// left unfinished, and segments that it was about to remove. Where the reserve of a lane does not suffice (a power cut may
/// have taken it), the others give theirs up, too: they may be on the same disk.
pub(crate) fn make_room(lanes: &mut [(LaneDir, Scanned)]) {
    let suffices = |scanned: &Scanned| {
        let need = scanned.need();
        scanned.reserve.iter().any(|spare| spare.size >= need)
    };
    let all_suffice = lanes.iter().all(|(_, scanned)| suffices(scanned));
    for (dir, scanned) in lanes {
        if !all_suffice {
            scanned.junk.extend(scanned.reserve.drain(..).map(|spare| spare.path));
        }
        let Scanned { junk, retired, .. } = scanned;
        remove_leftovers(dir, junk, retired);
    }
}

fn remove_leftovers(dir: &LaneDir, junk: &mut Vec<PathBuf>, retired: &[PathBuf]) {
    junk.retain(|path| !((is_leftover(path) || retired.contains(path)) && dir.vfs.remove_file(path).is_ok()));
}

/// Begins the lane's new life: a segment with the state and the records that were not known to be durable. `lanes_left`, this one
/// included, still have to.
pub(crate) fn begin_life(
    dir: &LaneDir,
    scanned: Scanned,
    options: &Options,
    (lanes_left, salt): (u64, u64),
) -> Result<Recovered, OpenError> {
    let need = scanned.need();
    let Scanned { durable_state, durable_end, rest, state, mut segments, junk, mut reserve, .. } = scanned;
    if need > u64::from(u32::MAX) {
        let what = "bytes to be written again";
        return Err(StorageError::Limit { what, actual: need, max: u32::MAX.into() }.into());
    }
    let id = segment_number(scanned.next_id)?;
    let payload = begin_payload(durable_end, &durable_state);
    let begin_len = u64::from(HEAD_BYTES) + payload.len;
    let spare = create_first(dir, id, options, (need, lanes_left), &mut reserve)?;
    let header = SegmentHeader { store: dir.store, lane: dir.lane, id, salt, size: spare.size };
    let seal = header.seal();
    let write = |bytes: &[&[u8]], offset: u64| {
        let mut slices: Vec<_> = bytes.iter().map(|bytes| IoSlice::new(bytes)).collect();
        spare.file.write_all_at(&mut slices, offset).map_err(|(_, error)| dir.error("write", &spare.path, error))
    };
    let head = begin_head(&payload, &durable_state, durable_end);
    write(&[&header.encode()], 0)?;
    let payload = payload.pieces().collect::<Vec<_>>().concat();
    write(&[&head.encode(seal, SEGMENT_HEADER_BYTES), &payload], SEGMENT_HEADER_BYTES.into())?;
    let begin_end = SEGMENT_HEADER_BYTES + u32::try_from(begin_len).unwrap_or(u32::MAX);
    let mut again = Rewritten { at: begin_end, bytes: Vec::new() };
    let mut records = rest.read();
    while let Some(Found { head, payload, .. }) = records.next()? {
        let head = Head { durable: durable_end, ..head };
        again.push(&head.encode(seal, again.end()), &payload, &write)?;
    }
    again.flush(&write)?;
    let offset = again.at;
    // ORDER: the whole segment is durable before it gets its name: with the name, what follows `durable_end` in older
    // segments stops to count.
    spare.file.sync_data().map_err(|error| StorageError::io("sync", &spare.path, error))?;
    let path = dir.file(&segment_name(header.id));
    dir.vfs.rename(&spare.path, &path).map_err(|error| StorageError::io("rename to", &path, error))?;
    dir.sync_names().inspect_err(|_| {
        // The next open must not build on a name of which nobody knows whether it is durable.
        let _ = dir.vfs.remove_file(&path);
    })?;
    let active = Arc::new(dir.segment(&header, path, spare.file.clone(), durable_state.next_seq));
    segments.insert(active.id, active.clone());
    Ok(Recovered {
        state,
        segments,
        active,
        file: spare.file,
        offset,
        junk,
        reserve,
        checkpoint_generation: scanned.checkpoint_generation,
        report: scanned.report,
    })
}

/// Frames that are written again, many of them at once.
struct Rewritten {
    at: u32,
    bytes: Vec<u8>,
}

impl Rewritten {
    fn end(&self) -> u32 {
        self.at.saturating_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    fn push<E>(
        &mut self,
        head: &[u8],
        payload: &[u8],
        write: &impl Fn(&[&[u8]], u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if payload.len() >= REWRITE_BYTES {
            self.flush(write)?;
            write(&[head, payload], self.at.into())?;
            self.at += u32::try_from(head.len() + payload.len()).unwrap_or(u32::MAX);
            return Ok(());
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        if self.bytes.len() >= REWRITE_BYTES { self.flush(write) } else { Ok(()) }
    }

    fn flush<E>(&mut self, write: &impl Fn(&[&[u8]], u64) -> Result<(), E>) -> Result<(), E> {
        if !self.bytes.is_empty() {
            write(&[&self.bytes], self.at.into())?;
            self.at = self.end();
            self.bytes.clear();
        }
        Ok(())
    }
}

/// The file of the new segment, smaller where the disk has little room, but never smaller than `need` bytes. On a full
/// disk it is one of the reserve.
fn create_first(
    dir: &LaneDir,
    id: u32,
    options: &Options,
    (need, lanes_left): (u64, u64),
    reserve: &mut Vec<Spare>,
) -> Result<Spare, StorageError> {
    let name = format!("{}.new", segment_name(id));
    // Whatever room there is may be for all lanes that are left: where they gave their reserves up, it is all that they have.
    let available = dir.vfs.available_bytes(&dir.path).unwrap_or(u64::MAX) / lanes_left.max(1);
    let sizes = [options.segment_bytes_first.min(options.segment_bytes), SEGMENT_BYTES_RESERVE];
    for size in sizes.into_iter().map(|size| size.max(need)).filter(|size| *size <= available) {
        match dir.create_spare(&name, size) {
            Err(StorageError::DiskFull { .. }) => {}
            created => return created,
        }
    }
    match (dir.create_spare(&name, need), reserve.iter().position(|spare| spare.size >= need)) {
        (Err(StorageError::DiskFull { .. }), Some(index)) => Ok(reserve.swap_remove(index)),
        (Err(StorageError::DiskFull { .. }), None) => {
            // Together they may do.
            for spare in reserve.drain(..) {
                let _ = dir.vfs.remove_file(&spare.path);
            }
            dir.create_spare(&name, need)
        }
        (created, _) => created,
    }
}

/// Whether a checkpoint fits the log. One that names a place behind the log's end proves that durable data is missing; if
/// that is passed over, it is still the best that is known of what was before.
fn usable(
    checkpoint: Checkpoint,
    files: &Files,
    tail: Option<&Tail>,
    dir: &LaneDir,
    options: &Options,
    report: &mut LaneReport,
) -> Option<Checkpoint> {
    let id = checkpoint.pos.segment();
    let newest = tail.map_or(0, |tail| tail.id);
    let stands_in = tail.is_some_and(|tail| tail.id == id && tail.segment.is_none());
    match files.segments.get(&id) {
        Some(segment) if segment.salt == checkpoint.salt => {
            let offset = u32::try_from(segment.size).unwrap_or(u32::MAX);
            if checkpoint.pos.offset() <= offset {
                return Some(checkpoint);
            }
            if id < newest {
                return None;
            }
            let detail = "the segment ends before the place that the checkpoint is about";
            report.note(damage(segment, offset, u64::from(checkpoint.pos.offset() - offset), None, detail));
            (options.on_corruption == OnCorruption::Salvage).then_some(checkpoint)
        }
        None if (id > newest && !planted(Bug::LostEndUnnoticed)) || stands_in => {
            let path = dir.file(&segment_name(id));
            let detail = "the segment that the checkpoint is about is missing".to_owned();
            report.note(Damage { path, offset: 0, bytes: checkpoint.pos.offset().into(), events: None, detail });
            stands_in.then_some(checkpoint)
        }
        _ => stands_in.then_some(checkpoint),
    }
}

pub(crate) fn fail_on_damage(report: &LaneReport, options: &Options) -> Result<(), OpenError> {
    if report.damage.is_empty() || options.on_corruption == OnCorruption::Salvage {
        return Ok(());
    }
    let report = RecoveryReport { lanes: vec![report.clone()], ..RecoveryReport::default() };
    Err(OpenError::Corrupt(Box::new(report)))
}

/// So much is written again at once.
const REWRITE_BYTES: usize = 256 << 10;
