//! Start, stop, drain, bounded runs.

use super::channels::{Fault, Faulty};
use super::*;
use crate::agent::{ComponentEnd, ComponentKind, Drain, Health, Outcome, StartError};
use crate::batch::PutBatch;
use crate::channel::{Overflow, Spillable};
use crate::shutdown::Shutdown;
use crate::sink::{Sink, SinkBatch, SinkContext};
use crate::source::{PullSource, Source, SourceContext};
use crate::store::FileStore;
use crate::vfs::sim::SimVfs;
use crate::wait::{Recall, Wait};

struct Told {
    name: &'static str,
    log: Log,
}

impl Source for Told {
    fn open(&mut self, _: &SourceContext) -> Result<(), SourceError> {
        self.log.add(format!("open source {}", self.name));
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        context.put(vec![self.name.into()]).map_err(SourceError::retry)?;
        context.shutdown().sleep(HANG);
        self.log.add(format!("end source {}", self.name));
        Ok(())
    }
}

impl Sink for Told {
    fn open(&mut self, _: &SinkContext) -> Result<(), SinkError> {
        self.log.add(format!("open sink {}", self.name));
        Ok(())
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        self.log.add(format!("write {}", batch.events().len()));
        Ok(Delivered::All)
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.log.add(format!("close sink {}", self.name));
        Ok(())
    }
}

fn told(name: &'static str, log: &Log) -> Told {
    Told { name, log: log.clone() }
}

/// Goal: sinks open before sources, sources end before sinks close, the channel is closed last. Method: components that
/// write a log.
#[test]
fn sinks_start_first_and_sources_stop_first() {
    let log = Log::default();
    let channel = memory("c");
    let builder = agent().channel("c", channel.clone()).source("in", told("in", &log));
    let running = start(builder.to(["c"]).sink("out", told("out", &log)).from("c"));
    assert_eq!(running.stats().source("in").map(|source| source.status.health), Some(Health::Running));
    wait_for(&running, "the event to arrive", || log.lines().contains(&"write 1".to_owned()));
    let report = running.shutdown(Drain::up_to(HANG)).unwrap();
    assert_eq!(log.lines(), ["open sink out", "open source in", "write 1", "end source in", "close sink out"]);
    assert!(report.is_drained() && report.left[0].closed);
    assert_eq!(report.outcome, Outcome::Stopped);
    assert_eq!(report.component(ComponentKind::Source, "in").unwrap().end, ComponentEnd::Stopped);
    assert!(channel.put("late").is_err(), "the agent closes its channels");
    println!("covered: order of start and stop, closing of channels, report");
}

#[test]
fn a_bounded_run_ends_when_all_is_delivered() {
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", numbers(1000, 7)).to(["c"]);
    let report =
        builder.sink("out", log.sink()).from("c").build().unwrap().run_to_completion(Wait::up_to(HANG)).unwrap();
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(report.outcome.exit_code(), 0);
    assert_eq!(log.lines(), numbers_text(1000));
    println!("covered: bounded run of 1000 events, order, closures as source and sink");
}

#[test]
fn a_bounded_run_over_its_limit_is_stopped_and_one_with_a_failed_sink_is_failed() {
    let idle = |_: &mut PullBatch| Ok(Pulled::Idle);
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", idle).to(["c"]).sink("out", log.sink()).from("c");
    let report = builder.build().unwrap().run_to_completion(Wait::up_to(Duration::from_millis(1))).unwrap();
    assert_eq!((report.outcome, report.outcome.exit_code()), (Outcome::Stopped, 75));

    let broken = |_: &[Event]| Err(SinkError::fatal("no disk"));
    let builder = agent().channel("c", memory("c")).source("in", numbers(3, 3)).to(["c"]).sink("out", broken).from("c");
    let report = builder.build().unwrap().run_to_completion(Wait::FOREVER).unwrap();
    assert_eq!((report.outcome, report.outcome.exit_code()), (Outcome::Failed, 1));
    assert_eq!(report.left[0].events, 3);
    let end = &report.component(ComponentKind::Sink, "out").unwrap().end;
    assert_eq!(*end, ComponentEnd::Failed("no disk".to_owned()));
    println!("covered: outcomes stopped and failed, exit codes, what is left");
}

#[test]
fn a_stop_token_ends_a_bounded_run() {
    let builder = agent().channel("c", memory("c")).source("in", |_: &mut PullBatch| Ok(Pulled::Idle)).to(["c"]);
    let running = start(builder.sink("out", Log::default().sink()).from("c"));
    let token = running.stop_token();
    let outcome = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| running.wait_done(Wait::FOREVER));
        token.request();
        waiting.join().unwrap()
    });
    assert_eq!(outcome, Outcome::Stopped);
    println!("covered: stop token");
}

/// Goal: the drain deadline ends a drain that cannot come to an end, and the report says what is left. Method: a sink that
/// always fails.
#[test]
fn a_drain_that_takes_too_long_is_cut_and_reported() {
    let channel = memory("c");
    let never = |_: &[Event]| -> Result<Delivered, SinkError> { Err(SinkError::retry("down")) };
    let builder = agent().shared_channel("c", channel.clone()).source("in", numbers(5, 5)).to(["c"]);
    let running = start(builder.sink("out", never).backoff(quick()).from("c"));
    wait_for(&running, "the source to end", || channel.stats().put_success_events == 5);
    let report = running.shutdown(Drain::up_to(Duration::from_millis(20))).unwrap();
    assert!(!report.is_drained());
    assert_eq!((report.left[0].events, report.left[0].closed), (5, false));
    assert_eq!(report.left[0].bytes, 5);
    let sink = report.component(ComponentKind::Sink, "out").unwrap();
    assert_eq!((&sink.end, sink.status.last_error.as_deref()), (&ComponentEnd::Stopped, Some("down")));
    assert_eq!(peek(&channel), numbers_text(5), "the events are still there, in order");
    println!("covered: drain deadline, report of what is left, shared channels stay open");
}

/// Goal: what nobody takes does not count as undelivered, and is told all the same. Method: a sink that refuses one of three
/// events for good, and a channel for dead letters.
#[test]
fn an_agent_is_drained_though_a_dead_letter_waits_in_a_channel_without_a_sink() {
    let log = Log::default();
    let sink = {
        let mut taken = log.sink();
        move |events: &[Event]| {
            if events.iter().any(|event| event.body() == "1") {
                return Err(SinkError::permanent("refused"));
            }
            taken(events)
        }
    };
    let builder = agent().channel("c", memory("c")).channel("dead", memory("dead"));
    let builder =
        builder.source("in", numbers(3, 1)).to(["c"]).sink("out", sink).batch(1).dead_letter("dead").from("c");
    let report = builder.build().unwrap().run_to_completion(Wait::up_to(HANG)).unwrap();
    assert_eq!(report.outcome, Outcome::Completed);
    assert!(report.is_drained(), "{report:?}");
    let left: Vec<_> = report.left.iter().map(|left| (left.name.as_str(), left.events, left.has_sink)).collect();
    assert_eq!(left, [("c", 0, true), ("dead", 1, false)]);
    println!("covered: what is left in a channel without a sink");
}

#[test]
fn draining_delivers_everything_before_the_sinks_stop() {
    let log = Log::default();
    let running =
        start(agent().channel("c", memory("c")).pusher("app").to(["c"]).sink("out", log.sink()).batch(3).from("c"));
    let app = running.pusher("app").unwrap();
    for number in 0..500 {
        app.put(number.to_string()).unwrap();
    }
    let report = running.shutdown(Drain::up_to(HANG)).unwrap();
    assert!(report.is_drained());
    assert_eq!(log.lines(), numbers_text(500));
    println!("covered: drain of 500 events");
}

/// A channel of each kind with room for one event, with this wait for puts.
pub(super) fn small_channels(wait: Wait) -> Vec<(&'static str, Arc<dyn Channel>)> {
    let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(1).put_wait(wait);
    let store = store.capacity_events(1).open().unwrap();
    let spillable = Spillable::builder("spilling").memory_events(1).overflow_events(1).put_wait(wait);
    vec![
        ("memory", Arc::new(MemoryChannel::builder("c").capacity_events(1).put_wait(wait).build().unwrap())),
        ("file", Arc::new(store.channel("c").unwrap())),
        ("spillable", Arc::new(spillable.open(&store).unwrap())),
    ]
}

/// Goal: a put that waits for room does not hold up a stop. Method: a channel of each kind without a sink, behind another
/// channel or not, and a drain grace that a hang would use up, seen in the report.
#[test]
fn a_source_blocked_on_a_full_channel_stops_promptly() {
    for (kind, channel) in small_channels(Wait::FOREVER) {
        let mut count = numbers(9, 1);
        let source = move |out: &mut PullBatch| {
            out.set_position("next", "x");
            count(out)
        };
        let builder = agent().shared_channel("c", Arc::clone(&channel)).channel("first", memory("first"));
        let running = start(builder.source("in", source).to(["first", "c"]));
        wait_for(&running, "a put to wait", || {
            let stats = channel.stats();
            stats.put_attempt_events > stats.put_success_events && stats.depth_events == stats.put_success_events
        });
        let report = running.shutdown(Drain::NONE.grace(HANG)).unwrap();
        assert_eq!(report.component(ComponentKind::Source, "in").unwrap().end, ComponentEnd::Stopped, "{kind}");
    }
    println!("covered: stop of a source that waits for room, with each kind of channel");
}

/// Goal: a source stands in the line of a channel that does not wait, instead of coming again and again, and its other callers
/// hear "full" at once. Method: puts of a source, which may come again after every wait that is over, but not often.
#[test]
fn a_source_waits_in_the_line_of_a_channel_that_does_not_wait_itself() {
    let failing = MemoryChannel::builder("failing").capacity_events(1).overflow(Overflow::Fail).build().unwrap();
    let failing: (_, Arc<dyn Channel>) = ("failing", Arc::new(failing));
    for (kind, channel) in small_channels(Wait::NONE).into_iter().chain([failing]) {
        while channel.put("before").is_ok() {}
        let before = channel.stats();
        std::thread::scope(|scope| {
            let putting = scope.spawn(|| {
                let mut batch = PutBatch::new(vec!["of the source".into()]);
                for _ in 0..20 {
                    batch.recall = Some(Recall::of_patient(Shutdown::new()));
                    let mut transaction = channel.begin_put();
                    transaction.set_batch(batch);
                    match transaction.commit() {
                        Ok(_) => return,
                        Err(error) => batch = error.into_batch().unwrap(),
                    }
                }
                panic!("it does not wait");
            });
            while channel.stats().put_attempt_events == before.put_attempt_events {
                std::thread::yield_now();
            }
            assert!(channel.put("of another").unwrap_err().is_full(), "{kind}");
            while !putting.is_finished() {
                channel.take(1, Wait::NONE).unwrap().commit().unwrap();
            }
            putting.join().unwrap();
        });
    }
    println!("covered: channels of each kind whose callers do not wait");
}

/// Goal: what does not wait does not pass what waits, also in a channel that does not wait itself, where small puts could keep a
/// larger one out for good. Method: a put that would fit, while another waits for more room.
#[test]
fn a_put_that_does_not_wait_does_not_pass_those_who_do() {
    let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(1).put_wait(Wait::NONE);
    let store = store.capacity_events(2).open().unwrap();
    let memory = || MemoryChannel::builder("c").capacity_events(2).put_wait(Wait::NONE);
    let channels: [(_, Arc<dyn Channel>); 3] = [
        ("memory", Arc::new(memory().build().unwrap())),
        ("failing", Arc::new(memory().overflow(Overflow::Fail).build().unwrap())),
        ("file", Arc::new(store.channel("c").unwrap())),
    ];
    for (kind, channel) in channels {
        channel.put("before").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut large = channel.begin_put();
                large.set_batch(PutBatch::new(vec!["one".into(), "two".into()]));
                large.set_wait(Wait::FOREVER);
                large.commit().map(|_| ())
            });
            while channel.stats().put_attempt_events < 3 {
                std::thread::yield_now();
            }
            assert!(channel.put("it would fit").unwrap_err().is_full(), "{kind}");
            channel.take(1, Wait::NONE).unwrap().commit().unwrap();
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(channel.stats().depth_events, 2, "{kind}");
    }
}

/// Whoever leaves the line of those who wait for room comes to its end, behind sources that stay.
#[test]
fn a_pull_source_waits_for_room_as_long_as_the_channel_is_configured_to() {
    let channel = Faulty::new("c", &[Fault::Full, Fault::None]);
    let running = start(agent().channel("c", channel.clone()).source("in", numbers(3, 1)).to(["c"]));
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(*channel.waits.lock(), [None; 4]);
}

/// Goal: what cannot be read again is put as long as the stop gives time, and counted if that was too short. Method: a
/// source without positions before a channel of one event; room is made after the request to stop, or never.
#[test]
fn a_batch_without_positions_is_put_within_the_grace_of_a_stop_or_counted_as_dropped() {
    for has_room in [true, false] {
        let channel = small("c", 2);
        let running = start(agent().shared_channel("c", channel.clone()).source("in", numbers(6, 2)).to(["c"]));
        wait_for(&running, "a put to wait", || channel.stats().put_attempt_events == 4);
        let context = running.sources.first().unwrap().context.clone();
        let grace = if has_room { HANG } else { Duration::ZERO };
        std::thread::scope(|scope| {
            let stopped = scope.spawn(|| running.shutdown(Drain::NONE.grace(grace)).unwrap());
            if has_room {
                while !context.shutdown().is_requested() {
                    std::thread::yield_now();
                }
                channel.take(2, Wait::NONE).unwrap().commit().unwrap();
            }
            let report = stopped.join().unwrap();
            assert_eq!(report.component(ComponentKind::Source, "in").unwrap().end, ComponentEnd::Stopped);
        });
        let stats = context.counters().snapshot();
        let (accepted, dropped, left) = if has_room { (4, 0, ["2", "3"]) } else { (2, 2, ["0", "1"]) };
        assert_eq!((stats.received_events, stats.accepted_events, stats.dropped_events), (4, accepted, dropped));
        assert_eq!(peek(&channel), left);
    }
    println!("covered: 2 events put after the request, 2 dropped");
}

#[test]
fn a_component_that_does_not_return_is_left_behind_and_reported() {
    let release = Shutdown::new();
    let stuck = {
        let release = release.clone();
        move |_: &[Event]| {
            release.sleep(HANG);
            Ok(Delivered::All)
        }
    };
    let running = start(agent().channel("c", memory("c")).pusher("app").to(["c"]).sink("out", stuck).from("c"));
    running.pusher("app").unwrap().put("x").unwrap();
    wait_for(&running, "the sink to be stuck", || running.stats().channel("c").unwrap().in_flight_events == 1);
    let report = running.shutdown(Drain::NONE.grace(Duration::from_millis(10))).unwrap();
    release.request();
    assert_eq!(report.component(ComponentKind::Sink, "out").unwrap().end, ComponentEnd::Stuck);
    assert_eq!(report.outcome, Outcome::Failed);
    println!("covered: stuck sink");
}

#[test]
fn dropping_a_running_agent_asks_everything_to_stop_and_closes_nothing() {
    struct Ends(crossbeam_channel::Sender<&'static str>);
    impl Source for Ends {
        fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
            context.shutdown().sleep(HANG);
            Ok(())
        }
    }
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.send("source");
        }
    }
    let (sender, ended) = crossbeam_channel::unbounded();
    let channel = memory("c");
    let sink = {
        let guard = Ends(sender.clone());
        move |_: &[Event]| {
            let _ = &guard;
            Ok(Delivered::All)
        }
    };
    let running =
        start(agent().channel("c", channel.clone()).source("in", Ends(sender)).to(["c"]).sink("out", sink).from("c"));
    drop(running);
    for _ in 0..2 {
        ended.recv_timeout(HANG).unwrap();
    }
    channel.put("still open").unwrap();
    println!("covered: drop without shutdown");
}

/// Goal: a start that fails stops what it started. Method: one good source, one that cannot open.
#[test]
fn a_source_that_cannot_be_opened_undoes_the_start() {
    struct Broken;
    impl PullSource for Broken {
        fn open(&mut self, _: &SourceContext) -> Result<(), SourceError> {
            Err(SourceError::fatal("no such directory"))
        }
        fn poll(&mut self, _: &mut PullBatch) -> Result<Pulled, SourceError> {
            Ok(Pulled::Idle)
        }
    }
    let log = Log::default();
    let channel = memory("c");
    let builder = agent().channel("c", channel.clone()).source("good", told("good", &log)).to(["c"]);
    let builder = builder.source("bad", Broken).to(["c"]).sink("out", told("out", &log)).from("c");
    let error = builder.build().unwrap().start().unwrap_err();
    assert_eq!(error.to_string(), "source bad cannot be opened: no such directory");
    assert!(matches!(error, StartError::Open { kind: ComponentKind::Source, .. }));
    assert!(log.lines().contains(&"end source good".to_owned()) && log.lines().contains(&"close sink out".to_owned()));
    channel.put("still open").unwrap();
    println!("covered: failed start");
}

#[test]
fn an_agent_with_a_closed_channel_does_not_start() {
    for (kind, channel) in small_channels(Wait::NONE) {
        channel.close().unwrap();
        let log = Log::default();
        let builder = agent().shared_channel("c", channel).source("in", told("in", &log)).to(["c"]);
        let error = builder.sink("out", told("out", &log)).from("c").build().unwrap().start().unwrap_err();
        assert!(matches!(&error, StartError::Closed { channel } if channel == "c"), "{kind}: {error}");
        assert_eq!(error.to_string(), "channel c is closed");
        assert_eq!(log.lines(), [""; 0], "{kind}");
    }
    println!("covered: start with a closed channel of each kind");
}

#[test]
fn a_source_that_cannot_be_opened_yet_is_tried_again_in_the_background() {
    struct Later(u32);
    impl PullSource for Later {
        fn open(&mut self, _: &SourceContext) -> Result<(), SourceError> {
            self.0 += 1;
            if self.0 < 4 { Err(SourceError::retry("not yet")) } else { Ok(()) }
        }
        fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
            out.push("at last");
            Ok(Pulled::Done)
        }
    }
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", Later(0)).backoff(quick()).to(["c"]);
    let running = start(builder.sink("out", log.sink()).from("c"));
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(running.stats().source("in").unwrap().status.restarts, 3);
    assert_eq!(log.lines(), ["at last"]);
    println!("covered: opening that succeeds at the fourth attempt");
}

/// Goal: a source that keeps its position in the channel goes on behind it in the next agent. Method: two agents over the
/// same channel, the first stopped in the middle.
#[test]
fn a_position_outlives_the_agent_that_set_it() {
    struct Counter {
        next: u64,
        stop_at: u64,
    }
    impl PullSource for Counter {
        fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
            let position = context.position("next");
            self.next = position.map_or(0, |bytes| String::from_utf8_lossy(&bytes).parse().unwrap());
            Ok(())
        }
        fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
            while out.room() > 0 && self.next < self.stop_at {
                out.push(self.next.to_string());
                self.next += 1;
            }
            out.set_position("next", self.next.to_string());
            Ok(if self.next == self.stop_at { Pulled::Done } else { Pulled::More })
        }
    }
    let log = Log::default();
    let channel = memory("c");
    for stop_at in [40, 100] {
        let builder = agent().shared_channel("c", channel.clone());
        let builder =
            builder.source("in", Counter { next: 0, stop_at }).batch(7).to(["c"]).sink("out", log.sink()).from("c");
        let report = builder.build().unwrap().run_to_completion(Wait::up_to(HANG)).unwrap();
        assert_eq!(report.outcome, Outcome::Completed);
    }
    assert_eq!(log.lines(), numbers_text(100));
    assert_eq!(channel.position("test/source/in/next").as_deref(), Some(&b"100"[..]));
    println!("covered: positions over a restart of the agent");
}
