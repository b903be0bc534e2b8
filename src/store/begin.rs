//! BEGIN records: the first of every segment, with the state of everything before it. Pure code.

use bytes::{BufMut, Bytes};

use super::cursor::{Cursor, Malformed};
use super::frame::{Head, Kind, LanePos};
use super::record::Payload;
use super::state::LaneState;

/// The payload: where the segment before ends, and the state of the lane there.
pub(crate) fn begin_payload(previous_end: LanePos, state: &LaneState) -> Payload {
    let state = state.encode();
    let mut out = Vec::with_capacity(8 + state.len());
    out.put_u64_le(previous_end.0);
    out.extend_from_slice(&state);
    Payload::one(out)
}

/// The head of the frame around that payload; `durable` says how far the log is durable.
pub(crate) fn begin_head(payload: &Payload, state: &LaneState, durable: LanePos) -> Head {
    Head {
        kind: Kind::Begin,
        payload_len: u32::try_from(payload.len).unwrap_or(u32::MAX),
        events: 0,
        seq: state.next_seq,
        stamp: state.stamp,
        durable,
        payload_crc: payload.crc,
    }
}

/// Splits the payload.
pub(crate) fn parse_begin(payload: Bytes) -> Result<(LanePos, LaneState), Malformed> {
    let mut cursor = Cursor::new(payload);
    let previous_end = LanePos(cursor.u64("end of the segment before")?);
    Ok((previous_end, LaneState::decode(cursor.rest())?))
}
