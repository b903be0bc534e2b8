//! How fast this crate is beside Apache Flume 1.11.0, in the same configuration and durability.
//!
//!     benches/flume/run [ROW...]
//!
//! installs Flume, builds everything and runs this. Both sides are processes of their own that do the same commands
//! (`side.rs`), so that the peak of resident memory is each side's own. Every row is measured in rounds, both sides in turn,
//! after rounds that warm up the Java machine, and shows the medians. The row `syncs` counts the system calls that make
//! things durable, under strace, so that the file channels are known to promise the same. `AQUEDUCT_BENCH_DIR` names the
//! directory to write in (default: the system's for temporary files).

#![allow(clippy::print_stdout, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::cast_precision_loss, clippy::panic)] // numbers for people; an error ends the run

mod agents;
mod ours;
mod rows;
mod side;

use std::io::Write;
use std::path::{Path, PathBuf};

type Row = fn(&Path);

fn main() {
    if std::env::var_os(side::CHILD).is_some() {
        return ours::obey();
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name == filter);
    let parent = std::env::var_os("AQUEDUCT_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let all: [(&str, Row); 12] = [
        ("syncs", rows::syncs),
        ("put-1x100", |dir| rows::file_put(dir, 1, 100, 1000)),
        ("put-8x10", |dir| rows::file_put(dir, 8, 10, 400)),
        ("put-take-1x100", rows::file_put_take),
        ("memory-1x100", rows::memory),
        ("start", rows::start),
        ("avro", |_| rows::avro(false, false, 10)),
        ("avro-1-in-flight", |_| rows::avro(false, false, 1)),
        ("avro-flume-client", |_| rows::avro(true, false, 1)),
        ("avro-flume-source", |_| rows::avro(false, true, 4)),
        ("spool", agents::spool),
        ("agent-start", agents::start),
    ];
    for (name, row) in all {
        if wanted(name) {
            let dir = tempfile::tempdir_in(&parent).expect("a directory to write in");
            print!("{name:18}");
            std::io::stdout().flush().expect("standard output");
            row(dir.path());
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A line with both sides' rates, for events of so many bytes, and one with the peaks of their resident memory.
fn print_rates(ours: &mut [f64], flume: &mut [f64], event_bytes: usize, resident_kib: [u64; 2]) {
    let mut ratios: Vec<f64> = ours.iter().zip(flume.iter()).map(|(ours, flume)| ours / flume).collect();
    let (own, theirs, ratio) = (median(ours), median(flume), median(&mut ratios));
    let [own_mb, their_mb] = [own, theirs].map(|rate| rate * event_bytes as f64 / 1e6);
    println!("{own:9.0} events/s {own_mb:7.1} MB/s | Flume {theirs:9.0} {their_mb:7.1} MB/s | ratio {ratio:.1}");
    print_resident(resident_kib);
}

fn print_resident([ours, flume]: [u64; 2]) {
    let [ours, flume] = [ours, flume].map(|kib| kib as f64 / 1024.0);
    println!("{:18}{ours:9.1} MiB      | Flume {flume:9.1} | ratio {:.3}, resident at most", "", ours / flume);
}
