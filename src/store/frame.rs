//! Frames: the envelope of a record on disk, and the header of a segment. Pure code.
//!
//! All integers are little-endian. A segment file:
//!
//! ```text
//! offset 0    header, in a 512-byte sector of its own
//!             magic 8 | store id 16 | lane u16 | version u16 | zero u32 | segment id u32 | zero u32 | salt u64 | size u64 | crc u32
//! offset 512  frames back to back, the first one a BEGIN record; zeros, or what an earlier use left, behind the last
//! ```
//!
//! A frame is a head of 48 bytes and its payload:
//!
//! ```text
//! magic u32 | payload length u32 | kind u8 | zero u8 x 3 | events u32
//! sequence number of the first event u64 | order stamp u64
//! durable up to u64 | payload crc u32 | head crc u32
//! ```
//!
//! The payload CRC is a plain CRC-32 (IEEE), so that the producer can compute it before the place of the record is known.
//! The head CRC covers the head, and is salted with the store's id, the lane, the segment's id and salt, and the offset of
//! the frame: bytes of an earlier use of the file, of another segment or from another offset never validate.

use bytes::{BufMut, Bytes, BytesMut};

use super::cursor::{Cursor, Malformed};
use crate::sabotage::{Bug, planted};

/// A place in a lane: segment id in the upper 32 bits, offset in the lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LanePos(pub(crate) u64);

impl LanePos {
    pub(crate) fn new(segment: u32, offset: u32) -> Self {
        Self(u64::from(segment) << 32 | u64::from(offset))
    }

    pub(crate) fn segment(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }

    pub(crate) fn offset(self) -> u32 {
        u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(u32::MAX)
    }

    /// The place `bytes` further on in the same segment.
    pub(crate) fn after(self, bytes: u32) -> Self {
        Self(self.0.saturating_add(u64::from(bytes)))
    }
}

/// 16 random bytes that name a store.
pub(crate) type StoreId = [u8; 16];

/// The header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: StoreId,
    pub(crate) lane: u16,
    pub(crate) id: u32,
    pub(crate) salt: u64,
    pub(crate) size: u64,
}

/// Why a segment header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not a header, or torn.
    Invalid,
    /// Written by another version.
    Version(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(SEGMENT_HEADER_BYTES as usize);
        out.put_slice(SEGMENT_MAGIC);
        out.put_slice(&self.store);
        out.put_u16_le(self.lane);
        out.put_u16_le(FORMAT_VERSION);
        out.put_u32_le(0);
        out.put_u32_le(self.id);
        out.put_u32_le(0);
        out.put_u64_le(self.salt);
        out.put_u64_le(self.size);
        let crc = crc32fast::hash(&out);
        out.put_u32_le(crc);
        out.resize(SEGMENT_HEADER_BYTES as usize, 0);
        out.freeze()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, HeaderError> {
        let invalid = |_: Malformed| HeaderError::Invalid;
        let covered = bytes.get(..HEADER_COVERED).ok_or(HeaderError::Invalid)?;
        let mut cursor = Cursor::new(bytes.clone());
        let magic = cursor.bytes(8, "magic").map_err(invalid)?;
        let store: StoreId =
            cursor.bytes(16, "store").map_err(invalid)?.as_ref().try_into().map_err(|_| HeaderError::Invalid)?;
        let lane = cursor.u16("lane").map_err(invalid)?;
        let version = cursor.u16("version").map_err(invalid)?;
        cursor.u32("zero").map_err(invalid)?;
        let id = cursor.u32("id").map_err(invalid)?;
        cursor.u32("zero").map_err(invalid)?;
        let salt = cursor.u64("salt").map_err(invalid)?;
        let size = cursor.u64("size").map_err(invalid)?;
        let crc = cursor.u32("crc").map_err(invalid)?;
        if magic.as_ref() != SEGMENT_MAGIC || crc != crc32fast::hash(covered) {
            return Err(HeaderError::Invalid);
        }
        if version != FORMAT_VERSION {
            return Err(HeaderError::Version(version));
        }
        Ok(Self { store, lane, id, salt, size })
    }

    /// What the head CRCs of this segment start from.
    pub(crate) fn seal(&self) -> SegmentSeal {
        if planted(Bug::UnsaltedChecksum) {
            return SegmentSeal(0);
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.store);
        hasher.update(&self.lane.to_le_bytes());
        hasher.update(&self.id.to_le_bytes());
        hasher.update(&self.salt.to_le_bytes());
        SegmentSeal(hasher.finalize())
    }
}

/// The salt of a segment's head CRCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSeal(u32);

impl SegmentSeal {
    pub(super) fn crc(self, offset: u32, covered: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        if !planted(Bug::UnsaltedChecksum) {
            hasher.update(&offset.to_le_bytes());
        }
        hasher.update(covered);
        hasher.finalize()
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A put transaction.
    Put,
    /// A committed take.
    Ack,
    /// The first record of a segment: where the one before ends, and the state of the lane.
    Begin,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) payload_len: u32,
    pub(crate) events: u32,
    pub(crate) seq: u64,
    pub(crate) stamp: u64,
    pub(crate) durable: LanePos,
    pub(crate) payload_crc: u32,
}

impl Head {
    pub(crate) fn encode(&self, seal: SegmentSeal, offset: u32) -> [u8; HEAD_BYTES as usize] {
        let kind = match self.kind {
            Kind::Put => 1,
            Kind::Ack => 2,
            Kind::Begin => 3,
        };
        let mut out = [0; HEAD_BYTES as usize];
        let mut rest = out.as_mut_slice();
        rest.put_slice(FRAME_MAGIC);
        rest.put_u32_le(self.payload_len);
        rest.put_u32_le(kind);
        rest.put_u32_le(self.events);
        rest.put_u64_le(self.seq);
        rest.put_u64_le(self.stamp);
        rest.put_u64_le(self.durable.0);
        rest.put_u32_le(self.payload_crc);
        let crc = seal.crc(offset, out.first_chunk::<HEAD_COVERED>().map_or(&[], |covered| covered.as_slice()));
        if let Some(place) = out.last_chunk_mut::<4>() {
            *place = crc.to_le_bytes();
        }
        out
    }

    /// The head at `offset` of a segment, if these bytes are one.
    pub(crate) fn decode(bytes: &[u8], seal: SegmentSeal, offset: u32) -> Option<Self> {
        let head = bytes.first_chunk::<{ HEAD_BYTES as usize }>()?;
        let (covered, crc) = head.split_last_chunk::<4>()?;
        if !covered.starts_with(FRAME_MAGIC) || seal.crc(offset, covered) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut rest = bytes::Buf::copy_to_bytes(&mut &*covered, HEAD_COVERED);
        bytes::Buf::advance(&mut rest, FRAME_MAGIC.len());
        let mut cursor = Cursor::new(rest);
        let payload_len = cursor.u32("length").ok()?;
        let kind = match cursor.u32("kind").ok()? {
            1 => Kind::Put,
            2 => Kind::Ack,
            3 => Kind::Begin,
            _ => return None,
        };
        Some(Self {
            kind,
            payload_len,
            events: cursor.u32("events").ok()?,
            seq: cursor.number("seq").ok()?,
            stamp: cursor.number("stamp").ok()?,
            durable: LanePos(cursor.u64("durable").ok()?),
            payload_crc: cursor.u32("crc").ok()?,
        })
    }

    /// Sequence number behind its last event; of a record without events, that of the next one.
    pub(crate) fn end_seq(&self) -> u64 {
        self.seq.saturating_add(u64::from(self.events))
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_len(&self) -> u64 {
        u64::from(HEAD_BYTES) + u64::from(self.payload_len)
    }
}

/// The version of the format that this code writes, and the only one it reads.
pub(crate) const FORMAT_VERSION: u16 = 1;
/// Bytes before the first frame.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 512;
/// Bytes of a frame's head.
pub(crate) const HEAD_BYTES: u32 = 48;
/// Begin of every frame.
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"\xA9Qf1";

const SEGMENT_MAGIC: &[u8; 8] = b"aqueseg\x01";
const HEADER_COVERED: usize = 8 + 16 + 2 + 2 + 4 + 4 + 4 + 8 + 8;
const HEAD_COVERED: usize = HEAD_BYTES as usize - 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader { store: *b"0123456789abcdef", lane: 3, id: 7, salt: 0x1122_3344_5566_7788, size: 1 << 20 }
    }

    fn head() -> Head {
        Head {
            kind: Kind::Put,
            payload_len: 1000,
            events: 10,
            seq: 99,
            stamp: 1234,
            durable: LanePos::new(7, 512),
            payload_crc: 0xdead_beef,
        }
    }

    #[test]
    fn encodings_are_pinned() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
        assert_eq!(crc32fast::hash(&bytes), 0xaea6_29c4, "the segment header changed: that is a new format version");
        let bytes = head().encode(header().seal(), 512);
        assert_eq!(Head::decode(&bytes, header().seal(), 512), Some(head()));
        assert_eq!(crc32fast::hash(&bytes), 0x9ee7_6b4d, "the frame head changed: that is a new format version");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = header().encode();
        for bit in 0..HEADER_COVERED * 8 + 32 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bad.into()).is_err(), "bit {bit}");
        }
        let good = head().encode(header().seal(), 512);
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&bad, header().seal(), 512), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_is_valid_only_in_its_place() {
        let bytes = head().encode(header().seal(), 512);
        assert_eq!(Head::decode(&bytes, header().seal(), 513), None);
        for other in [
            SegmentHeader { lane: 4, ..header() },
            SegmentHeader { id: 8, ..header() },
            SegmentHeader { salt: 1, ..header() },
            SegmentHeader { store: [0; 16], ..header() },
        ] {
            assert_eq!(Head::decode(&bytes, other.seal(), 512), None);
        }
    }
}
