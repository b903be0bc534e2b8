//! A lock and a condition variable whose waiters are all woken by one system call.
//!
//! Those of `parking_lot` are woken one after the other, each when the one before it lets go of the lock, so that the last of
//! eight comes much later than the first. Here they run at once and need the lock for a moment each.

use std::sync::PoisonError;

#[cfg(aqueduct_loom)]
use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(shuttle)]
use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(any(aqueduct_loom, shuttle)))]
use std::sync::{Condvar, Mutex, MutexGuard};

/// A value behind a lock, and the threads that wait for it to change.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Gate<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until another thread calls [`wake_one`](Self::wake_one) or [`wake_all`](Self::wake_all), or for no reason.
    pub(crate) fn wait<'a>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake_one(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn wake_all(&self) {
        self.changed.notify_all();
    }
}

impl<T: Default> Default for Gate<T> {
    fn default() -> Self {
        Self { value: Mutex::new(T::default()), changed: Condvar::new() }
    }
}
