//! Logs that are written to and rotated all the time, followed into a file channel and rolled files by a process that is
//! killed again and again.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aqueduct::TailDir;
use aqueduct::source::tail_dir::FileGroup;
use aqueduct::testing::Random;

use crate::collect::sorted_output;
use crate::{Life, PATIENCE, job};

pub(crate) const NAME: &str = "tail";
const LOGS: usize = 3;

/// Follows for ever, or to the end of what is there.
pub(crate) fn child(dir: &Path, to_the_end: bool) -> ExitCode {
    let group = FileGroup::new(dir.join("in"), r"\w+\.log(\.\d+)?");
    let source = TailDir::new([group]).poll_interval(Duration::from_millis(5)).open_files(2);
    job::child(NAME, dir, if to_the_end { source.until_end() } else { source })
}

pub(crate) fn suite(dir: &Path, kills: u64, random: &mut Random) -> Result<String, String> {
    let say = |error: std::io::Error| error.to_string();
    fs::create_dir_all(dir.join("in")).map_err(say)?;
    fs::create_dir_all(dir.join("out")).map_err(say)?;
    let mut writer = Writer { dir, written: Vec::new(), half: vec![false; LOGS], rotations: 0 };
    for life in 0..kills {
        let for_micros = if life == 0 || random.one_in(5) { 10_000 } else { 60_000 };
        one_life(&mut writer, Duration::from_micros(random.below(for_micros)), random)
            .map_err(|problem| format!("life {life}: {problem}"))?;
    }
    for log in 0..LOGS {
        writer.complete(log).map_err(say)?;
    }
    let mut life = Life::start(&["tail-child", dir.to_str().ok_or("a path that is not UTF-8")?, "end"]);
    let patience = Instant::now() + PATIENCE;
    loop {
        match life.next(patience)?.as_deref() {
            Some("begun" | "open") => {}
            Some("done") => break,
            Some(line) => return Err(line.to_owned()),
            None => return Err("the last life hangs".to_owned()),
        }
    }
    let status = life.child.wait().map_err(say)?;
    if !status.success() {
        return Err(format!("the last life ended with {status}"));
    }
    let found = sorted_output(dir)?;
    writer.written.sort();
    if found != writer.written {
        let differs = writer.written.iter().zip(&found).find(|(a, b)| a != b);
        let (expected, found) = (writer.written.len(), found.len());
        return Err(format!("{found} lines instead of {expected}; the first that differ: {differs:?}"));
    }
    Ok(format!("{kills} kills, {} rotations, {} lines", writer.rotations, found.len()))
}

/// A life that ends so long after the store was opened, while logs are written.
fn one_life(writer: &mut Writer<'_>, lasting: Duration, random: &mut Random) -> Result<(), String> {
    let mut life = Life::start(&["tail-child", writer.dir.to_str().ok_or("a path that is not UTF-8")?, "follow"]);
    let patience = Instant::now() + PATIENCE;
    let mut until = None;
    loop {
        match life.next(Instant::now() + Duration::from_micros(300))?.as_deref() {
            Some("open") => until = Some(Instant::now() + lasting),
            Some("begun") | None => {}
            Some(line) => return Err(line.to_owned()),
        }
        writer.write(random).map_err(|error| error.to_string())?;
        if until.is_some_and(|until| Instant::now() >= until) {
            let rest = life.kill();
            return rest.iter().find(|line| line.starts_with("bad")).map_or(Ok(()), |bad| Err(bad.clone()));
        }
        if Instant::now() >= patience {
            return Err("it hangs".to_owned());
        }
    }
}

struct Writer<'a> {
    dir: &'a Path,
    written: Vec<String>,
    /// Logs whose last line has no line feed yet.
    half: Vec<bool>,
    rotations: u64,
}

impl Writer<'_> {
    fn append(&self, log: usize, text: &str) -> std::io::Result<()> {
        let path = self.dir.join("in").join(format!("app{log}.log"));
        fs::File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
    }

    /// A line or two, perhaps with the end still missing, and a rotation now and then.
    fn write(&mut self, random: &mut Random) -> std::io::Result<()> {
        let log = random.index(LOGS);
        self.complete(log)?;
        for _ in 0..=random.below(2) {
            let line = format!("log {log} line {} {}", self.written.len(), "x".repeat(random.index(60)));
            self.append(log, &line)?;
            self.written.push(line);
            self.half[log] = true;
            if random.one_in(3) {
                break;
            }
            self.complete(log)?;
        }
        if random.one_in(60) && !self.half[log] {
            self.rotate(log)?;
        }
        Ok(())
    }

    fn complete(&mut self, log: usize) -> std::io::Result<()> {
        if std::mem::take(&mut self.half[log]) { self.append(log, "\n") } else { Ok(()) }
    }

    /// Every older file gets the next number; none is removed, for it may not be read yet.
    fn rotate(&mut self, log: usize) -> std::io::Result<()> {
        let path = |number: u64| {
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            self.dir.join("in").join(format!("app{log}.log{suffix}"))
        };
        let last = (0..100_000).find(|number| !path(*number).exists()).unwrap_or_default();
        for number in (0..last).rev() {
            fs::rename(path(number), path(number + 1))?;
        }
        self.rotations += 1;
        Ok(())
    }
}
