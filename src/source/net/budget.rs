//! The bytes that a listener may hold for all its connections.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::wait::Wait;

/// A bounded number of bytes, shared by all connections of a listener.
///
/// Each connection owns a base share from beginning to end, large enough for one unit (line, frame) of the largest size.
/// What it holds beyond that it asks for without ever waiting, and gives back with each commit. So a peer that stalls
/// in the middle of a unit holds no more than its base share, no connection waits for another one, and there is nothing
/// to deadlock on.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    peak: usize,
    // A new connection waits for its base share: nobody gets more than that before it.
    admitting: bool,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, state: Mutex::default(), freed: Condvar::new() })
    }

    /// Bytes in use, the most there ever were, and the most there can be.
    pub(super) fn usage(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (state.used, state.peak, self.max)
    }

    /// A base share, waiting for it at most `limit`.
    pub(super) fn admit(self: &Arc<Self>, base: usize, limit: Duration) -> Option<Share> {
        let deadline = Wait::up_to(limit).deadline();
        let mut state = self.state.lock();
        while !state.fits(base, self.max) {
            state.admitting = true;
            if !deadline.wait(&self.freed, &mut state) {
                break;
            }
        }
        state.admitting = false;
        state.take(base, self.max).then(|| Share { budget: Arc::clone(self), base, held: base })
    }

    fn take_more(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        !state.admitting && state.take(bytes, self.max)
    }

    fn give_back(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut state = self.state.lock();
        assert!(state.used >= bytes, "more bytes given back than were taken");
        state.used -= bytes;
        drop(state);
        self.freed.notify_one();
    }
}

impl State {
    fn fits(&self, bytes: usize, max: usize) -> bool {
        self.used.checked_add(bytes).is_some_and(|sum| sum <= max)
    }

    fn take(&mut self, bytes: usize, max: usize) -> bool {
        let fits = self.fits(bytes, max);
        if fits {
            self.used += bytes;
            self.peak = self.peak.max(self.used);
        }
        fits
    }
}

/// What one connection may hold. Dropping it gives everything back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    base: usize,
    held: usize,
}

/// Shares grow by steps of this many bytes, so that short lines do not ask for each of theirs.
const STEP_BYTES: usize = 16 << 10;

impl Share {
    /// Whether the connection may hold `bytes` in all; asks for more if that is over what it has, up to `max`.
    pub(crate) fn grow_to(&mut self, bytes: usize, max: usize) -> bool {
        if bytes <= self.held {
            return true;
        }
        if bytes > max {
            return false;
        }
        let generous = bytes.saturating_add(STEP_BYTES).min(max);
        for wanted in [generous, bytes] {
            if self.budget.take_more(wanted - self.held) {
                self.held = wanted;
                return true;
            }
        }
        false
    }

    /// Gives back what is over the base share.
    pub(crate) fn shrink(&mut self) {
        self.budget.give_back(self.held - self.base);
        self.held = self.base;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_sum_to_more_than_the_budget() {
        let budget = Budget::new(100);
        let mut first = budget.admit(40, Duration::ZERO).unwrap();
        let second = budget.admit(40, Duration::ZERO).unwrap();
        assert!(budget.admit(21, Duration::ZERO).is_none());
        assert!(first.grow_to(60, 1000), "20 are left");
        assert!(!first.grow_to(61, 1000));
        assert!(!first.grow_to(61, 60), "its own limit");
        assert_eq!(budget.usage(), (100, 100, 100));
        first.shrink();
        assert_eq!(budget.usage(), (80, 100, 100));
        drop((first, second));
        assert_eq!(budget.usage(), (0, 100, 100));
        assert!(budget.admit(usize::MAX, Duration::ZERO).is_none());
    }

    #[test]
    fn a_new_connection_gets_its_share_before_others_grow() {
        let budget = Budget::new(100);
        let mut greedy = budget.admit(10, Duration::ZERO).unwrap();
        assert!(greedy.grow_to(95, 95));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.admit(50, Duration::from_secs(60)).is_some());
            while !budget.state.lock().admitting {
                std::thread::yield_now();
            }
            assert!(!greedy.grow_to(96, 100), "a newcomer waits");
            greedy.shrink();
            assert!(waiting.join().unwrap());
        });
        assert!(greedy.grow_to(50, 100));
    }
}
