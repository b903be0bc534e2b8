//! Records: what the payload of a frame says. Pure code.
//!
//! ```text
//! PUT    sets u16, for each: channels u16, channel u16 x n
//!        runs u32, for each: set u32, events u32, bytes u64
//!        positions (below)
//!        for each event: headers length u32, body length u32, headers (as in `Headers::as_encoded`), body
//! ACK    channel u16
//!        ranges u16, for each: lane u16, events u32, bytes u64, first seq u64, end seq u64
//!        positions
//! BEGIN  end of the segment before u64 (a lane position, 0 for none), state of the lane (see `state.rs`)
//!
//! positions: u16, for each: owner length u16, value length u32 (2^32-1: cleared), owner, value
//! ```

use bytes::{BufMut, Bytes};

use super::buffers::Buffers;
use super::cursor::{Cursor, Malformed};
use super::reader::Piece;
use crate::batch::{Positions, Routes};
use crate::event::{Event, Headers};

/// An encoded payload: bytes in a buffer of its own, and bodies that are shared, which stand between them.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    buffer: Vec<u8>,
    // Each with its place in the buffer.
    shared: Vec<(usize, Bytes)>,
    pub(crate) len: u64,
    pub(crate) crc: u32,
}

impl Payload {
    pub(crate) fn one(buffer: Vec<u8>) -> Self {
        let crc = crc32fast::hash(&buffer);
        Self { len: buffer.len() as u64, crc, buffer, shared: Vec::new() }
    }

    /// What is to be written, one after the other.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        let ends = self.shared.iter().map(|(at, shared)| (*at, &shared[..]));
        let pieces = ends.chain([(self.buffer.len(), &[][..])]).flat_map(move |(at, shared)| {
            let copied = self.buffer.get(from..at).unwrap_or_default();
            from = at;
            [copied, shared]
        });
        pieces.filter(|piece| !piece.is_empty())
    }

    /// The buffer, for another payload.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// What a PUT record says besides its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PutMeta {
    // Not on disk: see `Routes`.
    store: u64,
    pub(crate) sets: Vec<Vec<u16>>,
    pub(crate) runs: Vec<Run>,
    pub(crate) positions: Positions,
}

/// Neighbouring events that go to the same channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) set: u32,
    pub(crate) events: u32,
    pub(crate) bytes: u64,
}

impl PutMeta {
    /// From a batch's routes; the runs get the bytes of their events.
    pub(crate) fn new(routes: Routes, events: &[Event], positions: Positions) -> Self {
        let mut rest = events.iter();
        let runs = routes
            .runs
            .iter()
            .map(|&(set, count)| Run {
                set,
                events: count,
                bytes: rest.by_ref().take(count as usize).map(Event::size_bytes).sum(),
            })
            .collect();
        Self { store: routes.store, sets: routes.sets, runs, positions }
    }

    /// The sequence numbers of each channel's events, for a record that begins at `seq`.
    pub(crate) fn visit_ranges(&self, mut seq: u64, mut visit: impl FnMut(u16, u64, u64)) {
        for run in &self.runs {
            let end = seq + u64::from(run.events);
            self.channels(run).iter().for_each(|channel| visit(*channel, seq, end));
            seq = end;
        }
    }

    pub(crate) fn into_routes(self) -> (Routes, Positions) {
        let runs = self.runs.into_iter().map(|run| (run.set, run.events)).collect();
        (Routes { store: self.store, sets: self.sets, runs }, self.positions)
    }

    /// The channels of a run.
    pub(crate) fn channels(&self, run: &Run) -> &[u16] {
        self.sets.get(run.set as usize).map_or(&[], Vec::as_slice)
    }

    /// Events and bytes for one channel.
    pub(crate) fn share(&self, channel: u16) -> (u64, u64) {
        let mine = self.runs.iter().filter(|run| self.channels(run).contains(&channel));
        mine.fold((0, 0), |(events, bytes), run| (events + u64::from(run.events), bytes + run.bytes))
    }

    /// All channels that get events, each once.
    pub(crate) fn all_channels(&self) -> Vec<u16> {
        let mut all = self.sets.concat();
        if self.sets.len() > 1 {
            all.sort_unstable();
            all.dedup();
        }
        all
    }
}

/// Encodes a PUT record into a buffer of `buffers`. Bodies of `body_copy_max` bytes and more are not copied.
pub(crate) fn encode_put(meta: &PutMeta, events: &[Event], body_copy_max: usize, buffers: &Buffers) -> Payload {
    let (mut copied, mut shared) = (0, 0);
    for event in events {
        let body = event.body().len();
        let is_shared = body >= body_copy_max;
        shared += usize::from(is_shared);
        copied += 8 + event.headers().as_encoded().len() + if is_shared { 0 } else { body };
    }
    let mut out = Encoder::new(buffers.take(copied + 64 + positions_len(&meta.positions)), shared);
    out.buffer.put_u16_le(short(meta.sets.len()));
    for set in &meta.sets {
        out.buffer.put_u16_le(short(set.len()));
        set.iter().for_each(|channel| out.buffer.put_u16_le(*channel));
    }
    out.buffer.put_u32_le(long(meta.runs.len()));
    for run in &meta.runs {
        out.buffer.put_u32_le(run.set);
        out.buffer.put_u32_le(run.events);
        out.buffer.put_u64_le(run.bytes);
    }
    encode_positions(&meta.positions, &mut out.buffer);
    for event in events {
        let headers = event.headers().as_encoded();
        out.buffer.put_u32_le(long(headers.len()));
        out.buffer.put_u32_le(long(event.body().len()));
        out.buffer.extend_from_slice(headers);
        if event.body().len() >= body_copy_max {
            out.share(event.body().clone());
        } else {
            out.buffer.extend_from_slice(event.body());
        }
    }
    out.finish()
}

/// Decodes what a PUT record says besides its events; the rest of the bytes are the events.
pub(crate) fn decode_put(payload: Bytes) -> Result<(PutMeta, Bytes), Malformed> {
    let mut cursor = Cursor::new(payload);
    let sets = cursor.u16("channel sets")?;
    let mut meta = PutMeta::default();
    for _ in 0..cursor.count(sets.into(), 2, "channel sets")? {
        let channels = cursor.u16("channels")?;
        let channels = cursor.count(channels.into(), 2, "channels")?;
        meta.sets.push((0..channels).map(|_| cursor.u16("channel")).collect::<Result<_, _>>()?);
    }
    let runs = cursor.u32("runs")?;
    for _ in 0..cursor.count(runs, 16, "runs")? {
        let run = Run { set: cursor.u32("run")?, events: cursor.u32("run")?, bytes: cursor.number("run")? };
        if run.set as usize >= meta.sets.len() {
            return Err(Malformed("run of an unknown channel set"));
        }
        meta.runs.push(run);
    }
    meta.positions = decode_positions(&mut cursor)?;
    Ok((meta, cursor.rest()))
}

/// Decodes the events behind [`decode_put`].
pub(crate) fn decode_events(bytes: Bytes, count: u32) -> Result<Vec<Event>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let count = cursor.count(count, 8, "event count")?;
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        let headers_len = cursor.u32("headers length")? as usize;
        let body_len = cursor.u32("body length")? as usize;
        let headers = if headers_len == 0 {
            Headers::new()
        } else {
            Headers::from_encoded(cursor.bytes(headers_len, "headers")?).map_err(|_| Malformed("headers"))?
        };
        events.push(Event::from_parts(headers, cursor.bytes(body_len, "body")?));
    }
    cursor.finish("bytes behind the last event")?;
    Ok(events)
}

/// What an ACK record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) channel: u16,
    pub(crate) ranges: Vec<AckRange>,
    pub(crate) positions: Positions,
}

/// Events of one lane that a channel is done with: all of its events in `lo..hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckRange {
    pub(crate) lane: u16,
    pub(crate) events: u32,
    pub(crate) bytes: u64,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
}

impl AckRange {
    /// Stands for what is lost, which is no event that a take has.
    pub(crate) fn as_piece(&self) -> Piece {
        Piece { lane: self.lane, stamp: 0, lo: self.lo, seq: self.hi, count: 0 }
    }
}

pub(crate) fn encode_ack(ack: &Ack) -> Payload {
    let mut out = Vec::with_capacity(4 + 30 * ack.ranges.len() + positions_len(&ack.positions));
    out.put_u16_le(ack.channel);
    out.put_u16_le(short(ack.ranges.len()));
    for range in &ack.ranges {
        out.put_u16_le(range.lane);
        out.put_u32_le(range.events);
        out.put_u64_le(range.bytes);
        out.put_u64_le(range.lo);
        out.put_u64_le(range.hi);
    }
    encode_positions(&ack.positions, &mut out);
    Payload::one(out)
}

pub(crate) fn decode_ack(payload: Bytes) -> Result<Ack, Malformed> {
    let mut cursor = Cursor::new(payload);
    let channel = cursor.u16("channel")?;
    let ranges = cursor.u16("ranges")?;
    let ranges = (0..cursor.count(ranges.into(), 30, "ranges")?)
        .map(|_| {
            let lane = cursor.u16("range")?;
            let events = cursor.u32("range")?;
            let bytes = cursor.number("range")?;
            Ok(AckRange { lane, events, bytes, lo: cursor.number("range")?, hi: cursor.number("range")? })
        })
        .collect::<Result<_, _>>()?;
    let positions = decode_positions(&mut cursor)?;
    cursor.finish("bytes behind the positions")?;
    Ok(Ack { channel, ranges, positions })
}

pub(crate) fn positions_len(positions: &Positions) -> usize {
    positions.iter().map(|(owner, value)| 6 + owner.len() + value.as_ref().map_or(0, Bytes::len)).sum::<usize>() + 2
}

fn encode_positions(positions: &Positions, out: &mut Vec<u8>) {
    out.put_u16_le(short(positions.len()));
    for (owner, value) in positions {
        put_position(owner, value.as_ref(), out);
    }
}

/// Owner length, value length (all ones: none), owner, value.
pub(crate) fn put_position(owner: &str, value: Option<&Bytes>, out: &mut impl BufMut) {
    out.put_u16_le(short(owner.len()));
    out.put_u32_le(value.map_or(CLEARED, |value| long(value.len())));
    out.put_slice(owner.as_bytes());
    if let Some(value) = value {
        out.put_slice(value);
    }
}

pub(crate) fn take_position(cursor: &mut Cursor) -> Result<(String, Option<Bytes>), Malformed> {
    let owner_len = cursor.u16("position owner length")?;
    let value_len = cursor.u32("position length")?;
    let owner = cursor.text(owner_len.into(), "position owner")?;
    let value = if value_len == CLEARED {
        None
    } else {
        // A copy: a position must not keep a whole segment's buffer alive.
        Some(Bytes::copy_from_slice(&cursor.bytes(value_len as usize, "position")?))
    };
    Ok((owner, value))
}

fn decode_positions(cursor: &mut Cursor) -> Result<Positions, Malformed> {
    let count = cursor.u16("positions")?;
    (0..cursor.count(count.into(), 6, "positions")?).map(|_| take_position(cursor)).collect()
}

/// Collects copied bytes and shared ones.
struct Encoder {
    buffer: Vec<u8>,
    shared: Vec<(usize, Bytes)>,
    hasher: crc32fast::Hasher,
    // Bytes of the buffer that the hasher has seen.
    hashed: usize,
}

impl Encoder {
    fn new(buffer: Vec<u8>, shared: usize) -> Self {
        Self { buffer, shared: Vec::with_capacity(shared), hasher: crc32fast::Hasher::new(), hashed: 0 }
    }

    fn share(&mut self, bytes: Bytes) {
        self.hash();
        self.hasher.update(&bytes);
        self.shared.push((self.buffer.len(), bytes));
    }

    fn hash(&mut self) {
        self.hasher.update(self.buffer.get(self.hashed..).unwrap_or_default());
        self.hashed = self.buffer.len();
    }

    fn finish(mut self) -> Payload {
        self.hash();
        let shared: usize = self.shared.iter().map(|(_, bytes)| bytes.len()).sum();
        let len = (self.buffer.len() + shared) as u64;
        Payload { buffer: self.buffer, shared: self.shared, len, crc: self.hasher.finalize() }
    }
}

/// Counts that are checked against a limit below 65,536 before anything is encoded.
fn short(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Lengths that are checked against a limit below 4 GiB before anything is encoded.
fn long(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

const CLEARED: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (PutMeta, Vec<Event>) {
        let events = vec![
            Event::new("first"),
            Event::new("").with_header("k", "v").unwrap(),
            Event::new(vec![7; 300]).with_header("a", "").unwrap(),
        ];
        let mut routes = Routes::default();
        routes.push(&[2, 1]);
        routes.push(&[2]);
        routes.push(&[2]);
        let positions = vec![("p".to_owned(), Some(Bytes::from_static(b"42"))), ("q".to_owned(), None)];
        (PutMeta::new(routes, &events, positions), events)
    }

    fn flat(payload: &Payload) -> Bytes {
        let bytes = payload.pieces().collect::<Vec<_>>().concat();
        assert_eq!((bytes.len() as u64, crc32fast::hash(&bytes)), (payload.len, payload.crc));
        bytes.into()
    }

    #[test]
    fn put_records_round_trip_however_bodies_are_shared() {
        let (meta, events) = sample();
        let expected = flat(&encode_put(&meta, &events, usize::MAX, &Buffers::default()));
        for body_copy_max in [0, 1, 100, 301] {
            let payload = encode_put(&meta, &events, body_copy_max, &Buffers::default());
            assert_eq!(flat(&payload), expected);
        }
        let (decoded, rest) = decode_put(expected).unwrap();
        assert_eq!(decoded, meta);
        assert_eq!(decode_events(rest, 3).unwrap(), events);
        assert_eq!(decoded.share(1), (1, 5));
        assert_eq!(decoded.share(2), (3, 5 + 8 + 307));
        assert_eq!(decoded.all_channels(), [1, 2]);
    }

    #[test]
    fn ack_records_round_trip() {
        let ranges = vec![AckRange { lane: 1, events: 2, bytes: 3, lo: 4, hi: 5 }; 3];
        let ack = Ack { channel: 9, ranges, positions: vec![("o".to_owned(), Some(Bytes::new()))] };
        assert_eq!(decode_ack(flat(&encode_ack(&ack))), Ok(ack));
    }

    #[test]
    fn no_cut_and_no_flip_panics_or_allocates_without_bound() {
        let (meta, events) = sample();
        let good = flat(&encode_put(&meta, &events, 0, &Buffers::default())).to_vec();
        let read = |bytes: Vec<u8>| {
            if let Ok((_, rest)) = decode_put(bytes.clone().into()) {
                let _ = decode_events(rest.clone(), 3);
                let _ = decode_events(rest, u32::MAX);
            }
            let _ = decode_ack(bytes.into());
        };
        for len in 0..good.len() {
            read(good[..len].to_vec());
        }
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            read(bad);
        }
    }
}
