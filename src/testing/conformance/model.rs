//! Random steps on a channel and on a model of it, compared after each step.
//!
//! The model is what the contract says in a few lines: events in order, a list of open takes, a map of positions.
//! For a durable channel the steps include opening it again.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::support::{Subject, bodies_of, ids_of};
use super::{ChannelFactory, ChannelSetup};
use crate::batch::PutBatch;
use crate::channel::{Channel, TakeTransaction};
use crate::error::PutError;
use crate::event::{Event, EventId};
use crate::stats::ChannelStats;
use crate::testing::Random;
use crate::wait::Wait;

/// What to run.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they are run"]
pub struct ModelOptions {
    seed: u64,
    steps: u64,
    setup: ChannelSetup,
    reopen_one_in: u64,
}

impl ModelOptions {
    /// 1000 steps on a channel with room for 60 events or 2000 bytes, repeatable from the seed. A durable channel is
    /// opened again in one of 20 steps.
    pub fn new(seed: u64) -> Self {
        let setup = ChannelSetup { capacity_events: 60, capacity_bytes: 2000, ..ChannelSetup::default() };
        Self { seed, steps: 1000, setup, reopen_one_in: 20 }
    }

    /// How many steps.
    pub fn steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// How the channel is set up. The wait is not used: no put of a single thread can wait for room.
    pub fn setup(mut self, setup: ChannelSetup) -> Self {
        self.setup = setup;
        self
    }

    /// Opens a durable channel again in one of so many steps; 0 is never.
    pub fn reopen_one_in(mut self, steps: u64) -> Self {
        self.reopen_one_in = steps;
        self
    }
}

/// What happened, to see that a run covered something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelReport {
    /// Events that were put.
    pub put_events: u64,
    /// Puts that found no room.
    pub full: u64,
    /// Puts that were too large.
    pub too_large: u64,
    /// Events whose take was committed.
    pub taken_events: u64,
    /// Takes that were rolled back.
    pub rollbacks: u64,
    /// Times that the channel was opened again.
    pub reopens: u64,
}

/// Runs random steps on a new channel of the factory.
///
/// # Panics
/// If the channel does something else than the model; the message has the seed and the step.
pub fn run(factory: &dyn ChannelFactory, options: &ModelOptions) -> ModelReport {
    let setup = ChannelSetup { put_wait: Wait::NONE, ..options.setup.clone() };
    let mut run = Run {
        random: Random::new(options.seed),
        subject: Subject::with(factory, setup.clone()),
        setup,
        context: String::new(),
        waiting: BTreeMap::new(),
        open: Vec::new(),
        positions: BTreeMap::new(),
        ids: BTreeMap::new(),
        next: 0,
        counts: ChannelStats::default(),
        report: ModelReport::default(),
    };
    for step in 0..options.steps {
        run.context = format!("AQUEDUCT_SEED={} step {step}", options.seed);
        if factory.is_durable() && options.reopen_one_in > 0 && run.random.one_in(options.reopen_one_in) {
            run.reopen();
        } else {
            run.step();
        }
        run.compare();
    }
    run.context = format!("AQUEDUCT_SEED={} at the end", options.seed);
    run.finish();
    run.report
}

/// An event by its place in the order of puts.
type Number = u64;

struct OpenTake {
    take: TakeTransaction,
    numbers: Vec<Number>,
}

struct Run<'f> {
    random: Random,
    subject: Subject<'f>,
    setup: ChannelSetup,
    // Seed and step, for messages.
    context: String,
    waiting: BTreeMap<Number, Event>,
    open: Vec<OpenTake>,
    positions: BTreeMap<String, Bytes>,
    ids: BTreeMap<Number, EventId>,
    next: Number,
    counts: ChannelStats,
    report: ModelReport,
}

impl Run<'_> {
    fn step(&mut self) {
        match self.random.below(12) {
            0..=3 => self.put(),
            4..=6 => self.take(),
            7 | 8 => self.commit(),
            9 => self.commit_first(),
            _ => self.rollback(),
        }
    }

    fn put(&mut self) {
        let count = if self.random.one_in(8) { self.random.below(80) } else { self.random.below(12) };
        let events: Vec<Event> = (0..count).map(|_| self.event()).collect();
        let batch = PutBatch::new(events.clone());
        let bytes = batch.size_bytes();
        let mut tx = self.subject.begin_put();
        tx.set_batch(batch);
        let mut positions = self.positions.clone();
        if self.random.one_in(3) {
            let owner = format!("owner {}", self.random.below(4));
            if self.random.one_in(4) {
                tx.clear_position(owner.clone());
                positions.remove(&owner);
            } else {
                let position = Bytes::from(self.random.next_u64().to_le_bytes().to_vec());
                tx.set_position(owner.clone(), position.clone());
                positions.insert(owner, position);
            }
        }
        self.counts.put_attempt_events += count;
        let (depth, depth_bytes) = self.depth();
        let is_too_large = count > self.setup.capacity_events || bytes > self.setup.capacity_bytes;
        let has_room = count == 0
            || depth + count <= self.setup.capacity_events && depth_bytes + bytes <= self.setup.capacity_bytes;
        match tx.commit() {
            Ok(receipt) => {
                assert!(has_room && !is_too_large, "{}: a put was accepted beyond the capacity", self.context);
                assert_eq!(receipt.events, count, "{}", self.context);
                self.counts.put_success_events += count;
                self.report.put_events += count;
                self.positions = positions;
                for event in events {
                    self.waiting.insert(self.next, event);
                    self.next += 1;
                }
            }
            Err(PutError::Full { batch, .. }) => {
                assert!(!has_room && !is_too_large, "{}: `Full` with room", self.context);
                assert_eq!(batch.events(), events, "{}", self.context);
                self.counts.put_full_count += 1;
                self.report.full += 1;
            }
            Err(PutError::TooLarge { batch, .. }) => {
                assert!(is_too_large, "{}: `TooLarge` is not", self.context);
                assert_eq!(batch.events(), events, "{}", self.context);
                self.counts.put_error_count += 1;
                self.report.too_large += 1;
            }
            Err(error) => panic!("{}: {error}", self.context),
        }
    }

    fn event(&mut self) -> Event {
        let len = if self.random.one_in(10) { self.random.index(400) } else { self.random.index(20) };
        let fill = self.random.next_u64().to_le_bytes();
        let event = Event::new(fill.iter().copied().cycle().take(len).collect::<Vec<u8>>());
        if self.random.one_in(4) { event.with_header("key", "value").expect("header") } else { event }
    }

    fn take(&mut self) {
        let bound = if self.random.one_in(4) { 100 } else { 10 };
        let max = self.random.index(bound);
        let take = self.subject.take(max, Wait::NONE).unwrap_or_else(|error| panic!("{}: {error}", self.context));
        assert!(take.len() <= max, "{}: {} events for a take of up to {max}", self.context, take.len());
        let is_empty = max == 0 || self.waiting.is_empty();
        assert_eq!(take.is_empty(), is_empty, "{}: {} events wait", self.context, self.waiting.len());
        let mut numbers = Vec::new();
        for (index, event) in take.iter().enumerate() {
            let (number, expected) = self.waiting.pop_first().expect("a take got more events than there are");
            assert_eq!(event, &expected, "{}: event {index} of a take", self.context);
            numbers.push(number);
        }
        for (number, id) in numbers.iter().zip(ids_of(&take)) {
            let known = self.ids.entry(*number).or_insert(id);
            assert_eq!(*known, id, "{}: an event changed its identity", self.context);
        }
        self.counts.take_attempt_events += take.len() as u64;
        if !take.is_empty() {
            self.open.push(OpenTake { take, numbers });
        }
    }

    fn any_open(&mut self) -> Option<OpenTake> {
        (!self.open.is_empty()).then(|| self.open.swap_remove(self.random.index(self.open.len())))
    }

    fn commit(&mut self) {
        let Some(OpenTake { mut take, numbers }) = self.any_open() else { return };
        if self.random.one_in(3) {
            let position = Bytes::from(self.next.to_le_bytes().to_vec());
            take.set_position("sink", position.clone());
            self.positions.insert("sink".to_owned(), position);
        }
        take.commit().unwrap_or_else(|error| panic!("{}: {error}", self.context));
        self.counts.take_success_events += numbers.len() as u64;
        self.report.taken_events += numbers.len() as u64;
        for number in numbers {
            self.ids.remove(&number);
        }
    }

    fn commit_first(&mut self) {
        let Some(OpenTake { take, numbers }) = self.any_open() else { return };
        let count = self.random.index(numbers.len() + 1);
        self.put_back(&numbers[count..], &take[count..]);
        take.commit_first(count).unwrap_or_else(|error| panic!("{}: {error}", self.context));
        self.counts.take_success_events += count as u64;
        self.report.taken_events += count as u64;
        for number in &numbers[..count] {
            self.ids.remove(number);
        }
    }

    fn rollback(&mut self) {
        let Some(OpenTake { take, numbers }) = self.any_open() else { return };
        self.put_back(&numbers, &take);
        self.report.rollbacks += 1;
        if self.random.one_in(2) {
            take.rollback();
        } else {
            drop(take);
        }
    }

    fn put_back(&mut self, numbers: &[Number], events: &[Event]) {
        self.counts.rolled_back_events += numbers.len() as u64;
        self.waiting.extend(numbers.iter().copied().zip(events.iter().cloned()));
    }

    fn reopen(&mut self) {
        let is_closed = self.random.one_in(2);
        if is_closed {
            self.subject.close().unwrap_or_else(|error| panic!("{}: {error}", self.context));
        }
        while !self.open.is_empty() {
            self.rollback();
        }
        self.subject.reopen();
        // Counters begin anew.
        self.counts = ChannelStats::default();
        self.report.reopens += 1;
    }

    /// Events and bytes that count against the capacity.
    fn depth(&self) -> (u64, u64) {
        let open = self.open.iter().flat_map(|open| open.take.iter());
        let bytes = self.waiting.values().chain(open).map(Event::size_bytes).sum();
        (self.waiting.len() as u64 + self.in_flight(), bytes)
    }

    fn in_flight(&self) -> u64 {
        self.open.iter().map(|open| open.numbers.len() as u64).sum()
    }

    /// Compares everything that can be seen without taking events.
    fn compare(&self) {
        let stats = self.subject.stats();
        let (depth_events, depth_bytes) = self.depth();
        let expected = ChannelStats {
            depth_events,
            depth_bytes,
            in_flight_events: self.in_flight(),
            capacity_events: self.setup.capacity_events,
            capacity_bytes: self.setup.capacity_bytes,
            // Time goes its own way.
            oldest_age: stats.oldest_age,
            ..self.counts.clone()
        };
        assert_eq!(stats, expected, "{}", self.context);
        let positions: Vec<_> = self.positions.clone().into_iter().collect();
        assert_eq!(self.subject.positions(""), positions, "{}", self.context);
    }

    /// Rolls back what is open and takes all that is left.
    fn finish(&mut self) {
        while !self.open.is_empty() {
            self.rollback();
        }
        let expected: Vec<Event> = std::mem::take(&mut self.waiting).into_values().collect();
        assert_eq!(self.subject.drain(), bodies_of(&expected), "{}", self.context);
        assert_eq!(self.subject.stats().depth_events, 0, "{}", self.context);
        assert_eq!(self.subject.stats().depth_bytes, 0, "{}", self.context);
    }
}
