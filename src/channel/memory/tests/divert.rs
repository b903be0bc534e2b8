//! Puts that find no room and go into another channel.

use std::sync::Arc;

use super::{assert_conserved, drain, names, numbered};
use crate::batch::PutBatch;
use crate::channel::memory::MemoryChannelError;
use crate::channel::{Channel, MemoryChannel, Overflow};
use crate::error::{FullReason, PutError};
use crate::store::FileStore;
use crate::vfs::sim::{Fault, Inject, OpKind, SimVfs};
use crate::wait::Wait;

fn channels(spare_events: u64) -> (MemoryChannel, MemoryChannel) {
    let spare = MemoryChannel::builder("spare").capacity_events(spare_events).put_wait(Wait::FOREVER);
    let spare = spare.build().expect("settings");
    let main = MemoryChannel::builder("main").capacity_events(3).put_wait(Wait::FOREVER).divert_to(spare.clone());
    (main.build().expect("settings"), spare)
}

#[test]
fn what_finds_no_room_goes_into_the_other_channel_with_its_positions_here() {
    let (main, spare) = channels(10);
    main.put_batch(PutBatch::new(numbered(0..2))).expect("put");
    let mut tx = main.begin_put();
    tx.set_batch(PutBatch::new(numbered(2..5)));
    tx.set_position("source", "5");
    let receipt = tx.commit().expect("it is diverted");
    assert_eq!((receipt.first, receipt.events, receipt.dropped, receipt.diverted), (None, 0, 0, 3));
    assert_eq!((main.position("source"), spare.position("source")), (Some("5".into()), None));
    assert_eq!(main.put("5").expect("there is room for one").events, 1);
    let stats = main.stats();
    assert_eq!((stats.diverted_events, stats.put_success_events, stats.put_full_count), (3, 3, 0));
    assert_conserved(&main);
    assert_eq!(drain(&main), [names(0..2), names(5..6)].concat());
    assert_eq!(drain(&spare), names(2..5));
}

#[test]
fn what_the_other_channel_refuses_is_given_back_whole() {
    let (main, spare) = channels(3);
    main.put_batch(PutBatch::new(numbered(0..3))).expect("put");
    main.put_batch(PutBatch::new(numbered(3..5))).expect("diverted");
    let mut batch = PutBatch::new(numbered(5..7));
    batch.set_position("source", "7");
    let error = main.put_batch(batch).expect_err("both are full");
    assert!(
        matches!(&error, PutError::Full { reason: FullReason::Events, channel, .. } if channel == "main"),
        "{error}"
    );
    let batch = error.into_batch().expect("batch");
    assert_eq!((batch.events(), batch.positions().len()), (&*numbered(5..7), 1));
    assert_eq!(main.position("source"), None);
    assert_eq!((main.stats().diverted_events, main.stats().put_full_count), (2, 1));
    spare.close().expect("close");
    assert!(main.put("x").expect_err("the other is closed").is_full());
}

#[test]
fn a_put_with_a_wait_of_its_own_waits_before_it_is_diverted() {
    let (main, spare) = channels(3);
    main.put_batch(PutBatch::new(numbered(0..3))).expect("put");
    std::thread::scope(|scope| {
        let put = scope.spawn(|| {
            let mut tx = main.begin_put();
            tx.push("3");
            tx.set_wait(Wait::FOREVER);
            tx.commit().expect("room comes")
        });
        let take = main.take(1, Wait::FOREVER).expect("take");
        take.commit().expect("commit of a take");
        assert_eq!(put.join().expect("no panic").diverted, 0);
    });
    assert_eq!((drain(&main), drain(&spare)), (names(1..4), names(0..0)));
}

#[test]
fn a_channel_to_divert_to_must_be_named() {
    let built = MemoryChannel::builder("main").overflow(Overflow::Divert).build();
    assert_eq!(built.err(), Some(MemoryChannelError::DivertsNowhere { channel: "main".to_owned() }));
}

#[test]
fn what_nobody_knows_of_the_other_channel_is_not_put_again() {
    let disk = Arc::new(SimVfs::new());
    let store = FileStore::builder("/store").vfs(disk.clone()).open().expect("store");
    let spare = store.channel("spare").expect("channel");
    let main = MemoryChannel::builder("main").capacity_events(3).divert_to(spare).build().expect("settings");
    main.put_batch(PutBatch::new(numbered(0..3))).expect("put");
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).sticky());
    let mut batch = PutBatch::new(numbered(3..5));
    batch.set_position("source", "5");
    let error = main.put_batch(batch).expect_err("the sync of the other one fails");
    assert!(matches!(error, PutError::Indeterminate { .. }), "{error}");
    assert_eq!(main.position("source"), None);
    assert_eq!((main.stats().diverted_events, main.stats().put_full_count), (0, 0));
    assert_conserved(&main);
    assert_eq!(drain(&main), names(0..3));
}

#[test]
fn what_the_other_channel_drops_of_its_own_is_diverted_all_the_same() {
    let other =
        MemoryChannel::builder("other").capacity_events(1).overflow(Overflow::DropOldest).build().expect("sound");
    other.put("old").expect("room");
    let main = MemoryChannel::builder("main").capacity_events(1).divert_to(other.clone()).build().expect("sound");
    main.put("first").expect("room");
    let receipt = main.put("second").expect("diverted");
    assert_eq!((receipt.events, receipt.dropped, receipt.diverted), (0, 1, 1));
    assert_eq!(other.take(9, Wait::NONE).expect("take")[0].body(), "second");
}
