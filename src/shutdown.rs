//! A token that tells threads to stop.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};
use crate::wait::Wait;

/// Tells many threads to stop, and lets them sleep until then. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Shutdown {
    /// A token that is not requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all holders to stop.
    pub fn request(&self) {
        *self.inner.0.lock() = true;
        self.inner.1.notify_all();
    }

    /// Whether stopping was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.inner.0.lock()
    }

    /// Sleeps until stopping is asked for, or until `is_over`, at which those look again whom [`wake`](Self::wake) wakes.
    pub(crate) fn sleep_until(&self, is_over: impl Fn() -> bool) {
        let mut requested = self.inner.0.lock();
        while !*requested && !is_over() {
            self.inner.1.wait(&mut requested);
        }
    }

    /// Wakes those who [`sleep_until`](Self::sleep_until) something that is so now.
    pub(crate) fn wake(&self) {
        // Nobody is between a look and its sleep while this is locked.
        drop(self.inner.0.lock());
        self.inner.1.notify_all();
    }

    /// Sleeps for `limit`, or less if stopping is asked for. Returns whether it was.
    #[allow(clippy::must_use_candidate)] // sleeping is an effect
    pub fn sleep(&self, limit: Duration) -> bool {
        let deadline = Wait::up_to(limit).deadline();
        let mut requested = self.inner.0.lock();
        while !*requested && deadline.wait(&self.inner.1, &mut requested) {}
        *requested
    }
}
