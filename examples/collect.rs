//! Collects the text files of a directory, line by line, durably and exactly once, into rolled files of another.
//!
//!     cargo run --release --example collect -- IN OUT
//!
//! Every file in IN is read, passes a durable channel in `OUT/.channel`, and is renamed to `*.COMPLETED`. Its lines are in
//! the files of OUT then, byte for byte. It exits with 1 if a file could not be read to its end, or if it cannot print what it
//! did. Kill it at any moment and run it again: it goes on where it was. Without arguments it makes a directory of its own with
//! something to collect.

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqueduct::agent::Outcome;
use aqueduct::{Agent, Drain, FileRoll, FileStore, SpoolDir, Wait};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let result = match (args.next(), args.next(), args.next()) {
        (Some(input), Some(output), None) => collect(&input, &output),
        (None, ..) => demonstrate(),
        _ => Err("usage: collect IN OUT".into()),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "collect: {error}");
        ExitCode::FAILURE
    })
}

fn collect(input: &Path, output: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let (files, bytes) = waiting(input).map_err(|error| format!("{}: {error}", input.display()))?;
    if output.canonicalize().is_ok_and(|output| input.canonicalize().is_ok_and(|input| input == output)) {
        return Err("IN and OUT are the same directory: the output would be collected again".into());
    }
    let begun = Instant::now();
    let store = FileStore::open(output.join(".channel"))?;
    let problems = Arc::new(AtomicU64::new(0));
    let reported = problems.clone();
    let source = SpoolDir::new(input).until_empty().bytes().skip_empty_files().line_max_bytes(8 << 20);
    let source = source.on_report(move |report| {
        let number = reported.fetch_add(1, Ordering::Relaxed) + 1;
        let _ = writeln!(io::stderr(), "collect: {report}, problem {number}");
    });
    let sink = FileRoll::new(output).roll_interval(Duration::ZERO).roll_bytes(1 << 30).extension("txt");
    let agent = Agent::builder("collect")
        .channel("disk", store.channel("lines")?)
        .source("in", source)
        .batch(1000)
        .to(["disk"])
        .sink("out", sink)
        .batch(1000)
        .from("disk")
        .build()?;
    let found: u64 = store.recovery_report().backlog.iter().map(|(_, events)| events).sum();
    say(&format!("{files} files with {} to collect, {found} lines already in the channel", HumanBytes(bytes)))?;

    let running = agent.start()?;
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
    let mut told = [None, None];
    let stats = loop {
        let outcome = running.wait_done(Wait::up_to(Duration::from_millis(200)));
        let stats = running.stats();
        let delivered = stats.sink("out").map_or(0, |sink| sink.stats.drain_success_events);
        let left = stats.channel("disk").map_or(0, |channel| channel.depth_events);
        bar.set_message(format!("{} lines delivered, {} in the channel", HumanCount(delivered), HumanCount(left)));
        bar.tick();
        let errors = [&stats.sources[0].status, &stats.sinks[0].status].map(|status| status.last_error.clone());
        if errors != told {
            for error in errors.iter().flatten() {
                let _ = bar.suspend(|| writeln!(io::stderr(), "collect: {error}"));
            }
            told = errors;
        }
        if outcome != Outcome::Stopped {
            break stats;
        }
    };
    let report = running.shutdown(Drain::NONE)?;
    store.close()?;
    bar.finish_and_clear();

    let delivered = stats.sink("out").map_or(0, |sink| sink.stats.drain_success_events);
    let (left, outcome) = (report.left.iter().map(|left| left.events).sum::<u64>(), report.outcome);
    let (seconds, lines) = (begun.elapsed().as_secs_f64(), HumanCount(delivered));
    let (rate, megabytes) = (delivered as f64 / seconds, bytes as f64 / seconds / 1e6);
    say(&format!(
        "{lines} lines delivered in {seconds:.2} s ({rate:.0} a second, {megabytes:.1} MB/s), {left} left: {outcome:?}"
    ))?;
    let code = outcome.exit_code();
    Ok(ExitCode::from(if problems.load(Ordering::Relaxed) > 0 { code.max(1) } else { code }))
}

/// Prints a line. Collecting goes on without whoever read what this prints.
fn say(line: &str) -> Result<(), String> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

/// Number and bytes of the files that wait in a directory.
fn waiting(input: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(input)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().ends_with(".COMPLETED") {
            sum = (sum.0 + 1, sum.1 + entry.metadata()?.len());
        }
    }
    Ok(sum)
}

fn demonstrate() -> Result<ExitCode, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::create_dir(&input)?;
    for file in 0..10 {
        let lines: Vec<_> = (0..10_000).map(|line| format!("file {file} line {line}")).collect();
        std::fs::write(input.join(format!("{file}.log")), lines.join("\n"))?;
    }
    say("no arguments: collecting 10 files of 10,000 lines in a temporary directory")?;
    collect(&input, &output)
}
