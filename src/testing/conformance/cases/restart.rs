//! Channels that are opened again.

use super::super::ChannelFactory;
use super::super::support::{Subject, name, names};
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::error::PutError;
use crate::event::Event;
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = true;

pub(in super::super) fn committed_events_survive_a_close(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    subject.put_range(0..1);
    subject.put_range(1..50);
    subject.close_and_reopen();
    subject.put_range(50..60);
    subject.assert_drains(0..60);
}

pub(in super::super) fn committed_events_survive_without_a_close(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    subject.put_range(0..1);
    subject.put_range(1..50);
    subject.reopen();
    subject.put_range(50..60);
    subject.assert_drains(0..60);
}

pub(in super::super) fn committed_takes_do_not_come_again(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    subject.put_range(0..20);
    subject.take_exactly(5).commit();
    subject.reopen();
    subject.take_exactly(5).commit();
    subject.close_and_reopen();
    assert_eq!(subject.stats().depth_events, 10);
    subject.assert_drains(10..20);
    subject.reopen();
    subject.assert_nothing_to_take();
}

pub(in super::super) fn takes_that_were_open_come_again_in_order(factory: &dyn ChannelFactory) {
    for is_closed in [false, true] {
        let mut subject = Subject::new(factory);
        subject.put_range(0..10);
        let first = subject.take_exactly(3);
        let second = subject.take_exactly(3);
        if is_closed {
            subject.close().expect("close");
        }
        // The last handle of a channel ends with its transactions.
        drop(second);
        drop(first);
        subject.reopen();
        subject.assert_drains(0..10);
    }
}

pub(in super::super) fn takes_committed_out_of_order_leave_their_gaps(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    subject.put_range(0..30);
    let open: Vec<_> = (0..10).map(|_| subject.take_exactly(3)).collect();
    let mut expected = Vec::new();
    for (index, takes) in open.into_iter().enumerate() {
        if index % 3 == 1 {
            takes.commit();
        } else {
            expected.extend(takes.bodies());
            drop(takes);
        }
    }
    subject.reopen();
    subject.put_range(30..32);
    expected.extend(names(30..32));
    subject.close_and_reopen();
    assert_eq!(subject.drain(), expected);
}

pub(in super::super) fn the_rest_of_a_commit_of_a_part_comes_again(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    subject.put_range(0..10);
    let take = subject.take(4, Wait::NONE).expect("take");
    take.commit_first(1).expect("commit of a part");
    subject.reopen();
    subject.assert_drains(1..10);
}

pub(in super::super) fn puts_that_were_not_committed_are_gone(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    let mut tx = subject.begin_put();
    tx.push("never");
    tx.set_position("owner", "1");
    subject.put_range(0..1);
    drop(tx);
    subject.reopen();
    assert_eq!(subject.position("owner"), None);
    subject.assert_drains(0..1);
}

pub(in super::super) fn positions_survive(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    let mut tx = subject.begin_put();
    tx.push(name(0));
    tx.set_position("source/a", "1");
    tx.set_position("source/b", "2");
    tx.commit().expect("put");
    let mut take = subject.take(1, Wait::NONE).expect("take");
    take.set_position("sink", "3");
    take.clear_position("source/b");
    take.commit().expect("commit of a take");
    let expected = [("sink".to_owned(), "3".into()), ("source/a".to_owned(), "1".into())];
    for is_closed in [false, true, false] {
        if is_closed {
            subject.close_and_reopen();
        } else {
            subject.reopen();
        }
        assert_eq!(subject.positions(""), expected);
    }
    let mut take = subject.begin_put();
    take.set_position("sink", "4");
    take.commit().expect("put of a position");
    subject.reopen();
    assert_eq!(subject.position("sink"), Some("4".into()));
}

pub(in super::super) fn identities_survive(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    subject.put_range(0..10);
    let takes = subject.take_exactly(10);
    let ids = takes.ids();
    takes.rollback();
    subject.reopen();
    let takes = subject.take_exactly(10);
    assert_eq!(takes.ids(), ids);
    takes.commit();
    subject.close_and_reopen();
    subject.put_range(10..20);
    let takes = subject.take_exactly(10);
    assert!(takes.ids().iter().all(|id| !ids.contains(id)), "an identity came again for another event");
}

pub(in super::super) fn contents_survive(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    let events = vec![
        Event::new(""),
        Event::new((0..=255).collect::<Vec<u8>>()).with_header("k", "").expect("header"),
        Event::new(vec![0; 100_000])
            .with_header("a", "b")
            .and_then(|event| event.with_header("c", "d"))
            .expect("header"),
    ];
    subject.put_batch(PutBatch::new(events.clone())).expect("put");
    subject.reopen();
    let takes = subject.take_exactly(3);
    assert_eq!(takes.events(), events);
}

pub(in super::super) fn what_survives_counts_against_the_capacity(factory: &dyn ChannelFactory) {
    let mut subject = Subject::of_events(factory, 10);
    subject.put_range(0..10);
    let bytes = subject.stats().depth_bytes;
    subject.take_exactly(4).commit();
    subject.reopen();
    assert_eq!(subject.stats().depth_events, 6);
    assert!(subject.stats().depth_bytes < bytes);
    subject.put_range(10..14);
    assert!(matches!(subject.put("more"), Err(PutError::Full { .. })));
    subject.assert_drains(4..14);
    assert_eq!(subject.stats().depth_bytes, 0);
}

pub(in super::super) fn restarts_may_come_one_after_the_other(factory: &dyn ChannelFactory) {
    let mut subject = Subject::new(factory);
    let mut done = 0;
    for round in 0..20 {
        subject.put_range(round * 3..round * 3 + 3);
        let takes = subject.take_exactly(2);
        assert_eq!(takes.bodies(), names(done..done + 2));
        takes.commit();
        done += 2;
        if round % 2 == 0 {
            subject.reopen();
            subject.reopen();
        } else {
            subject.close_and_reopen();
        }
    }
    subject.assert_drains(done..60);
}
