//! Changing segments: sealing one and beginning the next, and freeing those whose events nobody needs any more.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::begin::{begin_head, begin_payload};
use super::frame::{HEAD_BYTES, LanePos, SEGMENT_HEADER_BYTES};
use super::group::Outcome;
use super::lane::{Body, Entry, Lane, Origin};
use super::record::{PutMeta, encode_put};
use super::segment::is_full;
use super::spares::roomy_bytes;
use super::state::SealedSegment;
use super::writer::Writer;
use crate::batch::{Positions, Routes};
use crate::durability::Durability;
use crate::error::{PutError, StorageError};
use crate::limits::UNSYNCED_SEGMENTS_MAX;
use crate::sabotage::{Bug, planted};

impl Writer {
    /// Seals the active segment and begins another one that has room for a frame of `need` bytes.
    ///
    /// The new segment's first record carries the whole state of the lane: everything before it can be forgotten but
    /// for the events themselves.
    pub(crate) fn rotate(&mut self, lane: &Lane, need: u64, for_put: bool) -> Result<(), StorageError> {
        let result = match self.begin_segment(lane, need, for_put) {
            Err(StorageError::DiskFull { .. }) if !for_put => {
                // The reserve is used up by acknowledgements alone: segments that hold nothing else are free again.
                let empty = self.state.sealed.iter().filter(|(_, segment)| segment.spans.is_empty());
                let empty: Vec<u32> = empty.map(|(id, _)| *id).collect();
                self.retire(lane, &empty)?;
                self.begin_segment(lane, need, for_put)
            }
            result => result,
        };
        // The next transaction of the kind tries another lane.
        if for_put {
            lane.note_room(&result);
        } else {
            lane.acks_full.store(matches!(result, Err(StorageError::DiskFull { .. })), Ordering::Relaxed);
        }
        result
    }

    fn begin_segment(&mut self, lane: &Lane, need: u64, for_put: bool) -> Result<(), StorageError> {
        if self.dirty.len() >= UNSYNCED_SEGMENTS_MAX {
            self.sync(lane).inspect_err(|_| self.sync_failed = true)?;
        }
        let mut state = self.state.clone();
        state.seal(self.end());
        if planted(Bug::PositionsLostAtRotation) {
            state.positions.clear();
        }
        let payload = begin_payload(self.end(), &state);
        let begin_len = u64::from(HEAD_BYTES) + payload.len;
        let total = u64::from(SEGMENT_HEADER_BYTES) + begin_len + need;
        if total > u64::from(u32::MAX) {
            return Err(StorageError::Limit { what: "segment bytes", actual: total, max: u32::MAX.into() });
        }
        // Where the state is large, a segment that just fits would be full at once, and the next one has to tell of it, too.
        let roomy = total.max(roomy_bytes(payload.len));
        let segment = match self.spares.acquire(lane, roomy, state.first_seq, for_put) {
            Err(StorageError::DiskFull { .. }) if roomy > total => {
                self.spares.acquire(lane, total, state.first_seq, for_put)?
            }
            result => result?,
        };
        let raw = begin_head(&payload, &state, self.durable).encode(segment.seal, SEGMENT_HEADER_BYTES);
        let mut slices = vec![IoSlice::new(&raw)];
        slices.extend(payload.pieces().map(IoSlice::new));
        let file = segment.file()?;
        if let Err((_, error)) = file.write_all_at(&mut slices, SEGMENT_HEADER_BYTES.into()) {
            // ORDER: a valid BEGIN may be in the file and says that the active segment ends here, so nothing more may
            // be written there even if the file cannot be removed.
            self.spoiled = true;
            lane.log.dir.vfs.remove_file(&segment.path).ok();
            let full = is_full(&error);
            let error = lane.log.dir.error("write", &segment.path, error);
            if !full {
                lane.poison(&error);
            }
            return Err(error);
        }
        self.active.seal_at(self.offset);
        self.active.release();
        self.state = state;
        self.state_bytes = payload.len;
        let segment = Arc::new(segment);
        lane.log.add_segment(segment.clone());
        self.active = segment;
        self.file = file;
        self.offset = SEGMENT_HEADER_BYTES + u32::try_from(begin_len).unwrap_or(u32::MAX);
        self.unsynced_bytes += begin_len;
        self.since_checkpoint += begin_len;
        self.spoiled = false;
        self.marked = self.durable;
        self.mark_dirty();
        Ok(())
    }

    /// The sealed segments whose events no channel needs any more.
    pub(crate) fn free_segments(&self, lane: &Lane) -> Vec<u32> {
        let queues = lane.shared.queues.read();
        // A channel that the store does not know cannot be asked: the segment stays.
        let needed = |segment: &SealedSegment| {
            let mut spans = segment.spans.iter();
            spans.any(|(channel, (lo, hi))| queues.get(channel).is_none_or(|queue| queue.needs(lane.index, *lo, *hi)))
        };
        self.state.sealed.iter().filter(|(_, segment)| !needed(segment)).map(|(id, _)| *id).collect()
    }

    /// Frees the segments whose events no channel needs any more. `true`: some have to stay until a later frame or a
    /// checkpoint says that they are durable.
    pub(crate) fn retire(&mut self, lane: &Lane, free: &[u32]) -> Result<bool, StorageError> {
        if free.is_empty() {
            return Ok(false);
        }
        // ORDER: the acknowledgements, and the begin of the segment that repeats their state, are durable before the
        // events they are about are gone.
        if !self.dirty.is_empty() && !planted(Bug::RetireBeforeSync) {
            self.sync(lane)?;
        }
        // ORDER: what the durable log does not prove to be durable, the next open looks for.
        let all = free.len();
        let proven = if planted(Bug::RetireUnproven) { self.end() } else { self.proven };
        let is_proven = |id: &u32| self.state.sealed.get(id).is_some_and(|s| LanePos::new(*id, s.end) <= proven);
        let free: Vec<u32> = free.iter().copied().filter(is_proven).collect();
        if free.is_empty() {
            return Ok(true);
        }
        let held = free.len() < all;
        lane.acks_full.store(false, Ordering::Relaxed);
        for id in free {
            self.state.sealed.remove(&id);
            if let Some(segment) = lane.log.remove_segment(id) {
                self.spares.recycle(lane, &segment);
            }
        }
        lane.note_room(&Ok(()));
        lane.shared.space_freed();
        Ok(held)
    }

    /// Writes a record that says nothing but how far the log is durable, so that segments before it can be freed. A
    /// checkpoint would say the same, but a checkpoint can be lost.
    pub(crate) fn prove(&mut self, lane: &Lane) -> Result<(), StorageError> {
        // Not a later stamp: transactions that were submitted before may still be on their way.
        self.note(lane, self.state.stamp, Positions::default())?;
        self.sync(lane)
    }

    /// Writes a record without events.
    pub(crate) fn note(&mut self, lane: &Lane, stamp: u64, positions: Positions) -> Result<(), StorageError> {
        let has_positions = !positions.is_empty();
        let meta = PutMeta::new(Routes::default(), &[], positions);
        let payload = encode_put(&meta, &[], 0, &lane.shared.buffers);
        let len = u64::from(HEAD_BYTES) + payload.len;
        if self.spoiled || u64::from(self.offset) + len > self.active.size {
            self.rotate(lane, len, true)?;
            if !has_positions {
                // The record with which the new segment begins says how far the log is durable, too.
                return Ok(());
            }
        }
        let origin = Origin { durability: None, routed: false, again: false, resume: None };
        let body = Body::Put { meta, events: Vec::new(), shares: Vec::new(), origin };
        let entry = Entry { stamp, payload, durability: Durability::Sync, body };
        let mut outcomes = vec![None];
        self.write_chunk(lane, vec![(0, entry)], &mut Vec::new(), &mut outcomes);
        match outcomes.pop().flatten() {
            Some(Outcome::Put(Err(PutError::NotCommitted { source, .. } | PutError::Indeterminate { source }))) => {
                Err(source)
            }
            Some(_) => Err(StorageError::DiskFull { path: lane.log.dir.path.clone() }),
            None => Ok(()),
        }
    }
}
