//! Rollback, and commits of a part.

use super::super::ChannelFactory;
use super::super::support::{Subject, Takes, names};
use crate::channel::Channel;
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn rollback_returns_the_events_to_the_head(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..10);
    subject.take_exactly(4).rollback();
    assert_eq!(subject.stats().depth_events, 10);
    subject.assert_drains(0..10);
}

pub(in super::super) fn a_dropped_take_is_rolled_back(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..10);
    drop(subject.take_exactly(4));
    subject.assert_drains(0..10);
}

pub(in super::super) fn events_stay_before_those_put_after_them(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..5);
    let takes = subject.take_exactly(5);
    subject.put_range(5..10);
    takes.rollback();
    subject.assert_drains(0..10);
}

pub(in super::super) fn takes_rolled_back_in_any_order_restore_it(factory: &dyn ChannelFactory) {
    // All orders of four open takes, whose borders fall inside and between the puts.
    for order in permutations(4) {
        let subject = Subject::new(factory);
        for start in [0, 5, 10, 15] {
            subject.put_range(start..start + 5);
        }
        let mut open: Vec<Option<Takes>> = [3, 4, 3, 8].map(|count| Some(subject.take_exactly(count))).into();
        for index in order {
            open[index].take().expect("each once").rollback();
        }
        subject.assert_drains(0..20);
    }
}

pub(in super::super) fn rollbacks_and_commits_may_alternate(factory: &dyn ChannelFactory) {
    // Every choice of which of five open takes are committed, the others rolled back from the last to the first.
    for choice in 0_u32..32 {
        let subject = Subject::new(factory);
        subject.put_range(0..10);
        let open: Vec<Takes> = (0..5).map(|_| subject.take_exactly(2)).collect();
        let mut expected = Vec::new();
        for (index, takes) in open.into_iter().enumerate().rev() {
            if choice & (1 << index) == 0 {
                expected.splice(0..0, takes.bodies());
                takes.rollback();
            } else {
                takes.commit();
            }
        }
        assert_eq!(subject.drain(), expected, "choice {choice:05b}");
    }
}

pub(in super::super) fn a_take_over_gaps_goes_back_to_where_it_was(factory: &dyn ChannelFactory) {
    // Takes 0-1 and 4-5 come back around an open take of 2-3; a take then spans the gap, and goes back too.
    let subject = Subject::new(factory);
    subject.put_range(0..8);
    let first = subject.take_exactly(2);
    let second = subject.take_exactly(2);
    let third = subject.take_exactly(2);
    first.rollback();
    third.rollback();
    let across = subject.take_exactly(5);
    assert_eq!(across.bodies(), [names(0..2), names(4..7)].concat());
    second.rollback();
    across.rollback();
    subject.assert_drains(0..8);
}

pub(in super::super) fn events_come_again_as_often_as_they_are_rolled_back(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..10);
    for round in 0..50 {
        let takes = subject.take_exactly(1 + round % 10);
        assert_eq!(takes.bodies(), names(0..1 + (round as u64) % 10));
        takes.rollback();
    }
    subject.assert_drains(0..10);
}

pub(in super::super) fn commit_of_the_first_returns_the_rest(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..10);
    let mut done = 0;
    for wanted in [1_u64, 3, 2] {
        let take = subject.take(6, Wait::NONE).expect("take");
        let count = wanted.min(take.len() as u64);
        take.commit_first(usize::try_from(count).expect("small")).expect("commit of a part");
        done += count;
        assert_eq!(subject.stats().depth_events, 10 - done);
        assert_eq!(subject.stats().in_flight_events, 0);
    }
    subject.put_range(10..12);
    subject.assert_drains(done..12);
}

pub(in super::super) fn commit_of_the_first_none_is_a_rollback(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..4);
    subject.take(4, Wait::NONE).expect("take").commit_first(0).expect("commit of nothing");
    assert_eq!(subject.stats().in_flight_events, 0);
    subject.assert_drains(0..4);
}

pub(in super::super) fn commit_of_more_than_there_are_is_a_commit(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..4);
    let take = subject.take(3, Wait::NONE).expect("take");
    let count = take.len() as u64;
    take.commit_first(100).expect("commit");
    subject.assert_drains(count..4);
}

/// All orders of the numbers below `count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for next in 0..count {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..=order.len()).map(move |at| {
                let mut longer = order.clone();
                longer.insert(at, next);
                longer
            })
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}
