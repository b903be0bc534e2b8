//! The memory channel beside channels that move one message at a time. Nothing here is durable.

use std::time::{Duration, Instant};

use aqueduct::{Channel, Event, MemoryChannel, PutBatch, Wait};
use bytes::Bytes;

use crate::stores::{Error, Result};
use crate::workload::{BODY, Round};

const EVENTS: usize = 100;
const CAPACITY: usize = 10_000;

#[derive(Clone, Copy)]
pub struct Load {
    pub name: &'static str,
    pub title: &'static str,
    /// Each event has memory of its own, which the consumer frees.
    pub own_bodies: bool,
    pub commits: usize,
}

pub const LOADS: &[Load] = &[
    Load {
        name: "memory-shared",
        title: "Memory, 1 producer, 1 consumer, 100 events a transaction, one body that all events share",
        own_bodies: false,
        commits: 10_000,
    },
    Load {
        name: "memory-own",
        title: "Memory, 1 producer, 1 consumer, 100 events a transaction, a body allocated for each event",
        own_bodies: true,
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

impl Load {
    pub fn events_total(&self) -> usize {
        self.commits * EVENTS
    }

    fn batch(&self, body: &Bytes) -> Vec<Event> {
        let event = |_| Event::new(if self.own_bodies { Bytes::copy_from_slice(body) } else { body.clone() });
        (0..EVENTS).map(event).collect()
    }

    /// `put` is called with each batch on a thread of its own; `take` returns how many events it took, 0 at the end.
    fn run(
        &self,
        mut put: impl FnMut(Vec<Event>) -> Result + Send,
        mut take: impl FnMut() -> Result<usize>,
    ) -> Result<Round> {
        let body = Bytes::from(vec![b'x'; BODY]);
        let begun = Instant::now();
        let puts = std::thread::scope(|scope| {
            let producer = scope.spawn(move || {
                let put = |_| {
                    let begun = Instant::now();
                    put(self.batch(&body))?;
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
        Ok(Round { seconds: begun.elapsed().as_secs_f64(), puts })
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
    load.run(put, take)
}

fn crossbeam(load: &Load) -> Result<Round> {
    let (sender, receiver) = crossbeam_channel::bounded::<Event>(CAPACITY);
    let put = move |events: Vec<Event>| Ok(events.into_iter().try_for_each(|event| sender.send(event))?);
    load.run(put, || Ok(usize::from(receiver.recv().is_ok())))
}

fn crossbeam_vec(load: &Load) -> Result<Round> {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<Event>>(CAPACITY / EVENTS);
    let put = move |events| Ok(sender.send(events)?);
    load.run(put, || Ok(receiver.recv().map_or(0, |events| events.len())))
}

fn kanal(load: &Load) -> Result<Round> {
    let (sender, receiver) = kanal::bounded::<Event>(CAPACITY);
    let put = move |events: Vec<Event>| Ok(events.into_iter().try_for_each(|event| sender.send(event))?);
    load.run(put, || Ok(usize::from(receiver.recv().is_ok())))
}

fn flume(load: &Load) -> Result<Round> {
    let (sender, receiver) = flume::bounded::<Event>(CAPACITY);
    let put = move |events: Vec<Event>| Ok(events.into_iter().try_for_each(|event| sender.send(event))?);
    load.run(put, || Ok(usize::from(receiver.recv().is_ok())))
}
