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
//! No segment of an earlier life is ever written to.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::{self, Checkpoint};
use super::files::{Begin, Files, Tail, damage, find_proof, is_leftover};
use super::frame::{HEAD_BYTES, Head, Kind, LanePos, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::options::{OnCorruption, Options};
use super::record::{Ack, PutMeta, decode_ack, decode_put};
use super::report::{Damage, LaneReport, OpenError, RecoveryReport};
use super::rotation::begin_payload;
use super::scan::{Frame, Frames, count_heads, find_head, newest_mark};
use super::segment::{LaneDir, Segment, Spare, segment_name};
use super::spares::RESERVE_SEGMENTS;
use super::state::LaneState;
use crate::error::StorageError;
use crate::limits::SEGMENT_BYTES_RESERVE;
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
    durable_end: LanePos,
    /// The records behind them, to be written again.
    rest: Vec<Item>,
    /// After all records.
    pub(crate) state: LaneState,
    pub(crate) segments: BTreeMap<u32, Arc<Segment>>,
    /// Sealed segments that are not there, or not as they were.
    pub(crate) missing: Vec<u32>,
    junk: Vec<PathBuf>,
    /// Those of them that no event needs any more.
    retired: Vec<PathBuf>,
    /// Spares that the last life held in reserve.
    reserve: Vec<Spare>,
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
    let tail = files.find_tail(checkpoint.as_ref(), &mut report)?;
    let checkpoint = match checkpoint {
        Some(checkpoint) => usable(checkpoint, &files, tail.as_ref(), dir, &mut report),
        None => None,
    };
    fail_on_damage(&report, options)?;
    let Some(tail) = tail else {
        let junk = files.all_paths();
        return Ok(Scanned { junk, reserve, next_id, checkpoint_generation, report, ..Scanned::default() });
    };
    let mut scan = Scan::new(&files, tail, checkpoint, report, options)?;
    let oldest = scan.chain.front().map_or(0, |(segment, _)| segment.id);
    scan.run()?;
    let unproven_begin = scan.unproven_begin();
    let Scan { state: mut durable_state, folded, pending, mut report, .. } = scan;
    let durable_end = unproven_begin.unwrap_or(folded);
    if unproven_begin.is_none() {
        durable_state.seal(folded);
    }
    let rest: Vec<Item> =
        pending.into_iter().filter(|item| matches!(item.what, What::Put(..) | What::Ack(..))).collect();
    report.rewritten_records = rest.len() as u64;
    let mut state = durable_state.clone();
    rest.iter().for_each(|item| item.apply(&mut state));
    let mut segments = BTreeMap::new();
    let mut missing = Vec::new();
    for (id, sealed) in &state.sealed {
        match files.segments.remove(id) {
            Some(mut segment) if segment.size >= sealed.end.into() => {
                segment.first_seq = sealed.first_seq;
                segment.seal_at(sealed.end);
                segment.release();
                segments.insert(*id, Arc::new(segment));
            }
            Some(segment) => {
                files.junk.push(segment.path);
                missing.push(*id);
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
        junk,
        retired,
        reserve,
        next_id,
        checkpoint_generation,
        report,
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
        let rest: u64 = self.rest.iter().map(|item| item.head.frame_len()).sum();
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

/// Begins the lane's new life: a segment with the state and the records that were not known to be durable.
pub(crate) fn begin_life(
    dir: &LaneDir,
    scanned: Scanned,
    options: &Options,
    salt: u64,
) -> Result<Recovered, OpenError> {
    let need = scanned.need();
    let Scanned { durable_state, durable_end, rest, state, mut segments, junk, mut reserve, .. } = scanned;
    if need > u64::from(u32::MAX) {
        let what = "bytes to be written again";
        return Err(StorageError::Limit { what, actual: need, max: u32::MAX.into() }.into());
    }
    let payload = begin_payload(durable_end, &durable_state);
    let begin_len = u64::from(HEAD_BYTES) + payload.len;
    let spare = create_first(dir, scanned.next_id, options, need, &mut reserve)?;
    let header = SegmentHeader { store: dir.store, lane: dir.lane, id: scanned.next_id, salt, size: spare.size };
    let seal = header.seal();
    let write = |bytes: &[&[u8]], offset: u64| {
        let mut slices: Vec<_> = bytes.iter().map(|bytes| IoSlice::new(bytes)).collect();
        spare.file.write_all_at(&mut slices, offset).map_err(|(_, error)| dir.error("write", &spare.path, error))
    };
    let head = Head {
        kind: Kind::Begin,
        payload_len: u32::try_from(payload.len).unwrap_or(u32::MAX),
        events: 0,
        seq: durable_state.next_seq,
        stamp: durable_state.stamp,
        durable: durable_end,
        payload_crc: payload.crc,
    };
    write(&[&header.encode()], 0)?;
    let chunks = payload.chunks.concat();
    write(&[&head.encode(seal, SEGMENT_HEADER_BYTES), &chunks], SEGMENT_HEADER_BYTES.into())?;
    let mut offset = SEGMENT_HEADER_BYTES + u32::try_from(begin_len).unwrap_or(u32::MAX);
    for item in &rest {
        let head = Head { durable: durable_end, ..item.head };
        write(&[&head.encode(seal, offset), &item.read_payload()?], offset.into())?;
        offset += u32::try_from(head.frame_len()).unwrap_or(u32::MAX);
    }
    // ORDER: the whole segment is durable before it gets its name: with the name, what follows `durable_end` in older
    // segments stops to count.
    spare.file.sync_data().map_err(|error| StorageError::io("sync", &spare.path, error))?;
    let path = dir.file(&segment_name(header.id));
    dir.vfs.rename(&spare.path, &path).map_err(|error| StorageError::io("rename to", &path, error))?;
    dir.vfs.sync_dir(&dir.path).map_err(|error| {
        // The next open must not build on a name of which nobody knows whether it is durable.
        let _ = dir.vfs.remove_file(&path);
        StorageError::io("sync directory", &dir.path, error)
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

/// The file of the new segment, smaller where the disk has little room, but never smaller than `need` bytes. On a full
/// disk it is one of the reserve.
fn create_first(
    dir: &LaneDir,
    id: u32,
    options: &Options,
    need: u64,
    reserve: &mut Vec<Spare>,
) -> Result<Spare, StorageError> {
    let name = format!("{}.new", segment_name(id));
    for size in [options.segment_bytes_first.min(options.segment_bytes), SEGMENT_BYTES_RESERVE] {
        match dir.create_spare(&name, size.max(need)) {
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

/// Whether a checkpoint fits the log. One that names a place behind the log's end proves that durable data is missing.
fn usable(
    checkpoint: Checkpoint,
    files: &Files,
    tail: Option<&Tail>,
    dir: &LaneDir,
    report: &mut LaneReport,
) -> Option<Checkpoint> {
    let id = checkpoint.pos.segment();
    let segment = files.segments.get(&id);
    let newest = tail.map_or(0, |tail| tail.segment.id);
    match segment {
        Some(segment) if segment.salt == checkpoint.salt && u64::from(checkpoint.pos.offset()) <= segment.size => {
            Some(checkpoint)
        }
        Some(segment) if segment.salt == checkpoint.salt => {
            let detail = "the segment ends before the place that the checkpoint is about";
            let offset = u32::try_from(segment.size).unwrap_or(u32::MAX);
            report.damage.push(damage(segment, offset, 0, None, detail));
            None
        }
        None if id > newest => {
            let path = dir.file(&segment_name(id));
            let detail = "the segment that the checkpoint is about is missing".to_owned();
            report.damage.push(Damage { path, offset: 0, bytes: 0, events: None, detail });
            None
        }
        _ => None,
    }
}

/// A record, or the end of a segment, in the order of the log.
#[derive(Debug)]
struct Item {
    segment: Arc<Segment>,
    offset: u32,
    end: LanePos,
    head: Head,
    what: What,
}

#[derive(Debug)]
enum What {
    Put(PutMeta),
    Ack(Ack),
    Begin,
    Seal,
}

impl Item {
    fn apply(&self, state: &mut LaneState) {
        match &self.what {
            What::Put(meta) => state.put(&self.head, meta),
            What::Ack(ack) => state.ack(&self.head, ack),
            What::Begin => {}
            What::Seal => state.seal(self.end),
        }
    }

    fn read_payload(&self) -> Result<Bytes, StorageError> {
        let mut bytes = vec![0; self.head.payload_len as usize];
        let read = self.segment.file()?.read_exact_at(&mut bytes, u64::from(self.offset) + u64::from(HEAD_BYTES));
        read.map_err(|error| StorageError::io("read", &self.segment.path, error))?;
        // What was valid in the page cache may have been dropped from it since, and never have been on the disk.
        if crc32fast::hash(&bytes) != self.head.payload_crc {
            return Err(self.segment.corrupt(self.offset, "the record changed while it was recovered"));
        }
        Ok(bytes.into())
    }
}

/// The walk over the frames that count.
struct Scan<'a> {
    options: &'a Options,
    // The segments to scan, oldest first; all but the last with their end.
    chain: VecDeque<(Arc<Segment>, Option<u32>)>,
    at: LanePos,
    // Known durable.
    durable: LanePos,
    // State after all items up to `folded`.
    state: LaneState,
    folded: LanePos,
    // Ends of the first BEGIN and of the segment before it.
    begin: (LanePos, LanePos),
    // Items behind `folded`.
    pending: VecDeque<Item>,
    // Sequence number that the next PUT record must have; `None` behind damage.
    next_seq: Option<u64>,
    clean_end: Option<LanePos>,
    report: LaneReport,
}

impl<'a> Scan<'a> {
    fn new(
        files: &Files,
        tail: Tail,
        checkpoint: Option<Checkpoint>,
        mut report: LaneReport,
        options: &'a Options,
    ) -> Result<Self, OpenError> {
        let mut known = tail.begin.head.durable.max(checkpoint.as_ref().map_or(LanePos::default(), |found| found.pos));
        let mut chain = VecDeque::from([(tail.segment.clone(), None)]);
        let (mut segment, mut begin) = (tail.segment, tail.begin);
        // As long as the segment before was not wholly durable, its frames have to be looked at.
        while known < begin.previous_end {
            // The frames behind the begin may know more. What they know to be durable may have been freed since.
            known = known.max(newest_mark(&segment, begin.end(segment.id))?);
            if known >= begin.previous_end {
                break;
            }
            let id = begin.previous_end.segment();
            let end = begin.previous_end.offset();
            // An earlier segment has a smaller id: damage must not send the walk round in a circle.
            let before = files.segments.get(&id).filter(|_| id < segment.id).map(Segment::reopened);
            let before_begin = before.as_ref().map_or(Ok(None), Begin::read)?;
            let (Some(before), Some(before_begin)) = (before, before_begin) else {
                let path = segment.path.with_file_name(segment_name(id));
                let detail = "the segment is missing or its begin is damaged".to_owned();
                report.damage.push(Damage { path, offset: 0, bytes: end.into(), events: None, detail });
                fail_on_damage(&report, options)?;
                break;
            };
            chain.push_front((before.clone(), Some(end)));
            (segment, begin) = (before, before_begin);
        }
        let begin_end = begin.end(segment.id);
        let mut scan = Self {
            options,
            chain,
            at: begin_end,
            durable: known.max(begin.head.durable),
            state: begin.state,
            folded: begin_end,
            begin: (begin_end, begin.previous_end),
            pending: VecDeque::new(),
            next_seq: None,
            clean_end: None,
            report,
        };
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.pos >= begin_end) {
            while scan.chain.front().is_some_and(|(segment, _)| segment.id < checkpoint.pos.segment()) {
                scan.chain.pop_front();
            }
            scan.at = checkpoint.pos;
            scan.folded = checkpoint.pos;
            scan.state = checkpoint.state;
            scan.clean_end = checkpoint.clean.then_some(checkpoint.pos);
            scan.report.from_checkpoint = true;
        }
        scan.next_seq = Some(scan.state.next_seq);
        Ok(scan)
    }

    /// Where the segment before ends, if nothing says that the BEGIN from which the state was taken is durable: it may be
    /// in the page cache alone, so nothing new may be built on it, and its segment is left behind.
    fn unproven_begin(&self) -> Option<LanePos> {
        let (begin_end, previous_end) = self.begin;
        (self.durable < begin_end).then_some(previous_end)
    }

    fn run(&mut self) -> Result<(), OpenError> {
        while let Some((segment, end)) = self.chain.pop_front() {
            let mut frames = Frames::new(segment.clone())?;
            if !self.segment(&segment, end, &mut frames)? {
                // The log ends here; what later segments hold was never acknowledged.
                break;
            }
        }
        self.fold();
        Ok(())
    }

    /// Reads one segment. `false`: the log ends in it.
    fn segment(&mut self, segment: &Arc<Segment>, end: Option<u32>, frames: &mut Frames) -> Result<bool, OpenError> {
        if self.at.segment() != segment.id {
            self.at = LanePos::new(segment.id, SEGMENT_HEADER_BYTES);
        }
        loop {
            if end == Some(self.at.offset()) {
                let head = Head {
                    kind: Kind::Begin,
                    payload_len: 0,
                    events: 0,
                    seq: 0,
                    stamp: 0,
                    durable: self.at,
                    payload_crc: 0,
                };
                let item =
                    Item { segment: segment.clone(), offset: self.at.offset(), end: self.at, head, what: What::Seal };
                self.pending.push_back(item);
                self.fold();
                return Ok(true);
            }
            if end.is_none() && self.clean_end == Some(self.at) {
                self.report.clean = self.report.replayed_records == 0;
                return Ok(false);
            }
            match frames.at(self.at.offset(), end.unwrap_or(u32::MAX))? {
                Frame::Valid(head, payload) => match self.parse(head.kind, &head, payload) {
                    Some(what) => self.push(segment, head, what),
                    None if !self.invalid(segment, end, "the record makes no sense")? => return Ok(false),
                    None => {}
                },
                Frame::Torn if !self.invalid(segment, end, "the payload has another checksum")? => return Ok(false),
                Frame::Invalid if !self.invalid(segment, end, "no valid frame")? => return Ok(false),
                Frame::Torn | Frame::Invalid => {}
            }
        }
    }

    fn parse(&self, kind: Kind, head: &Head, payload: Bytes) -> Option<What> {
        match kind {
            Kind::Put => {
                let (meta, _) = decode_put(payload).ok()?;
                let events: u64 = meta.runs.iter().map(|run| u64::from(run.events)).sum();
                let in_place = self.next_seq.is_none_or(|next| next == head.seq);
                (in_place && events == u64::from(head.events)).then_some(What::Put(meta))
            }
            Kind::Ack => decode_ack(payload).ok().map(What::Ack),
            Kind::Begin => (self.at.offset() == SEGMENT_HEADER_BYTES).then_some(What::Begin),
        }
    }

    fn push(&mut self, segment: &Arc<Segment>, head: Head, what: What) {
        let offset = self.at.offset();
        self.at = self.at.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
        self.durable = self.durable.max(head.durable);
        if head.kind == Kind::Put {
            self.next_seq = Some(head.seq + u64::from(head.events));
        }
        self.report.replayed_records += 1;
        self.report.replayed_bytes += head.frame_len();
        self.pending.push_back(Item { segment: segment.clone(), offset, end: self.at, head, what });
        self.fold();
    }

    /// Applies the items that are known to be durable.
    fn fold(&mut self) {
        while self.pending.front().is_some_and(|item| item.end <= self.durable) {
            let Some(item) = self.pending.pop_front() else { return };
            item.apply(&mut self.state);
            self.folded = item.end;
        }
    }

    /// Decides what an invalid frame means. `false`: the log ends here. `true`: damage was passed over.
    fn invalid(&mut self, segment: &Arc<Segment>, end: Option<u32>, detail: &str) -> Result<bool, OpenError> {
        let limit = end.unwrap_or(u32::MAX);
        let mut proof = self.durable > self.at || find_proof(segment, self.at.offset() + 1, limit, self.at)?.is_some();
        for (later, later_end) in &self.chain {
            if !proof {
                let limit = later_end.unwrap_or(u32::MAX);
                proof = find_proof(later, SEGMENT_HEADER_BYTES, limit, self.at)?.is_some();
            }
        }
        let next = find_head(segment, self.at.offset() + 1, limit)?;
        if !proof {
            self.report.torn_records += count_heads(segment, self.at.offset(), limit)?;
            return Ok(false);
        }
        let upto = next.map(|(offset, _)| offset).or(end);
        let bytes = u64::from(upto.unwrap_or(self.at.offset()) - self.at.offset());
        let next_put = next.filter(|(_, head)| head.kind == Kind::Put);
        let events = next_put.zip(self.next_seq).map(|((_, head), expected)| head.seq.saturating_sub(expected));
        self.report.damage.push(damage(segment, self.at.offset(), bytes, events, detail));
        fail_on_damage(&self.report, self.options)?;
        self.next_seq = None;
        match upto {
            Some(offset) => {
                self.at = LanePos::new(segment.id, offset);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn fail_on_damage(report: &LaneReport, options: &Options) -> Result<(), OpenError> {
    if report.damage.is_empty() || options.on_corruption == OnCorruption::Salvage {
        return Ok(());
    }
    let report = RecoveryReport { lanes: vec![report.clone()], ..RecoveryReport::default() };
    Err(OpenError::Corrupt(Box::new(report)))
}
