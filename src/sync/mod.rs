//! What threads share: locks, condition variables, atomic numbers, the threads themselves, and the moments until which they
//! wait.
//!
//! They are those of `parking_lot` and of the standard library under their own names, and a [`Gate`]. Only in a build with
//! `--cfg shuttle` they are those of `shuttle` and `explored`, with which `tests/schedules` runs one program in many orders of its threads,
//! and in `tests/loom`, which compiles a few files of this crate with `--cfg aqueduct_loom`, those of `loom` and `modelled`.
//! The store, the channels and all waiting take them from here.

#[cfg(shuttle)]
mod explored;
mod gate;
#[cfg(aqueduct_loom)]
mod modelled;

pub(crate) use gate::Gate;

#[cfg(shuttle)]
pub(crate) use explored::{Condvar, Instant, Mutex, MutexGuard, OnceLock, RwLock, atomic, step, thread, thread_local};

#[cfg(aqueduct_loom)]
pub(crate) use modelled::{Condvar, Instant, Mutex, MutexGuard, atomic, thread};

#[cfg(not(any(aqueduct_loom, shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(any(aqueduct_loom, shuttle)))]
pub(crate) use std::{
    sync::{OnceLock, atomic},
    thread, thread_local,
    time::Instant,
};

/// A moment at which another thread may go on: before an operation that is not one of these.
#[cfg(all(not(any(aqueduct_loom, shuttle)), any(test, feature = "testing")))]
#[inline]
pub(crate) fn step() {}
