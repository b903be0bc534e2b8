//! Random histories of logs and of the source, on the simulated file system.

use std::collections::BTreeMap;

use super::*;
use crate::testing::Random;
use crate::vfs::Vfs as _;
use crate::vfs::sim::{Fault, Inject};

/// A log that a writer appends to, under whatever name it has by now.
struct Log {
    path: String,
    /// Names the lines of this log, and counts them.
    id: u64,
    lines: u64,
    /// The part of a line that is written but has no line feed yet.
    partial: String,
}

struct World {
    bench: Bench,
    sim: SimVfs,
    random: Random,
    logs: Vec<Log>,
    next_id: u64,
    next_name: u64,
    /// Lines with their line feed.
    written: BTreeMap<u64, u64>,
    kills: u64,
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let sim = SimVfs::new();
        sim.make_dirs("/a").unwrap();
        sim.make_dirs("/b").unwrap();
        let mut random = Random::new(seed);
        let batch = [1, 2, 7, 100][random.index(4)];
        let bench = Bench { batch, ..Bench::new() };
        let (logs, written, story) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { bench, sim, random, logs, next_id: 0, next_name: 0, written, kills: 0, story }
    }

    fn source(&mut self) -> TailDir {
        let groups = [FileGroup::new("/a", r"app-\d+(\.\d+)?"), FileGroup::new("/b", ".*")];
        let source = self.bench.source_of(groups).vfs(Arc::new(self.sim.clone()));
        let source =
            source.open_files([1, 2, 100][self.random.index(3)]).read_bytes([5, 64, 4096][self.random.index(3)]);
        let source = source.cache_listing(self.random.one_in(2));
        if self.random.one_in(3) { source.turn_events(1 + self.random.below(5)) } else { source }
    }

    fn tell(&mut self, text: String) {
        self.story.push(text);
    }

    fn append(&mut self, index: usize, text: &str) {
        let path = self.logs[index].path.clone();
        append_to(&self.sim, Path::new(&path), text);
    }

    /// Writes lines, or parts of them.
    fn write(&mut self, index: usize) {
        for _ in 0..=self.random.below(4) {
            let log = &mut self.logs[index];
            let mut text = String::new();
            if log.partial.is_empty() {
                let filler = "-".repeat(usize::try_from(self.random.below(20)).unwrap());
                log.partial = format!("{}:{}:{filler}", log.id, log.lines);
                text.clone_from(&log.partial);
            }
            if !self.random.one_in(5) {
                text.push('\n');
                log.partial.clear();
                log.lines += 1;
                *self.written.entry(log.id).or_default() += 1;
            }
            let shown = format!("write {text:?} to {}", log.path);
            self.append(index, &text);
            self.tell(shown);
        }
    }

    fn complete(&mut self, index: usize) {
        if !self.logs[index].partial.is_empty() {
            self.append(index, "\n");
            let log = &mut self.logs[index];
            log.partial.clear();
            log.lines += 1;
            *self.written.entry(log.id).or_default() += 1;
        }
    }

    /// Whether all lines of a log, or of all logs, are committed.
    fn is_read(&self, id: Option<u64>) -> bool {
        let read = self.read();
        self.written
            .iter()
            .filter(|(log, _)| id.is_none_or(|id| id == **log))
            .all(|(log, lines)| read.get(log) == Some(lines))
    }

    fn read(&self) -> BTreeMap<u64, u64> {
        let mut read = BTreeMap::new();
        for event in self.bench.events() {
            let body = std::str::from_utf8(event.body()).unwrap();
            let mut parts = body.split(':');
            let mut number = || parts.next().unwrap().parse::<u64>().unwrap();
            let (log, line) = (number(), number());
            let next = read.entry(log).or_default();
            assert_eq!(*next, line, "lines of a log come once and in order: {body}\n{}", self.story.join("\n"));
            *next += 1;
        }
        read
    }

    fn create(&mut self) {
        let dir = if self.random.one_in(3) { "/b/x" } else { "/a/app-" };
        let path = format!("{dir}{}", self.next_name);
        self.next_name += 1;
        self.tell(format!("create {path}"));
        append_to(&self.sim, Path::new(&path), "");
        self.logs.push(Log { path, id: self.next_id, lines: 0, partial: String::new() });
        self.next_id += 1;
        let index = self.logs.len() - 1;
        self.write(index);
    }

    fn rename(&mut self, index: usize, to: &str) {
        let from = std::mem::replace(&mut self.logs[index].path, to.to_owned());
        self.tell(format!("rename {from} to {to}"));
        self.sim.rename(Path::new(&from), Path::new(to)).unwrap();
    }

    /// Something happens to the logs.
    fn happen(&mut self) {
        if self.logs.is_empty() {
            return self.create();
        }
        let index = self.random.index(self.logs.len());
        let id = self.logs[index].id;
        match self.random.below(20) {
            0 | 1 => self.create(),
            2 | 3 => {
                let (name, number) = (self.next_name, self.random.below(9));
                self.next_name += 1;
                let to = if self.logs[index].path.starts_with("/a") {
                    format!("/a/app-{name}.{number}")
                } else {
                    format!("/b/y{name}")
                };
                self.rename(index, &to);
            }
            // Under another name it is only known by what was read of it.
            4 if self.logs[index].path.starts_with("/a") && self.read().contains_key(&id) => {
                let to = format!("/a/old-{}", self.next_name);
                self.next_name += 1;
                self.rename(index, &to);
            }
            5 | 6 if self.is_read(Some(id)) && self.logs[index].lines > 0 => {
                self.complete(index);
                if self.is_read(Some(id)) {
                    let log = self.logs.swap_remove(index);
                    self.tell(format!("remove {}", log.path));
                    self.sim.remove_file(Path::new(&log.path)).unwrap();
                }
            }
            7 | 8
                if self.is_read(Some(id))
                    && self.logs[index].lines > 0
                    && self.logs[index].partial.is_empty()
                    && !self.logs[index].path.starts_with("/a/old") =>
            {
                let path = self.logs[index].path.clone();
                self.tell(format!("empty {path}"));
                self.sim.open(Path::new(&path), OpenMode::ReadWrite).unwrap().set_len(0).unwrap();
                (self.logs[index].id, self.logs[index].lines) = (self.next_id, 0);
                self.next_id += 1;
                self.write(index);
            }
            _ => self.write(index),
        }
    }

    /// Something happens to the source. Returns whether it is to be opened again.
    fn step(&mut self, source: &mut TailDir) -> bool {
        match self.random.below(30) {
            0 => {
                self.tell("restart".into());
                return true;
            }
            1 => {
                let moment = self.random.below(30);
                self.tell(format!("kill in operation {moment}"));
                self.sim.inject(Inject::new(Fault::Kill).skip(moment));
            }
            2 if self.logs.iter().all(|log| log.partial.is_empty()) && self.is_read(None) => {
                self.tell("idle".into());
                self.bench.clock.step(TAIL_IDLE);
            }
            3..12 => self.bench.clock.step(TAIL_POLL),
            _ => {}
        }
        let mut out = PullBatch::new(self.bench.batch);
        let polled = source.poll(&mut out);
        if !self.sim.is_killed() {
            self.sim.clear_faults();
        }
        if self.sim.is_killed() {
            self.kills += 1;
            self.sim = self.sim.snapshot();
            return true;
        }
        polled.unwrap();
        self.tell(format!("poll: {} events", out.events().len()));
        if !out.is_empty() {
            if self.random.one_in(20) {
                self.tell("not committed".into());
                return true;
            }
            self.bench.context().put_batch(out.into_put_batch(), None).unwrap();
            source.committed().unwrap();
        }
        false
    }

    fn reopened(&mut self) -> TailDir {
        self.sim.clear_faults();
        let source = self.source();
        self.bench.opened(source)
    }

    fn run(&mut self, steps: u64) {
        let mut source = self.reopened();
        for _ in 0..steps {
            if self.random.one_in(2) {
                self.happen();
            } else if self.step(&mut source) {
                source = self.reopened();
            }
        }
        self.sim.clear_faults();
        for index in 0..self.logs.len() {
            self.complete(index);
        }
        self.bench.pass(&mut source, Duration::from_secs(5));
        let read = self.read();
        assert_eq!(read, self.written, "every line comes\n{}", self.story.join("\n"));
    }
}

/// Goal: whatever happens to the logs, every line comes once, and those of one log in order. Method: random histories of
/// writing, rotation, emptying, removal, with kills, restarts, and batches that are not committed. What no reader could do is
/// left out: a log is removed or emptied only once it is read.
#[test]
fn random_histories_are_read_exactly_once() {
    let seed = Random::seed();
    let histories = std::env::var("AQUEDUCT_TAIL_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let (mut kills, mut lines) = (0, 0);
    for history in 0..histories {
        let seed = seed.wrapping_add(history);
        println!("AQUEDUCT_SEED={seed}");
        let mut world = World::new(seed);
        world.run(300);
        kills += world.kills;
        lines += world.written.values().sum::<u64>();
    }
    println!("{histories} histories, {kills} kills, {lines} lines (AQUEDUCT_TAIL_HISTORIES)");
    assert!(lines > histories * 50 && kills > 0);
}
