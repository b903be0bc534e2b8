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
                    for b in a..48 {
                        assert_eq!(set.covers(a, b), (a..b).all(|n| model.contains(&n)), "{set:?} covers {a}..{b}");
                        assert_eq!(set.intersects(a, b), (a..b).any(|n| model.contains(&n)), "{set:?} {a}..{b}");
                    }
                }
                assert_eq!(set.floor(), (0..=48).find(|n| !model.contains(n)).unwrap());
                let neighbours: Vec<_> = set.iter().collect();
                assert!(neighbours.windows(2).all(|pair| pair[0].1 < pair[1].0), "ranges are merged");
            }
        }
    }
}
