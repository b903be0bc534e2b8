//! What is missing of a store, by what its lanes say together, and how much that is.
//!
//! Damage that stops an open is found here and in `replay`. If it is to be passed over, everything that waits is counted anew,
//! once: events that are gone count as acknowledged from then on, so that the next open finds a store without contradictions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::files::damage;
use super::frame::{Head, Kind};
use super::manifest::{MANIFEST, Manifest};
use super::options::{OnCorruption, Options};
use super::ranges::RangeSet;
use super::record::{PutMeta, decode_events, decode_put};
use super::recovery::Scanned;
use super::report::{Damage, OpenError, RecoveryReport};
use super::rest::Found;
use super::segment::{LaneDir, Segment, segment_name};
use super::state::{Acked, LaneState, SealedSegment, Spans};
use super::walk::{Gap, Step, Walk};
use crate::error::StorageError;
use crate::event::Event;

/// What the logs of all lanes say of the events of each lane and channel that are done with.
pub(crate) type Done = BTreeMap<(u16, u16), Acked>;

/// Puts together what is acknowledged.
#[allow(single_use_lifetimes)] // it cannot be left out here
pub(crate) fn acknowledged<'a>(states: impl Iterator<Item = &'a LaneState>) -> Done {
    let mut done = Done::new();
    for (channel, state) in states.flat_map(|state| &state.channels) {
        for (lane, acked) in &state.acked {
            let all = done.entry((*lane, *channel)).or_default();
            all.events = all.events.saturating_add(acked.events);
            all.bytes = all.bytes.saturating_add(acked.bytes);
            all.ranges.union(&acked.ranges);
        }
    }
    done
}

/// What is lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Events lost, by channel, where damage is passed over.
    pub(crate) events: BTreeMap<u16, u64>,
    /// Channels have got a name in the manifest, which is to be written.
    pub(crate) named: bool,
}

/// Looks for contradictions among the lanes, and with the list of channels. Changes nothing on disk.
pub(crate) fn check(
    lanes: &mut [(LaneDir, Scanned)],
    manifest: &mut Manifest,
    path: &Path,
    options: &Options,
) -> Result<Losses, OpenError> {
    check_numbers(lanes);
    check_segments(lanes);
    let named = check_channels(lanes, manifest, path);
    if lanes.iter().all(|(_, scanned)| scanned.report.damage.is_empty()) {
        return Ok(Losses::default());
    }
    if options.on_corruption == OnCorruption::Fail {
        let lanes = lanes.iter().map(|(_, scanned)| scanned.report.clone()).collect();
        return Err(OpenError::Corrupt(Box::new(RecoveryReport { lanes, ..RecoveryReport::default() })));
    }
    Ok(Losses { events: recount(lanes)?, named })
}

/// An acknowledgement is durable after its events: one without them says that they were lost.
fn check_numbers(lanes: &mut [(LaneDir, Scanned)]) {
    let mut ends = BTreeMap::<u16, u64>::new();
    for state in lanes.iter().flat_map(|(_, scanned)| scanned.state.channels.values()) {
        for (lane, acked) in &state.acked {
            let end = ends.entry(*lane).or_default();
            *end = acked.ranges.end().max(*end);
        }
    }
    for (dir, scanned) in lanes {
        let (end, next) = (ends.get(&dir.lane).copied().unwrap_or(0), scanned.state.next_seq);
        if end > next {
            let place = scanned.durable_end;
            let path = dir.file(&segment_name(place.segment()));
            let detail = format!("the log ends before event {next}, and those before {end} were acknowledged");
            scanned.report.note(Damage { path, offset: place.offset().into(), bytes: 0, events: None, detail });
            // IMPORTANT: numbers that count as acknowledged must not be given to new events.
            scanned.state.next_seq = end;
            if scanned.rest.is_empty() {
                scanned.durable_state.next_seq = end;
            }
        }
    }
}

/// Segments that are gone may be gone only if no channel needs them.
fn check_segments(lanes: &mut [(LaneDir, Scanned)]) {
    if lanes.iter().all(|(_, scanned)| scanned.missing.is_empty()) {
        return;
    }
    let done = acknowledged(lanes.iter().map(|(_, scanned)| &scanned.state));
    for (dir, scanned) in lanes {
        for id in std::mem::take(&mut scanned.missing) {
            let Some(sealed) = scanned.state.sealed.get(&id).cloned() else { continue };
            let spans = scanned.spans_of(id, &sealed);
            let events = waiting(&done, dir.lane, &scanned.state, spans, sealed.first_seq, sealed.end_seq).total();
            let path = dir.file(&segment_name(id));
            match scanned.segments.get(&id) {
                Some(segment) if events > 0 => {
                    let offset = u32::try_from(segment.size).unwrap_or(u32::MAX);
                    let detail = "the segment is shorter than it was";
                    scanned.report.note(damage(segment, offset, u64::from(sealed.end - offset), None, detail));
                    continue;
                }
                None if events > 0 || scanned.report.damage.iter().any(|damage| damage.path == path) => {
                    let detail = "a segment with events is missing, or is not what it was".to_owned();
                    let (bytes, events) = (sealed.end.into(), Some(events));
                    scanned.report.note(Damage { path, offset: 0, bytes, events, detail });
                }
                _ => {}
            }
            // IMPORTANT: the new life must not list them: what tells the next open that they were not needed is gone by then.
            scanned.durable_state.sealed.remove(&id);
            scanned.state.sealed.remove(&id);
            scanned.junk.extend(scanned.segments.remove(&id).map(|segment| segment.path.clone()));
            scanned.lost.insert(sealed.first_seq, sealed.end_seq);
        }
    }
}

/// A channel is in the manifest before it gets its first event. `true`: some were not, and have got a name.
fn check_channels(lanes: &mut [(LaneDir, Scanned)], manifest: &mut Manifest, path: &Path) -> bool {
    let mut unknown = false;
    for (_, scanned) in lanes {
        for id in scanned.state.channels.keys() {
            if manifest.channels.contains_key(id) {
                continue;
            }
            let mut name = format!("channel-{id}");
            while manifest.channels.values().any(|known| *known == name) {
                name.push('_');
            }
            let detail = format!("it does not name channel {id}, which is in the log; called `{name}` from now on");
            scanned.report.note(Damage {
                path: path.join(MANIFEST),
                offset: u64::from(*id),
                bytes: 0,
                events: Some(0),
                detail,
            });
            manifest.channels.insert(*id, name);
            unknown = true;
        }
    }
    unknown
}

impl Scanned {
    /// Which channels have events in a segment, unless records that would tell are lost.
    pub(crate) fn spans_of<'a>(&self, id: u32, sealed: &'a SealedSegment) -> Option<&'a Spans> {
        self.shaken_from.is_none_or(|from| id < from).then_some(&sealed.spans)
    }
}

/// The events among `lo..hi` that some channel may wait for.
pub(crate) fn waiting(done: &Done, lane: u16, state: &LaneState, spans: Option<&Spans>, lo: u64, hi: u64) -> RangeSet {
    let mut waiting = RangeSet::default();
    for channel in state.channels.keys() {
        let (lo, hi) = match spans.map(|spans| spans.get(channel)) {
            Some(Some((from, upto))) => (lo.max(*from), hi.min(*upto)),
            Some(None) => continue,
            None => (lo, hi),
        };
        let missing = done.get(&(lane, *channel)).map_or_else(|| vec![(lo, hi)], |done| done.ranges.missing(lo, hi));
        missing.into_iter().for_each(|(lo, hi)| waiting.insert(lo, hi));
    }
    waiting
}

/// Reads everything that waits, reports what cannot be read, and corrects what the lanes say of their channels.
fn recount(lanes: &mut [(LaneDir, Scanned)]) -> Result<BTreeMap<u16, u64>, StorageError> {
    let done = acknowledged(lanes.iter().map(|(_, scanned)| &scanned.state));
    let mut lost = BTreeMap::new();
    for (dir, scanned) in lanes {
        let mut count = Count { lane: dir.lane, done: &done, left: BTreeMap::new() };
        for (id, sealed) in scanned.state.sealed.clone() {
            if let Some(segment) = scanned.segments.get(&id).cloned() {
                count.segment(&segment, &sealed, scanned)?;
            }
        }
        let mut records = scanned.rest.read();
        while let Some(Found { head, payload, .. }) = records.next()? {
            if head.kind == Kind::Put
                && let Ok((meta, events)) = decode_put(payload)
            {
                count.record(&head, &meta, &events);
            }
        }
        count.correct(scanned, &mut lost);
    }
    Ok(lost)
}

/// What is left in one lane.
struct Count<'a> {
    lane: u16,
    done: &'a Done,
    // Waiting events and their bytes, by channel.
    left: BTreeMap<u16, (u64, u64)>,
}

impl Count<'_> {
    fn segment(
        &mut self,
        segment: &Arc<Segment>,
        sealed: &SealedSegment,
        scanned: &mut Scanned,
    ) -> Result<(), StorageError> {
        let mut walk = Walk::new(segment.clone(), sealed)?;
        let end = walk.end();
        while let Some(step) = walk.next()? {
            match step {
                Step::Put { head, meta, events, .. } => self.record(&head, &meta, &events),
                Step::Other => {}
                Step::Gap(gap) => self.gap(segment, sealed, gap, scanned),
            }
        }
        for state in [&mut scanned.state, &mut scanned.durable_state] {
            if let Some(sealed) = state.sealed.get_mut(&segment.id) {
                sealed.end = end;
            }
        }
        Ok(())
    }

    fn record(&mut self, head: &Head, meta: &PutMeta, events: &Bytes) {
        let mut sizes = None;
        let mut begin = head.seq;
        for run in &meta.runs {
            let end = begin + u64::from(run.events);
            for channel in meta.channels(run) {
                let left = self.left.entry(*channel).or_default();
                let done = self.done.get(&(self.lane, *channel)).map(|done| &done.ranges);
                let Some(done) = done.filter(|done| done.intersects(begin, end)) else {
                    left.0 += u64::from(run.events);
                    left.1 = left.1.saturating_add(run.bytes);
                    continue;
                };
                let sizes: &Vec<u64> = sizes.get_or_insert_with(|| {
                    let events = decode_events(events.clone(), head.events).unwrap_or_default();
                    events.iter().map(Event::size_bytes).collect()
                });
                for (lo, hi) in done.missing(begin, end) {
                    let [from, upto] = [lo, hi].map(|seq| usize::try_from(seq - head.seq).unwrap_or(usize::MAX));
                    left.0 += hi - lo;
                    left.1 = left.1.saturating_add(sizes.get(from..upto).unwrap_or_default().iter().sum());
                }
            }
            begin = end;
        }
    }

    /// Notes that events of a segment are gone.
    fn gap(&self, segment: &Segment, sealed: &SealedSegment, gap: Gap, scanned: &mut Scanned) {
        let Gap { bytes: (at, upto), seqs: (lo, hi) } = gap;
        let spans = scanned.spans_of(segment.id, sealed);
        let events = waiting(self.done, self.lane, &scanned.state, spans, lo, hi).total();
        scanned.lost.insert(lo, hi);
        let is_known = |known: &Damage| known.path == segment.path && known.offset == u64::from(at);
        if events > 0 || scanned.report.damage.iter().any(is_known) {
            let detail = "the record is damaged";
            scanned.report.note(damage(segment, at, u64::from(upto - at), Some(events), detail));
        }
    }

    /// Makes the state of the lane agree with what is there.
    fn correct(mut self, scanned: &mut Scanned, lost: &mut BTreeMap<u16, u64>) {
        let of_lane = self.done.iter().filter(|((lane, _), _)| *lane == self.lane);
        for (channel, done) in of_lane.map(|((_, channel), done)| (*channel, done)) {
            let left = self.left.entry(channel).or_default();
            left.0 = left.0.saturating_add(done.events);
            left.1 = left.1.saturating_add(done.bytes);
        }
        for channel in scanned.state.channels.keys() {
            self.left.entry(*channel).or_default();
        }
        for (channel, (events, bytes)) in self.left {
            let state = scanned.state.channels.entry(channel).or_default();
            let (old_events, old_bytes) = (state.put_events, state.put_bytes);
            *lost.entry(channel).or_default() += old_events.saturating_sub(events);
            for state in [&mut scanned.state, &mut scanned.durable_state] {
                let state = state.channels.entry(channel).or_default();
                state.put_events = state.put_events.saturating_add(events).saturating_sub(old_events);
                state.put_bytes = state.put_bytes.saturating_add(bytes).saturating_sub(old_bytes);
                let acked = state.acked.entry(self.lane).or_default();
                acked.ranges.union(&scanned.lost);
            }
        }
    }
}
