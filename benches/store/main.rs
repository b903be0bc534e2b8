//! How fast the store is, against a plain loop of `pwrite` and `fdatasync` in the same run, and how its costs grow.
//!
//!     cargo bench --bench store [-- [--csv FILE] [--rounds N] FILTER...]
//!
//! Every row with a reference is measured in rounds, our side and its reference in turn, and shows the medians: a machine
//! that gets slower in between slows down both. The raw loop writes to a file that was filled with zeros before, as the
//! store does. Rows without a reference show the medians of as many rounds. Without a filter all rows run but those of
//! `growth`; `growth` runs those, a name one of them.
//!
//! `AQUEDUCT_BENCH_DIR` names the directory to write in (default: the system's for temporary files); where its file
//! system makes `fdatasync` free, durable numbers mean nothing, and the first line says so. `AQUEDUCT_BENCH_BACKLOG` is the
//! largest number of events of the backlog rows (default 10,000,000, which takes 6 GB of disk in each round).
//!
//! Each row says its class of durability; the row `classes` checks under strace, which has to be there, that a commit of each
//! class does what the class says.
//!
//! `--csv` appends lines `row,series,x,y,unit` to a file, from which charts are made.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // numbers for people

mod alone;
mod backlog;
mod classes;
mod disk;
mod growth;
mod measure;
mod raw;
mod report;
mod targets;

use std::path::{Path, PathBuf};

use aqueduct::Durability;

use raw::Raw;
use report::Report;

/// Bytes of a body, where a row does not say something else.
const BODY: usize = 500;

type Row = fn(&Path, &mut Report);

// What a row says of its durability. `classes` checks by system calls that it is so.
const SYNC: &str = "sync";
const OS: &str = "os";
const MEMORY: &str = "memory";

/// The rows that have something to reach.
const TARGETS: [(&str, &str, Row); 14] = [
    ("classes", "checked", classes::check),
    ("put-1x100", SYNC, |dir, report| targets::put_blocking(dir, report, 1, 100, 300, Durability::Sync)),
    ("put-1x1", SYNC, |dir, report| targets::put_blocking(dir, report, 1, 1, 1000, Durability::Sync)),
    ("put-8x10", SYNC, |dir, report| targets::put_blocking(dir, report, 8, 10, 300, Durability::Sync)),
    ("put-os-1x100", OS, |dir, report| targets::put_blocking(dir, report, 1, 100, 3000, Durability::Os)),
    ("tickets-64", SYNC, targets::tickets),
    ("put-take-ack-1x100", SYNC, targets::put_take),
    ("fan-out-4", SYNC, targets::fan_out),
    ("memory-1x100", MEMORY, targets::memory_of_buffers),
    ("memory-fixed-1x100", MEMORY, targets::memory_of_fixed),
    ("memory-copied-1x100", MEMORY, targets::memory_of_copies),
    ("disk-bytes", OS, targets::disk_bytes),
    ("reopen", SYNC, backlog::reopen),
    ("collect", SYNC, alone::collect),
];

/// The rows that show how costs grow.
const GROWTH: [(&str, &str, Row); 7] = [
    ("producers", SYNC, growth::producers),
    ("bodies", SYNC, growth::bodies),
    ("channels", SYNC, growth::channels),
    ("lanes", SYNC, growth::lanes),
    ("consumer", SYNC, growth::consumer),
    ("maintenance", SYNC, growth::maintenance),
    ("backlog", SYNC, backlog::growth),
];

fn main() {
    if alone::is_child() {
        return alone::run_child();
    }
    let mut args = std::env::args().skip(1);
    let (mut filters, mut csv, mut rounds) = (Vec::new(), None, 5);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--csv" => csv = Some(PathBuf::from(args.next().expect("--csv needs the name of a file"))),
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).expect("--rounds needs a number"),
            // What cargo adds.
            "--bench" => {}
            filter => filters.push(filter.to_owned()),
        }
    }
    let dir = tempfile::tempdir_in(disk::parent()).expect("a directory to write in");
    let sync = Raw::new(dir.path(), 1 << 20).run(4096, 200, true).rate;
    println!("{BODY} bytes a body, {rounds} rounds; one fdatasync of 4 KiB takes {:.0} us here", 1e6 / sync);
    if sync > 50_000.0 {
        println!("fdatasync is free on this file system: the durable numbers below say nothing");
    }
    let mut report = Report::new(csv, rounds);
    let named = |name: &str| filters.iter().any(|filter| name.contains(filter.as_str()));
    let targets = TARGETS.iter().filter(|(name, ..)| filters.is_empty() || named(name));
    let all_growth = filters.iter().any(|filter| filter == "growth");
    let growth = GROWTH.iter().filter(|(name, ..)| all_growth || named(name));
    for (name, class, row) in targets.chain(growth) {
        let dir = tempfile::tempdir_in(dir.path()).expect("a directory");
        report.begin(name, class);
        row(dir.path(), &mut report);
    }
}
