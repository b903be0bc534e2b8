//! Shows what an agent tells: what happens to its components and its store, by `tracing`, and its numbers, by `metrics`.
//!
//!     cargo run --release --example observe
//!
//! A service installs the subscriber and the recorder that it has anyway, such as an exporter for Prometheus. Here the
//! one writes to standard error, and the other prints what it has at the end.

#![allow(clippy::print_stdout)] // a program prints

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqueduct::agent::Outcome;
use aqueduct::metrics::Mirror;
use aqueduct::sink::{self, Delivered, SinkError};
use aqueduct::source::Sequence;
use aqueduct::{Agent, Drain, FileStore, Wait};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing_subscriber::filter::LevelFilter;

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_writer(std::io::stderr).init();
    let numbers = Numbers::default();
    metrics::set_global_recorder(numbers.clone()).map_err(|_| "there is another recorder")?;

    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path().join("store"))?;
    let mut failures = 2;
    let unsteady = sink::from_fn(move |_| {
        if failures > 0 {
            failures -= 1;
            return Err(SinkError::retry("the other side is not there yet"));
        }
        Ok(Delivered::All)
    });
    let agent = Agent::builder("edge")
        .channel("orders", store.channel("orders")?)
        .source("numbers", Sequence::new().total(1000))
        .to(["orders"])
        .sink("unsteady", unsteady)
        .from("orders")
        .build()?
        .start()?;

    let mut mirror = Mirror::new();
    loop {
        // In a service: every few seconds, in a thread of its own or before each scrape.
        let outcome = agent.wait_done(Wait::up_to(Duration::from_millis(100)));
        mirror.agent(&agent.stats());
        mirror.store("main", &store.stats());
        if outcome != Outcome::Stopped {
            break;
        }
    }
    let report = agent.shutdown(Drain::up_to(Duration::from_secs(10)))?;
    // What was delivered while it stopped, and that nothing runs any more.
    mirror.agent(&report.stats);
    store.close()?;
    numbers.print();
    Ok(())
}

/// A recorder that keeps the numbers until they are printed.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<BTreeMap<String, Number>>>);

enum Number {
    Counter(Arc<AtomicU64>),
    // The bits of an `f64`.
    Gauge(Arc<AtomicU64>),
}

impl Numbers {
    fn keep(&self, key: &Key, number: impl FnOnce(Arc<AtomicU64>) -> Number) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={:?}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match numbers.entry(name).or_insert_with(|| number(Arc::default())) {
            Number::Counter(cell) | Number::Gauge(cell) => cell.clone(),
        }
    }

    fn print(&self) {
        for (name, number) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            match number {
                Number::Counter(cell) => println!("{name} {}", cell.load(Ordering::Relaxed)),
                Number::Gauge(bits) => println!("{name} {}", f64::from_bits(bits.load(Ordering::Relaxed))),
            }
        }
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.keep(key, Number::Counter))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.keep(key, Number::Gauge))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
