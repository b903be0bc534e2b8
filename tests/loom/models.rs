//! The smallest concurrent parts of the store, in every order of their threads and with every value that a weak atomic number
//! may show: the groups of a lane with those who wait for them and the hand-over of the lead, what wakes the store's thread, and
//! the waiting of a channel.
//!
//! These are the files of the crate themselves, compiled with `--cfg aqueduct_loom`, which gives them the locks and atomic
//! numbers of `loom`; a package of its own, so that nothing else of the crate is compiled. What they stand on is played: a lane
//! that writes nowhere, a reader that counts, and errors without a text.
//!
//! `LOOM_MAX_PREEMPTIONS=n` lets a running thread be stopped so often for another one in a run; without it each model says
//! how often. `.ci/loom <name>` runs the models whose names contain it.
#![cfg(aqueduct_loom)]
#![allow(dead_code, unused_imports)] // the files have more than the models need

#[path = "../../src/clock.rs"]
mod clock;
mod error;
mod event;
#[path = "../../src/limits.rs"]
mod limits;
#[path = "../../src/sabotage.rs"]
mod sabotage;
#[path = "../../src/shutdown.rs"]
mod shutdown;
#[path = "../../src/stats.rs"]
mod stats;
mod store;
#[path = "../../src/sync/mod.rs"]
mod sync;
#[path = "../../src/ticket.rs"]
mod ticket;
#[path = "../../src/wakers.rs"]
mod wakers;
#[path = "../../src/wait.rs"]
mod wait;

mod channel_waits;
mod groups_are_written;
mod thread_keeps_watch;

/// Runs a model in all orders in which a running thread is stopped for another one at most so often.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 100_000;
    builder.check(model);
}
