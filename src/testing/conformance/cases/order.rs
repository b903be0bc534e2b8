//! Order of events, and which of them a take gets.

use super::super::ChannelFactory;
use super::super::support::{Subject, names};
use crate::channel::Channel;
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn events_come_in_the_order_of_their_puts(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut next = 0;
    for size in [1, 1, 3, 1, 10, 2, 100, 1] {
        subject.put_range(next..next + size);
        next += size;
    }
    subject.assert_drains(0..next);
}

pub(in super::super) fn a_take_may_cross_and_split_put_batches(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    for start in (0..100).step_by(10) {
        subject.put_range(start..start + 10);
    }
    let mut bodies = Vec::new();
    for size in [3, 7, 1, 15, 24, 50] {
        let takes = subject.take_exactly(size);
        bodies.extend(takes.bodies());
        takes.commit();
    }
    assert_eq!(bodies, names(0..100));
    subject.assert_nothing_to_take();
}

pub(in super::super) fn a_take_hands_out_no_more_than_asked_for(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..10);
    for max in [1, 2, 3] {
        let take = subject.take(max, Wait::NONE).expect("take");
        assert!((1..=max).contains(&take.len()), "{} events for a take of up to {max}", take.len());
    }
    let none = subject.take(0, Wait::NONE).expect("take");
    assert!(none.is_empty(), "a take of no events got some");
    drop(none);
    subject.assert_drains(0..10);
}

pub(in super::super) fn open_takes_share_no_event(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..20);
    let first = subject.take_exactly(7);
    let second = subject.take_exactly(7);
    let third = subject.take_exactly(6);
    subject.assert_nothing_to_take();
    assert_eq!(first.bodies(), names(0..7));
    assert_eq!(second.bodies(), names(7..14));
    assert_eq!(third.bodies(), names(14..20));
    third.commit();
    first.commit();
    second.commit();
    subject.assert_nothing_to_take();
}

pub(in super::super) fn puts_and_takes_may_alternate(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let (mut put, mut done) = (0, 0);
    for round in 0..30 {
        let more = 1 + round % 4;
        subject.put_range(put..put + more);
        put += more;
        let count = 1 + round % 2;
        let takes = subject.take_exactly(usize::try_from(count).expect("small"));
        assert_eq!(takes.bodies(), names(done..done + count));
        takes.commit();
        done += count;
    }
    subject.assert_drains(done..put);
}
