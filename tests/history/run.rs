//! Producers and consumers in threads of their own, on a channel that crashes under them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use aqueduct::store::ReadMode;
use aqueduct::testing::Random;
use aqueduct::vfs::sim::{CrashChoice, CrashMode, SimVfs, Survive};
use aqueduct::{Channel, Durability, Event, FileStore, FileStoreBuilder, MemoryChannel, PutError, PutTicket};
use aqueduct::{PutTransaction, Receipt, TakeError, TakeTicket, TakeTransaction, Wait};

use crate::record::{Crash, Finish, History, Id, Outcome, Put, Span, Take, Ticks};

/// The longest time that [`Durability::Interval`] leaves something unsynced here: many times in each life.
const INTERVAL: Duration = Duration::from_millis(2);

/// What a history runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    /// A file channel on the operating system's disk, in lives that end with a close.
    Disk,
    /// A file channel on a simulated disk, in lives that end with a close, a kill or a power cut.
    Simulated,
}

/// How a history goes; all of it follows from its seed but the schedule of the threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// Calls of all threads, in all lives.
    pub(crate) calls: u64,
    producers: u64,
    consumers: u64,
    lives: u64,
    batch_max: u64,
    take_max: u64,
    capacity: u64,
    lanes: u64,
    /// One take in so many is rolled back; never if 0.
    rollback: u64,
    in_flight: usize,
    /// One ticket in so many is put aside until all calls of its thread are made; never if 0.
    held: u64,
    durability: Durability,
    background: bool,
    small: bool,
}

impl Plan {
    pub(crate) fn new(kind: Kind, seed: u64, calls: u64) -> Self {
        let mut random = Random::new(seed);
        let lives = if kind == Kind::Memory { 1 } else { 1 + random.below(4) };
        let batch_max = [1, 3, 20][random.index(3)];
        Self {
            kind,
            seed,
            calls,
            producers: 1 + random.below(5),
            consumers: 1 + random.below(5),
            lives,
            batch_max,
            take_max: [1, 4, 50][random.index(3)],
            capacity: [batch_max * 2, 100, 10_000][random.index(3)],
            lanes: 1 + random.below(3),
            rollback: [0, 3, 10][random.index(3)],
            in_flight: [1, 1, 6][random.index(3)],
            held: [0, 0, 5, 50][random.index(4)],
            durability: [Durability::Sync, Durability::Sync, Durability::Os, Durability::Interval(INTERVAL)]
                [random.index(4)],
            background: !random.one_in(4),
            small: random.one_in(2),
        }
    }

    fn builder(&self, path: &Path) -> FileStoreBuilder {
        let mut builder = FileStore::builder(path)
            .capacity_events(self.capacity)
            .durability(self.durability)
            .take_durability(self.durability)
            .background(self.background)
            .seed(self.seed);
        for lane in 1..=self.lanes {
            builder = builder.data_dir(path.join(format!("d{lane}")));
        }
        if self.small {
            builder = builder.segment_bytes(16 << 10).tail_cache_bytes(0).replay_bytes_max(8 << 10);
        }
        if self.small && self.kind == Kind::Disk { builder.read_mode(ReadMode::Mmap) } else { builder }
    }
}

/// Runs a history to its end: all lives, and a last take of everything that is left.
pub(crate) fn run(plan: &Plan, ticks: &Ticks) -> History {
    let mut history = History::default();
    match plan.kind {
        Kind::Memory => {
            let channel = MemoryChannel::builder("memory").capacity_events(plan.capacity).build().expect("a channel");
            let life = Life::new(plan, ticks, 0, Arc::new(channel));
            let (puts, takes) = life.run(|| {});
            history.add_life(puts, takes, None);
            history.takes.extend(life.drain());
        }
        Kind::Disk => {
            let dir = tempfile::tempdir().expect("a temporary directory");
            lives_on_disk(plan, ticks, &mut history, || plan.builder(&dir.path().join("store")));
        }
        Kind::Simulated => simulated_lives(plan, ticks, &mut history),
    }
    history
}

fn lives_on_disk(plan: &Plan, ticks: &Ticks, history: &mut History, builder: impl Fn() -> FileStoreBuilder) {
    for number in 0..plan.lives {
        let store = builder().open().expect("a store that was closed opens");
        reopened(ticks, history);
        let life = Life::new(plan, ticks, number, Arc::new(store.channel("channel").expect("a channel")));
        let last = number + 1 == plan.lives;
        let (puts, takes) = life.run(|| {
            if !last {
                life.wait_for_half();
                store.close().expect("a close");
            }
        });
        history.add_life(puts, takes, None);
        if last {
            history.takes.extend(life.drain());
        } else {
            let tick = ticks.next();
            history.crashes.push(Crash { span: Span { begin: tick, end: tick }, reopened: u64::MAX });
        }
    }
}

fn simulated_lives(plan: &Plan, ticks: &Ticks, history: &mut History) {
    let mut random = Random::new(plan.seed ^ 0x5eed);
    let mut disk = Arc::new(SimVfs::new());
    for number in 0..plan.lives {
        let store = plan.builder(Path::new("/store")).vfs(disk.clone()).open().expect("a store opens after any crash");
        reopened(ticks, history);
        let life = Life::new(plan, ticks, number, Arc::new(store.channel("channel").expect("a channel")));
        if number + 1 == plan.lives {
            let (puts, takes) = life.run(|| {});
            history.add_life(puts, takes, None);
            history.takes.extend(life.drain());
            return;
        }
        let choice = match random.below(4) {
            0 => None,
            1 => Some(CrashChoice::new(CrashMode::Kill, Survive::All)),
            // What the weaker level may lose is no matter of this suite.
            _ if plan.durability != Durability::Sync => Some(CrashChoice::new(CrashMode::Kill, Survive::All)),
            2 => Some(CrashChoice::new(CrashMode::Posix, Survive::Nothing)),
            _ => Some(CrashChoice::new(CrashMode::Posix, Survive::Random(random.next_u64()))),
        };
        let mut after = None;
        let (puts, takes) = life.run(|| {
            life.wait_for_half();
            let begin = ticks.next();
            let Some(choice) = &choice else { return store.close().expect("a close") };
            let crashed = disk.crash(choice);
            after = Some((Span { begin, end: ticks.next() }, crashed));
            // The old process runs on in a world of its own; nobody will ever hear of it.
            life.stop();
        });
        let tick = ticks.next();
        let (crash, span) = match after {
            Some((span, crashed)) => {
                disk = Arc::new(crashed);
                (Some(span), span)
            }
            None => (None, Span { begin: tick, end: tick }),
        };
        history.add_life(puts, takes, crash);
        history.crashes.push(Crash { span, reopened: u64::MAX });
    }
}

/// Notes that the channel is open again, if it was before.
fn reopened(ticks: &Ticks, history: &mut History) {
    if let Some(crash) = history.crashes.last_mut() {
        crash.reopened = ticks.next();
    }
}

/// The channel, from one opening to the next.
struct Life<'a> {
    plan: &'a Plan,
    ticks: &'a Ticks,
    number: u64,
    channel: Arc<dyn Channel>,
    calls: AtomicU64,
    calls_max: u64,
    producing: AtomicU64,
    stopped: AtomicBool,
}

impl<'a> Life<'a> {
    fn new(plan: &'a Plan, ticks: &'a Ticks, number: u64, channel: Arc<dyn Channel>) -> Self {
        let calls_max = plan.calls / plan.lives;
        let producing = AtomicU64::new(plan.producers);
        let (calls, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { plan, ticks, number, channel, calls, calls_max, producing, stopped }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed) && self.calls.fetch_add(1, Ordering::Relaxed) < self.calls_max
    }

    /// Waits until half of the calls have begun, or nobody calls any more.
    fn wait_for_half(&self) {
        while self.calls.load(Ordering::Relaxed) < self.calls_max / 2 && self.producing.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
    }

    /// Runs all threads until their calls are used up, the channel is closed, or `stop`; and `meanwhile` beside them.
    fn run(&self, meanwhile: impl FnOnce()) -> (Vec<Put>, Vec<Take>) {
        thread::scope(|scope| {
            let producers: Vec<_> = (0..self.plan.producers).map(|n| scope.spawn(move || self.produce(n))).collect();
            let consumers: Vec<_> = (0..self.plan.consumers).map(|n| scope.spawn(move || self.consume(n))).collect();
            meanwhile();
            let puts = producers.into_iter().flat_map(|thread| thread.join().expect("a producer")).collect();
            let takes = consumers.into_iter().flat_map(|thread| thread.join().expect("a consumer")).collect();
            (puts, takes)
        })
    }

    fn random(&self, thread: u64) -> Random {
        Random::new(self.plan.seed.wrapping_mul(1000).wrapping_add(self.number * 100 + thread))
    }

    fn produce(&self, number: u64) -> Vec<Put> {
        let mut random = self.random(number);
        let mut puts = Vec::new();
        let mut pending: VecDeque<(Span, Vec<Id>, PutTicket)> = VecDeque::new();
        let mut held = Vec::new();
        let mut next = (number << 32) + (self.number << 28);
        let mut open = true;
        while open && self.goes_on() {
            let ids: Vec<Id> = (next..next + 1 + random.below(self.plan.batch_max)).collect();
            next += ids.len() as u64;
            let begin = self.ticks.next();
            match self.transaction(&ids).submit() {
                Ok(ticket) => {
                    let submitted = (Span { begin, end: self.ticks.next() }, ids, ticket);
                    if self.holds(&mut random) { held.push(submitted) } else { pending.push_back(submitted) }
                }
                Err(error) => {
                    open = !matches!(error, PutError::Closed { .. });
                    puts.push(self.ended(Span { begin, end: self.ticks.next() }, ids, Err(error)));
                }
            }
            while pending.len() >= self.plan.in_flight {
                let Some((submit, ids, ticket)) = pending.pop_front() else { break };
                puts.push(self.ended(submit, ids, ticket.wait()));
            }
        }
        let rest = pending.into_iter().chain(held);
        puts.extend(rest.map(|(submit, ids, ticket)| self.ended(submit, ids, ticket.wait())));
        self.producing.fetch_sub(1, Ordering::Relaxed);
        puts
    }

    /// Whether to put the next ticket aside, which nobody then waits for.
    fn holds(&self, random: &mut Random) -> bool {
        self.plan.held > 0 && random.one_in(self.plan.held)
    }

    fn transaction(&self, ids: &[Id]) -> PutTransaction {
        let mut transaction = self.channel.begin_put();
        transaction.set_wait(Wait::up_to(Duration::from_millis(20)));
        ids.iter().for_each(|id| transaction.push(Event::new(id.to_string())));
        transaction
    }

    fn ended(&self, submit: Span, ids: Vec<Id>, result: Result<Receipt, PutError>) -> Put {
        let outcome = match result {
            Ok(_) => Outcome::Done,
            Err(PutError::Indeterminate { .. }) => Outcome::Unknown,
            Err(PutError::Full { .. } | PutError::Closed { .. } | PutError::NotCommitted { .. }) => Outcome::Not,
            Err(error) => panic!("a put failed: {error}"),
        };
        let span = Span { begin: submit.begin, end: self.ticks.next() };
        Put { span, submitted: submit.end, ids, outcome }
    }

    fn consume(&self, number: u64) -> Vec<Take> {
        let mut random = self.random(50 + number);
        let mut takes = Vec::new();
        let mut held = Vec::new();
        let mut patient = false;
        while self.goes_on() || self.producing.load(Ordering::Relaxed) > 0 {
            let wait = if patient { Wait::up_to(Duration::from_millis(1)) } else { Wait::NONE };
            let max = 1 + random.index(usize::try_from(self.plan.take_max).expect("small"));
            let begin = self.ticks.next();
            let take = match self.channel.take(max, wait) {
                Ok(take) => take,
                Err(TakeError::Closed { .. }) => break,
                Err(error) => panic!("a take failed: {error}"),
            };
            let span = Span { begin, end: self.ticks.next() };
            let ids = ids_of(&take);
            patient = ids.is_empty();
            if !ids.is_empty() && self.holds(&mut random) {
                let begin = self.ticks.next();
                held.push((span, ids, begin, take.submit()));
                continue;
            }
            let finish = if ids.is_empty() { None } else { Some(self.finish(take, &mut random)) };
            takes.push(Take { span, ids, finish });
        }
        takes.extend(held.into_iter().map(|(span, ids, begin, ticket)| {
            let finish = self.finished(begin, ids.len(), ticket.and_then(TakeTicket::wait));
            Take { span, ids, finish: Some(finish) }
        }));
        takes
    }

    fn finish(&self, take: TakeTransaction, random: &mut Random) -> Finish {
        let all = take.len();
        let roll_back = self.plan.rollback > 0 && random.one_in(self.plan.rollback);
        let begin = self.ticks.next();
        let (count, result) = match random.below(4) {
            _ if roll_back => {
                take.rollback();
                return Finish { span: Span { begin, end: self.ticks.next() }, count: all, outcome: Outcome::Not };
            }
            0 if self.plan.rollback > 0 => {
                let count = random.index(all + 1);
                (count, take.commit_first(count))
            }
            1 => (all, take.submit().and_then(TakeTicket::wait)),
            _ => (all, take.commit()),
        };
        self.finished(begin, count, result)
    }

    fn finished(&self, begin: u64, count: usize, result: Result<(), TakeError>) -> Finish {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(TakeError::NotCommitted { .. }) => Outcome::Not,
            Err(TakeError::Indeterminate { .. }) => Outcome::Unknown,
            Err(error) => panic!("the commit of a take failed: {error}"),
        };
        Finish { span: Span { begin, end: self.ticks.next() }, count, outcome }
    }

    /// Takes what is left, alone.
    fn drain(&self) -> Vec<Take> {
        let mut takes = Vec::new();
        loop {
            let begin = self.ticks.next();
            let take = self.channel.take(1000, Wait::NONE).expect("a take");
            let span = Span { begin, end: self.ticks.next() };
            let ids = ids_of(&take);
            if ids.is_empty() {
                let stats = self.channel.stats();
                assert_eq!((stats.depth_events, stats.in_flight_events), (0, 0), "an empty channel that counts events");
                takes.push(Take { span, ids, finish: None });
                return takes;
            }
            let begin = self.ticks.next();
            take.commit().expect("a commit");
            let finish =
                Finish { span: Span { begin, end: self.ticks.next() }, count: ids.len(), outcome: Outcome::Done };
            takes.push(Take { span, ids, finish: Some(finish) });
        }
    }
}

fn ids_of(take: &TakeTransaction) -> Vec<Id> {
    let id = |event: &Event| std::str::from_utf8(event.body()).ok().and_then(|text| text.parse().ok());
    take.iter().map(|event| id(event).expect("a body that was put")).collect()
}
