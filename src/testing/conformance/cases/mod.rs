//! The cases, by subject.

pub(super) mod capacity;
pub(super) mod close;
pub(super) mod content;
pub(super) mod order;
pub(super) mod positions;
pub(super) mod random;
pub(super) mod restart;
pub(super) mod rollback;
pub(super) mod threads;
pub(super) mod tickets;
pub(super) mod visibility;
pub(super) mod waiting;
