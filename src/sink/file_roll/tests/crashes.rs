//! Goal: wherever the process is killed or the power is cut, and whatever operation fails, each event ends up in exactly
//! one finished file, exactly once, in order. Method: a run over the simulator is stopped at every operation and every
//! commit; of each image that a crash may leave, a new sink makes the best with what the (durable) channel holds.

use std::path::PathBuf;

use super::*;
#[cfg(feature = "avro")]
use crate::sink::AvroEvent;
use crate::testing::Random;
use crate::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, SimVfs, Survive};

const EVENTS: usize = 10;
const BATCH: usize = 3;

/// What a crash spares: disk, channel, time.
struct World {
    sim: SimVfs,
    channel: TestChannel,
    clock: Arc<StepClock>,
}

/// A configuration of the sink, and how its files read.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    fsync: Fsync,
    configure: fn(FileRoll) -> FileRoll,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Lines,
    Blocks,
    #[cfg(feature = "avro")]
    Avro,
}

const CASES: &[Case] = &[
    Case { name: "events", fsync: Fsync::EveryBatch, configure: |sink| sink.roll_events(4), format: Format::Lines },
    Case { name: "every batch", fsync: Fsync::EveryBatch, configure: |sink| sink.roll_bytes(1), format: Format::Lines },
    Case { name: "interval", fsync: Fsync::EveryBatch, configure: |sink| sink.prefix("p-"), format: Format::Lines },
    Case {
        name: "footers",
        fsync: Fsync::EveryBatch,
        configure: |sink| sink.roll_events(5).serializer(Blocks { appendable: true, ..Blocks::default() }),
        format: Format::Blocks,
    },
    Case {
        name: "footers, nothing appendable",
        fsync: Fsync::EveryBatch,
        configure: |sink| sink.roll_events(7).serializer(Blocks::default()),
        format: Format::Blocks,
    },
    #[cfg(feature = "avro")]
    Case {
        name: "avro",
        fsync: Fsync::EveryBatch,
        configure: |sink| sink.roll_events(5).serializer(AvroEvent::new().sync_interval_bytes(500)),
        format: Format::Avro,
    },
];

impl Case {
    fn sink(self, world: &World) -> FileRoll {
        let sink = FileRoll::new("/d/out")
            .vfs(Arc::new(world.sim.clone()))
            .clock(Arc::clone(&world.clock) as _)
            .roll_interval(Duration::from_secs(7));
        (self.configure)(sink).fsync(self.fsync)
    }

    /// The bodies in a file; each ends with `;`.
    fn bodies(self, content: &[u8]) -> Vec<String> {
        let text = || String::from_utf8(content.to_vec()).unwrap();
        let text = match self.format {
            Format::Lines => {
                assert!(text().ends_with(";\n"), "{:?}", text());
                text().replace('\n', "")
            }
            Format::Blocks => {
                assert!(text().starts_with("HEAD|"), "{:?}", text());
                text().replace("HEAD|", "").replace("|FOOT", "").replace(['[', ']'], "")
            }
            #[cfg(feature = "avro")]
            Format::Avro => avro_bodies(content),
        };
        text.split_terminator(';').map(str::to_owned).collect()
    }
}

/// What another implementation of Avro finds in a container file.
#[cfg(feature = "avro")]
fn avro_bodies(content: &[u8]) -> String {
    let body = |value| match value {
        apache_avro::types::Value::Record(fields) => match &fields[1] {
            (_, apache_avro::types::Value::Bytes(body)) => String::from_utf8(body.clone()).unwrap(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    apache_avro::Reader::new(content).unwrap().map(|value| body(value.unwrap())).collect()
}

/// Bodies of 1 to 900 bytes, so that batches begin and end at odd places of sectors.
fn bodies() -> Vec<String> {
    (0..EVENTS).map(|i| format!("{i}{}", "x".repeat(i * 97 % 900))).collect()
}

impl World {
    fn new() -> Self {
        let sim = SimVfs::new();
        sim.make_dirs("/d").unwrap();
        let channel = TestChannel::new(bodies().into_iter().map(|body| Event::from(body + ";")));
        let clock = Arc::new(StepClock::new());
        clock.step(Duration::from_secs(1));
        Self { sim, channel, clock }
    }

    fn after(&self, choice: &CrashChoice) -> Self {
        let clock = Arc::new(StepClock::new());
        clock.step(self.clock.monotonic() + Duration::from_secs(1));
        Self { sim: self.sim.crash(choice), channel: self.channel.fork(), clock }
    }

    fn has_position(&self) -> bool {
        self.channel.position("sink/roll/").is_some()
    }

    /// Delivers everything and closes the sink. `fails_commit` is the number of the commit that fails.
    fn drain(&self, sink: &mut FileRoll, fails_commit: Option<usize>) -> Result<usize, SinkError> {
        let mut run = self.channel.run("roll");
        for steps in 0.. {
            self.clock.step(Duration::from_secs(3));
            if fails_commit == Some(steps) {
                self.channel.fail_commits(1);
            }
            if run.step(sink, BATCH)? == 0 {
                sink.close()?;
                return Ok(steps);
            }
        }
        Ok(0)
    }

    /// Names and contents of the finished files, in the order of their numbers.
    fn finished(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = self.sim.files().into_iter().filter(|path| !is_in_progress(path)).collect();
        files.sort_by_key(|path| place(path));
        files.into_iter().map(|path| (path.clone(), self.sim.peek(&path).unwrap())).collect()
    }

    /// All events are in finished files, each once, in order, and no file is left in progress.
    fn check(&self, case: Case, context: &str) {
        let found: Vec<String> = self.finished().iter().flat_map(|(_, content)| case.bodies(content)).collect();
        assert_eq!(found, bodies(), "{}: {context}: {:?}", case.name, self.sim.files());
        let left: Vec<_> = self.sim.files().into_iter().filter(|path| is_in_progress(path)).collect();
        assert!(left.is_empty(), "{}: {context}: {left:?}", case.name);
    }
}

fn is_in_progress(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

fn place(path: &Path) -> (u64, u64) {
    let name = path.file_name().unwrap().to_str().unwrap().trim_start_matches("p-");
    let (series, number) = name.split_once('-').unwrap();
    (series.parse().unwrap(), number.parse().unwrap())
}

fn nothing() -> CrashChoice {
    CrashChoice::new(CrashMode::Posix, Survive::Nothing)
}

/// Lets a new sink finish the work on every image of a crash of `world`, then cuts the power for good.
fn recover_all(case: Case, world: &World, modes: &[CrashMode], random: u64, context: &str) -> u64 {
    let mut images = 0;
    for mode in modes {
        for choice in world.sim.crash_choices(*mode, random, images) {
            let context = format!("{context}, {choice}");
            let next = world.after(&choice);
            next.drain(&mut case.sink(&next), None).unwrap_or_else(|error| panic!("{}: {context}: {error}", case.name));
            next.check(case, &context);
            if case.fsync != Fsync::Never {
                next.after(&nothing()).check(case, &format!("{context}, then power off"));
            }
            images += 1;
        }
    }
    images
}

/// Stops a run at every operation, in every way, and at every commit, and recovers from each. Returns the number of images,
/// and of those from before the first commit.
fn crash_everywhere(case: Case, modes: &[CrashMode], random: u64) -> (u64, u64) {
    let (mut images, mut early) = (0, 0);
    for fault in [Fault::Kill, Fault::KillAfter(usize::MAX), Fault::KillAfter(1), Fault::KillAfter(700)] {
        for at in 0.. {
            let world = World::new();
            world.sim.inject(Inject::new(fault).skip(at));
            let outcome = world.drain(&mut case.sink(&world), None);
            if !world.sim.is_killed() {
                outcome.unwrap();
                assert!(at > 10, "{at} operations are not a run");
                break;
            }
            let found = recover_all(case, &world, modes, random, &format!("{fault:?} at {at}"));
            images += found;
            early += if world.has_position() { 0 } else { found };
        }
    }
    for commit in 0.. {
        let world = World::new();
        if world.drain(&mut case.sink(&world), Some(commit)).is_ok() {
            break;
        }
        let found = recover_all(case, &world, modes, random, &format!("before commit {commit}"));
        images += found;
        early += if world.has_position() { 0 } else { found };
    }
    assert!(early > 20, "{early} images are too few before the first commit");
    (images, early)
}

#[test]
fn synced_with_every_batch_each_event_is_delivered_once_through_every_crash() {
    for &case in CASES {
        let (images, early) = crash_everywhere(case, &CrashMode::ALL, 8);
        println!("{}: {images} images, {early} of them from before the first commit", case.name);
    }
}

#[test]
fn without_syncs_each_event_is_delivered_once_as_long_as_only_processes_die() {
    for &case in CASES {
        for fsync in [Fsync::OnRoll, Fsync::Never] {
            let (images, early) = crash_everywhere(Case { fsync, ..case }, &[CrashMode::Kill], 0);
            println!("{} {fsync:?}: {images} images, {early} of them from before the first commit", case.name);
        }
    }
}

#[test]
fn synced_on_roll_finished_files_are_whole_after_every_power_cut() {
    let mut images = 0;
    let case = Case { fsync: Fsync::OnRoll, ..CASES[0] };
    for at in 0.. {
        let world = World::new();
        world.sim.inject(Inject::new(Fault::Kill).skip(at));
        let _ = world.drain(&mut case.sink(&world), None);
        if !world.sim.is_killed() {
            break;
        }
        for mode in [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage] {
            for choice in world.sim.crash_choices(mode, 16, at) {
                // The files of a run are `0 1 2 3 4 5`, `6 7 8 9`.
                let finished = world.after(&choice).finished();
                let found: Vec<_> = finished.iter().flat_map(|(_, content)| case.bodies(content)).collect();
                assert!(
                    [0, 6, 10].contains(&found.len()) && found == bodies()[..found.len()],
                    "{at} {choice}: {found:?}"
                );
                images += 1;
            }
        }
    }
    println!("{images} images");
}

/// Fails each operation in turn, once, with each error, without a crash. What comes back from `Fatal` is a restart of the
/// machine, because a person had to look.
#[test]
fn whatever_operation_fails_each_event_is_delivered_once() {
    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;
    const EACCES: i32 = 13;
    let (mut errors, mut fatal) = (0, 0);
    for &case in CASES {
        for errno in [ENOSPC, EIO, EACCES] {
            for at in 0.. {
                let mut world = World::new();
                world.sim.inject(Inject::new(Fault::Errno(errno)).skip(at));
                let mut sink = case.sink(&world);
                let Err(error) = world.drain(&mut sink, None) else {
                    // An operation whose error does not matter, or the end.
                    if world.sim.op_count() <= at {
                        break;
                    }
                    world.check(case, &format!("errno {errno} at {at}"));
                    continue;
                };
                errors += 1;
                let context = format!("errno {errno} at {at}: {error}");
                assert!(error.to_string().contains("/d"), "{context}");
                let failed = world.sim.ops().last().map(|op| op.kind);
                if matches!(error, SinkError::Fatal(_)) {
                    assert_eq!(failed, Some(OpKind::SyncDir), "{context}");
                    fatal += 1;
                    world = world.after(&nothing());
                    world.drain(&mut case.sink(&world), None).unwrap();
                    world.check(case, &context);
                } else {
                    // At the close, too, the agent does not come back: a new process does.
                    if world.channel.waiting() == 0 {
                        sink = case.sink(&world);
                    }
                    world.drain(&mut sink, None).unwrap();
                    world.check(case, &context);
                }
                // A directory that may not be opened for its sync has lost nothing; the simulator drops changes all the same.
                if (errno, failed) != (EACCES, Some(OpKind::SyncDir)) {
                    world.after(&nothing()).check(case, &format!("{context}, then power off"));
                }
            }
        }
    }
    println!("{errors} errors, {fatal} of them fatal");
}

#[test]
fn a_full_disk_delays_events_until_there_is_room() {
    for &case in CASES {
        for blocks in 0..4 {
            let world = World::new();
            let mut sink = case.sink(&world);
            let mut run = world.channel.run("roll");
            world.sim.set_space(Some(blocks * 4096));
            let mut failures = 0;
            while failures < 3 {
                world.clock.step(Duration::from_secs(3));
                match run.step(&mut sink, BATCH) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(SinkError::Retry(error)) => {
                        assert!(error.to_string().contains("/d/out"), "{error}");
                        failures += 1;
                    }
                    Err(error) => panic!("{} with {blocks} blocks: {error}", case.name),
                }
            }
            assert!(failures > 0 || blocks > 1, "{} had room in {blocks} blocks", case.name);
            world.sim.set_space(None);
            world.drain(&mut sink, None).unwrap();
            world.check(case, &format!("{blocks} blocks"));
        }
    }
}

/// The sync that fails is the one that should make the cut durable: the running system sees the file cut, the disk does not.
#[test]
fn a_cut_whose_sync_failed_is_made_again() {
    let case = CASES[2];
    let world = World::new();
    let mut sink = case.sink(&world);
    let mut run = world.channel.run("roll");
    run.step(&mut sink, 5).unwrap();
    world.channel.fail_commits(1);
    assert!(run.step(&mut sink, 5).is_err());
    // A new process cuts the file, and finishes it, because its time is over.
    let world = world.after(&CrashChoice::new(CrashMode::Kill, Survive::All));
    world.clock.step(Duration::from_secs(60));
    let mut sink = case.sink(&world);
    let mut run = world.channel.run("roll");
    world.sim.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData));
    assert!(matches!(run.step(&mut sink, 5), Err(SinkError::Retry(_))));
    run.step(&mut sink, 5).unwrap();
    sink.close().unwrap();
    world.check(case, "running on");
    world.after(&nothing()).check(case, "power off");
}

/// Crash after crash, with a reader that takes files away as soon as the sink has told of no error, and with failing
/// commits and operations between.
#[test]
fn a_life_of_crashes_and_a_reader_that_fetches_files_agree_on_every_event() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let mut crashes = 0;
    for round in 0..300 {
        let case = CASES[random.index(CASES.len())];
        let mut world = World::new();
        let mut fetched = BTreeMap::new();
        let mut first_commit_seen = false;
        loop {
            // Later lives are given more time, so that every round ends.
            world.sim.inject(Inject::new(Fault::KillAfter(random.index(2000))).skip(random.below(12 + crashes % 64)));
            let mut sink = case.sink(&world);
            let mut run = world.channel.run("roll");
            let ended = loop {
                world.clock.step(Duration::from_secs(random.below(9)));
                if random.one_in(9) {
                    world.channel.fail_commits(1);
                }
                match run.step(&mut sink, 1 + random.index(BATCH)) {
                    Ok(0) => break sink.close().is_ok(),
                    Ok(_) if random.one_in(3) => {
                        for (path, content) in world.finished() {
                            world.sim.erase(&path).unwrap();
                            fetched.insert(place(&path), content);
                        }
                    }
                    Err(_) if world.sim.is_killed() => break false,
                    Ok(_) | Err(SinkError::Retry(_)) => {}
                    Err(error) => panic!("round {round}, AQUEDUCT_SEED={seed}: {error}"),
                }
            };
            first_commit_seen |= world.has_position();
            if ended {
                break;
            }
            crashes += 1;
            let mode = CrashMode::ALL[random.index(CrashMode::ALL.len())];
            let choices: Vec<_> = world.sim.crash_choices(mode, 4, random.next_u64()).collect();
            world = world.after(&choices[random.index(choices.len())]);
        }
        for (path, content) in world.finished() {
            let again = fetched.insert(place(&path), content.clone());
            assert!(again.is_none_or(|before| before == content), "round {round}, AQUEDUCT_SEED={seed}: {path:?}");
        }
        let found: Vec<_> = fetched.values().flat_map(|content| case.bodies(content)).collect();
        assert_eq!(found, bodies(), "round {round}, {}, AQUEDUCT_SEED={seed}", case.name);
        assert!(first_commit_seen);
    }
    println!("300 rounds, {crashes} crashes");
}
