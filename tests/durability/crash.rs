//! T1: every workload is stopped before (and in the middle of) every change of the disk; what every enumerated crash
//! leaves is recovered and compared with every outcome that the promises allow.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, OpRecord, SimVfs, SplitMix, Survive};
use aqueduct::{Channel, Durability, Wait};

use crate::scripts::check::check;
use crate::scripts::oracle::{Oracle, State};
use crate::scripts::pool;
use crate::scripts::workload::{CONFIGS, Config, Workload, find, workloads};
use crate::scripts::world::{Plan, World};

/// Distinct images that a plain run looks at.
const IMAGES: u64 = 20_000;
/// Random crashes for each moment and mode in one round.
const RANDOM: u64 = 16;
/// By how many bytes the events of each round are larger than those of the one before, and for how many rounds. On a full disk
/// an open has room for as much as a reserve segment takes, 4 KiB in some settings; groups of larger events may not fit.
const GROWTH: u64 = 7;
const SIZES: u64 = 24;
/// Failures that are reported in full.
const FAILURES_MAX: usize = 10;

#[test]
fn every_crash_of_every_workload_is_recovered_from() {
    if let Ok(replay) = std::env::var("AQUEDUCT_CRASH_REPLAY") {
        return replay_case(&replay);
    }
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let images = number("AQUEDUCT_CRASH_IMAGES").unwrap_or(IMAGES);
    let time = number("AQUEDUCT_CRASH_MINUTES").map(|minutes| Duration::from_secs(minutes * 60));
    let seed = number("AQUEDUCT_SEED").unwrap_or(0);
    println!("AQUEDUCT_SEED={seed}");
    #[allow(clippy::disallowed_methods)] // how long to run, nothing more
    let begun = Instant::now();
    let items: Vec<(Workload, Config)> =
        workloads().into_iter().flat_map(|workload| CONFIGS.map(|config| (workload.clone(), config))).collect();
    let tally = Tally::default();
    for round in 0.. {
        let growth = round % SIZES * GROWTH;
        let results = pool::run(&items, |(workload, config)| {
            // Records and segments end elsewhere in each round, so that all crashes are new ones.
            let workload = workload.clone().grow(usize::try_from(growth).expect("small"));
            enumerate(&workload, *config, &tally, seed.wrapping_mul(1000).wrapping_add(round))
        });
        for (result, (workload, config)) in results.into_iter().zip(&items) {
            if let Err(error) = result {
                tally.fail(format!("{}+{}/{}: {error}", workload.name, growth, config.name));
            }
        }
        let distinct = tally.distinct();
        let enough = time.map_or(distinct >= images, |time| begun.elapsed() >= time);
        if enough || !tally.failures().is_empty() {
            break;
        }
    }
    tally.report();
}

/// One round over one workload.
pub(crate) fn enumerate_once(workload: &str, config: &str) {
    let (workload, config) = find(workload, config);
    let tally = Tally::default();
    if let Err(error) = enumerate(&workload, config, &tally, 0) {
        tally.fail(error);
    }
    tally.report();
}

/// What was covered, by all threads.
#[derive(Default)]
struct Tally {
    seen: Mutex<HashSet<u64>>,
    checked: AtomicU64,
    moments: AtomicU64,
    interrupted: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    /// Whether an image with these obligations is new.
    fn is_new(&self, image: u64) -> bool {
        self.seen.lock().expect("no thread panics with it").insert(image)
    }

    fn distinct(&self) -> u64 {
        self.seen.lock().expect("no thread panics with it").len() as u64
    }

    fn fail(&self, text: String) {
        self.failures.lock().expect("no thread panics with it").push(text);
    }

    fn failures(&self) -> Vec<String> {
        self.failures.lock().expect("no thread panics with it").clone()
    }

    fn has_enough_failures(&self) -> bool {
        self.failures.lock().expect("no thread panics with it").len() >= FAILURES_MAX
    }

    fn report(&self) {
        println!(
            "{} distinct images of {} moments recovered ({} recoveries checked, {} of them interrupted before)",
            self.distinct(),
            self.moments.load(Ordering::Relaxed),
            self.checked.load(Ordering::Relaxed),
            self.interrupted.load(Ordering::Relaxed),
        );
        let failures = self.failures();
        for failure in failures.iter().take(FAILURES_MAX) {
            println!("{failure}\n");
        }
        assert!(failures.is_empty(), "{} cases failed", failures.len());
    }
}

/// Where a case is: workload and settings, the moment, the crash, and perhaps those of the recovery.
#[derive(Clone, Debug)]
struct Case {
    workload: String,
    config: String,
    op: u64,
    // Bytes of that operation's write that happened; `None`: the kill came before it.
    partial: Option<usize>,
    choice: CrashChoice,
    again: Option<(u64, CrashChoice)>,
}

impl Case {
    fn line(&self) -> String {
        let mut line = format!("{};{};{}", self.workload, self.config, self.op);
        if let Some(bytes) = self.partial {
            write!(line, "+{bytes}").expect("a string takes all");
        }
        write!(line, ";{}", self.choice).expect("a string takes all");
        if let Some((op, choice)) = &self.again {
            write!(line, ";{op};{choice}").expect("a string takes all");
        }
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(';');
        let (workload, config) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let op = parts.next()?;
        let (op, partial) = match op.split_once('+') {
            Some((op, bytes)) => (op.parse().ok()?, Some(bytes.parse().ok()?)),
            None => (op.parse().ok()?, None),
        };
        let choice = parts.next()?.parse().ok()?;
        let again = match parts.next() {
            Some(op) => Some((op.parse().ok()?, parts.next()?.parse().ok()?)),
            None => None,
        };
        Some(Self { workload, config, op, partial, choice, again })
    }

    fn fault(&self) -> Fault {
        self.partial.map_or(Fault::Kill, Fault::KillAfter)
    }
}

/// Checks all moments of one workload once.
fn enumerate(workload: &Workload, config: Config, tally: &Tally, round: u64) -> Result<(), String> {
    let whole = World::run(workload, config, Plan::Nothing)?;
    let trace = whole.trace();
    let mut random = SplitMix::new(round ^ 0x5eed);
    // Behind the last operation, too.
    let end = trace.len() as u64;
    let changes = trace.iter().filter(|op| op.kind.changes_disk()).map(|op| op.index_in(&trace));
    for op in changes.chain([end]) {
        let partials = partials(trace.get(usize::try_from(op).unwrap_or(0)));
        for partial in std::iter::once(None).chain(partials.into_iter().map(Some)) {
            let case = Case {
                workload: workload.label(),
                config: config.name.to_owned(),
                op,
                partial,
                choice: CrashChoice::new(CrashMode::Kill, Survive::All),
                again: None,
            };
            moment(workload, config, &case, tally, &mut random)?;
            if tally.has_enough_failures() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where in a write a process is killed.
fn partials(op: Option<&OpRecord>) -> Vec<usize> {
    match op {
        Some(op) if op.kind == OpKind::Write => {
            let len = usize::try_from(op.len).unwrap_or(0);
            let mut cuts = vec![1, 47, 48, len / 2, len.saturating_sub(1)];
            cuts.retain(|cut| *cut > 0 && *cut < len);
            cuts.dedup();
            cuts
        }
        _ => Vec::new(),
    }
}

/// Checks all crashes of one moment.
fn moment(
    workload: &Workload,
    config: Config,
    case: &Case,
    tally: &Tally,
    random: &mut SplitMix,
) -> Result<(), String> {
    let mut world = World::run(workload, config, Plan::At(case.op, case.fault()))
        .map_err(|error| format!("until operation {}: {error}", case.op))?;
    tally.moments.fetch_add(1, Ordering::Relaxed);
    world.drop_store();
    let (killed, cut) = (world.oracle.candidates(false), world.oracle.candidates(true));
    let (killed_print, cut_print) = (print_of(&killed), print_of(&cut));
    let modes: &[CrashMode] = if case.partial.is_some() { &[CrashMode::Kill] } else { &CrashMode::ALL };
    for mode in modes {
        let (allowed, allowed_print) =
            if *mode == CrashMode::Kill { (&killed, killed_print) } else { (&cut, cut_print) };
        for choice in world.sim.crash_choices(*mode, RANDOM, random.next_u64()) {
            let image = world.sim.crash(&choice);
            let print = fingerprint(&image, *mode, allowed_print);
            if !tally.is_new(print) {
                continue;
            }
            let case = Case { choice, ..case.clone() };
            if let Err(error) = pool::without_panics(|| check(&image, config, &world.oracle, allowed, print)) {
                tally.fail(describe(&case, &error));
                return Ok(());
            }
            tally.checked.fetch_add(1, Ordering::Relaxed);
            if print.is_multiple_of(INTERRUPTED_ONE_IN) {
                // The check has recovered, and so changed, the image.
                let image = world.sim.crash(&case.choice);
                interrupt(&image, config, &case, &world.oracle, allowed, tally, random)?;
            }
        }
    }
    Ok(())
}

/// One image in so many has its recovery interrupted at every operation.
const INTERRUPTED_ONE_IN: u64 = 211;

fn describe(case: &Case, error: &str) -> String {
    format!("AQUEDUCT_CRASH_REPLAY='{}'\n{error}", case.line())
}

/// Kills the recovery of an image at every operation, crashes, and recovers once more.
fn interrupt(
    image: &SimVfs,
    config: Config,
    case: &Case,
    oracle: &Oracle,
    allowed: &HashSet<State>,
    tally: &Tally,
    random: &mut SplitMix,
) -> Result<(), String> {
    let whole = image.crash(&CrashChoice::new(CrashMode::Kill, Survive::All));
    match config.builder(&whole, 50).open() {
        // See `recover`, which has tried this image.
        Err(_) if config.durability != Durability::Sync => return Ok(()),
        opened => drop(opened.map_err(|error| error.to_string())?),
    }
    // A recovery that a kill interrupts shows nothing, so a power cut may still take what the first left unsynced.
    let power = oracle.candidates(true);
    let (allowed_print, power_print) = (print_of(allowed), print_of(&power));
    for op in whole.ops().iter().filter(|op| op.kind.changes_disk()) {
        let run = image.crash(&CrashChoice::new(CrashMode::Kill, Survive::All));
        run.inject(Inject::new(Fault::Kill).skip(op.index));
        drop(config.builder(&run, 50).open());
        let mut choices = vec![
            CrashChoice::new(CrashMode::Kill, Survive::All),
            CrashChoice::new(CrashMode::Posix, Survive::Nothing),
            CrashChoice::new(CrashMode::Posix, Survive::All),
            CrashChoice::new(CrashMode::Posix, Survive::Names),
            CrashChoice::new(CrashMode::Posix, Survive::NoNames),
        ];
        for mode in [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage] {
            let survive = Survive::Random(random.next_u64());
            choices.push(CrashChoice::new(mode, survive).garbage(random.next_u64()));
        }
        for choice in choices {
            let next = run.crash(&choice);
            let is_kill = choice.to_string().starts_with("kill");
            let (allowed, print) = if is_kill { (allowed, allowed_print) } else { (&power, power_print) };
            if !tally.is_new(fingerprint(&next, CrashMode::Kill, print)) {
                continue;
            }
            if let Err(error) = pool::without_panics(|| check(&next, config, oracle, allowed, 1)) {
                let case = Case { again: Some((op.index, choice)), ..case.clone() };
                tally.fail(describe(&case, &error));
                return Ok(());
            }
            tally.checked.fetch_add(1, Ordering::Relaxed);
            tally.interrupted.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Stands for what is allowed to be found.
fn print_of(allowed: &HashSet<State>) -> u64 {
    // The sum does not depend on the order of the set.
    allowed.iter().fold(allowed.len() as u64, |sum, state| {
        let text = format!("{state:?}");
        sum.wrapping_add(u64::from(crc32fast::hash(text.as_bytes())))
    })
}

/// Stands for the bytes and names of an image, what is unsynced in it, and what is allowed to be found there.
fn fingerprint(image: &SimVfs, mode: CrashMode, allowed: u64) -> u64 {
    let mut print = SplitMix::new(allowed).next_u64();
    let mut mix = |value: u64| print = SplitMix::new(print ^ value).next_u64();
    for path in image.files() {
        mix(u64::from(crc32fast::hash(path.as_os_str().as_encoded_bytes())));
        let bytes = image.peek(&path).unwrap_or_default();
        mix(u64::from(crc32fast::hash(&bytes)) << 32 | bytes.len() as u64);
    }
    if mode == CrashMode::Kill {
        mix(image.unsynced().len() as u64);
    }
    print
}

fn replay_case(line: &str) {
    let case = Case::parse(line).expect("a line that a failing run has printed");
    let (workload, config) = find(&case.workload, &case.config);
    let mut world = World::run(&workload, config, Plan::At(case.op, case.fault())).expect("the run up to the crash");
    for (number, op) in world.trace().iter().enumerate() {
        println!("{number:4} {:?} {} {}+{} {:?}", op.kind, op.path.display(), op.offset, op.len, op.error);
    }
    world.drop_store();
    for (number, change) in world.sim.unsynced().iter().enumerate() {
        println!("unsynced {number}: {change:?}");
    }
    let mut image = world.sim.crash(&case.choice);
    let mut power = !case.choice.to_string().starts_with("kill");
    if let Some((op, choice)) = &case.again {
        image.inject(Inject::new(Fault::Kill).skip(*op));
        drop(config.builder(&image, 50).open());
        for op in image.ops() {
            println!("recovery: {:?} {} {}+{}", op.kind, op.path.display(), op.offset, op.len);
        }
        image = image.crash(choice);
        power |= !choice.to_string().starts_with("kill");
    }
    println!("transactions: {:?}", world.oracle.txs);
    list(&image);
    let state = check(&image, config, &world.oracle, &world.oracle.candidates(power), 0).expect("all promises kept");
    println!("recovered {state:?}");
}

fn list(image: &SimVfs) {
    for path in image.files() {
        println!("{} {} bytes", path.display(), image.peek(&path).map_or(0, |bytes| bytes.len()));
    }
}

/// The number of an operation in a trace over several disks.
trait IndexIn {
    fn index_in(&self, trace: &[OpRecord]) -> u64;
}

impl IndexIn for OpRecord {
    fn index_in(&self, trace: &[OpRecord]) -> u64 {
        trace.iter().position(|op| std::ptr::eq(op, self)).expect("an element of the trace") as u64
    }
}

#[test]
fn a_case_survives_its_text_form() {
    for line in [
        "put;sync;17;posix/512/0/torn:1",
        "group+74;sync;3;posix/512/0/all",
        "put;os;17+48;kill/512/0/all;3;garbage/4096/5/random:9",
    ] {
        assert_eq!(Case::parse(line).expect("a case").line(), line);
    }
}

#[test]
fn the_oracle_notices_what_is_wrong() {
    let workload = workloads().into_iter().find(|workload| workload.name == "put").expect("there is one");
    let mut world = World::run(&workload, CONFIGS[0], Plan::Nothing).expect("no fault");
    world.drop_store();
    let allowed = world.oracle.candidates(true);
    let check_now = |image: &SimVfs| check(image, CONFIGS[0], &world.oracle, &allowed, 1);
    check_now(&world.sim.snapshot()).expect("all is well");
    // A store that lost one event, one that has an event twice, and one whose event is another.
    for body in [None, Some(world.oracle.events[0].clone()), Some("other".into())] {
        let image = world.sim.snapshot();
        let store = CONFIGS[0].builder(&image, 1).open().expect("opens");
        let channel = store.channel("a").expect("is there");
        match body {
            None => channel.take(1, Wait::NONE).expect("has events").commit().expect("commits"),
            Some(event) => drop(channel.put(event).expect("has room")),
        }
        drop((channel, store));
        assert!(check_now(&image).is_err());
    }
}
