//! Groups of sinks in an agent, and channels for what cannot be delivered.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::*;
use crate::agent::{ComponentEnd, ComponentKind, Drain, Health, Outcome, StartError};
use crate::channel::{FileChannel, PutTransaction, RawTake, TakeCommit, TakeTransaction};
use crate::error::{StorageError, TakeError};
use crate::event::EventId;
use crate::limits::DIVERTED_IN_A_ROW_MAX;
use crate::sink::group::{Failover, LoadBalance, Single, SinkGroup};
use crate::sink::{Sink, SinkBatch, SinkContext};
use crate::stats::ChannelStats;
use crate::store::FileStore;
use crate::ticket::TakeTicket;
use crate::vfs::sim::SimVfs;
use crate::wait::Wait;

#[allow(clippy::unnecessary_wraps)] // the form of a sink
fn null(_: &[Event]) -> Result<Delivered, SinkError> {
    Ok(Delivered::All)
}

fn retry(_: &[Event]) -> Result<Delivered, SinkError> {
    Err(SinkError::retry("out of order"))
}

#[test]
fn every_mistake_in_groups_is_reported_at_once() {
    let builder = agent().channel("c", memory("c")).channel("d", memory("d"));
    let builder = builder.sink("a", null).from("c").sink("b", null).from("d").sink("e", null).from("c");
    let builder = builder.sink("f", null).dead_letter("d").backoff(quick()).from("c");
    let builder = builder.sink_group("one", Failover::new().priority("a", 1).priority("x", 2)).of(["a", "b"]);
    let builder = builder.sink_group("two", LoadBalance::random()).dead_letter("c").of(["a", "E"]);
    let builder = builder.sink_group("two", Single::new()).of(["e", "f"]);
    let builder = builder.sink_group("", Single::new()).of([] as [&str; 0]);
    let errors = builder.build().unwrap_err();
    let found: Vec<String> = errors.mistakes().iter().map(ToString::to_string).collect();
    let expected = [
        "there is more than one sink group two",
        "sink group number 4 has an empty name",
        "sink group one: sink a takes from channel c and sink b from channel d; \
         the sinks of a group must take from one channel",
        "sink a is in sink group one and in sink group two",
        "sink group two: there is no sink E; is it e?",
        "sink group two diverts to channel c, from which it takes",
        "sink f is in sink group two: set its on_permanent for the group",
        "sink f is in sink group two: set its backoff for the group",
        "sink group  has no sink; name them with `of`",
        "policy of sink group one: x has a priority and is not in the group",
        "policy of sink group two: it is for one sink, not for 2; use failover or load_balance",
    ];
    for mistake in expected {
        assert!(found.iter().any(|other| other == mistake), "missing: {mistake}\nfound: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_group_fails_over_and_tells_of_each_of_its_sinks() {
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", numbers(20, 5)).to(["c"]);
    let builder = builder.channel("d", memory("d")).pusher("p").to(["d"]).sink("other", null).from("d");
    let builder = builder.sink("main", retry).from("c").sink("spare", log.sink()).batch(4).from("c");
    let builder = builder.sink_group("out", Failover::new().priority("main", 9)).backoff(quick()).of(["spare", "main"]);
    let running = start(builder);
    running.pusher("p").unwrap().finish();
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(log.lines(), numbers_text(20));
    let stats = running.stats();
    let (main, spare, group) = (stats.sink("main").unwrap(), stats.sink("spare").unwrap(), stats.group("out").unwrap());
    assert_eq!((group.stats.drain_success_events, group.status.health), (20, Health::Running));
    assert_eq!((spare.stats.drain_success_events, spare.status.health), (20, Health::Running));
    assert_eq!((main.stats.drain_success_events, main.status.health), (0, Health::Retrying));
    assert!(main.stats.write_fail > 0 && main.status.last_error.as_deref() == Some("out of order"));
    let names: Vec<_> = stats.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(
        (names, &group.sinks[..]),
        (vec!["other", "spare", "main"], &["spare".to_owned(), "main".to_owned()][..])
    );
    let report = running.shutdown(Drain::NONE).unwrap();
    for (kind, name) in
        [(ComponentKind::SinkGroup, "out"), (ComponentKind::Sink, "spare"), (ComponentKind::Sink, "main")]
    {
        assert_eq!(report.component(kind, name).unwrap().end, ComponentEnd::Stopped, "{name}");
    }
}

#[test]
fn a_sink_that_cannot_be_opened_ends_its_group_only_if_all_do() {
    struct Broken;
    impl Sink for Broken {
        fn open(&mut self, _: &SinkContext) -> Result<(), SinkError> {
            Err(SinkError::fatal("no such host"))
        }
        fn write(&mut self, _: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            Ok(Delivered::All)
        }
    }
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", numbers(5, 5)).to(["c"]);
    let builder = builder.sink("a", Broken).from("c").sink("b", log.sink()).from("c");
    let running = start(builder.sink_group("g", LoadBalance::round_robin()).of(["a", "b"]));
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(log.lines(), numbers_text(5));
    assert_eq!(running.stats().sink("a").unwrap().status.health, Health::Failed);
    let report = running.shutdown(Drain::NONE).unwrap();
    let end = &report.component(ComponentKind::Sink, "a").unwrap().end;
    assert_eq!(*end, ComponentEnd::Failed("no such host".to_owned()));

    let builder = agent().channel("c", memory("c")).source("in", numbers(5, 5)).to(["c"]);
    let builder = builder.sink("a", Broken).from("c").sink("b", Broken).from("c");
    let builder = builder.sink_group("g", LoadBalance::round_robin()).of(["a", "b"]);
    let error = builder.build().unwrap().start().unwrap_err();
    assert!(matches!(&error, StartError::Open { kind: ComponentKind::SinkGroup, .. }), "{error}");
    assert!(error.to_string().contains("a for good: no such host; b for good: no such host"), "{error}");
}

#[test]
fn a_group_may_have_the_name_of_a_sink() {
    let log = Log::default();
    let builder = agent().channel("c", memory("c")).source("in", numbers(5, 5)).to(["c"]);
    let builder = builder.sink("a", null).from("c").sink("b", log.sink()).from("c");
    let running = start(builder.sink_group("b", Failover::new().priority("b", 9)).of(["a", "b"]));
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(log.lines(), numbers_text(5));
    assert_eq!(running.stats().group("b").unwrap().status.health, Health::Running);
}

/// Goal: members of equal names of two groups have positions of their own, those of sinks that the agent groups the ones that the
/// sinks have anyway. Method: what is in the store afterwards.
#[test]
fn equal_names_of_members_are_told_apart_by_their_groups() {
    struct Counting;
    impl Sink for Counting {
        fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            batch.set_position("at", text(&batch.events()[0]));
            Ok(Delivered::All)
        }
    }
    let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(1).open().unwrap();
    let mut builder = agent();
    for name in ["one", "two", "three"] {
        let channel = store.channel(name).unwrap();
        channel.put(name).unwrap();
        builder = builder.shared_channel(name, channel);
    }
    let group = || SinkGroup::new(Single::new()).member("m", Counting);
    let builder = builder.sink("one", group()).from("one").sink("two", group()).from("two").sink("m", Counting);
    let running = start(builder.from("three").sink_group("g", Single::new()).of(["m"]));
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    let found = store.channel("one").unwrap().positions("test/sink/");
    let found: Vec<_> = found.iter().map(|(owner, at)| (owner.as_str(), &at[..])).collect();
    let expected: [(_, &[u8]); 3] =
        [("test/sink/m/at", b"three"), ("test/sink/one/m/at", b"one"), ("test/sink/two/m/at", b"two")];
    assert_eq!(found, expected);
}

/// A channel of a store whose first commits of takes fail, as if the process had been killed before them.
#[derive(Clone, Debug)]
struct Interrupted {
    inner: FileChannel,
    failing: Arc<AtomicU64>,
}

impl Channel for Interrupted {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn begin_put(&self) -> PutTransaction {
        self.inner.begin_put()
    }
    fn store_part(&self) -> Option<(u64, u16)> {
        self.inner.store_part()
    }
    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        let take = self.inner.take(max, wait)?;
        Ok(match take.into_raw() {
            None => TakeTransaction::empty(),
            Some((events, raw)) => {
                TakeTransaction::new(events, Box::new(InterruptedTake { raw, failing: self.failing.clone() }))
            }
        })
    }
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_ready(cx)
    }
    fn position(&self, owner: &str) -> Option<Bytes> {
        self.inner.position(owner)
    }
    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.inner.positions(prefix)
    }
    fn stats(&self) -> ChannelStats {
        self.inner.stats()
    }
    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

struct InterruptedTake {
    raw: Box<dyn RawTake>,
    failing: Arc<AtomicU64>,
}

impl RawTake for InterruptedTake {
    fn id(&self, index: usize) -> EventId {
        self.raw.id(index)
    }
    fn submit(self: Box<Self>, commit: TakeCommit) -> Result<TakeTicket, TakeError> {
        if self.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            self.raw.rollback(commit.events);
            return Err(TakeError::NotCommitted { channel: "c".to_owned(), source: StorageError::Closed });
        }
        self.raw.submit(commit)
    }
    fn rollback(self: Box<Self>, events: Vec<Event>) {
        self.raw.rollback(events);
    }
}

/// Delivers all events but those with an odd number, which it never can.
fn even(log: Log) -> impl FnMut(&[Event]) -> Result<Delivered, SinkError> + Send + 'static {
    move |events: &[Event]| {
        let good = events.iter().take_while(|event| !text(event).ends_with(['1', '3', '5', '7', '9']));
        let good = good.inspect(|event| log.add(text(event))).count();
        if good == 0 { Err(SinkError::permanent("odd")) } else { Ok(Delivered::First(good)) }
    }
}

/// Goal: within one store a dead letter is put once, also if the agent is killed before it has left its channel. Method: the
/// first commits of takes fail, so that the same event is found undeliverable again.
#[test]
fn a_dead_letter_of_the_same_store_is_put_once() {
    for in_group in [false, true] {
        let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(1).open().unwrap();
        let channel = Interrupted { inner: store.channel("c").unwrap(), failing: Arc::new(AtomicU64::new(3)) };
        let dead = store.channel("dead").unwrap();
        channel
            .inner
            .put_batch((0..10).map(|number| Event::new(number.to_string())).collect::<Vec<_>>().into())
            .unwrap();
        let log = Log::default();
        let builder = agent().shared_channel("c", channel.clone()).shared_channel("dead", dead.clone());
        let builder = builder.pusher("p").to(["c"]);
        let builder = if in_group {
            let builder = builder.sink("a", even(log.clone())).from("c").sink("b", even(log.clone())).from("c");
            let group = builder.sink_group("g", LoadBalance::round_robin()).backoff(quick());
            group.dead_letter("dead").of(["a", "b"])
        } else {
            builder.sink("out", even(log.clone())).backoff(quick()).dead_letter("dead").from("c")
        };
        let running = start(builder);
        running.pusher("p").unwrap().finish();
        assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
        assert_eq!(channel.failing.load(Ordering::Relaxed), 0);
        assert_eq!(peek(&dead), ["1", "3", "5", "7", "9"]);
        assert_eq!(dead.stats().put_success_events, 5);
        let stats = running.stats();
        let counted = if in_group { &stats.group("g").unwrap().stats } else { &stats.sink("out").unwrap().stats };
        assert_eq!(counted.diverted_events, 5);
        assert!(log.lines().len() >= 5, "those of a commit that failed come again");
        assert_eq!(channel.positions("test/dead-letter/"), [], "the mark goes with the event");
    }
}

/// Goal: a sink and a group of the same name keep their marks of dead letters apart. Method: each has put one and not committed
/// its take when both begin anew.
#[test]
fn a_sink_and_a_group_of_one_name_put_each_dead_letter_once() {
    let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(1).open().unwrap();
    let channel = Interrupted { inner: store.channel("c").unwrap(), failing: Arc::new(AtomicU64::new(2)) };
    let dead = store.channel("dead").unwrap();
    channel.inner.put_batch(vec!["1".into(), "2".into()].into()).unwrap();
    let both = Arc::new(Barrier::new(2));
    let refuse = || {
        let both = both.clone();
        move |_: &[Event]| {
            both.wait();
            Err(SinkError::permanent("no"))
        }
    };
    let builder = agent().shared_channel("c", channel).shared_channel("dead", dead.clone()).pusher("p").to(["c"]);
    let builder = builder.sink("x", refuse()).batch(1).backoff(quick()).dead_letter("dead").from("c");
    let builder = builder.sink("a", refuse()).batch(1).from("c");
    let running = start(builder.sink_group("x", Single::new()).backoff(quick()).dead_letter("dead").of(["a"]));
    running.pusher("p").unwrap().finish();
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    let mut found = peek(&dead);
    found.sort_unstable();
    assert_eq!(found, ["1", "2"]);
}

/// Goal: what a sink has put and not committed is not forgotten when it goes on with another event. Method: the second sink takes
/// what the first one has put, and puts it once the first one has put the next event.
#[test]
fn a_sink_that_goes_on_does_not_forget_what_another_one_takes_now() {
    let store = FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(1).open().unwrap();
    let channel = Interrupted { inner: store.channel("c").unwrap(), failing: Arc::new(AtomicU64::new(1)) };
    let dead = store.channel("dead").unwrap();
    channel.inner.put_batch(vec!["A".into(), "B".into()].into()).unwrap();
    let both_have_one = Arc::new(Barrier::new(2));
    let is_put = Arc::new(AtomicBool::new(false));
    let first = {
        let (both_have_one, is_put) = (both_have_one.clone(), is_put.clone());
        move |events: &[Event]| {
            if text(&events[0]) == "B" {
                both_have_one.wait();
            } else if is_put.swap(true, Ordering::SeqCst) {
                return Err(SinkError::retry("it is for the other one"));
            }
            Err(SinkError::permanent("no"))
        }
    };
    let second = {
        let dead = dead.clone();
        move |events: &[Event]| {
            if text(&events[0]) == "B" || !is_put.load(Ordering::SeqCst) {
                return Err(SinkError::retry("it is for the other one"));
            }
            both_have_one.wait();
            while dead.stats().put_success_events < 2 {
                std::thread::yield_now();
            }
            Err(SinkError::permanent("no"))
        }
    };
    let builder = agent().shared_channel("c", channel).shared_channel("dead", dead.clone()).pusher("p").to(["c"]);
    let builder = builder.sink("first", first).batch(1).backoff(quick()).dead_letter("dead").from("c");
    let running = start(builder.sink("second", second).batch(1).backoff(quick()).dead_letter("dead").from("c"));
    running.pusher("p").unwrap().finish();
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(peek(&dead), ["A", "B"]);
    assert_eq!(dead.positions("test/dead-letter/"), []);
}

#[test]
fn without_a_common_store_a_dead_letter_may_be_put_again() {
    let store = |seed| FileStore::builder("/store").vfs(Arc::new(SimVfs::new())).seed(seed).open().unwrap();
    let channel = Interrupted { inner: store(1).channel("c").unwrap(), failing: Arc::new(AtomicU64::new(1)) };
    let dead = store(2).channel("dead").unwrap();
    channel.inner.put("1").unwrap();
    let builder = agent().shared_channel("c", channel).shared_channel("dead", dead.clone()).pusher("p").to(["c"]);
    let running = start(builder.sink("out", even(Log::default())).backoff(quick()).dead_letter("dead").from("c"));
    running.pusher("p").unwrap().finish();
    assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
    assert_eq!(peek(&dead), ["1", "1"]);
    assert_eq!(running.stats().sink("out").unwrap().stats.diverted_events, 1);
}

/// Goal: an event that two sinks divert into each other's channels does not keep processors busy. Method: the pauses that they get
/// then have no end.
#[test]
fn what_no_sink_of_a_circle_can_deliver_goes_round_with_pauses() {
    let writes = Arc::new(AtomicU64::new(0));
    let refuse = || {
        let writes = writes.clone();
        move |_: &[Event]| {
            writes.fetch_add(1, Ordering::SeqCst);
            Err(SinkError::permanent("no"))
        }
    };
    let endless = Backoff::new(Duration::MAX, Duration::MAX);
    let (a, b) = (memory("a"), memory("b"));
    a.put("x").unwrap();
    let builder = agent().channel("a", a).channel("b", b);
    let builder = builder.sink("one", refuse()).backoff(endless).dead_letter("b").from("a");
    let running = start(builder.sink("two", refuse()).backoff(endless).dead_letter("a").from("b"));
    // One of the two pauses then, and the other one at its next turn at the latest.
    wait_for(&running, "the laps", || writes.load(Ordering::SeqCst) > DIVERTED_IN_A_ROW_MAX);
    running.shutdown(Drain::NONE).unwrap();
    let writes = writes.load(Ordering::SeqCst);
    assert!(writes <= DIVERTED_IN_A_ROW_MAX + 2, "{writes} writes");
}

/// Goal: each of two sinks may be the way out of the other. Method: one delivers even numbers, the other one odd ones, and both
/// get all kinds.
#[test]
fn what_one_sink_of_a_circle_cannot_deliver_the_other_one_may() {
    let (a, b) = (memory("a"), memory("b"));
    for number in 0..300_u32 {
        (if number % 3 == 0 { &a } else { &b }).put(number.to_string()).unwrap();
    }
    let delivered = Arc::new(Mutex::new(Vec::new()));
    let only = |rest: u32| {
        let delivered = delivered.clone();
        move |events: &[Event]| {
            let number: u32 = text(&events[0]).parse().unwrap();
            if number % 2 != rest {
                return Err(SinkError::permanent("not mine"));
            }
            delivered.lock().push(number);
            Ok(Delivered::First(1))
        }
    };
    let builder = agent().channel("a", a).channel("b", b);
    let builder = builder.sink("even", only(0)).backoff(quick()).dead_letter("b").from("a");
    let running = start(builder.sink("odd", only(1)).backoff(quick()).dead_letter("a").from("b"));
    wait_for(&running, "all numbers", || delivered.lock().len() == 300);
    running.shutdown(Drain::NONE).unwrap();
    let mut numbers = std::mem::take(&mut *delivered.lock());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}
