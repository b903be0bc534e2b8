//! Components that are left behind, and those that come after them.

use super::*;
use crate::agent::{ComponentEnd, ComponentKind, Drain, Health, Outcome};
use crate::shutdown::Shutdown;
use crate::source::{PullSource, SourceContext};

/// Ends an agent while one of its components does not return: by a stop that gives it up, or without waiting.
fn leave(running: RunningAgent, kind: ComponentKind, name: &str, dropped: bool) {
    if dropped {
        return drop(running);
    }
    let report = running.shutdown(Drain::NONE.grace(Duration::from_millis(10))).unwrap();
    assert_eq!(report.component(kind, name).unwrap().end, ComponentEnd::Stuck);
}

/// Part of a sink whose drop takes its time.
struct Slow(Log);

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(50));
        self.0.add("first is gone");
    }
}

#[test]
fn a_sink_that_was_left_behind_ends_before_the_next_one_begins() {
    for dropped in [false, true] {
        let (log, channel, release) = (Log::default(), memory("c"), Shutdown::new());
        let slow = {
            let (release, log, part) = (release.clone(), log.clone(), Slow(log.clone()));
            move |events: &[Event]| {
                let _ = &part;
                release.sleep(HANG);
                log.add(format!("first {}", text(&events[0])));
                Ok(Delivered::First(1))
            }
        };
        let first = start(agent().shared_channel("c", channel.clone()).sink("out", slow).from("c"));
        channel.put("a").unwrap();
        wait_for(&first, "the sink to be stuck", || channel.stats().in_flight_events == 1);
        channel.put("b").unwrap();
        leave(first, ComponentKind::Sink, "out", dropped);

        let next = {
            let log = log.clone();
            move |events: &[Event]| {
                log.add(format!("next {}", text(&events[0])));
                Ok(Delivered::First(1))
            }
        };
        let plan = agent().shared_channel("c", channel.clone()).sink("out", next).backoff(quick()).from("c");
        let second = start(plan);
        let status = || second.stats().sink("out").unwrap().status.clone();
        wait_for(&second, "the lease to be missed", || status().health == Health::Retrying);
        assert!(channel.lease("test/sink/out/").is_none() && channel.lease("test/sink/other/").is_some());
        let error = status().last_error.unwrap();
        assert!(error.contains("another sink out still works with channel c"), "{error}");
        assert!(log.lines().is_empty());
        release.request();
        wait_for(&second, "all to be delivered", || channel.stats().take_success_events == 2);
        assert_eq!(log.lines(), ["first a", "first is gone", "next b"]);
    }
}

/// Counts from its position to 4.
struct Numbers {
    next: u8,
    // Told when a call is under way, and what it waits for.
    hold: Option<(Shutdown, Shutdown)>,
}

impl PullSource for Numbers {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        self.next = context.position("").map_or(0, |bytes| bytes[0]);
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        out.push(self.next.to_string());
        self.next += 1;
        out.set_position("", vec![self.next]);
        if let Some((begun, release)) = &self.hold {
            begun.request();
            release.sleep(HANG);
        }
        Ok(if self.next == 4 { Pulled::Done } else { Pulled::More })
    }
}

#[test]
fn a_source_that_was_left_behind_commits_before_the_next_one_reads_its_position() {
    for dropped in [false, true] {
        let (channel, begun, release) = (memory("c"), Shutdown::new(), Shutdown::new());
        let numbers = |hold: Option<(Shutdown, Shutdown)>| {
            let source = Numbers { next: 0, hold };
            start(agent().shared_channel("c", channel.clone()).source("in", source).backoff(quick()).to(["c"]))
        };
        let first = numbers(Some((begun.clone(), release.clone())));
        assert!(begun.sleep(HANG));
        leave(first, ComponentKind::Source, "in", dropped);
        let second = numbers(None);
        assert_eq!(second.stats().source("in").unwrap().status.health, Health::Retrying);
        assert!(peek(&channel).is_empty());
        release.request();
        assert_eq!(second.wait_done(crate::Wait::up_to(HANG)), Outcome::Completed);
        assert_eq!(peek(&channel), ["0", "1", "2", "3"]);
    }
}
