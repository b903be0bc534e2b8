//! The state of a lane, of which a new channel reads nothing.

use std::collections::BTreeMap;

use super::ranges::RangeSet;

type Spans = BTreeMap<u16, (u64, u64)>;

#[derive(Debug, Default)]
pub(crate) struct LaneState {
    pub(crate) next_seq: u64,
    pub(crate) channels: BTreeMap<u16, ChannelState>,
    pub(crate) sealed: BTreeMap<u32, SealedSegment>,
    pub(crate) spans: Spans,
}

#[derive(Debug, Default)]
pub(crate) struct ChannelState {
    pub(crate) put_events: u64,
    pub(crate) put_bytes: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Acked {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) ranges: RangeSet,
}

#[derive(Debug, Default)]
pub(crate) struct SealedSegment {
    pub(crate) spans: Spans,
}
