//! What a channel has left in a lane when its store is opened.

use super::ranges::RangeSet;
use super::state::{Acked, LaneState};

/// What recovery found for one channel in one lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) acked: RangeSet,
    /// Sequence numbers that are acknowledged, and those where no segment has any events of it.
    pub(crate) skip: RangeSet,
}

impl Backlog {
    /// Of a channel with these acknowledgements, in a lane of this state.
    pub(crate) fn of(channel: u16, state: &LaneState, acked: Acked) -> Self {
        let own = state.channels.get(&channel);
        let mut skip = acked.ranges.clone();
        let mut from = 0;
        for spans in state.sealed.values().map(|segment| &segment.spans).chain([&state.spans]) {
            if let Some((lo, hi)) = spans.get(&channel) {
                skip.insert(from, *lo);
                from = *hi;
            }
        }
        skip.insert(from, state.next_seq);
        Self {
            events: own.map_or(0, |own| own.put_events).saturating_sub(acked.events).min(BACKLOG_MAX),
            bytes: own.map_or(0, |own| own.put_bytes).saturating_sub(acked.bytes).min(BACKLOG_MAX),
            acked: acked.ranges,
            skip,
        }
    }
}

/// What a lane is believed to hold, in events and in bytes: more than any disk has, and all lanes of it can be added up.
const BACKLOG_MAX: u64 = 1 << 56;
