//! What is in an event, and who it is.

use std::collections::BTreeSet;

use super::super::ChannelFactory;
use super::super::support::{Subject, numbered};
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::event::Event;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn events_come_out_byte_for_byte(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let events = peculiar_events();
    subject.put_batch(PutBatch::new(events.clone())).expect("put");
    for event in &events {
        subject.put(event.clone()).expect("put");
    }
    let takes = subject.take_exactly(2 * events.len());
    assert_eq!(takes.events(), [events.clone(), events].concat());
    takes.commit();
}

pub(in super::super) fn events_come_again_byte_for_byte(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let events = peculiar_events();
    subject.put_batch(PutBatch::new(events.clone())).expect("put");
    for _ in 0..3 {
        let takes = subject.take_exactly(events.len());
        assert_eq!(takes.events(), events);
        takes.rollback();
    }
}

pub(in super::super) fn a_batch_may_have_thousands_of_events(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..10_000);
    subject.assert_drains(0..10_000);
}

pub(in super::super) fn an_event_keeps_its_identity(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..3);
    subject.put_range(3..5);
    let takes = subject.take_exactly(5);
    let ids = takes.ids();
    takes.rollback();
    let first = subject.take_exactly(2);
    let second = subject.take_exactly(3);
    assert_eq!([first.ids(), second.ids()].concat(), ids);
    second.rollback();
    first.rollback();
    for (index, id) in ids.iter().enumerate() {
        let takes = subject.take_exactly(5 - index);
        assert_eq!(takes.ids(), ids[index..]);
        takes.rollback();
        let single = subject.take_exactly(1);
        assert_eq!(single.ids(), [*id]);
        single.commit();
    }
}

pub(in super::super) fn no_two_events_have_one_identity(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut ids = BTreeSet::new();
    for round in 0..20 {
        for _ in 0..3 {
            subject.put_batch(PutBatch::new(numbered(0..round))).expect("put");
        }
        let takes = subject.take_exactly(usize::try_from(3 * round).expect("small"));
        for id in takes.ids() {
            assert!(ids.insert(id), "{id:?} comes twice");
        }
        takes.commit();
    }
}

pub(in super::super) fn a_receipt_names_the_first_event(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    for count in [1, 5, 2] {
        let receipt = subject.put_range(0..count);
        let takes = subject.take_exactly(usize::try_from(count).expect("small"));
        let ids = takes.ids();
        // A channel may keep what a receipt does not tell, but must not tell something else.
        if let Some(first) = receipt.first {
            assert_eq!(ids.first(), Some(&first));
            for (offset, id) in (0..).zip(&ids) {
                assert_eq!((id.lane, id.seq), (first.lane, first.seq + offset), "the others do not follow the first");
            }
        }
        takes.commit();
    }
}

/// Events at the edges of what an event can be.
fn peculiar_events() -> Vec<Event> {
    let header = |event: Event, name: &str, value: &str| event.with_header(name, value).expect("header");
    let mut many = Event::new("many headers");
    for number in 0..1000 {
        many = header(many, &format!("name {number}"), &format!("value {number}"));
    }
    vec![
        Event::new(""),
        header(Event::new(""), "only", "a header"),
        header(Event::new("empty value"), "name", ""),
        header(Event::new("empty name"), "", "value"),
        header(header(Event::new("order"), "z", "1"), "a", "2"),
        header(Event::new("text"), "gr\u{fc}n \u{1f41f}", "line\nline\0\u{7f}"),
        header(Event::new("long"), &"n".repeat(1000), &"v".repeat(100_000)),
        many,
        Event::new((0..=255).collect::<Vec<u8>>()),
        Event::new(vec![0; 4096]),
        Event::new((0_u32..1 << 20).map(|number| number.to_le_bytes()[0]).collect::<Vec<u8>>()),
        Event::new("\r\n\r\n"),
    ]
}
