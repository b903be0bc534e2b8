//! Channels whose sinks divert into each other.
//!
//! Two outlets may each be the other's way out: what one can never deliver, the other one may. But what neither can goes round
//! and round, as fast as the channels are. So the sinks of such a circle count together what they divert, and pause when they
//! do nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::DIVERTED_IN_A_ROW_MAX;

/// What the sinks that take from the channels of one circle have in common.
#[derive(Debug, Default)]
pub(super) struct Circle {
    diverted: AtomicU64,
}

impl Circle {
    /// Events left the circle.
    pub(super) fn progressed(&self) {
        self.diverted.store(0, Ordering::Relaxed);
    }

    /// An event was diverted. Returns how many pauses came before, if a pause is due.
    pub(super) fn diverted(&self) -> Option<u32> {
        let before = self.diverted.fetch_add(1, Ordering::Relaxed);
        before.checked_sub(DIVERTED_IN_A_ROW_MAX).map(|earlier| u32::try_from(earlier).unwrap_or(u32::MAX))
    }
}

/// The circles among channels, by the names of their channels. `diversions` are the channels that sinks take from, and those that
/// they divert into.
pub(super) fn circles(diversions: &[(&str, &str)]) -> HashMap<String, Arc<Circle>> {
    let reached = |from: &str| {
        let (mut found, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(channel) = next.pop() {
            let further = diversions.iter().filter(|(from, _)| *from == channel).map(|(_, into)| (*into).to_owned());
            next.extend(further.filter(|into| found.insert(into.clone())));
        }
        found
    };
    let mut circles: HashMap<String, Arc<Circle>> = HashMap::new();
    for (from, _) in diversions {
        let of_one = |channel: &String| reached(channel).contains(*from);
        let members: Vec<String> = reached(from).into_iter().filter(of_one).collect();
        let known = members.iter().find_map(|channel| circles.get(channel).cloned());
        let circle = known.unwrap_or_default();
        circles.extend(members.into_iter().map(|channel| (channel, circle.clone())));
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_told_from_chains() {
        let diversions =
            [("a", "b"), ("b", "a"), ("c", "a"), ("d", "e"), ("e", "f"), ("f", "d"), ("f", "g"), ("g", "h")];
        let found = circles(&diversions);
        let mut names: Vec<&str> = found.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "d", "e", "f"]);
        assert!(Arc::ptr_eq(&found["a"], &found["b"]) && Arc::ptr_eq(&found["d"], &found["f"]));
        assert!(!Arc::ptr_eq(&found["a"], &found["d"]));
        assert!(circles(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    }

    #[test]
    fn pauses_begin_after_many_and_end_with_progress() {
        let circle = Circle::default();
        for _ in 0..DIVERTED_IN_A_ROW_MAX {
            assert_eq!(circle.diverted(), None);
        }
        assert_eq!((circle.diverted(), circle.diverted()), (Some(0), Some(1)));
        circle.progressed();
        assert_eq!(circle.diverted(), None);
    }
}
