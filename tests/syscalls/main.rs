//! The store on real system calls, under strace.
//!
//! `errors`: a child works on a store while strace makes chosen system calls fail; what it was told, what the log of calls
//! shows and what is in the store afterwards must fit. `power`: the system calls of a child are recorded with their data,
//! played into the crash simulator, and what a power cut would leave is written to a directory and opened for real.
//!
//! Needs strace; `tests/syscalls/run` installs it. This program starts itself as the child. `AQUEDUCT_SEED` sets the seed,
//! `AQUEDUCT_ERROR_RUNS` the runs of each error (4), `AQUEDUCT_POWER_IMAGES` the images of each workload (300). An argument
//! that is no option runs only the suites whose names contain it.

#![allow(clippy::disallowed_methods)] // it is about the real disk, the real clock and real processes
#![allow(clippy::expect_used, clippy::indexing_slicing)] // an error is a failed test
#![allow(clippy::print_stdout)] // a program of its own: the pipe and the report

#[path = "../kill9/child.rs"]
mod child;
mod errors;
#[path = "../kill9/oracle.rs"]
mod oracle;
#[path = "../kill9/plan.rs"]
mod plan;
mod power;
mod replay;
mod strace;
mod worker;

use std::path::Path;
use std::process::ExitCode;

use aqueduct::testing::Random;

type Suite = fn(&Path, u64) -> Result<String, String>;

const SUITES: [(&str, Suite); 2] = [("errors", errors::suite), ("power", power::suite)];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("child") => return child::run(&args[1..]),
        Some("worker") => return worker::run(Path::new(&args[1]), args[2].parse().expect("a seed")),
        _ => {}
    }
    if args.iter().any(|arg| arg == "--list") {
        if !args.iter().any(|arg| arg == "--ignored") {
            SUITES.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    if let Err(problem) = strace::is_here() {
        println!("{problem}");
        return ExitCode::FAILURE;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let seed = Random::seed();
    println!("seed {seed} (AQUEDUCT_SEED)");
    let (mut passed, mut failed) = (0, 0);
    for (name, suite) in SUITES.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part.as_str()))) {
        let begun = std::time::Instant::now();
        let dir =
            tempfile::Builder::new().prefix("syscalls-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        match suite(dir.path(), seed) {
            Ok(summary) => {
                passed += 1;
                println!("{name}: ok in {:.1} s: {summary}", begun.elapsed().as_secs_f64());
            }
            Err(problem) => {
                failed += 1;
                println!("{name}: FAILED, seed {seed}: {problem}\n    what is left is in {}", dir.keep().display());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}
