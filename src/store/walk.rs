//! The walk over all that is left of a segment: its records, and the gaps that damage left among them.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::{Head, Kind, SEGMENT_HEADER_BYTES};
use super::record::{PutMeta, decode_put};
use super::scan::{Frame, Frames, find_head};
use super::segment::Segment;
use super::state::SealedSegment;
use crate::error::StorageError;

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Step {
    Put {
        offset: u32,
        head: Head,
        meta: PutMeta,
        events: Bytes,
    },
    /// A record without events.
    Other,
    Gap(Gap),
}

/// A place without a valid record, or where sequence numbers are missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    /// Offsets of its begin and end; the same if only numbers are missing.
    pub(crate) bytes: (u32, u32),
    /// Sequence numbers that may have been there.
    pub(crate) seqs: (u64, u64),
}

/// Walks over a sealed segment.
#[derive(Debug)]
pub(crate) struct Walk {
    segment: Arc<Segment>,
    frames: Frames,
    sealed_end: (u32, u64),
    // Where what is left of the file ends.
    end: u32,
    at: u32,
    seq: u64,
    // Behind a gap among the numbers.
    next: Option<Step>,
    ended: bool,
}

impl Walk {
    pub(crate) fn new(segment: Arc<Segment>, sealed: &SealedSegment) -> Result<Self, StorageError> {
        Ok(Self {
            frames: Frames::new(segment.clone())?,
            end: segment.end().unwrap_or(sealed.end),
            segment,
            sealed_end: (sealed.end, sealed.end_seq),
            at: SEGMENT_HEADER_BYTES,
            seq: sealed.first_seq,
            next: None,
            ended: false,
        })
    }

    /// Where what is left of the segment ends.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    pub(crate) fn next(&mut self) -> Result<Option<Step>, StorageError> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        if self.at >= self.end {
            return Ok(self.cut_off());
        }
        let offset = self.at;
        if let Frame::Valid(head, payload) = self.frames.at(offset, self.end)?
            && let Some(step) = parse(offset, &head, payload)
        {
            self.at += u32::try_from(head.frame_len()).unwrap_or(u32::MAX);
            let missing = (self.seq, head.seq);
            self.seq = head.end_seq();
            if missing.0 >= missing.1 {
                return Ok(Some(step));
            }
            self.next = Some(step);
            return Ok(Some(Step::Gap(Gap { bytes: (offset, offset), seqs: missing })));
        }
        let next = find_head(&self.segment, offset + 1, self.end)?;
        let (upto, seq) = next.map_or((self.end, self.sealed_end.1), |(offset, head)| (offset, head.seq));
        let gap = Gap { bytes: (offset, upto), seqs: (self.seq, seq) };
        (self.at, self.seq) = (upto, seq.max(self.seq));
        Ok(Some(Step::Gap(gap)))
    }

    /// What the file was once longer by.
    fn cut_off(&mut self) -> Option<Step> {
        let (end, end_seq) = self.sealed_end;
        if self.end >= end || std::mem::replace(&mut self.ended, true) {
            return None;
        }
        Some(Step::Gap(Gap { bytes: (self.end, end), seqs: (self.seq, end_seq) }))
    }
}

/// `None`: the record makes no sense.
fn parse(offset: u32, head: &Head, payload: Bytes) -> Option<Step> {
    if head.kind != Kind::Put {
        return Some(Step::Other);
    }
    let (meta, events) = decode_put(payload).ok()?;
    Some(Step::Put { offset, head: *head, meta, events })
}
