//! How much a channel may hold, why there is no room, and what becomes of room that was not used.

use crate::error::FullReason;

/// How much a channel may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Capacity {
    /// Why a put can never fit, if so.
    pub(crate) fn refusal(&self, events: u64, bytes: u64) -> Option<Refused> {
        let of = [
            ("events of a transaction (capacity)", events, self.events),
            ("bytes of a transaction (capacity)", bytes, self.bytes),
        ];
        let over = of.into_iter().find(|(_, actual, max)| actual > max);
        over.map(|(what, actual, max)| Refused::TooLarge { what, actual, max })
    }
}

/// Why there is no room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    Closed,
    Full(FullReason),
    /// It can never fit.
    TooLarge {
        what: &'static str,
        actual: u64,
        max: u64,
    },
}

/// What a put that gives its room back counts as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CountsAs {
    Full,
    Failed,
    Nothing,
}
