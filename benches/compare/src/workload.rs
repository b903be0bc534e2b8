//! What is measured, and one round of it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::disk;
use crate::stores::{Class, Result, Store, Use};

pub const BODY: usize = 500;

#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    pub class: Class,
    pub what: Use,
    pub producers: usize,
    /// In a transaction.
    pub events: usize,
    /// Transactions of each producer in a round.
    pub commits: usize,
}

impl Workload {
    pub fn events_total(&self) -> usize {
        self.producers * self.events * self.commits
    }
}

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "put-1x100",
        title: "Put, 1 producer, 100 events a transaction",
        class: Class::Synced,
        what: Use::Puts,
        producers: 1,
        events: 100,
        commits: 200,
    },
    Workload {
        name: "put-8x10",
        title: "Put, 8 producers, 10 events a transaction",
        class: Class::Synced,
        what: Use::Puts,
        producers: 8,
        events: 10,
        commits: 100,
    },
    Workload {
        name: "put-1x1",
        title: "Put, 1 producer, 1 event a transaction",
        class: Class::Synced,
        what: Use::Puts,
        producers: 1,
        events: 1,
        commits: 400,
    },
    Workload {
        name: "put-take-1x100",
        title: "Put, take and acknowledge, 1 producer, 1 consumer, 100 events a transaction",
        class: Class::Synced,
        what: Use::PutsAndTakes,
        producers: 1,
        events: 100,
        commits: 150,
    },
    Workload {
        name: "os-put-1x100",
        title: "Put, 1 producer, 100 events a transaction",
        class: Class::Os,
        what: Use::Puts,
        producers: 1,
        events: 100,
        commits: 300,
    },
    Workload {
        name: "os-put-take-1x100",
        title: "Put, take and acknowledge, 1 producer, 1 consumer, 100 events a transaction",
        class: Class::Os,
        what: Use::PutsAndTakes,
        producers: 1,
        events: 100,
        commits: 300,
    },
];

/// What one round took.
pub struct Round {
    pub seconds: f64,
    /// Of each put.
    pub puts: Vec<Duration>,
    /// Bytes that the disk has written meanwhile, for whomever.
    pub disk_bytes: u64,
}

/// Called around each put and take, with the thread and the number of the call.
pub trait Observer: Sync {
    fn around(&self, thread: usize, call: usize, step: &mut dyn FnMut() -> Result) -> Result;
}

/// Runs the call and nothing else.
pub struct Plain;

impl Observer for Plain {
    fn around(&self, _: usize, _: usize, step: &mut dyn FnMut() -> Result) -> Result {
        step()
    }
}

/// Bodies that no compression makes smaller.
pub fn bodies() -> Vec<Bytes> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..1024).map(|_| (0..BODY).map(|_| byte()).collect()).collect()
}

pub fn run(store: &dyn Store, workload: &Workload, bodies: &[Bytes], observer: &dyn Observer) -> Result<Round> {
    let puts = Mutex::new(Vec::with_capacity(workload.producers * workload.commits));
    let disk_bytes = disk::bytes_written();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for producer in 0..workload.producers {
            let puts = &puts;
            threads.push(scope.spawn(move || produce(store, workload, bodies, observer, producer, puts)));
        }
        if workload.what == Use::PutsAndTakes {
            consume(store, workload, observer)?;
        }
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a producer panicked")?)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Round { seconds, puts: puts.into_inner()?, disk_bytes: disk::bytes_written() - disk_bytes })
}

fn produce(
    store: &dyn Store,
    workload: &Workload,
    bodies: &[Bytes],
    observer: &dyn Observer,
    producer: usize,
    puts: &Mutex<Vec<Duration>>,
) -> Result {
    let mut times = Vec::with_capacity(workload.commits);
    for commit in 0..workload.commits {
        let first = commit * workload.events % (bodies.len() - workload.events);
        let begun = Instant::now();
        let mut put = || store.put(producer, &bodies[first..first + workload.events]);
        observer.around(producer, commit, &mut put)?;
        times.push(begun.elapsed());
    }
    puts.lock().map_err(|error| error.to_string())?.extend(times);
    Ok(())
}

fn consume(store: &dyn Store, workload: &Workload, observer: &dyn Observer) -> Result {
    let (mut events, mut bytes, mut call) = (0, 0, 0);
    while events < workload.events_total() {
        let mut take = || {
            events += store.take(workload.events, &mut |body| bytes += body.len())?;
            Ok(())
        };
        observer.around(workload.producers, call, &mut take)?;
        call += 1;
    }
    let expected = workload.events_total();
    if events != expected || bytes != expected * BODY {
        return Err(format!("took {events} events, {bytes} bytes; put {expected} events").into());
    }
    Ok(())
}
