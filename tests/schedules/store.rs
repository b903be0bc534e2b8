//! Programs on a store and its file channel.

#![allow(clippy::expect_used)] // an error is a failed test

use std::time::Duration;

use aqueduct::vfs::sim::{Fault, Inject, OpKind};
use aqueduct::{Channel, Durability, StorageError, Wait};
use rustix::io::Errno;
use shuttle::future::block_on;
use shuttle::thread;

use crate::world::{World, dice, heads, join, start};

/// Several threads commit at the same time.
pub(crate) fn commits() {
    let world = World::new(|store| store);
    join((0..3).map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::NONE));
            }
        })
    }));
    world.check_depth();
    world.check_after_the_end(false);
}

/// Tickets that are awaited, waited for by another thread, and dropped: here, and by another thread.
pub(crate) fn tickets() {
    let world = World::new(|store| store);
    let producer = |number: u64| {
        start(&world.hand, move |hand| {
            let body = format!("{number}.0");
            let ticket = hand.begin(&body).submit().expect("a ticket");
            match dice(4) {
                0 => drop(ticket),
                1 => join([thread::spawn(move || drop(ticket))]),
                2 => assert!(hand.ledger.put(&body, block_on(ticket))),
                _ => {
                    let hand = hand.clone();
                    join([thread::spawn(move || assert!(hand.ledger.put(&body, ticket.wait())))]);
                }
            }
        })
    };
    let producers: Vec<_> = (0..3).map(producer).collect();
    // All are written, whether or not anybody asks for them; by the store's own thread, or at the latest by this.
    let taker = start(&world.hand, |hand| hand.take_all(3));
    join(producers);
    join([taker]);
    world.check_depth();
    world.check_after_the_end(false);
}

/// Threads that wait for events while others commit them.
pub(crate) fn takers() {
    let world = World::new(|store| store);
    let takers = [2, 2].map(|count| start(&world.hand, move |hand| hand.take_all(count)));
    let producers = [0, 1].map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::NONE));
            }
        })
    });
    join(takers.into_iter().chain(producers));
    world.check_depth();
    world.check_after_the_end(false);
}

/// Three threads wait for one event each, and one put brings all of them.
pub(crate) fn one_put_for_many() {
    let world = World::new(|store| store);
    let takers: Vec<_> = (0..3).map(|_| start(&world.hand, |hand| hand.take_all(1))).collect();
    let mut put = world.hand.begin("0.0");
    for body in ["0.1", "0.2"] {
        world.hand.ledger.putting(body);
        put.push(body);
    }
    put.commit().expect("a commit");
    join(takers);
    world.check_depth();
    world.check_after_the_end(false);
}

/// Tasks and a thread wait for the same events.
pub(crate) fn tasks() {
    let world = World::new(|store| store);
    let takers = [
        start(&world.hand, |hand| hand.take_all_as_task(1)),
        start(&world.hand, |hand| hand.take_all_as_task(1)),
        start(&world.hand, |hand| hand.take_all(1)),
    ];
    let producers = [0, 1, 2]
        .map(|producer| start(&world.hand, move |hand| assert!(hand.put(&format!("{producer}.0"), Wait::NONE))));
    join(takers.into_iter().chain(producers));
    world.check_depth();
    world.check_after_the_end(false);
}

/// Puts wait for room in the channel while takes make it.
pub(crate) fn room() {
    let capacity = 1 + dice(2);
    let world = World::new(|store| store.capacity_events(capacity));
    let producers = [0, 1].map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::FOREVER));
            }
        })
    });
    let takers = [2, 2].map(|count| start(&world.hand, move |hand| hand.take_all(count)));
    join(producers.into_iter().chain(takers));
    world.check_depth();
    world.check_after_the_end(false);
}

/// Each thread takes one event at a time after it has put one: there is always one for it.
pub(crate) fn nobody_finds_it_empty() {
    let cache = if heads() { 0 } else { 1 << 20 };
    let world = World::new(|store| store.tail_cache_bytes(cache));
    join([0, 1, 2].map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..2 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::NONE));
                let times = 1 + dice(2);
                for time in 1..=times {
                    let (take, bodies) = hand.take(1, Wait::NONE).expect("a take");
                    assert_eq!(bodies.len(), 1, "a take found nothing although {producer}.{number} was put");
                    if time < times {
                        hand.roll_back(take, &bodies);
                    } else {
                        assert!(hand.commit(take, &bodies));
                    }
                }
            }
        })
    }));
    world.check_depth();
    world.check_after_the_end(false);
}

/// Segments fill up, are followed by others, freed and used again while all this goes on.
pub(crate) fn segments() {
    let cache = if heads() { 0 } else { 1 << 20 };
    let level = if heads() { Durability::Sync } else { Durability::Os };
    let tune = move |store: aqueduct::store::FileStoreBuilder| {
        store.tail_cache_bytes(cache).replay_bytes_max(4 << 10).durability(level).take_durability(level)
    };
    let mut world = World::new(tune);
    world.hand.padding = 1500;
    let producers = [0, 1].map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..3 {
                assert!(hand.put(&format!("{producer}.{number}"), Wait::NONE));
            }
        })
    });
    let taker = start(&world.hand, |hand| hand.take_all(5));
    let store = world.store.clone();
    let keeper = thread::spawn(move || store.maintain());
    join(producers.into_iter().chain([taker, keeper]));
    world.check_depth();
    if heads() {
        world.store.close().expect("a close");
        world.check_after_the_end(false);
    } else {
        world.check_after_the_end(level != Durability::Sync);
    }
}

/// A sync fails, or all of them do, while others commit and wait.
pub(crate) fn poison() {
    let world = World::new(|store| store);
    let fault = Inject::new(Fault::Errno(Errno::IO.raw_os_error())).on(OpKind::SyncData).skip(dice(4));
    world.disk.inject(if heads() { fault.sticky() } else { fault });
    let producers = [0, 1].map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..2 {
                hand.put(&format!("{producer}.{number}"), Wait::NONE);
            }
        })
    });
    let taker = start(&world.hand, |hand| {
        for _ in 0..2 {
            let (take, bodies) =
                hand.take(2, Wait::up_to(Duration::from_millis(1))).expect("what is durable can be taken");
            hand.commit(take, &bodies);
        }
    });
    join(producers.into_iter().chain([taker]));
    world.disk.clear_faults();
    if heads() {
        // It tells of what was accepted and is not durable; with `Sync` that is nothing that a put or take did not tell.
        let _ = world.store.close();
    }
    world.check_after_the_end(false);
}

/// The store is closed, by two threads, while others wait for events, for room and for commits.
pub(crate) fn closing() {
    let world = World::new(|store| store.capacity_events(1));
    let producers = [0, 1].map(|producer| {
        start(&world.hand, move |hand| {
            for number in 0..2 {
                if !hand.put(&format!("{producer}.{number}"), Wait::FOREVER) {
                    return;
                }
            }
        })
    });
    let taker = start(&world.hand, |hand| hand.take_until_closed());
    let task = start(&world.hand, |hand| {
        block_on(std::future::poll_fn(|cx| hand.channel.poll_ready(cx)));
    });
    let closers = [world.store.clone(), world.store.clone()];
    let closers = closers.map(|store| thread::spawn(move || store.close().expect("a close")));
    join(producers.into_iter().chain([taker, task]).chain(closers));
    world.check_after_the_end(false);
}

/// The store is closed, by two threads, beside a round of its upkeep, a channel that is made and puts. Nothing is done to its files
/// once a close is over: they may belong to somebody else.
pub(crate) fn closing_beside_work() {
    let mut world = World::new(|store| store.replay_bytes_max(4 << 10));
    world.hand.padding = 1500;
    for number in 0..3 {
        assert!(world.hand.put(&format!("0.{number}"), Wait::NONE));
    }
    world.hand.take_all(2);
    let producer = start(&world.hand, |hand| {
        hand.put("1.0", Wait::NONE);
    });
    let (keeping, making) = (world.store.clone(), world.store.clone());
    let keeper = thread::spawn(move || keeping.maintain());
    let maker = thread::spawn(move || {
        let made = making.channel("late");
        assert!(matches!(made, Ok(_) | Err(StorageError::Closed)), "{made:?}");
    });
    let closers = [0, 1].map(|_| {
        let (store, disk) = (world.store.clone(), world.disk.clone());
        thread::spawn(move || {
            store.close().expect("a close");
            disk.op_count()
        })
    });
    let over = closers.map(|closer| closer.join().expect("no panic"));
    join([producer, keeper, maker]);
    // The other close may have begun to sync what is synced already.
    let is_late = |kind: OpKind| kind.changes_disk() && kind != OpKind::SyncData;
    let ops = world.disk.ops_since(over[0].min(over[1]));
    assert!(!ops.iter().any(|op| is_late(op.kind)), "{ops:?}");
    world.check_after_the_end(false);
}

/// A channel is closed while others wait for events and for room; the store goes on.
pub(crate) fn closing_a_channel() {
    let world = World::new(|store| store.capacity_events(1));
    let producers = [0, 1].map(|producer| {
        start(&world.hand, move |hand| {
            hand.put(&format!("{producer}.0"), Wait::FOREVER);
        })
    });
    let takers = [0, 1].map(|_| start(&world.hand, |hand| hand.take_until_closed()));
    world.channel.close().expect("a close");
    join(producers.into_iter().chain(takers));
    world.check_depth();
    world.check_after_the_end(false);
}

/// The last handle of a store goes while transactions are on their way whose tickets are elsewhere.
pub(crate) fn last_handle() {
    let world = World::new(|store| store);
    let tickets = ["0.0", "0.1"].map(|body| (body, world.hand.begin(body).submit().expect("a ticket")));
    let ledger = world.hand.ledger.clone();
    let threads = tickets.map(|(body, ticket)| {
        let ledger = ledger.clone();
        thread::spawn(move || {
            if heads() {
                let outcome = if heads() { ticket.wait() } else { block_on(ticket) };
                ledger.put(body, outcome);
            }
        })
    });
    if heads() {
        join(threads);
        world.check_after_the_end(false);
        return;
    }
    let World { disk, store, channel, hand } = world;
    drop((channel, hand, store));
    join(threads);
    let world = World::again(disk, ledger);
    world.check_after_the_end(false);
}
