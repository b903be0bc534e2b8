//! Runs a script on a simulated disk and keeps the oracle up to date, call by call.

use std::collections::{BTreeMap, VecDeque};

use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpRecord, SimVfs};
use aqueduct::{
    Channel, Durability, FileChannel, FileStore, FullReason, OpenError, PutError, TakeError, TakeTransaction,
};

use super::oracle::{Key, Oracle, State, Tx, What};
use super::workload::{Config, Set, Step, Workload};

/// The simulated process and its disk.
pub(crate) struct World {
    pub(crate) sim: SimVfs,
    pub(crate) oracle: Oracle,
    config: Config,
    seed: u64,
    // What the running process must show: the content without what is taken.
    pub(crate) live: State,
    pub(crate) takes: VecDeque<(String, Vec<Key>, TakeTransaction)>,
    channels: BTreeMap<String, FileChannel>,
    pub(crate) store: Option<FileStore>,
    plan: Plan,
    // Operations of earlier disks (a power cut begins a new one).
    ops_before: u64,
    trace_before: Vec<OpRecord>,
    tight: bool,
    /// Operations of the faults that were planned have happened, so errors are expected.
    pub(crate) faulty: bool,
    /// What went wrong, as the calls told it; for the matrix of faults.
    pub(crate) told: Vec<Told>,
}

/// What fails, and when.
#[derive(Clone, Debug, Default)]
pub(crate) enum Plan {
    #[default]
    Nothing,
    /// This happens at the operation of this number, counted over all disks.
    At(u64, Fault),
}

/// An error that a call returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Open,
    Channel,
    PutFull,
    PutNotCommitted,
    PutIndeterminate,
    Take,
    TakeNotCommitted,
    TakeIndeterminate,
    Close,
}

type Result<T> = std::result::Result<T, String>;

impl World {
    /// Runs a workload until its end, or until the process is killed. `Err`: a promise was broken meanwhile.
    pub(crate) fn run(workload: &Workload, config: Config, plan: Plan) -> Result<Self> {
        let faulty = matches!(plan, Plan::At(_, Fault::Errno(_) | Fault::Short(_)));
        let sim = SimVfs::new();
        let mut world = Self {
            oracle: Oracle { lanes: config.lanes, ..Oracle::default() },
            config,
            seed: 11,
            live: State::default(),
            takes: VecDeque::new(),
            channels: BTreeMap::new(),
            store: None,
            plan,
            ops_before: 0,
            trace_before: Vec::new(),
            tight: false,
            faulty,
            told: Vec::new(),
            sim,
        };
        world.arm();
        for (number, step) in workload.steps.iter().enumerate() {
            world.step(step).map_err(|error| format!("step {number} ({step:?}): {error}"))?;
            if world.sim.is_killed() || (world.store.is_none() && world.faulty && !world.told.is_empty()) {
                break;
            }
        }
        Ok(world)
    }

    /// All operations so far.
    pub(crate) fn trace(&self) -> Vec<OpRecord> {
        let mut trace = self.trace_before.clone();
        trace.extend(self.sim.ops());
        trace
    }

    fn arm(&mut self) {
        match &self.plan {
            Plan::Nothing => {}
            Plan::At(n, fault) => {
                if let Some(skip) = n.checked_sub(self.ops_before) {
                    self.sim.inject(Inject::new(*fault).skip(skip));
                }
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Open => self.open(),
            Step::Channel(name) => self.channel(name),
            Step::Put { shares, bytes, set, sync } => self.put(shares, *bytes, *set, *sync),
            Step::Take(channel, max) => self.take(channel, *max),
            Step::Commit { count, set, weak } => self.commit(*count, *set, *weak),
            Step::Rollback => {
                self.takes.pop_front().into_iter().for_each(|(name, keys, take)| {
                    take.rollback();
                    give_back(&mut self.live, &name, &keys);
                });
                Ok(())
            }
            Step::Maintain => {
                self.store().maintain();
                if !self.sim.is_killed() && !self.faulty && matches!(self.config.durability, Durability::Interval(_)) {
                    // What an interval was running for is synced, and with it all that was written to that lane before.
                    let waits = |tx: &Tx| tx.acked && !tx.durable && matches!(tx.what, What::Put(_));
                    while let Some(last) = self.oracle.txs.iter().rposition(waits) {
                        let lane = self.oracle.txs[last].lane;
                        let earlier = self.oracle.txs[..=last].iter_mut();
                        earlier.filter(|tx| tx.acked && tx.lane == lane).for_each(|tx| tx.durable = true);
                    }
                }
                Ok(())
            }
            Step::Close => self.close(),
            Step::Drop => {
                self.drop_store();
                self.sim = self.next_disk(&CrashChoice::new(CrashMode::Kill, aqueduct::vfs::sim::Survive::All));
                self.arm();
                Ok(())
            }
            Step::PowerCut(choice) => {
                self.drop_store();
                self.oracle.unsettled = true;
                self.sim = self.next_disk(&choice.parse().expect("a crash choice"));
                self.arm();
                Ok(())
            }
            Step::Space(free) => {
                self.tight = free.is_some();
                self.sim.set_space(*free);
                Ok(())
            }
        }
    }

    fn next_disk(&mut self, choice: &CrashChoice) -> SimVfs {
        self.ops_before += self.sim.op_count();
        self.trace_before.extend(self.sim.ops());
        self.sim.crash(choice)
    }

    pub(crate) fn drop_store(&mut self) {
        self.takes.clear();
        self.channels.clear();
        self.store = None;
    }

    fn store(&self) -> &FileStore {
        self.store.as_ref().expect("a script opens the store first")
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        self.seed += 1;
        match self.config.builder(&self.sim, self.seed).open() {
            Ok(store) => self.opened(store),
            Err(error) => {
                self.told.push(Told::Open);
                self.expect_trouble(&error)?;
                match error {
                    OpenError::Storage(_) => Ok(()),
                    _ if self.sim.is_killed() => Ok(()),
                    other => Err(format!("the error of the open is of the wrong kind: {other}")),
                }
            }
        }
    }

    fn opened(&mut self, store: FileStore) -> Result<()> {
        if self.sim.is_killed() {
            return Ok(());
        }
        let state = self.oracle.observe(&store)?;
        // The scripts lose unsynced data only by power cuts, and those lose less at most.
        if !self.oracle.candidates(true).contains(&state) {
            return Err(format!("found {state:?}"));
        }
        self.oracle.settle(state.clone());
        for name in state.channels.keys() {
            self.channels.insert(name.clone(), store.channel(name).map_err(|error| error.to_string())?);
        }
        self.live = state;
        self.store = Some(store);
        Ok(())
    }

    fn channel(&mut self, name: &'static str) -> Result<()> {
        if self.channels.contains_key(name) {
            return Ok(());
        }
        let result = self.store().channel(name);
        let tx = Tx {
            what: What::Channel(name.to_owned()),
            positions: Vec::new(),
            acked: result.is_ok(),
            durable: result.is_ok(),
            lane: None,
        };
        self.oracle.txs.push(tx.clone());
        match result {
            Ok(channel) => {
                self.live.apply(&tx);
                self.channels.insert(name.to_owned(), channel);
                Ok(())
            }
            Err(error) => {
                self.told.push(Told::Channel);
                self.expect_trouble(&error)
            }
        }
    }

    fn put(&mut self, shares: &[(&[&'static str], usize)], bytes: usize, set: Option<Set>, sync: bool) -> Result<()> {
        let mut names: Vec<&str> = shares.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let channels: Option<Vec<&FileChannel>> = names.iter().map(|name| self.channels.get(*name)).collect();
        // A channel that could not be created.
        let Some(channels) = channels else { return Ok(()) };
        let mut tx = match channels.split_first() {
            Some((first, [])) => first.begin_put(),
            Some((first, others)) => {
                let others: Vec<&dyn Channel> = others.iter().map(|other| *other as &dyn Channel).collect();
                first.begin_put_with(&others).expect("channels of one store")
            }
            None => return Ok(()),
        };
        let mut what: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for (to, count) in shares {
            let places: Vec<usize> = to.iter().filter_map(|name| names.iter().position(|n| n == name)).collect();
            for _ in 0..*count {
                let (key, event) = self.oracle.event(bytes);
                tx.push_to(&places, event);
                to.iter().for_each(|name| what.entry((*name).to_owned()).or_default().push(key));
            }
        }
        if let Some((owner, value)) = set {
            match value {
                Some(value) => tx.set_position(owner, value),
                None => tx.clear_position(owner),
            }
        }
        if sync {
            tx.set_durability(Durability::Sync);
        }
        let pushed = tx.events().to_vec();
        let level = if sync { Durability::Sync } else { self.config.durability };
        let result = tx.commit();
        let mut record = Tx {
            what: What::Put(what.into_iter().collect()),
            positions: owned(set),
            acked: false,
            durable: false,
            lane: None,
        };
        match result {
            Ok(receipt) => {
                (record.acked, record.lane) = (true, receipt.first.map(|id| id.lane));
                self.acknowledged(record, level);
                Ok(())
            }
            Err(_) if self.sim.is_killed() => {
                self.oracle.txs.push(record);
                Ok(())
            }
            Err(PutError::Indeterminate { source }) => {
                self.told.push(Told::PutIndeterminate);
                self.oracle.txs.push(record);
                self.expect_trouble(&source)
            }
            Err(error) => self.refused(error, &pushed),
        }
    }

    fn refused(&mut self, error: PutError, pushed: &[aqueduct::Event]) -> Result<()> {
        self.told.push(match &error {
            PutError::Full { reason: FullReason::Disk, .. } => Told::PutFull,
            PutError::NotCommitted { .. } => Told::PutNotCommitted,
            other => return Err(format!("the error of the put is of the wrong kind: {other}")),
        });
        self.expect_trouble(&error)?;
        let batch = error.into_batch().ok_or("the error gives no batch back")?;
        if batch.events() == pushed { Ok(()) } else { Err("another batch came back".to_owned()) }
    }

    fn acknowledged(&mut self, tx: Tx, level: Durability) {
        self.live.apply(&tx);
        let lane = tx.lane;
        self.oracle.txs.push(tx);
        if level == Durability::Sync {
            let last = self.oracle.txs.last_mut().expect("just pushed");
            last.durable = true;
            if lane.is_some() {
                self.oracle.make_durable(lane);
            }
        }
    }

    fn take(&mut self, name: &'static str, max: usize) -> Result<()> {
        let Some(channel) = self.channels.get(name) else { return Ok(()) };
        let take = match channel.take(max, aqueduct::Wait::NONE) {
            Ok(take) => take,
            Err(error) => {
                self.told.push(Told::Take);
                return self.expect_trouble(&error);
            }
        };
        let keys: Vec<Key> = take.iter().map(|event| self.oracle.key_of(event)).collect::<Result<_>>()?;
        let waiting = self.live.channels.entry(name.to_owned()).or_default();
        let expected: Vec<Key> = waiting.iter().copied().take(max).collect();
        // A failing read may end a take early.
        if keys != expected && !(self.faulty && expected.starts_with(&keys)) {
            return Err(format!("took {keys:?}, expected {expected:?}"));
        }
        waiting.drain(..keys.len());
        if !keys.is_empty() {
            self.takes.push_back((name.to_owned(), keys, take));
        }
        Ok(())
    }

    fn commit(&mut self, count: Option<usize>, set: Option<Set>, weak: bool) -> Result<()> {
        let Some((name, mut keys, mut take)) = self.takes.pop_front() else { return Ok(()) };
        if let Some((owner, value)) = set {
            match value {
                Some(value) => take.set_position(owner, value),
                None => take.clear_position(owner),
            }
        }
        if weak {
            take.set_durability(Durability::Os);
        }
        let level = if weak { Durability::Os } else { self.config.take_durability };
        let healthy = self.store().stats().lanes.iter().position(|lane| lane.poisoned.is_none());
        let lane = healthy.map(|lane| u16::try_from(lane).expect("few lanes"));
        let done: Vec<Key> = keys.drain(..count.unwrap_or(keys.len()).min(keys.len())).collect();
        let result = take.commit_first(done.len());
        give_back(&mut self.live, &name, &keys);
        let what = What::Take(name.clone(), done.clone());
        let mut tx = Tx { what, positions: owned(set), acked: false, durable: false, lane };
        match result {
            Ok(()) => {
                tx.acked = true;
                self.acknowledged(tx, level);
                Ok(())
            }
            Err(_) if self.sim.is_killed() => {
                self.oracle.txs.push(tx);
                Ok(())
            }
            Err(TakeError::Indeterminate { source }) => {
                self.told.push(Told::TakeIndeterminate);
                self.oracle.txs.push(tx);
                self.expect_trouble(&source)
            }
            Err(TakeError::NotCommitted { source, .. }) => {
                self.told.push(Told::TakeNotCommitted);
                give_back(&mut self.live, &name, &done);
                if self.tight && !self.faulty {
                    return Err(format!("a take was not committed on a full disk: {source}"));
                }
                self.expect_trouble(&source)
            }
            Err(other) => Err(format!("the error of the commit is of the wrong kind: {other}")),
        }
    }

    fn close(&mut self) -> Result<()> {
        self.takes.clear();
        let result = self.store().close();
        let killed = self.sim.is_killed();
        self.drop_store();
        match result {
            Ok(()) => {
                if !killed {
                    self.oracle.make_durable(None);
                }
                Ok(())
            }
            Err(error) => {
                self.told.push(Told::Close);
                self.expect_trouble(&error)
            }
        }
    }

    /// An error is fine only if something was made to fail.
    fn expect_trouble(&self, error: &dyn std::fmt::Display) -> Result<()> {
        let expected = self.faulty || self.tight || self.sim.is_killed();
        if expected { Ok(()) } else { Err(format!("failed without a fault: {error}")) }
    }
}

pub(crate) fn give_back(live: &mut State, name: &str, keys: &[Key]) {
    let waiting = live.channels.entry(name.to_owned()).or_default();
    waiting.extend(keys);
    waiting.sort_unstable();
}

fn owned(set: Option<Set>) -> Vec<(String, Option<Vec<u8>>)> {
    set.map(|(owner, value)| (owner.to_owned(), value.map(|value| value.as_bytes().to_vec()))).into_iter().collect()
}
