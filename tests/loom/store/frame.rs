//! Places in a lane that has none.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LanePos(pub(crate) u64);
