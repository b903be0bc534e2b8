use parking_lot::Mutex;

use super::super::testing::{Run, TestChannel};
use super::*;
use crate::channel::Channel;
use crate::clock::StepClock;
use crate::event::Event;
use crate::stats::Health;
use crate::testing::Random;

/// What a scripted sink does next, instead of delivering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Retry,
    Permanent,
    Fatal,
    Panic,
}

impl Fault {
    fn happen(self, at: &str) -> Result<(), SinkError> {
        let message = format!("{at} failed");
        match self {
            Self::Retry => Err(SinkError::retry(message)),
            Self::Permanent => Err(SinkError::permanent(message)),
            Self::Fatal => Err(SinkError::fatal(message)),
            Self::Panic => panic!("{message}"),
        }
    }
}

#[derive(Debug, Default)]
struct Script {
    /// Events that it accepts before it fails; none are no limit.
    quota: Option<usize>,
    on_open: Option<Fault>,
    on_write: Option<Fault>,
    on_committed: Option<Fault>,
    on_close: Option<Fault>,
    got: Vec<String>,
    calls: Vec<&'static str>,
}

/// A sink that does what its script says.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn with_quota(quota: usize) -> Self {
        let scripted = Self::default();
        scripted.script(|script| script.quota = Some(quota));
        scripted
    }

    fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock())
    }

    fn got(&self) -> Vec<String> {
        self.script(|script| script.got.clone())
    }

    fn count(&self, call: &str) -> usize {
        self.script(|script| script.calls.iter().filter(|other| **other == call).count())
    }

    /// Notes the call, and does what the script says for it.
    fn called(&self, call: &'static str, fault: fn(&Script) -> Option<Fault>) -> Result<(), SinkError> {
        let fault = self.script(|script| {
            script.calls.push(call);
            fault(script)
        });
        fault.map_or(Ok(()), |fault| fault.happen(call))
    }
}

impl Sink for Scripted {
    fn open(&mut self, _: &SinkContext) -> Result<(), SinkError> {
        self.called("open", |script| script.on_open)
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        batch.set_position("seen", batch.events().len().to_string());
        self.called("write", |script| script.on_write)?;
        let bodies = batch.events().iter().map(|event| String::from_utf8_lossy(event.body()).into_owned());
        self.script(|script| {
            if script.quota.is_some_and(|quota| script.got.len() + batch.events().len() > quota) {
                return Err(SinkError::retry("quota is used up"));
            }
            script.got.extend(bodies);
            Ok(Delivered::All)
        })
    }

    fn committed(&mut self) -> Result<(), SinkError> {
        self.called("committed", |script| script.on_committed)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.called("idle", |_| None)
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.called("close", |script| script.on_close)
    }
}

/// A group of scripted sinks named `s1`, `s2` and so on, at a channel.
struct Bench {
    sinks: Vec<Scripted>,
    group: SinkGroup,
    monitor: GroupMonitor,
    clock: Arc<StepClock>,
    channel: TestChannel,
    run: Run,
}

impl Bench {
    fn new(policy: impl GroupPolicy + 'static, sinks: &[Scripted], batches: &[usize]) -> Self {
        let clock = Arc::new(StepClock::new());
        let mut group = SinkGroup::new(policy).clock(clock.clone());
        for (index, sink) in sinks.iter().enumerate() {
            let batch = batches.get(index).copied().unwrap_or(1000);
            group = group.member_with_batch(format!("s{}", index + 1), sink.clone(), batch);
        }
        let channel = TestChannel::default();
        let (run, monitor) = (channel.run("g"), group.monitor());
        Self { sinks: sinks.to_vec(), group, monitor, clock, channel, run }
    }

    fn push(&self, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| self.channel.push(Event::new(number.to_string())));
    }

    fn step(&mut self, max: usize) -> Result<usize, SinkError> {
        self.run.step(&mut self.group, max)
    }

    /// Delivers everything in batches of `max`.
    fn drain(&mut self, max: usize) {
        while self.channel.waiting() > 0 {
            self.step(max).unwrap();
        }
    }

    fn counts(&self) -> Vec<usize> {
        self.sinks.iter().map(|sink| sink.got().len()).collect()
    }

    fn health(&self, name: &str) -> Health {
        self.monitor.member(name).unwrap().status.health
    }
}

fn sinks<const N: usize>() -> [Scripted; N] {
    std::array::from_fn(|_| Scripted::default())
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn failover_goes_to_the_next_priority_and_back() {
    let sinks = [10, 50, 100].map(Scripted::with_quota);
    let policy = Failover::new().priority("s1", 3).priority("s2", 2).priority("s3", 1);
    let mut bench = Bench::new(policy, &sinks, &[]);
    bench.push(0..15);
    bench.drain(1);
    assert_eq!(bench.counts(), [10, 5, 0]);
    bench.push(15..65);
    bench.drain(1);
    assert_eq!(bench.counts(), [10, 50, 5]);
    assert_eq!(
        (bench.health("s1"), bench.health("s2"), bench.health("s3")),
        (Health::Retrying, Health::Retrying, Health::Running)
    );
    bench.clock.step(Duration::from_secs(5));
    sinks[1].script(|script| script.quota = Some(70));
    bench.push(65..165);
    bench.drain(1);
    assert_eq!(bench.counts(), [10, 70, 85]);
    assert_eq!(sinks[0].got(), names(0..10));
    assert_eq!(sinks[1].got(), [names(10..60), names(65..85)].concat());
}

#[test]
fn in_turn_each_batch_goes_to_the_next_sink() {
    let sinks = sinks::<3>();
    let mut bench = Bench::new(LoadBalance::round_robin(), &sinks, &[]);
    bench.push(0..45);
    bench.drain(5);
    assert_eq!(bench.counts(), [15, 15, 15]);
    assert_eq!(sinks[0].got(), [names(0..5), names(15..20), names(30..35)].concat());
    let stats = bench.monitor.member("s2").unwrap().stats;
    assert_eq!((stats.drain_attempt_events, stats.drain_success_events, stats.batch_underflow), (15, 15, 3));
}

#[test]
fn who_follows_a_sink_that_always_fails_gets_its_share_too() {
    let sinks = sinks::<3>();
    sinks[1].script(|script| script.on_write = Some(Fault::Retry));
    let mut bench = Bench::new(LoadBalance::round_robin(), &sinks, &[]);
    bench.push(0..90);
    bench.drain(5);
    assert_eq!(bench.counts(), [30, 0, 60]);
    let failing = bench.monitor.member("s2").unwrap();
    assert_eq!((failing.stats.write_fail, failing.stats.drain_success_events, failing.status.restarts), (6, 0, 6));
    assert_eq!(failing.status.last_error.as_deref(), Some("write failed"));
}

#[test]
fn with_back_off_a_sink_that_failed_stays_out_though_it_works_again() {
    let sinks = sinks::<3>();
    let mut bench = Bench::new(LoadBalance::round_robin().backoff(true), &sinks, &[]);
    bench.push(0..300);
    bench.step(5).unwrap();
    sinks[1].script(|script| script.on_write = Some(Fault::Panic));
    bench.step(5).unwrap();
    sinks[1].script(|script| script.on_write = None);
    for _ in 0..10 {
        bench.step(5).unwrap();
    }
    assert_eq!(bench.counts(), [30, 0, 30]);
    bench.clock.step(Duration::from_secs(2));
    for _ in 0..9 {
        bench.step(5).unwrap();
    }
    assert_eq!(bench.counts(), [45, 15, 45]);
    assert_eq!(bench.monitor.member("s2").unwrap().status.panics, 1);
}

#[test]
fn when_none_can_deliver_nothing_is_lost_and_all_are_told() {
    let sinks = sinks::<2>();
    sinks[0].script(|script| script.on_open = Some(Fault::Retry));
    sinks[1].script(|script| script.on_write = Some(Fault::Panic));
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..3);
    let error = bench.step(5).unwrap_err();
    assert!(matches!(error, SinkError::Retry(_)));
    assert_eq!(error.to_string(), "no sink of the group could deliver: s1: open failed; s2: panicked: write failed");
    // Both are penalised: nobody is even asked.
    bench.step(5).unwrap_err();
    assert_eq!((sinks[1].count("open"), sinks[1].count("write"), bench.channel.waiting()), (1, 1, 3));
    sinks[1].script(|script| script.on_write = None);
    bench.clock.step(Duration::from_secs(2));
    assert_eq!(bench.step(5).unwrap(), 3);
    assert_eq!((sinks[1].got(), sinks[1].count("open")), (names(0..3), 2));
}

#[test]
fn an_undeliverable_event_is_offered_to_the_others_and_costs_nobody_anything() {
    let sinks = sinks::<2>();
    sinks[0].script(|script| script.on_write = Some(Fault::Permanent));
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..2);
    assert_eq!(bench.step(1).unwrap(), 1);
    assert_eq!((sinks[0].count("write"), sinks[1].got()), (1, names(0..1)));
    sinks[1].script(|script| script.on_write = Some(Fault::Retry));
    let error = bench.step(1).unwrap_err();
    assert!(matches!(error, SinkError::Retry(_)), "the second may still deliver it: {error}");
    let error = bench.step(1).unwrap_err();
    assert!(matches!(error, SinkError::Retry(_)), "so it may once its penalty is over: {error}");
    assert_eq!((sinks[0].count("write"), sinks[1].count("write")), (3, 2), "only the second is penalised");
    sinks[1].script(|script| script.on_write = Some(Fault::Permanent));
    bench.clock.step(Duration::from_secs(2));
    let error = bench.step(1).unwrap_err();
    assert!(matches!(error, SinkError::Permanent(_)), "the event is to blame: {error}");
    sinks[0].script(|script| script.on_write = None);
    assert_eq!(bench.step(1).unwrap(), 1);
    assert_eq!((sinks[0].got(), sinks[0].count("open")), (names(1..2), 5));
}

#[test]
fn a_member_that_has_ended_has_no_say_about_an_event() {
    let sinks = sinks::<2>();
    sinks[0].script(|script| script.on_write = Some(Fault::Fatal));
    sinks[1].script(|script| script.on_write = Some(Fault::Permanent));
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..1);
    let error = bench.step(1).unwrap_err();
    assert!(matches!(error, SinkError::Permanent(_)), "{error}");
}

/// A sink that fails after so long.
struct Slow(Arc<StepClock>, Duration);

impl Sink for Slow {
    fn write(&mut self, _: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        self.0.step(self.1);
        Err(SinkError::retry("timed out"))
    }
}

#[test]
fn a_penalty_begins_with_the_failure_however_long_the_attempt_took() {
    let policies: [Box<dyn GroupPolicy>; 2] =
        [Box::new(Failover::new()), Box::new(LoadBalance::round_robin().backoff(true))];
    for policy in policies {
        let clock = Arc::new(StepClock::new());
        let good = Scripted::default();
        let mut group = SinkGroup::of_agent(policy)
            .clock(clock.clone())
            .member("slow", Slow(clock.clone(), Duration::from_secs(20)))
            .member("good", good.clone());
        let channel = TestChannel::new((0..3).map(|number| Event::new(number.to_string())));
        let mut run = channel.run("g");
        run.step(&mut group, 1).unwrap();
        let begun = clock.monotonic();
        // In turn, the third would be for the slow one.
        (0..2).for_each(|_| assert_eq!(run.step(&mut group, 1).unwrap(), 1));
        assert_eq!((good.got(), clock.monotonic()), (names(0..3), begun), "nobody waited for the slow one again");
    }
}

#[test]
fn a_sink_that_ends_is_closed_and_left_out_until_none_is_left() {
    let sinks = sinks::<3>();
    sinks[0].script(|script| script.on_open = Some(Fault::Fatal));
    sinks[1].script(|script| script.on_write = Some(Fault::Fatal));
    let mut bench = Bench::new(LoadBalance::round_robin(), &sinks, &[]);
    bench.push(0..4);
    bench.drain(1);
    assert_eq!(bench.counts(), [0, 0, 4]);
    assert_eq!([0, 1, 2].map(|place: usize| sinks[place].count("close")), [1, 1, 0]);
    assert_eq!((sinks[0].count("open"), sinks[1].count("write"), bench.health("s2")), (1, 1, Health::Failed));
    sinks[2].script(|script| script.on_write = Some(Fault::Fatal));
    bench.push(4..5);
    let error = bench.step(1).unwrap_err();
    assert!(matches!(error, SinkError::Fatal(_)));
    assert!(error.to_string().contains("s1 for good: open failed; s2 for good: write failed"), "{error}");
    assert!(bench.group.close().is_ok());
    assert_eq!(sinks[2].count("close"), 1);
}

#[test]
fn each_sink_has_its_own_batches_and_positions() {
    let sinks = sinks::<2>();
    let mut bench = Bench::new(LoadBalance::round_robin(), &sinks, &[2, 5]);
    assert_eq!(bench.group.batch(), 5);
    bench.push(0..14);
    bench.drain(5);
    assert_eq!(sinks[0].got(), [names(0..2), names(7..9)].concat());
    assert_eq!(sinks[1].got(), [names(2..7), names(9..14)].concat());
    let position = |owner: &str| bench.channel.positions(owner);
    assert_eq!(position("sink/g/s1/"), [("sink/g/s1/seen".to_owned(), "2".into())]);
    assert_eq!(position("sink/g/s2/"), [("sink/g/s2/seen".to_owned(), "5".into())]);
    let stats = bench.monitor.member("s1").unwrap().stats;
    assert_eq!((stats.batch_complete, stats.batch_underflow, stats.drain_success_events), (2, 0, 4));
}

#[test]
fn the_positions_of_a_sink_that_failed_are_not_committed() {
    let sinks = sinks::<2>();
    sinks[0].script(|script| script.on_write = Some(Fault::Retry));
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..3);
    assert_eq!(bench.step(3).unwrap(), 3);
    assert_eq!(bench.channel.positions(""), [("sink/g/s2/seen".to_owned(), "3".into())]);
}

#[test]
fn a_sink_whose_take_is_not_committed_is_opened_again() {
    let sinks = sinks::<2>();
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..2);
    bench.channel.fail_commits(1);
    bench.step(2).unwrap_err();
    assert_eq!(bench.step(2).unwrap(), 2);
    assert_eq!((sinks[0].count("open"), sinks[0].count("committed"), sinks[1].count("open")), (2, 1, 1));
    assert_eq!(sinks[0].got(), [names(0..2), names(0..2)].concat());
    assert_eq!(bench.monitor.member("s1").unwrap().stats.drain_success_events, 2);
}

#[test]
fn a_sink_that_fails_behind_its_commit_gives_way_to_the_next() {
    let sinks = sinks::<2>();
    sinks[0].script(|script| script.on_committed = Some(Fault::Retry));
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..2);
    bench.drain(1);
    assert_eq!((sinks[0].got(), sinks[1].got()), (names(0..1), names(1..2)));
}

#[test]
fn sinks_that_stand_by_are_called_while_others_work() {
    let sinks = sinks::<2>();
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    for number in 0..4 {
        bench.push(number..number + 1);
        bench.step(1).unwrap();
        bench.clock.step(SINK_IDLE / 2);
    }
    assert_eq!((sinks[0].count("idle"), sinks[1].count("idle")), (0, 1));
    bench.step(1).unwrap();
    assert_eq!((sinks[0].count("idle"), sinks[1].count("idle")), (1, 2));
}

#[test]
fn closing_closes_every_sink_and_tells_of_all_that_failed() {
    let sinks = sinks::<3>();
    sinks[0].script(|script| script.on_close = Some(Fault::Retry));
    sinks[1].script(|script| script.on_open = Some(Fault::Retry));
    sinks[2].script(|script| script.on_close = Some(Fault::Panic));
    let mut bench = Bench::new(Failover::new(), &sinks, &[]);
    bench.push(0..1);
    bench.step(1).unwrap();
    let error = bench.group.close().unwrap_err();
    assert_eq!(error.to_string(), "s1: close failed; s3: panicked: close failed");
    assert!(bench.group.close().is_ok(), "each is closed once");
    assert_eq!([0, 1, 2].map(|place: usize| sinks[place].count("close")), [1; 3]);
    assert_eq!(bench.monitor.member("s1").unwrap().close_error.as_deref(), Some("close failed"));
    assert_eq!((bench.health("s1"), bench.health("s2")), (Health::Ended, Health::Ended));
}

#[test]
fn a_policy_that_does_not_fit_ends_the_group() {
    let mut bench = Bench::new(Single::new(), &sinks::<2>(), &[]);
    let error = bench.step(1).unwrap_err();
    assert!(matches!(error, SinkError::Fatal(_)));
    assert!(error.to_string().starts_with("it is for one sink"), "{error}");
    let mut bench = Bench::new(Failover::new(), &[], &[]);
    assert!(matches!(bench.step(1), Err(SinkError::Fatal(_))));
}

/// Goal: whatever the members do, every event is delivered once, and in order. Method: members that fail at random and deliver
/// nothing when they do; every policy.
#[test]
fn members_that_fail_at_random_deliver_everything_in_order() {
    struct Flaky(Random, Arc<Mutex<Vec<String>>>);
    impl Sink for Flaky {
        fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            match self.0.below(8) {
                0 => Fault::Retry.happen("write")?,
                1 => Fault::Permanent.happen("write")?,
                2 => Fault::Panic.happen("write")?,
                _ => {}
            }
            let count = self.0.index(batch.events().len() + 1);
            let bodies = batch.events()[..count].iter().map(|event| String::from_utf8_lossy(event.body()).into_owned());
            self.1.lock().extend(bodies);
            Ok(Delivered::First(count))
        }
    }
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let policies: [Box<dyn GroupPolicy>; 4] = [
        Box::new(Failover::new()),
        Box::new(LoadBalance::round_robin()),
        Box::new(LoadBalance::random()),
        Box::new(LoadBalance::random().backoff(true)),
    ];
    for (number, policy) in policies.into_iter().enumerate() {
        let clock = Arc::new(StepClock::new());
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut group = SinkGroup::of_agent(policy).clock(clock.clone());
        for member in 0..3 {
            let sink = Flaky(Random::new(seed ^ member), log.clone());
            group = group.member_with_batch(member.to_string(), sink, 3);
        }
        let channel = TestChannel::new((0..500).map(|number| Event::new(number.to_string())));
        let mut run = channel.run("g");
        let mut failures = 0;
        while channel.waiting() > 0 {
            failures += u32::from(run.step(&mut group, 3).is_err());
            clock.step(Duration::from_millis(700));
        }
        println!("policy {number}: {failures} failures of the group");
        assert_eq!(*log.lock(), names(0..500));
    }
}

/// Goal: what a member had written before it failed is written again by another one, and so is delivered twice, unless members
/// cut their output back to their position; then nothing is. Method: members that fail behind a write at random, and a
/// restart of all of them at the end.
#[test]
fn what_a_member_wrote_before_it_failed_comes_twice_unless_members_cut_back() {
    #[derive(Clone)]
    struct Writing(Arc<Mutex<Random>>, Arc<Mutex<Vec<String>>>, bool);
    impl Sink for Writing {
        fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
            let position = context.position("written").map(|at| String::from_utf8_lossy(&at).parse().unwrap());
            if self.2 {
                self.1.lock().truncate(position.unwrap_or(0));
            }
            Ok(())
        }

        fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
            let mut output = self.1.lock();
            output.extend(batch.events().iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()));
            batch.set_position("written", output.len().to_string());
            if self.0.lock().one_in(3) { Err(SinkError::retry("after the write")) } else { Ok(Delivered::All) }
        }
    }
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    for cuts in [true, false] {
        let random = Arc::new(Mutex::new(Random::new(seed)));
        let sinks: [Writing; 3] = std::array::from_fn(|_| Writing(random.clone(), Arc::default(), cuts));
        let channel = TestChannel::new((0..300).map(|number| Event::new(number.to_string())));
        let clock = Arc::new(StepClock::new());
        let begin = || {
            let group = SinkGroup::of_agent(Box::new(LoadBalance::round_robin())).clock(clock.clone());
            let members = sinks.iter().enumerate();
            members.fold(group, |group, (at, sink)| group.member_with_batch(at.to_string(), sink.clone(), 3))
        };
        let (mut group, mut run) = (begin(), channel.run("g"));
        while channel.waiting() > 0 {
            let _ = run.step(&mut group, 3);
            clock.step(Duration::from_secs(60));
        }
        begin().open(&channel.run("g").context).unwrap();
        let mut written: Vec<usize> =
            sinks.iter().flat_map(|sink| sink.1.lock().clone()).map(|text| text.parse().unwrap()).collect();
        written.sort_unstable();
        let all = written.len();
        assert_eq!(all == 300, cuts, "{all} were written");
        written.dedup();
        assert_eq!(written, (0..300).collect::<Vec<_>>());
    }
}
