//! Pushing from the application.

use std::sync::mpsc;
use std::task::{Context, Waker};

use super::channels::{Fault, Faulty};
use super::life::small_channels;
use super::*;
use crate::agent::{ComponentEnd, ComponentKind, Drain, Health, Outcome};
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::shutdown::Shutdown;
use crate::store::FileStore;
use crate::vfs::sim::SimVfs;
use crate::wait::Wait;

#[test]
fn what_is_pushed_passes_interceptors_and_reaches_the_sink() {
    let log = Log::default();
    let shout = |event: Event| (!event.body().is_empty()).then(|| Event::new(text(&event).to_uppercase()));
    let builder = agent().channel("c", memory("c")).pusher("app").interceptor(shout).to(["c"]);
    let running = start(builder.sink("out", log.sink()).from("c"));
    let app = running.pusher("app").unwrap();
    app.put("one").unwrap();
    app.put_batch(vec!["two".into(), "".into()]).unwrap();
    let mut ticket = app.submit(vec!["three".into()]).unwrap();
    let polled = std::pin::Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready(), "a memory channel decides at once");
    let stats = running.stats().source("app").unwrap().stats.clone();
    assert_eq!((stats.received_events, stats.accepted_events, stats.intercepted_events), (4, 4, 1));
    assert_eq!((stats.received_batches, stats.accepted_batches), (3, 3));
    running.shutdown(Drain::up_to(HANG)).unwrap();
    assert_eq!(log.lines(), ["ONE", "TWO", "THREE"]);
    println!("covered: put, put_batch, submit, counters");
}

#[test]
fn the_few_that_an_interceptor_or_a_selector_leaves_do_not_keep_the_others_in_memory() {
    let block = bytes::Bytes::from(vec![b'x'; 10_000]);
    let (block_of_first, start_of) = (block.clone(), block.as_ptr().addr());
    let first_only = move |event: Event| (event.body().as_ptr() == block_of_first.as_ptr()).then_some(event);
    let by_address = move |event: &Event, route: &mut crate::selector::Route<'_>| {
        route.require(usize::from(event.body().as_ptr().addr() != start_of));
    };
    let batch = || PutBatch::new((0..100).map(|n| Event::new(block.slice(n * 100..n * 100 + 100))).collect());
    let (few, many) = (memory("few"), memory("many"));
    let builder = agent().channel("few", few.clone()).channel("many", many.clone());
    let builder = builder.pusher("cut").interceptor(first_only).to(["few"]);
    let running = start(builder.pusher("split").selector(by_address).to(["few", "many"]));
    running.pusher("cut").unwrap().put_batch(batch()).unwrap();
    running.pusher("split").unwrap().put_batch(batch()).unwrap();
    let taken = |channel: &MemoryChannel| {
        let take = channel.take(1000, Wait::NONE).unwrap();
        take.iter().map(|event| block.as_ptr_range().contains(&event.body().as_ptr())).collect::<Vec<_>>()
    };
    assert_eq!(taken(&few), [false, false], "copies");
    assert_eq!(taken(&many), [true; 99], "no copies");
    println!("covered: bodies of survivors");
}

#[test]
fn a_put_waits_for_room_as_long_as_its_caller_wants() {
    let channel = Faulty::new("c", &[]);
    let running = start(agent().channel("c", channel.clone()).pusher("app").to(["c"]));
    let app = running.pusher("app").unwrap();
    app.put("one").unwrap();
    app.put_batch_within(vec!["two".into()], Wait::FOREVER).unwrap();
    app.put_batch_within(vec!["three".into()], Wait::NONE).unwrap();
    assert_eq!(*channel.waits.lock(), [None, Some(Wait::FOREVER), Some(Wait::NONE)]);
    drop(running);
    assert!(matches!(app.put_batch_within(vec!["late".into()], Wait::FOREVER), Err(PutError::Stopped { .. })));
}

/// Goal: an agent does not call itself drained while what was submitted is still on its way. Method: a store that writes when it is
/// told to.
#[test]
fn what_is_submitted_is_waited_for_and_is_left_until_it_is_written() {
    let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).background(false).open().unwrap();
    let (channel, log) = (store.channel("c").unwrap(), Log::default());
    let run = || {
        let builder = agent().shared_channel("c", channel.clone()).pusher("app").to(["c"]);
        start(builder.sink("out", log.sink()).from("c"))
    };
    let moment = Duration::from_millis(1);

    let running = run();
    let app = running.pusher("app").unwrap();
    let ticket = app.submit(vec!["one".into()]).unwrap();
    app.finish();
    assert_eq!(running.wait_done(Wait::up_to(moment)), Outcome::Stopped);
    let stats = channel.stats();
    assert_eq!(
        (stats.depth_events, stats.reserved_events, stats.reserved_bytes),
        (0, 1, Event::new("one").size_bytes())
    );
    store.maintain();
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!((log.lines(), ticket.wait().unwrap().events), (vec!["one".to_owned()], 1));
    let stats = channel.stats();
    assert_eq!((stats.reserved_events, stats.reserved_bytes), (0, 0));
    drop(running);

    let running = run();
    let ticket = running.pusher("app").unwrap().submit(vec!["two".into()]).unwrap();
    let report = running.shutdown(Drain::up_to(moment)).unwrap();
    assert_eq!((report.left[0].events, report.is_drained(), report.outcome), (1, false, Outcome::Stopped));
    ticket.wait().unwrap();
    assert_eq!(peek(&channel), ["two"]);
}

/// Goal: nothing of a put that waits for room is put after the end of its agent, when the next one goes on from the position before.
/// Method: a put that would wait for ever; room comes once it has returned.
#[test]
fn a_put_that_waits_for_room_is_given_back_when_its_agent_ends() {
    for (kind, channel) in small_channels(Wait::NONE) {
        for dropped in [false, true] {
            let running = start(agent().shared_channel("c", Arc::clone(&channel)).pusher("app").to(["c"]));
            let app = running.pusher("app").unwrap();
            while app.put("before").is_ok() {}
            let attempts = channel.stats().put_attempt_events;
            let (send, returned) = mpsc::channel();
            std::thread::spawn(move || {
                let mut batch = PutBatch::new(vec!["late".into()]);
                batch.set_position("p", "7");
                let _ = send.send(app.put_batch_within(batch, Wait::FOREVER));
            });
            wait_for(&running, "the put to wait", || channel.stats().put_attempt_events > attempts);
            if dropped {
                drop(running);
            } else {
                running.shutdown(Drain::NONE.grace(Duration::ZERO)).unwrap();
            }
            let error = returned.recv_timeout(HANG).unwrap_or_else(|_| panic!("{kind}: it still waits")).unwrap_err();
            assert!(error.is_full(), "{kind}: {error}");
            let back = error.into_batch().unwrap();
            assert_eq!((text(&back.events()[0]), back.recall.is_some()), ("late".to_owned(), false), "{kind}");
        }
    }
}

#[test]
fn a_put_that_does_not_return_is_reported() {
    let (begun, release) = (Shutdown::new(), Shutdown::new());
    let slow = {
        let (begun, release) = (begun.clone(), release.clone());
        move |event: Event| {
            begun.request();
            release.sleep(HANG);
            Some(event)
        }
    };
    let running = start(agent().channel("c", memory("c")).pusher("app").interceptor(slow).to(["c"]));
    let app = running.pusher("app").unwrap();
    let late = std::thread::spawn(move || app.put("late"));
    assert!(begun.sleep(HANG));
    running.pusher("app").unwrap().finish();
    assert_eq!(running.stats().source("app").unwrap().status.health, Health::Running);
    let report = running.shutdown(Drain::NONE.grace(Duration::from_millis(1))).unwrap();
    assert_eq!(report.component(ComponentKind::Source, "app").unwrap().end, ComponentEnd::Stuck);
    assert_eq!(report.outcome, Outcome::Failed);
    release.request();
    assert!(late.join().unwrap().is_err(), "the channel is closed by then");
}

#[test]
fn a_stopped_agent_refuses_and_gives_the_events_back() {
    let running = start(agent().channel("c", memory("c")).pusher("app").to(["c"]));
    let app = running.pusher("app").unwrap();
    drop(running);
    let error = app.put("late").unwrap_err();
    assert!(matches!(error, PutError::Stopped { .. }), "{error}");
    assert_eq!(error.to_string(), "source app takes no more events: it has finished or its agent is stopping");
    assert_eq!(error.into_batch().unwrap().events()[0].body(), "late");
    assert!(app.clone().submit(vec!["late".into()]).is_err());
    println!("covered: put and submit after the end");
}

#[test]
fn a_finished_pusher_lets_a_bounded_run_end() {
    let log = Log::default();
    let running = start(agent().channel("c", memory("c")).pusher("app").to(["c"]).sink("out", log.sink()).from("c"));
    let app = running.pusher("app").unwrap();
    let outcome = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| running.wait_done(Wait::up_to(HANG)));
        for number in 0..100 {
            app.put(number.to_string()).unwrap();
        }
        app.finish();
        waiting.join().unwrap()
    });
    assert_eq!((outcome, log.lines()), (Outcome::Completed, numbers_text(100)));
    assert_eq!(running.shutdown(Drain::NONE).unwrap().outcome, Outcome::Completed);
    println!("covered: finish");
}

/// Goal: every put that returned `Ok` is delivered, however close to the stop it came. Method: threads that push until they
/// are refused, while the agent is shut down.
#[test]
fn every_accepted_push_is_delivered_through_a_shutdown() {
    for round in 0..20 {
        let log = Log::default();
        let running =
            start(agent().channel("c", memory("c")).pusher("app").to(["c"]).sink("out", log.sink()).from("c"));
        let accepted = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for thread in 0..4 {
                let app = running.pusher("app").unwrap();
                threads.push(scope.spawn(move || {
                    let mut count = 0u64;
                    while app.put(format!("{thread}-{count}")).is_ok() {
                        count += 1;
                    }
                    count
                }));
            }
            wait_for(&running, "some events", || log.lines().len() > round * 5);
            let report = running.shutdown(Drain::up_to(HANG)).unwrap();
            assert!(report.is_drained());
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
        });
        assert_eq!(log.lines().len() as u64, accepted);
    }
    println!("covered: 20 shutdowns under 4 pushing threads");
}

#[test]
fn a_batch_given_back_goes_on_where_it_was() {
    let channel = Faulty::new("c", &[Fault::Full, Fault::NotCommittedLater]);
    let seen = Log::default();
    let note = {
        let seen = seen.clone();
        move |event: Event| {
            seen.add(text(&event));
            (event.body() != "drop").then_some(event)
        }
    };
    let builder = agent().shared_channel("c", channel.clone()).pusher("app").interceptor(note);
    let running = start(builder.to(["c"]));
    let app = running.pusher("app").unwrap();
    let mut batch = PutBatch::new(vec!["a".into(), "drop".into(), "b".into()]);
    batch.set_position("p", "7");
    for _ in 0..2 {
        batch = app.put_batch(batch).unwrap_err().into_batch().unwrap();
    }
    app.put_batch(batch).unwrap();
    assert_eq!(peek(&channel), ["a", "b"]);
    assert_eq!(seen.lines(), ["a", "drop", "b"]);
    assert_eq!(app.position("p").as_deref(), Some(&b"7"[..]));
    let stats = running.stats().source("app").unwrap().stats.clone();
    assert_eq!((stats.received_events, stats.accepted_events, stats.channel_write_fail), (3, 3, 2));
    println!("covered: two refusals of a pushed batch");
}

/// Goal: positions of a batch that one pusher gives back are those of the pusher that puts it next. Method: refused at once by one
/// channel, through the ticket by another one.
#[test]
fn a_batch_given_back_has_the_keys_that_it_came_with() {
    for fault in [Fault::Full, Fault::NotCommittedLater] {
        let builder = agent().channel("c", Faulty::new("c", &[fault])).channel("d", memory("d"));
        let running = start(builder.pusher("first").to(["c"]).pusher("second").to(["d"]));
        let (first, second) = (running.pusher("first").unwrap(), running.pusher("second").unwrap());
        let mut batch = PutBatch::new(vec!["x".into()]);
        batch.set_position("p", "7");
        let error = match first.submit(batch) {
            Ok(ticket) => ticket.wait().unwrap_err(),
            Err(error) => error,
        };
        let batch = error.into_batch().unwrap();
        assert_eq!(batch.positions()[0].0, "p");
        second.put_batch(batch).unwrap();
        assert_eq!((first.position("p"), second.position("p").as_deref()), (None, Some(&b"7"[..])));
    }
}

#[test]
fn an_unknown_pusher_is_told_with_the_nearest_name() {
    let running =
        start(agent().channel("c", memory("c")).pusher("app").to(["c"]).source("in", numbers(0, 1)).to(["c"]));
    assert_eq!(running.pusher("ap").unwrap_err().to_string(), "agent test has no pusher ap; is it app?");
    assert_eq!(running.pusher("in").unwrap_err().to_string(), "agent test has no pusher in");
    println!("covered: unknown pusher");
}
