//! Real system calls fail, one at a time or from some time on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use aqueduct::testing::Random;
use aqueduct::{Channel, Wait};
use rustix::io::Errno;

use crate::oracle::Oracle;
use crate::plan::{self, Plan};
use crate::strace::{self, Call};
use crate::worker::PLAN;

/// How a call fails, and what may come of it.
struct Failure {
    /// Names of the call: which one is made depends on the libraries and the processor.
    names: &'static [&'static str],
    error: &'static str,
    number: Errno,
    sticky: bool,
    told: Told,
}

/// Whether the store tells its user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// In some runs at least: others fail in what the store's thread prepares, and that is tried again.
    Sometimes,
    /// Perhaps: the store can do without.
    Perhaps,
    /// Never: the call is made again.
    Never,
}

const fn once(names: &'static [&'static str], error: &'static str, number: Errno, told: Told) -> Failure {
    Failure { names, error, number, sticky: false, told }
}

const OPEN: &[&str] = &["open", "openat"];
const WRITE: &[&str] = &["pwritev", "pwrite64"];
const RENAME: &[&str] = &["rename", "renameat", "renameat2"];
const UNLINK: &[&str] = &["unlink", "unlinkat"];

const FAILURES: &[Failure] = &[
    once(&["fdatasync"], "EIO", Errno::IO, Told::Sometimes),
    once(&["fdatasync"], "ENOSPC", Errno::NOSPC, Told::Sometimes),
    once(&["fdatasync"], "EINTR", Errno::INTR, Told::Never),
    Failure { sticky: true, ..once(&["fdatasync"], "EIO", Errno::IO, Told::Sometimes) },
    once(&["fsync"], "EIO", Errno::IO, Told::Sometimes),
    once(OPEN, "EMFILE", Errno::MFILE, Told::Perhaps),
    Failure { sticky: true, ..once(OPEN, "EMFILE", Errno::MFILE, Told::Sometimes) },
    once(WRITE, "EIO", Errno::IO, Told::Sometimes),
    once(WRITE, "ENOSPC", Errno::NOSPC, Told::Perhaps),
    once(WRITE, "EINTR", Errno::INTR, Told::Never),
    once(&["pread64"], "EIO", Errno::IO, Told::Sometimes),
    once(&["pread64"], "EINTR", Errno::INTR, Told::Never),
    once(&["ftruncate"], "EIO", Errno::IO, Told::Perhaps),
    once(&["fallocate"], "EOPNOTSUPP", Errno::OPNOTSUPP, Told::Never),
    once(RENAME, "EIO", Errno::IO, Told::Perhaps),
    once(UNLINK, "EIO", Errno::IO, Told::Perhaps),
    once(&["mkdir", "mkdirat"], "ENOSPC", Errno::NOSPC, Told::Sometimes),
    once(&["flock"], "ENOLCK", Errno::NOLCK, Told::Sometimes),
    once(&["statfs"], "EIO", Errno::IO, Told::Perhaps),
];

pub(crate) fn suite(dir: &Path, seed: u64) -> Result<String, String> {
    let mut random = Random::new(seed);
    let places = count_calls(&dir.join("whole"), &mut random)?;
    let (mut runs, mut told_runs) = (0, 0);
    for (number, failure) in FAILURES.iter().enumerate() {
        let span = if failure.sticky { "from then on" } else { "once" };
        let title = format!("{} {} {span}", failure.names[0], failure.error);
        let (mut made, mut told) = (0, 0);
        for name in failure.names {
            let Some((first, last)) = places.get(*name) else { continue };
            let wanted = crate::setting("AQUEDUCT_ERROR_RUNS", 4).min(last - first + 1);
            for run in 0..wanted {
                // Spread over the whole of the child's life.
                let width = (last - first + 1) / wanted;
                let at = first + run * width + random.below(width);
                let place = dir.join(format!("{number}-{name}-{run}"));
                let result = hit(failure, name, at, *first, &place, &mut random);
                told += u64::from(result.map_err(|problem| format!("{title}, {name} number {at}: {problem}"))?);
                made += 1;
            }
        }
        if made == 0 {
            println!("errors: {title}: the store makes no such call");
            continue;
        }
        println!("errors: {title}: {made} runs, the store told of it in {told}");
        if failure.told == Told::Sometimes && told == 0 {
            return Err(format!("{title}: nobody was told in {made} runs"));
        }
        (runs, told_runs) = (runs + made, told_runs + told);
    }
    Ok(format!("{runs} runs with failing system calls, told of in {told_runs}; no failed sync was repeated"))
}

/// For each call that the store makes, between which numbers it can be hit. strace counts in each thread for itself, from
/// the start of the process.
fn count_calls(place: &Path, random: &mut Random) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let (_, calls) = run(place, None, random)?;
    let opening = calls.iter().position(|call| call.said().as_deref() == Some("opening")).ok_or("it never opened")?;
    let mut counts: BTreeMap<(String, u32), u64> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        let count = counts.entry((call.name.clone(), call.thread)).or_default();
        *count += 1;
        if at > opening && call.name != "write" {
            let (_, last) = places.entry(call.name.clone()).or_insert((*count, 0));
            *last = (*last).max(*count);
        }
    }
    // What the process does before it opens the store (libraries) is left alone.
    for (name, (first, last)) in &mut places {
        let before = calls[..opening].iter().filter(|call| call.name == *name).count() as u64;
        *first = before + 1;
        *last = (*last).max(*first);
    }
    Ok(places)
}

/// One run in which the call number `at` fails; whether the child was told of it.
fn hit(
    failure: &Failure,
    name: &str,
    mut at: u64,
    first: u64,
    place: &Path,
    random: &mut Random,
) -> Result<bool, String> {
    // The threads take turns as they like, so a run may not get that far.
    for attempt in 0..4 {
        let place = place.join(attempt.to_string());
        let plus = if failure.sticky { "+" } else { "" };
        let inject = format!("inject={name}:error={}:when={at}{plus}", failure.error);
        let (lines, calls) = run(&place, Some(&inject), random)?;
        if calls.iter().any(|call| call.injected) {
            judge(failure, &lines, &calls)?;
            std::fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
            return Ok(lines.iter().any(|line| line.starts_with("failed")));
        }
        at = first + (at - first) / 2;
    }
    Err("the call was never made".to_owned())
}

/// A child's whole life, and a look at what it left. Returns what it said, and its calls.
fn run(place: &Path, inject: Option<&str>, random: &mut Random) -> Result<(Vec<String>, Vec<Call>), String> {
    std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
    let (log, store) = (place.join("calls"), place.join("disk"));
    std::fs::create_dir(&store).map_err(|error| error.to_string())?;
    let seed = random.next_u64().to_string();
    let command = strace::command(&log, inject, &["worker", store.to_str().ok_or("a path that is not UTF-8")?, &seed]);
    let mut patient = Command::new("timeout");
    patient.args(["--signal=KILL", "120"]).arg(command.get_program()).args(command.get_args());
    let output = patient.stdin(std::process::Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.last().map_or("", String::as_str);
    if !output.status.success() || !(last == "closed" || last == "gave up" || last.starts_with("failed close")) {
        return Err(format!(
            "it ended with {} after {last:?}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let mut oracle = Oracle::new(&PLAN);
    lines.iter().try_for_each(|line| oracle.hear(line))?;
    let looked = look(&store, &mut oracle, random);
    looked.map_err(|problem| {
        format!("{problem}\nit was told: {:?}\nuntil then {}", failures(&lines), oracle.summary())
    })?;
    let log = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let calls = strace::read(&log)?;
    Ok((lines, calls))
}

/// Without faults everything is as it must be, and the store works.
fn look(dir: &Path, oracle: &mut Oracle, random: &mut Random) -> Result<(), String> {
    let store = PLAN.open(dir).map_err(|error| format!("the open after it: {error}"))?;
    oracle.check(&store, random)?;
    let channel = store.channel(&Plan::channel(0)).map_err(|error| error.to_string())?;
    channel.put(plan::event(u64::from(u32::MAX))).map_err(|error| format!("a put after it: {error}"))?;
    loop {
        let take = channel.take(1000, Wait::NONE).map_err(|error| format!("a take after it: {error}"))?;
        if take.is_empty() {
            break;
        }
        take.commit().map_err(|error| format!("a take after it: {error}"))?;
    }
    store.close().map_err(|error| format!("the close after it: {error}"))
}

fn failures(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.starts_with("failed")).collect()
}

/// What the child was told, and what the calls show.
fn judge(failure: &Failure, lines: &[String], calls: &[Call]) -> Result<(), String> {
    let number = failure.number.raw_os_error();
    for line in failures(lines) {
        let told = line.split(' ').nth(2).unwrap_or_default();
        let full = told == "full" && failure.number == Errno::NOSPC;
        // A lane that takes no more writes names the first failure.
        let cause = line.contains(&format!("(os error {number})"));
        if failure.told == Told::Never || !(told == number.to_string() || full || cause) {
            return Err(format!("the error was {}, and the child was told: {line}", failure.error));
        }
    }
    if failure.number == Errno::INTR {
        interrupted_calls_are_made_again(calls)?;
    }
    no_failed_sync_is_repeated(calls)
}

fn interrupted_calls_are_made_again(calls: &[Call]) -> Result<(), String> {
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.injected) {
        let next = calls[at + 1..].iter().find(|next| next.thread == call.thread);
        // What is read shows only in a call that succeeds; where it is read from is the last argument.
        let what = |call: &Call| (call.name.clone(), call.descriptor(), call.last_number());
        if !next.is_some_and(|next| what(next) == what(call)) {
            return Err(format!("{} was interrupted, and then came {:?}", call.name, next.map(|next| &next.name)));
        }
    }
    Ok(())
}

/// Whatever failed to be synced is neither synced again nor written to in the same life of the store: the pages may count as
/// clean by then, and the second sync would report a success that is none. A checkpoint is written anew, as a whole.
fn no_failed_sync_is_repeated(calls: &[Call]) -> Result<(), String> {
    let mut names: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut open: BTreeMap<i64, usize> = BTreeMap::new();
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    for (at, call) in calls.iter().enumerate() {
        if call.said().as_deref() == Some("opening") {
            failed.clear();
        }
        let strings = call.strings();
        match (call.name.as_str(), strings.as_slice()) {
            ("open" | "openat", [path]) if call.result >= 0 => {
                let file = *names.entry(path.clone()).or_insert(at);
                open.insert(call.result, file);
            }
            ("rename" | "renameat" | "renameat2", [from, to]) if call.result == 0 => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            ("unlink" | "unlinkat", [path]) if call.result == 0 => drop(names.remove(path)),
            ("fdatasync" | "fsync" | "pwritev" | "pwrite64", _) => {
                let file = call.descriptor().and_then(|fd| open.get(&fd)).ok_or("a call on an unknown descriptor")?;
                let name =
                    names.iter().find(|(_, known)| *known == file).map(|(name, _)| String::from_utf8_lossy(name));
                let name = name.unwrap_or_default();
                if name.contains("/checkpoint-") && call.last_number() == Some(0) {
                    failed.remove(file);
                }
                if failed.contains(file) {
                    return Err(format!(
                        "{} on {name}, whose sync had failed; line {} of the log",
                        call.name, call.made
                    ));
                }
                let sync = call.name.ends_with("sync");
                if sync && call.error.as_deref().is_some_and(|error| error != "EINTR") {
                    failed.insert(*file);
                }
            }
            _ => {}
        }
    }
    Ok(())
}
