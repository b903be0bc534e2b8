//! Checks by system calls what each store promises: a process of its own puts and takes a little under strace, every call
//! framed by marks in the trace.
//!
//! * synced: within each call, from its begin to its return, some file was written, and after that synced, successfully.
//! * OS: within each call something was written to a file of the store, and most calls synced nothing.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Access, access};

use crate::stores::{Class, Error, Result, SYSTEMS, System};
use crate::workload::{self, Observer, Plain, WORKLOADS, Workload};

const SYSCALLS: &str = "fsync,fdatasync,msync,sync_file_range,sync,syncfs,open,openat,access,faccessat,faccessat2,\
                        write,pwrite64,writev,pwritev,pwritev2";
const SYNCS: &[&str] = &["fsync", "fdatasync", "msync"];
const WRITES: &[&str] = &["write", "pwrite64", "writev", "pwritev", "pwritev2"];
const BEGIN: &str = "/compare/begin/";
const END: &str = "/compare/end/";
/// Of each producer, under strace.
const COMMITS: usize = 20;

/// What the trace of one system showed.
#[derive(Debug, Default)]
pub struct Counted {
    pub calls: usize,
    /// Calls within which a file was written.
    pub written: usize,
    /// Calls within which a file was written and then synced.
    pub synced: usize,
    pub sync_calls: usize,
    /// Files of the store that were opened with `O_SYNC` or `O_DSYNC`.
    pub sync_opens: usize,
}

impl Counted {
    pub fn holds(&self, class: Class) -> bool {
        match class {
            Class::Synced => self.calls > 0 && self.synced == self.calls,
            Class::Os => self.written == self.calls && self.sync_opens == 0 && self.calls > self.synced * 2,
        }
    }

    pub fn syncs_per_call(&self) -> f64 {
        self.sync_calls as f64 / self.calls.max(1) as f64
    }

    pub fn syncs_per_event(&self, workload: &Workload) -> f64 {
        let probed = Workload { commits: COMMITS, ..*workload };
        self.sync_calls as f64 / probed.events_total() as f64
    }
}

/// Runs a system under strace.
pub fn check(system: &System, workload: &Workload, parent: &Path) -> Result<Counted> {
    let dir = tempfile::tempdir_in(parent)?;
    let trace = dir.path().join("trace");
    let store = dir.path().join("store");
    let output = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", &format!("trace={SYSCALLS}"), "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe()?)
        .args(["probe", system.name, workload.name])
        .arg(&store)
        .output()
        .map_err(|error| format!("strace cannot be started, and the classes cannot be checked: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    count(&std::fs::read_to_string(trace)?, &store.to_string_lossy())
}

/// The process under strace: opens, warms up, and runs a little with marks.
pub fn probe(system: &str, workload: &str, dir: &Path) -> Result {
    let unknown = || Error::from("probe SYSTEM WORKLOAD DIRECTORY");
    let system = SYSTEMS.iter().find(|known| known.name == system).ok_or_else(unknown)?;
    let workload = WORKLOADS.iter().find(|known| known.name == workload).ok_or_else(unknown)?;
    let workload = Workload { commits: COMMITS, ..*workload };
    let store = (system.open)(dir, workload.class)?;
    let bodies = workload::bodies();
    workload::run(&*store, &workload, &bodies, &Plain)?;
    workload::run(&*store, &workload, &bodies, &Marks)?;
    Ok(())
}

struct Marks;

impl Observer for Marks {
    fn around(&self, thread: usize, call: usize, step: &mut dyn FnMut() -> Result) -> Result {
        mark(BEGIN, thread, call);
        step()?;
        mark(END, thread, call);
        Ok(())
    }
}

fn mark(which: &str, thread: usize, call: usize) {
    // That no such file is there is the answer; the call itself is what counts.
    let _ = access(format!("{which}{thread}/{call}"), Access::EXISTS);
}

/// A system call that has ended well, by the numbers of the lines on which it began and ended.
struct Call {
    begun: usize,
    ended: usize,
    path: String,
}

fn count(trace: &str, store: &str) -> Result<Counted> {
    let mut counted = Counted::default();
    let (mut writes, mut syncs) = (Vec::new(), Vec::new());
    let mut open: HashMap<String, usize> = HashMap::new();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, begun, text) in calls(trace) {
        let Some((name, rest)) = text.split_once('(') else { continue };
        if let Some(mark) = quoted(rest, BEGIN) {
            open.insert(mark.to_owned(), at);
        } else if let Some(mark) = quoted(rest, END) {
            spans.push((open.remove(mark).ok_or("a call ended that had not begun")?, at));
        } else if name.starts_with("open") {
            let synced = rest.contains("O_SYNC") || rest.contains("O_DSYNC");
            counted.sync_opens += usize::from(synced && rest.contains(store));
        } else if let Some(path) = file(rest).filter(|path| path.starts_with(store)) {
            let call = Call { begun, ended: at, path: path.to_owned() };
            let failed = text.contains(" = -1 ");
            match () {
                () if failed => {}
                () if SYNCS.contains(&name) && !rest.contains("MS_ASYNC") => syncs.push(call),
                () if WRITES.contains(&name) => writes.push(call),
                () => {}
            }
        }
    }
    let first = spans.iter().map(|span| span.0).min().ok_or("nothing was marked")?;
    let last = spans.iter().map(|span| span.1).max().unwrap_or(first);
    counted.sync_calls = syncs.iter().filter(|sync| sync.begun > first && sync.ended < last).count();
    for (begin, end) in spans {
        let within = |call: &&Call| call.begun > begin && call.ended < end;
        let written: Vec<&Call> = writes.iter().filter(within).collect();
        let covers = |sync: &Call| written.iter().any(|write| write.path == sync.path && write.ended < sync.begun);
        counted.calls += 1;
        counted.written += usize::from(!written.is_empty());
        counted.synced += usize::from(syncs.iter().filter(within).any(covers));
    }
    Ok(counted)
}

/// The system calls of a trace in the order in which they ended: line of the end, line of the begin, text in one piece.
fn calls(trace: &str) -> impl Iterator<Item = (usize, usize, String)> {
    const UNFINISHED: &str = "<unfinished ...>";
    const RESUMED: &str = " resumed>";
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    trace.lines().enumerate().filter_map(move |(at, line)| {
        let (thread, text) = line.split_once(' ')?;
        let text = text.trim_start();
        if let Some(begin) = text.strip_suffix(UNFINISHED) {
            unfinished.insert(thread, (at, begin));
            return None;
        }
        match text.split_once(RESUMED) {
            Some((_, end)) => {
                let (begun, begin) = unfinished.remove(thread)?;
                Some((at, begun, format!("{begin}{end}")))
            }
            None => Some((at, at, text.to_owned())),
        }
    })
}

fn quoted<'a>(arguments: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, rest) = arguments.split_once(prefix)?;
    rest.split_once('"').map(|(mark, _)| mark)
}

/// The path that strace prints behind the first argument, a descriptor.
fn file(arguments: &str) -> Option<&str> {
    let (descriptor, rest) = arguments.split_once('<')?;
    descriptor.parse::<u32>().ok()?;
    rest.split_once('>').map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: &str = "7  pwrite64(3</d/store/log>, \"\"..., 500, 0) = 500\n";
    const SYNC: &str = "7  fdatasync(3</d/store/log>) = 0\n";

    /// One call of a store with `lines` in it, counted.
    fn one_call(lines: &[&str]) -> Counted {
        let begin = "7  access(\"/compare/begin/0/0\", F_OK) = -1 ENOENT (No such file or directory)\n";
        let end = "7  access(\"/compare/end/0/0\", F_OK) = -1 ENOENT (No such file or directory)\n";
        count(&[begin, &lines.concat(), end].concat(), "/d/store").expect("a trace")
    }

    #[test]
    fn a_write_and_then_a_sync_is_synced() {
        let counted = one_call(&[WRITE, SYNC]);
        assert!(counted.holds(Class::Synced) && !counted.holds(Class::Os), "{counted:?}");
    }

    #[test]
    fn a_write_alone_is_with_the_operating_system() {
        let counted = one_call(&[WRITE]);
        assert!(counted.holds(Class::Os) && !counted.holds(Class::Synced), "{counted:?}");
    }

    #[test]
    fn a_sync_that_comes_first_fails_or_is_of_another_file_does_not_count() {
        let failed = "7  fdatasync(3</d/store/log>) = -1 EIO (Input/output error)\n";
        let other = "7  fdatasync(4</d/store/other>) = 0\n";
        let lazy = "7  msync(3</d/store/log>, 4096, MS_ASYNC) = 0\n";
        for lines in [[SYNC, WRITE], [WRITE, failed], [WRITE, other], [WRITE, lazy]] {
            let counted = one_call(&lines);
            assert_eq!(counted.synced, 0, "{lines:?}");
            assert!(!counted.holds(Class::Synced), "{lines:?}");
        }
    }

    #[test]
    fn a_sync_of_another_thread_counts_when_it_began_after_the_write_and_ended_before_the_return() {
        let begun = "8  fdatasync(3</d/store/log> <unfinished ...>\n";
        let ended = "8  <... fdatasync resumed>) = 0\n";
        assert!(one_call(&[WRITE, begun, ended]).holds(Class::Synced));
        assert!(!one_call(&[begun, WRITE, ended]).holds(Class::Synced));
        assert!(!one_call(&[WRITE, begun]).holds(Class::Synced));
    }

    #[test]
    fn nothing_written_is_no_class_at_all() {
        let counted = one_call(&["7  pwrite64(3</d/elsewhere>, \"\"..., 500, 0) = 500\n"]);
        assert!(!counted.holds(Class::Os) && !counted.holds(Class::Synced), "{counted:?}");
    }
}
