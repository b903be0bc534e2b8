//! TLS on a listening source, through the public API, with clients that are not the crate's own.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // the helpers of tests are tests, too

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown as Direction, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aqueduct::source::net::ListenerHandle;
use aqueduct::source::{Source, SourceContext};
use aqueduct::tls::{KeyStore, TlsServer, TrustStore};
use aqueduct::{Channel, MemoryChannel, Shutdown, TcpLines, Wait};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// An authority with one key that it vouches for, in PEM.
struct Party {
    authority: String,
    chain: String,
    key: String,
}

impl Party {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        Self { authority: authority.pem(), chain: leaf.pem(), key: key.serialize_pem() }
    }

    fn key_store(&self) -> KeyStore {
        KeyStore::from_pem(self.chain.as_str(), self.key.as_str())
    }
}

struct Running {
    channel: MemoryChannel,
    context: SourceContext,
    handle: ListenerHandle,
    thread: JoinHandle<()>,
}

fn start(change: impl FnOnce(TcpLines) -> TcpLines) -> Running {
    let channel = MemoryChannel::new("lines");
    let mut source = change(TcpLines::bind("127.0.0.1:0"));
    let handle = source.handle();
    let context = SourceContext::new("lines", Arc::new(channel.clone()), Shutdown::new());
    source.open(&context).unwrap();
    let inner = context.clone();
    let thread = thread::spawn(move || source.run(&inner).unwrap());
    Running { channel, context, handle, thread }
}

impl Running {
    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.handle.local_addr().unwrap()).unwrap();
        // Only so that a failure does not hang.
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket
    }

    fn connect(&self, server: &Party, own: Option<&Party>) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(server.authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![CertificateDer::from_pem_slice(own.chain.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(client, self.socket())
    }

    fn bodies(&self) -> Vec<String> {
        let taken = self.channel.take(100_000, Wait::NONE).unwrap();
        let bodies = taken.iter().map(|event| String::from_utf8(event.body().to_vec()).unwrap()).collect();
        taken.commit().unwrap();
        bodies
    }

    fn until(&self, done: impl Fn(&aqueduct::source::net::ListenerStats) -> bool) {
        while !done(&self.handle.stats()) {
            thread::yield_now();
        }
    }

    fn stop(self) {
        self.context.shutdown().request();
        self.thread.join().unwrap();
        let stats = self.handle.stats();
        assert_eq!((stats.bytes_in_flight, stats.panicked_connections), (0, 0));
        assert_eq!(self.context.counters().snapshot().open_connections, 0);
    }
}

/// Sends lines over TLS and returns how many were acknowledged.
fn send(mut client: StreamOwned<ClientConnection, TcpStream>, lines: usize) -> std::io::Result<usize> {
    let text: String = (0..lines).flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
    client.write_all(text.as_bytes())?;
    client.conn.send_close_notify();
    client.flush()?;
    let mut answers = String::new();
    client.read_to_string(&mut answers)?;
    Ok(answers.lines().filter(|answer| *answer == "OK").count())
}

#[test]
fn lines_are_received_and_acknowledged_over_tls() {
    let server = Party::new();
    let tls = TlsServer::builder(server.key_store()).build().unwrap();
    let running = start(|source| source.tls(tls));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(send(running.connect(&server, None), 2000).unwrap(), 2000));
        }
    });
    let mut bodies = running.bodies();
    bodies.sort_by_key(|body| body.parse::<usize>().unwrap());
    let expected: Vec<String> = (0..2000).flat_map(|line| vec![line.to_string(); 8]).collect();
    assert_eq!(bodies, expected);
    running.stop();
}

#[test]
fn clients_without_tls_or_without_a_trusted_certificate_are_refused_and_others_served() {
    let (server, clients, strangers) = (Party::new(), Party::new(), Party::new());
    let tls = TlsServer::builder(server.key_store())
        .require_client_certificate(TrustStore::from_pem(clients.authority.as_str()))
        .build()
        .unwrap();
    let running = start(|source| source.tls(tls));
    // Plain text: the answer is an alert of TLS, and the end.
    let mut plain = running.socket();
    plain.write_all(b"hello\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    for own in [None, Some(&strangers)] {
        assert!(send(running.connect(&server, own), 1).is_err(), "no certificate that is trusted");
    }
    assert!(send(running.connect(&strangers, Some(&clients)), 1).is_err(), "not the server that was meant");
    // Gone in the middle of the handshake.
    let mut gone = running.socket();
    gone.write_all(&[0x16, 3, 1]).unwrap();
    gone.shutdown(Direction::Both).unwrap();
    running.until(|stats| stats.failed_handshakes == 5);
    assert_eq!(send(running.connect(&server, Some(&clients)), 3).unwrap(), 3);
    assert_eq!(running.bodies(), ["0", "1", "2"]);
    assert_eq!(running.handle.stats().failed_handshakes, 5);
    running.stop();
}

#[test]
fn a_handshake_that_stands_still_ends_in_its_time() {
    let server = Party::new();
    let tls = TlsServer::builder(server.key_store()).build().unwrap();
    let running = start(|source| source.tls(tls).handshake_timeout(Duration::from_millis(20)));
    let mut silent = running.socket();
    let mut slow = running.socket();
    slow.write_all(&[0x16]).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(slow.read(&mut [0; 10]).unwrap_or(0), 0);
    running.until(|stats| stats.failed_handshakes == 2);
    assert_eq!(running.handle.stats().timed_out_connections, 2);
    running.stop();
}

#[test]
fn a_stop_ends_connections_in_the_middle_of_their_handshake() {
    let server = Party::new();
    let tls = TlsServer::builder(server.key_store()).build().unwrap();
    let running = start(|source| source.tls(tls).handshake_timeout(Duration::from_secs(3600)));
    let _silent = running.socket();
    running.until(|stats| stats.accepted_connections == 1);
    running.stop();
}

#[test]
fn an_end_that_anyone_could_have_made_is_no_end_of_a_line() {
    let server = Party::new();
    let tls = TlsServer::builder(server.key_store()).build().unwrap();
    let running = start(|source| source.tls(tls));
    let mut client = running.connect(&server, None);
    client.write_all(b"whole\npart").unwrap();
    client.sock.shutdown(Direction::Write).unwrap();
    let mut answer = String::new();
    let outcome = client.read_to_string(&mut answer);
    assert!(answer == "OK\n" && outcome.map_err(|error| error.kind()) != Err(ErrorKind::TimedOut), "{answer}");
    assert_eq!(running.bodies(), ["whole"]);
    running.context.shutdown().request();
    running.until(|_| running.context.counters().snapshot().open_connections == 0);
    assert_eq!(running.context.counters().snapshot().event_read_fail, 1);
    running.stop();
}
