//! The walk over the frames of a lane that count, and the fold of what they say.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::begin::parse_begin;
use super::checkpoint::Checkpoint;
use super::files::{Begin, Files, Tail, begin_damage, damage};
use super::frame::{Head, Kind, LanePos, SEGMENT_HEADER_BYTES};
use super::options::Options;
use super::record::{decode_ack, decode_put};
use super::recovery::fail_on_damage;
use super::report::{Damage, LaneReport, OpenError};
use super::rest::{Rest, Stretch};
use super::scan::{Frame, Frames, count_heads, find_head, newest_mark, newest_mark_anywhere};
use super::segment::{Segment, segment_name};
use super::state::LaneState;
use crate::error::StorageError;
use crate::sabotage::{Bug, planted};

/// What is not known to be durable, in the order of the log.
#[derive(Debug)]
enum Item {
    Records(Stretch),
    /// Its end, and, behind damage, what it says of all that is before it.
    Begin(LanePos, Option<Box<LaneState>>),
    /// The end of a segment.
    Seal(LanePos),
}

/// What a record says.
enum What {
    /// Of events for these channels.
    Put(BTreeSet<u16>),
    Ack,
    Begin(Option<Box<LaneState>>),
}

/// The walk over the frames that count.
pub(crate) struct Replay<'a> {
    options: &'a Options,
    // The segments to read, oldest first; those whose end is known with it.
    chain: VecDeque<(Arc<Segment>, Option<u32>)>,
    at: LanePos,
    // Known durable.
    durable: LanePos,
    // All that is left was searched for what it knows to be durable.
    searched: bool,
    /// State after all items up to `folded`.
    pub(crate) state: LaneState,
    pub(crate) folded: LanePos,
    /// The last of them is the end of a segment.
    pub(crate) sealed: bool,
    // Ends of the first BEGIN and of the segment before it.
    begin: (LanePos, LanePos),
    /// Items behind `folded`.
    pending: VecDeque<Item>,
    // What reads them again, to fold them.
    again: Option<Frames>,
    // Sequence number that the next record must have; `None` if nothing tells.
    next_seq: Option<u64>,
    // No event has a smaller number from now on, whatever was passed over.
    floor: u64,
    // Where the segment being read has an unknown end: what begins behind it.
    newer: Option<Newer>,
    /// Damage was passed over, and from this segment on no record repeated what was lost.
    pub(crate) shaken_from: Option<u32>,
    clean_end: Option<LanePos>,
    pub(crate) report: LaneReport,
}

/// The first record of a segment. What the segment before has from there on was left behind when it ended: records that the first
/// open after a kill wrote again, into the new segment, or did not take.
#[derive(Clone, Copy)]
struct Newer {
    stamp: u64,
    seq: u64,
}

impl Newer {
    fn than(segment: &Segment) -> Result<Option<Self>, StorageError> {
        let first = find_head(segment, SEGMENT_HEADER_BYTES, u32::MAX)?.map(|(_, head)| head);
        // A BEGIN has the stamp of the last record before it.
        Ok(first.map(|head| Self { stamp: head.stamp + u64::from(head.kind == Kind::Begin), seq: head.seq }))
    }
}

/// How the walk goes on at a place without a valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    /// The log ends here.
    End,
    /// Damage was passed over.
    Here,
    /// The segment ends here, and another one follows.
    Next,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(
        files: &Files,
        tail: Tail,
        checkpoint: Option<Checkpoint>,
        report: LaneReport,
        options: &'a Options,
    ) -> Result<Self, OpenError> {
        let Tail { segment, begin, behind, .. } = tail;
        let known = begin.durable.max(checkpoint.as_ref().map_or(LanePos::default(), |found| found.pos));
        let mut replay = Self {
            options,
            chain: segment.iter().chain(&behind).map(|segment| (segment.clone(), None)).collect(),
            at: begin.end,
            durable: known,
            searched: false,
            state: LaneState::default(),
            folded: begin.end,
            sealed: false,
            begin: (begin.end, begin.previous_end),
            pending: VecDeque::new(),
            again: None,
            next_seq: None,
            floor: 0,
            newer: None,
            shaken_from: None,
            clean_end: None,
            report,
        };
        let begin = match segment {
            Some(segment) => replay.reach_back(files, segment, begin)?,
            None => begin,
        };
        replay.begin = (begin.end, begin.previous_end);
        (replay.at, replay.folded, replay.state) = (begin.end, begin.end, begin.state);
        replay.durable = replay.durable.max(begin.durable);
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.pos >= begin.end) {
            while replay.chain.front().is_some_and(|(segment, _)| segment.id < checkpoint.pos.segment()) {
                replay.chain.pop_front();
            }
            (replay.at, replay.folded, replay.state) = (checkpoint.pos, checkpoint.pos, checkpoint.state);
            // Segments that were begun since, which only their damaged begins would say, come behind it all the same.
            replay.clean_end = (checkpoint.clean && behind.is_empty()).then_some(checkpoint.pos);
            replay.report.from_checkpoint = true;
        }
        (replay.next_seq, replay.floor) = (Some(replay.state.next_seq), replay.state.next_seq);
        Ok(replay)
    }

    /// Goes back to the begin from which the frames have to be read: as long as the segment before was not wholly durable,
    /// they are looked at.
    fn reach_back(&mut self, files: &Files, segment: Arc<Segment>, begin: Begin) -> Result<Begin, OpenError> {
        let (mut segment, mut begin) = (segment, begin);
        while self.durable < begin.previous_end {
            // The frames behind the begin may know more. What they know to be durable may have been freed since.
            self.durable = self.durable.max(newest_mark(&segment, begin.end)?);
            if self.durable >= begin.previous_end {
                break;
            }
            let id = begin.previous_end.segment();
            let end = begin.previous_end.offset();
            // An earlier segment has a smaller id: damage must not send the walk round in a circle.
            let before = files.segments.get(&id).filter(|_| id < segment.id).map(Segment::reopened);
            let before_begin = before.as_ref().map_or(Ok(None), Begin::read)?;
            let (Some(before), Some(before_begin)) = (before, before_begin) else {
                let path = segment.path.with_file_name(segment_name(id));
                let detail = "the segment is missing, or its header is damaged".to_owned();
                let missing = Damage { path, offset: 0, bytes: end.into(), events: None, detail };
                let present = files.segments.get(&id).filter(|_| id < segment.id);
                self.report.note(present.map_or(Ok(missing), begin_damage)?);
                fail_on_damage(&self.report, self.options)?;
                break;
            };
            self.chain.push_front((before.clone(), Some(end)));
            (segment, begin) = (before, before_begin);
        }
        Ok(begin)
    }

    /// Number of the oldest segment that is read.
    pub(crate) fn oldest(&self) -> u32 {
        self.chain.front().map_or(0, |(segment, _)| segment.id)
    }

    /// Where the segment before ends, if nothing says that the BEGIN from which the state was taken is durable: it may be
    /// in the page cache alone, so nothing new may be built on it, and its segment is left behind.
    pub(crate) fn unproven_begin(&self) -> Option<LanePos> {
        let (begin_end, previous_end) = self.begin;
        (self.durable < begin_end).then_some(previous_end)
    }

    pub(crate) fn run(&mut self) -> Result<(), OpenError> {
        while let Some((segment, end)) = self.chain.pop_front() {
            let mut frames = Frames::new(segment.clone())?;
            if self.segment(&segment, end, &mut frames)? == Onward::End {
                // What later segments hold was never acknowledged.
                break;
            }
        }
        self.fold()?;
        Ok(())
    }

    /// The records behind `folded`.
    pub(crate) fn rest(&mut self) -> Rest {
        let records = self.pending.drain(..).filter_map(|item| match item {
            Item::Records(stretch) => Some(stretch),
            Item::Begin(..) | Item::Seal(_) => None,
        });
        Rest { stretches: records.collect() }
    }

    /// Reads one segment.
    fn segment(&mut self, segment: &Arc<Segment>, end: Option<u32>, frames: &mut Frames) -> Result<Onward, OpenError> {
        if self.at.segment() != segment.id {
            self.at = LanePos::new(segment.id, SEGMENT_HEADER_BYTES);
        }
        self.newer = match (end, self.chain.front()) {
            (None, Some((behind, _))) => Newer::than(behind)?,
            _ => None,
        };
        loop {
            if end == Some(self.at.offset()) {
                self.seal()?;
                return Ok(Onward::Next);
            }
            if end.is_none() && self.clean_end == Some(self.at) {
                self.report.clean = self.report.replayed_records == 0;
                return Ok(Onward::End);
            }
            let onward = match frames.at(self.at.offset(), end.unwrap_or(u32::MAX))? {
                Frame::Valid(head, _) | Frame::Torn(head) if self.is_left_behind(&head) => Onward::Next,
                Frame::Valid(head, payload) => match self.parse(&head, payload) {
                    Some(what) => {
                        self.push(segment, &head, what)?;
                        continue;
                    }
                    None => self.invalid(segment, end, Some(&head), "the record makes no sense")?,
                },
                Frame::Torn(head) => self.invalid(segment, end, Some(&head), "the payload has another checksum")?,
                Frame::Invalid => self.invalid(segment, end, None, "no valid frame")?,
            };
            match onward {
                Onward::Here => {}
                Onward::Next => {
                    self.seal()?;
                    return Ok(onward);
                }
                Onward::End => return Ok(onward),
            }
        }
    }

    /// Whether a frame stands behind the end of its segment.
    fn is_left_behind(&self, head: &Head) -> bool {
        self.newer.is_some_and(|newer| head.stamp >= newer.stamp || head.end_seq() > newer.seq)
    }

    fn seal(&mut self) -> Result<(), StorageError> {
        self.pending.push_back(Item::Seal(self.at));
        self.fold()
    }

    fn parse(&self, head: &Head, payload: Bytes) -> Option<What> {
        match head.kind {
            Kind::Put => {
                let (meta, _) = decode_put(payload).ok()?;
                let events: u64 = meta.runs.iter().map(|run| u64::from(run.events)).sum();
                // Numbers that were lost with their events are passed over.
                let in_place = self.floor <= head.seq;
                (in_place && events == u64::from(head.events))
                    .then(|| What::Put(meta.all_channels().into_iter().collect()))
            }
            Kind::Ack => decode_ack(payload).ok().map(|_| What::Ack),
            Kind::Begin if self.at.offset() != SEGMENT_HEADER_BYTES => None,
            Kind::Begin if self.shaken_from.is_some() => {
                let (_, state) = parse_begin(payload).ok()?;
                Some(What::Begin(Some(Box::new(state))))
            }
            Kind::Begin => Some(What::Begin(None)),
        }
    }

    fn push(&mut self, segment: &Arc<Segment>, head: &Head, what: What) -> Result<(), StorageError> {
        let offset = self.at.offset();
        self.at = self.at.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
        self.durable = self.durable.max(head.durable);
        self.next_seq = Some(head.end_seq());
        self.floor = self.floor.max(head.end_seq());
        self.report.replayed_records += 1;
        self.report.replayed_bytes += head.frame_len();
        match what {
            What::Put(channels) => self.push_record(segment, offset, head, channels),
            What::Ack => self.push_record(segment, offset, head, BTreeSet::new()),
            What::Begin(state) => {
                if state.is_some() {
                    self.shaken_from = None;
                }
                self.pending.push_back(Item::Begin(self.at, state));
            }
        }
        self.fold()
    }

    fn push_record(&mut self, segment: &Arc<Segment>, offset: u32, head: &Head, channels: BTreeSet<u16>) {
        match self.pending.back_mut() {
            Some(Item::Records(last)) if last.ends_at(segment, offset) => last.push(head, channels),
            _ => {
                let mut stretch = Stretch::at(segment, offset, head.seq);
                stretch.push(head, channels);
                self.pending.push_back(Item::Records(stretch));
            }
        }
    }

    /// Applies the items that are known to be durable.
    fn fold(&mut self) -> Result<(), StorageError> {
        let limit = if planted(Bug::TailTrusted) { LanePos::new(u32::MAX, u32::MAX) } else { self.durable };
        while let Some(item) = self.pending.front_mut() {
            match item {
                Item::Records(stretch) => {
                    while let Some(found) = stretch.next(limit, &mut self.again)? {
                        self.folded = found.end();
                        self.sealed = false;
                        found.apply(&mut self.state)?;
                    }
                    if !stretch.is_empty() {
                        return Ok(());
                    }
                }
                Item::Begin(end, state) if *end <= limit => {
                    (self.folded, self.sealed) = (*end, false);
                    if let Some(all) = state.take() {
                        self.state = *all;
                    }
                }
                Item::Seal(end) if *end <= limit => {
                    (self.folded, self.sealed) = (*end, true);
                    self.state.seal(*end);
                }
                Item::Begin(..) | Item::Seal(_) => return Ok(()),
            }
            self.pending.pop_front();
        }
        Ok(())
    }

    /// Whether anything proves that what stood at the place in work had been durable.
    fn was_durable(&mut self, segment: &Segment, end: Option<u32>) -> Result<bool, StorageError> {
        if self.durable <= self.at && !self.searched {
            // One look at all that is left, however many places are damaged.
            self.searched = true;
            let limit = end.unwrap_or(u32::MAX);
            let mut mark = newest_mark_anywhere(segment, self.at.offset() + 1, limit)?;
            for (later, end) in &self.chain {
                mark = mark.max(newest_mark_anywhere(later, SEGMENT_HEADER_BYTES, end.unwrap_or(u32::MAX))?);
            }
            self.durable = self.durable.max(mark);
            self.fold()?;
        }
        Ok(self.durable > self.at || (end.is_none() && segment.cut_short) || planted(Bug::TornTailIsDamage))
    }

    /// Decides what a place without a valid frame means; `torn` is its head, if that is valid.
    fn invalid(
        &mut self,
        segment: &Arc<Segment>,
        end: Option<u32>,
        torn: Option<&Head>,
        detail: &str,
    ) -> Result<Onward, OpenError> {
        let (at, limit) = (self.at.offset(), end.unwrap_or(u32::MAX));
        if u64::from(at) > segment.size {
            // The file ends before the place that a checkpoint is about; that is known.
            return Ok(Onward::End);
        }
        if !self.was_durable(segment, end)? {
            self.report.torn_records += count_heads(segment, at, limit)?;
            return Ok(Onward::End);
        }
        let next = find_head(segment, at + 1, limit)?.filter(|(_, head)| !self.is_left_behind(head));
        if next.is_none() && end.is_none() && !self.chain.is_empty() {
            // Whether anything is missing before the segment behind, its sequence numbers tell.
            return Ok(Onward::Next);
        }
        let upto = next.map(|(offset, _)| offset).or(end);
        // Where nothing follows, the file's length is all that is known.
        let bytes = u64::from(upto.unwrap_or(at) - at);
        let following = match next {
            Some((_, head)) => Some(head.seq),
            None => self.seq_of_next_begin()?.or(torn.map(Head::end_seq)),
        };
        let events = following.zip(self.next_seq).map(|(seq, expected)| seq.saturating_sub(expected));
        self.report.note(damage(segment, at, bytes, events, detail));
        fail_on_damage(&self.report, self.options)?;
        self.shaken_from = self.shaken_from.or(Some(segment.id));
        self.next_seq = None;
        if let Some(seq) = following.filter(|_| self.pending.is_empty()) {
            // The numbers of events that are lost are not given again.
            self.state.next_seq = self.state.next_seq.max(seq);
        }
        let Some(offset) = upto else { return Ok(Onward::End) };
        self.at = LanePos::new(segment.id, offset);
        Ok(Onward::Here)
    }

    fn seq_of_next_begin(&self) -> Result<Option<u64>, StorageError> {
        let Some((segment, _)) = self.chain.front() else { return Ok(None) };
        Ok(Begin::read(segment)?.map(|begin| begin.state.next_seq))
    }
}
