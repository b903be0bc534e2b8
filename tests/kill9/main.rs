//! Kills a process that works on a store on the real disk, at random moments, and checks what is left.
//!
//! This program starts itself as a child. The child puts and takes and says through a pipe what it begins and what has
//! returned; the parent lives on, knows therefore what must be there, kills the child with SIGKILL and looks. The store is
//! not made anew between two kills: each life goes on with what the last one left.
//!
//! `AQUEDUCT_KILLS=n` sets the kills of each suite (30), `AQUEDUCT_SEED` the seed. An argument that is no option runs only
//! the suites whose names contain it. With `AQUEDUCT_KILL_INPUT` there is one more, see `real.rs`. The moments of the kills
//! depend on the machine, so a seed repeats a run only roughly.

#![allow(clippy::disallowed_methods)] // it is about the real disk, the real clock and real processes
#![allow(clippy::expect_used, clippy::indexing_slicing)] // an error is a failed test
#![allow(clippy::print_stdout)] // a program of its own: the pipe and the report
#![allow(clippy::similar_names)] // lives write lines

mod child;
mod collect;
mod job;
mod oracle;
mod plan;
mod real;
mod tail;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use aqueduct::RecoveryReport;
use aqueduct::store::OpenError;
use aqueduct::testing::Random;
use oracle::Oracle;
use plan::{Mode, Plan};

/// How long a child may take for its next sign of life before the run counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("child") => return child::run(&args[1..]),
        Some("collect-child") => return collect::child(Path::new(&args[1])),
        Some("tail-child") => return tail::child(Path::new(&args[1]), args[2] == "end"),
        _ => {}
    }
    let names = plan::PLANS
        .iter()
        .map(|plan| plan.name)
        .chain([collect::NAME, tail::NAME])
        .chain(real::input().map(|_| real::NAME));
    if args.iter().any(|arg| arg == "--list") {
        if !args.iter().any(|arg| arg == "--ignored") {
            names.for_each(|name| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let exact = args.iter().any(|arg| arg == "--exact");
    let chosen = |name: &str| filter.is_none_or(|part| if exact { name == part } else { name.contains(part.as_str()) });
    let seed = Random::seed();
    let kills = std::env::var("AQUEDUCT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    println!("seed {seed} (AQUEDUCT_SEED), {kills} kills in each suite (AQUEDUCT_KILLS)");
    let (mut passed, mut failed) = (0, 0);
    for (number, name) in names.enumerate().filter(|(_, name)| chosen(name)) {
        let begun = Instant::now();
        let dir =
            tempfile::Builder::new().prefix("kill9-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut random = Random::new(seed ^ number as u64);
        let result = match plan::PLANS.iter().find(|plan| plan.name == name) {
            Some(plan) => suite(plan, dir.path(), kills, &mut random),
            None if name == tail::NAME => tail::suite(dir.path(), kills, &mut random),
            None if name == real::NAME => real::suite(dir.path(), kills, &mut random),
            None => collect::suite(dir.path(), kills, &mut random),
        };
        match result {
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

/// A child and what it says.
struct Life {
    child: Child,
    lines: Receiver<String>,
}

impl Life {
    fn start(args: &[&str]) -> Self {
        Self::of(Command::new(std::env::current_exe().expect("the path of this program")).args(args))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("a child");
        let pipe = BufReader::new(child.stdout.take().expect("its pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line, if it comes in time. `Ok(None)`: the time is up.
    fn next(&mut self, until: Instant) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(format!("the child ended by itself: {}", self.child.wait().expect("its status")))
            }
        }
    }

    /// Kills it and returns what it had said until then.
    fn kill(&mut self) -> Vec<String> {
        self.child.kill().expect("a child that can be killed");
        self.child.wait().expect("its status");
        self.lines.iter().collect()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // After a failure nobody else ends it. One that has ended is not hurt.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When to kill.
enum Moment {
    /// So long after the n-th open has begun.
    Opening(u64, Duration),
    /// So long after the first open has ended.
    Open(Duration),
    /// Once it has said so much.
    Lines(u64),
}

impl Moment {
    fn choose(plan: &Plan, random: &mut Random) -> Self {
        let micros = |random: &mut Random, max: u64| Duration::from_micros(random.below(max));
        match (plan.mode, random.below(10)) {
            (_, 0) => Self::Opening(1, micros(random, 4_000)),
            (Mode::Reopen, 1..=6) => Self::Opening(1 + random.below(4), micros(random, 4_000)),
            (_, 1..=4) => Self::Open(micros(random, 60_000)),
            _ => Self::Lines(random.below(150)),
        }
    }
}

fn suite(plan: &Plan, dir: &Path, kills: u64, random: &mut Random) -> Result<String, String> {
    let mut oracle = Oracle::new(plan);
    let mut opens = 0;
    for life in 0..kills {
        let moment = Moment::choose(plan, random);
        opens += u64::from(matches!(moment, Moment::Opening(..)));
        one_life(plan, dir, life, &moment, &mut oracle, random).map_err(|problem| format!("life {life}: {problem}"))?;
        // Several kills on end without a look: recovery goes on with what an interrupted recovery left.
        if plan.mode == Mode::Reopen && life + 1 < kills && random.below(3) > 0 {
            continue;
        }
        let said = look(plan, dir, oracle.opened)
            .map_err(|problem| format!("life {life}: a look after the kill: {problem}"))?;
        let store = plan.open(dir).map_err(|error| format!("life {life}: open after the kill: {error}"))?;
        if let Some(said) = said {
            let mut report = store.recovery_report().clone();
            report.took = said.took;
            if report != said {
                return Err(format!("after life {life}: a look said {said:?}, the open {report:?}"));
            }
        }
        oracle.check(&store, random).map_err(|problem| format!("after life {life}: {problem}"))?;
        if random.one_in(2) {
            store.close().map_err(|error| format!("life {life}: close: {error}"))?;
        }
    }
    Ok(format!("{kills} kills, {opens} of them in an open; {}", oracle.summary()))
}

/// A look from outside: what it says the next open will report. Until an open has returned, there may be no store to look at.
fn look(plan: &Plan, dir: &Path, opened: bool) -> Result<Option<RecoveryReport>, String> {
    let found = match plan.inspect(dir) {
        Ok(found) => found,
        Err(OpenError::NoStore(_)) if !opened => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let verified = found.verify(|_| ());
    let (unborn, in_the_way): (Vec<_>, Vec<_>) =
        found.obstacles.iter().partition(|obstacle| !opened && matches!(obstacle, OpenError::NoStore(_)));
    if found.in_use != Some(false) || !in_the_way.is_empty() || !verified.damage.is_empty() {
        return Err(format!("{found:?}, {verified:?}"));
    }
    for channel in &found.channels {
        let mut count = 0;
        for stored in found.events(&channel.name) {
            plan::identify(&stored.map_err(|error| error.to_string())?.event)?;
            count += 1;
        }
        if count != channel.events {
            return Err(format!("{count} events are in {channel:?}"));
        }
    }
    // The kill came between the first mark and the manifest: an open makes a new store, of all its
    // directories.
    Ok(unborn.is_empty().then_some(found.report))
}

fn one_life(
    plan: &Plan,
    dir: &Path,
    life: u64,
    moment: &Moment,
    oracle: &mut Oracle,
    random: &mut Random,
) -> Result<(), String> {
    let (seed, life) = (random.next_u64().to_string(), life.to_string());
    let path = dir.to_str().expect("a path in UTF-8");
    let mut child = Life::start(&["child", plan.name, path, &seed, &life]);
    let patience = Instant::now() + PATIENCE;
    let (mut lines, mut opening, mut at) = (0, 0, None);
    while !matches!(moment, Moment::Lines(max) if lines >= *max) {
        let Some(line) = child.next(at.unwrap_or(patience))? else { break };
        lines += 1;
        opening += u64::from(line == "opening");
        match moment {
            Moment::Opening(number, delay) if line == "opening" && opening == *number => {
                at = Some(Instant::now() + *delay);
            }
            Moment::Open(delay) if line == "open" && at.is_none() => at = Some(Instant::now() + *delay),
            _ => {}
        }
        oracle.hear(&line)?;
    }
    if Instant::now() >= patience {
        return Err(format!("the child hangs after {lines} lines"));
    }
    child.kill().iter().try_for_each(|line| oracle.hear(line))
}
