//! One side of the comparison: a process that does what it is told, one line at a time.
//!
//! | command | what |
//! |---|---|
//! | `file DIR` | opens a file channel in DIR; everything is durable on return |
//! | `memory` | a memory channel of 10,000 events |
//! | `put PRODUCERS COMMITS BATCH` | so many producers at once, each so many commits |
//! | `put-take COMMITS BATCH` | a producer and a consumer |
//! | `pass COMMITS BATCH` | the same, without a look at the clock for each transaction, which is dear where nothing is durable; Flume's side looks, where a transaction takes a thousand times as long as that |
//! | `drain` | empties the channel |
//! | `receive PORT` | an Avro source in front of the channel |
//! | `take EVENTS BATCH` | takes so many events |
//! | `connect PORT BATCH FLIGHT` | an RPC client, of requests of BATCH events, FLIGHT at once where that can be chosen |
//! | `send LISTS LIST` | sends so many lists of LIST events with it |
//!
//! The answer is `ok`, or the time in seconds, that of each put (or call of the client) in microseconds, and that of each commit of
//! a take: `1.5|210.3 190|88.1 97`. Puts are timed from the begin of the transaction, after their events were made.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Set for a process that is our side.
pub(crate) const CHILD: &str = "AQUEDUCT_BENCH_CHILD";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Flume,
}

/// What a side says of a command.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) seconds: f64,
    /// In microseconds.
    pub(crate) puts: Vec<f64>,
    pub(crate) acks: Vec<f64>,
}

/// A running side. Killed on drop, as by a crash.
pub(crate) struct Side {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Kind {
    pub(crate) fn start(self) -> Side {
        Side::run(self.command())
    }

    /// The same with every system call that makes something durable written to `log`.
    pub(crate) fn start_traced(self, log: &Path) -> Side {
        let mut command = traced(&self.command(), log);
        command.env(CHILD, "");
        Side::run(command)
    }

    fn command(self) -> Command {
        match self {
            Self::Ours => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.env(CHILD, "");
                command
            }
            Self::Flume => java(&["bench.Bench"]),
        }
    }
}

/// Java with Flume's jars and the settings that Flume needs with it.
pub(crate) fn java(main: &[&str]) -> Command {
    let lib = std::env::var("AQUEDUCT_BENCH_FLUME").expect("benches/flume/run starts this, with Flume's jars");
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-Dfile.encoding=UTF-8"]);
    for package in ["java.nio", "sun.nio.ch", "java.lang", "java.util"] {
        command.args(["--add-opens", &format!("java.base/{package}=ALL-UNNAMED")]);
    }
    command.args(["-cp", &format!("{lib}/*")]).args(main);
    command
}

/// A command with every system call that makes something durable written to `log`.
pub(crate) fn traced(inner: &Command, log: &Path) -> Command {
    let mut command = Command::new("strace");
    let calls = "--trace=fsync,fdatasync,msync,sync_file_range,sync,syncfs";
    // Only those calls stop a thread.
    command.args(["-f", "--seccomp-bpf", calls, "--signal=none", "-o"]).arg(log);
    command.arg(inner.get_program()).args(inner.get_args());
    command
}

/// How many of these calls there have been so far.
pub(crate) fn sync_calls(log: &Path) -> usize {
    // A call in two lines has its name with a parenthesis in the first one only.
    std::fs::read_to_string(log).unwrap_or_default().lines().filter(|line| line.contains("sync(")).count()
}

impl Side {
    fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let commands = child.stdin.take().expect("its input");
        let answers = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, commands, answers }
    }

    /// Does a command and returns what it answered.
    pub(crate) fn obey(&mut self, command: &str) -> Answer {
        self.begin(command);
        self.end()
    }

    pub(crate) fn begin(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("a process that listens");
    }

    pub(crate) fn end(&mut self) -> Answer {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let line = line.trim_end();
        if line == "ok" {
            return Answer::default();
        }
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text:?} is no number of an answer"));
        let mut lists = line.split('|').map(|list| list.split_ascii_whitespace().map(number).collect::<Vec<f64>>());
        let mut next = || lists.next().unwrap_or_default();
        Answer { seconds: next()[0], puts: next(), acks: next() }
    }

    /// The most memory that was resident, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        resident_kib(self.child.id())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most memory that was resident in a process.
pub(crate) fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
