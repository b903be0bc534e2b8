//! The state of a lane: a fold over its records. Pure code, the same at run time, in recovery and in the simulator.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::cursor::{Cursor, Malformed};
use super::frame::{Head, LanePos};
use super::ranges::RangeSet;
use super::record::{Ack, PutMeta, put_position, take_position};
use crate::batch::Positions;

/// What the records of one lane say, from the first on. It is written at the begin of every segment and in every
/// checkpoint, so that older records can be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneState {
    /// Sequence number of the next event.
    pub(crate) next_seq: u64,
    /// The largest order stamp seen.
    pub(crate) stamp: u64,
    pub(crate) channels: BTreeMap<u16, ChannelState>,
    /// Positions whose last change is in this lane's log, with the stamp of that change; `None` is a cleared one that
    /// another lane may still know.
    pub(crate) positions: BTreeMap<String, (u64, Option<Bytes>)>,
    /// Segments before the newest that still hold events, by id.
    pub(crate) sealed: BTreeMap<u32, SealedSegment>,
    /// Sequence number of the first event of the newest segment.
    pub(crate) first_seq: u64,
    /// Which channels have events in the newest segment.
    pub(crate) spans: Spans,
}

/// For each channel with events in a segment, the sequence numbers of its first event there and behind its last.
pub(crate) type Spans = BTreeMap<u16, (u64, u64)>;

/// What the log of one lane says of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelState {
    /// Events put into this lane, ever.
    pub(crate) put_events: u64,
    /// Bytes of them.
    pub(crate) put_bytes: u64,
    /// Takes whose commit is in this lane's log, by the lane of their events.
    pub(crate) acked: BTreeMap<u16, Acked>,
}

/// Events that a channel is done with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) ranges: RangeSet,
}

/// A segment that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedSegment {
    /// Sequence number of its first event.
    pub(crate) first_seq: u64,
    /// Sequence number behind its last event.
    pub(crate) end_seq: u64,
    /// Offset behind its last frame.
    pub(crate) end: u32,
    /// Which channels have events in it.
    pub(crate) spans: Spans,
}

impl LaneState {
    /// Applies a PUT record.
    pub(crate) fn put(&mut self, head: &Head, meta: &PutMeta) {
        self.next_seq = head.seq + u64::from(head.events);
        self.stamp = self.stamp.max(head.stamp);
        for run in &meta.runs {
            for channel in meta.channels(run) {
                let channel = self.channels.entry(*channel).or_default();
                channel.put_events += u64::from(run.events);
                channel.put_bytes = channel.put_bytes.saturating_add(run.bytes);
            }
        }
        meta.visit_ranges(head.seq, |channel, lo, hi| {
            let span = self.spans.entry(channel).or_insert((lo, hi));
            span.1 = span.1.max(hi);
        });
        self.set_positions(head.stamp, &meta.positions);
    }

    /// Applies an ACK record.
    pub(crate) fn ack(&mut self, head: &Head, ack: &Ack) {
        // Behind damage that was passed over, it tells of the events that were there.
        self.next_seq = self.next_seq.max(head.seq);
        self.stamp = self.stamp.max(head.stamp);
        let channel = self.channels.entry(ack.channel).or_default();
        for range in &ack.ranges {
            let acked = channel.acked.entry(range.lane).or_default();
            acked.events += u64::from(range.events);
            acked.bytes = acked.bytes.saturating_add(range.bytes);
            acked.ranges.insert(range.lo, range.hi);
        }
        self.set_positions(head.stamp, &ack.positions);
    }

    /// Notes that the newest segment is complete and another one begins.
    pub(crate) fn seal(&mut self, end: LanePos) {
        let spans = std::mem::take(&mut self.spans);
        let sealed = SealedSegment { first_seq: self.first_seq, end_seq: self.next_seq, end: end.offset(), spans };
        self.sealed.insert(end.segment(), sealed);
        self.first_seq = self.next_seq;
    }

    fn set_positions(&mut self, stamp: u64, positions: &Positions) {
        for (owner, value) in positions {
            self.positions.insert(owner.clone(), (stamp, value.clone()));
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        out.put_u64_le(self.next_seq);
        out.put_u64_le(self.stamp);
        out.put_u64_le(self.first_seq);
        out.put_u32_le(count(self.channels.len()));
        for (id, channel) in &self.channels {
            out.put_u16_le(*id);
            out.put_u64_le(channel.put_events);
            out.put_u64_le(channel.put_bytes);
            out.put_u32_le(count(channel.acked.len()));
            for (lane, acked) in &channel.acked {
                out.put_u16_le(*lane);
                out.put_u64_le(acked.events);
                out.put_u64_le(acked.bytes);
                out.put_u32_le(count(acked.ranges.len()));
                for (lo, hi) in acked.ranges.iter() {
                    out.put_u64_le(lo);
                    out.put_u64_le(hi);
                }
            }
        }
        out.put_u32_le(count(self.sealed.len()));
        for (id, segment) in &self.sealed {
            out.put_u32_le(*id);
            out.put_u32_le(segment.end);
            out.put_u64_le(segment.first_seq);
            out.put_u64_le(segment.end_seq);
            put_spans(&segment.spans, &mut out);
        }
        put_spans(&self.spans, &mut out);
        out.put_u32_le(count(self.positions.len()));
        for (owner, (stamp, value)) in &self.positions {
            out.put_u64_le(*stamp);
            put_position(owner, value.as_ref(), &mut out);
        }
        out.freeze()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let next_seq = cursor.number("next seq")?;
        let stamp = cursor.number("stamp")?;
        let first_seq = cursor.number("first seq")?;
        let mut state = Self { next_seq, stamp, first_seq, ..Self::default() };
        let channels = cursor.u32("channels")?;
        for _ in 0..cursor.count(channels, 22, "channels")? {
            let id = cursor.u16("channel")?;
            state.channels.insert(id, decode_channel(&mut cursor)?);
        }
        let sealed = cursor.u32("segments")?;
        for _ in 0..cursor.count(sealed, 28, "segments")? {
            let id = cursor.u32("segment")?;
            let end = cursor.u32("segment end")?;
            let first_seq = cursor.number("segment")?;
            let end_seq = cursor.number("segment")?;
            let spans = take_spans(&mut cursor)?;
            state.sealed.insert(id, SealedSegment { first_seq, end_seq, end, spans });
        }
        state.spans = take_spans(&mut cursor)?;
        let positions = cursor.u32("positions")?;
        for _ in 0..cursor.count(positions, 14, "positions")? {
            let stamp = cursor.number("position stamp")?;
            let (owner, value) = take_position(&mut cursor)?;
            state.positions.insert(owner, (stamp, value));
        }
        cursor.finish("bytes behind the state")?;
        Ok(state)
    }
}

fn decode_channel(cursor: &mut Cursor) -> Result<ChannelState, Malformed> {
    let put_events = cursor.number("put events")?;
    let put_bytes = cursor.number("put bytes")?;
    let mut channel = ChannelState { put_events, put_bytes, acked: BTreeMap::new() };
    let lanes = cursor.u32("acknowledged lanes")?;
    for _ in 0..cursor.count(lanes, 22, "acknowledged lanes")? {
        let lane = cursor.u16("lane")?;
        let events = cursor.number("acknowledged events")?;
        let bytes = cursor.number("acknowledged bytes")?;
        let mut ranges = RangeSet::default();
        let count = cursor.u32("ranges")?;
        for _ in 0..cursor.count(count, 16, "ranges")? {
            ranges.insert(cursor.number("range")?, cursor.number("range")?);
        }
        channel.acked.insert(lane, Acked { events, bytes, ranges });
    }
    Ok(channel)
}

fn put_spans(spans: &Spans, out: &mut BytesMut) {
    out.put_u32_le(count(spans.len()));
    for (channel, (lo, hi)) in spans {
        out.put_u16_le(*channel);
        out.put_u64_le(*lo);
        out.put_u64_le(*hi);
    }
}

fn take_spans(cursor: &mut Cursor) -> Result<Spans, Malformed> {
    let spans = cursor.u32("spans")?;
    (0..cursor.count(spans, 18, "spans")?)
        .map(|_| Ok((cursor.u16("span")?, (cursor.number("span")?, cursor.number("span")?))))
        .collect()
}

/// Counts of things in memory, each of which takes more than a byte: far below 2^32.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Routes;
    use crate::event::Event;
    use crate::store::frame::Kind;
    use crate::store::record::AckRange;

    fn head(kind: Kind, seq: u64, events: u32, stamp: u64) -> Head {
        Head { kind, payload_len: 0, events, seq, stamp, durable: LanePos::default(), payload_crc: 0 }
    }

    #[test]
    fn the_fold_counts_and_its_encoding_round_trips() {
        let mut state = LaneState::default();
        let events = vec![Event::new("12345"), Event::new("1")];
        let mut routes = Routes::default();
        routes.push(&[0, 5]);
        routes.push(&[5]);
        let positions = vec![("x".to_owned(), Some(Bytes::from_static(b"1")))];
        state.put(&head(Kind::Put, 0, 2, 1), &PutMeta::new(routes, &events, positions));
        state.seal(LanePos::new(1, 999));
        let ranges = vec![AckRange { lane: 0, events: 1, bytes: 5, lo: 0, hi: 1 }];
        let ack = Ack { channel: 5, ranges, positions: vec![("x".to_owned(), None)] };
        state.ack(&head(Kind::Ack, 0, 0, 2), &ack);
        assert_eq!((state.next_seq, state.stamp, state.first_seq), (2, 2, 2));
        assert_eq!((state.channels[&5].put_events, state.channels[&5].put_bytes), (2, 6));
        assert_eq!((state.channels[&0].put_events, state.channels[&0].put_bytes), (1, 5));
        assert_eq!(state.channels[&5].acked[&0].ranges.floor(), 1);
        assert_eq!(state.positions["x"], (2, None));
        let spans = Spans::from([(0, (0, 1)), (5, (0, 2))]);
        assert_eq!(state.sealed[&1], SealedSegment { first_seq: 0, end_seq: 2, end: 999, spans });
        let encoded = state.encode();
        assert_eq!(LaneState::decode(encoded.clone()), Ok(state));
        for len in 0..encoded.len() {
            assert!(LaneState::decode(encoded.slice(..len)).is_err(), "cut at {len}");
        }
    }
}
