//! What a power cut leaves of what a process really asked the system for.
//!
//! The calls of a child are recorded with their data while it puts and takes. Played into the crash simulator they yield, for
//! every moment and every choice of what had reached the disk by then, an image; each is written to a directory, opened
//! with the operating system's files, and compared with what the child had said until that moment.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use aqueduct::testing::Random;
use aqueduct::vfs::sim::{CrashChoice, CrashMode, SimVfs, SplitMix};

use crate::oracle::Oracle;
use crate::plan::{PLANS, Plan};
use crate::replay::{Replay, materialize};
use crate::strace::{self, Call};

/// Those whose commits are durable when they return.
const PLAYED: [&str; 5] = ["rotate", "two_dirs", "close", "recovery_of_recovery", "positions"];
/// What a child says until it is killed.
const LINES: usize = 160;

/// The disk before a call, and what the child had said until then.
struct Moment {
    disk: SimVfs,
    oracle: Oracle,
}

pub(crate) fn suite(dir: &Path, seed: u64) -> Result<String, String> {
    let mut random = Random::new(seed);
    let images = crate::setting("AQUEDUCT_POWER_IMAGES", 300);
    let (mut checked, mut moments_all, mut calls_all) = (0, 0, 0);
    for name in PLAYED {
        let plan = PLANS.iter().find(|plan| plan.name == name).ok_or("an unknown workload")?;
        let place = dir.join(name);
        let calls = record(plan, &place, &mut random).map_err(|problem| format!("{name}: {problem}"))?;
        let moments = play(plan, &place.join("disk"), &calls).map_err(|problem| format!("{name}: {problem}"))?;
        checked += crash(plan, &place, &moments, images, &mut random)
            .map_err(|problem| format!("{name}: {problem}\n    the calls are in {}", place.join("calls").display()))?;
        println!("power: {name}: {} calls, {} moments", calls.len(), moments.len());
        calls_all += calls.len();
        moments_all += moments.len();
        std::fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
    }
    Ok(format!(
        "{checked} images of {moments_all} moments among {calls_all} recorded calls recovered from the real disk"
    ))
}

/// The calls of a child's life, from its first line on.
fn record(plan: &Plan, place: &Path, random: &mut Random) -> Result<Vec<Call>, String> {
    let (log, disk) = (place.join("calls"), place.join("disk"));
    std::fs::create_dir_all(&disk).map_err(|error| error.to_string())?;
    let seed = random.next_u64().to_string();
    let args = ["child", plan.name, disk.to_str().ok_or("a path that is not UTF-8")?, &seed, "0"];
    let mut traced = strace::command(&log, None, &args).spawn().map_err(|error| error.to_string())?;
    let mut said = BufReader::new(traced.stdout.take().ok_or("no pipe")?).lines();
    let heard = said.by_ref().take(LINES).filter(Result::is_ok).count();
    let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let child: i32 = text.split(' ').next().and_then(|pid| pid.parse().ok()).ok_or("a log without a process")?;
    let child = rustix::process::Pid::from_raw(child).ok_or("a log without a process")?;
    rustix::process::kill_process(child, rustix::process::Signal::KILL).map_err(|error| error.to_string())?;
    traced.wait().map_err(|error| error.to_string())?;
    if heard < LINES {
        return Err(format!("the child said {heard} lines only"));
    }
    let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let mut calls = strace::read(&text)?;
    let begin = calls.iter().position(|call| call.said().is_some()).ok_or("it said nothing")?;
    Ok(calls.split_off(begin))
}

fn play(plan: &Plan, root: &Path, calls: &[Call]) -> Result<Vec<Moment>, String> {
    let mut replay = Replay::new(root)?;
    let mut oracle = Oracle::new(plan);
    let mut moments = Vec::new();
    for call in calls {
        if let Some(lines) = call.said() {
            lines.lines().try_for_each(|line| oracle.hear(line))?;
            continue;
        }
        let moment = Moment { disk: replay.sim.snapshot(), oracle: oracle.clone() };
        if replay.apply(call)? {
            moments.push(moment);
        }
    }
    moments.push(Moment { disk: replay.sim.snapshot(), oracle });
    Ok(moments)
}

/// Tries so many different images of random moments.
fn crash(plan: &Plan, place: &Path, moments: &[Moment], images: u64, random: &mut Random) -> Result<u64, String> {
    let (root, copy) = (place.join("disk"), place.join("image"));
    let mut seen = HashSet::new();
    let mut checked = 0;
    for _ in 0..images * 20 {
        if checked == images {
            break;
        }
        let at = random.index(moments.len());
        let moment = &moments[at];
        let mode = CrashMode::ALL[random.index(CrashMode::ALL.len())];
        let choices: Vec<CrashChoice> = moment.disk.crash_choices(mode, 8, random.next_u64()).collect();
        let choice = &choices[random.index(choices.len())];
        let image = moment.disk.crash(choice);
        if !seen.insert((at, fingerprint(&image))) {
            continue;
        }
        materialize(&image, &root, &copy)?;
        let problem = |problem: String| format!("moment {at} of {}, {choice}: {problem}", moments.len());
        let store = plan.open(&copy).map_err(|error| problem(format!("the open fails: {error}")))?;
        moment.oracle.clone().check(&store, random).map_err(problem)?;
        drop(store);
        // What it shows once it shows for ever.
        std::fs::remove_dir_all(&copy).map_err(|error| error.to_string())?;
        checked += 1;
    }
    if checked < images / 2 {
        return Err(format!("only {checked} images differ; the workload is too small"));
    }
    Ok(checked)
}

/// Stands for the names and bytes of an image.
fn fingerprint(image: &SimVfs) -> u64 {
    image.files().iter().fold(0, |print, path| {
        let bytes = image.peek(path).unwrap_or_default();
        let name = u64::from(crc32fast::hash(path.as_os_str().as_encoded_bytes()));
        let print = SplitMix::new(print ^ name).next_u64();
        SplitMix::new(print ^ (u64::from(crc32fast::hash(&bytes)) << 32 | bytes.len() as u64)).next_u64()
    })
}
