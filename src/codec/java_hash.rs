//! The order in which hash tables of Java hand out texts, for what Flume writes in that order.
//!
//! A table has a power of two of buckets, which come one after the other; within one, texts are in the order in which they
//! were put. Not copied: a bucket of eight or more, in a table of 64 buckets or more, becomes a tree.

use crate::event::Headers;

/// How a `HashMap` with the headers of an event came to be, which tells its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HeaderMap {
    /// Headers were put into an empty one.
    #[default]
    Filled,
    /// It was made as a copy, which is as large as it takes.
    Copied {
        /// Of another `HashMap`, not of something that has an order.
        of_map: bool,
        /// So many were put into it later.
        added: usize,
    },
    /// A copy of another `HashMap` of so many headers, into which more were put later.
    CopiedFrom(usize),
}

impl HeaderMap {
    /// The number of buckets for so many headers. A map grows as soon as more than three quarters are used; a copy is made
    /// larger by one, so that with three, six, or twelve headers it has twice the buckets of one that grew.
    fn buckets(self, headers: usize) -> usize {
        let begun = match self.begun(headers) {
            // The copy of an empty one is as one that was not copied.
            0 => BUCKETS_MIN,
            copied => copied.saturating_mul(4) / 3 + 1,
        };
        begun.max(headers.saturating_mul(4).div_ceil(3)).next_power_of_two()
    }

    /// Of so many headers, how many it was made with.
    fn begun(self, headers: usize) -> usize {
        match self {
            Self::Filled => 0,
            Self::Copied { added, .. } => headers.saturating_sub(added),
            Self::CopiedFrom(count) => count.min(headers),
        }
    }

    /// The place of the header `index` among so many.
    fn place(self, name: &str, index: usize, headers: usize) -> (u32, u32) {
        let place = place(name, self.buckets(headers));
        let begun = self.begun(headers);
        let before = match self {
            // What is in one bucket comes in the order that the original had.
            Self::Copied { of_map: true, .. } | Self::CopiedFrom(_) if index < begun => {
                self::place(name, Self::Filled.buckets(begun))
            }
            Self::Copied { of_map: true, .. } | Self::CopiedFrom(_) => u32::MAX,
            Self::Copied { of_map: false, .. } | Self::Filled => 0,
        };
        (place, before)
    }
}

/// The number of buckets of a `HashSet` that was made of a collection of so many.
pub(crate) fn buckets_of_set(listed: usize) -> usize {
    (listed.saturating_mul(4) / 3 + 1).max(BUCKETS_MIN).next_power_of_two()
}

/// The number of buckets of a `HashMap` into which so many were put one by one.
pub(crate) fn buckets_of_map(put: usize) -> usize {
    HeaderMap::Filled.buckets(put)
}

/// The place of `text` in the order of a table of so many buckets. Texts of one place stay as they were put.
pub(crate) fn place(text: &str, buckets: usize) -> u32 {
    let hash = text.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    let mask = u32::try_from(buckets.saturating_sub(1)).unwrap_or(u32::MAX);
    (hash ^ (hash >> 16)) & mask
}

/// Calls `each` with name and value of every header, in the order of a `HashMap` of them.
pub(crate) fn for_each_header<E>(
    headers: &Headers,
    map: HeaderMap,
    mut each: impl FnMut(usize, &str, &str) -> Result<(), E>,
) -> Result<(), E> {
    let count = headers.len();
    if count < 2 {
        return headers.iter().try_for_each(|(name, value)| each(0, name, value));
    }
    let mut few = [((0, 0), "", ""); FEW];
    let mut many = Vec::new();
    let all = if let Some(few) = few.get_mut(..count) {
        few
    } else {
        many.resize(count, ((0, 0), "", ""));
        &mut many
    };
    for (index, (slot, (name, value))) in all.iter_mut().zip(headers).enumerate() {
        *slot = (map.place(name, index, count), name, value);
    }
    all.sort_by_key(|(place, _, _)| *place);
    all.iter().enumerate().try_for_each(|(index, (_, name, value))| each(index, name, value))
}

/// Java's smallest table, unless another is asked for.
const BUCKETS_MIN: usize = 16;
/// So many headers are put in order without an allocation.
const FEW: usize = 12;

#[cfg(test)]
mod tests;
