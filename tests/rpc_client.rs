//! The RPC client against sources of the crate, through the public API: what a client was told to be delivered is there,
//! whatever happens to the servers meanwhile.
#![cfg(feature = "rpc")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // the helpers of tests are tests, too

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aqueduct::rpc::{HostOrder, RpcClient, RpcClientBuilder, RpcError};
use aqueduct::source::{AvroRpc, Source, SourceContext};
use aqueduct::{Channel, Event, MemoryChannel, Shutdown, Wait};

/// A source before a channel, on a port of its own, which can be stopped and started again.
struct Server {
    channel: MemoryChannel,
    address: String,
    running: Option<(Shutdown, JoinHandle<()>)>,
}

impl Server {
    fn start() -> Self {
        Self::before(MemoryChannel::new("events"))
    }

    fn before(channel: MemoryChannel) -> Self {
        let mut server = Self { channel, address: "127.0.0.1:0".to_owned(), running: None };
        server.restart(|source| source);
        server
    }

    fn with(change: impl FnOnce(AvroRpc) -> AvroRpc) -> Self {
        let channel = MemoryChannel::new("events");
        let mut server = Self { channel, address: "127.0.0.1:0".to_owned(), running: None };
        server.restart(change);
        server
    }

    fn restart(&mut self, change: impl FnOnce(AvroRpc) -> AvroRpc) {
        assert!(self.running.is_none());
        let mut source = change(AvroRpc::bind(&self.address));
        let shutdown = Shutdown::new();
        let context = SourceContext::new("avro", Arc::new(self.channel.clone()), shutdown.clone());
        source.open(&context).unwrap();
        self.address = source.handle().local_addr().unwrap().to_string();
        self.running = Some((shutdown, thread::spawn(move || source.run(&context).unwrap())));
    }

    fn stop(&mut self) {
        let (shutdown, thread) = self.running.take().unwrap();
        shutdown.request();
        thread.join().unwrap();
    }

    fn builder(&self) -> RpcClientBuilder {
        RpcClient::builder([&self.address])
    }

    fn take(&self) -> Vec<String> {
        let taken = self.channel.take(1_000_000, Wait::NONE).unwrap();
        let bodies = taken.iter().map(|event| str::from_utf8(event.body()).unwrap().to_owned()).collect();
        taken.commit().unwrap();
        bodies
    }
}

fn batch(numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers.map(|number| Event::new(number.to_string())).collect()
}

fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn a_batch_is_sent_in_requests_of_the_size_chosen() {
    let server = Server::start();
    let mut client = server.builder().batch_events(10).build().unwrap();
    assert!(!client.is_active(), "not connected yet");
    client.append_batch(&batch(0..95)).unwrap();
    client.append(&Event::new("95")).unwrap();
    client.append_batch(&[]).unwrap();
    assert!(client.is_active() && client.batch_events() == 10);
    assert_eq!(server.take(), texts(0..96));
    assert_eq!(server.channel.stats().put_success_events, 96);
    client.close();
    assert!(matches!(client.append(&Event::new("x")), Err(RpcError::Closed)) && !client.is_active());
}

#[test]
fn a_refused_connection_says_where() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    match RpcClient::connect(free.to_string()) {
        Err(error @ RpcError::Connect { .. }) => {
            assert!(error.to_string().contains(&free.to_string()) && !error.is_outcome_unknown(), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(RpcClient::connect("no address"), Err(RpcError::Settings { .. })));
}

#[test]
fn a_batch_that_fails_in_the_middle_says_how_far_it_came() {
    let channel = MemoryChannel::builder("small").capacity_events(25).put_wait(Wait::NONE).build().unwrap();
    let server = Server::before(channel);
    let mut client = server.builder().batch_events(10).build().unwrap();
    let error = client.append_batch(&batch(0..50)).unwrap_err();
    assert!(matches!(error.reason(), RpcError::Failed { status: "FAILED", .. }), "{error}");
    assert_eq!(error.delivered(), 20);
    assert!(!error.into_source().is_outcome_unknown());
    assert_eq!(server.take(), texts(0..20));
    assert!(!client.is_active(), "as in Flume, until the next call");
    client.append_batch(&batch(20..30)).unwrap();
    assert_eq!(server.take(), texts(20..30));
}

#[test]
fn a_server_that_went_away_while_nothing_was_sent_is_no_error_once_it_is_back() {
    let mut server = Server::start();
    let mut client = server.builder().build().unwrap();
    client.append(&Event::new("0")).unwrap();
    server.stop();
    server.restart(|source| source);
    client.append(&Event::new("1")).unwrap();
    server.stop();
    assert!(matches!(client.append(&Event::new("2")), Err(RpcError::Connect { .. })));
    server.restart(|source| source);
    client.append(&Event::new("2")).unwrap();
    assert_eq!(server.take(), texts(0..3));
}

/// A server that takes one connection and does this with it.
fn peer(serve: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

#[test]
fn what_is_known_of_events_after_a_failure_depends_on_the_failure() {
    let read_some = |mut stream: &TcpStream| assert!(stream.read(&mut [0; 100]).unwrap() > 0);
    // The connection ends after the request.
    let (address, thread) = peer(move |stream| read_some(&stream));
    let error = RpcClient::connect(address).unwrap().append(&Event::new("x")).unwrap_err();
    assert!(error.is_outcome_unknown() && error.to_string().contains("may have arrived"), "{error}");
    thread.join().unwrap();
    // No answer in time.
    let (address, thread) = peer(move |mut stream| {
        read_some(&stream);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut client = RpcClient::builder([address]).request_timeout(Duration::from_millis(50)).build().unwrap();
    let error = client.append(&Event::new("x")).unwrap_err();
    assert!(
        matches!(&error, RpcError::Broken { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error}"
    );
    drop(client);
    thread.join().unwrap();
    // An answer that is none, and one to another request.
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\0\0\0\x63\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0"] {
        let (address, thread) = peer(move |mut stream| {
            read_some(&stream);
            stream.write_all(answer).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = RpcClient::connect(address).unwrap().append(&Event::new("x")).unwrap_err();
        assert!(matches!(error, RpcError::Protocol { .. }) && error.is_outcome_unknown(), "{error}");
        thread.join().unwrap();
    }
    // The server says so.
    let (address, thread) = peer(move |mut stream| {
        read_some(&stream);
        stream.write_all(b"\0\0\0\x01\0\0\0\x01\0\0\0\x0b\0\0\0\0\0\x01\0\x06bad").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = RpcClient::connect(address).unwrap().append(&Event::new("x")).unwrap_err();
    assert!(matches!(&error, RpcError::Refused { reason, .. } if reason == "bad") && !error.is_outcome_unknown());
    thread.join().unwrap();
}

#[test]
fn a_request_to_stop_ends_a_wait_for_an_answer() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (address, thread) = peer(move |mut stream| {
        assert!(stream.read(&mut [0; 100]).unwrap() > 0);
        sender.send(()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let stop = Shutdown::new();
    let mut client = RpcClient::builder([address])
        .request_timeout(Duration::from_secs(3600))
        .stop_with(stop.clone())
        .build()
        .unwrap();
    let calling = thread::spawn(move || client.append(&Event::new("x")).unwrap_err());
    receiver.recv().unwrap();
    stop.request();
    let error = calling.join().unwrap();
    assert!(error.to_string().contains("request to stop"), "{error}");
    thread.join().unwrap();
}

#[test]
fn failing_over_stays_with_a_host_until_it_fails_and_loses_nothing() {
    let mut servers = [Server::start(), Server::start(), Server::start()];
    let addresses = servers.each_ref().map(|server| server.address.clone());
    let mut client = RpcClient::builder(addresses).failover().batch_events(5).build().unwrap();
    client.append_batch(&batch(0..20)).unwrap();
    assert_eq!(servers[0].take(), texts(0..20));
    servers[0].stop();
    client.append_batch(&batch(20..40)).unwrap();
    assert_eq!(servers[1].take(), texts(20..40));
    servers[0].restart(|source| source);
    client.append_batch(&batch(40..60)).unwrap();
    assert_eq!(servers[1].take(), texts(40..60), "no reason to go back");
    servers[1].stop();
    servers[2].stop();
    client.append(&Event::new("60")).unwrap();
    assert_eq!(servers[0].take(), ["60"], "once around");
    servers[0].stop();
    match client.append(&Event::new("61")) {
        Err(error @ RpcError::NoHost { hosts: 3, .. }) => {
            assert!(!error.is_outcome_unknown() && std::error::Error::source(&error).is_some(), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    servers[2].restart(|source| source);
    client.append(&Event::new("61")).unwrap();
    assert_eq!(servers[2].take(), ["61"]);
}

#[test]
fn a_client_stays_with_the_host_that_it_connected_to() {
    let mut servers = [Server::start(), Server::start()];
    let addresses = servers.each_ref().map(|server| server.address.clone());
    servers[0].stop();
    let mut client = RpcClient::builder(addresses).failover().build().unwrap();
    client.reconnect().unwrap();
    servers[0].restart(|source| source);
    client.append(&Event::new("first")).unwrap();
    assert_eq!((servers[0].take(), servers[1].take()), (Vec::new(), vec!["first".to_owned()]));
}

#[test]
fn a_batch_goes_on_with_the_next_host_where_the_first_one_stopped_taking_it() {
    let small = MemoryChannel::builder("small").capacity_events(30).put_wait(Wait::NONE).build().unwrap();
    for balance in [false, true] {
        let servers = [Server::before(small.clone()), Server::start()];
        let builder = RpcClient::builder(servers.each_ref().map(|server| server.address.clone())).batch_events(10);
        let builder = if balance { builder.load_balancing(HostOrder::RoundRobin) } else { builder.failover() };
        builder.build().unwrap().append_batch(&batch(0..100)).unwrap();
        assert_eq!((servers[0].take(), servers[1].take()), (texts(0..30), texts(30..100)));
    }
}

#[test]
fn load_is_shared_by_calls_and_the_living_stand_in_for_the_dead() {
    let mut servers = [Server::start(), Server::start(), Server::start()];
    let addresses = servers.each_ref().map(|server| server.address.clone());
    let mut client = RpcClient::builder(addresses.clone()).load_balancing(HostOrder::RoundRobin).build().unwrap();
    for number in 0..30 {
        client.append(&Event::new(number.to_string())).unwrap();
    }
    for (index, server) in servers.iter().enumerate() {
        assert_eq!(server.take(), (0..30).skip(index).step_by(3).map(|n| n.to_string()).collect::<Vec<_>>());
    }
    servers[1].stop();
    for number in 0..30 {
        client.append(&Event::new(number.to_string())).unwrap();
    }
    // Whoever comes next takes the turn of the one that is gone.
    assert_eq!((servers[0].take().len(), servers[2].take().len()), (10, 20));
    let mut patient = RpcClient::builder(addresses)
        .load_balancing(HostOrder::Random)
        .backoff(Duration::from_secs(3600))
        .build()
        .unwrap();
    let mut all = BTreeSet::new();
    for number in 0..100 {
        patient.append(&Event::new(number.to_string())).unwrap();
    }
    for server in [&servers[0], &servers[2]] {
        let taken = server.take();
        assert!(!taken.is_empty());
        all.extend(taken);
    }
    assert_eq!(all.len(), 100);
    servers[0].stop();
    servers[2].stop();
    assert!(matches!(patient.append(&Event::new("x")), Err(RpcError::NoHost { .. })));
    let error = patient.append(&Event::new("x")).unwrap_err();
    assert!(matches!(error, RpcError::PassedOver { hosts: 3, .. }) && !error.is_outcome_unknown(), "{error}");
    let text = error.to_string();
    assert!(text.contains("all 3 hosts failed lately and are passed over") && text.contains("connect"), "{text}");
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_do() {
    let one = || RpcClient::builder(["localhost:1"]);
    for (builder, expected) in [
        (RpcClient::builder([] as [&str; 0]), "needs a host"),
        (RpcClient::builder(["localhost"]), "must look like host:port"),
        (RpcClient::builder(["localhost:1", "localhost:2"]), "call `failover` or `load_balancing`"),
        (one().load_balancing(HostOrder::Random), "at least two hosts"),
        (one().max_attempts(2), "call `failover`, too"),
        (one().failover().backoff(Duration::from_secs(1)), "call `load_balancing`, too"),
        (one().failover().max_attempts(0), "max_attempts is 0"),
        (one().batch_events(0), "batch_events is 0"),
        (one().deflate(10), "must be 0 to 9"),
        (one().connect_timeout(Duration::ZERO), "connect_timeout is zero"),
    ] {
        let error = builder.build().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn large_batches_pass_compressed_at_any_level() {
    let server = Server::with(|source| source.deflate(true));
    let big = "0123456789".repeat(50_000);
    for level in [0, 1, 6, 9] {
        let mut client = server.builder().deflate(level).build().unwrap();
        client.append_batch(&[Event::new(big.clone()), Event::new("x").with_header("level", "y").unwrap()]).unwrap();
        assert_eq!(server.take(), [big.as_str(), "x"], "level {level}");
    }
}

#[cfg(feature = "tls")]
mod tls {
    use aqueduct::tls::{KeyStore, TlsClient, TlsServer, TrustStore};
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (TlsServer, TlsClient) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let server = TlsServer::builder(KeyStore::from_pem(pem.as_str(), key.serialize_pem())).build().unwrap();
        (server, TlsClient::builder().trust(TrustStore::from_pem(pem)).build().unwrap())
    }

    #[test]
    fn tls_and_compression_go_together_in_both_orders() {
        let (tls, trusting) = pair();
        let server = Server::with(|source| source.tls(tls).deflate(true));
        let big = "0123456789".repeat(50_000);
        for before in [true, false] {
            let mut client =
                server.builder().tls(trusting.clone()).deflate(6).compress_before_tls(before).build().unwrap();
            for _ in 0..3 {
                client.append_batch(&[Event::new(big.clone()), Event::new("x")]).unwrap();
                assert_eq!(server.take(), [big.as_str(), "x"]);
            }
        }
    }

    #[test]
    fn a_server_that_is_not_trusted_gets_nothing() {
        let (tls, trusting) = pair();
        let (_, suspicious) = pair();
        let server = Server::with(|source| source.tls(tls));
        let error = server.builder().tls(suspicious).build().unwrap().append(&Event::new("x")).unwrap_err();
        assert!(matches!(error, RpcError::Connect { .. }) && error.to_string().contains("certificate"), "{error}");
        let plain = server.builder().build().unwrap().append(&Event::new("x")).unwrap_err();
        assert!(plain.is_outcome_unknown(), "{plain}");
        assert!(server.take().is_empty());
        server.builder().tls(trusting.clone()).build().unwrap().append(&Event::new("x")).unwrap();
        assert_eq!(server.take(), ["x"]);
        let open = Server::start();
        assert!(open.builder().tls(trusting).build().unwrap().append(&Event::new("x")).is_err());
        assert!(open.take().is_empty());
    }
}

#[test]
fn a_batch_of_more_bytes_than_a_request_may_have_is_sent_in_several() {
    let server = Server::start();
    let mut client = server.builder().build().unwrap();
    let events: Vec<Event> = (0..100_u8).map(|number| Event::new(vec![number; 300_000])).collect();
    client.append_batch(&events).unwrap();
    let mut found = Vec::new();
    while found.len() < 100 {
        let taken = server.channel.take(100, Wait::NONE).unwrap();
        assert!(!taken.is_empty(), "only {} came", found.len());
        found.extend(taken.iter().map(|event| (event.body()[0], event.body().len())));
        taken.commit().unwrap();
    }
    assert_eq!(found, (0..100).map(|number| (number, 300_000)).collect::<Vec<_>>());
}
