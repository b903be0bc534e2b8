//! Commits whose outcome is asked for later.

use super::super::ChannelFactory;
use super::super::support::{Subject, Task, name, numbered};
use crate::channel::Channel;
use crate::ticket::{PutTicket, TakeTicket};
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

const TICKETS: u64 = 64;

pub(in super::super) fn many_puts_may_be_in_flight(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let tickets: Vec<PutTicket> = (0..TICKETS).map(|number| submit(&subject, number)).collect();
    for ticket in tickets {
        assert_eq!(ticket.wait().expect("put").events, 1);
    }
    subject.assert_drains(0..TICKETS);
}

pub(in super::super) fn tickets_may_be_waited_for_in_any_order(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut tickets: Vec<PutTicket> = (0..TICKETS).map(|number| submit(&subject, number)).collect();
    while !tickets.is_empty() {
        let middle = tickets.swap_remove(tickets.len() / 2);
        middle.wait().expect("put");
    }
    subject.assert_drains(0..TICKETS);
}

pub(in super::super) fn tickets_are_futures(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let tickets: Vec<PutTicket> = (0..TICKETS).map(|number| submit(&subject, number)).collect();
    for ticket in tickets.into_iter().rev() {
        assert_eq!(Task::block_on(ticket).expect("put").events, 1);
    }
    let take = subject.take(3, Wait::NONE).expect("take");
    let count = take.len() as u64;
    Task::block_on(take.submit().expect("submit of a take")).expect("commit of a take");
    subject.assert_drains(count..TICKETS);
}

pub(in super::super) fn a_ticket_may_be_polled_by_changing_tasks(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut ticket = submit(&subject, 0);
    // Only the last task that polled is sure to be woken.
    let early = Task::new();
    let outcome = early.poll(&mut ticket).unwrap_or_else(|| Task::block_on(ticket));
    assert_eq!(outcome.expect("put").events, 1);
    subject.assert_drains(0..1);
}

pub(in super::super) fn a_put_whose_ticket_is_dropped_goes_on(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    for number in 0..10 {
        drop(submit(&subject, number));
    }
    // A commit behind them, so that they are over.
    subject.put_range(10..11);
    subject.assert_drains(0..11);
}

pub(in super::super) fn takes_may_be_in_flight(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..20);
    let tickets: Vec<TakeTicket> = (0..10)
        .map(|_| {
            let take = subject.take(1, Wait::NONE).expect("take");
            take.submit().expect("submit of a take")
        })
        .collect();
    for ticket in tickets.into_iter().rev() {
        ticket.wait().expect("commit of a take");
    }
    let stats = subject.stats();
    assert_eq!((stats.depth_events, stats.in_flight_events), (10, 0));
    subject.assert_drains(10..20);
}

pub(in super::super) fn a_ticket_tells_of_positions_too(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let mut tx = subject.begin_put();
    for event in numbered(0..2) {
        tx.push(event);
    }
    tx.set_position("source", "2");
    tx.submit().expect("submit").wait().expect("put");
    assert_eq!(subject.position("source"), Some("2".into()));
    subject.assert_drains(0..2);
}

fn submit(subject: &Subject<'_>, number: u64) -> PutTicket {
    let mut tx = subject.begin_put();
    tx.push(name(number));
    tx.submit().expect("submit")
}
