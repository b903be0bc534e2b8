//! Records behind what is known to be durable. There may be millions, so only their places are kept, and they are read again.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{Head, Kind, LanePos};
use super::record::{decode_ack, decode_put};
use super::scan::{Frame, Frames};
use super::segment::Segment;
use super::state::LaneState;
use crate::error::StorageError;

/// Neighbouring records of a segment, none of them a BEGIN.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) segment: Arc<Segment>,
    pub(crate) from: u32,
    pub(crate) upto: u32,
    pub(crate) records: u64,
    pub(crate) events: u64,
    /// Sequence number of its first event and behind its last, if it has any.
    pub(crate) seqs: (u64, u64),
    /// Those that have events in it.
    pub(crate) channels: BTreeSet<u16>,
}

impl Stretch {
    /// One that is empty so far.
    pub(crate) fn at(segment: &Arc<Segment>, offset: u32, seq: u64) -> Self {
        Self {
            segment: segment.clone(),
            from: offset,
            upto: offset,
            records: 0,
            events: 0,
            seqs: (seq, seq),
            channels: BTreeSet::new(),
        }
    }

    /// Whether a record at this place continues it.
    pub(crate) fn ends_at(&self, segment: &Segment, offset: u32) -> bool {
        self.segment.id == segment.id && self.upto == offset
    }

    /// Adds the record behind it.
    pub(crate) fn push(&mut self, head: &Head, channels: impl IntoIterator<Item = u16>) {
        self.upto = self.upto.saturating_add(len(head));
        self.records += 1;
        self.events += u64::from(head.events);
        self.seqs.1 = head.end_seq();
        self.channels.extend(channels);
    }

    /// Takes the first record out of it, if that ends at or before `limit`. `frames` are kept from one call to the next.
    pub(crate) fn next(&mut self, limit: LanePos, frames: &mut Option<Frames>) -> Result<Option<Found>, StorageError> {
        let (segment, offset) = (self.segment.clone(), self.from);
        let at = LanePos::new(segment.id, offset);
        if self.is_empty() || at >= limit {
            return Ok(None);
        }
        let frames = match frames {
            Some(frames) if frames.are_of(&segment) => frames,
            _ => frames.insert(Frames::new(segment.clone())?),
        };
        // What was valid in the page cache may have been dropped from it since, and never have been on the disk.
        let Frame::Valid(head, payload) = frames.at(offset, u32::MAX)? else { return Err(changed(&segment, offset)) };
        let end = at.after(len(&head));
        if end > limit {
            return Ok(None);
        }
        if end > LanePos::new(segment.id, self.upto) {
            return Err(changed(&segment, offset));
        }
        self.from = end.offset();
        self.records -= 1;
        self.events = self.events.saturating_sub(head.events.into());
        self.seqs.0 = head.end_seq();
        Ok(Some(Found { segment, offset, head, payload }))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.from >= self.upto
    }

    fn bytes(&self) -> u64 {
        u64::from(self.upto - self.from)
    }
}

/// A record that was read again.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u32,
    pub(crate) head: Head,
    pub(crate) payload: Bytes,
}

impl Found {
    pub(crate) fn end(&self) -> LanePos {
        LanePos::new(self.segment.id, self.offset).after(len(&self.head))
    }

    pub(crate) fn apply(self, state: &mut LaneState) -> Result<(), StorageError> {
        let Self { segment, offset, head, payload } = self;
        let applied = match head.kind {
            Kind::Put => decode_put(payload).map(|(meta, _)| state.put(&head, &meta)),
            Kind::Ack => decode_ack(payload).map(|ack| state.ack(&head, &ack)),
            Kind::Begin => return Err(changed(&segment, offset)),
        };
        applied.map_err(|_| changed(&segment, offset))
    }
}

/// The records of a log that are to be written again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    pub(crate) stretches: Vec<Stretch>,
}

impl Rest {
    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    pub(crate) fn records(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.records).sum()
    }

    pub(crate) fn events(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.events).sum()
    }

    /// Bytes of their frames.
    pub(crate) fn bytes(&self) -> u64 {
        self.stretches.iter().map(Stretch::bytes).sum()
    }

    pub(crate) fn apply(&self, state: &mut LaneState) -> Result<(), StorageError> {
        let mut records = self.read();
        while let Some(record) = records.next()? {
            record.apply(state)?;
        }
        Ok(())
    }

    /// Reads them, from the first on.
    pub(crate) fn read(&self) -> RestReader {
        RestReader { left: self.stretches.iter().cloned().collect(), frames: None }
    }
}

/// Reads the records of a [`Rest`].
#[derive(Debug)]
pub(crate) struct RestReader {
    left: VecDeque<Stretch>,
    frames: Option<Frames>,
}

impl RestReader {
    /// The next record. After an error the next call goes on behind the stretch that could not be read.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, StorageError> {
        while let Some(first) = self.left.front_mut() {
            match first.next(LanePos::new(u32::MAX, u32::MAX), &mut self.frames) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => drop(self.left.pop_front()),
                Err(error) => {
                    self.left.pop_front();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }
}

fn len(head: &Head) -> u32 {
    u32::try_from(head.frame_len()).unwrap_or(u32::MAX)
}

fn changed(segment: &Segment, offset: u32) -> StorageError {
    segment.corrupt(offset, "the record changed while it was recovered")
}
