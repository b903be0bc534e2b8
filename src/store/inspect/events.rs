//! The events that wait in a channel.

use std::path::Path;

use super::StoredEvent;
use crate::error::StorageError;
use crate::event::EventId;
use crate::store::cursor::Malformed;
use crate::store::frame::{Head, Kind};
use crate::store::losses::Done;
use crate::store::ranges::RangeSet;
use crate::store::record::{PutMeta, decode_events, decode_put};
use crate::store::recovery::Scanned;
use crate::store::rest::{Found, RestReader};
use crate::store::segment::LaneDir;
use crate::store::walk::{Step, Walk};

/// Reads the events that wait in a channel; see [`Inspection::events`](super::Inspection::events).
#[derive(Debug)]
pub struct StoredEvents<'a> {
    lanes: Vec<LaneEvents<'a>>,
}

/// Those of one lane.
#[derive(Debug)]
struct LaneEvents<'a> {
    lane: u16,
    channel: u16,
    scanned: &'a Scanned,
    done: Option<&'a RangeSet>,
    // The last segment that was begun, and what is left of it.
    segment: Option<u32>,
    walk: Option<Walk>,
    // The records behind the durable ones, once those were looked at.
    rest: Option<RestReader>,
    stamp: u64,
    // Waiting events of the record in work, the last one first.
    events: Vec<StoredEvent>,
}

impl<'a> StoredEvents<'a> {
    pub(super) fn new(channel: Option<u16>, lanes: &'a [(LaneDir, Scanned)], done: &'a Done) -> Self {
        let lanes = channel.iter().flat_map(|channel| {
            lanes.iter().map(|(dir, scanned)| LaneEvents {
                lane: dir.lane,
                channel: *channel,
                scanned,
                done: done.get(&(dir.lane, *channel)).map(|done| &done.ranges),
                segment: None,
                walk: None,
                rest: None,
                stamp: 0,
                events: Vec::new(),
            })
        });
        Self { lanes: lanes.collect() }
    }
}

impl Iterator for StoredEvents<'_> {
    type Item = Result<StoredEvent, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut failed = None;
        self.lanes.retain_mut(|lane| {
            // One error at a time: the others come with the next calls.
            failed.is_some()
                || lane.load().unwrap_or_else(|error| {
                    failed = Some(error);
                    true
                })
        });
        if let Some(error) = failed {
            return Some(Err(error));
        }
        self.lanes.iter_mut().min_by_key(|lane| (lane.stamp, lane.lane))?.events.pop().map(Ok)
    }
}

impl LaneEvents<'_> {
    /// Reads on until there are events. `false`: there are no more. After an error the next call goes on behind what could not be
    /// read.
    fn load(&mut self) -> Result<bool, StorageError> {
        while self.events.is_empty() {
            // Where a segment cannot be read its walk does not get any further.
            let step = self.walk.as_mut().map(Walk::next).transpose().inspect_err(|_| self.walk = None)?;
            match step.flatten() {
                Some(Step::Put { offset, head, meta, events }) => {
                    let path = self.segment.and_then(|id| self.scanned.segments.get(&id)).map(|segment| &*segment.path);
                    self.put(path.unwrap_or(Path::new("")), offset, &head, &meta, events)?;
                }
                None if self.is_at_end()? => return Ok(false),
                Some(_) | None => {}
            }
        }
        Ok(true)
    }

    /// Goes on to the next segment, or to the next of the records behind the durable ones.
    fn is_at_end(&mut self) -> Result<bool, StorageError> {
        if self.next_segment()? {
            return Ok(false);
        }
        let records = self.rest.get_or_insert_with(|| self.scanned.rest.read());
        let Some(Found { segment, offset, head, payload }) = records.next()? else { return Ok(true) };
        if head.kind == Kind::Put {
            let (meta, events) = decode_put(payload).map_err(|bad| corrupt(&segment.path, offset, bad))?;
            self.put(&segment.path, offset, &head, &meta, events)?;
        }
        Ok(false)
    }

    /// Goes on to the next segment that has events of the channel that wait.
    fn next_segment(&mut self) -> Result<bool, StorageError> {
        self.walk = None;
        let from = self.segment.map_or(0, |id| id.saturating_add(1));
        for (id, sealed) in self.scanned.state.sealed.range(from..) {
            self.segment = Some(*id);
            let spans = self.scanned.spans_of(*id, sealed);
            let span = match spans.map(|spans| spans.get(&self.channel)) {
                Some(Some(span)) => *span,
                Some(None) => continue,
                None => (sealed.first_seq, sealed.end_seq),
            };
            let Some(segment) = self.scanned.segments.get(id) else { continue };
            if !self.done.is_some_and(|done| done.covers(span.0, span.1)) {
                self.walk = Some(Walk::new(segment.clone(), sealed)?);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn put(
        &mut self,
        path: &Path,
        offset: u32,
        head: &Head,
        meta: &PutMeta,
        events: bytes::Bytes,
    ) -> Result<(), StorageError> {
        let mut wanted = RangeSet::default();
        meta.visit_ranges(head.seq, |channel, lo, hi| {
            if channel == self.channel {
                let missing = self.done.map_or_else(|| vec![(lo, hi)], |done| done.missing(lo, hi));
                missing.into_iter().for_each(|(lo, hi)| wanted.insert(lo, hi));
            }
        });
        if wanted.end() == 0 {
            return Ok(());
        }
        let events = decode_events(events, head.events).map_err(|bad| corrupt(path, offset, bad))?;
        self.stamp = head.stamp;
        let events = (head.seq..).zip(events).filter(|(seq, _)| wanted.covers(*seq, seq + 1));
        self.events = events
            .map(|(seq, event)| StoredEvent {
                id: EventId { lane: self.lane, seq },
                event,
                path: path.to_path_buf(),
                offset,
            })
            .collect();
        self.events.reverse();
        Ok(())
    }
}

fn corrupt(path: &Path, offset: u32, bad: Malformed) -> StorageError {
    StorageError::Corrupt { path: path.to_path_buf(), offset: offset.into(), detail: bad.to_string() }
}
