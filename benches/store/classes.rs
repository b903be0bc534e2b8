//! Checks by system calls what each class of durability does: a process of its own puts and takes a little under strace, every
//! commit between two marks in the trace.
//!
//! * sync: within each commit its thread wrote something, and after that synced it, successfully;
//! * OS: within each commit its thread wrote something, and within few of them anything was synced.

use std::path::Path;

use aqueduct::{Channel, Durability, FileStore, Wait};
use rustix::fs::{Access, access};

use crate::alone;
use crate::measure::{open, put};
use crate::report::Report;

const CALLS: &str = "--trace=fsync,fdatasync,write,pwrite64,writev,pwritev,pwritev2,access,faccessat,faccessat2";
const BEGIN: &str = "/bench/begin";
const END: &str = "/bench/end";
/// Puts, and as many takes.
const COMMITS: usize = 50;

#[derive(Debug, Default)]
struct Counted {
    commits: usize,
    written: usize,
    synced: usize,
}

pub(crate) fn check(dir: &Path, report: &mut Report) {
    for (name, level) in [("sync", Durability::Sync), ("os", Durability::Os)] {
        let trace = dir.join(format!("{name}.trace"));
        let job = alone::Job::Commit { dir: dir.join(name), level: name };
        alone::run_traced(&job, CALLS, &trace);
        let counted = count(&std::fs::read_to_string(trace).expect("what strace wrote"));
        let Counted { commits, written, synced } = counted;
        let synced_as_told = if level == Durability::Sync { synced == commits } else { synced * 2 < commits };
        assert!(commits == COMMITS * 2 && written == commits && synced_as_told, "not of class {name}: {counted:?}");
        report.say(&format!(
            "{name}: of {commits} commits of puts and takes {written} wrote, {synced} synced what they wrote"
        ));
    }
}

/// The process under strace.
pub(crate) fn commit(dir: &Path, level: &str) {
    let level = if level == "os" { Durability::Os } else { Durability::Sync };
    let (store, channel) = open(FileStore::builder(dir).durability(level).take_durability(level));
    let marked = |commit: &mut dyn FnMut()| {
        mark(BEGIN);
        commit();
        mark(END);
    };
    (0..COMMITS).for_each(|_| marked(&mut || put(&channel, 100)));
    for _ in 0..COMMITS {
        let mut take = Some(channel.take(100, Wait::FOREVER).expect("take"));
        marked(&mut || take.take().expect("taken once").commit().expect("commit"));
    }
    store.close().expect("close");
}

fn mark(which: &str) {
    // That no such file is there is the answer; the call itself is what counts.
    let _ = access(which, Access::EXISTS);
}

/// What the thread of the marks did between them. The calls of one thread are in order, and a call that others come between is in
/// two lines, with what it gave in the second one.
fn count(trace: &str) -> Counted {
    let mut counted = Counted::default();
    let marking = trace.lines().find(|line| line.contains(BEGIN)).and_then(|line| line.split_once(' '));
    let (thread, _) = marking.expect("marks");
    let (mut written, mut synced) = (false, false);
    for (_, call) in trace.lines().filter_map(|line| line.split_once(' ')).filter(|(by, _)| *by == thread) {
        if call.contains(BEGIN) {
            (written, synced) = (false, false);
        } else if call.contains(END) {
            counted.commits += 1;
            counted.written += usize::from(written);
            counted.synced += usize::from(synced);
        } else if call.contains("<unfinished") || call.contains(" = -1 ") {
            // Said by the second line, or nothing that counts.
        } else if call.contains("sync") {
            synced |= written;
        } else if call.contains("write") {
            written = true;
        }
    }
    counted
}
