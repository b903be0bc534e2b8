//! The same for the models of `tests/loom`: `loom` runs them in every order of their threads, with every value that a read of a
//! weak atomic number may give.
//!
//! A timed wait runs out, or is woken, whichever comes first in that order; time itself stands still.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

pub(crate) use std::time::Instant;

/// Atomic numbers.
pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}

/// Threads of the model.
pub(crate) mod thread {
    pub(crate) use loom::thread::yield_now;
}

/// A lock.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

/// A lock that is held.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    // `None` only while it is unlocked for a moment.
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

#[allow(clippy::expect_used)] // see `held`
impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("the lock is held")
    }
}

#[allow(clippy::expect_used)] // see `held`
impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("the lock is held")
    }
}

/// A condition variable. That of loom has no waits that run out.
#[derive(Debug)]
pub(crate) struct Condvar {
    condvar: loom::sync::Condvar,
    // Counts notifications, for timed waits. Only read by additions, which see the newest value and order nothing else.
    notified: atomic::AtomicUsize,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self { condvar: loom::sync::Condvar::new(), notified: atomic::AtomicUsize::new(0) }
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.held = guard.held.take().map(|held| self.condvar.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> WaitTimeoutResult {
        let before = self.notified.fetch_add(0, atomic::Ordering::Relaxed);
        drop(guard.held.take());
        // Somebody else goes on if anybody can, or a loop of waits would have no end.
        thread::yield_now();
        guard.held = guard.mutex.lock().held.take();
        WaitTimeoutResult(self.notified.fetch_add(0, atomic::Ordering::Relaxed) == before)
    }

    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> WaitTimeoutResult {
        self.wait_for(guard, Duration::ZERO)
    }

    /// Wakes the first that waits, and those that wait for a time: a model must not have both at one condition variable.
    pub(crate) fn notify_one(&self) {
        self.notified.fetch_add(1, atomic::Ordering::Relaxed);
        self.condvar.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.notified.fetch_add(1, atomic::Ordering::Relaxed);
        self.condvar.notify_all();
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a wait timed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(self) -> bool {
        self.0
    }
}
