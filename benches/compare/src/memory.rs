//! The memory channel beside channels that move one message at a time. Nothing here is durable.

use std::time::{Duration, Instant};

use aqueduct::{Channel, Event, EventPacker, Headers, MemoryChannel, PutBatch, Wait};
use bytes::Bytes;

use crate::stores::{Error, Result};
use crate::workload::{BODY, Round};

const EVENTS: usize = 100;
const CAPACITY: usize = 10_000;

#[derive(Clone, Copy)]
pub enum Bodies {
    /// All events share one.
    Shared,
    /// Each event has memory of its own, which the consumer frees.
    Own,
    /// As `Own`; aqueduct's are copied by its `EventPacker`, into memory that the events of a transaction share.
    Packed,
}

#[derive(Clone, Copy)]
pub struct Load {
    pub name: &'static str,
    pub title: &'static str,
    pub bodies: Bodies,
    pub commits: usize,
}

pub const LOADS: &[Load] = &[
    Load {
        name: "memory-shared",
        title: "Memory, 1 producer, 1 consumer, 100 events a transaction, one body that all events share",
        bodies: Bodies::Shared,
        commits: 10_000,
    },
    Load {
        name: "memory-own",
        title: "Memory, 1 producer, 1 consumer, 100 events a transaction, a body allocated for each event",
        bodies: Bodies::Own,
        commits: 10_000,
    },
    Load {
        name: "memory-packed",
        title: "Memory, 1 producer, 1 consumer, 100 events a transaction, a body copied for each event, in aqueduct by EventPacker",
        bodies: Bodies::Packed,
        commits: 10_000,
    },
];

pub type Run = fn(&Load) -> Result<Round>;

pub const SYSTEMS: &[(&str, Run)] = &[
    ("aqueduct", aqueduct),
    ("crossbeam-channel", crossbeam),
    ("crossbeam-channel, a Vec of 100 a message", crossbeam_vec),
    ("kanal", kanal),
    ("flume", flume),
];

#[derive(Clone, Copy)]
enum System {
    Aqueduct,
    Other,
}

impl Load {
    pub fn events_total(&self) -> usize {
        self.commits * EVENTS
    }

    fn batch(&self, system: System, body: &Bytes) -> Vec<Event> {
        match (self.bodies, system) {
            (Bodies::Shared, _) => (0..EVENTS).map(|_| Event::new(body.clone())).collect(),
            (Bodies::Packed, System::Aqueduct) => {
                let mut packer = EventPacker::new(EVENTS);
                (0..EVENTS).for_each(|_| packer.push(Headers::new(), body));
                packer.finish()
            }
            (Bodies::Own | Bodies::Packed, _) => {
                (0..EVENTS).map(|_| Event::new(Bytes::copy_from_slice(body))).collect()
            }
        }
    }

    /// `put` is called with each batch on a thread of its own; `take` returns how many events it took, 0 at the end.
    fn run(
        &self,
        system: System,
        mut put: impl FnMut(Vec<Event>) -> Result + Send,
        mut take: impl FnMut() -> Result<usize>,
    ) -> Result<Round> {
        let body = Bytes::from(vec![b'x'; BODY]);
        let begun = Instant::now();
        let puts = std::thread::scope(|scope| {
            let producer = scope.spawn(move || {
                let put = |_| {
                    let begun = Instant::now();
                    put(self.batch(system, &body))?;
                    Ok(begun.elapsed())
                };
                (0..self.commits).map(put).collect::<Result<Vec<Duration>>>()
            });
            let mut taken = 0;
            while taken < self.events_total() {
                match take()? {
                    0 => return Err("the producer ended early".into()),
                    events => taken += events,
                }
            }
            producer.join().map_err(|_| Error::from("the producer panicked"))?
        })?;
        Ok(Round { seconds: begun.elapsed().as_secs_f64(), puts, disk_bytes: 0 })
    }
}

fn aqueduct(load: &Load) -> Result<Round> {
    let channel = MemoryChannel::builder("bench").capacity_events(CAPACITY as u64).build()?;
    let put = |events| {
        channel.put_batch(PutBatch::new(events))?;
        Ok(())
    };
    let take = || {
        let take = channel.take(EVENTS, Wait::FOREVER)?;
        let taken = take.len();
        take.commit()?;
        Ok(taken)
    };
    load.run(System::Aqueduct, put, take)
}

fn crossbeam(load: &Load) -> Result<Round> {
    let (sender, receiver) = crossbeam_channel::bounded::<Event>(CAPACITY);
    let put = move |events: Vec<Event>| Ok(events.into_iter().try_for_each(|event| sender.send(event))?);
    load.run(System::Other, put, || Ok(usize::from(receiver.recv().is_ok())))
}

fn crossbeam_vec(load: &Load) -> Result<Round> {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<Event>>(CAPACITY / EVENTS);
    let put = move |events| Ok(sender.send(events)?);
    load.run(System::Other, put, || Ok(receiver.recv().map_or(0, |events| events.len())))
}

fn kanal(load: &Load) -> Result<Round> {
    let (sender, receiver) = kanal::bounded::<Event>(CAPACITY);
    let put = move |events: Vec<Event>| Ok(events.into_iter().try_for_each(|event| sender.send(event))?);
    load.run(System::Other, put, || Ok(usize::from(receiver.recv().is_ok())))
}

fn flume(load: &Load) -> Result<Round> {
    let (sender, receiver) = flume::bounded::<Event>(CAPACITY);
    let put = move |events: Vec<Event>| Ok(events.into_iter().try_for_each(|event| sender.send(event))?);
    load.run(System::Other, put, || Ok(usize::from(receiver.recv().is_ok())))
}
