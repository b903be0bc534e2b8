//! Two agents, one behind the other, over Avro RPC: every event arrives at least once, whatever happens to the connection
//! and to the second agent, and how often one comes twice is bounded by what happened.
#![cfg(feature = "rpc")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)] // the helpers of tests are tests, too

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown as Direction, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aqueduct::agent::Backoff;
use aqueduct::rpc::RpcClient;
use aqueduct::source::AvroRpc;
use aqueduct::testing::Random;
use aqueduct::{Agent, Channel, Drain, Event, MemoryChannel, RunningAgent, Wait, sink};

const EVENTS: usize = 20_000;
const BATCH: usize = 50;

fn body(number: usize) -> String {
    format!("event {number}")
}

/// An agent with an Avro source before `channel`, on the given address.
fn collector(address: &str, channel: &MemoryChannel) -> (RunningAgent, String) {
    let source = AvroRpc::bind(address);
    let handle = source.handle();
    let agent = Agent::builder("collector")
        .shared_channel("c", channel.clone())
        .source("in", source)
        .to(["c"])
        .build()
        .unwrap();
    let running = agent.start().unwrap();
    (running, handle.local_addr().unwrap().to_string())
}

/// An agent with an Avro sink behind a channel that holds all events.
fn edge(address: &str, sink: impl FnOnce(sink::AvroRpc) -> sink::AvroRpc) -> RunningAgent {
    let channel = MemoryChannel::new("waiting");
    let numbers: Vec<usize> = (0..EVENTS).collect();
    for part in numbers.chunks(1000) {
        channel.put_batch(part.iter().map(|number| Event::new(body(*number))).collect::<Vec<_>>().into()).unwrap();
    }
    let client = RpcClient::builder([address]).request_timeout(Duration::from_secs(10)).batch_events(BATCH);
    let quick = Backoff::new(Duration::from_millis(1), Duration::from_millis(10));
    let agent = Agent::builder("edge")
        .channel("waiting", channel)
        .sink("out", sink(sink::AvroRpc::with_client(client)))
        .batch(BATCH)
        .backoff(quick)
        .from("waiting")
        .build()
        .unwrap();
    agent.start().unwrap()
}

/// How often each event arrived, until `enough` different ones did.
fn arrived(channel: &MemoryChannel, found: &mut BTreeMap<String, usize>, enough: usize) {
    while found.len() < enough {
        let taken = channel.take(1000, Wait::up_to(Duration::from_secs(60))).unwrap();
        assert!(!taken.is_empty(), "only {} of {EVENTS} events arrived", found.len());
        for event in &taken {
            *found.entry(str::from_utf8(event.body()).unwrap().to_owned()).or_default() += 1;
        }
        taken.commit().unwrap();
    }
}

/// Counts what came more than once.
fn repeated(found: &BTreeMap<String, usize>) -> usize {
    found.values().sum::<usize>() - found.len()
}

fn finish(
    edge: RunningAgent,
    collector: RunningAgent,
    channel: &MemoryChannel,
    found: &BTreeMap<String, usize>,
) -> usize {
    let report = edge.shutdown(Drain::up_to(Duration::from_secs(60))).unwrap();
    assert!(report.is_drained(), "{report:?}");
    collector.shutdown(Drain::NONE).unwrap();
    assert!((0..EVENTS).all(|number| found.contains_key(&body(number))));
    // What came after the last new one was a repetition.
    repeated(found) + usize::try_from(channel.stats().depth_events).unwrap()
}

#[test]
fn a_collector_that_is_restarted_again_and_again_loses_nothing() {
    // Small, so that the agent in front is always in the middle of something.
    let channel = MemoryChannel::builder("c").capacity_events(200).build().unwrap();
    let (mut running, address) = collector("127.0.0.1:0", &channel);
    let edge = edge(&address, |sink| sink);
    let mut found = BTreeMap::new();
    let restarts = 20;
    for round in 1..=restarts {
        arrived(&channel, &mut found, round * EVENTS / restarts);
        running.shutdown(Drain::NONE).unwrap();
        (running, _) = collector(&address, &channel);
    }
    let repeated = finish(edge, running, &channel, &found);
    assert!(repeated <= restarts * BATCH, "{repeated} events came again after {restarts} restarts");
}

/// Passes bytes on between clients and a server, and cuts each connection somewhere.
struct Cutter {
    address: String,
    cuts: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Cutter {
    fn new(server: String, cuts_max: usize) -> Self {
        let seed = Random::seed();
        println!("AQUEDUCT_SEED={seed}");
        let mut random = Random::new(seed);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cuts, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (cuts.clone(), over.clone());
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let is_last = counted.load(Ordering::SeqCst) >= cuts_max;
                // Either direction may be the one that is cut: a request, or an answer.
                let limit = |chance: bool, bound| if is_last || !chance { usize::MAX } else { bound };
                let requests = random.one_in(2);
                let up = limit(requests, random.index(5000));
                let down = limit(!requests, random.index(100));
                let (client, server) = (Arc::new(client), Arc::new(server));
                let (from, to) = (client.clone(), server.clone());
                let back = thread::spawn(move || pass(&to, &from, down));
                pass(&client, &server, up);
                back.join().unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, cuts, over, thread }
    }

    fn end(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        self.thread.join().unwrap();
        self.cuts.load(Ordering::SeqCst)
    }
}

/// Passes so many bytes on, and ends both connections.
fn pass(mut from: &TcpStream, mut to: &TcpStream, mut limit: usize) {
    let mut buffer = [0; 4096];
    while limit > 0 {
        let room = buffer.len().min(limit);
        let Ok(read @ 1..) = from.read(&mut buffer[..room]) else { break };
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
        limit -= read;
    }
    let _ = from.shutdown(Direction::Both);
    let _ = to.shutdown(Direction::Both);
}

#[test]
fn connections_that_are_cut_anywhere_lose_nothing_and_repeat_a_batch_each_at_most() {
    let channel = MemoryChannel::new("c");
    let (running, address) = collector("127.0.0.1:0", &channel);
    let cutter = Cutter::new(address, 60);
    let edge = edge(&cutter.address, |sink| sink);
    let mut found = BTreeMap::new();
    arrived(&channel, &mut found, EVENTS);
    let report = edge.shutdown(Drain::up_to(Duration::from_secs(60))).unwrap();
    assert!(report.is_drained(), "{report:?}");
    let cuts = cutter.end();
    running.shutdown(Drain::NONE).unwrap();
    let repeated = repeated(&found) + usize::try_from(channel.stats().depth_events).unwrap();
    assert!(cuts >= 60, "{cuts}");
    assert!(repeated <= cuts * BATCH, "{repeated} events came again after {cuts} cuts");
}

#[test]
fn a_connection_that_is_renewed_in_time_loses_and_repeats_nothing() {
    let channel = MemoryChannel::new("c");
    let (running, address) = collector("127.0.0.1:0", &channel);
    let edge = edge(&address, |sink| sink.reset_interval(Duration::from_millis(1)));
    let mut found = BTreeMap::new();
    arrived(&channel, &mut found, EVENTS);
    assert_eq!(finish(edge, running, &channel, &found), 0);
}
