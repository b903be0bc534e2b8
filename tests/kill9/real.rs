//! The example `collect`, as it is released, on the files of a directory that exists: killed at random moments, then left alone
//! until it is done. Its output must be the input, line for line, in order.
//!
//! Runs only if `AQUEDUCT_KILL_INPUT` names a directory, which is copied and not touched:
//!
//! ```text
//! cargo build --release --example collect
//! AQUEDUCT_KILL_INPUT=/usr/share AQUEDUCT_KILLS=20 cargo test --test kill9 real_text
//! ```

use std::fs::{self, File, FileTimes};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime};

use aqueduct::testing::Random;

use crate::{Life, PATIENCE};

pub(crate) const NAME: &str = "real_text";
/// Longest line that the example reads in one piece.
const LINE_BYTES_MAX: usize = 8 << 20;

/// The directory to collect, if one is given.
pub(crate) fn input() -> Option<PathBuf> {
    std::env::var_os("AQUEDUCT_KILL_INPUT").map(PathBuf::from)
}

pub(crate) fn suite(dir: &Path, kills: u64, random: &mut Random) -> Result<String, String> {
    let input = input().ok_or("AQUEDUCT_KILL_INPUT names no directory")?;
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("release").join("examples").join("collect");
    if !program.is_file() {
        return Err(format!("{} is missing: cargo build --release --example collect", program.display()));
    }
    let mut job = Job::prepare(&input, dir).map_err(|error| format!("{}: {error}", input.display()))?;
    let begun = Instant::now();
    let (mut in_starts, mut at_completions) = (0, 0);
    for kill in 0..kills {
        let moment = Moment::choose(kill, job.files / usize::try_from(kills.max(1)).unwrap_or(1), random);
        in_starts += u64::from(matches!(moment, Moment::Start(_)));
        at_completions += u64::from(matches!(moment, Moment::Completion(_)));
        if job.live(&program, moment).map_err(|problem| format!("life {kill}: {problem}"))? {
            return Err(format!("done after {kill} kills: give it more to collect"));
        }
    }
    if !job.live(&program, Moment::Never).map_err(|problem| format!("the last life: {problem}"))? {
        return Err("the last life was not done".to_owned());
    }
    let took = begun.elapsed().as_secs_f64();
    let lines = job.compare().map_err(|problem| format!("after {kills} kills: {problem}"))?;
    let (files, bytes, skipped) = (job.files, job.bytes, job.skipped);
    Ok(format!(
        "{kills} kills ({in_starts} in a start or recovery, {at_completions} at the completion of a file) in {took:.1} s; \
         {files} files, {bytes} bytes, {lines} lines, all once and in order ({skipped} files with longer lines left out)"
    ))
}

/// When a life ends.
#[derive(Clone, Copy)]
enum Moment {
    /// So long after the process was started: mostly before or within the open of the store.
    Start(Duration),
    /// Once so many more files were completed: as soon as the last of them has its new name.
    Completion(usize),
    /// The same, and then so long.
    Between(usize, Duration),
    Never,
}

impl Moment {
    /// Moments that use up six tenths of the files, so that enough are left for all kills.
    fn choose(kill: u64, share: usize, random: &mut Random) -> Self {
        let progress = 1 + random.index((share * 6 / 5).max(1));
        match random.below(10) {
            _ if kill == 0 => Self::Start(Duration::from_micros(random.below(20_000))),
            0..=2 => Self::Start(Duration::from_micros(random.below(60_000))),
            3..=5 => Self::Completion(progress),
            _ => Self::Between(progress, Duration::from_micros(random.below(50_000))),
        }
    }
}

struct Job {
    place: PathBuf,
    files: usize,
    bytes: u64,
    skipped: usize,
    // The first file that may not be completed yet.
    next: usize,
}

impl Job {
    /// Copies the files, and gives them times in order, so that they are read in order.
    fn prepare(input: &Path, dir: &Path) -> std::io::Result<Self> {
        let mut job = Self { place: dir.to_path_buf(), files: 0, bytes: 0, skipped: 0, next: 0 };
        fs::create_dir_all(job.place.join("in"))?;
        fs::create_dir_all(job.place.join("out"))?;
        let mut from = SystemTime::now() - Duration::from_secs(24 * 3600);
        let mut left = vec![input.to_path_buf()];
        while let Some(path) = left.pop() {
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                let mut inner: Vec<_> =
                    fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
                inner.sort();
                left.extend(inner.into_iter().rev());
            } else if kind.is_file() {
                let text = fs::read(&path)?;
                if text.split(|byte| *byte == b'\n').any(|line| line.len() >= LINE_BYTES_MAX) {
                    job.skipped += 1;
                    continue;
                }
                let copy = job.input(job.files);
                fs::write(&copy, &text)?;
                from += Duration::from_millis(1);
                File::options().write(true).open(&copy)?.set_times(FileTimes::new().set_modified(from))?;
                job.files += 1;
                job.bytes += text.len() as u64;
            }
        }
        Ok(job)
    }

    fn input(&self, number: usize) -> PathBuf {
        self.place.join("in").join(format!("{number:07}.text"))
    }

    /// One life; `true` if the job was done in it.
    fn live(&mut self, program: &Path, moment: Moment) -> Result<bool, String> {
        let (input, output) = (self.place.join("in"), self.place.join("out"));
        let mut life = Life::of(Command::new(program).arg(input).arg(output));
        let begun = Instant::now();
        let mut said = Vec::new();
        let mut last_progress = Instant::now();
        while self.next < self.files && !self.input(self.next).exists() {
            self.next += 1;
        }
        let from = self.next;
        loop {
            let step = if matches!(moment, Moment::Never) { 10_000 } else { 50 };
            match life.lines.recv_timeout(Duration::from_micros(step)) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = life.child.wait().map_err(|error| error.to_string())?;
                    return if status.success() { Ok(true) } else { Err(format!("{status} after {said:?}")) };
                }
            }
            while self.next < self.files && !self.input(self.next).exists() {
                self.next += 1;
                last_progress = Instant::now();
            }
            if last_progress.elapsed() > PATIENCE {
                return Err(format!("no progress after file {} of {}: {said:?}", self.next, self.files));
            }
            let now = match moment {
                Moment::Start(delay) => begun.elapsed() >= delay,
                Moment::Completion(more) => self.next >= from + more,
                Moment::Between(more, delay) => self.next >= from + more && last_progress.elapsed() >= delay,
                Moment::Never => false,
            };
            if now {
                life.kill();
                return Ok(false);
            }
        }
    }

    /// Compares the finished files of the output with the input, and returns the number of lines.
    fn compare(&self) -> Result<u64, String> {
        let names = |dir: &str| -> Result<Vec<PathBuf>, String> {
            let entries = fs::read_dir(self.place.join(dir)).map_err(|error| error.to_string())?;
            Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
        };
        let mut completed = names("in")?;
        completed.sort();
        if let Some(path) = completed.iter().find(|path| path.extension().is_none_or(|found| found != "COMPLETED")) {
            return Err(format!("{} is not marked as complete", path.display()));
        }
        let mut output = names("out")?;
        if let Some(path) = output.iter().find(|path| path.extension().is_none_or(|found| found != "txt")) {
            return Err(format!("{} is not finished", path.display()));
        }
        output.sort_by_key(|path| {
            path.file_stem().and_then(|name| name.to_str()?.rsplit('-').next()?.parse::<u64>().ok())
        });
        let (mut expected, mut found, mut lines) = (Lines::of(completed), Lines::of(output), 0);
        loop {
            match (expected.next()?, found.next()?) {
                (None, None) => return Ok(lines),
                (expected, found) if expected == found => lines += 1,
                (expected, found) => {
                    let show = |line: Option<Vec<u8>>| line.map(|line| line.escape_ascii().to_string());
                    return Err(format!("line {lines} is {:?} instead of {:?}", show(found), show(expected)));
                }
            }
        }
    }
}

/// The lines of several files, one file after the other; each file ends a line.
struct Lines {
    left: std::vec::IntoIter<PathBuf>,
    file: Option<BufReader<File>>,
}

impl Lines {
    fn of(paths: Vec<PathBuf>) -> Self {
        Self { left: paths.into_iter(), file: None }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            if let Some(file) = &mut self.file {
                let mut line = Vec::new();
                if file.read_until(b'\n', &mut line).map_err(|error| error.to_string())? > 0 {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    return Ok(Some(line));
                }
            }
            let Some(path) = self.left.next() else { return Ok(None) };
            self.file =
                Some(BufReader::new(File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?));
        }
    }
}
