//! When the events of a put can be seen, and what commits and drops from other threads do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::super::ChannelFactory;
use super::super::support::{Subject, name, names, numbered};
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::ticket::Receipt;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn nothing_is_visible_before_the_commit(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut tx = subject.begin_put();
    tx.push(name(0));
    tx.push(name(1));
    subject.assert_nothing_to_take();
    assert_eq!(subject.stats().depth_events, 0, "events of an open put count as stored");
    assert_eq!(tx.events(), numbered(0..2));
    tx.commit().expect("put");
    subject.assert_drains(0..2);
}

pub(in super::super) fn a_dropped_put_leaves_nothing(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..1);
    let mut tx = subject.begin_put();
    tx.push("never");
    tx.set_position("owner", "1");
    drop(tx);
    subject.put_range(1..2);
    assert_eq!(subject.position("owner"), None);
    assert_eq!(subject.stats().put_success_events, 2);
    subject.assert_drains(0..2);
}

pub(in super::super) fn the_order_is_that_of_the_commits(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut early = subject.begin_put();
    early.push(name(1));
    let mut late = subject.begin_put();
    late.push(name(0));
    late.commit().expect("put");
    early.commit().expect("put");
    subject.assert_drains(0..2);
}

pub(in super::super) fn a_put_becomes_visible_as_a_whole(factory: &dyn ChannelFactory) {
    const BATCH: u64 = 16;
    const BATCHES: u64 = 50;
    // A thread puts batches while this one looks: whoever sees one event of a batch can take all of it.
    let subject = Subject::new(factory);
    let handle = subject.handle();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0..BATCHES {
                handle.put_batch(PutBatch::new(numbered(batch * BATCH..(batch + 1) * BATCH))).expect("put");
            }
            is_done.store(true, Ordering::Release);
        });
        let mut done = 0;
        while done < BATCHES * BATCH {
            let depth = subject.stats().depth_events;
            assert_eq!(depth % BATCH, 0, "a part of a put is visible: {depth} events");
            if depth == 0 && !is_done.load(Ordering::Acquire) {
                thread::yield_now();
                continue;
            }
            let takes = subject.take_exactly(usize::try_from(BATCH).expect("small"));
            assert_eq!(takes.bodies(), names(done..done + BATCH));
            takes.commit();
            done += BATCH;
        }
    });
    subject.assert_nothing_to_take();
}

pub(in super::super) fn an_empty_put_is_fine(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let receipt = subject.begin_put().commit().expect("put");
    assert_eq!(receipt, Receipt::default());
    assert_eq!(subject.put_batch(PutBatch::default()).expect("put").events, 0);
    subject.assert_nothing_to_take();
    subject.put_range(0..1);
    subject.assert_drains(0..1);
}

pub(in super::super) fn a_receipt_counts_the_events(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    for count in [1, 2, 100] {
        let receipt = subject.put_range(0..count);
        assert_eq!((receipt.events, receipt.dropped), (count, 0));
    }
}

pub(in super::super) fn transactions_may_end_in_another_thread(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut put = subject.begin_put();
    put.push(name(0));
    put.push(name(1));
    put.push(name(2));
    let mut dropped = subject.begin_put();
    dropped.push("never");
    thread::scope(|scope| {
        scope.spawn(move || drop(dropped));
        scope.spawn(move || put.commit().expect("put"));
    });
    let kept = subject.take_exactly(1);
    let returned = subject.take_exactly(1);
    thread::scope(|scope| {
        scope.spawn(move || kept.commit());
        scope.spawn(move || drop(returned));
    });
    subject.assert_drains(1..3);
}
