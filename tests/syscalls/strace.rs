//! Runs this program under strace, and reads what strace wrote.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The calls that change files or tell of them. What is not known to a machine's kernel is passed over.
const TRACED: &str = "?open,?openat,?close,?write,?pwritev,?pwrite64,?pread64,?ftruncate,?fallocate,?fdatasync,?fsync,\
                      ?sync_file_range,?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir,?mkdirat,?flock,?statfs,?msync";

/// A system call that returned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// As strace prints them.
    pub(crate) args: String,
    pub(crate) result: i64,
    /// The name of the error, if it failed.
    pub(crate) error: Option<String>,
    /// strace made it fail.
    pub(crate) injected: bool,
    /// When it was made and when it returned, in lines of the log.
    pub(crate) made: usize,
    pub(crate) returned: usize,
    pub(crate) thread: u32,
}

pub(crate) fn is_here() -> Result<(), String> {
    match Command::new("strace").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("strace is missing: install it, or start this with tests/syscalls/run, which does".to_owned()),
    }
}

/// This program with arguments, under strace, which writes to `log`. `inject` are options such as
/// `inject=fdatasync:error=EIO:when=3`.
pub(crate) fn command(log: &Path, inject: Option<&str>, args: &[&str]) -> Command {
    let mut command = Command::new("strace");
    // All of each string, every byte in hexadecimal.
    command.args(["-f", "-qq", "-v", "-xx", "-s", "4194304", "--seccomp-bpf"]);
    command.arg("-o").arg(log).arg("-e").arg(format!("trace={TRACED}"));
    if let Some(inject) = inject {
        command.arg("-e").arg(inject);
    }
    command.arg(std::env::current_exe().expect("the path of this program")).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The calls of a log, in the order in which they took effect: a sync covers what had been written when it was made, a
/// descriptor that is closed is free at once, and everything else has happened by the time it returns. What had not
/// returned when the process was killed is left out.
pub(crate) fn read(log: &str) -> Result<Vec<Call>, String> {
    let mut calls = Vec::new();
    let mut waiting: BTreeMap<u32, (usize, String)> = BTreeMap::new();
    for (at, line) in log.lines().enumerate() {
        let (thread, rest) = line.split_once(' ').ok_or_else(|| format!("line {at}: {line:.80}"))?;
        let thread: u32 = thread.parse().map_err(|_| format!("line {at} has no thread: {line:.80}"))?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(begin) = rest.strip_suffix("<unfinished ...>") {
            waiting.insert(thread, (at, begin.trim_end().to_owned()));
            continue;
        }
        let (made, text) = match rest.strip_prefix("<... ") {
            None => (at, rest.to_owned()),
            Some(resumed) => {
                let (_, end) = resumed.split_once(" resumed>").ok_or_else(|| format!("line {at}: {line:.80}"))?;
                let (made, begin) = waiting.remove(&thread).ok_or_else(|| format!("line {at} resumes nothing"))?;
                (made, begin + end)
            }
        };
        let call = parse(&text).ok_or_else(|| format!("line {at}: {text:.200}"))?;
        calls.extend(call.map(|call| Call { made, returned: at, thread, ..call }));
    }
    calls.sort_by_key(|call| {
        let at_once = call.name.ends_with("sync") || call.name == "close";
        if at_once { call.made } else { call.returned }
    });
    Ok(calls)
}

/// `Some(None)`: a call that the process did not live to see return.
fn parse(text: &str) -> Option<Option<Call>> {
    // Strings are in hexadecimal, so nothing in the arguments looks like this.
    let (call, result) = text.rsplit_once(" = ")?;
    let (name, args) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    let mut words = result.split_whitespace();
    let number = words.next()?;
    if number == "?" {
        return Some(None);
    }
    let injected = result.contains("INJECTED");
    let result = number.parse().ok()?;
    let error = if result == -1 { words.next().map(str::to_owned) } else { None };
    Some(Some(Call { name: name.to_owned(), args: args.to_owned(), result, error, injected, ..Call::default() }))
}

impl Call {
    /// The strings among the arguments, as bytes.
    pub(crate) fn strings(&self) -> Vec<Vec<u8>> {
        self.args.split('"').skip(1).step_by(2).map(unescape).collect()
    }

    /// The first argument, of calls in which that is a descriptor.
    pub(crate) fn descriptor(&self) -> Option<i64> {
        self.args.split(',').next()?.trim().parse().ok()
    }

    /// The last argument, as a number.
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.args.rsplit(',').next()?.trim().parse().ok()
    }

    /// What was said to the parent, if the call did that.
    pub(crate) fn said(&self) -> Option<String> {
        let told = self.name == "write" && self.descriptor() == Some(1) && self.result > 0;
        told.then(|| String::from_utf8_lossy(&self.strings().concat()).trim_end().to_owned())
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let digits: Vec<&str> = text.split("\\x").skip(1).collect();
    digits.iter().map(|digits| u8::from_str_radix(digits, 16).expect("two digits")).collect()
}
