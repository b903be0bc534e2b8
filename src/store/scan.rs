//! Finding frames in a segment whose bytes cannot be trusted.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::{FRAME_MAGIC, HEAD_BYTES, Head, LanePos};
use super::segment::Segment;
use crate::error::StorageError;
use crate::sabotage::{Bug, planted};
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
    Torn(Head),
}

impl Frames {
    pub(crate) fn new(segment: Arc<Segment>) -> Result<Self, StorageError> {
        let file = segment.file()?;
        Ok(Self { segment, file, ahead: Bytes::new(), ahead_begin: 0 })
    }

    pub(crate) fn are_of(&self, segment: &Arc<Segment>) -> bool {
        Arc::ptr_eq(&self.segment, segment)
    }

    /// The frame at `offset`, which must end at or before `end`.
    pub(crate) fn at(&mut self, offset: u32, end: u32) -> Result<Frame, StorageError> {
        let end = u64::from(end).min(self.segment.size);
        let Some(bytes) = self.read(offset.into(), HEAD_BYTES.into(), end)? else { return Ok(Frame::Invalid) };
        let Some(head) = Head::decode(&bytes, self.segment.seal, offset) else { return Ok(Frame::Invalid) };
        let begin = u64::from(offset) + u64::from(HEAD_BYTES);
        match self.read(begin, head.payload_len.into(), end)? {
            Some(payload) if planted(Bug::PayloadUnchecked) || crc32fast::hash(&payload) == head.payload_crc => {
                Ok(Frame::Valid(head, payload))
            }
            _ => Ok(Frame::Torn(head)),
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

/// The valid heads of a segment, at any offset: what is left of frames among bytes that cannot be trusted.
#[derive(Debug)]
pub(crate) struct Heads<'a> {
    segment: &'a Segment,
    file: Arc<dyn VfsFile>,
    window: Vec<u8>,
    window_begin: u64,
    // What is read next: little at first, for the next head is seldom far.
    step: u64,
    at: u64,
    end: u64,
}

impl<'a> Heads<'a> {
    /// Those from `from` on that begin and end before `end`.
    pub(crate) fn new(segment: &'a Segment, from: u32, end: u32) -> Result<Self, StorageError> {
        let (at, end) = (u64::from(from), u64::from(end).min(segment.size));
        let file = segment.file()?;
        Ok(Self { segment, file, window: Vec::new(), window_begin: at, step: SCAN_BYTES_FIRST, at, end })
    }

    pub(crate) fn next(&mut self) -> Result<Option<(u32, Head)>, StorageError> {
        while self.at + u64::from(HEAD_BYTES) <= self.end {
            let skip = usize::try_from(self.at - self.window_begin).unwrap_or(usize::MAX);
            let heads = self.window.len().saturating_sub(HEAD_BYTES as usize - 1);
            let Some(rest) = self.window.get(skip..heads).filter(|rest| !rest.is_empty()) else {
                self.read_on()?;
                continue;
            };
            let Some(found) = FRAME_MAGIC.first().and_then(|first| memchr::memchr(*first, rest)) else {
                self.at += rest.len() as u64;
                continue;
            };
            let place = self.at + found as u64;
            let offset = u32::try_from(place).unwrap_or(u32::MAX);
            let head = self.window.get(skip + found..);
            let head = head.and_then(|bytes| Head::decode(bytes, self.segment.seal, offset));
            self.at = place + head.map_or(1, |_| u64::from(HEAD_BYTES));
            if let Some(head) = head {
                return Ok(Some((offset, head)));
            }
        }
        Ok(None)
    }

    fn read_on(&mut self) -> Result<(), StorageError> {
        let len = usize::try_from((self.end - self.at).min(self.step)).unwrap_or(0);
        self.step = (self.step * 2).min(SCAN_BYTES_MAX);
        self.window.resize(len, 0);
        let read = self.file.read_exact_at(&mut self.window, self.at);
        read.map_err(|error| StorageError::io("read", &self.segment.path, error))?;
        self.window_begin = self.at;
        Ok(())
    }
}

/// The first valid head at or behind `from` and before `end`, at any offset.
pub(crate) fn find_head(segment: &Segment, from: u32, end: u32) -> Result<Option<(u32, Head)>, StorageError> {
    Heads::new(segment, from, end)?.next()
}

/// Valid heads between `from` and `end`, at any offset.
pub(crate) fn count_heads(segment: &Segment, from: u32, end: u32) -> Result<u64, StorageError> {
    let (mut heads, mut count) = (Heads::new(segment, from, end)?, 0);
    while heads.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// How far the log was durable, by the valid heads between `from` and `end`, at any offset.
pub(crate) fn newest_mark_anywhere(segment: &Segment, from: u32, end: u32) -> Result<LanePos, StorageError> {
    let (mut heads, mut mark) = (Heads::new(segment, from, end)?, LanePos::default());
    while let Some((_, head)) = heads.next()? {
        mark = mark.max(head.durable);
    }
    Ok(mark)
}

const FRAMES_AHEAD_BYTES: u64 = 256 << 10;
const SCAN_BYTES_FIRST: u64 = 512;
const SCAN_BYTES_MAX: u64 = 64 << 10;
