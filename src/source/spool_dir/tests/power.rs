//! Power cuts and failing operations, on the simulated file system.

use super::completion::policies;
use super::*;
use crate::vfs::sim::{CrashMode, Fault, Inject, OpKind, SimVfs};

const FILES: [(&str, &str); 6] =
    [("a", "1\n2\n3"), ("b", ""), ("d/c", "4\n"), ("d/e", "5\n6\n7\n8\n"), ("f", "9"), ("g", "10\n11\n")];
const LINES: [&str; 12] = ["", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A simulated disk with a spool directory, and the channel of a machine that has it.
struct Machine {
    sim: SimVfs,
    port: Arc<Port>,
    clock: Arc<StepClock>,
    reports: Arc<Mutex<Vec<String>>>,
    completed: Completed,
    batch: usize,
}

impl Machine {
    fn new(completed: &Completed, batch: usize) -> Self {
        let sim = SimVfs::new();
        sim.make_dirs("/in/d").unwrap();
        for (name, text) in FILES {
            sim.poke(Path::new("/in").join(name), 0, text.as_bytes()).unwrap();
            sim.step(Duration::from_secs(1));
        }
        let clock = Arc::new(StepClock::new());
        Self { sim, port: Arc::default(), clock, reports: Arc::default(), completed: completed.clone(), batch }
    }

    /// The same machine with what a power cut left on the disk; what the channel has committed is durable.
    fn with_disk(&self, sim: SimVfs) -> Self {
        let port = Port(Mutex::new(self.port.0.lock().clone()));
        let clock = Arc::new(StepClock::new());
        let completed = self.completed.clone();
        Self { sim, port: Arc::new(port), clock, reports: Arc::default(), completed, batch: self.batch }
    }

    fn source(&self) -> SpoolDir {
        let reports = self.reports.clone();
        SpoolDir::new("/in")
            .recursive(true)
            .completed(self.completed.clone())
            .with_vfs(Arc::new(self.sim.clone()))
            .with_clock(self.clock.clone())
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

    /// Lives until all is settled, then checks that every line came once and every file is completed.
    fn check(&self, what: &str) {
        self.live().unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut bodies: Vec<_> =
            self.port.0.lock().0.iter().map(|event| String::from_utf8(event.body().to_vec()).unwrap()).collect();
        bodies.sort();
        assert_eq!(bodies, LINES, "{what}");
        let files = self.sim.files();
        let completed = files.iter().filter(|path| path.to_string_lossy().ends_with(".COMPLETED")).count();
        let expected = match self.completed {
            Completed::Rename { .. } => (FILES.len(), FILES.len()),
            Completed::Delete => (0, 0),
            Completed::Tracker { .. } => (2 * FILES.len(), FILES.len()),
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
    let seed = std::env::var("AQUEDUCT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("AQUEDUCT_SEED={seed}");
    let (mut cuts, mut disks) = (0, 0);
    for completed in policies() {
        for batch in [1, 2, 100] {
            for moment in 0.. {
                for fault in [Fault::Kill, Fault::KillAfter(usize::MAX)] {
                    let machine = Machine::new(&completed, batch);
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
                if Machine::counts_fewer_changes(&completed, batch, moment) {
                    break;
                }
            }
        }
    }
    println!("{cuts} power cuts, {disks} disks after them");
}

impl Machine {
    /// Whether an undisturbed life makes fewer changes than `moment`.
    fn counts_fewer_changes(completed: &Completed, batch: usize, moment: u64) -> bool {
        let machine = Machine::new(completed, batch);
        machine.live().unwrap();
        let changes = machine.sim.ops().iter().filter(|op| op.kind.changes_disk()).count();
        (changes as u64) <= moment + 1
    }
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
