//! An agent on a store: one event for two channels is one transaction, the source's position with it, and the next agent
//! goes on behind it.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests, too

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct::agent::{AgentBuilder, Outcome};
use aqueduct::sink::{Delivered, SinkError};
use aqueduct::source::{PullBatch, Pulled, SourceContext, SourceError};
use aqueduct::{Agent, Channel, Event, FileStore, PullSource, Wait};

const BATCH: u64 = 10;
// Only so that a failure does not hang.
const HANG: Duration = Duration::from_secs(60);

/// Counts up to a number, with the next one as its position.
struct Counter {
    next: u64,
    end: u64,
}

impl PullSource for Counter {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        let position = context.position("next");
        self.next = position.map_or(0, |bytes| String::from_utf8_lossy(&bytes).parse().unwrap());
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        while out.room() > 0 && self.next < self.end {
            out.push(self.next.to_string());
            self.next += 1;
        }
        out.set_position("next", self.next.to_string());
        Ok(if self.next == self.end { Pulled::Done } else { Pulled::More })
    }
}

type Log = Arc<Mutex<Vec<String>>>;

fn sink(log: &Log) -> impl FnMut(&[Event]) -> Result<Delivered, SinkError> + Send + 'static {
    let log = Arc::clone(log);
    move |events: &[Event]| {
        let bodies = events.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned());
        log.lock().unwrap().extend(bodies);
        Ok(Delivered::All)
    }
}

fn agent(name: &str, store: &FileStore, end: u64) -> AgentBuilder {
    Agent::builder(name)
        .shared_channel("a", store.channel("a").unwrap())
        .shared_channel("b", store.channel("b").unwrap())
        .source("in", Counter { next: 0, end })
        .batch(usize::try_from(BATCH).unwrap())
        .to(["a", "b"])
}

fn run(builder: AgentBuilder) {
    let report = builder.build().unwrap().run_to_completion(Wait::up_to(HANG)).unwrap();
    assert_eq!(report.outcome, Outcome::Completed);
}

#[test]
fn a_batch_for_two_channels_is_one_transaction_with_its_position_and_the_next_agent_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (first_end, end) = (40, 100);
    {
        let store = FileStore::open(dir.path().join("store")).unwrap();
        let channels = ["a", "b"].map(|name| store.channel(name).unwrap());
        let before = store.stats().records;
        run(agent("one", &store, first_end));
        assert_eq!(store.stats().records - before, first_end / BATCH, "a record a batch, its position included");
        for channel in &channels {
            assert_eq!(channel.stats().depth_events, first_end);
            assert_eq!(channel.position("one/source/in/next").as_deref(), Some(&b"40"[..]));
        }
        store.close().unwrap();
    }
    let store = FileStore::open(dir.path().join("store")).unwrap();
    let logs: [Log; 2] = Default::default();
    let [a, b] = &logs;
    run(agent("one", &store, end).sink("x", sink(a)).from("a").sink("y", sink(b)).from("b"));
    let expected: Vec<String> = (0..end).map(|number| number.to_string()).collect();
    assert!(logs.iter().all(|log| *log.lock().unwrap() == expected), "{logs:?}");

    // An agent of another name, with components of the same names, begins at its own beginning.
    run(agent("two", &store, BATCH));
    let channel = store.channel("a").unwrap();
    assert_eq!(channel.stats().depth_events, BATCH);
    assert_eq!(channel.position("one/source/in/next").as_deref(), Some(&b"100"[..]));
    assert_eq!(channel.position("two/source/in/next").as_deref(), Some(&b"10"[..]));
    store.close().unwrap();
    println!("{end} events in each of two channels, over a restart; a second agent with {BATCH} of its own");
}
