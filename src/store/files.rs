//! The files of a lane's directory, and which of them is the newest segment of the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::frame::{FORMAT_VERSION, HEAD_BYTES, Head, Kind, LanePos, SEGMENT_HEADER_BYTES};
use super::report::{Damage, LaneReport, OpenError};
use super::rotation::parse_begin;
use super::scan::{Frame, Frames, find_head, newest_mark};
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
    /// Spares that the last life held in reserve, by number.
    pub(crate) reserve: BTreeMap<u32, PathBuf>,
}

impl Files {
    pub(crate) fn list(dir: &LaneDir) -> Result<Self, OpenError> {
        let io = |error| StorageError::io("list", &dir.path, error);
        let mut files =
            Self { segments: BTreeMap::new(), junk: Vec::new(), headless: BTreeMap::new(), reserve: BTreeMap::new() };
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
                    Err(SegmentError::Foreign { path }) => {
                        let detail = format!("{} is a segment of another store", path.display());
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

    /// Finds the newest segment of the log. Newer ones were only prepared, or belong to what a power cut took the middle
    /// of, unless they prove otherwise.
    pub(crate) fn find_tail(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        report: &mut LaneReport,
    ) -> Result<Option<Tail>, StorageError> {
        loop {
            let Some(tail) = self.newest_begun(report)? else {
                self.report_headless(0, report);
                return Ok(None);
            };
            let Some(torn) = self.torn_link(&tail, checkpoint)? else {
                self.report_headless(tail.segment.id, report);
                return Ok(Some(tail));
            };
            let unreachable = self.segments.split_off(&torn);
            self.junk.extend(unreachable.into_values().map(|segment| segment.path));
        }
    }

    /// The newest segment before the tail whose begin is neither valid nor known to have been durable: nothing of it, and
    /// of those behind it, was ever synced. Only a weaker durability than `Sync` leaves such segments behind.
    fn torn_link(&self, tail: &Tail, checkpoint: Option<&Checkpoint>) -> Result<Option<u32>, StorageError> {
        let of_log = |checkpoint: &&Checkpoint| {
            self.segments.get(&checkpoint.pos.segment()).is_some_and(|segment| segment.salt == checkpoint.salt)
        };
        let covered = checkpoint.filter(of_log).map_or(LanePos::default(), |checkpoint| checkpoint.pos);
        let mut known = tail.begin.head.durable.max(covered);
        let (mut newer, mut begin_end) = (tail.segment.clone(), tail.begin.end(tail.segment.id));
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
                (begin_end, previous_end) = (begin.end(id), begin.previous_end);
                newer = segment;
                continue;
            }
            let place = LanePos::new(id, SEGMENT_HEADER_BYTES);
            if known > place {
                return Ok(None);
            }
            for later in self.segments.range(id..).map(|(_, segment)| segment.reopened()) {
                if find_proof(&later, SEGMENT_HEADER_BYTES, u32::MAX, place)?.is_some() {
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
                report.damage.push(Damage { path: path.clone(), offset: 0, bytes: 0, events: None, detail });
            }
            self.junk.push(path);
        }
    }

    fn newest_begun(&mut self, report: &mut LaneReport) -> Result<Option<Tail>, StorageError> {
        while let Some((id, segment)) = self.segments.pop_last() {
            let opened = segment.reopened();
            if let Some(begin) = Begin::read(&opened)? {
                self.segments.insert(id, segment);
                return Ok(Some(Tail { segment: opened, begin }));
            }
            let place = LanePos::new(id, SEGMENT_HEADER_BYTES);
            if let Some(proof) = find_proof(&segment, place.offset() + 1, u32::MAX, place)? {
                let bytes = u64::from(proof - SEGMENT_HEADER_BYTES);
                report.damage.push(damage(
                    &segment,
                    SEGMENT_HEADER_BYTES,
                    bytes,
                    None,
                    "the segment's begin is damaged",
                ));
            }
            self.junk.push(segment.path);
        }
        Ok(None)
    }

    /// A number that no file has.
    pub(crate) fn next_id(&self) -> u32 {
        let numbers = self.segments.keys().chain(self.headless.keys()).chain(self.reserve.keys());
        numbers.max().map_or(1, |id| id + 1)
    }

    pub(crate) fn all_paths(self) -> Vec<PathBuf> {
        self.junk.into_iter().chain(self.segments.into_values().map(|segment| segment.path)).collect()
    }
}

/// The newest segment that was begun.
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    pub(crate) begin: Begin,
}

/// A segment's first record.
pub(crate) struct Begin {
    pub(crate) head: Head,
    pub(crate) previous_end: LanePos,
    pub(crate) state: LaneState,
}

impl Begin {
    pub(crate) fn read(segment: &Arc<Segment>) -> Result<Option<Self>, StorageError> {
        match Frames::new(segment.clone())?.at(SEGMENT_HEADER_BYTES, u32::MAX)? {
            Frame::Valid(head, payload) if head.kind == Kind::Begin => {
                Ok(parse_begin(payload).ok().map(|(previous_end, state)| Self { head, previous_end, state }))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn end(&self, segment: u32) -> LanePos {
        LanePos::new(segment, SEGMENT_HEADER_BYTES).after(u32::try_from(self.head.frame_len()).unwrap_or(u32::MAX))
    }
}

/// Whether a file was to become a segment and did not.
pub(crate) fn is_leftover(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "spare" || extension == "new")
}

/// A place between `from` and `end` with a valid head that says that `place` had been durable.
pub(crate) fn find_proof(segment: &Segment, from: u32, end: u32, place: LanePos) -> Result<Option<u32>, StorageError> {
    let mut from = from;
    while let Some((offset, head)) = find_head(segment, from, end)? {
        if head.durable > place {
            return Ok(Some(offset));
        }
        from = offset + HEAD_BYTES;
    }
    Ok(None)
}

pub(crate) fn damage(segment: &Segment, offset: u32, bytes: u64, events: Option<u64>, detail: &str) -> Damage {
    Damage { path: segment.path.clone(), offset: offset.into(), bytes, events, detail: detail.to_owned() }
}
