//! Whole agents, ours and Flume's, that run the same properties file.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::disk;
use crate::report::{Measured, median, print_costs, print_rates, print_resident};
use crate::side::{java, resident_kib, sync_calls, traced};

const FILES: usize = 10;
const LINES: usize = 100_000;
const LINE: usize = 202;
/// Bytes of all lines.
const ALL: usize = FILES * LINES * LINE;

/// 10 files of 100,000 lines through a file channel into one file.
const SPOOL: &str = "a.sources = r\na.channels = c\na.sinks = k\n\
    a.sources.r.type = spooldir\na.sources.r.spoolDir = DIR/in\na.sources.r.batchSize = 1000\na.sources.r.channels = c\n\
    a.channels.c.type = file\na.channels.c.checkpointDir = DIR/checkpoint\na.channels.c.dataDirs = DIR/data\n\
    a.sinks.k.type = file_roll\na.sinks.k.sink.directory = DIR/out\na.sinks.k.sink.rollInterval = 0\n\
    a.sinks.k.sink.batchSize = 1000\na.sinks.k.channel = c\n";

const ROUNDS: usize = 5;

/// What an agent came to.
struct Outcome {
    seconds: f64,
    resident_kib: u64,
    /// What the disk wrote, with what the agent left in the page cache.
    disk_bytes: u64,
}

pub(crate) fn spool(dir: &Path) {
    let syncs = [false, true].map(|flume| count_syncs(dir, flume) as f64 / (FILES * LINES) as f64);
    let mut measured = [Measured::default(), Measured::default()];
    for _ in 0..ROUNDS {
        for (measured, flume) in measured.iter_mut().zip([false, true]) {
            let outcome = run(&dir.join("agent"), flume, ALL);
            measured.rates.push((FILES * LINES) as f64 / outcome.seconds);
            measured.resident_kib = outcome.resident_kib.max(measured.resident_kib);
            measured.disk_bytes += outcome.disk_bytes;
            measured.payload += ALL as u64;
        }
    }
    let [mut ours, mut flume] = measured;
    print_rates(&mut ours, &mut flume, LINE, "");
    print_costs(&ours, &flume, syncs);
}

/// How long an agent takes from its start to its first events in the file, and what it needs for that.
pub(crate) fn start(dir: &Path) {
    let mut seconds = [Vec::new(), Vec::new()];
    let mut resident = [0; 2];
    for _ in 0..ROUNDS {
        for (place, flume) in [false, true].into_iter().enumerate() {
            let outcome = run(&dir.join("agent"), flume, 1);
            seconds[place].push(outcome.seconds);
            resident[place] = outcome.resident_kib.max(resident[place]);
        }
    }
    let [ours, flume] = seconds.map(|mut seconds| median(&mut seconds));
    println!("{ours:9.3} s        | Flume {flume:9.3} | ratio {:.0}, to the first event delivered", flume / ours);
    print_resident(resident);
}

/// Runs an agent from its start until so many bytes have come out.
fn run(dir: &Path, flume: bool, bytes: usize) -> Outcome {
    let mut command = prepare(dir, flume);
    // What was just written is not the agents' to write back.
    rustix::fs::sync();
    let before = disk::bytes_written();
    let begun = Instant::now();
    let mut agent = command.spawn().expect("an agent");
    wait_for(&mut agent, dir, bytes);
    let (seconds, resident_kib) = (begun.elapsed().as_secs_f64(), resident_kib(agent.id()));
    agent.kill().expect("a running agent");
    agent.wait().expect("its end");
    rustix::fs::sync();
    Outcome { seconds, resident_kib, disk_bytes: disk::bytes_written() - before }
}

/// The calls that make something durable, of an agent until all has come out.
fn count_syncs(dir: &Path, flume: bool) -> usize {
    let (log, dir) = (dir.join("calls"), dir.join("agent"));
    let inner = prepare(&dir, flume);
    let mut command = traced(&inner, &log);
    command.env("HOME", &dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut strace = command.spawn().expect("strace and an agent");
    wait_for(&mut strace, &dir, ALL);
    let calls = sync_calls(&log);
    // strace ends with the agent, which is its only child.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", strace.id())).expect("a child");
    let agent = children.trim().parse().ok().and_then(Pid::from_raw).expect("the agent");
    kill_process(agent, Signal::KILL).expect("a running agent");
    strace.wait().expect("its end");
    calls
}

/// Files to read, and the command of an agent that reads them.
fn prepare(dir: &Path, flume: bool) -> Command {
    let _ = std::fs::remove_dir_all(dir);
    for name in ["in", "out"] {
        std::fs::create_dir_all(dir.join(name)).expect("a directory");
    }
    for file in 0..FILES {
        let line = |line| format!("{file:01} {line:08} {:x<190}\n", "");
        let lines: String = (0..LINES).map(line).collect();
        assert_eq!(lines.len(), LINES * LINE);
        std::fs::write(dir.join("in").join(format!("{file}.log")), lines).expect("a file");
    }
    let conf = dir.join("agent.properties");
    std::fs::write(&conf, SPOOL.replace("DIR", dir.to_str().expect("a path in UTF-8"))).expect("a file");
    let mut command = if flume {
        let mut command = java(&["org.apache.flume.node.Application"]);
        command.arg("--no-reload-conf");
        command
    } else {
        Command::new(std::env::var_os("AQUEDUCT_BENCH_AGENT").expect("benches/flume/run names the example agent"))
    };
    command.arg("--conf-file").arg(&conf).args(["--name", "a"]).env("HOME", dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn wait_for(agent: &mut Child, dir: &Path, bytes: usize) {
    let begun = Instant::now();
    while written(&dir.join("out")) < bytes as u64 {
        assert!(agent.try_wait().expect("a child").is_none(), "the agent ended too early");
        assert!(begun.elapsed() < Duration::from_secs(300), "the agent is not ready in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn written(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("a directory");
    files.filter_map(|file| file.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}
