//! A store on a simulated disk, its model, and the steps that both take.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aqueduct::clock::StepClock;
use aqueduct::store::{FileStore, FileStoreBuilder, OpenError, ReadMode};
use aqueduct::testing::Random;
use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, Sector, SimVfs, Survive};
use aqueduct::{
    Channel, Durability, Event, FileChannel, FullReason, PutError, PutTicket, TakeError, TakeTransaction, Wait,
};

use crate::Counts;
use crate::model::{Id, Model, Position, Put, Take};

const CHANNELS: usize = 3;
const OWNERS: usize = 4;
const EIO: i32 = 5;
const OPEN_FAULTS: [OpKind; 7] =
    [OpKind::Open, OpKind::Create, OpKind::Read, OpKind::Write, OpKind::SyncData, OpKind::Rename, OpKind::Remove];

/// A step, and random bits that say more of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action {
    kind: Kind,
    bits: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Tickets,
    Take,
    Commit,
    CommitFirst,
    Rollback,
    Maintain,
    Crash,
    Close,
    Drop,
    Fault,
    Space,
}

impl Action {
    pub(crate) fn choose(random: &mut Random) -> Self {
        let kind = match random.below(100) {
            0..=29 => Kind::Put,
            30..=37 => Kind::Tickets,
            38..=54 => Kind::Take,
            55..=68 => Kind::Commit,
            69..=74 => Kind::CommitFirst,
            75..=80 => Kind::Rollback,
            81..=88 => Kind::Maintain,
            89..=92 => Kind::Crash,
            93 => Kind::Close,
            94 | 95 => Kind::Drop,
            96 | 97 => Kind::Fault,
            _ => Kind::Space,
        };
        Self { kind, bits: random.next_u64() }
    }
}

struct Open {
    channel: usize,
    ids: Vec<Id>,
    take: TakeTransaction,
}

#[derive(Clone, Copy)]
struct Settings {
    dirs: u64,
    durability: Durability,
    take_durability: Durability,
    capacity: u64,
}

pub(crate) struct World<'a> {
    disk: SimVfs,
    store: Option<FileStore>,
    channels: Vec<FileChannel>,
    settings: Settings,
    model: Model,
    open: Vec<Open>,
    /// Events of takes that did not tell: out of sight, and still counted.
    limbo: Vec<Vec<Id>>,
    /// Something may fail in this life.
    faulty: bool,
    /// The disk was full, or nearly.
    tight: bool,
    next: Id,
    seed: u64,
    counts: &'a mut Counts,
    /// By identity: each is asked for after every step.
    sizes: RefCell<HashMap<Id, u64>>,
}

type Result<T = ()> = std::result::Result<T, String>;

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, counts: &'a mut Counts) -> Result<Self> {
        let settings =
            Settings { dirs: 1, durability: Durability::Sync, take_durability: Durability::Sync, capacity: 1000 };
        let model = Model::new(CHANNELS);
        let mut world = Self {
            disk: SimVfs::new(),
            store: None,
            channels: Vec::new(),
            settings,
            model,
            open: Vec::new(),
            limbo: vec![Vec::new(); CHANNELS],
            faulty: false,
            tight: false,
            next: 1,
            seed,
            counts,
            sizes: RefCell::default(),
        };
        world.reopen(&mut Random::new(seed), false)?;
        Ok(world)
    }

    pub(crate) fn step(&mut self, action: Action) -> Result {
        let mut random = Random::new(action.bits);
        match action.kind {
            Kind::Put => self.put(1, &mut random)?,
            // A put that finds the disk full tries again when it is waited for, and so gets behind later ones.
            Kind::Tickets => self.put(if self.tight { 1 } else { 2 + random.below(3) }, &mut random)?,
            Kind::Take => self.take(&mut random)?,
            Kind::Commit | Kind::CommitFirst | Kind::Rollback => self.end_take(action.kind, &mut random)?,
            Kind::Maintain => {
                self.count("maintain");
                self.store().maintain();
            }
            Kind::Crash => self.crash(&mut random)?,
            Kind::Close => self.close(&mut random)?,
            Kind::Drop => {
                self.count("drop");
                self.let_go();
                let risky = self.faulty;
                self.reopen(&mut random, risky)?;
            }
            Kind::Fault => self.fault(&mut random),
            Kind::Space => {
                self.faulty = true;
                self.tight = true;
                let free = (!random.one_in(3)).then(|| random.below(64) * 1024);
                self.count("space");
                self.disk.set_space(free);
            }
        }
        self.check_stats()
    }

    /// Once faults have stopped, the store works again and is as the model says.
    pub(crate) fn finish(&mut self) -> Result {
        let mut random = Random::new(self.seed);
        self.let_go();
        let risky = self.faulty;
        self.reopen(&mut random, risky)?;
        self.disk.clear_faults();
        self.faulty = false;
        self.settings.capacity = u64::MAX;
        self.channels.iter().for_each(|channel| channel.set_capacity(u64::MAX, u64::MAX));
        self.put(1, &mut random)?;
        self.check_stats()
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn store(&self) -> &FileStore {
        self.store.as_ref().expect("a store between two steps")
    }

    /// Lets go of everything without a close.
    fn let_go(&mut self) {
        self.open.clear();
        self.channels.clear();
        self.store = None;
        self.limbo.iter_mut().for_each(Vec::clear);
    }

    fn builder(&self, random: &mut Random) -> FileStoreBuilder {
        let pick = |random: &mut Random, values: &[u64]| values[random.index(values.len())];
        let mut builder = FileStore::builder("/store")
            .vfs(Arc::new(self.disk.clone()))
            .clock(Arc::new(StepClock::new()))
            .seed(random.next_u64())
            .background(false)
            .put_wait(Wait::NONE)
            .durability(self.settings.durability)
            .take_durability(self.settings.take_durability)
            .capacity_events(self.settings.capacity)
            .segment_bytes(pick(random, &[4 << 10, 8 << 10, 32 << 10]))
            .replay_bytes_max(pick(random, &[1 << 10, 16 << 10]))
            .tail_cache_bytes(pick(random, &[0, 1000, 1 << 20]))
            .unsynced_bytes_max(pick(random, &[2000, 1 << 20]))
            .read_mode(if random.one_in(3) { ReadMode::Mmap } else { ReadMode::Pread });
        for dir in 0..self.settings.dirs {
            builder = builder.data_dir(format!("/data{dir}"));
        }
        builder
    }

    /// Opens the store, sometimes after failures, and settles what could go either way.
    fn reopen(&mut self, random: &mut Random, mut risky: bool) -> Result {
        self.disk.clear_faults();
        self.disk.set_space(None);
        let level = |random: &mut Random| if random.one_in(3) { Durability::Os } else { Durability::Sync };
        self.settings.durability = level(random);
        self.settings.take_durability = level(random);
        self.settings.capacity = [20, 100, 10_000][random.index(3)];
        self.settings.dirs = (self.settings.dirs + u64::from(random.one_in(8))).min(3);
        let mut mode = CrashMode::Kill;
        for _ in 0..random.below(3) {
            // Failures and crashes in the open itself, and then once more.
            if random.one_in(2) {
                self.count("open with a fault");
                // A failed sync of a directory is left out: it drops names for good, which no later sync repairs.
                let rule = OPEN_FAULTS.iter().fold(Inject::new(Fault::Errno(EIO)), |rule, kind| rule.on(*kind));
                self.disk.inject(rule.skip(random.below(60)));
            } else {
                self.count("open with a kill");
                self.disk.inject(Inject::new(Fault::Kill).skip(random.below(60)));
                mode = CrashMode::ALL[random.index(4)];
            }
            match self.builder(random).open() {
                Ok(store) => drop(store),
                Err(OpenError::Storage(_)) => {}
                Err(error) => return Err(format!("open with a fault: {error}")),
            }
            // A sync that failed in an open, or a power cut, may lose what was never durable for sure.
            risky = true;
            self.disk = self.disk.crash(&choice(mode, random));
        }
        self.faulty = false;
        self.tight = false;
        let store = self.builder(random).open().map_err(|error| format!("open: {error}"))?;
        if let Some(lane) = store.recovery_report().lanes.iter().find(|lane| !lane.damage.is_empty()) {
            return Err(format!("damage reported: {lane:?}"));
        }
        let names = (0..CHANNELS).map(|number| format!("c{number}"));
        self.channels = names.map(|name| store.channel(&name)).collect::<std::result::Result<_, _>>().map_err(text)?;
        self.store = Some(store);
        let mut found = Vec::new();
        for channel in &self.channels {
            let (mut ids, mut takes) = (Vec::new(), Vec::new());
            loop {
                let take = channel.take(17, Wait::NONE).map_err(text)?;
                if take.is_empty() {
                    break;
                }
                for event in &take {
                    ids.push(identify(event)?);
                }
                takes.push(take);
            }
            found.push(ids);
        }
        let positions = (0..OWNERS).map(|owner| (owner, self.position(owner))).collect();
        self.model.settle(&found, &positions, risky)
    }

    fn position(&self, owner: usize) -> Option<String> {
        let value = self.channels[0].position(&format!("owner{owner}"))?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn crash(&mut self, random: &mut Random) -> Result {
        let mode = CrashMode::ALL[random.index(4)];
        self.count(match mode {
            CrashMode::Kill => "kill",
            CrashMode::Journaled => "power cut, journaled",
            CrashMode::Posix => "power cut",
            _ => "power cut with garbage",
        });
        let risky = self.faulty || mode != CrashMode::Kill;
        let disk = self.disk.crash(&choice(mode, random));
        self.let_go();
        self.disk = disk;
        self.reopen(random, risky)
    }

    fn close(&mut self, random: &mut Random) -> Result {
        self.count("close");
        self.open.clear();
        let result = self.store().close();
        if let Err(error) = &result
            && !self.faulty
        {
            return Err(format!("close: {error}"));
        }
        self.let_go();
        if result.is_ok() && random.one_in(2) {
            self.disk = self.disk.crash(&choice(CrashMode::ALL[random.index(4)], random));
        }
        let risky = self.faulty && result.is_err();
        self.reopen(random, risky)
    }

    fn fault(&mut self, random: &mut Random) {
        self.count("fault");
        self.faulty = true;
        let kinds = [OpKind::Write, OpKind::SyncData, OpKind::SyncDir, OpKind::Create, OpKind::Rename, OpKind::Remove];
        let mut rule = Inject::new(Fault::Errno(EIO)).skip(random.below(6));
        if random.one_in(4) {
            rule = Inject::new(Fault::Short(random.index(100))).on(OpKind::Write);
        } else if random.one_in(3) {
            rule = rule.on(OpKind::Read);
        } else {
            rule = rule.on(kinds[random.index(kinds.len())]);
        }
        self.disk.inject(rule);
    }

    fn depth(&self, channel: usize) -> u64 {
        (self.model.live[channel].len() + self.limbo[channel].len()) as u64
    }

    fn size_bytes(&self, id: Id) -> u64 {
        *self.sizes.borrow_mut().entry(id).or_insert_with(|| event(id).size_bytes())
    }

    fn check_stats(&self) -> Result {
        for (number, channel) in self.channels.iter().enumerate() {
            let stats = channel.stats();
            let limbo = &self.limbo[number];
            let bytes: u64 = self.model.live[number].iter().chain(limbo).map(|id| self.size_bytes(*id)).sum();
            let open = self.open.iter().filter(|open| open.channel == number).map(|open| open.ids.len()).sum::<usize>();
            let expected = (self.depth(number), bytes, (open + limbo.len()) as u64, 0);
            let actual = (stats.depth_events, stats.depth_bytes, stats.in_flight_events, stats.lost_events);
            if actual != expected {
                return Err(format!(
                    "channel {number}: depth, bytes, in flight, lost are {actual:?}, not {expected:?}"
                ));
            }
        }
        for owner in 0..OWNERS {
            let (actual, expected) = (self.position(owner), self.model.positions.get(&owner).cloned().flatten());
            if actual != expected {
                return Err(format!("the position of {owner} is {actual:?}, not {expected:?}"));
            }
        }
        Ok(())
    }

    /// Whether there is room for a put beside what is there and the events of `pending`, by channel.
    fn fits(&self, put: &Put, pending: &BTreeMap<usize, u64>) -> bool {
        put.ids.iter().all(|(channel, ids)| {
            self.depth(*channel) + pending.get(channel).unwrap_or(&0) + ids.len() as u64 <= self.settings.capacity
        })
    }

    fn put(&mut self, count: u64, random: &mut Random) -> Result {
        let mut flying: Vec<(PutTicket, Put)> = Vec::new();
        for _ in 0..count {
            let mut put = self.plan(random);
            let mut pending = BTreeMap::new();
            for (_, other) in &flying {
                other.ids.iter().for_each(|(channel, ids)| *pending.entry(*channel).or_insert(0) += ids.len() as u64);
            }
            let fits = self.fits(&put, &pending);
            match self.submit(&put) {
                Ok(_) if !fits && !self.faulty => return Err(format!("more than the capacity was accepted: {put:?}")),
                Ok(ticket) => {
                    put.order = self.model.next_order();
                    if !fits {
                        // One whose position is in another lane has those before it written, and one that failed then has
                        // given its room back.
                        for (ticket, put) in flying.drain(..) {
                            self.returned(ticket.wait(), put)?;
                        }
                        if !self.fits(&put, &BTreeMap::new()) {
                            return Err(format!("more than the capacity was accepted: {put:?}"));
                        }
                        self.count("put in the room of a failed one");
                    }
                    flying.push((ticket, put));
                }
                Err(PutError::Full { reason: FullReason::Events, .. } | PutError::TooLarge { .. }) if !fits => {
                    self.count("put refused");
                }
                Err(PutError::NotCommitted { .. } | PutError::Full { reason: FullReason::Disk, .. }) if self.faulty => {
                    self.count("put refused");
                }
                Err(error) => return Err(format!("put: {error}")),
            }
        }
        for (ticket, put) in flying {
            self.returned(ticket.wait(), put)?;
        }
        Ok(())
    }

    fn returned(&mut self, outcome: std::result::Result<aqueduct::Receipt, PutError>, mut put: Put) -> Result {
        match outcome {
            Ok(receipt) => {
                self.count("put");
                put.returned = true;
                put.lane = receipt.first.map(|id| id.lane);
                for (channel, id) in put.all() {
                    self.model.live[channel].insert(id);
                }
                if let Some((owner, value)) = put.position.clone() {
                    self.model.positions.insert(owner, value);
                }
                if self.settings.durability == Durability::Sync {
                    self.model.settle_position(&put.position, put.order);
                    put.lane.into_iter().for_each(|lane| self.model.lane_synced(lane));
                } else {
                    self.model.puts.push(put);
                }
            }
            Err(PutError::Indeterminate { .. }) if self.faulty => {
                self.count("put unknown");
                self.model.puts.push(put);
            }
            Err(PutError::NotCommitted { .. } | PutError::Full { reason: FullReason::Disk, .. }) if self.faulty => {
                self.count("put refused");
            }
            Err(error) => return Err(format!("put: {error}")),
        }
        Ok(())
    }

    /// What to put where.
    fn plan(&mut self, random: &mut Random) -> Put {
        let position = random.one_in(3).then(|| {
            let value = (!random.one_in(4)).then(|| self.next.to_string());
            (random.index(OWNERS), value)
        });
        let mut ids: BTreeMap<usize, Vec<Id>> = BTreeMap::new();
        let fan_out = random.one_in(3);
        let count = if position.is_some() && random.one_in(4) { 0 } else { 1 + random.below(8) };
        let channel = random.index(CHANNELS);
        for _ in 0..count {
            let chosen = if fan_out { 1 + random.below((1 << CHANNELS) - 1) } else { 1 << channel };
            for channel in (0..CHANNELS).filter(|channel| chosen >> channel & 1 == 1) {
                ids.entry(channel).or_default().push(self.next);
            }
            self.next += 1;
        }
        Put { ids, lane: None, position, returned: false, order: 0 }
    }

    fn submit(&self, put: &Put) -> std::result::Result<PutTicket, PutError> {
        let mut by_id: BTreeMap<Id, Vec<usize>> = BTreeMap::new();
        put.all().for_each(|(channel, id)| by_id.entry(id).or_default().push(channel));
        let owner = |owner: usize| format!("owner{owner}");
        if put.ids.len() <= 1 {
            let channel = put.ids.keys().next().copied().unwrap_or(0);
            let mut txn = self.channels[channel].begin_put();
            by_id.keys().for_each(|id| txn.push(event(*id)));
            match put.position.clone() {
                Some((number, Some(value))) => txn.set_position(owner(number), value),
                Some((number, None)) => txn.clear_position(owner(number)),
                None => {}
            }
            return txn.submit();
        }
        let mut txn = self.store().begin_put();
        for (id, channels) in &by_id {
            let channels: Vec<&FileChannel> = channels.iter().map(|channel| &self.channels[*channel]).collect();
            txn.push_to(&channels, event(*id));
        }
        match put.position.clone() {
            Some((number, Some(value))) => txn.set_position(owner(number), value),
            Some((number, None)) => txn.clear_position(owner(number)),
            None => {}
        }
        txn.submit()
    }

    fn take(&mut self, random: &mut Random) -> Result {
        let channel = random.index(CHANNELS);
        if self.open.len() >= 5 {
            return Ok(());
        }
        let max = 1 + random.index(20);
        let busy: BTreeSet<Id> =
            self.open.iter().filter(|open| open.channel == channel).flat_map(|open| open.ids.clone()).collect();
        let expected: Vec<Id> = self.model.live[channel].difference(&busy).copied().take(max).collect();
        let take = match self.channels[channel].take(max, Wait::NONE) {
            Ok(take) => take,
            Err(TakeError::Storage { .. }) if self.faulty => return Ok(()),
            Err(error) => return Err(format!("take: {error}")),
        };
        self.count("take");
        let ids: Vec<Id> = take.iter().map(identify).collect::<Result<_>>()?;
        // A lane that cannot be read does not stop the others, so after a failure only the order within each is certain.
        let mut by_lane: BTreeMap<u16, Vec<Id>> = BTreeMap::new();
        for (index, id) in ids.iter().enumerate() {
            by_lane.entry(take.id(index).ok_or("an event without identity")?.lane).or_default().push(*id);
        }
        let in_order = by_lane.values().all(|ids| ids.is_sorted_by(|a, b| a < b));
        let passes = in_order && ids.iter().all(|id| self.model.live[channel].contains(id) && !busy.contains(id));
        if ids != expected && !(self.faulty && passes) {
            return Err(format!("channel {channel}: a take of {max} got {ids:?}, not {expected:?}"));
        }
        if !ids.is_empty() {
            self.open.push(Open { channel, ids, take });
        }
        Ok(())
    }

    fn end_take(&mut self, kind: Kind, random: &mut Random) -> Result {
        if self.open.is_empty() {
            return Ok(());
        }
        let Open { channel, mut ids, mut take } = self.open.swap_remove(random.index(self.open.len()));
        if matches!(kind, Kind::Rollback) {
            self.count("rollback");
            if random.one_in(2) {
                take.rollback();
            }
            return Ok(());
        }
        let position: Position = random.one_in(3).then(|| {
            self.next += 1;
            (random.index(OWNERS), (!random.one_in(4)).then(|| self.next.to_string()))
        });
        match position.clone() {
            Some((owner, Some(value))) => take.set_position(format!("owner{owner}"), value),
            Some((owner, None)) => take.clear_position(format!("owner{owner}")),
            None => {}
        }
        if matches!(kind, Kind::CommitFirst) {
            ids.truncate(1 + random.index(ids.len()));
        }
        let order = self.model.next_order();
        match take.commit_first(ids.len()) {
            Ok(()) => {
                self.count("take committed");
                self.model.live[channel].retain(|id| !ids.contains(id));
                if let Some((owner, value)) = position.clone() {
                    self.model.positions.insert(owner, value);
                }
                if self.settings.take_durability == Durability::Sync {
                    self.model.settle_position(&position, order);
                } else {
                    self.model.takes.push(Take { channel, ids, position, returned: true, order });
                }
            }
            Err(TakeError::NotCommitted { .. }) if self.faulty => self.count("take refused"),
            Err(TakeError::Indeterminate { .. }) if self.faulty => {
                self.count("take unknown");
                self.model.live[channel].retain(|id| !ids.contains(id));
                self.limbo[channel].extend(&ids);
                self.model.takes.push(Take { channel, ids, position, returned: false, order });
            }
            Err(error) => return Err(format!("commit of a take: {error}")),
        }
        Ok(())
    }
}

fn choice(mode: CrashMode, random: &mut Random) -> CrashChoice {
    let survive = match random.below(8) {
        0 => Survive::Nothing,
        1 => Survive::All,
        2 => Survive::Prefix(random.index(40)),
        3 => Survive::Torn(random.index(40)),
        4 => Survive::NoNames,
        _ => Survive::Random(random.next_u64()),
    };
    let sector = if random.one_in(3) { Sector::Bytes4096 } else { Sector::Bytes512 };
    CrashChoice::new(mode, survive).sector(sector).garbage(random.next_u64())
}

/// The event with an identity.
fn event(id: Id) -> Event {
    let mut random = Random::new(id);
    let filler = if random.one_in(30) { 3000 } else { random.below(120) };
    let mut body = format!("{id}|").into_bytes();
    body.extend((0..filler).map(|_| random.next_u64().to_le_bytes()[0]));
    let event = Event::new(body);
    if random.one_in(4) { event.with_header("id", &id.to_string()).expect("a small header") } else { event }
}

fn identify(found: &Event) -> Result<Id> {
    let text = found.body().split(|byte| *byte == b'|').next().unwrap_or_default();
    let id = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let id = id.ok_or_else(|| format!("an event that was never put: {found:?}"))?;
    if event(id) == *found { Ok(id) } else { Err(format!("event {id} is not what was put: {found:?}")) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
