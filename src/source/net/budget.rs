//! The bytes that a listener may hold for all its connections.

use std::sync::Arc;
use std::time::Duration;

#[cfg(any(test, feature = "rpc", feature = "http"))]
use crate::limits::CONNECTION_BYTES_IN_FLIGHT_MAX;
use crate::sync::{Condvar, Mutex};
use crate::wait::Wait;

/// A bounded number of bytes, shared by all connections of a listener.
///
/// Each connection owns a base share from beginning to end. What it holds beyond that it asks for, and gives back with
/// each commit. Where the base share is large enough for the largest unit (a line), nobody has to wait for more, and what
/// is held beyond waits for nothing but a commit; so it may be any bytes that are free.
///
/// Where it is not (a request may be very large), what is held waits for its client, too. Then there are three parts:
///
/// ```text
/// | base shares of all connections that may come | common | reserve |
/// ```
///
/// Nothing grows into the base shares: new connections come in and small requests go on, whatever others hold. Requests
/// grow in the common part, each up to [`CONNECTION_BYTES_IN_FLIGHT_MAX`] or to an eighth of what others leave of it, so
/// that it takes many to use it up. Who finds no more room there waits for that or for the reserve, which one request at
/// a time has, and which is enough for the largest one: who has it can always finish. So no connection in the middle of a
/// request waits for one that waits itself, and there is nothing to deadlock on.
#[derive(Debug)]
pub(super) struct Budget {
    sizes: Sizes,
    state: Mutex<State>,
    freed: Condvar,
}

/// The parts of a budget, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// All parts together.
    pub(super) max: usize,
    /// What only base shares may take.
    pub(super) bases: usize,
    /// What one request at a time may take.
    pub(super) reserve: usize,
}

#[derive(Debug, Default)]
struct State {
    // Base shares.
    bases: usize,
    // What is held beyond them, without the reserve.
    grown: usize,
    reserve_taken: bool,
    peak: usize,
    // A new connection waits for its base share: nobody gets more than that before it.
    admitting: bool,
}

impl Budget {
    pub(super) fn new(sizes: Sizes) -> Arc<Self> {
        Arc::new(Self { sizes, state: Mutex::default(), freed: Condvar::new() })
    }

    /// Bytes in use, the most there ever were, and the most there can be.
    pub(super) fn usage(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (self.sum(&state), state.peak, self.sizes.max)
    }

    /// A base share, waiting for it at most `limit`.
    pub(super) fn admit(self: &Arc<Self>, base: usize, limit: Duration) -> Option<Share> {
        let deadline = Wait::up_to(limit).deadline();
        let mut state = self.state.lock();
        while base > self.free(&state) {
            state.admitting = true;
            if !deadline.wait(&self.freed, &mut state) {
                break;
            }
        }
        state.admitting = false;
        if base > self.free(&state) {
            return None;
        }
        state.bases += base;
        state.peak = state.peak.max(self.sum(&state));
        Some(Share { budget: Arc::clone(self), base, grown: 0, has_reserve: false })
    }

    fn take(&self, more: usize) -> bool {
        let mut state = self.state.lock();
        let room = self.room(&state);
        self.take_within(&mut state, more, room)
    }

    /// As `take`, for a request that has `own` of the common part.
    #[cfg(any(test, feature = "rpc", feature = "http"))]
    fn take_for_request(&self, more: usize, own: usize) -> bool {
        let mut state = self.state.lock();
        let room = self.request_room(&state, own);
        self.take_within(&mut state, more, room)
    }

    /// As `take_for_request`, waiting for it at most `limit`; takes the reserve instead if that comes free before. `None` if
    /// neither did, else whether it is the reserve.
    #[cfg(any(test, feature = "rpc", feature = "http"))]
    fn wait_for_request(&self, more: usize, own: usize, limit: Duration) -> Option<bool> {
        let deadline = Wait::up_to(limit).deadline();
        let mut state = self.state.lock();
        loop {
            let room = self.request_room(&state, own);
            if self.take_within(&mut state, more, room) {
                return Some(false);
            }
            if !state.reserve_taken && more <= self.sizes.reserve {
                state.reserve_taken = true;
                state.peak = state.peak.max(self.sum(&state));
                return Some(true);
            }
            if !deadline.wait(&self.freed, &mut state) {
                return None;
            }
        }
    }

    fn give_back(&self, grown: usize, reserve: bool, base: usize) {
        if grown == 0 && !reserve && base == 0 {
            return;
        }
        let mut state = self.state.lock();
        assert!(state.grown >= grown && state.bases >= base, "more bytes given back than were taken");
        state.grown -= grown;
        state.bases -= base;
        state.reserve_taken &= !reserve;
        drop(state);
        self.freed.notify_all();
    }

    fn take_within(&self, state: &mut State, more: usize, room: usize) -> bool {
        let fits = !state.admitting && more <= room;
        if fits {
            state.grown += more;
            state.peak = state.peak.max(self.sum(state));
        }
        fits
    }

    /// What is free for base shares.
    fn free(&self, state: &State) -> usize {
        self.sizes.max.saturating_sub(self.sizes.reserve + state.bases + state.grown)
    }

    /// What is free for those who grow.
    fn room(&self, state: &State) -> usize {
        self.free(state).saturating_sub(self.sizes.bases.saturating_sub(state.bases))
    }

    /// What is free for a request that has `own` of the common part.
    #[cfg(any(test, feature = "rpc", feature = "http"))]
    fn request_room(&self, state: &State, own: usize) -> usize {
        let room = self.room(state);
        let most = CONNECTION_BYTES_IN_FLIGHT_MAX.max((room + own) / REQUEST_PART);
        room.min(most.saturating_sub(own))
    }

    /// The most that one request can have of the common part.
    #[cfg(any(test, feature = "http"))]
    fn request_room_max(&self) -> usize {
        let common = self.sizes.max.saturating_sub(self.sizes.reserve + self.sizes.bases);
        common.min(CONNECTION_BYTES_IN_FLIGHT_MAX.max(common / REQUEST_PART))
    }

    fn sum(&self, state: &State) -> usize {
        state.bases + state.grown + if state.reserve_taken { self.sizes.reserve } else { 0 }
    }
}

/// What one connection may hold. Dropping it gives everything back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    base: usize,
    grown: usize,
    has_reserve: bool,
}

/// Shares grow by steps of this many bytes, so that short lines do not ask for each of theirs.
const STEP_BYTES: usize = 16 << 10;
/// One request may have this part of what others leave of the common bytes.
#[cfg(any(test, feature = "rpc", feature = "http"))]
const REQUEST_PART: usize = 8;

impl Share {
    /// Whether the connection may hold `bytes` in all; asks for more if that is over what it has, up to `max`.
    pub(crate) fn grow_to(&mut self, bytes: usize, max: usize) -> bool {
        let has = self.may_hold();
        if bytes <= has {
            return true;
        }
        let budget = Arc::clone(&self.budget);
        bytes <= max && self.grow(bytes - has, max - has, |more| budget.take(more))
    }

    /// The same within what one request may have besides the reserve.
    #[cfg(any(test, feature = "rpc", feature = "http"))]
    pub(crate) fn grow_request_to(&mut self, bytes: usize) -> bool {
        let has = self.may_hold();
        if bytes <= has {
            return true;
        }
        let (own, budget) = (self.grown, Arc::clone(&self.budget));
        self.grow(bytes - has, usize::MAX, |more| budget.take_for_request(more, own))
    }

    /// The same, waiting for that or for the reserve at most `limit`.
    #[cfg(any(test, feature = "rpc", feature = "http"))]
    pub(crate) fn wait_for_request(&mut self, bytes: usize, limit: Duration) -> bool {
        if self.grow_request_to(bytes) {
            return true;
        }
        let more = bytes - self.may_hold();
        match self.budget.wait_for_request(more, self.grown, limit) {
            Some(true) => self.has_reserve = true,
            Some(false) => self.grown += more,
            None => return false,
        }
        true
    }

    /// The same with the reserve, if that is free. Nobody waits, and what does not help is given back.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn grow_with_reserve_to(&mut self, bytes: usize) -> bool {
        if self.wait_for_request(bytes, Duration::ZERO) {
            return true;
        }
        // Of what is more than the reserve, the other part is taken first.
        let ((common, _), before) = (self.request_max(), self.may_hold());
        if bytes <= common || !self.grow_request_to(common) {
            return false;
        }
        let is_there = self.wait_for_request(bytes, Duration::ZERO);
        if !is_there {
            self.shrink_to(before);
        }
        is_there
    }

    /// The most that one request can hold without the reserve, and with it.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn request_max(&self) -> (usize, usize) {
        let common = self.base + self.budget.request_room_max();
        (common, common.saturating_add(self.budget.sizes.reserve))
    }

    /// Gives back what is over the base share.
    pub(crate) fn shrink(&mut self) {
        self.shrink_to(0);
    }

    /// Gives back what is over the base share and not needed to hold `bytes`. What is kept keeps nobody from finishing: who
    /// has the reserve takes the rest of a unit from it.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let reserve = bytes <= self.base + self.grown && std::mem::take(&mut self.has_reserve);
        let grown = self.grown.min(bytes.saturating_sub(self.base));
        self.budget.give_back(self.grown - grown, reserve, 0);
        self.grown = grown;
    }

    /// Grows by `more`, or a step more than that, up to `max`.
    fn grow(&mut self, more: usize, max: usize, take: impl Fn(usize) -> bool) -> bool {
        let generous = more.saturating_add(STEP_BYTES).min(max);
        let taken = [generous, more].into_iter().find(|more| take(*more));
        self.grown += taken.unwrap_or(0);
        taken.is_some()
    }

    fn may_hold(&self) -> usize {
        self.base + self.grown + if self.has_reserve { self.budget.sizes.reserve } else { 0 }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.grown, self.has_reserve, self.base);
    }
}

#[cfg(test)]
mod tests;
