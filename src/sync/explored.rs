//! The same for an exploration: every call is a moment at which the scheduler of `shuttle` may let another thread go on.
//!
//! A timed wait takes a number of turns that is drawn anew each time, or less if it is woken; so the time runs out before,
//! while and after the others act, but it does run out, and a wait without a limit that nobody ends is a deadlock. Time itself
//! moves only by that: a wait that timed out moves it to its deadline, and each `yield_now` a little. A run is so decided by
//! the schedule alone, and can be repeated.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use shuttle::rand::RngCore;

pub(crate) use shuttle::thread_local;

/// Atomic numbers, without reordering: that of weak orderings is not explored.
pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

/// Threads of the exploration.
pub(crate) mod thread {
    pub(crate) use shuttle::thread::{Builder, JoinHandle, ThreadId, current};
    pub(crate) use std::thread::panicking;

    /// Lets others go on, and time a little.
    pub(crate) fn yield_now() {
        super::pass(super::YIELD);
        shuttle::thread::yield_now();
    }
}

/// A moment at which another thread may go on.
pub(crate) fn step() {
    if !std::thread::panicking() {
        // No other function of shuttle is that and nothing else.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// A moment of the exploration's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(NOW.get())
    }

    pub(crate) fn checked_add(self, by: Duration) -> Option<Self> {
        self.0.checked_add(by).map(Self)
    }

    pub(crate) fn saturating_duration_since(self, other: Self) -> Duration {
        self.0.saturating_sub(other.0)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

/// A lock.
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.try_lock().is_err()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lock that is held.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    // `None` only while it is unlocked for a moment.
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    pub(crate) fn unlocked<U>(guard: &mut Self, run: impl FnOnce() -> U) -> U {
        drop(guard.held.take());
        let result = run();
        guard.held = guard.mutex.lock().held.take();
        result
    }
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

/// A lock for one writer or many readers.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> shuttle::sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> shuttle::sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that is set once.
#[derive(Debug)]
pub(crate) struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        step();
        self.0.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        step();
        self.0.set(value)
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        step();
        self.0.get_or_init(make)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A condition variable. That of shuttle knows no time.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    // Of the standard library: never held at a moment at which another thread may go on.
    waiters: std::sync::Mutex<Vec<Arc<Waiter>>>,
}

#[derive(Debug, Default)]
struct Waiter {
    is_notified: AtomicBool,
    waker: std::sync::Mutex<Option<Waker>>,
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self { waiters: std::sync::Mutex::new(Vec::new()) }
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let waiter = self.enqueue();
        MutexGuard::unlocked(guard, || shuttle::future::block_on(poll_fn(|cx| waiter.poll(cx.waker()))));
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Duration) -> WaitTimeoutResult {
        let waiter = self.enqueue();
        let turns = (1_u64 << (shuttle::rand::thread_rng().next_u64() % TURNS_EXPONENTS)) - 1;
        MutexGuard::unlocked(guard, || {
            for _ in 0..turns {
                if waiter.is_notified.load(Ordering::Relaxed) {
                    break;
                }
                shuttle::thread::yield_now();
            }
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
            drop(waiters);
            let timed_out = !waiter.is_notified.load(Ordering::Relaxed);
            if timed_out {
                pass(limit);
            }
            WaitTimeoutResult(timed_out)
        })
    }

    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, end: Instant) -> WaitTimeoutResult {
        self.wait_for(guard, end.saturating_duration_since(Instant(NOW.get())))
    }

    /// Wakes one of those that wait, whichever: nobody may count on the order.
    pub(crate) fn notify_one(&self) {
        self.notify(|waiters| {
            let chosen = match waiters.len() {
                0 => return Vec::new(),
                1 => 0,
                count => usize::try_from(shuttle::rand::thread_rng().next_u64() % count as u64).unwrap_or(0),
            };
            vec![waiters.swap_remove(chosen)]
        });
    }

    pub(crate) fn notify_all(&self) {
        self.notify(std::mem::take);
    }

    fn notify(&self, choose: impl FnOnce(&mut Vec<Arc<Waiter>>) -> Vec<Arc<Waiter>>) {
        let chosen = choose(&mut self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        for waiter in chosen {
            waiter.is_notified.store(true, Ordering::Relaxed);
            let waker = waiter.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        step();
    }

    fn enqueue(&self) -> Arc<Waiter> {
        let waiter = Arc::<Waiter>::default();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(waiter.clone());
        waiter
    }
}

impl Waiter {
    fn poll(&self, waker: &Waker) -> Poll<()> {
        if self.is_notified.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        Poll::Pending
    }
}

/// How a timed wait ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(self) -> bool {
        self.0
    }
}

fn pass(time: Duration) {
    NOW.set(NOW.get().saturating_add(time));
}

std::thread_local! {
    // All threads of an exploration are one thread of the operating system.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A few of these are as long as the longest wait that is a loop of them.
const YIELD: Duration = Duration::from_micros(20);
/// A timed wait takes up to two to the power of one less turns.
const TURNS_EXPONENTS: u64 = 6;
