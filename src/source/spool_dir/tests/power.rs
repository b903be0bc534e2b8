//! Power cuts and failing operations, on the simulated file system.

use super::completion::policies;
use super::*;
use crate::vfs::sim::{CrashMode, Fault, Inject, OpKind, SimVfs};

const FILES: [(&str, &str); 6] =
    [("a", "1\n2\n3"), ("b", ""), ("d/c", "4\n"), ("d/e", "5\n6\n7\n8\n"), ("f", "9"), ("g", "10\n11\n")];
const LINES: [&str; 12] = ["", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Files, what reads them, and the bodies that come of them, in order of their bytes.
pub(super) struct Sample {
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    pub(super) deserializer: Deserializer,
    pub(super) bodies: Vec<Vec<u8>>,
}

impl Sample {
    fn of_lines() -> Arc<Self> {
        let files = FILES.map(|(name, text)| (name, text.as_bytes().to_vec())).to_vec();
        let bodies = LINES.map(|line| line.as_bytes().to_vec()).to_vec();
        Arc::new(Self { files, deserializer: Deserializer::Lines, bodies })
    }
}

/// A simulated disk with a spool directory, and the channel of a machine that has it.
struct Machine {
    sample: Arc<Sample>,
    // Small, so that nothing is read at once.
    read_bytes: usize,
    sim: SimVfs,
    port: Arc<Port>,
    clock: Arc<StepClock>,
    reports: Arc<Mutex<Vec<String>>>,
    completed: Completed,
    batch: usize,
}

impl Machine {
    fn new(completed: &Completed, batch: usize) -> Self {
        Self::with(&Sample::of_lines(), crate::limits::SPOOL_READ_BYTES, completed, batch)
    }

    fn with(sample: &Arc<Sample>, read_bytes: usize, completed: &Completed, batch: usize) -> Self {
        let sim = SimVfs::new();
        sim.make_dirs("/in/d").unwrap();
        for (name, text) in &sample.files {
            sim.poke(Path::new("/in").join(name), 0, text).unwrap();
            sim.step(Duration::from_secs(1));
        }
        let (sample, completed, clock) = (sample.clone(), completed.clone(), Arc::new(StepClock::new()));
        Self { sample, read_bytes, sim, port: Arc::default(), clock, reports: Arc::default(), completed, batch }
    }

    /// The same machine with what a power cut left on the disk; what the channel has committed is durable.
    fn with_disk(&self, sim: SimVfs) -> Self {
        let port = Port(Mutex::new(self.port.0.lock().clone()));
        let clock = Arc::new(StepClock::new());
        let (sample, completed) = (self.sample.clone(), self.completed.clone());
        let (read_bytes, batch, reports) = (self.read_bytes, self.batch, Arc::default());
        Self { sample, read_bytes, sim, port: Arc::new(port), clock, reports, completed, batch }
    }

    fn source(&self) -> SpoolDir {
        let reports = self.reports.clone();
        SpoolDir::new("/in")
            .recursive(true)
            .completed(self.completed.clone())
            .deserializer(self.sample.deserializer.clone())
            .read_bytes(self.read_bytes)
            .vfs(Arc::new(self.sim.clone()))
            .clock(self.clock.clone())
            .on_report(move |report| reports.lock().push(report.to_string()))
    }

    /// One life of the source, until it has nothing more to do, or an error.
    fn live(&self) -> Result<(), SourceError> {
        let mut source = self.source();
        let context = SourceContext::new("spool", self.port.clone(), Shutdown::new());
        source.open(&context)?;
        let mut idle = 0;
        loop {
            let mut out = PullBatch::new(self.batch);
            let pulled = source.poll(&mut out)?;
            if self.sim.is_killed() {
                return Err(SourceError::retry("killed"));
            }
            if !out.is_empty() {
                context.put_batch(out.into_put_batch(), None).unwrap();
                source.committed()?;
            }
            if pulled == Pulled::Idle {
                idle += 1;
                self.clock.step(SPOOL_SETTLE);
            }
            if idle == 4 {
                return Ok(());
            }
        }
    }

    /// Lives until all is settled, then checks that every event came once and every file is completed.
    fn check(&self, what: &str) {
        self.live().unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut bodies: Vec<_> = self.port.0.lock().0.iter().map(|event| event.body().to_vec()).collect();
        bodies.sort();
        assert_eq!(bodies, self.sample.bodies, "{what}");
        let files = self.sim.files();
        let completed = files.iter().filter(|path| path.to_string_lossy().ends_with(".COMPLETED")).count();
        let expected = match self.completed {
            Completed::Rename { .. } => (self.sample.files.len(), self.sample.files.len()),
            Completed::Delete => (0, 0),
            Completed::Tracker { .. } => (2 * self.sample.files.len(), self.sample.files.len()),
        };
        assert_eq!((files.len(), completed), expected, "{what}: {files:?}");
        let positions = self.port.0.lock().1.clone();
        assert!(positions.is_empty(), "{what}: {positions:?}");
    }
}

/// Goal: no power cut loses or repeats a line. Method: the power fails before and after each operation that changes the
/// disk, and the disk keeps any of the classic choices of what was not synced, and some random ones.
#[test]
fn a_power_cut_at_any_moment_neither_loses_nor_repeats_a_line() {
    let (mut cuts, mut disks) = (0, 0);
    for completed in policies() {
        for batch in [1, 2, 100] {
            let counts = cut_everywhere(&|| Machine::new(&completed, batch));
            cuts += counts.0;
            disks += counts.1;
        }
    }
    println!("{cuts} power cuts, {disks} disks after them");
}

/// The same for what is read by other deserializers, in small pieces.
pub(super) fn no_power_cut_and_no_fault_harms(sample: Sample) {
    let sample = Arc::new(sample);
    let (mut cuts, mut disks, mut faults) = (0, 0, 0);
    for (completed, batch, read_bytes) in
        [(Completed::rename(), 1, 7), (Completed::Delete, 3, 5000), (Completed::tracker(".t"), 100, 1)]
    {
        let machine = || Machine::with(&sample, read_bytes, &completed, batch);
        let counts = cut_everywhere(&machine);
        cuts += counts.0;
        disks += counts.1;
        for moment in 0.. {
            let machine = machine();
            machine.sim.inject(Inject::new(Fault::Errno(rustix::io::Errno::IO.raw_os_error())).skip(moment));
            let outcome = machine.live();
            if machine.sim.op_count() <= moment {
                break;
            }
            faults += 1;
            machine.sim.clear_faults();
            machine.check(&format!("{completed:?} batch {batch} fault at {moment}, {outcome:?}"));
        }
    }
    println!("{cuts} power cuts, {disks} disks after them, {faults} faults");
}

/// Lets the power fail at every change of the disk; returns how often it did, and how many disks were looked at.
fn cut_everywhere(machine: &dyn Fn() -> Machine) -> (usize, usize) {
    let seed = std::env::var("AQUEDUCT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("AQUEDUCT_SEED={seed}");
    let undisturbed = machine();
    undisturbed.live().unwrap();
    let changes = undisturbed.sim.ops().iter().filter(|op| op.kind.changes_disk()).count() as u64;
    let (mut cuts, mut disks) = (0, 0);
    for moment in 0..changes {
        for fault in [Fault::Kill, Fault::KillAfter(usize::MAX)] {
            let machine = machine();
            let mut rule = Inject::new(fault).skip(moment);
            for kind in OpKind::ALL.into_iter().filter(|kind| kind.changes_disk()) {
                rule = rule.on(kind);
            }
            machine.sim.inject(rule);
            let outcome = machine.live();
            if !machine.sim.is_killed() {
                outcome.unwrap();
                break;
            }
            cuts += 1;
            let (completed, batch) = (&machine.completed, machine.batch);
            let killed = machine.with_disk(machine.sim.snapshot());
            killed.check(&format!("{completed:?} batch {batch} {fault:?} at {moment}"));
            for mode in [CrashMode::Journaled, CrashMode::Posix] {
                for choice in machine.sim.crash_choices(mode, 4, seed) {
                    let what = format!("{completed:?} batch {batch} {fault:?} at {moment}, {choice}");
                    let after = machine.with_disk(machine.sim.crash(&choice));
                    after.check(&what);
                    assert_eq!(*after.reports.lock(), [""; 0], "{what}");
                    disks += 1;
                }
            }
        }
    }
    (cuts, disks)
}

/// Goal: an operation that fails once costs at most a report and a delay. Method: each operation in turn fails with EIO,
/// EACCES or EMFILE.
#[test]
fn an_operation_that_fails_once_neither_loses_nor_repeats_a_line() {
    let mut faults = 0;
    for completed in policies() {
        for batch in [1, 100] {
            let errnos = [rustix::io::Errno::IO, rustix::io::Errno::ACCESS, rustix::io::Errno::MFILE];
            for errno in errnos {
                for moment in 0.. {
                    let machine = Machine::new(&completed, batch);
                    let failed = Inject::new(Fault::Errno(errno.raw_os_error())).skip(moment);
                    machine.sim.inject(failed);
                    let outcome = machine.live();
                    if machine.sim.op_count() <= moment {
                        break;
                    }
                    let failed_op = machine.sim.ops().into_iter().find(|op| op.index == moment);
                    faults += 1;
                    machine.sim.clear_faults();
                    let what = format!("{completed:?} batch {batch} {errno} at {moment}, {outcome:?}");
                    machine.check(&what);
                    // To look into a tracker can wait until the next listing.
                    let is_look = failed_op.is_some_and(|op| {
                        matches!(op.kind, OpKind::Open | OpKind::Read) && op.path.extension().is_some()
                    });
                    let told = outcome.is_err() || !machine.reports.lock().is_empty();
                    assert!(told || is_look, "{what}: nobody learns of it");
                }
            }
        }
    }
    println!("{faults} faults");
}
