//! What a closed channel still does.

use std::thread;

use super::super::support::{PATIENTLY, Subject, Task, let_them_wait, name, numbered, until};
use super::super::{ChannelFactory, ChannelSetup};
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::error::{PutError, TakeError};
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn closing_twice_is_fine(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..1);
    subject.close().expect("close");
    subject.close().expect("close again");
    subject.handle().close().expect("close by another handle");
}

pub(in super::super) fn a_closed_channel_refuses_puts_and_gives_them_back(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut early = subject.begin_put();
    early.push(name(0));
    subject.close().expect("close");
    let late = PutBatch::new(numbered(0..1));
    for outcome in [early.commit(), subject.put_batch(late)] {
        match outcome {
            Err(PutError::Closed { batch, channel }) => {
                assert_eq!(batch.events(), numbered(0..1));
                assert_eq!(channel, subject.name());
            }
            other => panic!("expected `Closed`, got {other:?}"),
        }
    }
}

pub(in super::super) fn a_closed_channel_refuses_takes(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..3);
    subject.close().expect("close");
    for wait in [Wait::NONE, PATIENTLY, Wait::FOREVER] {
        assert!(matches!(subject.take(1, wait), Err(TakeError::Closed { .. })));
    }
}

pub(in super::super) fn close_wakes_a_waiting_take(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let handle = subject.handle();
                scope.spawn(move || handle.take(1, Wait::FOREVER).map(drop))
            })
            .collect();
        let_them_wait();
        subject.close().expect("close");
        for taker in takers {
            assert!(matches!(taker.join().expect("taker"), Err(TakeError::Closed { .. })));
        }
    });
}

pub(in super::super) fn close_wakes_a_waiting_put(factory: &dyn ChannelFactory) {
    let setup = ChannelSetup { capacity_events: 1, put_wait: Wait::FOREVER, ..ChannelSetup::default() };
    let subject = Subject::with(factory, setup);
    subject.put_range(0..1);
    thread::scope(|scope| {
        let putters: Vec<_> = (0..3)
            .map(|_| {
                let handle = subject.handle();
                scope.spawn(move || handle.put_batch(PutBatch::new(numbered(1..2))))
            })
            .collect();
        until("the puts have come", || subject.stats().put_attempt_events == 4);
        let_them_wait();
        subject.close().expect("close");
        for putter in putters {
            let error = putter.join().expect("putter").expect_err("put into a closed channel");
            assert!(matches!(error, PutError::Closed { .. }), "{error}");
            assert_eq!(error.into_batch().expect("batch").events(), numbered(1..2));
        }
    });
}

pub(in super::super) fn close_makes_tasks_ready(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let task = Task::new();
    assert!(!task.is_ready(&subject));
    subject.close().expect("close");
    until("the task is woken by close", || task.wakes() > 0);
    assert!(task.is_ready(&subject), "a take would fail, so the task is ready");
}

pub(in super::super) fn a_take_may_end_after_close(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..4);
    let committed = subject.take(1, Wait::NONE).expect("take");
    let dropped = subject.take(1, Wait::NONE).expect("take");
    let rolled_back = subject.take(1, Wait::NONE).expect("take");
    subject.close().expect("close");
    // A channel that can no longer write may say so, but must not hang or panic.
    if let Err(error) = committed.commit() {
        assert!(matches!(error, TakeError::NotCommitted { .. } | TakeError::Closed { .. }), "{error}");
    }
    drop(dropped);
    rolled_back.rollback();
    assert_eq!(subject.stats().in_flight_events, 0);
}

pub(in super::super) fn positions_can_be_read_after_close(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut tx = subject.begin_put();
    tx.push("event");
    tx.set_position("owner", "1");
    tx.commit().expect("put");
    subject.close().expect("close");
    assert_eq!(subject.position("owner"), Some("1".into()));
    assert_eq!(subject.positions("own").len(), 1);
}
