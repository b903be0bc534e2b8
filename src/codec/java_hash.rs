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
}

impl HeaderMap {
    /// The number of buckets for so many headers. A map grows as soon as more than three quarters are used; a copy is made
    /// larger by one, so that with three, six, or twelve headers it has twice the buckets of one that grew.
    fn buckets(self, headers: usize) -> usize {
        let begun = match self {
            Self::Copied { added, .. } if headers > added => (headers - added).saturating_mul(4) / 3 + 1,
            // The copy of an empty one is as one that was not copied.
            Self::Copied { .. } | Self::Filled => BUCKETS_MIN,
        };
        begun.max(headers.saturating_mul(4).div_ceil(3)).next_power_of_two()
    }

    /// The place of the header `index` among so many.
    fn place(self, name: &str, index: usize, headers: usize) -> (u32, u32) {
        let place = place(name, self.buckets(headers));
        let before = match self {
            // What is in one bucket comes in the order that the original had.
            Self::Copied { of_map: true, added } if index + added < headers => {
                self::place(name, Self::Filled.buckets(headers - added))
            }
            Self::Copied { of_map: true, .. } => u32::MAX,
            Self::Copied { of_map: false, .. } | Self::Filled => 0,
        };
        (place, before)
    }
}

/// The number of buckets of a `HashSet` that was made of a collection of so many.
pub(crate) fn buckets_of_set(listed: usize) -> usize {
    (listed.saturating_mul(4) / 3 + 1).max(BUCKETS_MIN).next_power_of_two()
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
mod tests {
    use super::*;

    fn order(names: &[&str], map: HeaderMap) -> String {
        let mut headers = Headers::new();
        for name in names {
            headers.insert(name, name).unwrap();
        }
        let mut out: Vec<String> = Vec::new();
        for_each_header(&headers, map, |index, name, value| {
            assert_eq!((index, name), (out.len(), value));
            out.push(name.to_owned());
            Ok::<(), ()>(())
        })
        .unwrap();
        out.join(" ")
    }

    #[test]
    fn the_order_is_that_which_java_gives() {
        for (put, handed_out) in [
            ("", ""),
            ("one", "one"),
            ("timestamp host", "host timestamp"),
            ("host timestamp", "host timestamp"),
            ("Severity Facility host timestamp priority", "host Severity Facility priority timestamp"),
            // All are in one bucket.
            ("Aa BB C#", "Aa BB C#"),
            ("BB Aa", "BB Aa"),
            ("\u{1f980} j\u{f6}rg a", "a j\u{f6}rg \u{1f980}"),
            ("n12 n11 n10 n9 n8 n7 n6 n5 n4 n3 n2 n1", "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n12 n11"),
            // Larger tables.
            ("n13 n12 n11 n10 n9 n8 n7 n6 n5 n4 n3 n2 n1", "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n12 n11 n13"),
            (
                "AaAa BBBB AaBB BBAa x y z n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n11 n12 n13 n14 n15 n16",
                "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n12 n11 n14 n13 n16 n15 x y z AaAa BBBB AaBB BBAa",
            ),
        ] {
            let names: Vec<&str> = put.split_terminator(' ').collect();
            assert_eq!(order(&names, HeaderMap::Filled), handed_out, "{put}");
        }
    }

    #[test]
    fn a_copy_has_the_order_of_its_own_size() {
        for (put, filled, of_list, of_map, filled_up) in [
            ("one", "one", "one", "one", "one"),
            ("f b", "b f", "f b", "b f", "f b"),
            ("b f", "b f", "b f", "b f", "b f"),
            (
                "Facility Severity priority",
                "Severity Facility priority",
                "Severity Facility priority",
                "Severity Facility priority",
                "priority Severity Facility",
            ),
            ("f b j n r v", "b r f v j n", "b r f v j n", "b r f v j n", "b j r f n v"),
        ] {
            let names: Vec<&str> = put.split(' ').collect();
            let copy = |of_map, added| order(&names, HeaderMap::Copied { of_map, added });
            assert_eq!(order(&names, HeaderMap::Filled), filled, "{put}");
            assert_eq!(copy(false, 0), of_list, "{put}");
            assert_eq!(copy(true, 0), of_map, "{put}");
            // Of a list, whose last one was put into the copy.
            assert_eq!(copy(false, 1), filled_up, "{put}");
            assert_eq!(copy(false, names.len()), filled, "{put}: of an empty list");
        }
    }

    #[test]
    fn what_was_put_into_a_copy_comes_last_in_its_bucket() {
        let map = HeaderMap::Copied { of_map: true, added: 1 };
        assert_eq!(order(&["1043", "added"], map), "1043 added");
        // A copy has the order of the map of which it was made.
        assert_eq!(order(&["f", "b", "v"], map), "b f v");
    }

    #[test]
    fn tables_grow_where_java_lets_them_grow() {
        let of_map = [0, 1, 12, 13, 24, 25, 48, 49].map(|headers| HeaderMap::Filled.buckets(headers));
        assert_eq!(of_map, [16, 16, 16, 32, 32, 64, 64, 128]);
        assert_eq!([0, 1, 11, 12, 23, 24].map(buckets_of_set), [16, 16, 16, 32, 32, 64]);
    }
}
