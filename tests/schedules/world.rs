//! What the programs of the explorations are made of: a store on a simulated disk, and threads that put and take.

#![allow(clippy::expect_used)] // an error is a failed test

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use aqueduct::vfs::Vfs;
use aqueduct::vfs::sim::{CrashChoice, CrashMode, SimVfs, Survive};
use aqueduct::{Channel, FileChannel, FileStore, TakeError, TakeTransaction, Wait, store::FileStoreBuilder};
use shuttle::future::block_on;
use shuttle::rand::RngCore;
use shuttle::thread::{self, JoinHandle};

use crate::ledger::Ledger;

/// A number below `bound`, as part of the schedule.
pub(crate) fn dice(bound: u64) -> u64 {
    shuttle::rand::thread_rng().next_u64() % bound
}

pub(crate) fn heads() -> bool {
    dice(2) == 1
}

/// One who puts and takes.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) ledger: Arc<Ledger>,
    /// Spaces behind each body.
    pub(crate) padding: usize,
}

impl Hand {
    pub(crate) fn new(channel: impl Channel + 'static) -> Self {
        Self { channel: Arc::new(channel), ledger: Arc::default(), padding: 0 }
    }

    /// Puts one event, in one of the ways there are; says whether it was accepted.
    pub(crate) fn put(&self, body: &str, wait: Wait) -> bool {
        let mut put = self.begin(body);
        put.set_wait(wait);
        let outcome = if heads() { put.commit() } else { put.submit().and_then(block_on) };
        self.ledger.put(body, outcome)
    }

    pub(crate) fn begin(&self, body: &str) -> aqueduct::channel::PutTransaction {
        self.ledger.putting(body);
        let mut put = self.channel.begin_put();
        put.push(format!("{body}{:1$}", "", self.padding));
        put
    }

    pub(crate) fn take(&self, max: usize, wait: Wait) -> Result<(TakeTransaction, Vec<String>), TakeError> {
        let take = self.channel.take(max, wait)?;
        let bodies = self.ledger.taken(&take);
        Ok((take, bodies))
    }

    /// Commits a take, in one of the ways there are.
    pub(crate) fn commit(&self, take: TakeTransaction, bodies: &[String]) -> bool {
        self.ledger.committing(bodies);
        let outcome = if heads() { take.commit() } else { take.submit().and_then(block_on) };
        self.ledger.committed(bodies, &outcome)
    }

    pub(crate) fn roll_back(&self, take: TakeTransaction, bodies: &[String]) {
        self.ledger.returning(bodies);
        take.rollback();
    }

    /// Takes `count` events for good, one at a time, however long it takes; now and then it thinks again.
    pub(crate) fn take_all(&self, count: usize) {
        for _ in 0..count {
            if dice(4) == 0 {
                let (take, bodies) = self.take(1, Wait::FOREVER).expect("a take");
                self.roll_back(take, &bodies);
            }
            let (take, bodies) = self.take(1, Wait::FOREVER).expect("a take");
            assert_eq!(bodies.len(), 1, "a take without a limit came back with {bodies:?}");
            assert!(self.commit(take, &bodies));
        }
    }

    /// Takes `count` events as a task does, which is woken and then looks.
    pub(crate) fn take_all_as_task(&self, count: usize) {
        let mut taken = 0;
        while taken < count {
            block_on(poll_fn(|cx| self.channel.poll_ready(cx)));
            let (take, bodies) = self.take(count - taken, Wait::NONE).expect("a take");
            taken += bodies.len();
            assert!(self.commit(take, &bodies));
        }
    }

    /// Takes until the channel is closed.
    pub(crate) fn take_until_closed(&self) {
        while let Ok((take, bodies)) = self.take(1 + usize::from(heads()), Wait::FOREVER) {
            if dice(4) == 0 {
                self.roll_back(take, &bodies);
            } else {
                self.commit(take, &bodies);
            }
        }
    }
}

/// A store with one channel.
pub(crate) struct World {
    pub(crate) disk: SimVfs,
    pub(crate) store: FileStore,
    pub(crate) channel: FileChannel,
    pub(crate) hand: Hand,
}

impl World {
    /// With one or two data directories, with and without a thread of its own.
    pub(crate) fn new(tune: impl FnOnce(FileStoreBuilder) -> FileStoreBuilder) -> Self {
        let disk = SimVfs::new();
        let (background, lanes) = (heads(), 1 + usize::from(dice(4) == 0));
        let store = tune(builder(&disk, lanes).background(background)).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        let hand = Hand::new(channel.clone());
        Self { disk, store, channel, hand }
    }

    /// The store of a disk once more, without anything having happened to it.
    pub(crate) fn again(disk: SimVfs, ledger: Arc<Ledger>) -> Self {
        let store = builder(&disk, lanes_of(&disk)).background(heads()).open().expect("nobody has it open any more");
        let channel = store.channel("channel").expect("a channel");
        let hand = Hand { ledger, ..Hand::new(channel.clone()) };
        Self { disk, store, channel, hand }
    }

    /// Checks what a store has in the end that nothing happened to.
    pub(crate) fn check_depth(&self) {
        let stats = self.channel.stats();
        assert_eq!(stats.depth_events, self.hand.ledger.left(), "{stats:?}");
        assert_eq!(stats.in_flight_events, 0, "{stats:?}");
    }

    /// Lets go of the store, pulls the plug, and checks what the next open finds. `lossless`: nothing but the process ends.
    pub(crate) fn check_after_the_end(self, lossless: bool) {
        let Self { disk, store, channel, hand } = self;
        let ledger = hand.ledger.clone();
        drop((store, channel, hand));
        let choice = if lossless || dice(4) == 0 {
            CrashChoice::new(CrashMode::Kill, Survive::All)
        } else {
            CrashChoice::new(CrashMode::Posix, Survive::Nothing)
        };
        let disk = disk.crash(&choice);
        let store = builder(&disk, lanes_of(&disk)).background(false).open().expect("a store opens after any crash");
        ledger.check(&store.channel("channel").expect("a channel"), true);
    }
}

fn builder(disk: &SimVfs, lanes: usize) -> FileStoreBuilder {
    let builder =
        FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).segment_bytes(4 << 10).data_dir("/d1");
    if lanes == 2 { builder.data_dir("/d2") } else { builder }
}

fn lanes_of(disk: &SimVfs) -> usize {
    1 + usize::from(disk.metadata(Path::new("/d2")).is_ok())
}

/// Starts a thread of the program.
pub(crate) fn start(hand: &Hand, work: impl FnOnce(&Hand) + Send + 'static) -> JoinHandle<()> {
    let hand = hand.clone();
    thread::spawn(move || work(&hand))
}

pub(crate) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    // All are started before the first is waited for.
    let threads: Vec<_> = threads.into_iter().collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a panic ends the process"));
}
