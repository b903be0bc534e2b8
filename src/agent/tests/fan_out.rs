//! One source, several channels.

use std::sync::atomic::Ordering;

use super::channels::{Fault, Faulty, Store};
use super::*;
use crate::agent::{Drain, Outcome};
use crate::batch::PutBatch;
use crate::channel::Overflow;
use crate::error::PutError;
use crate::selector::Route;
use crate::shutdown::Shutdown;
use crate::source::{PullSource, SourceContext};
use crate::wait::Wait;

fn done(running: &RunningAgent) {
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed, "{:?}", running.stats());
}

/// Goal: a failure of a later channel does not bring the events to an earlier one again. Method: the second of three
/// memory channels refuses in every way.
#[test]
fn a_retry_does_not_repeat_into_channels_that_have_the_batch() {
    use Fault::{Full, None, NotCommitted, NotCommittedLater};
    let faults = [Full, NotCommitted, NotCommittedLater, None, Full, Full, None, NotCommittedLater];
    let (first, second, third) = (memory("first"), Faulty::new("second", &faults), memory("third"));
    let builder = agent()
        .shared_channel("first", first.clone())
        .shared_channel("second", second.clone())
        .shared_channel("third", third.clone());
    let builder = builder.source("in", numbers(40, 10)).backoff(quick()).interceptor(Some);
    let running = start(builder.to(["first", "second", "third"]));
    done(&running);
    for channel in [&first as &dyn Channel, &second, &third] {
        assert_eq!(peek(channel), numbers_text(40), "{}", channel.name());
    }
    assert!(second.is_through());
    println!("covered: {} refusals of the second of three channels", faults.len());
}

#[test]
fn an_optional_channel_that_is_full_disturbs_nobody_and_is_counted() {
    let (main, side) = (memory("main"), small("side", 25));
    let builder = agent().shared_channel("main", main.clone()).shared_channel("side", side.clone());
    let running = start(builder.source("in", numbers(100, 10)).optional(["side"]).to(["main"]));
    done(&running);
    assert_eq!(peek(&main), numbers_text(100));
    assert_eq!(peek(&side), numbers_text(20), "whole batches as long as there is room");
    let stats = running.stats().source("in").unwrap().stats.clone();
    assert_eq!((stats.optional_failed_events, stats.accepted_events, stats.channel_write_fail), (80, 100, 0));
    println!("covered: optional channel of 25 events for 100");
}

#[test]
fn an_optional_channel_gets_a_batch_once_though_the_required_one_refuses_first() {
    use Fault::{Full, None, NotCommitted, NotCommittedLater};
    let main = Faulty::new("main", &[Full, NotCommitted, NotCommittedLater, None, NotCommittedLater, Full]);
    let side = memory("side");
    let builder = agent().shared_channel("main", main.clone()).shared_channel("side", side.clone());
    let running = start(builder.source("in", numbers(20, 10)).backoff(quick()).optional(["side"]).to(["main"]));
    done(&running);
    assert_eq!((peek(&main), peek(&side)), (numbers_text(20), numbers_text(20)));
    println!("covered: optional puts follow the required ones");
}

#[test]
fn channels_of_one_store_share_a_transaction() {
    let parts = Store::parts(&[1000, 1000]);
    let builder = agent().shared_channel("a", parts[0].clone()).shared_channel("b", parts[1].clone());
    let running = start(builder.source("in", numbers(50, 10)).to(["a", "b"]));
    done(&running);
    assert_eq!(peek(&parts[0]), numbers_text(50));
    assert_eq!(peek(&parts[1]), numbers_text(50));
    assert_eq!(parts[0].store.commits.load(Ordering::Relaxed), 5);
    println!("covered: 5 batches to 2 channels of one store in 5 transactions");
}

#[test]
fn a_full_channel_of_a_store_holds_all_of_them_back_and_a_retry_keeps_the_routes() {
    let parts = Store::parts(&[1000, 3]);
    // Even numbers go to the second channel as well.
    let even = |event: &Event, route: &mut Route<'_>| {
        route.require(0);
        if text(event).parse::<u64>().unwrap() % 2 == 0 {
            route.require(1);
        }
    };
    let builder = agent().shared_channel("a", parts[0].clone()).shared_channel("b", parts[1].clone());
    let running = start(builder.source("in", numbers(12, 6)).selector(even).to(["a", "b"]));
    wait_for(&running, "the second batch to be refused", || {
        running.stats().source("in").unwrap().stats.channel_write_fail == 1
    });
    assert_eq!(peek(&parts[0]), numbers_text(6), "all or none");
    parts[1].take(10, Wait::NONE).unwrap().commit().unwrap();
    done(&running);
    assert_eq!(peek(&parts[0]), numbers_text(12));
    assert_eq!(peek(&parts[1]), ["6", "8", "10"]);
    println!("covered: full channel of a store, routes over a retry");
}

#[test]
fn a_ticket_over_one_store_does_not_wait_for_the_commit() {
    let parts = Store::parts(&[10, 10]);
    let hold = Shutdown::new();
    *parts[0].store.hold.lock() = Some(hold.clone());
    let builder = agent().shared_channel("a", parts[0].clone()).shared_channel("b", parts[1].clone());
    let running = start(builder.pusher("app").to(["a", "b"]));
    let app = running.pusher("app").unwrap();
    let tickets: Vec<_> = (0..5).map(|n| app.submit(vec![n.to_string().into()]).unwrap()).collect();
    assert_eq!(running.stats().source("app").unwrap().stats.accepted_events, 0);
    hold.request();
    for ticket in tickets {
        assert_eq!(ticket.wait().unwrap().events, 1);
    }
    assert_eq!(running.stats().source("app").unwrap().stats.accepted_events, 5);
    println!("covered: 5 tickets in flight over two channels of a store");
}

/// Goal: the position is in the channel that is committed last, which is one of a store if there is one, and never ahead
/// of the events. Method: a store channel named first and a memory channel that refuses for ever.
#[test]
fn the_position_goes_with_the_last_commit_and_prefers_a_store() {
    struct Positioned;
    impl PullSource for Positioned {
        fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
            out.push("x");
            out.set_position("p", "1");
            Ok(Pulled::Done)
        }
        fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
            assert_eq!(context.positions(""), []);
            Ok(())
        }
    }
    let parts = Store::parts(&[10]);
    let mem = small("mem", 1);
    mem.put("in the way").unwrap();
    let builder = agent().shared_channel("disk", parts[0].clone()).shared_channel("mem", mem.clone());
    let running = start(builder.source("in", Positioned).to(["disk", "mem"]));
    wait_for(&running, "the put to wait", || mem.stats().put_attempt_events == 2);
    assert_eq!((parts[0].position("test/source/in/p"), peek(&parts[0]).len()), (None, 0));
    mem.take(1, Wait::NONE).unwrap().commit().unwrap();
    done(&running);
    assert_eq!(parts[0].position("test/source/in/p").as_deref(), Some(&b"1"[..]));
    assert_eq!((mem.position("test/source/in/p"), peek(&parts[0]).len(), peek(&mem).len()), (None, 1, 1));
    println!("covered: order of commits, position with the last");
}

#[test]
fn a_receipt_tells_what_each_of_the_channels_dropped_and_diverted() {
    let channel = |name| MemoryChannel::builder(name).capacity_events(1);
    let spare = memory("spare");
    let diverting = channel("diverting").divert_to(spare.clone()).build().unwrap();
    let dropping = channel("dropping").overflow(Overflow::DropNewest).build().unwrap();
    let builder = agent().channel("diverting", diverting).channel("dropping", dropping).channel("last", memory("last"));
    let running = start(builder.pusher("app").to(["diverting", "dropping", "last"]));
    let app = running.pusher("app").unwrap();
    app.put("first").unwrap();
    let receipt = app.put("second").unwrap();
    assert_eq!((receipt.events, receipt.dropped, receipt.diverted), (1, 1, 1));
    assert_eq!(peek(&spare), ["second"]);
}

#[test]
fn a_selector_of_ones_own_chooses_for_each_event() {
    let (a, b, c) = (memory("a"), memory("b"), memory("c"));
    let by_size = |event: &Event, route: &mut Route<'_>| {
        let number: u64 = text(event).parse().unwrap();
        match number {
            0..10 => route.require(0),
            10..20 => route.require(route.place_of("b").unwrap()),
            20..30 => route.require_all(),
            30..40 => route.offer(1),
            _ => {}
        }
    };
    let builder = agent().shared_channel("a", a.clone()).shared_channel("b", b.clone()).shared_channel("c", c.clone());
    let running = start(builder.source("in", numbers(50, 7)).selector(by_size).optional(["c"]).to(["a", "b"]));
    done(&running);
    let all = numbers_text(50);
    assert_eq!(peek(&a), [&all[..10], &all[20..30]].concat());
    let mut in_b = peek(&b);
    in_b.sort_by_key(|number| number.parse::<u64>().unwrap());
    assert_eq!(in_b, all[10..40]);
    assert_eq!(peek(&c), all[20..30]);
    let stats = running.stats().source("in").unwrap().stats.clone();
    assert_eq!((stats.unrouted_events, stats.accepted_events), (10, 50));
    println!("covered: selector as a closure; required, all, offered, nowhere");
}

#[test]
fn a_selector_that_panics_or_chooses_wrongly_fails_the_put_and_gives_the_events_back() {
    let channel = memory("a");
    let wrong = |event: &Event, route: &mut Route<'_>| {
        assert!(event.body() != "panic", "no such event");
        route.require(if event.body() == "wrong" { 7 } else { 0 });
    };
    let running = start(agent().shared_channel("a", channel.clone()).pusher("app").selector(wrong).to(["a"]));
    let app = running.pusher("app").unwrap();
    for (body, reason) in
        [("panic", "it panicked: no such event"), ("wrong", "it chose place 7, but the source has 1 channels")]
    {
        let error = app.put_batch(vec!["good".into(), body.into()]).unwrap_err();
        assert_eq!(error.to_string(), format!("selector of source app failed: {reason}"));
        assert_eq!(error.into_batch().unwrap().events().len(), 2);
    }
    app.put("good").unwrap();
    assert_eq!(peek(&channel), ["good"]);
    assert_eq!(running.stats().source("app").unwrap().status.panics, 2);
    let _ = running.shutdown(Drain::NONE).unwrap();
    println!("covered: panic of a selector, choice of a channel that is not there");
}

/// Goal: a batch that was given back by one source is new for another. Method: two pushers with different channels.
#[test]
fn a_batch_given_back_by_one_source_can_be_put_by_another() {
    let full = small("full", 1);
    full.put("in the way").unwrap();
    let (a, b) = (memory("a"), memory("b"));
    let mark = |event: Event| Some(event.with_header("marked", "yes").unwrap());
    let full = MemoryChannel::clone(&full);
    let builder = agent().shared_channel("full", full).shared_channel("a", a.clone()).shared_channel("b", b.clone());
    let builder = builder.pusher("one").interceptor(Some).to(["a", "full"]).pusher("two").interceptor(mark).to(["b"]);
    let running = start(builder);
    let refused = running.pusher("one").unwrap().submit(vec!["x".into()]);
    let batch: PutBatch = refused.and_then(crate::PutTicket::wait).map_err(PutError::into_batch).unwrap_err().unwrap();
    running.pusher("two").unwrap().put_batch(batch).unwrap();
    let take = b.take(1, Wait::NONE).unwrap();
    assert_eq!(take[0].headers().get("marked"), Some("yes"));
    assert_eq!(peek(&a), ["x"]);
    println!("covered: batch of another source");
}
