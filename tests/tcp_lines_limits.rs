//! Lines over TCP at the limits of the process: no descriptors left, and as many connections as the source serves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // the helpers of tests are tests, too
#![allow(clippy::disallowed_methods)] // files only use up descriptors here, and the numbers of the process are read

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aqueduct::source::net::ListenerHandle;
use aqueduct::source::{Source, SourceContext};
use aqueduct::{Channel, MemoryChannel, Shutdown, TcpLines, Wait, limits};
use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketType, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The tests change what the whole process may do.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `talk` against a source, in this thread.
fn with_source(mut source: TcpLines, channel: &MemoryChannel, talk: impl FnOnce(&ListenerHandle, &SourceContext)) {
    let (shutdown, listener) = (Shutdown::new(), source.handle());
    let context = SourceContext::new("lines", Arc::new(channel.clone()), shutdown.clone());
    source.open(&context).unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| source.run(&context));
        talk(&listener, &context);
        shutdown.request();
        running.join().unwrap().unwrap();
    });
}

fn descriptors(soft: impl FnOnce(u64) -> u64) {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft(hard.unwrap_or(u64::MAX))), maximum: hard }).unwrap();
}

fn line(stream: &TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

fn resident_bytes() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_source_without_descriptors_serves_those_it_has_and_recovers() {
    let _guard = ONE_AT_A_TIME.lock();
    let channel = MemoryChannel::new("lines");
    with_source(TcpLines::local(0), &channel, |listener, _| {
        let address = listener.local_addr().unwrap();
        let mut known = TcpStream::connect(address).unwrap();
        known.write_all(b"known\n").unwrap();
        assert_eq!(line(&known), "OK\n");
        // Its descriptor is there before the others are used up.
        let newcomer = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        descriptors(|_| 64);
        let hogs: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        connect(&newcomer, &address).unwrap();
        let mut newcomer = TcpStream::from(newcomer);
        newcomer.write_all(b"newcomer\n").unwrap();
        while listener.stats().accept_errors < 3 {
            thread::yield_now();
        }
        known.write_all(b"known\n").unwrap();
        assert_eq!(line(&known), "OK\n");
        println!("{} descriptors used up, {} failed accepts", hogs.len(), listener.stats().accept_errors);
        drop(hogs);
        assert_eq!(line(&newcomer), "OK\n");
    });
    let bodies: Vec<_> = channel.take(10, Wait::NONE).unwrap().iter().map(|event| event.body().clone()).collect();
    assert_eq!(bodies, ["known", "known", "newcomer"]);
}

#[test]
fn as_many_trickling_clients_as_there_are_places_cost_little_memory() {
    const CLIENTS: usize = limits::CONNECTIONS_MAX;
    const REFUSED: usize = 76;
    const ROUNDS: usize = 20;
    let _guard = ONE_AT_A_TIME.lock();
    descriptors(|hard| hard.min(4096));
    if getrlimit(Resource::Nofile).current.is_some_and(|soft| soft < 2 * CLIENTS as u64 + 200) {
        println!("skipped: the system allows too few descriptors");
        return;
    }
    let channel = MemoryChannel::new("lines");
    let before = resident_bytes();
    with_source(TcpLines::local(0).connections_per_peer_max(CLIENTS), &channel, |listener, context| {
        let address = listener.local_addr().unwrap();
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
        for client in &mut clients {
            client.write_all(b"first\n").unwrap();
        }
        for client in &clients {
            assert_eq!(line(client), "OK\n");
        }
        for _ in 0..REFUSED {
            let mut answer = String::new();
            TcpStream::connect(address).unwrap().read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "FAILED: too many connections\n");
        }
        for _ in 0..ROUNDS {
            for client in &mut clients {
                client.write_all(b"x").unwrap();
            }
        }
        // One of them ends its line: nobody is in its way.
        clients[CLIENTS / 2].write_all(b"\n").unwrap();
        assert_eq!(line(&clients[CLIENTS / 2]), "OK\n");
        let each = (resident_bytes() - before) / CLIENTS;
        println!("{CLIENTS} connections of {each} bytes of memory each, both ends");
        assert!(each < 64 << 10, "stacks and buffers of idle connections stay small");
        assert_eq!(context.counters().snapshot().open_connections, CLIENTS as u64);
        assert_eq!(listener.stats().refused_connections, REFUSED as u64);
    });
}
