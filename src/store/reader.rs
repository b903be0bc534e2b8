//! Reading a channel: the lanes and what was rolled back, merged by their order stamps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backlog::Backlog;
use super::lane::Lane;
use super::log::{ReadCursor, Record};
use super::queue::{LaneGate, Queue, ReadResult, Taken};
use super::ranges::RangeSet;
use super::record::AckRange;
use crate::error::StorageError;
use crate::event::Event;
use crate::limits::TAKE_TRANSACTIONS_MAX;
use crate::sabotage::{Bug, planted};

/// Neighbouring events of one lane, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) lane: u16,
    pub(crate) stamp: u64,
    /// The channel has no events between this and `seq`: acknowledging the piece covers them too, so that the gaps left by
    /// other channels' events do not add up.
    pub(crate) lo: u64,
    pub(crate) seq: u64,
    pub(crate) count: u64,
}

impl Piece {
    pub(crate) fn end(&self) -> u64 {
        self.seq + self.count
    }

    fn split(self, count: u64) -> (Self, Self) {
        let at = self.seq + count;
        (Self { count, ..self }, Self { lo: at, seq: at, count: self.count - count, ..self })
    }
}

/// Where a channel reads.
#[derive(Debug)]
pub(crate) struct Reader {
    lanes: Vec<LaneReader>,
    returned: BTreeMap<(u64, u16, u64), (Piece, Vec<Event>)>,
}

#[derive(Debug, Default)]
struct LaneReader {
    cursor: ReadCursor,
    // Sequence number behind the last event handed out.
    covered: u64,
    current: Option<Current>,
    // Events that were acknowledged before the store was opened, and places where none of this channel were.
    skip: RangeSet,
    // Sequence numbers among which damage was passed over.
    passed: Vec<(u64, u64)>,
    // Sequence number behind the last event that may be handed out.
    end: u64,
}

/// What comes next in a lane.
enum Next {
    /// A record with this stamp.
    Record(u64),
    /// What must not be handed out, and nothing else.
    Withheld,
    Nothing,
}

/// The record being read, and the place in it.
#[derive(Debug)]
struct Current {
    record: Arc<Record>,
    // The next event to look at.
    index: usize,
    // The neighbouring events that were found last, and the run behind them: a take may go from run to run, and would walk over all
    // before each time.
    found: (usize, usize),
    behind: RunPlace,
}

/// The number of a run, and the index of its first event.
#[derive(Clone, Copy, Debug, Default)]
struct RunPlace {
    number: usize,
    begin: usize,
}

impl Reader {
    pub(crate) fn new(backlog: &[Backlog]) -> Self {
        let lanes = backlog
            .iter()
            .map(|lane| {
                let covered = lane.acked.floor();
                let cursor = ReadCursor::at(covered);
                LaneReader { cursor, covered, skip: lane.skip.clone(), end: u64::MAX, ..LaneReader::default() }
            })
            .collect();
        Self { lanes, returned: BTreeMap::new() }
    }

    pub(crate) fn returned_events(&self) -> u64 {
        self.returned.values().map(|(piece, _)| piece.count).sum()
    }

    /// Gathers `claimed` events, or fewer once `bytes_max` is reached. `Ok(false)`: the log has no more although more
    /// were claimed.
    pub(crate) fn read(
        &mut self,
        queue: &Queue,
        lanes: &[Arc<Lane>],
        claimed: u64,
        bytes_max: u64,
        taken: &mut Taken,
    ) -> ReadResult {
        let mut bytes = 0;
        self.withhold(lanes, taken);
        // Each transaction that a take reaches into can become a range of its ACK record.
        while (taken.events.len() as u64) < claimed && bytes < bytes_max && taken.pieces.len() < TAKE_TRANSACTIONS_MAX {
            let before = taken.events.len();
            let want = claimed - before as u64;
            // What comes from one lane is never older than what came from it before; of several, one may have been slower.
            let returned = self.returned.first_key_value().map(|((stamp, ..), _)| *stamp);
            let look = returned.is_none() || self.lanes.len() > 1;
            let found = look && self.read_lanes(queue, lanes, want, bytes_max - bytes, returned, taken)?;
            if !found && !self.read_returned(want, taken) {
                return Ok(false);
            }
            bytes += taken.events.iter().skip(before).map(Event::size_bytes).sum::<u64>();
        }
        Ok(true)
    }

    pub(crate) fn give_back(&mut self, pieces: Vec<Piece>, events: Vec<Event>) {
        let mut events = events.into_iter();
        for piece in pieces {
            let count = usize::try_from(piece.count).unwrap_or(usize::MAX);
            let mine = events.by_ref().take(count).collect();
            let order = if planted(Bug::RollbackReversed) { u64::MAX - piece.stamp } else { piece.stamp };
            self.returned.insert((order, piece.lane, piece.seq), (piece, mine));
        }
    }

    /// Looks which lanes have failed, and takes what was returned and must not be handed out any more out of sight.
    fn withhold(&mut self, lanes: &[Arc<Lane>], taken: &mut Taken) {
        for (reader, lane) in self.lanes.iter_mut().zip(lanes) {
            let Some(end) = lane.trusted_end() else { continue };
            reader.end = end;
            self.returned.retain(|_, (piece, _)| {
                let is_trusted = piece.lane != lane.index || piece.end() <= end;
                taken.withheld += if is_trusted { 0 } else { piece.count };
                is_trusted
            });
        }
    }

    fn read_returned(&mut self, want: u64, taken: &mut Taken) -> bool {
        let Some((_, (piece, mut events))) = self.returned.pop_first() else { return false };
        if piece.count > want {
            let (piece, rest) = piece.split(want);
            let tail = events.split_off(usize::try_from(want).unwrap_or(usize::MAX));
            self.returned.insert((rest.stamp, rest.lane, rest.seq), (rest, tail));
            taken.pieces.push(piece);
        } else {
            taken.pieces.push(piece);
        }
        taken.events.append(&mut events);
        true
    }

    /// Reads one piece from the lane whose next event is the oldest, if it is older than `before`. `false`: no lane has any.
    fn read_lanes(
        &mut self,
        queue: &Queue,
        lanes: &[Arc<Lane>],
        want: u64,
        bytes_max: u64,
        before: Option<u64>,
        taken: &mut Taken,
    ) -> Result<bool, StorageError> {
        loop {
            let mut oldest: Option<(u64, usize)> = None;
            let mut failed = None;
            for (index, (reader, lane)) in self.lanes.iter_mut().zip(lanes).enumerate() {
                let gate = queue.with_lanes(|gates| {
                    gates.get_mut(index).map(|gate| (gate.unread, gate.unread_bytes, gate.hint.take()))
                });
                let (unread, unread_bytes, hint) = gate.unwrap_or_default();
                reader.jump(hint);
                if unread == 0 {
                    continue;
                }
                match reader.load(lane, queue.id) {
                    Ok(Next::Record(stamp))
                        if oldest.is_none_or(|(known, _)| stamp < known && !planted(Bug::LanesUnordered)) =>
                    {
                        oldest = Some((stamp, index));
                    }
                    Ok(Next::Record(_)) => {}
                    Ok(Next::Withheld) => taken.withheld += queue.with_lanes(|gates| withhold(gates, index)),
                    // Read to its end: what is counted as unread was damaged and passed over.
                    Ok(Next::Nothing) => queue.lose(&reader.rest(lane.index, unread, unread_bytes)),
                    Err(error) => failed = Some(error),
                }
            }
            // A lane that cannot be read does not stop the others; its error shows once they are empty.
            let failed = failed.filter(|_| before.is_none());
            let Some((stamp, index)) = oldest else { return failed.map_or(Ok(false), Err) };
            if before.is_some_and(|before| before <= stamp) {
                return Ok(false);
            }
            let (Some(reader), Some(lane)) = (self.lanes.get_mut(index), lanes.get(index)) else { return Ok(false) };
            let before = taken.events.len();
            reader.hand_out(lane, queue.id, want, bytes_max, taken);
            let read = taken.events.get(before..).unwrap_or_default();
            let (count, bytes) = (read.len() as u64, read.iter().map(Event::size_bytes).sum::<u64>());
            let at_end = queue.with_lanes(|gates| {
                let Some(gate) = gates.get_mut(index) else { return false };
                gate.unread = gate.unread.saturating_sub(count);
                gate.unread_bytes = gate.unread_bytes.saturating_sub(bytes);
                gate.unread == 0
            });
            if at_end && !reader.passed.is_empty() {
                queue.lose(&reader.rest(lane.index, 0, 0));
            }
            if count > 0 {
                return Ok(true);
            }
        }
    }
}

impl LaneReader {
    /// Goes straight to the first unread event, past those of other channels.
    fn jump(&mut self, hint: Option<(u64, super::frame::LanePos)>) {
        if let Some((seq, pos)) = hint
            && seq >= self.cursor.seq
            && self.current.is_none()
        {
            self.cursor.seq = seq;
            self.cursor.pos = Some(pos);
        }
    }

    /// Finds the next record with an event for `channel`.
    fn load(&mut self, lane: &Lane, channel: u16) -> Result<Next, StorageError> {
        loop {
            if let Some(current) = &mut self.current {
                if current.next_run(channel, &self.skip).is_some() {
                    let record_end = current.record.end_seq();
                    // A sync may have come to its end since the lane failed.
                    let is_trusted = record_end <= self.end || lane.trusted_end().is_none_or(|end| record_end <= end);
                    return Ok(if is_trusted { Next::Record(current.record.stamp) } else { Next::Withheld });
                }
                self.finish_record(lane, channel);
            }
            if let Some(end) = self.skip.end_of(self.cursor.seq) {
                // Segments without events of this channel are not even looked at.
                self.cursor.jump(end, lane.log.seek(end));
            }
            // What is published from now on is none of this round's business.
            let published = lane.log.published();
            if self.cursor.seq >= published {
                return Ok(Next::Nothing);
            }
            let Some(record) = lane.log.record(&mut self.cursor, &self.skip, &mut self.passed)? else {
                self.cursor.seq = published;
                return Ok(Next::Nothing);
            };
            let index = usize::try_from(self.cursor.seq.saturating_sub(record.seq)).unwrap_or(usize::MAX);
            self.current = Some(Current { record, index, found: (0, 0), behind: RunPlace::default() });
        }
    }

    /// What stands for the events that are gone, once the lane is read to its end: their number and bytes, and the sequence
    /// numbers among which they were.
    fn rest(&mut self, lane: u16, events: u64, bytes: u64) -> Vec<AckRange> {
        let (lo, hi) = (self.covered, self.cursor.seq.max(self.covered));
        self.covered = hi;
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let mut ranges = vec![AckRange { lane, events, bytes, lo, hi }];
        let passed = std::mem::take(&mut self.passed).into_iter();
        ranges.extend(passed.map(|(lo, hi)| AckRange { lane, events: 0, bytes: 0, lo, hi }));
        ranges
    }

    fn finish_record(&mut self, lane: &Lane, channel: u16) {
        if let Some(Current { record, .. }) = self.current.take() {
            self.cursor.seq = record.end_seq();
            if record.meta.runs.iter().any(|run| record.meta.channels(run).contains(&channel)) {
                lane.log.cache.done(&record);
            }
        }
    }

    fn hand_out(&mut self, lane: &Lane, channel: u16, want: u64, bytes_max: u64, taken: &mut Taken) {
        let Some(current) = &mut self.current else { return };
        let Some((begin, end)) = current.next_run(channel, &self.skip) else { return };
        let record = &current.record;
        let limit = end.min(begin.saturating_add(usize::try_from(want).unwrap_or(usize::MAX)));
        let events = record.events.get(begin..limit).unwrap_or_default();
        taken.events.reserve(events.len());
        let mut bytes = 0;
        let mut count = 0;
        for event in events {
            if count > 0 && bytes >= bytes_max {
                break;
            }
            bytes += event.size_bytes();
            count += 1;
            taken.events.push(event.clone());
        }
        let seq = record.seq + begin as u64;
        let piece = Piece { lane: lane.index, stamp: record.stamp, lo: self.covered.min(seq), seq, count };
        current.index = begin + usize::try_from(count).unwrap_or(usize::MAX);
        self.covered = piece.end();
        match taken.pieces.last_mut() {
            Some(last) if last.lane == piece.lane && last.stamp == piece.stamp && last.end() == piece.seq => {
                last.count += piece.count;
            }
            _ => taken.pieces.push(piece),
        }
        if current.next_run(channel, &self.skip).is_none() {
            self.finish_record(lane, channel);
        }
    }
}

impl Current {
    /// The next neighbouring events that are for `channel` and not to be skipped.
    fn next_run(&mut self, channel: u16, skip: &RangeSet) -> Option<(usize, usize)> {
        let first = self.record.seq;
        let seq = |index: usize| first + index as u64;
        let mut index = self.index;
        loop {
            let (mut from, upto) = self.next_routed(channel, index)?;
            if !skip.intersects(seq(from), seq(upto)) {
                return Some((from, upto));
            }
            while from < upto && skip.covers(seq(from), seq(from + 1)) {
                from += 1;
            }
            if from < upto {
                let end = (from..upto).find(|index| skip.covers(seq(*index), seq(index + 1))).unwrap_or(upto);
                return Some((from, end));
            }
            index = upto;
        }
    }

    /// The next neighbouring events from `index` on that are for `channel`. Nothing before is looked for any more.
    fn next_routed(&mut self, channel: u16, index: usize) -> Option<(usize, usize)> {
        let Self { record, found: (from, upto), behind, .. } = self;
        if index < *upto {
            return Some((index.max(*from), *upto));
        }
        let mut found = None;
        while let Some(run) = record.meta.runs.get(behind.number) {
            let end = (behind.begin + run.events as usize).min(record.events.len());
            if end > index && record.meta.channels(run).contains(&channel) {
                found = Some((found.map_or(behind.begin, |(begin, _)| begin), end));
            } else if found.is_some() {
                break;
            }
            *behind = RunPlace { number: behind.number + 1, begin: end };
        }
        let (begin, end) = found?;
        (*from, *upto) = (begin, end);
        Some((begin.max(index), end))
    }
}

/// Nothing that is unread in a lane is to be handed out any more. Returns how many events that are.
fn withhold(gates: &mut [LaneGate], lane: usize) -> u64 {
    let Some(gate) = gates.get_mut(lane) else { return 0 };
    gate.unread_bytes = 0;
    std::mem::take(&mut gate.unread)
}

/// What a commit of the first `count` events of a take acknowledges, and the pieces on both sides.
pub(crate) fn split_pieces(pieces: Vec<Piece>, count: u64) -> (Vec<Piece>, Vec<Piece>) {
    let mut left = count;
    let (mut done, mut rest) = (Vec::new(), Vec::new());
    for piece in pieces {
        if left >= piece.count {
            left -= piece.count;
            done.push(piece);
        } else if left > 0 {
            let (first, second) = piece.split(left);
            left = 0;
            done.push(first);
            rest.push(second);
        } else {
            rest.push(piece);
        }
    }
    (done, rest)
}

/// The ranges that acknowledge `pieces` with these events.
pub(crate) fn ack_ranges(pieces: &[Piece], events: &[Event]) -> Vec<AckRange> {
    let mut ranges: Vec<AckRange> = Vec::new();
    let mut sizes = events.iter().map(Event::size_bytes);
    for piece in pieces {
        let count = u32::try_from(piece.count).unwrap_or(u32::MAX);
        let bytes = sizes.by_ref().take(count as usize).sum();
        match ranges.last_mut() {
            Some(last) if last.lane == piece.lane && last.hi == piece.lo => {
                last.hi = piece.end();
                last.events += count;
                last.bytes += bytes;
            }
            _ => {
                ranges.push(AckRange {
                    lane: piece.lane,
                    events: count,
                    bytes,
                    lo: piece.lo,
                    hi: piece.end() + u64::from(planted(Bug::AckTooMuch)),
                });
            }
        }
    }
    ranges
}
