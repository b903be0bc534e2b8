//! The files of a lane's directory, and which of them is the newest segment of the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::begin::parse_begin;
use super::checkpoint::Checkpoint;
use super::frame::{FORMAT_VERSION, Kind, LanePos, SEGMENT_HEADER_BYTES};
use super::options::OnCorruption;
use super::report::{Damage, LaneReport, OpenError};
use super::scan::{Frame, Frames, find_head, newest_mark, newest_mark_anywhere};
use super::segment::{LaneDir, Segment, SegmentError, parse_segment_name};
use super::spares::parse_reserve_name;
use super::state::LaneState;
use crate::error::StorageError;

/// The files of a lane's directory.
pub(crate) struct Files {
    pub(crate) segments: BTreeMap<u32, Segment>,
    /// Files that nothing refers to.
    pub(crate) junk: Vec<PathBuf>,
    /// Files with the name of a segment and no valid header.
    pub(crate) headless: BTreeMap<u32, PathBuf>,
    /// Segments that were begun, behind the newest whose begin is valid; oldest first.
    beheaded: Vec<Segment>,
    /// Spares that the last life held in reserve, by number.
    pub(crate) reserve: BTreeMap<u32, PathBuf>,
}

impl Files {
    pub(crate) fn list(dir: &LaneDir) -> Result<Self, OpenError> {
        let io = |error| StorageError::io("list", &dir.path, error);
        let mut files = Self {
            segments: BTreeMap::new(),
            junk: Vec::new(),
            headless: BTreeMap::new(),
            beheaded: Vec::new(),
            reserve: BTreeMap::new(),
        };
        for name in dir.vfs.read_dir(&dir.path).map_err(io)? {
            let Some(name) = name.to_str() else { continue };
            if let Some(id) = parse_segment_name(name) {
                match dir.open_segment(id) {
                    Ok(Some(segment)) => {
                        segment.release();
                        files.segments.insert(id, segment);
                    }
                    Ok(None) => {
                        files.headless.insert(id, dir.file(name));
                    }
                    Err(SegmentError::Storage(error)) => return Err(error.into()),
                    Err(SegmentError::Version { path, found }) => {
                        return Err(OpenError::Version { path, found, newest: FORMAT_VERSION });
                    }
                    Err(SegmentError::Foreign { path, of }) => {
                        let detail = format!("{} is a segment of {of}", path.display());
                        return Err(OpenError::NotPartOf { dir: dir.path.clone(), store: dir.path.clone(), detail });
                    }
                }
            } else if let Some(id) = parse_reserve_name(name) {
                files.reserve.insert(id, dir.file(name));
            } else if is_leftover(Path::new(name)) {
                files.junk.push(dir.file(name));
            }
        }
        Ok(files)
    }

    /// Finds where the log is to be read from: the newest segment with a valid begin. Newer ones were only prepared, or belong
    /// to what a power cut took the middle of, unless they prove otherwise.
    pub(crate) fn find_tail(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        policy: OnCorruption,
        report: &mut LaneReport,
    ) -> Result<Option<Tail>, StorageError> {
        loop {
            let mut tail = self.newest_begun(report)?;
            if policy == OnCorruption::Salvage {
                tail = self.salvaged_tail(tail, checkpoint)?;
            }
            let Some(tail) = tail else {
                self.report_headless(0, report);
                return Ok(None);
            };
            let Some(torn) = self.torn_link(&tail, checkpoint)? else {
                self.report_headless(tail.id, report);
                return Ok(Some(tail));
            };
            let unreachable = self.segments.split_off(&torn);
            self.junk.extend(unreachable.into_values().map(|segment| segment.path));
        }
    }

    /// Where to read from if damage is passed over: a checkpoint says all that was lost with the begins behind it, and even
    /// with the segments.
    fn salvaged_tail(
        &mut self,
        tail: Option<Tail>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Option<Tail>, StorageError> {
        let beheaded: Vec<_> = self.beheaded.iter().map(Segment::reopened).collect();
        let beheaded_from =
            |id: u32| beheaded.iter().filter(move |segment| segment.id > id).cloned().collect::<Vec<_>>();
        for segment in std::mem::take(&mut self.beheaded) {
            self.segments.insert(segment.id, segment);
        }
        let newest = tail.as_ref().map_or(0, |tail| tail.id);
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.pos.segment() > newest) {
            let id = checkpoint.pos.segment();
            let segment = beheaded.iter().find(|segment| segment.id == id && segment.salt == checkpoint.salt).cloned();
            let begin = Begin::of_state(checkpoint.pos, checkpoint.state.clone());
            return Ok(Some(Tail { id, segment, begin, behind: beheaded_from(id) }));
        }
        if let Some(tail) = tail {
            return Ok(Some(Tail { behind: beheaded_from(newest), ..tail }));
        }
        let Some(first) = beheaded.first().cloned() else { return Ok(None) };
        // Nothing says any more what was before it, and nothing of that is left.
        let seq = find_head(&first, SEGMENT_HEADER_BYTES + 1, u32::MAX)?.map_or(0, |(_, head)| head.seq);
        let state = LaneState { next_seq: seq, first_seq: seq, ..LaneState::default() };
        let begin = Begin::of_state(LanePos::new(first.id, SEGMENT_HEADER_BYTES), state);
        Ok(Some(Tail { id: first.id, behind: beheaded_from(first.id), segment: Some(first), begin }))
    }

    /// The newest segment before the tail whose begin is neither valid nor known to have been durable: nothing of it, and
    /// of those behind it, was ever synced. Only a weaker durability than `Sync` leaves such segments behind.
    fn torn_link(&self, tail: &Tail, checkpoint: Option<&Checkpoint>) -> Result<Option<u32>, StorageError> {
        let of_log = |checkpoint: &&Checkpoint| {
            self.segments.get(&checkpoint.pos.segment()).is_some_and(|segment| segment.salt == checkpoint.salt)
        };
        let covered = checkpoint.filter(of_log).map_or(LanePos::default(), |checkpoint| checkpoint.pos);
        let mut known = tail.begin.durable.max(covered);
        let Some(mut newer) = tail.segment.clone() else { return Ok(None) };
        let mut begin_end = tail.begin.end;
        let mut previous_end = tail.begin.previous_end;
        while known < previous_end {
            known = known.max(newest_mark(&newer, begin_end)?);
            if known >= previous_end {
                break;
            }
            let id = previous_end.segment();
            // A segment's name is durable before its first record: one that is missing was lost in another way.
            let before = self.segments.get(&id).filter(|_| id < newer.id);
            let Some(segment) = before.map(Segment::reopened) else { return Ok(None) };
            if let Some(begin) = Begin::read(&segment)? {
                (begin_end, previous_end) = (begin.end, begin.previous_end);
                newer = segment;
                continue;
            }
            let place = LanePos::new(id, SEGMENT_HEADER_BYTES);
            if known > place {
                return Ok(None);
            }
            for later in self.segments.range(id..).map(|(_, segment)| segment.reopened()) {
                known = known.max(newest_mark_anywhere(&later, SEGMENT_HEADER_BYTES, u32::MAX)?);
                if known > place {
                    return Ok(None);
                }
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// A file gets a segment's name only with a valid header. Whether an older one is missed, the log tells.
    fn report_headless(&mut self, newest: u32, report: &mut LaneReport) {
        for (id, path) in std::mem::take(&mut self.headless) {
            if id > newest {
                let detail = "the segment's header is damaged".to_owned();
                report.note(Damage { path: path.clone(), offset: 0, bytes: 0, events: None, detail });
            }
            self.junk.push(path);
        }
    }

    fn newest_begun(&mut self, report: &mut LaneReport) -> Result<Option<Tail>, StorageError> {
        while let Some((id, segment)) = self.segments.pop_last() {
            let opened = segment.reopened();
            if let Some(begin) = Begin::read(&opened)? {
                self.segments.insert(id, segment);
                return Ok(Some(Tail { id, segment: Some(opened), begin, behind: Vec::new() }));
            }
            let place = LanePos::new(id, SEGMENT_HEADER_BYTES);
            if newest_mark_anywhere(&segment, SEGMENT_HEADER_BYTES, u32::MAX)? > place {
                report.note(begin_damage(&segment)?);
                self.beheaded.insert(0, segment);
                continue;
            }
            if segment.cut_short {
                let offset = u32::try_from(segment.size).unwrap_or(u32::MAX);
                report.note(damage(&segment, offset, 0, None, "the segment is shorter than it was"));
            }
            self.junk.push(segment.path);
        }
        Ok(None)
    }

    /// A number that no file has.
    pub(crate) fn next_id(&self) -> u32 {
        let newest = self.segments.keys().next_back().copied().unwrap_or(0);
        // Numbers far beyond it were never given to a file: they would only use up those to come.
        let ours = newest..=newest.saturating_add(NUMBERS_AHEAD_MAX);
        let numbers = self.headless.keys().chain(self.reserve.keys()).filter(|id| ours.contains(id));
        numbers.copied().max().unwrap_or(0).max(newest).saturating_add(1)
    }

    pub(crate) fn all_paths(self) -> Vec<PathBuf> {
        let segments = self.segments.into_values().chain(self.beheaded);
        self.junk.into_iter().chain(segments.map(|segment| segment.path)).collect()
    }
}

/// Where the log is read from.
pub(crate) struct Tail {
    /// Number of the newest segment that was begun.
    pub(crate) id: u32,
    /// It is missing only if damage is passed over.
    pub(crate) segment: Option<Arc<Segment>>,
    pub(crate) begin: Begin,
    /// Segments behind it, whose begins are damaged.
    pub(crate) behind: Vec<Arc<Segment>>,
}

/// A segment's first record.
pub(crate) struct Begin {
    /// How far the log was durable when it was written.
    pub(crate) durable: LanePos,
    pub(crate) previous_end: LanePos,
    pub(crate) end: LanePos,
    pub(crate) state: LaneState,
}

impl Begin {
    pub(crate) fn read(segment: &Arc<Segment>) -> Result<Option<Self>, StorageError> {
        let place = LanePos::new(segment.id, SEGMENT_HEADER_BYTES);
        match Frames::new(segment.clone())?.at(SEGMENT_HEADER_BYTES, u32::MAX)? {
            Frame::Valid(head, payload) if head.kind == Kind::Begin => {
                let end = place.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
                let begin = |(previous_end, state)| Self { durable: head.durable, previous_end, end, state };
                Ok(parse_begin(payload).ok().map(begin))
            }
            _ => Ok(None),
        }
    }

    /// In the place of one that is damaged: nothing before `end` is looked at.
    fn of_state(end: LanePos, state: LaneState) -> Self {
        Self { durable: LanePos::default(), previous_end: LanePos::default(), end, state }
    }
}

/// Whether a file was to become a segment and did not.
pub(crate) fn is_leftover(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "spare" || extension == "new")
}

/// A segment whose header is valid and whose first record is not.
pub(crate) fn begin_damage(segment: &Segment) -> Result<Damage, StorageError> {
    let next = find_head(segment, SEGMENT_HEADER_BYTES + 1, u32::MAX)?;
    let bytes = u64::from(next.map_or(0, |(offset, _)| offset - SEGMENT_HEADER_BYTES));
    Ok(damage(segment, SEGMENT_HEADER_BYTES, bytes, None, "the segment's begin is damaged"))
}

pub(crate) fn damage(segment: &Segment, offset: u32, bytes: u64, events: Option<u64>, detail: &str) -> Damage {
    Damage { path: segment.path.clone(), offset: offset.into(), bytes, events, detail: detail.to_owned() }
}

/// Numbers that a life gives to spares before one of them becomes a segment, at most.
const NUMBERS_AHEAD_MAX: u32 = 1 << 20;
