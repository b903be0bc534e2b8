//! The main job under fire: files of a directory through a file channel into rolled files, killed until it has completed.

use std::fs::{self, FileTimes};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use aqueduct::SpoolDir;
use aqueduct::testing::Random;

use crate::{Life, PATIENCE, job};

pub(crate) const NAME: &str = "collect";
const FILES: u64 = 20;

/// The job, as in the example of the same name.
pub(crate) fn child(dir: &Path) -> ExitCode {
    job::child(NAME, dir, SpoolDir::new(dir.join("in")).until_empty())
}

pub(crate) fn suite(dir: &Path, kills: u64, random: &mut Random) -> Result<String, String> {
    let (mut killed, mut jobs, mut lines, mut at_changes) = (0, 0, 0, 0_u64);
    while killed < kills {
        let place = dir.join(jobs.to_string());
        let expected = prepare(&place, random).map_err(|error| format!("prepare: {error}"))?;
        let mut lives = 0;
        loop {
            // Early in the very first start, early in a recovery, while files come and go, or anywhere; then one that may
            // complete.
            let moment = if killed >= kills { Moment::Never } else { Moment::choose(lives, random) };
            at_changes += u64::from(matches!(moment, Moment::Change(_)));
            lives += 1;
            if live(&place, moment).map_err(|problem| format!("job {jobs}, life {lives}: {problem}"))? {
                break;
            }
            killed += 1;
        }
        compare(&place, &expected).map_err(|problem| format!("job {jobs} after {lives} lives: {problem}"))?;
        lines += expected.len();
        jobs += 1;
    }
    Ok(format!(
        "{killed} kills, {at_changes} planned for the completion of a file; {jobs} jobs of {FILES} files, {lines} lines in all"
    ))
}

/// When a life ends.
#[derive(Clone, Copy)]
enum Moment {
    /// So long after the start.
    Early(Duration),
    /// So long after the store was opened.
    Later(Duration),
    /// As soon as so many files were renamed, or have come, since the start.
    Change(usize),
    Never,
}

impl Moment {
    fn choose(lives: u64, random: &mut Random) -> Self {
        match random.below(10) {
            _ if lives == 0 => Self::Early(Duration::from_micros(random.below(20_000))),
            0 | 1 => Self::Early(Duration::from_micros(random.below(10_000))),
            2..=5 => Self::Change(1 + random.index(4)),
            _ => Self::Later(Duration::from_micros(random.below(60_000))),
        }
    }
}

/// One life; `true` if the job has completed in it.
fn live(place: &Path, moment: Moment) -> Result<bool, String> {
    let before = completed(place);
    let mut life = Life::start(&["collect-child", place.to_str().ok_or("a path that is not UTF-8")?]);
    let patience = Instant::now() + PATIENCE;
    let mut until = patience;
    loop {
        let wake = if matches!(moment, Moment::Change(_)) { Instant::now() + Duration::from_micros(50) } else { until };
        match life.next(wake)?.as_deref() {
            Some("done") => {
                let status = life.child.wait().map_err(|error| error.to_string())?;
                return if status.success() { Ok(true) } else { Err(format!("it ended with {status}")) };
            }
            Some("begun") => {
                if let Moment::Early(delay) = moment {
                    until = Instant::now() + delay;
                }
            }
            Some("open") => {
                if let Moment::Later(delay) = moment {
                    until = Instant::now() + delay;
                }
            }
            Some(line) => return Err(line.to_owned()),
            None if Instant::now() >= patience => return Err("it hangs".to_owned()),
            None => match moment {
                Moment::Change(number) if completed(place).abs_diff(before) < number => {}
                Moment::Never => {}
                _ => {
                    let rest = life.kill();
                    return match rest.iter().find(|line| line.starts_with("bad")) {
                        Some(bad) => Err(bad.clone()),
                        // It was done before the signal came.
                        None => Ok(rest.iter().any(|line| line == "done")),
                    };
                }
            },
        }
    }
}

/// Makes the files, and returns their lines, sorted.
fn prepare(place: &Path, random: &mut Random) -> std::io::Result<Vec<String>> {
    fs::create_dir_all(place.join("in"))?;
    fs::create_dir_all(place.join("out"))?;
    let mut all = Vec::new();
    // Files that changed a moment ago are left alone by the source for a while.
    let old = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(3600));
    for number in 0..FILES {
        let count = if number == 3 { 0 } else { random.below(200) };
        let lines = (0..count).map(|line| format!("file {number} line {line} {}", "x".repeat(random.index(60))));
        let lines: Vec<String> = lines.collect();
        let mut file = fs::File::create(place.join("in").join(format!("{number}.log")))?;
        lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
        file.set_times(old)?;
        // An empty file is one empty event.
        all.extend(if lines.is_empty() { vec![String::new()] } else { lines });
    }
    all.sort();
    Ok(all)
}

fn names(dir: PathBuf) -> Vec<PathBuf> {
    fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Files that were read to their end, and finished files of the output.
fn completed(place: &Path) -> usize {
    let input = names(place.join("in")).iter().filter(|path| has_extension(path, "COMPLETED")).count();
    input + names(place.join("out")).iter().filter(|path| has_extension(path, "txt")).count()
}

/// All lines of the finished files, sorted.
pub(crate) fn sorted_output(place: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for path in names(place.join("out")).iter().filter(|path| has_extension(path, "txt")) {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(format!("{} ends within a line", path.display()));
        }
        found.extend(text.lines().map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

/// All lines of the finished files against those of the input: none missing, none twice.
fn compare(place: &Path, expected: &[String]) -> Result<(), String> {
    let left = names(place.join("in")).iter().filter(|path| !has_extension(path, "COMPLETED")).count();
    if left > 0 {
        return Err(format!("{left} files are not marked as complete"));
    }
    let found = sorted_output(place)?;
    if found == expected {
        return Ok(());
    }
    let differs = expected.iter().zip(&found).find(|(a, b)| a != b);
    let (expected, found) = (expected.len(), found.len());
    Err(format!("{found} lines instead of {expected}; the first that differ: {differs:?}"))
}
