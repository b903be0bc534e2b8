//! Errors and panics: contained, tried again, told, and nothing lost by them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::channels::{Fault, Faulty};
use super::*;
use crate::agent::{ComponentEnd, ComponentKind, Drain, Health, Outcome, PermanentPolicy};
use crate::clock::{Clock, SystemClock};
use crate::durability::Durability;
use crate::limits::{SOURCE_EMPTY_POLLS_MAX, SOURCE_IDLE_MIN};
use crate::sink::{Sink, SinkBatch, SinkContext};
use crate::source::{PullSource, Source, SourceContext};
use crate::store::FileStore;
use crate::testing::Random;
use crate::vfs::sim::{self, Inject, OpKind, SimVfs};
use crate::wait::Wait;

/// Counts up to `end` from its committed position, and fails where it is told to.
struct Counting {
    next: u64,
    end: u64,
    fail: Box<dyn FnMut(u64) -> Result<(), SourceError> + Send>,
}

impl Counting {
    fn to(end: u64, fail: impl FnMut(u64) -> Result<(), SourceError> + Send + 'static) -> Self {
        Self { next: 0, end, fail: Box::new(fail) }
    }
}

impl PullSource for Counting {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        let position = context.position("next");
        self.next = position.map_or(0, |bytes| String::from_utf8_lossy(&bytes).parse().unwrap());
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        while out.room() > 0 && self.next < self.end {
            out.push(self.next.to_string());
            self.next += 1;
            (self.fail)(self.next)?;
        }
        out.set_position("next", self.next.to_string());
        Ok(if self.next == self.end { Pulled::Done } else { Pulled::More })
    }
}

fn run(builder: AgentBuilder) -> (RunningAgent, Outcome) {
    let running = start(builder);
    let outcome = running.wait_done(Wait::up_to(HANG));
    (running, outcome)
}

#[test]
fn a_source_that_panics_or_fails_goes_on_behind_its_position() {
    let log = Log::default();
    let mut calls = 0;
    let fail = move |_: u64| {
        calls += 1;
        assert!(calls != 13, "thirteen");
        if calls == 29 { Err(SourceError::retry("twenty-nine")) } else { Ok(()) }
    };
    let builder = agent().channel("c", memory("c")).source("in", Counting::to(50, fail)).batch(4).backoff(quick());
    let (running, outcome) = run(builder.to(["c"]).sink("out", log.sink()).from("c"));
    assert_eq!(outcome, Outcome::Completed);
    assert_eq!(log.lines(), numbers_text(50));
    let stats = running.stats();
    let source = stats.source("in").unwrap();
    assert_eq!((source.status.restarts, source.status.panics, source.stats.event_read_fail), (2, 1, 2));
    assert_eq!(source.status.last_error.as_deref(), Some("twenty-nine"));
    assert_eq!((source.stats.received_events, source.stats.accepted_events), (50, 50));
    println!("covered: panic and error of a pull source, position after reopening, counters");
}

#[test]
fn a_listener_that_panics_or_fails_is_run_again() {
    struct Listener(u32);
    impl Source for Listener {
        fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
            self.0 += 1;
            context.put(vec![self.0.to_string().into()]).map_err(SourceError::retry)?;
            assert!(self.0 != 1, "first run");
            if self.0 == 2 { Err(SourceError::retry("second run")) } else { Ok(()) }
        }
    }
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", Listener(0)).backoff(quick()).to(["c"]);
    let (running, outcome) = run(builder.sink("out", log.sink()).from("c"));
    assert_eq!((outcome, log.lines()), (Outcome::Completed, numbers_text(4).split_off(1)));
    let status = running.stats().source("in").unwrap().status.clone();
    assert_eq!((status.restarts, status.panics, status.health), (2, 1, Health::Ended));
    println!("covered: panic and error of a listener");
}

/// Goal: a sink may fail in every way and at any time, and the events come to it in order, each until it is delivered.
/// Method: a sink that panics, fails and takes parts of batches at random.
#[test]
fn a_sink_that_fails_at_random_gets_everything_in_order() {
    struct Flaky {
        random: Random,
        log: Log,
        open: bool,
    }
    impl Sink for Flaky {
        fn open(&mut self, _: &SinkContext) -> Result<(), SinkError> {
            if self.random.below(4) == 0 {
                return Err(SinkError::retry("open"));
            }
            self.open = true;
            Ok(())
        }
        fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            assert!(std::mem::replace(&mut self.open, false), "written to without being opened again after a failure");
            match self.random.below(6) {
                0 => panic!("write"),
                1 => return Err(SinkError::retry("write")),
                2 => return Err(SinkError::permanent("write, for ever")),
                _ => {}
            }
            let count = usize::try_from(self.random.below(batch.events().len() as u64 + 1)).unwrap();
            batch.events()[..count].iter().for_each(|event| self.log.add(text(event)));
            self.open = true;
            Ok(Delivered::First(count))
        }
    }
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let log = Log::default();
    let sink = Flaky { random: Random::new(seed), log: log.clone(), open: false };
    let channel = Faulty::failing_takes("c", 0);
    let builder = agent().channel("c", channel).source("in", numbers(300, 9)).to(["c"]);
    let (running, outcome) = run(builder.sink("out", sink).batch(8).backoff(quick()).from("c"));
    assert_eq!((outcome, log.lines()), (Outcome::Completed, numbers_text(300)));
    let stats = running.stats();
    let sink = stats.sink("out").unwrap();
    assert_eq!(sink.stats.drain_success_events, 300);
    assert!(sink.status.panics > 0 && sink.stats.write_fail >= sink.status.panics);
    println!("covered: 300 events, {} restarts, {} panics", sink.status.restarts, sink.status.panics);
}

#[test]
fn a_take_that_is_not_committed_comes_again() {
    let log = Log::default();
    let channel = Faulty::failing_takes("c", 2);
    let builder = agent().channel("c", channel.clone()).source("in", numbers(2, 2)).to(["c"]);
    let (_running, outcome) = run(builder.sink("out", log.sink()).backoff(quick()).from("c"));
    assert_eq!(
        (outcome, log.lines()),
        (Outcome::Completed, ["0", "1"].repeat(3).into_iter().map(str::to_owned).collect())
    );
    assert!(channel.is_through());
    println!("covered: commit of a take fails twice");
}

/// It delivered the same events over and over.
#[test]
fn a_sink_ends_when_no_take_can_be_committed_any_more() {
    let disk = SimVfs::new();
    let store = FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).open().unwrap();
    let channel = store.channel("c").unwrap();
    channel.put("x").unwrap();
    disk.inject(Inject::new(sim::Fault::Errno(5)).on(OpKind::SyncData));
    channel.put("y").unwrap_err();
    let log = Log::default();
    let builder =
        agent().channel("c", channel).pusher("p").to(["c"]).sink("out", log.sink()).backoff(quick()).from("c");
    let (running, outcome) = run(builder);
    assert_eq!((outcome, log.lines()), (Outcome::Failed, vec!["x".to_owned(); 2]));
    drop(running);
}

/// It ended, having delivered the same events over and over, and what other directories had stayed behind them.
#[test]
fn a_sink_goes_on_beside_a_data_directory_that_failed() {
    let disk = SimVfs::new();
    let store = FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).durability(Durability::Os);
    let store = store.background(false).data_dir("/one").data_dir("/two").open().unwrap();
    let channel = store.channel("c").unwrap();
    let lanes: Vec<u16> = (0..10).map(|number| channel.put(number.to_string()).unwrap().first.unwrap().lane).collect();
    disk.inject(Inject::new(sim::Fault::Errno(5)).on(OpKind::SyncData).path("/two/*"));
    channel.close().unwrap_err();
    let channel = store.channel("c").unwrap();
    let log = Log::default();
    let builder = agent().channel("c", channel.clone()).source("in", numbers(2, 2)).to(["c"]);
    let (running, outcome) = run(builder.sink("out", log.sink()).backoff(quick()).batch(2).from("c"));
    let healthy = lanes.iter().enumerate().filter(|(_, lane)| **lane == 0).map(|(number, _)| number.to_string());
    let expected: Vec<String> = healthy.chain(["0", "1"].map(str::to_owned)).collect();
    // Not completed: the rest waits for the next open.
    assert_eq!((outcome, log.lines()), (Outcome::Failed, expected));
    let left = lanes.iter().filter(|lane| **lane == 1).count() as u64;
    assert_eq!((channel.stats().depth_events, channel.stats().withheld_events), (left, left));
    drop(running);
}

/// It waited, as if the channel were empty.
#[test]
fn a_sink_says_that_nothing_comes_from_a_store_that_failed() {
    let disk = SimVfs::new();
    let store = FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).durability(Durability::Os);
    let store = store.background(false).open().unwrap();
    let channel = store.channel("c").unwrap();
    channel.put("x").unwrap();
    disk.inject(Inject::new(sim::Fault::Errno(5)).on(OpKind::SyncData));
    channel.close().unwrap_err();
    let log = Log::default();
    let builder = agent().channel("c", store.channel("c").unwrap()).source("in", numbers(0, 1)).to(["c"]);
    let (running, outcome) = run(builder.sink("out", log.sink()).backoff(quick()).from("c"));
    assert_eq!((outcome, log.lines()), (Outcome::Failed, Vec::new()));
    let error = || running.stats().sink("out").unwrap().status.last_error.clone();
    while error().is_none() {
        std::thread::yield_now();
    }
    assert!(error().unwrap().contains("no more writes"), "{:?}", error());
    assert!(running.stats().sink("out").unwrap().stats.channel_read_fail > 0);
    drop(running);
}

/// Goal: what a channel answers to a put never loses or repeats an event of a source with a position, and never makes an
/// interceptor see an event twice. Method: all answers in a row.
#[test]
fn a_batch_is_put_again_until_it_is_committed() {
    use Fault::{Full, None, NotCommitted, NotCommittedLater};
    let faults = [Full, Full, NotCommitted, None, NotCommittedLater, NotCommitted, Full, None];
    let channel = Faulty::new("c", &faults);
    let seen = Arc::new(AtomicU64::new(0));
    let count = {
        let seen = seen.clone();
        move |event: Event| {
            seen.fetch_add(1, Ordering::Relaxed);
            (event.body() != "7").then_some(event)
        }
    };
    let log = Log::default();
    let builder =
        agent().channel("c", channel.clone()).source("in", Counting::to(40, |_| Ok(()))).batch(4).backoff(quick());
    let (running, outcome) = run(builder.interceptor(count).to(["c"]).sink("out", log.sink()).from("c"));
    let expected: Vec<_> = numbers_text(40).into_iter().filter(|number| number != "7").collect();
    assert_eq!((outcome, log.lines()), (Outcome::Completed, expected));
    assert!(channel.is_through());
    assert_eq!(seen.load(Ordering::Relaxed), 40);
    let stats = running.stats();
    let source = stats.source("in").unwrap();
    assert_eq!(source.stats.channel_write_fail, 2, "one for each batch that was refused");
    assert_eq!((source.stats.received_events, source.stats.intercepted_events), (40, 1));
    assert_eq!(source.stats.accepted_events, 40);
    println!("covered: {} answers of a channel", faults.len());
}

/// Another lane would take what the source reads again, and the first lane may have it, too, when the store is opened again.
#[test]
fn a_source_with_a_position_stops_when_nobody_knows_what_became_of_its_batch() {
    for unknown in [Fault::UnknownDone, Fault::UnknownLost] {
        let channel = Faulty::new("c", &[Fault::None, unknown]);
        let log = Log::default();
        let builder =
            agent().channel("c", channel.clone()).source("in", Counting::to(40, |_| Ok(()))).batch(4).backoff(quick());
        let (running, outcome) = run(builder.to(["c"]).sink("out", log.sink()).from("c"));
        assert_eq!(outcome, Outcome::Failed);
        let events = if matches!(unknown, Fault::UnknownDone) { 8 } else { 4 };
        assert_eq!(log.lines(), numbers_text(events), "{unknown:?}");
        let error = running.stats().source("in").unwrap().status.last_error.clone().unwrap();
        assert!(error.contains("outcome of the commit is unknown"), "{error}");
    }
    println!("covered: unknown outcomes");
}

#[test]
fn an_interceptor_that_panics_is_contained_and_sees_no_other_event_twice() {
    let log = Log::default();
    let seen = Log::default();
    let once = AtomicBool::new(true);
    let fragile = {
        let seen = seen.clone();
        move |event: Event| {
            seen.add(text(&event));
            assert!(event.body() != "5" || !once.swap(false, Ordering::Relaxed), "five");
            Some(event)
        }
    };
    let builder = agent().channel("c", memory("c")).source("in", numbers(9, 9)).backoff(quick());
    let builder = builder.interceptor(Some).interceptor(fragile).to(["c"]).sink("out", log.sink()).from("c");
    let (running, outcome) = run(builder);
    assert_eq!((outcome, log.lines()), (Outcome::Completed, numbers_text(9)));
    assert_eq!(seen.lines(), ["0", "1", "2", "3", "4", "5", "5", "6", "7", "8"]);
    let status = running.stats().source("in").unwrap().status.clone();
    assert_eq!(status.panics, 1);
    assert_eq!(status.last_error.as_deref(), Some("interceptor 2 of source in failed: it panicked: five"));
    println!("covered: panic of the second interceptor");
}

/// Goal: a command is not run again because its lines cannot be put, and what its lines come to is not repeated. Method: an
/// interceptor drops a line, passes one that is too large for the channel, and panics once, behind the first batch.
#[test]
fn a_command_goes_on_after_a_panic_of_an_interceptor() {
    let log = Log::default();
    let once = AtomicBool::new(true);
    let fragile = move |event: Event| {
        assert!(event.body() != "25" || !once.swap(false, Ordering::Relaxed), "twenty-five");
        match &*text(&event) {
            "5" => None,
            "7" => Some(Event::new("too large")),
            _ => Some(event),
        }
    };
    let channel = MemoryChannel::builder("c").body_bytes_max(4).build().unwrap();
    let command = crate::source::exec::Exec::new("seq", ["0", "29"]);
    let builder = agent().channel("c", channel).source("in", command).backoff(quick()).interceptor(fragile);
    let (running, outcome) = run(builder.to(["c"]).sink("out", log.sink()).from("c"));
    assert_eq!(outcome, Outcome::Completed);
    let mut expected = numbers_text(30);
    expected.retain(|line| line != "5" && line != "7");
    assert_eq!(log.lines(), expected);
    let stats = running.stats();
    let source = stats.source("in").unwrap();
    assert_eq!((source.status.panics, source.status.restarts, source.stats.dropped_events), (1, 1, 1));
    println!("covered: panic of an interceptor, a line that is dropped and one that is too large, of a command");
}

#[test]
fn a_fatal_sink_ends_and_the_others_go_on() {
    let log = Log::default();
    let builder = agent().channel("a", memory("a")).channel("b", memory("b")).pusher("app").to(["a", "b"]);
    let broken = |_: &[Event]| -> Result<Delivered, SinkError> { Err(SinkError::fatal("licence expired")) };
    let running = start(builder.sink("bad", broken).from("a").sink("good", log.sink()).from("b"));
    let app = running.pusher("app").unwrap();
    app.put("one").unwrap();
    wait_for(&running, "the sink to fail", || running.stats().sink("bad").unwrap().status.health == Health::Failed);
    app.put("two").unwrap();
    wait_for(&running, "the other sink to go on", || log.lines() == ["one", "two"]);
    // What only the failed sink could drain is not waited for.
    let report = running.shutdown(Drain::up_to(HANG)).unwrap();
    assert_eq!((report.left[0].events, report.left[1].events, report.outcome), (2, 0, Outcome::Failed));
    let end = ComponentEnd::Failed("licence expired".to_owned());
    assert_eq!(report.component(ComponentKind::Sink, "bad").unwrap().end, end);
    println!("covered: fatal sink beside a good one");
}

#[test]
fn an_undeliverable_event_is_dropped_or_diverted_as_chosen() {
    for policy in [PermanentPolicy::Drop, PermanentPolicy::divert("dead")] {
        let log = Log::default();
        let picky = {
            let log = log.clone();
            move |events: &[Event]| {
                if events[0].body() == "3" || events[0].body() == "4" {
                    return Err(SinkError::permanent("not this one"));
                }
                let good = events.iter().take_while(|event| event.body() != "3");
                Ok(Delivered::First(good.inspect(|event| log.add(text(event))).count()))
            }
        };
        let dead = memory("dead");
        let builder = agent().channel("c", memory("c")).shared_channel("dead", dead.clone());
        let builder = builder.source("in", numbers(8, 8)).to(["c"]).pusher("app").to(["dead"]);
        let running = start(builder.sink("out", picky).on_permanent(policy.clone()).from("c"));
        running.pusher("app").unwrap().finish();
        assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
        assert_eq!(log.lines(), ["0", "1", "2", "5", "6", "7"]);
        let stats = running.stats().sink("out").unwrap().stats.clone();
        let diverted = policy != PermanentPolicy::Drop;
        assert_eq!((stats.dropped_events, stats.diverted_events), if diverted { (0, 2) } else { (2, 0) });
        assert_eq!(peek(&dead), if diverted { vec!["3", "4"] } else { vec![] });
    }
    println!("covered: drop and divert of two undeliverable events in the middle of a batch");
}

#[test]
fn a_sink_s_position_goes_with_its_take_and_not_with_a_failed_write() {
    struct Positioned(u64);
    impl Sink for Positioned {
        fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
            let found = context.position("length").map(|bytes| String::from_utf8_lossy(&bytes).parse::<u64>().unwrap());
            assert_eq!(found.unwrap_or(0), self.0, "the position of the last commit");
            Ok(())
        }
        fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            if self.0 == 2 && batch.events()[0].body() == "2" {
                batch.set_position("length", "999");
                return Err(SinkError::permanent("two"));
            }
            self.0 += 1;
            batch.set_position("length", self.0.to_string());
            Ok(Delivered::First(1))
        }
    }
    let channel = memory("c");
    let builder = agent().shared_channel("c", channel.clone()).source("in", numbers(5, 5)).to(["c"]);
    let (running, outcome) = run(builder.sink("out", Positioned(0)).on_permanent(PermanentPolicy::Drop).from("c"));
    assert_eq!(outcome, Outcome::Completed, "{:?}", running.stats());
    assert_eq!(running.stats().sink("out").unwrap().status.panics, 0);
    assert_eq!(channel.position("test/sink/out/length").as_deref(), Some(&b"4"[..]));
    println!("covered: positions of a sink, forgotten with a failed write");
}

#[test]
fn an_idle_sink_is_told_so() {
    struct Idle(crossbeam_channel::Sender<()>);
    impl Sink for Idle {
        fn write(&mut self, _: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            Ok(Delivered::All)
        }
        fn idle(&mut self) -> Result<(), SinkError> {
            let _ = self.0.send(());
            Ok(())
        }
    }
    let (sender, idle) = crossbeam_channel::unbounded();
    let running = start(agent().channel("c", memory("c")).sink("out", Idle(sender)).from("c"));
    idle.recv_timeout(HANG).unwrap();
    assert!(running.shutdown(Drain::NONE).unwrap().is_drained());
    println!("covered: idle call, agent without source");
}

/// Goal: a batch that is too large for a channel is read again in smaller parts if the source has a position, and is a
/// clear error otherwise. Method: a channel with a limit of 3 events a transaction.
#[test]
fn a_batch_too_large_is_read_again_in_parts_or_told() {
    let channel = || MemoryChannel::builder("c").transaction_events_max(3).build().unwrap();
    let log = Log::default();
    let builder = agent().channel("c", channel()).source("in", Counting::to(50, |_| Ok(()))).batch(25).to(["c"]);
    let (running, outcome) = run(builder.sink("out", log.sink()).from("c"));
    assert_eq!((outcome, log.lines()), (Outcome::Completed, numbers_text(50)));
    // What is read again is not counted again.
    assert_eq!(running.stats().source("in").unwrap().stats.received_events, 50);

    let builder = agent().channel("c", channel()).source("in", numbers(10, 10)).to(["c"]);
    let (running, outcome) = run(builder.sink("out", log.sink()).from("c"));
    assert_eq!(outcome, Outcome::Failed);
    let error = running.stats().source("in").unwrap().status.last_error.clone().unwrap();
    assert!(error.contains("10") && error.contains("limit of 3") && error.contains("channel c"), "{error}");
    println!("covered: transaction limit of 3 events, with and without positions: {error}");
}

/// Goal: a batch that a channel has no room for at first, and then finds too large, is counted as received once. Method: these
/// answers in a row, also to the parts.
#[test]
fn a_batch_that_was_refused_before_it_is_read_again_in_parts_is_counted_once() {
    use Fault::{Full, None, TooLarge};
    let channel = Faulty::new("c", &[None, Full, TooLarge, Full, TooLarge, None, TooLarge, None]);
    let log = Log::default();
    let builder =
        agent().channel("c", channel.clone()).source("in", Counting::to(40, |_| Ok(()))).batch(8).backoff(quick());
    let (running, outcome) = run(builder.to(["c"]).sink("out", log.sink()).from("c"));
    assert_eq!((outcome, log.lines()), (Outcome::Completed, numbers_text(40)));
    assert!(channel.is_through());
    let stats = running.stats().source("in").unwrap().stats.clone();
    assert_eq!((stats.received_events, stats.accepted_events), (40, 40));
    println!("covered: refused as full, then as too large, in a part again");
}

#[test]
fn a_channel_closed_by_someone_else_ends_its_components() {
    let channel = memory("c");
    let builder = agent().channel("c", channel.clone()).source("in", Counting::to(u64::MAX, |_| Ok(()))).to(["c"]);
    let running = start(builder.sink("out", Log::default().sink()).from("c"));
    channel.close().unwrap();
    wait_for(&running, "both to end", || {
        let stats = running.stats();
        stats.source("in").unwrap().status.health == Health::Failed
            && stats.sink("out").unwrap().status.health == Health::Failed
    });
    assert!(
        running.stats().source("in").unwrap().status.last_error.as_deref().unwrap().contains("channel c is closed")
    );
    println!("covered: closed channel");
}

/// Goal: a source that says `More` and brings nothing does not spin, nor wait as long as one that has nothing new. Method: such a
/// pause has no end, and the polls behind the first ones have at least the short one each.
#[test]
fn a_source_that_says_more_and_brings_nothing_is_asked_after_pauses() {
    let polls = Arc::new(AtomicU32::new(0));
    let source = {
        let polls = polls.clone();
        move |out: &mut PullBatch| {
            // An event in between begins the count anew.
            if polls.fetch_add(1, Ordering::SeqCst) == SOURCE_EMPTY_POLLS_MAX / 2 {
                out.push("x");
            }
            Ok(Pulled::More)
        }
    };
    let endless = Backoff::new(Duration::MAX, Duration::MAX);
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    let builder = agent().channel("c", memory("c")).source("in", source).idle(endless).to(["c"]);
    let running = start(builder.sink("out", Log::default().sink()).from("c"));
    let at_once = SOURCE_EMPTY_POLLS_MAX / 2 + 1 + SOURCE_EMPTY_POLLS_MAX + 1;
    wait_for(&running, "its polls", || polls.load(Ordering::SeqCst) >= at_once + 3);
    running.shutdown(Drain::NONE).unwrap();
    let paused = polls.load(Ordering::SeqCst) - at_once;
    assert!(clock.monotonic() >= begun + SOURCE_IDLE_MIN * (paused - 1), "{paused} polls without a pause");
}
