//! Several requests of the RPC client in flight at once, against sources of the crate and against peers that answer as the
//! test says: what a call was told to be delivered is there, whatever is under way when something fails.
#![cfg(feature = "rpc")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // the helpers of tests are tests, too

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown as Side, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aqueduct::rpc::{RpcClient, RpcClientBuilder, RpcError, ThriftProtocol};
use aqueduct::source::{AvroRpc, Source, SourceContext};
use aqueduct::{Channel, Event, MemoryChannel, Shutdown, Wait};

/// A source before a channel.
struct Server {
    channel: MemoryChannel,
    address: String,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(channel: MemoryChannel, source: AvroRpc) -> Self {
        let (shutdown, mut source) = (Shutdown::new(), source);
        let context = SourceContext::new("avro", Arc::new(channel.clone()), shutdown.clone());
        source.open(&context).unwrap();
        let address = source.handle().local_addr().unwrap().to_string();
        Self { channel, address, shutdown, thread: Some(thread::spawn(move || source.run(&context).unwrap())) }
    }

    fn plain() -> Self {
        Self::start(MemoryChannel::new("events"), AvroRpc::bind("127.0.0.1:0"))
    }

    fn builder(&self, in_flight: usize) -> RpcClientBuilder {
        RpcClient::builder([&self.address]).requests_in_flight(in_flight)
    }

    fn take(&self) -> Vec<String> {
        let taken = self.channel.take(1_000_000, Wait::NONE).unwrap();
        let bodies = taken.iter().map(|event| str::from_utf8(event.body()).unwrap().to_owned()).collect();
        taken.commit().unwrap();
        bodies
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.request();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn batch(numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers.map(|number| Event::new(number.to_string())).collect()
}

fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn events_arrive_once_and_in_order_with_any_number_of_requests_in_flight() {
    let server = Server::plain();
    for in_flight in [1, 2, 4, 64] {
        let mut client = server.builder(in_flight).batch_events(3).build().unwrap();
        assert_eq!(client.requests_in_flight(), in_flight);
        client.append_batch(&batch(0..1000)).unwrap();
        client.append(&Event::new("1000")).unwrap();
        client.append_batch(&[]).unwrap();
        client.append_batch(&batch(1001..1003)).unwrap();
        assert_eq!(server.take(), texts(0..1003), "{in_flight} in flight");
    }
}

/// Takes one connection, answers its first request, which has the handshake, and does this with what follows.
fn peer(serve: impl FnOnce(Peer) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let mut peer = Peer { stream: listener.accept().unwrap().0 };
        // Only so that a test that fails does not hang.
        peer.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let first = peer.request();
        // Agreed, and OK.
        peer.answer(first, &[0; 7]);
        serve(peer);
    });
    (address, thread)
}

struct Peer {
    stream: TcpStream,
}

const OK: &[u8] = &[0, 0, 0];
const FAILED: &[u8] = &[0, 0, 2];

impl Peer {
    fn number(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes.into_iter().fold(0, |number, byte| number << 8 | u32::from(byte))
    }

    /// Reads a request and returns its serial.
    fn request(&mut self) -> u32 {
        let (serial, buffers) = (self.number(), self.number());
        assert_eq!(buffers, 1);
        let length = self.number();
        self.stream.read_exact(&mut vec![0; length as usize]).unwrap();
        serial
    }

    fn answer(&mut self, serial: u32, content: &[u8]) {
        let length = u32::try_from(content.len()).unwrap();
        let mut frame: Vec<u8> = [serial, 1, length].into_iter().flat_map(big_endian).collect();
        frame.extend(content);
        self.stream.write_all(&frame).unwrap();
    }

    /// Waits until the client has closed the connection, and throws away what it sends until then.
    fn await_end(mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

fn big_endian(number: u32) -> [u8; 4] {
    [24, 16, 8, 0].map(|shift| u8::try_from(number >> shift & 0xFF).unwrap())
}

/// A client of a peer, with this many requests of ten events in flight.
fn client(address: &str, in_flight: usize) -> RpcClient {
    let builder = RpcClient::builder([address]).batch_events(10).requests_in_flight(in_flight);
    builder.request_timeout(Duration::from_secs(60)).build().unwrap()
}

#[test]
fn as_many_requests_as_may_be_in_flight_come_before_an_answer_and_may_be_answered_in_any_order() {
    for (in_flight, order) in [(4, [3, 1, 2, 0]), (4, [0, 1, 2, 3]), (4, [1, 0, 3, 2])] {
        let (address, thread) = peer(move |mut peer| {
            for _ in 0..5 {
                let serials: Vec<u32> = (0..in_flight).map(|_| peer.request()).collect();
                peer.stream.set_nonblocking(true).unwrap();
                assert_eq!(peer.stream.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "one more");
                peer.stream.set_nonblocking(false).unwrap();
                order.into_iter().for_each(|index: usize| peer.answer(serials[index], OK));
            }
            peer.await_end();
        });
        client(&address, in_flight).append_batch(&batch(0..210)).unwrap();
        thread.join().unwrap();
    }
}

#[test]
fn a_request_that_fails_among_others_ends_the_call_and_the_connection() {
    // The first request is answered, then the events of each answer that comes without a gap are delivered.
    for (answers, delivered) in
        [(&[0, 1][..], 30), (&[1], 10), (&[0, 3], 20), (&[], 10), (&[3, 1], 10), (&[1, 0, 3], 30)]
    {
        let (address, thread) = peer(move |mut peer| {
            let serials: Vec<u32> = (0..4).map(|_| peer.request()).collect();
            // In one piece, as the network may bring them.
            let mut frames = Vec::new();
            for (serial, content) in answers.iter().map(|index| (serials[*index], OK)).chain([(serials[2], FAILED)]) {
                frames.extend([serial, 1, 3].into_iter().flat_map(big_endian));
                frames.extend(content);
            }
            peer.stream.write_all(&frames).unwrap();
            peer.await_end();
        });
        let mut client = client(&address, 4);
        let error = client.append_batch(&batch(0..1000)).unwrap_err();
        assert_eq!(error.delivered(), delivered, "{answers:?}: {error}");
        match error.reason() {
            RpcError::InFlight { source } => assert!(matches!(**source, RpcError::Failed { status: "FAILED", .. })),
            other => panic!("{answers:?}: {other}"),
        }
        assert!(error.into_source().is_outcome_unknown());
        // The connection is gone, and nobody listens there any more: no answer to an old request is waited for.
        thread.join().unwrap();
        assert!(matches!(client.append(&Event::new("x")), Err(RpcError::Connect { .. })));
    }
}

#[test]
fn a_request_that_fails_with_none_behind_it_says_that_nothing_arrived() {
    let (address, thread) = peer(|mut peer| {
        let serials: Vec<u32> = (0..2).map(|_| peer.request()).collect();
        peer.answer(serials[0], OK);
        peer.answer(serials[1], FAILED);
        peer.await_end();
    });
    let error = client(&address, 4).append_batch(&batch(0..30)).unwrap_err();
    assert_eq!(error.delivered(), 20);
    assert!(matches!(error.reason(), RpcError::Failed { .. }) && !error.reason().is_outcome_unknown(), "{error}");
    thread.join().unwrap();
}

#[test]
fn a_connection_that_is_cut_or_silent_says_what_is_delivered_for_certain() {
    for is_cut in [true, false] {
        let (address, thread) = peer(move |mut peer| {
            let serials: Vec<u32> = (0..4).map(|_| peer.request()).collect();
            [0, 1, 3].into_iter().for_each(|index: usize| peer.answer(serials[index], OK));
            // Two more take the place of those, and the last of them is cut in the middle.
            peer.request();
            peer.stream.read_exact(&mut [0; 20]).unwrap();
            if !is_cut {
                peer.await_end();
            }
        });
        let builder = RpcClient::builder([&address]).batch_events(10).requests_in_flight(4);
        // Long enough for what comes before the silence.
        let limit = Duration::from_secs(if is_cut { 60 } else { 3 });
        let mut client = builder.request_timeout(limit).build().unwrap();
        let error = client.append_batch(&batch(0..1000)).unwrap_err();
        assert!(error.reason().is_outcome_unknown(), "{error}");
        let RpcError::Broken { source, .. } = error.reason() else { panic!("{error}") };
        assert_eq!(source.kind() == ErrorKind::TimedOut, !is_cut, "{error}");
        assert_eq!(error.delivered(), 30, "{error}");
        thread.join().unwrap();
    }
}

#[test]
fn what_was_answered_before_the_connection_broke_counts() {
    // The peer answers two requests and goes, with much unread that the client still writes.
    let (address, thread) = peer(|mut peer| {
        let serials: Vec<u32> = (0..2).map(|_| peer.request()).collect();
        serials.into_iter().for_each(|serial| peer.answer(serial, OK));
        peer.stream.shutdown(Side::Write).unwrap();
        peer.await_end();
    });
    let events: Vec<Event> = (0..60).map(|number: u8| Event::new(vec![number; 512 << 10])).collect();
    let builder = RpcClient::builder([&address]).batch_events(1).requests_in_flight(50);
    let error = builder.request_timeout(Duration::from_secs(60)).build().unwrap().append_batch(&events).unwrap_err();
    assert!(matches!(error.reason(), RpcError::Broken { .. }), "{error}");
    assert_eq!(error.delivered(), 3);
    thread.join().unwrap();
}

#[test]
fn that_events_may_have_arrived_is_not_forgotten_for_a_host_that_is_not_there() {
    let (address, thread) = peer(|mut peer| {
        let serials: Vec<u32> = (0..4).map(|_| peer.request()).collect();
        peer.answer(serials[0], FAILED);
        peer.await_end();
    });
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let builder = RpcClient::builder([address, nobody]).failover().batch_events(10).requests_in_flight(4);
    let error = builder.build().unwrap().append_batch(&batch(0..100)).unwrap_err();
    assert_eq!(error.delivered(), 10);
    assert!(matches!(error.reason(), RpcError::NoHost { .. }) && error.reason().is_outcome_unknown(), "{error}");
    thread.join().unwrap();
}

#[test]
fn an_answer_that_was_not_asked_for_is_an_error() {
    for twice in [false, true] {
        let (address, thread) = peer(move |mut peer| {
            let serials: Vec<u32> = (0..4).map(|_| peer.request()).collect();
            peer.answer(serials[1], OK);
            peer.answer(if twice { serials[1] } else { serials[3] + 1000 }, OK);
            peer.await_end();
        });
        let error = client(&address, 4).append_batch(&batch(0..1000)).unwrap_err();
        assert!(matches!(error.reason(), RpcError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains("which was not made"), "{error}");
        assert_eq!(error.delivered(), 10);
        thread.join().unwrap();
    }
}

#[test]
fn requests_and_answers_that_fill_all_buffers_do_not_make_both_sides_wait() {
    // Goal: a server that reads nothing while it cannot write, and answers that are larger than all buffers of the network
    // together, do not stop the client, whose requests are larger than these buffers, too.
    let mut large = vec![2, 2, b'm'];
    // A map of one entry of 512 KiB, its length as Avro writes it: twice the number, seven bits a byte.
    large.extend([0x80, 0x80, 0x40]);
    large.extend(vec![7; 512 << 10]);
    large.extend([0, 0, 0]);
    let (address, thread) = peer(move |mut peer| {
        for _ in 0..128 {
            let serial = peer.request();
            peer.answer(serial, &large);
        }
        peer.await_end();
    });
    let events: Vec<Event> = (0..129).map(|number: u8| Event::new(vec![number; 512 << 10])).collect();
    let builder = RpcClient::builder([&address]).batch_events(1).requests_in_flight(64);
    builder.request_timeout(Duration::from_secs(60)).build().unwrap().append_batch(&events).unwrap();
    thread.join().unwrap();
}

#[test]
fn what_a_full_channel_refused_in_the_middle_arrives_with_the_next_attempts() {
    let channel = MemoryChannel::builder("small").capacity_events(25).put_wait(Wait::NONE).build().unwrap();
    let server = Server::start(channel, AvroRpc::bind("127.0.0.1:0"));
    let mut client = server.builder(4).batch_events(10).build().unwrap();
    let events = batch(0..95);
    let (mut delivered, mut failures, mut arrived) = (0, 0, Vec::new());
    while delivered < events.len() {
        if let Err(error) = client.append_batch(&events[delivered..]) {
            assert!(error.delivered() <= 20 && error.delivered() % 10 == 0, "{error}");
            delivered += error.delivered();
            failures += 1;
        } else {
            delivered = events.len();
        }
        arrived.extend(server.take());
    }
    assert!(failures >= 3, "{failures} failures");
    // At least once: requests behind the one that failed may have been accepted, and come again.
    let mut once = Vec::new();
    arrived.into_iter().for_each(|text| {
        if !once.contains(&text) {
            once.push(text);
        }
    });
    once.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(once, texts(0..95));
}

#[test]
fn a_batch_goes_on_with_the_next_host_behind_what_is_delivered_for_certain() {
    let small = MemoryChannel::builder("small").capacity_events(30).put_wait(Wait::NONE).build().unwrap();
    let servers = [Server::start(small, AvroRpc::bind("127.0.0.1:0")), Server::plain()];
    let builder = RpcClient::builder(servers.each_ref().map(|server| server.address.clone())).failover();
    builder.batch_events(10).requests_in_flight(4).build().unwrap().append_batch(&batch(0..100)).unwrap();
    assert_eq!((servers[0].take(), servers[1].take()), (texts(0..30), texts(30..100)));
}

#[test]
fn numbers_in_flight_that_cannot_work_are_refused() {
    let one = || RpcClient::builder(["localhost:1"]);
    for (builder, expected) in [
        (one().requests_in_flight(0), "requests_in_flight is 0; it must be 1 to 64"),
        (one().requests_in_flight(65), "requests_in_flight is 65; it must be 1 to 64"),
        (one().requests_in_flight(2).thrift(ThriftProtocol::Compact), "requests_in_flight is for Avro RPC"),
    ] {
        let error = builder.build().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    one().requests_in_flight(1).thrift(ThriftProtocol::Compact).build().unwrap();
}

/// Requests of several sizes through this source and these settings of the client.
fn deliver(source: AvroRpc, change: impl Fn(RpcClientBuilder) -> RpcClientBuilder) {
    let server = Server::start(MemoryChannel::new("events"), source);
    let bodies: Vec<String> = (0..200).map(|number| number.to_string().repeat(number * 40)).collect();
    let events: Vec<Event> = bodies.iter().map(|body| Event::new(body.clone())).collect();
    for in_flight in [1, 4, 64] {
        let mut client = change(server.builder(in_flight).batch_events(5)).build().unwrap();
        for _ in 0..2 {
            client.append_batch(&events).unwrap();
            assert_eq!(server.take(), bodies);
        }
    }
}

#[test]
fn compressed_requests_are_in_flight_as_others() {
    deliver(AvroRpc::bind("127.0.0.1:0").deflate(true), |client| client.deflate(6));
}

#[cfg(feature = "tls")]
#[test]
fn encrypted_requests_are_in_flight_as_others() {
    use aqueduct::tls::{KeyStore, TlsClient, TlsServer, TrustStore};
    use rcgen::{CertificateParams, KeyPair};

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let server = TlsServer::builder(KeyStore::from_pem(pem.as_str(), key.serialize_pem())).build().unwrap();
    let trusting = TlsClient::builder().trust(TrustStore::from_pem(pem)).build().unwrap();
    let source = || AvroRpc::bind("127.0.0.1:0").tls(server.clone());
    deliver(source(), |client| client.tls(trusting.clone()));
    for before in [true, false] {
        let compressed = |client: RpcClientBuilder| client.deflate(6).compress_before_tls(before);
        deliver(source().deflate(true), |client| compressed(client.tls(trusting.clone())));
    }
}
