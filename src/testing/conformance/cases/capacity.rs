//! What a channel holds, and what becomes of a put that finds no room.

use std::thread;
use std::time::Duration;

use super::super::support::{PATIENTLY, Subject, let_them_wait, name, names, numbered, promptly, until};
use super::super::{ChannelFactory, ChannelSetup};
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::error::PutError;
use crate::event::Event;
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn a_put_that_fits_exactly_is_accepted(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 10);
    subject.put_range(0..7);
    subject.put_range(7..10);
    assert_full(&subject, 1);
    subject.assert_drains(0..10);
    subject.put_range(10..20);
    subject.assert_drains(10..20);
}

pub(in super::super) fn a_full_channel_gives_the_batch_back_unchanged(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 10);
    subject.put_range(0..8);
    let mut tx = subject.begin_put();
    let with_header = Event::new("body").with_header("name", "value").expect("header");
    tx.push(with_header.clone());
    tx.push("");
    tx.push(vec![0, 255]);
    tx.set_position("owner", "7");
    let error = tx.commit().expect_err("no room for three");
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains(subject.name()), "the error does not name the channel: {error}");
    let batch = error.into_batch().expect("a full channel gives the batch back");
    assert_eq!(batch.events(), [with_header, Event::new(""), Event::new(vec![0, 255])]);
    assert_eq!(batch.positions(), [("owner".to_owned(), Some("7".into()))]);
    assert_eq!(subject.position("owner"), None, "a position of a put that failed is set");
    assert_eq!(subject.stats().put_full_count, 1);

    subject.assert_drains(0..8);
    subject.put_batch(batch).expect("put of the same batch once there is room");
    assert_eq!(subject.position("owner"), Some("7".into()));
    assert_eq!(subject.drain().len(), 3);
}

pub(in super::super) fn a_put_that_fails_leaves_the_room_to_others(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 10);
    subject.put_range(0..8);
    for _ in 0..10 {
        assert_full(&subject, 3);
    }
    subject.put_range(8..10);
    subject.assert_drains(0..10);
}

pub(in super::super) fn events_of_an_open_take_keep_their_room(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 10);
    subject.put_range(0..10);
    let takes = subject.take_exactly(10);
    assert_full(&subject, 1);
    takes.commit();
    subject.put_range(10..20);
    subject.assert_drains(10..20);
}

pub(in super::super) fn a_rollback_makes_no_room(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 10);
    subject.put_range(0..10);
    for count in [1, 5, 10] {
        subject.take_exactly(count).rollback();
        assert_full(&subject, 1);
    }
    subject.assert_drains(0..10);
}

pub(in super::super) fn the_commit_of_a_take_frees_exactly_its_room(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 10);
    subject.put_range(0..10);
    let first = subject.take_exactly(3);
    let second = subject.take_exactly(4);
    second.commit();
    assert_full(&subject, 5);
    subject.put_range(10..14);
    assert_full(&subject, 1);
    first.rollback();
    assert_full(&subject, 1);

    let part = subject.take(3, Wait::NONE).expect("take");
    part.commit_first(1).expect("commit of a part");
    assert_full(&subject, 2);
    subject.put_range(14..15);
    assert_full(&subject, 1);
}

pub(in super::super) fn a_put_of_no_events_needs_no_room(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 1);
    subject.put_range(0..1);
    let mut tx = subject.begin_put();
    tx.set_position("owner", "1");
    tx.commit().expect("a put of a position alone into a full channel");
    assert_eq!(subject.position("owner"), Some("1".into()));
}

pub(in super::super) fn headers_and_bodies_count_as_bytes(factory: &dyn ChannelFactory) {
    let event = Event::new(vec![7; 90]).with_header("a", "bc").expect("header");
    let bytes = event.size_bytes();
    assert!(bytes > 90);
    let subject = Subject::of_bytes(factory, 3 * bytes);
    for count in 1..=3 {
        subject.put(event.clone()).expect("put");
        assert_eq!(subject.stats().depth_bytes, count * bytes);
    }
    let error = subject.put("x").expect_err("not one more byte");
    assert!(error.is_full(), "{error}");
    let takes = subject.take_exactly(1);
    assert!(subject.put("x").is_err(), "a take freed bytes before its commit");
    takes.commit();
    assert_eq!(subject.stats().depth_bytes, 2 * bytes);
    subject.put(event).expect("put once there is room");
    assert_eq!(subject.drain().len(), 3);
    assert_eq!(subject.stats().depth_bytes, 0);
}

pub(in super::super) fn events_without_bytes_count_as_events(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 3);
    for _ in 0..3 {
        subject.put("").expect("put");
    }
    assert!(subject.put("").is_err(), "a fourth event into a channel for three");
    assert_eq!(subject.drain(), ["", "", ""]);
}

pub(in super::super) fn a_batch_over_the_whole_capacity_is_too_large(factory: &dyn ChannelFactory) {
    // No wait could help, so there must be none: this would not come back.
    let setup = ChannelSetup { capacity_events: 10, capacity_bytes: 1000, put_wait: Wait::FOREVER };
    let subject = Subject::with(factory, setup);
    let many = numbered(0..11);
    let large = vec![Event::new(vec![0; 1001])];
    for events in [many, large] {
        match subject.put_batch(PutBatch::new(events.clone())) {
            Err(PutError::TooLarge { actual, max, batch, .. }) => {
                assert!(actual > max);
                assert_eq!(batch.events(), events);
            }
            other => panic!("expected `TooLarge`, got {other:?}"),
        }
    }
    subject.put_range(0..10);
    subject.assert_drains(0..10);
}

pub(in super::super) fn a_waiting_put_goes_on_when_there_is_room(factory: &dyn ChannelFactory) {
    let setup = ChannelSetup { capacity_events: 4, put_wait: PATIENTLY, ..ChannelSetup::default() };
    let subject = Subject::with(factory, setup);
    subject.put_range(0..4);
    let handle = subject.handle();
    thread::scope(|scope| {
        let putter = scope.spawn(move || promptly("a waiting put", || handle.put_batch(PutBatch::new(numbered(4..7)))));
        until("the put has come", || subject.stats().put_attempt_events == 7);
        let_them_wait();
        let takes = subject.take_exactly(4);
        assert!(!putter.is_finished(), "a put into a full channel did not wait");
        takes.commit();
        putter.join().expect("putter").expect("put once there is room");
    });
    subject.assert_drains(4..7);
}

pub(in super::super) fn a_waiting_put_gives_up_after_its_wait(factory: &dyn ChannelFactory) {
    let wait = Wait::up_to(Duration::from_millis(5));
    let setup = ChannelSetup { capacity_events: 4, put_wait: wait, ..ChannelSetup::default() };
    let subject = Subject::with(factory, setup);
    subject.put_range(0..4);
    assert_full(&subject, 1);
    subject.assert_drains(0..4);
}

pub(in super::super) fn a_put_may_set_a_wait_of_its_own(factory: &dyn ChannelFactory) {
    let impatient = ChannelSetup { capacity_events: 1, put_wait: Wait::NONE, ..ChannelSetup::default() };
    let patient = ChannelSetup { put_wait: Wait::FOREVER, ..impatient.clone() };

    // This would not come back if the channel's own wait counted.
    let subject = Subject::with(factory, patient);
    subject.put_range(0..1);
    let mut tx = subject.begin_put();
    tx.push("more");
    tx.set_wait(Wait::NONE);
    assert!(tx.commit().is_err_and(|error| error.is_full()));

    // And this would come back with an error.
    let subject = Subject::with(factory, impatient);
    subject.put_range(0..1);
    let mut tx = subject.begin_put();
    tx.push(name(1));
    tx.set_wait(PATIENTLY);
    thread::scope(|scope| {
        let putter = scope.spawn(move || promptly("a waiting put", || tx.commit()));
        until("the put has come", || subject.stats().put_attempt_events == 2);
        let_them_wait();
        let takes = subject.take_exactly(1);
        takes.commit();
        putter.join().expect("putter").expect("put once there is room");
    });
    subject.assert_drains(1..2);
}

pub(in super::super) fn all_waiting_puts_get_in(factory: &dyn ChannelFactory) {
    const PUTTERS: u64 = 6;
    let setup = ChannelSetup { capacity_events: 2, put_wait: PATIENTLY, ..ChannelSetup::default() };
    let subject = Subject::with(factory, setup);
    let mut bodies = Vec::new();
    thread::scope(|scope| {
        for putter in 0..PUTTERS {
            let handle = subject.handle();
            scope.spawn(move || promptly("a waiting put", || handle.put(name(putter))).expect("put"));
        }
        let_them_wait();
        while bodies.len() < 6 {
            let takes = subject.take_exactly(1);
            bodies.extend(takes.bodies());
            takes.commit();
        }
    });
    bodies.sort();
    assert_eq!(bodies, names(0..PUTTERS));
    subject.assert_nothing_to_take();
}

fn assert_full(subject: &Subject<'_>, events: u64) {
    let error = subject.put_batch(PutBatch::new(numbered(0..events))).expect_err("there is no room");
    assert!(error.is_full(), "{error}");
    assert_eq!(error.into_batch().map(|batch| batch.events().len() as u64), Some(events));
}
