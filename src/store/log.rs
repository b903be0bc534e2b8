//! The reading side of a lane: its segments, the recent records in memory, and the way from a sequence number to events.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{HEAD_BYTES, Head, Kind, LanePos, SEGMENT_HEADER_BYTES};
use super::options::{OnCorruption, ReadMode};
use super::ranges::RangeSet;
use super::record::{PutMeta, decode_events, decode_put};
use super::scan::find_head;
use super::segment::{LaneDir, Segment};
use crate::error::StorageError;
use crate::event::Event;
use crate::limits::READ_AHEAD_BYTES;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A put transaction, as takers see it.
#[derive(Debug)]
pub(crate) struct Record {
    /// Place of the frame behind it.
    pub(crate) next: LanePos,
    pub(crate) seq: u64,
    pub(crate) stamp: u64,
    pub(crate) meta: PutMeta,
    pub(crate) events: Vec<Event>,
    // Channels that have not read it to its end yet; counts only for records in the cache.
    readers: AtomicU32,
}

impl Record {
    pub(crate) fn new(next: LanePos, head: &Head, meta: PutMeta, events: Vec<Event>) -> Self {
        Self { next, seq: head.seq, stamp: head.stamp, meta, events, readers: AtomicU32::new(0) }
    }

    pub(crate) fn end_seq(&self) -> u64 {
        self.seq + self.events.len() as u64
    }
}

/// The readable part of a lane.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) dir: LaneDir,
    pub(crate) cache: TailCache,
    segments: Mutex<BTreeMap<u32, Arc<Segment>>>,
    read_mode: ReadMode,
    on_corruption: OnCorruption,
    // Sequence number behind the last visible event.
    published: AtomicU64,
    /// Bytes that reading has passed over as damaged (`OnCorruption::Salvage`).
    pub(crate) damaged_bytes: AtomicU64,
}

impl Log {
    pub(crate) fn new(
        dir: LaneDir,
        cache_bytes: u64,
        read_mode: ReadMode,
        on_corruption: OnCorruption,
        segments: BTreeMap<u32, Arc<Segment>>,
        published: u64,
    ) -> Self {
        Self {
            dir,
            cache: TailCache { inner: Mutex::default(), budget: cache_bytes },
            segments: Mutex::new(segments),
            read_mode,
            on_corruption,
            published: AtomicU64::new(published),
            damaged_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, end_seq: u64) {
        self.published.store(end_seq, Ordering::Release);
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.lock().insert(segment.id, segment);
    }

    pub(crate) fn remove_segment(&self, id: u32) -> Option<Arc<Segment>> {
        self.segments.lock().remove(&id)
    }

    /// Number of segments and the bytes of their files.
    pub(crate) fn size(&self) -> (u64, u64) {
        let segments = self.segments.lock();
        (segments.len() as u64, segments.values().map(|segment| segment.size).sum())
    }

    /// The record that holds `at.seq`, or the first one behind it; `None` if there is none, because all of them were damaged
    /// and passed over. Damage to events in `done` does not matter: they are not wanted any more, or known to be lost.
    /// `passed` learns among which numbers others are lost.
    pub(crate) fn record(
        &self,
        at: &mut ReadCursor,
        done: &RangeSet,
        passed: &mut Vec<(u64, u64)>,
    ) -> Result<Option<Arc<Record>>, StorageError> {
        if let Some(record) = self.cache.find(at.seq) {
            at.pos = Some(record.next);
            at.ahead = None;
            return Ok(Some(record));
        }
        let mut pos = at.pos.unwrap_or_else(|| self.seek(at.seq));
        loop {
            let Some(segment) = self.segment_at(&mut pos) else {
                return Err(self.missing(at.seq));
            };
            let head = self.frame_head(&segment, pos.offset(), at);
            if !matches!(head, Ok(Some(_))) && self.is_gone(&segment) {
                // Freed while we walked over it: it held nothing for this reader.
                at.ahead = None;
                continue;
            }
            let Some(head) = head? else {
                match self.pass_over(&segment, pos, at.seq, done, passed)? {
                    Some(next) => pos = next,
                    None => return Ok(None),
                }
                continue;
            };
            let next = pos.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
            if head.kind == Kind::Put && head.end_seq() > at.seq {
                match self.decode(&segment, pos, &head, at) {
                    Ok(record) => {
                        at.pos = Some(next);
                        return Ok(Some(Arc::new(record)));
                    }
                    Err(_) if self.is_gone(&segment) => {
                        // Freed, and perhaps used again, since its head was read.
                        at.ahead = None;
                        continue;
                    }
                    Err(StorageError::Corrupt { .. }) if done.covers(head.seq.max(at.seq), head.end_seq()) => {}
                    Err(error @ StorageError::Corrupt { .. }) => match self.on_corruption {
                        OnCorruption::Fail => return Err(error),
                        OnCorruption::Salvage => {
                            passed.push((head.seq.max(at.seq), head.end_seq()));
                            self.damaged_bytes.fetch_add(head.frame_len(), Ordering::Relaxed);
                        }
                    },
                    Err(error) => return Err(error),
                }
            }
            pos = next;
        }
    }

    fn is_gone(&self, segment: &Segment) -> bool {
        !self.segments.lock().contains_key(&segment.id)
    }

    /// Place from which on `seq` is found by going forward.
    pub(crate) fn seek(&self, seq: u64) -> LanePos {
        let segments = self.segments.lock();
        let holder =
            segments.values().rev().find(|segment| segment.first_seq <= seq).or_else(|| segments.values().next());
        LanePos::new(holder.map_or(0, |segment| segment.id), SEGMENT_HEADER_BYTES)
    }

    /// The segment of `pos`; at the end of one, or where one is gone, `pos` moves on to the next.
    fn segment_at(&self, pos: &mut LanePos) -> Option<Arc<Segment>> {
        let segments = self.segments.lock();
        let (_, segment) = segments.range(pos.segment()..).next()?;
        if segment.id != pos.segment() {
            *pos = LanePos::new(segment.id, SEGMENT_HEADER_BYTES);
        }
        if segment.end().is_none_or(|end| pos.offset() < end) {
            return Some(segment.clone());
        }
        segment.release();
        let (_, segment) = segments.range(pos.segment() + 1..).next()?;
        *pos = LanePos::new(segment.id, SEGMENT_HEADER_BYTES);
        Some(segment.clone())
    }

    fn frame_head(&self, segment: &Segment, offset: u32, at: &mut ReadCursor) -> Result<Option<Head>, StorageError> {
        let bytes = self.read(segment, offset, HEAD_BYTES, at)?;
        if let Some(head) = bytes.and_then(|bytes| Head::decode(&bytes, segment.seal, offset)) {
            return Ok(Some(head));
        }
        // What was read ahead may be older than the frame.
        at.ahead = None;
        let bytes = self.read(segment, offset, HEAD_BYTES, at)?;
        Ok(bytes.and_then(|bytes| Head::decode(&bytes, segment.seal, offset)))
    }

    fn decode(
        &self,
        segment: &Segment,
        pos: LanePos,
        head: &Head,
        at: &mut ReadCursor,
    ) -> Result<Record, StorageError> {
        let offset = pos.offset() + HEAD_BYTES;
        let matches = |bytes: &Bytes| crc32fast::hash(bytes) == head.payload_crc;
        let mut payload = self.read(segment, offset, head.payload_len, at)?;
        if !payload.as_ref().is_some_and(matches) {
            at.ahead = None;
            payload = self.read(segment, offset, head.payload_len, at)?;
        }
        let payload =
            payload.filter(matches).ok_or_else(|| segment.corrupt(pos.offset(), "the payload has another checksum"))?;
        let malformed = |error: super::cursor::Malformed| segment.corrupt(pos.offset(), error.to_string());
        let (meta, events) = decode_put(payload).map_err(malformed)?;
        let events = decode_events(events, head.events).map_err(malformed)?;
        let next = pos.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
        Ok(Record::new(next, head, meta, events))
    }

    /// Bytes of a segment; `None` where the file is too short.
    fn read(
        &self,
        segment: &Segment,
        offset: u32,
        len: u32,
        at: &mut ReadCursor,
    ) -> Result<Option<Bytes>, StorageError> {
        let (begin, end) = (u64::from(offset), u64::from(offset) + u64::from(len));
        if end > segment.size {
            return Ok(None);
        }
        let io = |error| StorageError::io("read", &segment.path, error);
        if self.read_mode == ReadMode::Mmap && segment.end().is_some() {
            return Ok(slice(segment.mapped()?, begin, end));
        }
        if let Some(ahead) = &at.ahead
            && ahead.segment == segment.id
            && ahead.begin <= begin
            && let Some(bytes) = slice(&ahead.bytes, begin - ahead.begin, end - ahead.begin)
        {
            return Ok(Some(bytes));
        }
        let limit = u64::from(segment.end().unwrap_or(u32::MAX)).min(segment.size);
        let want = u64::from(len).max(READ_AHEAD_BYTES.min(limit.saturating_sub(begin)));
        let mut bytes = vec![0; usize::try_from(want).unwrap_or(0)];
        segment.file()?.read_exact_at(&mut bytes, begin).map_err(io)?;
        let bytes = Bytes::from(bytes);
        at.ahead = Some(Ahead { segment: segment.id, begin, bytes: bytes.clone() });
        Ok(slice(&bytes, 0, u64::from(len)))
    }

    /// The next place with a valid head behind a damaged one, or the end of the segment; `None` if the log has no more. An
    /// error, unless the events from `seq` on that may have been there are in `done` or damage is to be passed over.
    fn pass_over(
        &self,
        segment: &Segment,
        pos: LanePos,
        seq: u64,
        done: &RangeSet,
        passed: &mut Vec<(u64, u64)>,
    ) -> Result<Option<LanePos>, StorageError> {
        let end = segment.end().unwrap_or_else(|| u32::try_from(segment.size).unwrap_or(u32::MAX));
        let next = find_head(segment, pos.offset().saturating_add(1), end)?;
        let upto = next.map_or(end, |(offset, _)| offset);
        let behind = match next {
            Some((_, head)) => head.seq,
            None => self.first_seq_behind(segment.id),
        };
        if !done.covers(seq, behind) {
            if self.on_corruption == OnCorruption::Fail {
                return Err(segment.corrupt(pos.offset(), "no valid frame"));
            }
            passed.push((seq, behind));
            self.damaged_bytes.fetch_add(u64::from(upto.saturating_sub(pos.offset())), Ordering::Relaxed);
        }
        if segment.end().is_none() && next.is_none() {
            // What comes later stands behind the damage, or is in the cache.
            return Ok(None);
        }
        Ok(Some(LanePos::new(segment.id, upto.max(pos.offset()))))
    }

    /// Sequence number of the first event behind a segment.
    fn first_seq_behind(&self, id: u32) -> u64 {
        let segments = self.segments.lock();
        segments
            .range((Bound::Excluded(id), Bound::Unbounded))
            .next()
            .map_or_else(|| self.published(), |(_, segment)| segment.first_seq)
    }

    fn missing(&self, seq: u64) -> StorageError {
        let detail = format!("event {seq} is in no segment");
        StorageError::Corrupt { path: self.dir.path.clone(), offset: 0, detail }
    }
}

/// How far a channel has read in a lane.
#[derive(Debug, Default)]
pub(crate) struct ReadCursor {
    /// The next event to look at.
    pub(crate) seq: u64,
    /// Place of a frame at or before it, if known.
    pub(crate) pos: Option<LanePos>,
    ahead: Option<Ahead>,
}

impl ReadCursor {
    pub(crate) fn at(seq: u64) -> Self {
        Self { seq, ..Self::default() }
    }

    /// Goes on to `seq`, which stands at or behind `pos`.
    pub(crate) fn jump(&mut self, seq: u64, pos: LanePos) {
        self.seq = seq;
        self.pos = self.pos.max(Some(pos));
    }
}

#[derive(Debug)]
struct Ahead {
    segment: u32,
    begin: u64,
    bytes: Bytes,
}

fn slice(bytes: &Bytes, begin: u64, end: u64) -> Option<Bytes> {
    let begin = usize::try_from(begin).ok()?;
    let end = usize::try_from(end).ok()?;
    (end <= bytes.len()).then(|| bytes.slice(begin..end))
}

/// The most recent records, without gaps, as their producers handed them over.
#[derive(Debug)]
pub(crate) struct TailCache {
    inner: Mutex<Cached>,
    budget: u64,
}

#[derive(Debug, Default)]
struct Cached {
    records: VecDeque<(Arc<Record>, u64)>,
    bytes: u64,
}

impl TailCache {
    /// Adds a record that `readers` channels will read.
    pub(crate) fn push(&self, record: Record, readers: u32) {
        record.readers.store(readers, Ordering::Relaxed);
        let bytes =
            record.events.iter().map(Event::size_bytes).sum::<u64>() + EVENT_OVERHEAD * record.events.len() as u64;
        let mut inner = self.inner.lock();
        inner.records.push_back((Arc::new(record), bytes));
        inner.bytes += bytes;
        while inner.bytes > self.budget {
            let Some((_, bytes)) = inner.records.pop_front() else { break };
            inner.bytes -= bytes;
        }
    }

    fn find(&self, seq: u64) -> Option<Arc<Record>> {
        let inner = self.inner.lock();
        if inner.records.front().is_none_or(|(first, _)| first.seq > seq) {
            return None;
        }
        let index = inner.records.partition_point(|(record, _)| record.end_seq() <= seq);
        inner.records.get(index).map(|(record, _)| record.clone())
    }

    /// Notes that one channel has read a record to its end; what nobody needs any more goes.
    pub(crate) fn done(&self, record: &Record) {
        if record.readers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        record.readers.fetch_sub(1, Ordering::Relaxed);
        while inner.records.front().is_some_and(|(first, _)| first.readers.load(Ordering::Relaxed) == 0) {
            if let Some((_, bytes)) = inner.records.pop_front() {
                inner.bytes -= bytes;
            }
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}

/// Bytes of an event in memory besides its content.
const EVENT_OVERHEAD: u64 = 64;
