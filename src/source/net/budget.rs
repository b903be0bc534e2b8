//! The bytes that a listener may hold for all its connections.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};
use crate::wait::Wait;

/// A bounded number of bytes, shared by all connections of a listener.
///
/// Each connection owns a base share from beginning to end. What it holds beyond that it asks for, and gives back with
/// each commit. Where the base share is large enough for the largest unit (a line), nobody ever waits for that. Where it
/// is not (a frame of an RPC may be very large), a part of the bytes is kept in reserve, enough for one such unit: a
/// connection that finds no room waits for room or for the reserve, and who has the reserve can always finish. So no
/// connection in the middle of a unit waits for another one in the middle of its own, and there is nothing to deadlock on.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    reserve: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    // Without the reserve.
    used: usize,
    reserve_taken: bool,
    peak: usize,
    // A new connection waits for its base share: nobody gets more than that before it.
    admitting: bool,
}

impl Budget {
    pub(super) fn new(max: usize, reserve: usize) -> Arc<Self> {
        Arc::new(Self { max, reserve, state: Mutex::default(), freed: Condvar::new() })
    }

    /// Bytes in use, the most there ever were, and the most there can be.
    pub(super) fn usage(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (self.sum(&state), state.peak, self.max)
    }

    /// A base share, waiting for it at most `limit`.
    pub(super) fn admit(self: &Arc<Self>, base: usize, limit: Duration) -> Option<Share> {
        let deadline = Wait::up_to(limit).deadline();
        let mut state = self.state.lock();
        while !self.fits(&state, base) {
            state.admitting = true;
            if !deadline.wait(&self.freed, &mut state) {
                break;
            }
        }
        state.admitting = false;
        self.take(&mut state, base).then(|| Share { budget: Arc::clone(self), base, held: base, has_reserve: false })
    }

    fn take_more(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        !state.admitting && self.take(&mut state, bytes)
    }

    /// As `take_more`, waiting for it at most `limit`; takes the reserve instead if that comes free before. `None` if
    /// neither did, else whether it is the reserve.
    #[cfg(any(test, feature = "rpc"))]
    fn take_or_wait(&self, bytes: usize, limit: Duration) -> Option<bool> {
        let deadline = Wait::up_to(limit).deadline();
        let mut state = self.state.lock();
        loop {
            if !state.admitting && self.take(&mut state, bytes) {
                return Some(false);
            }
            if !state.reserve_taken && bytes <= self.reserve {
                state.reserve_taken = true;
                state.peak = state.peak.max(self.sum(&state));
                return Some(true);
            }
            if !deadline.wait(&self.freed, &mut state) {
                return None;
            }
        }
    }

    fn give_back(&self, bytes: usize, reserve: bool) {
        if bytes == 0 && !reserve {
            return;
        }
        let mut state = self.state.lock();
        assert!(state.used >= bytes, "more bytes given back than were taken");
        state.used -= bytes;
        state.reserve_taken &= !reserve;
        drop(state);
        self.freed.notify_all();
    }

    fn fits(&self, state: &State, bytes: usize) -> bool {
        let max = self.max.saturating_sub(self.reserve);
        state.used.checked_add(bytes).is_some_and(|sum| sum <= max)
    }

    fn take(&self, state: &mut State, bytes: usize) -> bool {
        let fits = self.fits(state, bytes);
        if fits {
            state.used += bytes;
            state.peak = state.peak.max(self.sum(state));
        }
        fits
    }

    fn sum(&self, state: &State) -> usize {
        state.used + if state.reserve_taken { self.reserve } else { 0 }
    }
}

/// What one connection may hold. Dropping it gives everything back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    base: usize,
    held: usize,
    has_reserve: bool,
}

/// Shares grow by steps of this many bytes, so that short lines do not ask for each of theirs.
const STEP_BYTES: usize = 16 << 10;

impl Share {
    /// Whether the connection may hold `bytes` in all; asks for more if that is over what it has, up to `max`.
    pub(crate) fn grow_to(&mut self, bytes: usize, max: usize) -> bool {
        if bytes <= self.may_hold() {
            return true;
        }
        if bytes > max {
            return false;
        }
        let generous = bytes.saturating_add(STEP_BYTES).min(max);
        for wanted in [generous, bytes] {
            if self.budget.take_more(wanted.saturating_sub(self.may_hold())) {
                self.held += wanted.saturating_sub(self.may_hold());
                return true;
            }
        }
        false
    }

    /// The same without a limit of its own, waiting for room or for the reserve at most `limit`.
    #[cfg(any(test, feature = "rpc"))]
    pub(super) fn wait_for(&mut self, bytes: usize, limit: Duration) -> bool {
        let more = bytes.saturating_sub(self.may_hold());
        if more == 0 {
            return true;
        }
        match self.budget.take_or_wait(more, limit) {
            Some(true) => self.has_reserve = true,
            Some(false) => self.held += more,
            None => return false,
        }
        true
    }

    /// Gives back what is over the base share.
    pub(crate) fn shrink(&mut self) {
        self.shrink_to(0);
    }

    /// Gives back what is over the base share and not needed to hold `bytes`. What is kept keeps nobody from finishing: who
    /// has the reserve takes the rest of a unit from it.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let reserve = bytes <= self.held && std::mem::take(&mut self.has_reserve);
        let held = self.held.min(bytes.max(self.base));
        self.budget.give_back(self.held - held, reserve);
        self.held = held;
    }

    fn may_hold(&self) -> usize {
        self.held + if self.has_reserve { self.budget.reserve } else { 0 }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.held, self.has_reserve);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_sum_to_more_than_the_budget() {
        let budget = Budget::new(100, 0);
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
    fn a_share_keeps_what_it_needs() {
        let budget = Budget::new(100, 40);
        let mut share = budget.admit(10, Duration::ZERO).unwrap();
        assert!(share.grow_to(30, 30));
        for (bytes, used) in [(50, 30), (25, 25), (5, 10), (20, 10)] {
            share.shrink_to(bytes);
            assert_eq!(budget.usage().0, used, "{bytes}");
        }
        let other = budget.admit(45, Duration::ZERO).unwrap();
        assert!(share.wait_for(40, Duration::ZERO), "the reserve");
        for (bytes, used) in [(40, 95), (11, 95), (10, 55)] {
            share.shrink_to(bytes);
            assert_eq!(budget.usage().0, used, "{bytes}");
        }
        drop((share, other));
        assert_eq!(budget.usage().0, 0);
    }

    #[test]
    fn a_new_connection_gets_its_share_before_others_grow() {
        let budget = Budget::new(100, 0);
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

    #[test]
    fn who_has_the_reserve_can_finish_and_others_wait_for_it() {
        let budget = Budget::new(100, 40);
        let mut shares = [(); 4].map(|()| budget.admit(10, Duration::ZERO).unwrap());
        assert!(budget.admit(21, Duration::ZERO).is_none(), "20 are left besides the reserve");
        assert!(shares[0].grow_to(30, 1000) && !shares[1].grow_to(11, 1000));
        assert!(shares[1].wait_for(50, Duration::ZERO), "the reserve, and 10 of its own");
        assert_eq!(budget.usage(), (100, 100, 100));
        assert!(shares[1].wait_for(50, Duration::ZERO) && shares[1].grow_to(50, 1000));
        assert!(!shares[2].wait_for(11, Duration::from_millis(1)));
        let [mut first, mut second, mut third, mut fourth] = shares;
        std::thread::scope(|scope| {
            let minute = Duration::from_secs(60);
            let waiting = scope.spawn(move || third.wait_for(50, minute) && fourth.wait_for(15, minute));
            second.shrink();
            first.shrink();
            assert!(waiting.join().unwrap(), "the reserve for the one, room for the other");
        });
        assert!(!second.wait_for(usize::MAX, Duration::ZERO), "more than there is");
        drop((first, second));
        assert_eq!(budget.usage().0, 0);
    }
}
