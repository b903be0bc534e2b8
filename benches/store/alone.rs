//! Jobs that run in a process of their own, so that the peak of its memory is theirs alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aqueduct::{Agent, FileRoll, FileStore, SpoolDir, Wait};

use crate::measure::{median, open, status_kib};
use crate::report::Report;
use crate::{backlog, classes};

// What the process is to do, and where.
const JOB: &str = "AQUEDUCT_BENCH_JOB";
const DIR: &str = "AQUEDUCT_BENCH_JOB_DIR";

/// What a process of its own is for.
#[derive(Debug)]
pub(crate) enum Job {
    Collect { dir: PathBuf },
    Commit { dir: PathBuf, level: &'static str },
    Fill { dir: PathBuf, events: u64, bytes: usize },
    Reopen { dir: PathBuf },
}

/// Runs a job; what it printed.
pub(crate) fn run(job: &Job) -> String {
    finish(command(job, Command::new(program())))
}

/// Runs it with those system calls that `calls` names to strace, which are written to `trace`.
pub(crate) fn run_traced(job: &Job, calls: &str, trace: &Path) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "--signal=none", calls, "-o"]).arg(trace).arg(program());
    finish(command(job, strace));
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn command(job: &Job, mut command: Command) -> Command {
    let (name, dir) = match job {
        Job::Collect { dir } => ("collect".to_owned(), dir),
        Job::Commit { dir, level } => (format!("commit {level}"), dir),
        Job::Fill { dir, events, bytes } => (format!("fill {events} {bytes}"), dir),
        Job::Reopen { dir } => ("reopen".to_owned(), dir),
    };
    command.env(JOB, name).env(DIR, dir);
    command
}

fn finish(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(JOB).is_some()
}

pub(crate) fn run_child() {
    let job = std::env::var(JOB).expect("a job");
    let dir = PathBuf::from(std::env::var_os(DIR).expect("a directory"));
    match job.split(' ').collect::<Vec<_>>()[..] {
        ["collect"] => collect_files(&dir),
        ["commit", level] => classes::commit(&dir, level),
        ["fill", events, bytes] => {
            backlog::fill(&dir, events.parse().expect("a number"), bytes.parse().expect("a number"));
        }
        ["reopen"] => backlog::take(&dir),
        _ => panic!("unknown job {job}"),
    }
}

const FILES: usize = 10;
const LINES: usize = 100_000;
/// Bytes of a line without its end, which are those of an event.
const LINE: usize = 201;

/// The main job: 10 files of 202-byte lines through a durable file channel into one file, everything synced.
pub(crate) fn collect(dir: &Path, report: &mut Report) {
    let mut rounds: Vec<[f64; 4]> = Vec::new();
    for _ in 0..report.rounds {
        let dir = tempfile::tempdir_in(dir).expect("a directory");
        let input = dir.path().join("in");
        std::fs::create_dir(&input).expect("a directory");
        for file in 0..FILES {
            let lines: Vec<String> = (0..LINES).map(|line| format!("{file:01} {line:08} {:x<190}", "")).collect();
            std::fs::write(input.join(format!("{file}.log")), lines.join("\n") + "\n").expect("a file");
        }
        let text = run(&Job::Collect { dir: dir.path().into() });
        let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        rounds.push(numbers.try_into().expect("four numbers"));
    }
    let [rate, peak, syncs, bytes] =
        std::array::from_fn(|place| median(rounds.iter().map(|numbers| numbers[place]).collect()));
    report.say(&format!(
        "{rate:9.0} events/s {:7.1} MB/s, resident {peak:.0} KiB at most, {syncs:.4} syncs/event of the channel, {bytes:.4} bytes \
         of its log/payload byte",
        rate * LINE as f64 / 1e6
    ));
    report.value("aqueduct", "", rate, "events/s");
    report.value("resident at most", "", peak, "KiB");
    report.value("syncs per event", "", syncs, "");
    report.value("bytes per payload byte", "", bytes, "");
}

fn collect_files(dir: &Path) {
    let begun = Instant::now();
    let (store, channel) = open(FileStore::builder(dir.join("store")));
    let agent = Agent::builder("collect")
        .channel("disk", channel)
        .source("in", SpoolDir::new(dir.join("in")).until_empty())
        .batch(1000)
        .to(["disk"])
        .sink("out", FileRoll::new(dir.join("out")).roll_interval(Duration::ZERO))
        .batch(1000)
        .from("disk");
    let report = agent.build().expect("an agent").run_to_completion(Wait::FOREVER).expect("a run");
    assert_eq!(report.outcome, aqueduct::agent::Outcome::Completed, "{report:?}");
    let stats = store.stats();
    store.close().expect("close");
    let events = (FILES * LINES) as f64;
    let (syncs, bytes) = (stats.syncs as f64 / events, stats.bytes as f64 / (events * LINE as f64));
    println!("{} {} {syncs} {bytes}", events / begun.elapsed().as_secs_f64(), status_kib("VmHWM:"));
}
