//! What happens is told to `tracing`, and numbers are passed on to `metrics`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // the helpers of tests are tests, too

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use aqueduct::agent::{Backoff, Outcome, RunningAgent};
use aqueduct::metrics::Mirror;
use aqueduct::sink::{self, Delivered, SinkError};
use aqueduct::source::AvroRpc;
use aqueduct::{Agent, Channel, Drain, Event, FileStore, MemoryChannel, SpoolDir, Wait};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing_subscriber::filter::LevelFilter;

// Only so that a failure does not hang.
const HANG: Duration = Duration::from_secs(60);

/// Where the subscriber writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What is looked at while things are told.
static RUNNING: RwLock<Option<RunningAgent>> = RwLock::new(None);

/// To an Avro source, by so many clients, after so many that are gone in the middle of a request.
fn send_nonsense(gone: u64, clients: u64) {
    let source = AvroRpc::bind("127.0.0.1:0");
    let handle = source.handle();
    let agent = Agent::builder("rpc").channel("c", MemoryChannel::new("c")).source("avro", source).to(["c"]);
    let running = agent.build().unwrap().start().unwrap();
    for client in 1..=gone + clients {
        let mut stream = TcpStream::connect(handle.local_addr().unwrap()).unwrap();
        if client <= gone {
            stream.write_all(&[0; 3]).unwrap();
            drop(stream);
        } else {
            stream.write_all(&[0xff; 64]).unwrap();
        }
        let begun = Instant::now();
        while running.stats().sources.first().unwrap().stats.event_read_fail < client {
            assert!(begun.elapsed() < HANG);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    running.shutdown(Drain::NONE).unwrap();
}

/// Goal: an operator finds in a log what became of each component and of the store, and which file was left alone; and whoever
/// writes the log may look at the agent's numbers meanwhile. Method: an agent whose sink fails, panics and goes on; a spooled
/// file that is not text; the words of each line.
#[test]
fn what_happens_to_components_and_stores_is_told() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::DEBUG)
        .without_time()
        .with_writer(move || {
            let running = RUNNING.try_read();
            if let Some(running) = running.ok().as_deref().and_then(Option::as_ref) {
                let stats = running.stats();
                assert_eq!((stats.sources.len(), stats.sinks.len(), stats.channels.len()), (1, 1, 1));
            }
            writer.clone()
        })
        .init();
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    fs::create_dir(&spool).unwrap();
    fs::write(spool.join("good"), "1\n2\n").unwrap();
    fs::write(spool.join("bad"), b"\xff\n").unwrap();
    let store = FileStore::open(dir.path().join("store")).unwrap();
    let mut calls = 0;
    let unsteady = sink::from_fn(move |_| {
        calls += 1;
        match calls {
            1 => Err(SinkError::retry("not there yet")),
            2 => panic!("out of order"),
            _ => {
                tracing::info!("delivered");
                Ok(Delivered::All)
            }
        }
    });
    let short = Backoff::new(Duration::from_millis(1), Duration::from_millis(1));
    let running = Agent::builder("edge")
        .channel("c", store.channel("c").unwrap())
        .source("files", SpoolDir::new(&spool).until_empty())
        .to(["c"])
        .sink("out", unsteady)
        .backoff(short)
        .from("c")
        .build()
        .unwrap()
        .start()
        .unwrap();
    *RUNNING.write().unwrap() = Some(running);
    let outcome = RUNNING.read().unwrap().as_ref().map(|running| running.wait_done(Wait::up_to(HANG)));
    assert_eq!(outcome, Some(Outcome::Completed));
    let running = RUNNING.write().unwrap().take().unwrap();
    assert!(running.shutdown(Drain::NONE).unwrap().is_drained());
    store.close().unwrap();
    send_nonsense(2, 3);

    let text = lines.text();
    let nonsense: Vec<&str> = text.lines().filter(|line| line.contains("client sends what is no request")).collect();
    assert_eq!(nonsense.iter().filter(|line| line.contains("WARN")).count(), 2, "{nonsense:?}");
    assert_eq!(nonsense.len(), 3, "{nonsense:?}");
    // Other failed reads do not count among them: the first of them is told aloud.
    assert!(
        nonsense.iter().zip(1..).all(|(line, client)| line.contains(&format!("failures={client}"))),
        "{nonsense:?}"
    );
    for (level, parts) in [
        ("INFO", &["store is open", "waiting_events=0"][..]),
        ("INFO", &["component is open", "kind=sink name=out"]),
        ("WARN", &["component failed", "name=out error=not there yet pause_ms=1"]),
        ("WARN", &["component failed", "name=out error=panicked: out of order"]),
        ("WARN", &["a file is not as it should be", "bad"]),
        // The user's own words stand in the span of the component.
        ("INFO", &["component{agent=\"edge\" kind=sink name=\"out\"}", "delivered"]),
        ("INFO", &["component ended", "name=files end=done"]),
        ("INFO", &["component ended", "name=out end=stopped"]),
        ("INFO", &["agent leaves a channel", "channel=c events=0"]),
        ("INFO", &["store is closed"]),
    ] {
        let is_it = |line: &&str| line.trim_start().starts_with(level) && parts.iter().all(|part| line.contains(part));
        assert!(text.lines().find(is_it).is_some(), "{level} {parts:?} in:\n{text}");
    }
}

/// A recorder that keeps the numbers, by name and labels. Those of gauges are the bits of an `f64`.
#[derive(Default)]
struct Table {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Table {
    fn cell(numbers: &Mutex<BTreeMap<String, Arc<AtomicU64>>>, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(","));
        numbers.lock().unwrap().entry(name).or_default().clone()
    }

    fn counter(&self, key: &str) -> Option<u64> {
        self.counters.lock().unwrap().get(key).map(|number| number.load(Ordering::Relaxed))
    }

    fn gauge(&self, key: &str) -> Option<f64> {
        self.gauges.lock().unwrap().get(key).map(|bits| f64::from_bits(bits.load(Ordering::Relaxed)))
    }

    fn names(&self) -> Vec<String> {
        let keys = |numbers: &Mutex<BTreeMap<String, _>>| numbers.lock().unwrap().keys().cloned().collect::<Vec<_>>();
        let name = |key: String| key.split(' ').next().unwrap().to_owned();
        keys(&self.counters).into_iter().chain(keys(&self.gauges)).map(name).collect()
    }
}

impl Recorder for Table {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Self::cell(&self.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Self::cell(&self.gauges, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there are no histograms: {key}")
    }
}

/// Goal: the recorder has the numbers of the snapshots, and its counters go on where an agent is started again. Method: two
/// agents of one name, one after the other, and one mirror; a store; each number looked up by name and labels.
#[test]
fn numbers_are_passed_on_and_counters_go_on_over_restarts() {
    let table = Table::default();
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path().join("store")).unwrap();
    metrics::with_local_recorder(&table, || {
        let mut mirror = Mirror::new();
        for _ in 0..2 {
            let running = Agent::builder("count")
                .shared_channel("c", store.channel("c").unwrap())
                .pusher("app")
                .to(["c"])
                .sink("end", sink::from_fn(|_: &[Event]| Ok(Delivered::All)))
                .from("c")
                .build()
                .unwrap()
                .start()
                .unwrap();
            for _ in 0..3 {
                running.pusher("app").unwrap().put("x").unwrap();
                mirror.agent(&running.stats());
            }
            running.pusher("app").unwrap().finish();
            assert_eq!(running.wait_done(Wait::up_to(HANG)), Outcome::Completed);
            mirror.agent(&running.stats());
            mirror.store("main", &store.stats());
            let report = running.shutdown(Drain::NONE).unwrap();
            mirror.agent(&report.stats);
        }
        let memory = MemoryChannel::builder("alone").capacity_events(7).build().unwrap();
        mirror.channel("alone", &memory.stats());
    });
    for (key, expected) in [
        ("aqueduct_source_accepted_events_total agent=count,source=app", 6),
        ("aqueduct_sink_drain_success_events_total agent=count,sink=end", 6),
        // The channel was open all the time.
        ("aqueduct_channel_take_success_events_total agent=count,channel=c", 6),
        ("aqueduct_store_syncs_total store=main", store.stats().syncs),
    ] {
        assert_eq!(table.counter(key), Some(expected), "{key}");
    }
    let lane = store.stats().lanes[0].path.clone();
    for (key, expected) in [
        ("aqueduct_channel_depth_events agent=count,channel=c".to_owned(), 0.0),
        ("aqueduct_channel_capacity_events channel=alone".to_owned(), 7.0),
        ("aqueduct_component_running agent=count,source=app".to_owned(), 0.0),
        ("aqueduct_component_running agent=count,sink=end".to_owned(), 0.0),
        ("aqueduct_component_failed agent=count,sink=end".to_owned(), 0.0),
        (format!("aqueduct_store_poisoned store=main,dir={}", lane.display()), 0.0),
    ] {
        assert_eq!(table.gauge(&key), Some(expected), "{key}");
    }

    // Each is in the list that operators go by.
    let listed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let missing: Vec<_> = table.names().into_iter().filter(|name| !listed.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "not in docs/operations.md");
    println!("{} numbers", table.names().len());
}
