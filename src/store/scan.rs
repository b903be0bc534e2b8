//! Finding frames in a segment whose bytes cannot be trusted.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::{FRAME_MAGIC, HEAD_BYTES, Head, LanePos};
use super::segment::Segment;
use crate::error::StorageError;
use crate::vfs::VfsFile;

/// Reads the frames of a segment one after the other.
#[derive(Debug)]
pub(crate) struct Frames {
    segment: Arc<Segment>,
    file: Arc<dyn VfsFile>,
    ahead: Bytes,
    ahead_begin: u64,
}

/// What is at a place.
#[derive(Debug)]
pub(crate) enum Frame {
    Valid(Head, Bytes),
    /// No valid head.
    Invalid,
    /// A valid head whose payload is not what it was.
    Torn,
}

impl Frames {
    pub(crate) fn new(segment: Arc<Segment>) -> Result<Self, StorageError> {
        let file = segment.file()?;
        Ok(Self { segment, file, ahead: Bytes::new(), ahead_begin: 0 })
    }

    /// The frame at `offset`, which must end at or before `end`.
    pub(crate) fn at(&mut self, offset: u32, end: u32) -> Result<Frame, StorageError> {
        let end = u64::from(end).min(self.segment.size);
        let Some(bytes) = self.read(offset.into(), HEAD_BYTES.into(), end)? else { return Ok(Frame::Invalid) };
        let Some(head) = Head::decode(&bytes, self.segment.seal, offset) else { return Ok(Frame::Invalid) };
        let begin = u64::from(offset) + u64::from(HEAD_BYTES);
        match self.read(begin, head.payload_len.into(), end)? {
            Some(payload) if crc32fast::hash(&payload) == head.payload_crc => Ok(Frame::Valid(head, payload)),
            _ => Ok(Frame::Torn),
        }
    }

    fn read(&mut self, begin: u64, len: u64, end: u64) -> Result<Option<Bytes>, StorageError> {
        if begin + len > end {
            return Ok(None);
        }
        if begin < self.ahead_begin || begin + len > self.ahead_begin + self.ahead.len() as u64 {
            let want = len.max(FRAMES_AHEAD_BYTES.min(end - begin));
            let mut bytes = vec![0; usize::try_from(want).unwrap_or(0)];
            let read = self.file.read_exact_at(&mut bytes, begin);
            read.map_err(|error| StorageError::io("read", &self.segment.path, error))?;
            self.ahead = bytes.into();
            self.ahead_begin = begin;
        }
        let from = usize::try_from(begin - self.ahead_begin).unwrap_or(usize::MAX);
        let upto = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        Ok((upto <= self.ahead.len()).then(|| self.ahead.slice(from..upto)))
    }
}

/// How far the log was durable when the last of the frames from `place` on was written.
pub(crate) fn newest_mark(segment: &Arc<Segment>, place: LanePos) -> Result<LanePos, StorageError> {
    let (mut frames, mut place, mut mark) = (Frames::new(segment.clone())?, place, LanePos::default());
    while let Frame::Valid(head, _) = frames.at(place.offset(), u32::MAX)? {
        mark = mark.max(head.durable);
        place = place.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
    }
    Ok(mark)
}

/// The first valid head at or behind `from` and before `end`, at any offset.
pub(crate) fn find_head(segment: &Segment, from: u32, end: u32) -> Result<Option<(u32, Head)>, StorageError> {
    let end = u64::from(end).min(segment.size);
    let mut at = u64::from(from);
    let mut buffer = vec![0; SCAN_BYTES];
    let file = segment.file()?;
    while at + u64::from(HEAD_BYTES) <= end {
        let len = usize::try_from((end - at).min(SCAN_BYTES as u64)).unwrap_or(0);
        let Some(window) = buffer.get_mut(..len) else { break };
        file.read_exact_at(window, at).map_err(|error| StorageError::io("read", &segment.path, error))?;
        let heads = len - HEAD_BYTES as usize + 1;
        let mut skip = 0;
        while let Some(found) = window.get(skip..heads).and_then(|rest| memchr::memchr(*FRAME_MAGIC.first()?, rest)) {
            let place = skip + found;
            let offset = u32::try_from(at + place as u64).unwrap_or(u32::MAX);
            let head = window.get(place..).and_then(|bytes| Head::decode(bytes, segment.seal, offset));
            if let Some(head) = head {
                return Ok(Some((offset, head)));
            }
            skip = place + 1;
        }
        at += heads as u64;
    }
    Ok(None)
}

/// Valid heads between `from` and `end`, at any offset.
pub(crate) fn count_heads(segment: &Segment, from: u32, end: u32) -> Result<u64, StorageError> {
    let (mut from, mut count) = (from, 0);
    while let Some((offset, _)) = find_head(segment, from, end)? {
        count += 1;
        from = offset + HEAD_BYTES;
    }
    Ok(count)
}

const FRAMES_AHEAD_BYTES: u64 = 256 << 10;
const SCAN_BYTES: usize = 64 << 10;
