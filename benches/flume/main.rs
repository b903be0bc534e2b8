//! How fast this crate is beside Apache Flume 1.11.0, in the same configuration and durability.
//!
//!     benches/flume/run [ROW...]
//!
//! installs Flume, builds everything and runs this. Both sides are processes of their own that do the same commands
//! (`side.rs`), so that the peak of resident memory is each side's own. Every row is measured in rounds, both sides in turn,
//! after rounds that warm up the Java machine, and shows the medians, latencies over all rounds, and what the disk wrote
//! meanwhile, for whomever, with what was left in the page cache. Syncs are counted under strace, in a run of their own; the
//! row `syncs` ends in an error if a commit of a file channel is without one, so that both are known to promise the same.
//! `AQUEDUCT_BENCH_DIR` names the directory to write in (default: the system's for temporary files).

#![allow(clippy::print_stdout, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // numbers for people
#![allow(clippy::panic)] // an error ends the run

mod agents;
#[path = "../store/disk.rs"]
mod disk;
mod ours;
mod report;
mod rows;
mod side;

use std::io::Write;
use std::path::Path;

type Row = fn(&Path);

fn main() {
    if std::env::var_os(side::CHILD).is_some() {
        return ours::obey();
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name == filter);
    let parent = disk::parent();
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
