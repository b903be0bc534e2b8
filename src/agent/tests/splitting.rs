//! Sources whose batches a channel takes only in parts.

use std::net::UdpSocket;

use parking_lot::Mutex;

use super::channels::Store;
use super::*;
use crate::agent::{Drain, Outcome};
use crate::selector::Route;
use crate::source::delivery::{Delivery, Refusals, Verdicts};
use crate::source::udp_lines::UdpLines;
use crate::source::{OnFull, Source, SourceContext};
use crate::wait::Wait;

/// Puts the numbers below `count` in one batch, as sources do that others push to.
struct Pushed {
    count: u64,
    on_full: OnFull,
    refused: Log,
}

impl Source for Pushed {
    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        let events = (0..self.count).map(|number| Event::new(number.to_string())).collect();
        let mut refusals = Refusals::default();
        let put = Delivery::new(context, self.on_full, &|| false).put_all(events, &mut refusals);
        assert!(put.is_ok() && !refusals.is_answered());
        (0..refusals.events).for_each(|_| self.refused.add("refused"));
        Ok(())
    }
}

fn pushed(count: u64, on_full: OnFull) -> (Pushed, Log) {
    let refused = Log::default();
    (Pushed { count, on_full, refused: refused.clone() }, refused)
}

/// An interceptor whose every pass shows.
fn mark() -> impl Fn(Event) -> Option<Event> + Send + Sync + 'static {
    |event| Some(Event::new(format!("{}!", text(&event))))
}

fn marked_numbers(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("{number}!")).collect()
}

/// The bodies in a channel, in order, by as many takes as it needs.
fn drained(channel: &dyn Channel) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let take = channel.take(usize::MAX, Wait::NONE).unwrap();
        if take.is_empty() {
            return bodies;
        }
        bodies.extend(take.iter().map(text));
        take.commit().unwrap();
    }
}

fn done(running: &RunningAgent) {
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed, "{:?}", running.stats());
}

/// Events that the source handed over, that were accepted, and that interceptors dropped.
fn counts(running: &RunningAgent) -> (u64, u64, u64) {
    let stats = &running.stats().sources[0].stats;
    (stats.received_events, stats.accepted_events, stats.intercepted_events)
}

#[test]
fn events_pass_the_interceptors_once_though_a_full_channel_takes_only_some() {
    let main = MemoryChannel::builder("main").capacity_events(7).put_wait(Wait::NONE).build().unwrap();
    let (source, refused) = pushed(10, OnFull::Fail);
    let builder = agent().shared_channel("main", main.clone());
    let running = start(builder.source("in", source).interceptor(mark()).to(["main"]));
    done(&running);
    assert_eq!(drained(&main), marked_numbers(0..7));
    assert_eq!(refused.lines().len(), 3);
    println!("covered: a batch of 10 for a channel with room for 7");
}

#[test]
fn events_pass_the_interceptors_once_though_their_batch_is_too_large() {
    let main = MemoryChannel::builder("main").transaction_events_max(3).build().unwrap();
    let (source, refused) = pushed(10, OnFull::Wait);
    let builder = agent().shared_channel("main", main.clone());
    let running = start(builder.source("in", source).interceptor(mark()).to(["main"]));
    done(&running);
    assert_eq!(drained(&main), marked_numbers(0..10));
    assert!(refused.lines().is_empty());
    println!("covered: a batch of 10 for a channel that takes 3 at once");
}

#[test]
fn a_channel_that_has_the_batch_does_not_get_its_parts() {
    let first = memory("first");
    let second = MemoryChannel::builder("second").transaction_events_max(3).build().unwrap();
    let side = memory("side");
    let builder = agent()
        .shared_channel("first", first.clone())
        .shared_channel("second", second.clone())
        .shared_channel("side", side.clone());
    let (source, _) = pushed(10, OnFull::Wait);
    let builder = builder.source("in", source).interceptor(mark()).optional(["side"]);
    let running = start(builder.to(["first", "second"]));
    done(&running);
    for channel in [&first, &second, &side] {
        assert_eq!(drained(channel), marked_numbers(0..10), "{}", channel.name());
    }
    println!("covered: the second of two channels takes 3 of 10 at once");
}

#[test]
fn events_that_only_an_optional_channel_gets_do_not_depend_on_the_required_one() {
    let main = MemoryChannel::builder("main").capacity_events(2).put_wait(Wait::NONE).build().unwrap();
    let side = memory("side");
    let odd = |event: &Event, route: &mut Route<'_>| {
        if text(event).parse::<u64>().unwrap() % 2 == 1 { route.offer(1) } else { route.require(0) }
    };
    let builder = agent().shared_channel("main", main.clone()).shared_channel("side", side.clone());
    let (source, refused) = pushed(10, OnFull::Fail);
    let running = start(builder.source("in", source).selector(odd).optional(["side"]).to(["main"]));
    done(&running);
    assert_eq!(drained(&main), ["0", "2"]);
    assert_eq!(drained(&side), ["1", "3", "5", "7", "9"]);
    assert_eq!(refused.lines().len(), 3);
    assert_eq!(counts(&running), (10, 7, 0));
    println!("covered: 5 events for an optional channel beside 5 for one with room for 2");
}

#[test]
fn an_optional_channel_gets_each_event_once_however_often_the_batch_is_cut() {
    let main = MemoryChannel::builder("main").transaction_events_max(2).build().unwrap();
    let side = memory("side");
    let builder = agent().shared_channel("main", main.clone()).shared_channel("side", side.clone());
    let (source, _) = pushed(10, OnFull::Wait);
    let all_but_four = |event: Event| (text(&event) != "4").then_some(event);
    let builder = builder.source("in", source).interceptor(all_but_four).optional(["side"]);
    let running = start(builder.to(["main"]));
    done(&running);
    let expected: Vec<String> = numbers_text(10).into_iter().filter(|number| number != "4").collect();
    assert_eq!((drained(&main), drained(&side)), (expected.clone(), expected));
    assert_eq!(counts(&running), (10, 10, 1), "what was dropped is accepted, too");
    println!("covered: 9 events of 10 in parts of parts");
}

#[test]
fn parts_keep_their_routes_to_the_channels_of_a_store() {
    let parts = Store::parts(&[4, 1000]);
    let builder = agent().shared_channel("a", parts[0].clone()).shared_channel("b", parts[1].clone());
    let (source, refused) = pushed(13, OnFull::Fail);
    // Even numbers go to both, odd ones to the second channel. One is dropped, so the selector is not asked again.
    let both = |event: &Event, route: &mut Route<'_>| {
        route.require(1);
        if text(event).trim_end_matches('!').parse::<u64>().unwrap() % 2 == 0 {
            route.require(0);
        }
    };
    let but_one = |event: Event| (text(&event) != "1!").then_some(event);
    let builder = builder.source("in", source).interceptor(mark()).interceptor(but_one).selector(both);
    let running = start(builder.to(["a", "b"]));
    done(&running);
    assert_eq!(drained(&parts[0]), marked_numbers([0, 2, 4, 6]));
    let others = marked_numbers([0, 2, 3, 4, 5, 6, 7, 9, 11]);
    assert_eq!(drained(&parts[1]), others, "all or nothing, for each event");
    assert_eq!(refused.lines().len(), 3);
    assert_eq!(counts(&running), (13, 10, 1));
    println!("covered: two channels of one store, of which one has room for 4 of 7");
}

/// Goal: of datagrams that came together only the one that makes an interceptor fail is lost, and no other passes the
/// interceptors twice. Method: they come while the interceptors hold the first one.
#[test]
fn a_datagram_that_makes_an_interceptor_fail_is_lost_alone() {
    let (gate, main, marked) = (Arc::new(Mutex::new(())), memory("main"), mark());
    let source = UdpLines::bind("127.0.0.1:0");
    let (handle, held, gate_inside) = (source.handle(), gate.lock(), Arc::clone(&gate));
    let interceptor = move |event: Event| {
        drop(gate_inside.lock());
        assert!(text(&event) != "5", "told to fail");
        marked(event)
    };
    let builder = agent().shared_channel("main", main.clone());
    let running = start(builder.source("in", source).interceptor(interceptor).to(["main"]));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(handle.local_addr().unwrap()).unwrap();
    for number in 0..10 {
        client.send(number.to_string().as_bytes()).unwrap();
    }
    while handle.stats().datagrams < 10 {
        std::thread::yield_now();
    }
    drop(held);
    while counts(&running).1 < 9 {
        std::thread::yield_now();
    }
    assert_eq!(drained(&main), marked_numbers((0..5).chain(6..10)));
    let stats = running.shutdown(Drain::NONE).unwrap().stats;
    assert_eq!((stats.sources[0].stats.dropped_events, stats.sources[0].status.restarts), (1, 0));
}
