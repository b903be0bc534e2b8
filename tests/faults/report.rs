//! What was run, what is running, and what was found, in groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use aqueduct::vfs::sim::OpRecord;

use crate::matrix::Case;
use crate::roles::kind_of_file;

/// How often to say what is running if nothing gets done.
const PATIENCE: Duration = Duration::from_secs(30);
/// Differences after which no more are looked for.
const DIFFERENCES_MAX: usize = 100;
/// Lines for each group of differences.
const LINES_MAX: usize = 6;

/// Collects what all threads find.
#[derive(Debug, Default)]
pub(crate) struct Report {
    cases: u64,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    running: BTreeSet<String>,
    done: u64,
    hits: u64,
    kinds: BTreeMap<String, u64>,
    over: bool,
    groups: BTreeMap<String, Vec<(String, String)>>,
}

impl Report {
    pub(crate) fn new(cases: u64) -> Self {
        Self { cases, ..Self::default() }
    }

    /// Runs `work`, and says what is running whenever nothing got done for long: a case that hangs has a name then.
    pub(crate) fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut inner = self.inner.lock().expect("no thread panics with it");
                while !inner.over {
                    let done = inner.done;
                    let waited = self.changed.wait_timeout(inner, PATIENCE);
                    let (next, timeout) = waited.expect("no thread panics with it");
                    inner = next;
                    if timeout.timed_out() && inner.done == done && !inner.over {
                        println!("nothing done for {PATIENCE:?}, running are {:?}", inner.running);
                    }
                }
            });
            let result = work();
            self.inner.lock().expect("no thread panics with it").over = true;
            self.changed.notify_all();
            result
        })
    }

    pub(crate) fn begins(&self, case: &Case) {
        self.inner.lock().expect("no thread panics with it").running.insert(case.to_string());
    }

    pub(crate) fn ends(&self, case: &Case, op: &OpRecord, result: Result<u64, String>) {
        let mut inner = self.inner.lock().expect("no thread panics with it");
        inner.running.remove(&case.to_string());
        inner.done += 1;
        let what = format!("{:?} of a {}", op.kind, kind_of_file(&op.path));
        *inner.kinds.entry(what.clone()).or_default() += 1;
        match result {
            Ok(hits) => inner.hits += hits,
            Err(error) => {
                let group = format!(
                    "{} | {what} fails with {} ({:?}) | {}",
                    case.workload,
                    case.failure,
                    case.span,
                    gist(&error)
                );
                inner.groups.entry(group).or_default().push((case.to_string(), error));
            }
        }
    }

    /// Whether so much is wrong that the rest can wait.
    pub(crate) fn is_enough(&self) -> bool {
        let inner = self.inner.lock().expect("no thread panics with it");
        inner.groups.values().map(Vec::len).sum::<usize>() >= DIFFERENCES_MAX
    }

    /// Prints everything; fails if there was a difference.
    pub(crate) fn finish(&self, all: usize) {
        let inner = self.inner.lock().expect("no thread panics with it");
        println!("{} of {all} cases run, {} operations failed in them: {:?}", inner.done, inner.hits, inner.kinds);
        let mut differences = 0;
        for (group, found) in &inner.groups {
            differences += found.len();
            println!("\n{} x {group}", found.len());
            for (line, error) in found.iter().take(LINES_MAX) {
                println!("    AQUEDUCT_FAULT_REPLAY='{line}' {error}");
            }
        }
        assert!(differences == 0, "{differences} cases differ, in {} groups", inner.groups.len());
        assert_eq!(inner.done, self.cases, "cases are missing");
    }
}

/// The words of an error without its numbers, as far as they tell what kind of error it is.
fn gist(error: &str) -> String {
    let words = error.split([' ', '\n']).filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.take(12).collect::<Vec<_>>().join(" ")
}
