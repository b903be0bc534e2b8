//! Whole agents, ours and Flume's, that run the same properties file.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::side::{java, resident_kib};
use crate::{median, print_rates, print_resident};

const FILES: usize = 10;
const LINES: usize = 100_000;
const LINE: usize = 202;

/// 10 files of 100,000 lines through a file channel into one file.
const SPOOL: &str = "a.sources = r\na.channels = c\na.sinks = k\n\
    a.sources.r.type = spooldir\na.sources.r.spoolDir = DIR/in\na.sources.r.batchSize = 1000\na.sources.r.channels = c\n\
    a.channels.c.type = file\na.channels.c.checkpointDir = DIR/checkpoint\na.channels.c.dataDirs = DIR/data\n\
    a.sinks.k.type = file_roll\na.sinks.k.sink.directory = DIR/out\na.sinks.k.sink.rollInterval = 0\n\
    a.sinks.k.sink.batchSize = 1000\na.sinks.k.channel = c\n";

/// What an agent came to.
struct Outcome {
    seconds: f64,
    resident_kib: u64,
}

pub(crate) fn spool(dir: &Path) {
    const ROUNDS: usize = 5;
    let mut rates = [Vec::new(), Vec::new()];
    let mut resident = [0; 2];
    for _ in 0..ROUNDS {
        for (place, flume) in [false, true].into_iter().enumerate() {
            let outcome = run(&dir.join("agent"), flume, FILES * LINES * LINE);
            rates[place].push((FILES * LINES) as f64 / outcome.seconds);
            resident[place] = outcome.resident_kib.max(resident[place]);
        }
    }
    let [ours, flume] = &mut rates;
    print_rates(ours, flume, LINE, resident);
}

/// How long an agent takes from its start to its first events in the file, and what it needs for that.
pub(crate) fn start(dir: &Path) {
    let mut seconds = [Vec::new(), Vec::new()];
    let mut resident = [0; 2];
    for _ in 0..3 {
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
    // What was just written is not the agents' to write back.
    let synced = Command::new("sync").status();
    assert!(synced.is_ok_and(|status| status.success()), "files on disk");
    let mut command = if flume {
        let mut command = java(&["org.apache.flume.node.Application"]);
        command.arg("--no-reload-conf");
        command
    } else {
        Command::new(std::env::var_os("AQUEDUCT_BENCH_AGENT").expect("benches/flume/run names the example agent"))
    };
    command.arg("--conf-file").arg(&conf).args(["--name", "a"]).env("HOME", dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut agent = command.spawn().expect("an agent");
    while written(&dir.join("out")) < bytes as u64 {
        assert!(agent.try_wait().expect("a child").is_none(), "the agent ended too early");
        assert!(begun.elapsed() < Duration::from_secs(120), "the agent is not ready in time");
        std::thread::sleep(Duration::from_millis(1));
    }
    let outcome = Outcome { seconds: begun.elapsed().as_secs_f64(), resident_kib: resident_kib(agent.id()) };
    end(&mut agent);
    outcome
}

fn written(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("a directory");
    files.filter_map(|file| file.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn end(agent: &mut Child) {
    agent.kill().expect("a running agent");
    agent.wait().expect("its end");
}
