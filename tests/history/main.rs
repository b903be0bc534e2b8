//! Histories of producers and consumers in threads, judged afterwards.
//!
//! Every event has a number of its own, and every call and return a place in one order of all threads. `check` looks for what
//! no channel may do, `planted` shows that it finds it, `run` makes the histories: on memory channels, on file channels, and
//! on file channels that are closed, killed and cut off from power while all threads are at work. A failure prints the seed;
//! the schedule of the threads is not part of it, so repeat it: `AQUEDUCT_SEED=n AQUEDUCT_HISTORIES=100`.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // an error is a failed test
#![allow(clippy::print_stdout)] // each suite says what it covered

mod check;
mod planted;
mod record;
mod run;

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use aqueduct::testing::Random;
use record::{History, Ticks};
use run::{Kind, Plan};

/// Histories of each kind of channel, and calls of each history, in a plain run.
const HISTORIES: u64 = 4;
const CALLS: u64 = 10_000;

/// A history in which no call begins or returns for so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn memory_channels_keep_every_promise_between_threads() {
    histories(Kind::Memory);
}

#[test]
fn file_channels_keep_every_promise_between_threads_and_over_closes() {
    histories(Kind::Disk);
}

#[test]
fn file_channels_keep_every_promise_between_threads_and_over_crashes() {
    histories(Kind::Simulated);
}

fn histories(kind: Kind) {
    let number = |name| std::env::var(name).ok().map(|text| text.trim().parse::<u64>().expect(name));
    let count = number("AQUEDUCT_HISTORIES").unwrap_or(HISTORIES);
    let given = number("AQUEDUCT_SEED");
    let first = given.unwrap_or_else(Random::seed);
    let mut calls = 0;
    for round in 0..count {
        let seed = if given.is_some() { first } else { first.wrapping_add(round) };
        let plan = Plan::new(kind, seed, CALLS);
        let history = run_watched(plan);
        calls += history.calls();
        let wrong = check::check(&history);
        let shown: Vec<&str> = wrong.iter().take(10).map(String::as_str).collect();
        assert!(wrong.is_empty(), "AQUEDUCT_SEED={seed} {plan:?}: {} findings\n{}", wrong.len(), shown.join("\n"));
    }
    println!("{kind:?}: {count} histories from seed {first} on, {calls} calls");
}

/// Fails if nothing goes on any more.
fn run_watched(plan: Plan) -> History {
    let ticks = Arc::new(Ticks::default());
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn({
        let ticks = ticks.clone();
        move || sender.send(run::run(&plan, &ticks))
    });
    let mut seen = None;
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(history) => return history,
            Err(RecvTimeoutError::Timeout) => {
                let now = Some(ticks.count());
                assert_ne!(now, seen, "AQUEDUCT_SEED={} {plan:?} hangs", plan.seed);
                seen = now;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let panic = worker.join().expect_err("it ended without a history");
                println!("AQUEDUCT_SEED={} {plan:?}", plan.seed);
                std::panic::resume_unwind(panic);
            }
        }
    }
}
