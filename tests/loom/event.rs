//! Events without content.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId(pub(crate) u64);
