//! Sets of sequence numbers, kept as disjoint ranges.

use std::collections::BTreeMap;

/// A set of `u64`, as few disjoint, non-adjacent half-open ranges as possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    // Start to end.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds `lo..hi`.
    pub(crate) fn insert(&mut self, lo: u64, hi: u64) {
        if lo >= hi {
            return;
        }
        let (mut lo, mut hi) = (lo, hi);
        if let Some((&start, &end)) = self.ranges.range(..=lo).next_back()
            && end >= lo
        {
            if end >= hi {
                return;
            }
            lo = start;
        }
        while let Some((&start, &end)) = self.ranges.range(lo..=hi).next() {
            self.ranges.remove(&start);
            hi = hi.max(end);
        }
        self.ranges.insert(lo, hi);
    }

    /// Adds every range of `other`.
    pub(crate) fn union(&mut self, other: &Self) {
        for (lo, hi) in other.iter() {
            self.insert(lo, hi);
        }
    }

    /// Whether all of `lo..hi` is in the set.
    pub(crate) fn covers(&self, lo: u64, hi: u64) -> bool {
        lo >= hi || self.ranges.range(..=lo).next_back().is_some_and(|(_, &end)| end >= hi)
    }

    /// Whether any of `lo..hi` is in the set.
    pub(crate) fn intersects(&self, lo: u64, hi: u64) -> bool {
        lo < hi && self.ranges.range(..hi).next_back().is_some_and(|(_, &end)| end > lo)
    }

    /// The ranges of `lo..hi` that are not in the set.
    pub(crate) fn missing(&self, lo: u64, hi: u64) -> Vec<(u64, u64)> {
        let before = self.ranges.range(..=lo).next_back().map_or(0, |(_, &end)| end);
        let mut from = lo.max(before);
        let mut found = Vec::new();
        for (&start, &end) in self.ranges.range(lo..hi.max(lo)) {
            if from < start {
                found.push((from, start));
            }
            from = from.max(end);
        }
        if from < hi {
            found.push((from, hi));
        }
        found
    }

    /// The end of the range that `n` is in.
    pub(crate) fn end_of(&self, n: u64) -> Option<u64> {
        self.ranges.range(..=n).next_back().map(|(_, &end)| end).filter(|end| *end > n)
    }

    /// How many numbers are in the set.
    pub(crate) fn total(&self) -> u64 {
        self.iter().map(|(lo, hi)| hi - lo).sum()
    }

    /// The end of the last range; 0 if there is none.
    pub(crate) fn end(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, &end)| end)
    }

    /// The first number that is not in the set.
    pub(crate) fn floor(&self) -> u64 {
        self.ranges.get(&0).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&lo, &hi)| (lo, hi))
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_set_of_numbers() {
        let mut seed = 0x5eed_u64;
        for _ in 0..200 {
            let mut set = RangeSet::default();
            let mut model = std::collections::BTreeSet::new();
            for _ in 0..20 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let lo = (seed >> 33) % 40;
                let hi = lo + (seed >> 50) % 8;
                set.insert(lo, hi);
                model.extend(lo..hi);
                for a in 0..48 {
                    assert_eq!(
                        set.end_of(a),
                        (a..49).find(|n| !model.contains(n)).filter(|end| *end > a),
                        "{set:?} at {a}"
                    );
                    for b in a..48 {
                        assert_eq!(set.covers(a, b), (a..b).all(|n| model.contains(&n)), "{set:?} covers {a}..{b}");
                        assert_eq!(set.intersects(a, b), (a..b).any(|n| model.contains(&n)), "{set:?} {a}..{b}");
                        let missing: Vec<u64> = set.missing(a, b).into_iter().flat_map(|(lo, hi)| lo..hi).collect();
                        let expected: Vec<u64> = (a..b).filter(|n| !model.contains(n)).collect();
                        assert_eq!(missing, expected, "{set:?} misses of {a}..{b}");
                    }
                }
                assert_eq!((set.total(), set.end()), (model.len() as u64, model.last().map_or(0, |last| last + 1)));
                assert_eq!(set.floor(), (0..=48).find(|n| !model.contains(n)).unwrap());
                let neighbours: Vec<_> = set.iter().collect();
                assert!(neighbours.windows(2).all(|pair| pair[0].1 < pair[1].0), "ranges are merged");
            }
        }
    }
}
