//! Runs explorations, and says what of a failure is needed to see it again.

#![allow(clippy::expect_used)] // an error is a failed test
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program of its own
#![allow(clippy::disallowed_methods)] // it measures real time, and ends the process at a failure

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use aqueduct::testing::Random;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

pub(crate) type Exploration = (&'static str, fn());

/// Schedules of each exploration and scheduler in a plain run.
const SCHEDULES: usize = 1000;
/// Changes of the running thread that `pct` makes besides those that waiting makes, plus one: most mistakes need one or two.
const PCT_DEPTH: usize = 4;
/// A schedule with more steps goes round in circles.
const STEPS_MAX: usize = 200_000;
/// What a test ends with that fails, as with the usual harness.
const FAILED: i32 = 101;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Random,
    Pct,
}

pub(crate) fn main(explorations: &[Exploration]) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        explorations.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let chosen = explorations.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part.as_str())));
    let chosen: Vec<Exploration> = chosen.copied().collect();
    end_at_the_first_failure();
    if let Some(path) = std::env::var_os("AQUEDUCT_SCHEDULE") {
        let [(name, exploration)] = chosen[..] else {
            eprintln!("AQUEDUCT_SCHEDULE belongs to one exploration: name it");
            return ExitCode::FAILURE;
        };
        let schedule = ReplayScheduler::new_from_file(PathBuf::from(path)).expect("a file with a schedule");
        Runner::new(schedule, config()).run(exploration);
        println!("{name}: the schedule passes");
        return ExitCode::SUCCESS;
    }
    run_all(&chosen);
    ExitCode::SUCCESS
}

fn run_all(chosen: &[Exploration]) {
    let number = |name| std::env::var(name).ok().map(|text| text.trim().parse::<usize>().expect(name));
    let schedules = number("AQUEDUCT_SCHEDULES").unwrap_or(SCHEDULES);
    let seed = Random::seed();
    println!("{} explorations, 2 x {schedules} schedules each, AQUEDUCT_SEED={seed}", chosen.len());
    let jobs: VecDeque<_> = chosen.iter().flat_map(|job| [(*job, Kind::Random), (*job, Kind::Pct)]).collect();
    let jobs = Arc::new(Mutex::new(jobs));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let work = |_| {
        let jobs = jobs.clone();
        thread::spawn(move || {
            loop {
                let job = jobs.lock().expect("nobody panics and lives").pop_front();
                let Some(((name, exploration), kind)) = job else { return };
                run(name, exploration, kind, seed, schedules);
            }
        })
    };
    let workers: Vec<_> = (0..workers).map(work).collect();
    workers.into_iter().for_each(|worker| worker.join().expect("a panic ends the process"));
}

fn run(name: &'static str, exploration: fn(), kind: Kind, seed: u64, schedules: usize) {
    let since = Instant::now();
    // The name is what a failure tells of.
    let title = format!("{name} ({kind:?}, AQUEDUCT_SEED={seed})");
    let runner = move || match kind {
        Kind::Random => Runner::new(RandomScheduler::new_from_seed(seed, schedules), config()).run(exploration),
        Kind::Pct => Runner::new(PctScheduler::new_from_seed(seed, PCT_DEPTH, schedules), config()).run(exploration),
    };
    let runner = thread::Builder::new().name(title.clone()).spawn(runner).expect("a thread");
    let count = runner.join().expect("a panic ends the process");
    println!("{title}: {count} schedules, {:.1} s", since.elapsed().as_secs_f64());
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::File(Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))));
    // That weak orderings of atomic numbers are not explored stands in docs/testing.md.
    config.silence_warnings = true;
    config
}

/// What is left of a schedule that failed cannot be cleaned up: threads that wait for each other, locks that are held.
fn end_at_the_first_failure() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("FAILED: {}: {panic}", thread::current().name().unwrap_or_default());
        eprintln!("again: AQUEDUCT_SCHEDULE=<the file named above> .ci/schedules <the name of the exploration>");
        std::process::exit(FAILED);
    }));
}
