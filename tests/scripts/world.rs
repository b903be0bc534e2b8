//! Runs a script on a simulated disk and keeps the oracle up to date, call by call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, OpRecord, SimVfs, Survive};
use aqueduct::{
    Channel, Durability, FileChannel, FileStore, FullReason, OpenError, PutBatch, PutError, PutTransaction, Receipt,
    StorageError, TakeError, TakeTransaction,
};

use super::oracle::{Key, Oracle, State, Tx, What};
use super::workload::{Config, Set, Step, Workload};

/// The simulated process and its disk.
pub(crate) struct World {
    pub(crate) sim: SimVfs,
    pub(crate) oracle: Oracle,
    pub(crate) config: Config,
    seed: u64,
    /// What the running process must show: the content without what is taken.
    pub(crate) live: State,
    pub(crate) takes: VecDeque<(String, Vec<Key>, TakeTransaction)>,
    /// Events of takes whose outcome is unknown: out of sight, and still counted.
    pub(crate) limbo: BTreeMap<String, Vec<Key>>,
    pub(crate) channels: BTreeMap<String, FileChannel>,
    pub(crate) store: Option<FileStore>,
    plan: Plan,
    /// Operations of earlier disks (a power cut begins a new one).
    pub(crate) ops_before: u64,
    trace_before: Vec<OpRecord>,
    pub(crate) tight: bool,
    /// The lanes of events, as far as they are known.
    lanes: BTreeMap<Key, u16>,
    /// A read has failed since the store was opened.
    unread: bool,
    /// What was called so far, and what the calls told.
    pub(crate) calls: Vec<Call>,
}

/// What fails, and when.
#[derive(Clone, Debug, Default)]
pub(crate) enum Plan {
    #[default]
    Nothing,
    /// This happens at the operation of this number, counted over all disks.
    At(u64, Fault),
    /// These happen, and the process goes on as its user would.
    Faults(Vec<Planned>),
}

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Number of the first operation that it can hit, counted over all disks.
    pub(crate) at: u64,
    pub(crate) fault: Fault,
    /// Only operations of this kind.
    pub(crate) kind: Option<OpKind>,
    /// Only this directory and what is below it.
    pub(crate) below: Option<String>,
    /// From then on all of them.
    pub(crate) sticky: bool,
}

/// A call and what it told.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: CallName,
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<StorageError>,
    /// The operations of it, on the disk of that time.
    pub(crate) ops: Range<u64>,
    /// The lanes that hold the events of a take.
    pub(crate) lanes: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallName {
    Open,
    Channel,
    Put,
    Take,
    Commit,
    Maintain,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Nothing happened.
    Refused,
    /// It may have happened or not.
    Unknown,
}

type Result<T> = std::result::Result<T, String>;

impl World {
    pub(crate) fn new(config: Config, plan: Plan) -> Self {
        let mut world = Self {
            sim: SimVfs::new(),
            oracle: Oracle { lanes: config.lanes, ..Oracle::default() },
            config,
            seed: 11,
            live: State::default(),
            takes: VecDeque::new(),
            limbo: BTreeMap::new(),
            channels: BTreeMap::new(),
            store: None,
            plan,
            ops_before: 0,
            trace_before: Vec::new(),
            tight: false,
            lanes: BTreeMap::new(),
            unread: false,
            calls: Vec::new(),
        };
        world.arm();
        world
    }

    /// Runs a workload until its end, or until the process is killed. `Err`: a promise was broken meanwhile.
    pub(crate) fn run(workload: &Workload, config: Config, plan: Plan) -> Result<Self> {
        let mut world = Self::new(config, plan);
        for (number, step) in workload.steps.iter().enumerate() {
            world.step(step).map_err(|error| format!("step {number} ({step:?}): {error}"))?;
            if world.sim.is_killed() {
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

    /// True if calls can fail and the process lives on.
    pub(crate) fn is_faulty(&self) -> bool {
        matches!(self.plan, Plan::Faults(_))
    }

    /// The faults are over: nothing fails any more, and there is room.
    pub(crate) fn repair(&mut self) {
        self.sim.clear_faults();
        self.sim.set_space(None);
        self.tight = false;
        if self.is_faulty() {
            self.plan = Plan::Faults(Vec::new());
        }
    }

    fn arm(&mut self) {
        match &self.plan {
            Plan::Nothing => {}
            Plan::At(n, fault) => {
                if let Some(skip) = n.checked_sub(self.ops_before) {
                    self.sim.inject(Inject::new(*fault).skip(skip));
                }
            }
            Plan::Faults(faults) => {
                for planned in faults.iter().filter(|planned| planned.sticky || planned.at >= self.ops_before) {
                    let mut rule = Inject::new(planned.fault).not_before(planned.at.saturating_sub(self.ops_before));
                    if let Some(kind) = planned.kind {
                        rule = rule.on(kind);
                    }
                    if let Some(below) = &planned.below {
                        rule = rule.path(format!("{below}*"));
                    }
                    self.sim.inject(if planned.sticky { rule.sticky() } else { rule });
                }
            }
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Open => self.open(),
            Step::Channel(name) => self.channel(name),
            Step::Put { shares, bytes, set, sync } => self.put(shares, *bytes, *set, *sync),
            Step::Group(channel, count, bytes) => self.group(channel, *count, *bytes),
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
                self.maintain();
                Ok(())
            }
            Step::Close => self.close(),
            Step::Drop => {
                self.drop_store();
                self.sim = self.next_disk(&CrashChoice::new(CrashMode::Kill, Survive::All));
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

    /// Notes what a call that began at operation `from` told.
    fn called(&mut self, name: CallName, from: u64, outcome: Outcome, error: Option<StorageError>) {
        self.calls.push(Call { name, outcome, error, ops: from..self.sim.op_count(), lanes: Vec::new() });
    }

    fn maintain(&mut self) {
        let from = self.sim.op_count();
        self.store().maintain();
        self.called(CallName::Maintain, from, Outcome::Done, None);
        let undisturbed = self.sim.ops_since(from).iter().all(|op| op.fault.is_none());
        if self.sim.is_killed() || !undisturbed || !matches!(self.config.durability, Durability::Interval(_)) {
            return;
        }
        let lanes = self.store().stats().lanes;
        let is_healthy = |lane: u16| lanes.get(usize::from(lane)).is_some_and(|lane| lane.poisoned.is_none());
        // What an interval was running for is synced, and with it all that was written to that lane before.
        let waits =
            |tx: &Tx| tx.acked && !tx.durable && matches!(tx.what, What::Put(_)) && tx.lane.is_some_and(is_healthy);
        while let Some(last) = self.oracle.txs.iter().rposition(waits) {
            let lane = self.oracle.txs[last].lane;
            let earlier = self.oracle.txs[..=last].iter_mut();
            earlier.filter(|tx| tx.acked && tx.lane == lane).for_each(|tx| tx.durable = true);
        }
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        self.seed += 1;
        let from = self.sim.op_count();
        match self.config.builder(&self.sim, self.seed).open() {
            Ok(store) => {
                self.called(CallName::Open, from, Outcome::Done, None);
                self.opened(store)
            }
            Err(error) => {
                self.expect_trouble(&error)?;
                let error = match error {
                    OpenError::Storage(error) => error,
                    OpenError::Locked(dir) => StorageError::io("lock", &dir, std::io::ErrorKind::WouldBlock.into()),
                    _ if self.sim.is_killed() => return Ok(()),
                    other => return Err(format!("the error of the open is of the wrong kind: {other}")),
                };
                self.called(CallName::Open, from, Outcome::Refused, Some(error));
                Ok(())
            }
        }
    }

    fn opened(&mut self, store: FileStore) -> Result<()> {
        if self.sim.is_killed() {
            return Ok(());
        }
        if let Some(damage) = store.recovery_report().lanes.iter().flat_map(|lane| &lane.damage).next() {
            return Err(format!("damage is reported: {damage:?}"));
        }
        let state = if self.is_faulty() {
            // Aside: reading here would meet the faults, and what is returned to its channel is not read again.
            let image = self.sim.crash(&CrashChoice::new(CrashMode::Kill, Survive::All));
            image.set_space(None);
            let aside = self.config.builder(&image, self.seed + 1000).open();
            self.oracle.observe(&aside.map_err(|error| format!("the open after a kill fails: {error}"))?)?
        } else {
            self.oracle.observe(&store)?
        };
        // The scripts lose unsynced data only by power cuts, and those lose less at most.
        if !self.oracle.allows(!self.is_faulty(), &state) {
            return Err(format!("found {state:?}"));
        }
        self.oracle.settle(state.clone());
        for name in state.channels.keys() {
            self.channels.insert(name.clone(), store.channel(name).map_err(|error| error.to_string())?);
        }
        self.live = state;
        self.limbo.clear();
        self.unread = false;
        self.store = Some(store);
        Ok(())
    }

    fn channel(&mut self, name: &'static str) -> Result<()> {
        if self.channels.contains_key(name) {
            return Ok(());
        }
        let from = self.sim.op_count();
        let result = self.store().channel(name);
        let tx = Tx {
            what: What::Channel(name.to_owned()),
            positions: Vec::new(),
            acked: result.is_ok(),
            durable: result.is_ok(),
            lane: None,
        };
        // Trying twice in vain is no more than trying once.
        let known = |known: &Tx| !known.acked && matches!(&known.what, What::Channel(other) if other == name);
        if tx.acked || !self.oracle.txs.iter().any(known) {
            self.oracle.txs.push(tx.clone());
        }
        match result {
            Ok(channel) => {
                self.called(CallName::Channel, from, Outcome::Done, None);
                self.live.apply(&tx);
                self.channels.insert(name.to_owned(), channel);
                Ok(())
            }
            Err(error) => {
                self.expect_trouble(&error)?;
                self.called(CallName::Channel, from, Outcome::Unknown, Some(error));
                Ok(())
            }
        }
    }

    fn begin_put(&self, names: &[&str]) -> Option<PutTransaction> {
        // None if a channel could not be created.
        let channels: Vec<&FileChannel> = names.iter().map(|name| self.channels.get(*name)).collect::<Option<_>>()?;
        Some(match channels.split_first()? {
            (first, []) => first.begin_put(),
            (first, others) => {
                let others: Vec<&dyn Channel> = others.iter().map(|other| *other as &dyn Channel).collect();
                first.begin_put_with(&others).expect("channels of one store")
            }
        })
    }

    fn put(&mut self, shares: &[(&[&'static str], usize)], bytes: usize, set: Option<Set>, sync: bool) -> Result<()> {
        let mut names: Vec<&str> = shares.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let Some(mut tx) = self.begin_put(&names) else { return Ok(()) };
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
        let level = if sync { Durability::Sync } else { self.config.durability };
        let record = Tx {
            what: What::Put(what.into_iter().collect()),
            positions: owned(set),
            acked: false,
            durable: false,
            lane: None,
        };
        let refused = self.submit(tx, &record, level)?;
        if let Some(batch) = refused.filter(|_| self.is_faulty()) {
            // As a user would: what came back is put again.
            let Some(mut tx) = self.begin_put(&names) else { return Ok(()) };
            tx.set_batch(batch);
            self.submit(tx, &record, level)?;
        }
        Ok(())
    }

    /// Commits a put. What was refused comes back.
    fn submit(&mut self, tx: PutTransaction, record: &Tx, level: Durability) -> Result<Option<PutBatch>> {
        let pushed = tx.events().to_vec();
        let from = self.sim.op_count();
        match tx.commit() {
            Ok(receipt) => {
                self.called(CallName::Put, from, Outcome::Done, None);
                self.accepted(record, &receipt, level);
                Ok(None)
            }
            Err(_) if self.sim.is_killed() => {
                self.oracle.txs.push(record.clone());
                Ok(None)
            }
            Err(PutError::Indeterminate { source }) => {
                self.expect_trouble(&source)?;
                self.called(CallName::Put, from, Outcome::Unknown, Some(source));
                self.oracle.txs.push(record.clone());
                Ok(None)
            }
            Err(error) => {
                self.expect_trouble(&error)?;
                let source = why_refused(&error)?;
                self.called(CallName::Put, from, Outcome::Refused, Some(source));
                let batch = error.into_batch().ok_or("the error gives no batch back")?;
                if batch.events() == pushed { Ok(Some(batch)) } else { Err("another batch came back".to_owned()) }
            }
        }
    }

    fn group(&mut self, name: &'static str, count: usize, bytes: usize) -> Result<()> {
        let from = self.sim.op_count();
        let mut tickets = Vec::new();
        for _ in 0..count {
            let Some(mut tx) = self.begin_put(&[name]) else { return Ok(()) };
            let (key, event) = self.oracle.event(bytes);
            tx.push(event.clone());
            let what = What::Put(vec![(name.to_owned(), vec![key])]);
            let record = Tx { what, positions: Vec::new(), acked: false, durable: false, lane: None };
            match tx.submit() {
                Ok(ticket) => tickets.push((record, event, Ok(ticket))),
                Err(error) => tickets.push((record, event, Err(error))),
            }
        }
        let mut told = (Outcome::Done, None);
        for (record, event, ticket) in tickets {
            let source = match ticket.and_then(aqueduct::PutTicket::wait) {
                Ok(receipt) => {
                    self.accepted(&record, &receipt, self.config.durability);
                    continue;
                }
                Err(PutError::Indeterminate { source }) => {
                    self.oracle.txs.push(record);
                    told.0 = Outcome::Unknown;
                    source
                }
                Err(error) => {
                    if self.sim.is_killed() {
                        self.oracle.txs.push(record);
                        continue;
                    }
                    if told.0 == Outcome::Done {
                        told.0 = Outcome::Refused;
                    }
                    let source = why_refused(&error)?;
                    if error.into_batch().is_none_or(|batch| batch.events() != [event]) {
                        return Err("another batch came back".to_owned());
                    }
                    source
                }
            };
            self.expect_trouble(&source)?;
            told.1.get_or_insert(source);
        }
        self.called(CallName::Put, from, told.0, told.1);
        Ok(())
    }

    fn accepted(&mut self, record: &Tx, receipt: &Receipt, level: Durability) {
        let lane = receipt.first.map(|id| id.lane);
        if let (What::Put(shares), Some(lane)) = (&record.what, lane) {
            self.lanes.extend(shares.iter().flat_map(|(_, keys)| keys).map(|key| (*key, lane)));
        }
        self.acknowledged(Tx { acked: true, lane, ..record.clone() }, level);
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

    pub(crate) fn take(&mut self, name: &str, max: usize) -> Result<()> {
        let Some(channel) = self.channels.get(name) else { return Ok(()) };
        let from = self.sim.op_count();
        let take = match channel.take(max, aqueduct::Wait::NONE) {
            Ok(take) => take,
            Err(error) => {
                self.expect_trouble(&error)?;
                let TakeError::Storage { source, .. } = error else {
                    return Err(format!("the error of the take is of the wrong kind: {error}"));
                };
                if matches!(source, StorageError::Poisoned { .. }) && !self.owed(name).is_empty() {
                    return Err(format!("the take failed although {:?} could be had: {source}", self.owed(name)));
                }
                self.called(CallName::Take, from, Outcome::Refused, Some(source));
                return Ok(());
            }
        };
        self.called(CallName::Take, from, Outcome::Done, None);
        let keys: Vec<Key> = take.iter().map(|event| self.oracle.key_of(event)).collect::<Result<_>>()?;
        let waiting = self.live.channels.entry(name.to_owned()).or_default();
        let store = self.store.as_ref().expect("the channel is the store's");
        let withheld = withheld(waiting, &keys, &self.lanes, &self.oracle, store);
        let expected: Vec<Key> = waiting.iter().copied().filter(|key| !withheld.contains(key)).take(max).collect();
        let disturbed = self.sim.ops_since(from).iter().any(|op| op.fault.is_some());
        self.unread |= disturbed;
        for (index, key) in keys.iter().enumerate() {
            self.lanes.insert(*key, take.id(index).ok_or("an event without identity")?.lane);
        }
        if keys != expected {
            // A lane that cannot be read does not stop the others, so from then on only each of them keeps its order. A
            // failure ends a take early, too.
            let whole = keys.len() == expected.len() || (disturbed && !keys.is_empty());
            let lanes = &self.lanes;
            let overtakes = |(at, key): (usize, &Key)| {
                let before = waiting.iter().filter(|other| *other < key && lanes.get(other) == lanes.get(key));
                { before }.any(|other| !keys[..at].contains(other))
            };
            let is_waiting = keys.iter().all(|key| waiting.contains(key));
            if !self.unread || !whole || !is_waiting || keys.iter().enumerate().any(overtakes) {
                return Err(format!("took {keys:?}, expected {expected:?}"));
            }
        }
        waiting.retain(|key| !keys.contains(key));
        if !keys.is_empty() {
            self.takes.push_back((name.to_owned(), keys, take));
        }
        Ok(())
    }

    /// The events of a channel that a take of all would have to bring.
    pub(crate) fn owed(&self, name: &str) -> Vec<Key> {
        let waiting = self.live.channels.get(name).cloned().unwrap_or_default();
        let withheld = withheld(&waiting, &[], &self.lanes, &self.oracle, self.store());
        waiting.into_iter().filter(|key| !withheld.contains(key)).collect()
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
        let mut lanes: Vec<u16> = (0..take.len()).filter_map(|index| Some(take.id(index)?.lane)).collect();
        lanes.dedup();
        let done: Vec<Key> = keys.drain(..count.unwrap_or(keys.len()).min(keys.len())).collect();
        let from = self.sim.op_count();
        let result = take.commit_first(done.len());
        give_back(&mut self.live, &name, &keys);
        let lane = self.lane_written_since(from);
        let what = What::Take(name.clone(), done.clone());
        let mut tx = Tx { what, positions: owned(set), acked: false, durable: false, lane };
        let (outcome, source) = match result {
            Ok(()) => {
                tx.acked = true;
                self.acknowledged(tx, level);
                (Outcome::Done, None)
            }
            Err(_) if self.sim.is_killed() => {
                self.oracle.txs.push(tx);
                return Ok(());
            }
            Err(TakeError::Indeterminate { source }) => {
                self.oracle.txs.push(tx);
                self.limbo.entry(name).or_default().extend(done);
                (Outcome::Unknown, Some(source))
            }
            Err(TakeError::NotCommitted { source, .. }) => {
                give_back(&mut self.live, &name, &done);
                if self.tight && !self.is_faulty() {
                    return Err(format!("a take was not committed on a full disk: {source}"));
                }
                (Outcome::Refused, Some(source))
            }
            Err(other) => return Err(format!("the error of the commit is of the wrong kind: {other}")),
        };
        self.called(CallName::Commit, from, outcome, source.clone());
        self.calls.last_mut().expect("just pushed").lanes = lanes;
        source.map_or(Ok(()), |source| self.expect_trouble(&source))
    }

    /// The lane whose log the last write went to.
    fn lane_written_since(&self, from: u64) -> Option<u16> {
        let ops = self.sim.ops_since(from);
        let written = ops.iter().rev().find(|op| op.kind == OpKind::Write && op.error.is_none())?;
        self.config.lane_of(&written.path)
    }

    fn close(&mut self) -> Result<()> {
        self.takes.clear();
        let from = self.sim.op_count();
        let result = self.store().close();
        let killed = self.sim.is_killed();
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Unknown };
        self.called(CallName::Close, from, outcome, result.clone().err());
        self.drop_store();
        match result {
            Ok(()) => {
                if !killed {
                    self.oracle.make_durable(None);
                }
                Ok(())
            }
            Err(error) => self.expect_trouble(&error),
        }
    }

    /// An error is fine only if something was made to fail.
    fn expect_trouble(&self, error: &dyn std::fmt::Display) -> Result<()> {
        let expected = self.is_faulty() || self.tight || self.sim.is_killed();
        if expected { Ok(()) } else { Err(format!("failed without a fault: {error}")) }
    }
}

fn why_refused(error: &PutError) -> Result<StorageError> {
    match error {
        PutError::Full { reason: FullReason::Disk, .. } => Ok(StorageError::DiskFull { path: "disk".into() }),
        PutError::NotCommitted { source, .. } => Ok(source.clone()),
        other => Err(format!("the error of the put is of the wrong kind: {other}")),
    }
}

/// What a take that got `keys` of `waiting` may leave behind although it is older: what a lane that takes no more writes may lose,
/// unless it got something of that lane behind it.
fn withheld(
    waiting: &[Key],
    keys: &[Key],
    lanes: &BTreeMap<Key, u16>,
    oracle: &Oracle,
    store: &FileStore,
) -> BTreeSet<Key> {
    let stats = store.stats().lanes;
    let is_poisoned = |lane: &u16| stats.get(usize::from(*lane)).is_some_and(|lane| lane.poisoned.is_some());
    let puts = oracle.txs.iter().filter(|tx| tx.acked && !tx.durable && tx.lane.as_ref().is_some_and(is_poisoned));
    let at_risk = puts.flat_map(|tx| match &tx.what {
        What::Put(shares) => shares.iter().flat_map(|(_, keys)| keys.iter().copied()).collect(),
        _ => Vec::new(),
    });
    let at_risk: BTreeSet<Key> = at_risk.collect();
    let is_left = |key: &Key| at_risk.contains(key) && !keys.contains(key);
    let follows = |key: &Key| keys.iter().any(|taken| taken > key && lanes.get(taken) == lanes.get(key));
    waiting.iter().copied().filter(|key| is_left(key) && !follows(key)).collect()
}

pub(crate) fn give_back(live: &mut State, name: &str, keys: &[Key]) {
    let waiting = live.channels.entry(name.to_owned()).or_default();
    waiting.extend(keys);
    waiting.sort_unstable();
}

fn owned(set: Option<Set>) -> Vec<(String, Option<Vec<u8>>)> {
    set.map(|(owner, value)| (owner.to_owned(), value.map(|value| value.as_bytes().to_vec()))).into_iter().collect()
}
