//! Jobs that run in a process of their own, so that the peak of its memory is theirs alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aqueduct::{Agent, FileRoll, FileStore, SpoolDir, Wait};

use crate::backlog;
use crate::measure::{open, status_kib};
use crate::report::Report;

// What the process is to do, and where.
const JOB: &str = "AQUEDUCT_BENCH_JOB";
const DIR: &str = "AQUEDUCT_BENCH_JOB_DIR";

/// What a process of its own is for.
#[derive(Debug)]
pub(crate) enum Job {
    Collect { dir: PathBuf },
    Fill { dir: PathBuf, events: u64, bytes: usize },
    Reopen { dir: PathBuf },
}

/// Runs a job; what it printed.
pub(crate) fn run(job: Job) -> String {
    let program = std::env::current_exe().expect("this program");
    let (name, dir) = match job {
        Job::Collect { dir } => ("collect".to_owned(), dir),
        Job::Fill { dir, events, bytes } => (format!("fill {events} {bytes}"), dir),
        Job::Reopen { dir } => ("reopen".to_owned(), dir),
    };
    let output = Command::new(program).env(JOB, name).env(DIR, dir).output().expect("a process");
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
        ["fill", events, bytes] => {
            backlog::fill(&dir, events.parse().expect("a number"), bytes.parse().expect("a number"));
        }
        ["reopen"] => backlog::take(&dir),
        _ => panic!("unknown job {job}"),
    }
}

const FILES: usize = 10;
const LINES: usize = 100_000;

/// The main job: 10 files of 202-byte lines through a durable file channel into one file, everything synced.
pub(crate) fn collect(dir: &Path, report: &mut Report) {
    let (mut rates, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..report.rounds {
        let dir = tempfile::tempdir_in(dir).expect("a directory");
        let input = dir.path().join("in");
        std::fs::create_dir(&input).expect("a directory");
        for file in 0..FILES {
            let lines: Vec<String> = (0..LINES).map(|line| format!("{file:01} {line:08} {:x<190}", "")).collect();
            std::fs::write(input.join(format!("{file}.log")), lines.join("\n") + "\n").expect("a file");
        }
        let text = run(Job::Collect { dir: dir.path().into() });
        let (rate, peak) = text.trim().split_once(' ').expect("two numbers");
        rates.push(rate.parse().expect("a number"));
        peaks.push(peak.parse().expect("a number"));
    }
    let (rate, peak) = (crate::measure::median(rates), crate::measure::median(peaks));
    report.say(&format!("{rate:9.0} events/s {:7.1} MB/s, resident {peak:.0} KiB at most", rate * 202.0 / 1e6));
    report.value("aqueduct", "", rate, "events/s");
    report.value("resident at most", "", peak, "KiB");
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
    store.close().expect("close");
    println!("{} {}", (FILES * LINES) as f64 / begun.elapsed().as_secs_f64(), status_kib("VmHWM:"));
}
