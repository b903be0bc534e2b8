//! What each thread has put last into each store, so that its transactions keep their order over the lanes.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::group::{Group, Place};
use crate::sync::thread_local;

thread_local! {
    // The last put of this thread in each store as long as it is on its way, and those that failed as long as nobody has asked.
    static LAST_PUTS: RefCell<Vec<LastPut>> = const { RefCell::new(Vec::new()) };
}

struct LastPut {
    /// Of the store.
    instance: u64,
    lane: u16,
    group: Weak<Group>,
    index: usize,
}

impl LastPut {
    fn is_in_flight(&self) -> bool {
        self.group.upgrade().is_some_and(|group| !group.is_done())
    }

    /// It failed, and nobody has asked for its outcome yet.
    fn has_failed(&self) -> bool {
        self.group.upgrade().is_some_and(|group| group.has_failed(self.index))
    }
}

/// Notes the last put of this thread in a store.
pub(super) fn note(instance: u64, place: &Place) {
    // Not there any more for what a thread puts while its own values are dropped at its end; and in use while a put that is
    // forgotten here drops events whose bodies put something themselves.
    let _ = LAST_PUTS.try_with(|puts| {
        let Ok(mut puts) = puts.try_borrow_mut() else { return };
        puts.retain(|put| put.has_failed() || (put.instance != instance && put.is_in_flight()));
        let (lane, index, group) = (place.lane.index, place.index, Arc::downgrade(&place.group));
        puts.push(LastPut { instance, lane, group, index });
    });
}

/// The lane that the last put of this thread in a store is still on its way to.
pub(super) fn in_flight(instance: u64) -> Option<u16> {
    let lane = LAST_PUTS.try_with(|puts| {
        let puts = puts.try_borrow().ok()?;
        puts.iter().find(|put| put.instance == instance && put.is_in_flight()).map(|put| put.lane)
    });
    // See where it is noted.
    lane.ok().flatten()
}

/// The lanes of a store, one bit each, in which puts of this thread have failed without anybody having asked.
pub(super) fn failed(instance: u64) -> u64 {
    let lanes = LAST_PUTS.try_with(|puts| {
        let Ok(puts) = puts.try_borrow() else { return 0 };
        let failed = puts.iter().filter(|put| put.instance == instance && put.has_failed());
        failed.fold(0, |lanes, put| lanes | 1 << put.lane)
    });
    lanes.unwrap_or(0)
}
