//! Kills and failing operations, on the simulated file system.

use super::*;
use crate::vfs::Vfs as _;
use crate::vfs::sim::{Fault, Gate, Inject, OpKind};

/// A simulated disk with logs, and the channel of a machine that has it.
struct Machine {
    bench: Bench,
    sim: SimVfs,
    written: Vec<String>,
}

/// How many things happen to the logs.
const STORY: usize = 8;

impl Machine {
    fn new(batch: usize) -> Self {
        let sim = SimVfs::new();
        sim.make_dirs("/logs").unwrap();
        Self { bench: Bench { batch, ..Bench::new() }, sim, written: Vec::new() }
    }

    fn source(&self) -> TailDir {
        let group = FileGroup::new("/logs", r"app(\.\d)?");
        let source = self.bench.source_of([group]).vfs(Arc::new(self.sim.clone())).open_files(2);
        source.position_file("/logs/positions").write_position_file(Duration::ZERO)
    }

    fn append(&mut self, name: &str, lines: &[&str]) {
        let path = Path::new("/logs").join(name);
        for line in lines {
            append_to(&self.sim, &path, &format!("{line}\n"));
            self.written.push((*line).to_owned());
        }
    }

    fn rename(&self, from: &str, to: &str) {
        self.sim.rename(&Path::new("/logs").join(from), &Path::new("/logs").join(to)).unwrap();
    }

    /// What happens to the logs, whether the source runs or not.
    fn happen(&mut self, chapter: usize) {
        match chapter {
            0 => self.append("app", &["1", "2"]),
            1 => {
                self.append("app", &["3"]);
                self.rename("app", "app.1");
                self.append("app.1", &["4"]);
                self.append("app", &["a"]);
            }
            2 => self.append("app.2", &["x", "y", "z"]),
            3 => {
                self.append("app.1", &["5"]);
                // It leaves the pattern.
                self.rename("app.1", "old");
                self.append("old", &["6"]);
            }
            4 => {
                self.rename("app", "app.1");
                self.append("app", &["A", "B"]);
            }
            5 => self.append("app.2", &["zz"]),
            6 => self.append("app", &["C"]),
            _ => {}
        }
    }

    /// One life of the source, until it has nothing more to do, or an error.
    fn live(&self) -> Result<(), SourceError> {
        let mut source = self.source();
        let context = self.bench.context();
        source.open(&context)?;
        for _ in 0..4 {
            self.bench.clock.step(TAIL_POLL);
            loop {
                let mut out = PullBatch::new(self.bench.batch);
                let pulled = source.poll(&mut out)?;
                if self.sim.is_killed() {
                    return Err(SourceError::retry("killed"));
                }
                if !out.is_empty() {
                    context.put_batch(out.into_put_batch(), None).unwrap();
                    source.committed()?;
                }
                if pulled != Pulled::More {
                    break;
                }
            }
        }
        if self.sim.is_killed() { Err(SourceError::retry("killed")) } else { Ok(()) }
    }

    fn check(&self, what: &str) {
        let mut bodies: Vec<String> = self.bench.bodies();
        bodies.sort();
        let mut written = self.written.clone();
        written.sort();
        assert_eq!(bodies, written, "{what}");
        assert_eq!(self.bench.reports(), [""; 0], "{what}");
    }
}

/// Goal: no kill loses or repeats a line. Method: the process is killed before and after each operation on files of each
/// chapter of a story of writing and rotating; what is committed stays, and so does what others wrote.
#[test]
fn a_kill_at_any_operation_neither_loses_nor_repeats_a_line() {
    let mut kills = 0;
    for batch in [1, 2, 100] {
        for fatal in 0..STORY {
            for fault in [Fault::Kill, Fault::KillAfter(usize::MAX)] {
                for moment in 0.. {
                    let mut machine = Machine::new(batch);
                    let mut was_killed = false;
                    for chapter in 0..STORY {
                        machine.happen(chapter);
                        if chapter == fatal {
                            machine.sim.inject(Inject::new(fault).skip(moment));
                        }
                        let outcome = machine.live();
                        if machine.sim.is_killed() {
                            was_killed = true;
                            machine.bench.reports();
                            machine.sim = machine.sim.snapshot();
                        } else {
                            outcome.unwrap();
                            machine.sim.clear_faults();
                        }
                    }
                    machine.check(&format!("batch {batch}, chapter {fatal}, {fault:?} at {moment}"));
                    if !was_killed {
                        break;
                    }
                    kills += 1;
                }
            }
        }
    }
    assert!(kills > 500, "{kills} kills");
    println!("{kills} kills");
}

/// Goal: an operation that fails once costs at most a report and a delay. Method: each operation in turn fails with EIO,
/// EACCES or EMFILE.
#[test]
fn an_operation_that_fails_once_neither_loses_nor_repeats_a_line() {
    let mut faults = 0;
    for batch in [1, 100] {
        for errno in [rustix::io::Errno::IO, rustix::io::Errno::ACCESS, rustix::io::Errno::MFILE] {
            for failing in 0..STORY {
                for moment in 0.. {
                    let mut machine = Machine::new(batch);
                    let mut is_over = false;
                    for chapter in 0..STORY {
                        machine.happen(chapter);
                        let before = machine.sim.op_count();
                        if chapter == failing {
                            machine.sim.inject(Inject::new(Fault::Errno(errno.raw_os_error())).skip(moment));
                        }
                        // An error ends a life; the next one begins with the next chapter.
                        let _ = machine.live();
                        if chapter == failing {
                            is_over = machine.sim.op_count() <= before + moment;
                            machine.sim.clear_faults();
                        }
                    }
                    if is_over {
                        break;
                    }
                    faults += 1;
                    machine.bench.reports();
                    machine.check(&format!("batch {batch}, {errno} at {moment} of chapter {failing}"));
                }
            }
        }
    }
    println!("{faults} faults");
}

/// Goal: what is noted of a file is what was read of it, not what the file holds by then. Method: a program empties it and goes on
/// writing between a piece and the next time that the file is looked at, and the new content is as long as the old.
#[test]
fn a_file_that_is_emptied_just_behind_a_read_is_not_taken_for_what_was_read() {
    let machine = Machine::new(1);
    let path = Path::new("/logs/app");
    append_to(&machine.sim, path, "AAAA\nnot read before it is emptied\n");
    let gate = Gate::new();
    machine.sim.inject(Inject::pause(&gate).on(OpKind::Read).path("/logs/app").skip(1));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| machine.live());
        gate.wait_for(1);
        machine.sim.open(path, OpenMode::ReadWrite).unwrap().set_len(0).unwrap();
        append_to(&machine.sim, path, "BBBB\nCCCC\nDDDD and so much more that it is longer than before\n");
        gate.open();
        reader.join().unwrap().unwrap();
    });
    let last = "DDDD and so much more that it is longer than before";
    assert_eq!(machine.bench.bodies(), ["AAAA", "BBBB", "CCCC", last]);
    assert_one_report(&machine.bench.reports(), "holds another content than the 5 bytes");
}
