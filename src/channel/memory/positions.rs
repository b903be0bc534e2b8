//! The positions of a channel in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::batch::Positions;
use crate::limits::{POSITION_BYTES_MAX, POSITIONS_MAX, POSITIONS_PER_TRANSACTION_MAX};

/// A limit that would be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::channel) struct Excess {
    pub(in crate::channel) what: &'static str,
    pub(in crate::channel) actual: u64,
    pub(in crate::channel) max: u64,
}

impl Excess {
    /// The excess of `actual` over `max`, if there is one.
    pub(super) fn check(what: &'static str, actual: u64, max: u64) -> Result<(), Self> {
        if actual > max { Err(Self { what, actual, max }) } else { Ok(()) }
    }
}

/// Checks the positions of one transaction by themselves. Owners have up to `owner_max` bytes.
pub(super) fn check(positions: &Positions, owner_max: usize) -> Result<(), Excess> {
    let limit = |what, actual: usize, max: usize| Excess::check(what, actual as u64, max as u64);
    limit("number of positions in one transaction", positions.len(), POSITIONS_PER_TRANSACTION_MAX)?;
    for (owner, position) in positions {
        limit("position owner bytes", owner.len(), owner_max)?;
        limit("position bytes", position.as_ref().map_or(0, Bytes::len), POSITION_BYTES_MAX)?;
    }
    Ok(())
}

/// Owner to position.
#[derive(Debug, Default)]
pub(super) struct PositionTable(BTreeMap<String, Bytes>);

impl PositionTable {
    /// Whether there is room to set these positions.
    pub(super) fn check_room(&self, positions: &Positions) -> Result<(), Excess> {
        if self.0.len() + positions.len() <= POSITIONS_MAX {
            return Ok(());
        }
        let mut len = self.0.len();
        for (owner, position) in positions {
            match (self.0.contains_key(owner), position) {
                (false, Some(_)) => len += 1,
                (true, None) => len -= 1,
                _ => {}
            }
        }
        // What makes them no more is welcome, however many there are.
        let is_more = len > self.0.len();
        Excess::check("number of positions of the channel", if is_more { len as u64 } else { 0 }, POSITIONS_MAX as u64)
    }

    /// Sets and clears positions.
    pub(super) fn apply(&mut self, positions: Positions) {
        for (owner, position) in positions {
            match position {
                Some(position) => self.0.insert(owner, position),
                None => self.0.remove(&owner),
            };
        }
    }

    pub(super) fn get(&self, owner: &str) -> Option<Bytes> {
        self.0.get(owner).cloned()
    }

    /// The positions of all owners whose name begins with `prefix`, by name.
    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let range = self.0.range::<str, _>(from).take_while(|(owner, _)| owner.starts_with(prefix));
        range.map(|(owner, position)| (owner.clone(), position.clone())).collect()
    }
}
