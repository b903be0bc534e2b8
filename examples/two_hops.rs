//! Two agents in a chain over Avro RPC: the one at the edge keeps what it is given until the one behind it has it on disk,
//! also while that is away. Between the two, every event arrives at least once; what comes again is recognised by its number.
//!
//!     cargo run --release --example two_hops
//!
//! Either side could be an Apache Flume agent.

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aqueduct::agent::{Backoff, RunningAgent};
use aqueduct::sink::{AvroRpc as AvroSink, FileRoll};
use aqueduct::source::AvroRpc as AvroSource;
use aqueduct::{Agent, Channel, Drain, FileStore};

const EVENTS: usize = 30_000;
const BATCH: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (hub, address) = start_hub(dir.path(), "127.0.0.1:0")?;

    let store = FileStore::open(dir.path().join("edge"))?;
    let edge = Agent::builder("edge")
        .channel("out", store.channel("out")?)
        .pusher("app")
        .to(["out"])
        .sink("hub", AvroSink::new(address.to_string()))
        .backoff(Backoff::new(Duration::from_millis(50), Duration::from_millis(200)))
        .from("out")
        .build()?
        .start()?;
    let app = edge.pusher("app")?;
    let push = |numbers: std::ops::Range<usize>| {
        for batch in numbers.collect::<Vec<_>>().chunks(BATCH) {
            app.put_batch(batch.iter().map(|number| number.to_string().into()).collect::<Vec<_>>())?;
        }
        Ok::<(), aqueduct::PutError>(())
    };

    push(0..EVENTS / 3)?;
    stop(hub)?;
    // Nobody is there now; the application does not notice.
    push(EVENTS / 3..EVENTS * 2 / 3)?;
    println!("the hub is away, {} events wait at the edge", store.channel("out")?.stats().depth_events);
    let (hub, _) = start_hub(dir.path(), &address.to_string())?;
    push(EVENTS * 2 / 3..EVENTS)?;

    let report = edge.shutdown(Drain::up_to(Duration::from_secs(60)))?;
    assert!(report.is_drained(), "the edge still has events: {report:?}");
    store.close()?;
    stop(hub)?;

    let mut lines = Vec::new();
    for entry in fs::read_dir(dir.path().join("files"))? {
        lines.extend(
            fs::read_to_string(entry?.path())?.lines().map(str::parse::<usize>).collect::<Result<Vec<_>, _>>()?,
        );
    }
    let distinct: BTreeSet<usize> = lines.iter().copied().collect();
    assert!(distinct.iter().copied().eq(0..EVENTS), "an event is missing");
    println!("{EVENTS} events arrived, {} of them twice", lines.len() - distinct.len());
    Ok(())
}

/// An agent with its own store, listening where it is told to.
fn start_hub(dir: &Path, address: &str) -> Result<(Hub, SocketAddr), Box<dyn Error>> {
    let store = FileStore::open(dir.join("hub"))?;
    let source = AvroSource::bind(address);
    let listener = source.handle();
    let agent = Agent::builder("hub")
        .channel("in", store.channel("in")?)
        .source("edges", source)
        .to(["in"])
        .sink("files", FileRoll::new(dir.join("files")))
        .batch(1000)
        .from("in")
        .build()?
        .start()?;
    let address = listener.local_addr().ok_or("the hub does not listen")?;
    Ok((Hub { agent, store }, address))
}

struct Hub {
    agent: RunningAgent,
    store: FileStore,
}

fn stop(hub: Hub) -> Result<(), Box<dyn Error>> {
    hub.agent.shutdown(Drain::up_to(Duration::from_secs(60)))?;
    Ok(hub.store.close()?)
}
