//! Two hundred TCP clients at once, a file channel and a sink that does not keep up: the backlog is on the disk and not in
//! memory, and every acknowledged line arrives once, in the order of its client.
//!
//! Alone in its file: the resident memory is that of the process.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // the helpers of tests are tests, too

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use aqueduct::sink::Delivered;
use aqueduct::{Agent, Drain, Event, FileStore, TcpLines};

const CLIENTS: usize = 200;
const LINES: usize = 100;
const LINE_BYTES: usize = 10_000;
/// What the process may grow by. The backlog is 200 MB; the caches and buffers of store and source, and the stacks of 400
/// threads, have to do with this.
const GROWTH_MAX_KIB: u64 = 96 << 10;
// Only so that a failure does not hang.
const HANG: Duration = Duration::from_secs(120);

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends its lines, and reads an answer for each.
fn client(number: usize, address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for line in 0..LINES {
        stream.write_all(format!("{number} {line} {:x<LINE_BYTES$}\n", "").as_bytes()).unwrap();
    }
    for line in 0..LINES {
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "OK\n", "client {number}, line {line}");
    }
}

#[test]
fn two_hundred_clients_fill_a_file_channel_and_not_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path().join("store")).unwrap();
    let source = TcpLines::bind("127.0.0.1:0")
        .line_bytes_max(2 * LINE_BYTES)
        .connections_max(CLIENTS)
        .connections_per_peer_max(CLIENTS)
        .bytes_in_flight_max(8 << 20);
    let listener = source.handle();
    // By client, the line that is to come next.
    let arrived: Arc<Mutex<HashMap<usize, usize>>> = Arc::default();
    let (open_gate, gate) = mpsc::channel::<()>();
    let sink = {
        let arrived = Arc::clone(&arrived);
        move |events: &[Event]| {
            // Until the test opens it; then there is no sender any more.
            let _ = gate.recv();
            let mut arrived = arrived.lock().unwrap();
            for event in events {
                let text = str::from_utf8(event.body()).unwrap();
                let mut words = text.split(' ').map(str::parse::<usize>);
                let (client, line) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
                let next = arrived.entry(client).or_default();
                assert_eq!(line, *next, "client {client}");
                *next += 1;
            }
            Ok(Delivered::All)
        }
    };
    let running = Agent::builder("clients")
        .channel("disk", store.channel("lines").unwrap())
        .source("in", source)
        .to(["disk"])
        .sink("out", sink)
        .batch(100)
        .from("disk")
        .build()
        .unwrap()
        .start()
        .unwrap();
    let address = listener.local_addr().unwrap();

    let before = resident_kib();
    thread::scope(|scope| (0..CLIENTS).for_each(|number| drop(scope.spawn(move || client(number, address)))));
    let stored = resident_kib().saturating_sub(before);
    assert_eq!(running.stats().channel("disk").unwrap().depth_events, (CLIENTS * LINES) as u64);
    drop(open_gate);
    let report = running.shutdown(Drain::up_to(HANG)).unwrap();
    let drained = resident_kib().saturating_sub(before);
    store.close().unwrap();

    assert!(report.is_drained());
    let arrived = arrived.lock().unwrap();
    assert!(arrived.len() == CLIENTS && arrived.values().all(|lines| *lines == LINES), "{arrived:?}");
    assert!(stored <= GROWTH_MAX_KIB, "{stored} KiB more with the backlog in the channel");
    assert!(drained <= GROWTH_MAX_KIB, "{drained} KiB more once it is drained");
    println!(
        "{CLIENTS} clients, {} lines of {LINE_BYTES} bytes: {stored} KiB more with all stored, {drained} KiB once drained",
        CLIENTS * LINES
    );
}
