//! How fast events travel over Flume's RPC: our client to our source to a memory channel, over loopback, against the same
//! bytes sent and acknowledged without any meaning.
//!
//!     cargo bench --bench rpc [-- FILTER...]
//!
//! Every row is measured in rounds, our side and its reference in turn, and shows the medians. The reference writes what a
//! request has in bytes, reads it on the other side into one buffer, and answers with the bytes of an answer: what
//! the kernel alone takes, on the same machine at the same time; there the next request waits for the answer in all rows.
//! Nothing is compressed or encrypted unless a row says so.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::cast_precision_loss)] // numbers for people

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct::rpc::{RpcClient, RpcClientBuilder, ThriftProtocol};
use aqueduct::source::{AvroRpc, Source, SourceContext, ThriftRpc};
use aqueduct::{Channel, Event, MemoryChannel, Shutdown, Wait};

const ROUNDS: usize = 5;
const BODY: usize = 500;
/// The bytes of an answer that says `OK`: serial, count, length, and three bytes.
const ANSWER: usize = 15;

/// In rows with several requests in flight. The number of requests of a round is a multiple.
const REQUESTS_OF_A_CALL: usize = 10;

/// What a row sends.
struct Row {
    name: &'static str,
    clients: usize,
    batch: usize,
    requests: usize,
    wire: Wire,
    // More than one: a call has ten requests.
    in_flight: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Avro,
    AvroDeflated,
    Thrift(ThriftProtocol),
}

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    println!("{BODY} bytes a body, {ROUNDS} rounds");
    let row = |name, clients, batch, requests, wire| Row { name, clients, batch, requests, wire, in_flight: 1 };
    let in_flight = |in_flight, row| Row { in_flight, ..row };
    let rows = [
        row("avro-1x100", 1, 100, 5000, Wire::Avro),
        in_flight(2, row("avro-1x100-2-in-flight", 1, 100, 5000, Wire::Avro)),
        in_flight(4, row("avro-1x100-4-in-flight", 1, 100, 5000, Wire::Avro)),
        in_flight(16, row("avro-1x100-16-in-flight", 1, 100, 5000, Wire::Avro)),
        row("avro-1x1000", 1, 1000, 1000, Wire::Avro),
        row("avro-1x1", 1, 1, 5000, Wire::Avro),
        row("avro-4x100", 4, 100, 2000, Wire::Avro),
        row("avro-deflate-1x100", 1, 100, 1000, Wire::AvroDeflated),
        row("thrift-compact-1x100", 1, 100, 5000, Wire::Thrift(ThriftProtocol::Compact)),
        row("thrift-binary-1x100", 1, 100, 5000, Wire::Thrift(ThriftProtocol::Binary)),
    ];
    for row in rows.iter().filter(|row| wanted(row.name)) {
        measure(row);
    }
}

fn measure(row: &Row) {
    let hop = Hop::start(row.wire);
    let reference = Reference::start(row.batch * (BODY + 3) + 40);
    let events = row.clients * row.requests * row.batch;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let theirs = rate(events, || in_threads(row.clients, || reference.send(row.requests)));
        let own = rate(events, || hop.send(row));
        // The first round warms up caches and the kernel's buffers.
        if round > 0 {
            ours.push(own);
            raw.push(theirs);
        }
    }
    hop.stop();
    let mut ratios: Vec<f64> = ours.iter().zip(&raw).map(|(ours, raw)| ours / raw).collect();
    let (own, theirs, ratio) = (median(&mut ours), median(&mut raw), median(&mut ratios));
    let trip = (row.clients * row.batch) as f64 / own * 1e6;
    println!(
        "{:24}{own:9.0} events/s {:7.1} MB/s {trip:7.1} us a request | raw {theirs:9.0} | ratio {ratio:.2}",
        row.name,
        own * BODY as f64 / 1e6,
    );
}

/// A source with a memory channel behind it, which a thread empties.
struct Hop {
    address: SocketAddr,
    wire: Wire,
    channel: MemoryChannel,
    shutdown: Shutdown,
    running: std::thread::JoinHandle<()>,
}

impl Hop {
    fn start(wire: Wire) -> Self {
        let channel = MemoryChannel::builder("bench").capacity_events(100_000).build().expect("a channel");
        let shutdown = Shutdown::new();
        let context = SourceContext::new("bench", Arc::new(channel.clone()), shutdown.clone());
        let (mut source, listener): (Box<dyn Source>, _) = match wire {
            Wire::Avro | Wire::AvroDeflated => {
                let source = AvroRpc::bind("127.0.0.1:0").deflate(wire == Wire::AvroDeflated);
                let listener = source.handle();
                (Box::new(source), listener)
            }
            Wire::Thrift(protocol) => {
                let source = ThriftRpc::bind("127.0.0.1:0").protocol(protocol);
                let listener = source.handle();
                (Box::new(source), listener)
            }
        };
        source.open(&context).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let running = std::thread::spawn(move || source.run(&context).expect("a run"));
        Self { address, wire, channel, shutdown, running }
    }

    fn client(&self, row: &Row) -> RpcClientBuilder {
        let builder = RpcClient::builder([self.address.to_string()]).batch_events(row.batch);
        let builder = builder.requests_in_flight(row.in_flight);
        match self.wire {
            Wire::Avro => builder,
            Wire::AvroDeflated => builder.deflate(6),
            Wire::Thrift(protocol) => builder.thrift(protocol),
        }
    }

    /// Sends the events of a round and waits until they have come out of the channel.
    fn send(&self, row: &Row) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut taken = 0;
                while taken < row.clients * row.requests * row.batch {
                    let take = self.channel.take(1000, Wait::FOREVER).expect("take");
                    taken += take.len();
                    take.commit().expect("commit");
                }
            });
            in_threads(row.clients, || {
                let mut client = self.client(row).build().expect("a client");
                let body = bytes::Bytes::from(vec![b'x'; BODY]);
                let requests = if row.in_flight > 1 { REQUESTS_OF_A_CALL } else { 1 };
                let batch = vec![Event::new(body); requests * row.batch];
                (0..row.requests / requests).for_each(|_| client.append_batch(&batch).expect("an answer"));
            });
        });
    }

    fn stop(self) {
        self.shutdown.request();
        self.running.join().expect("its end");
    }
}

/// A server that reads requests of a known length and answers each.
struct Reference {
    address: SocketAddr,
    request: usize,
}

impl Reference {
    fn start(request: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.expect("a connection");
                socket.set_nodelay(true).expect("an option");
                std::thread::spawn(move || {
                    let mut buffer = vec![0; request];
                    while socket.read_exact(&mut buffer).is_ok() {
                        socket.write_all(&[0; ANSWER]).expect("an answer");
                    }
                });
            }
        });
        Self { address, request }
    }

    fn send(&self, requests: usize) {
        let mut socket = TcpStream::connect(self.address).expect("a connection");
        socket.set_nodelay(true).expect("an option");
        let (request, mut answer) = (vec![7; self.request], [0; ANSWER]);
        for _ in 0..requests {
            socket.write_all(&request).expect("a request");
            socket.read_exact(&mut answer).expect("an answer");
        }
    }
}

fn in_threads(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(&work);
        });
    });
}

fn rate(events: usize, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    events as f64 / begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
