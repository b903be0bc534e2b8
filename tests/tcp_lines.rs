//! Lines over TCP from many clients at once, through the public API only: what a client sees acknowledged is in the
//! channel, once and in its order, and what the source holds meanwhile stays within its bound.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // the helpers of tests are tests, too

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown as Direction, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aqueduct::source::{Source, SourceContext};
use aqueduct::{Channel, MemoryChannel, Shutdown, TcpLines, Wait};

const CLIENTS: usize = 200;
const LINES: usize = 50;
const BYTES_MAX: usize = 1 << 20;

/// What one client does, by its number; returns how many of its lines were acknowledged.
fn client(number: usize, address: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    // Only so that a failure does not hang.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let lines: Vec<String> = (0..LINES).map(|line| format!("{number} {line}\n")).collect();
    let mut acknowledged = 0;
    match number % 4 {
        // Polite: waits for each answer.
        0 => {
            for line in lines {
                stream.write_all(line.as_bytes()).unwrap();
                let mut answer = String::new();
                answers.read_line(&mut answer).unwrap();
                assert_eq!(answer, "OK\n");
                acknowledged += 1;
            }
        }
        // Sends everything, then breaks off in the middle of a line.
        1 => {
            stream.write_all(lines.concat().as_bytes()).unwrap();
            stream.write_all(b"unfinished").unwrap();
        }
        // Sends everything, then a line without end, of which the source need not read all.
        2 => {
            stream.write_all(lines.concat().as_bytes()).unwrap();
            let _ = stream.write_all(&vec![b'x'; 100_000]);
        }
        // Sends in pieces that end anywhere.
        _ => {
            for piece in lines.concat().as_bytes().chunks(7) {
                stream.write_all(piece).unwrap();
            }
        }
    }
    let _ = stream.shutdown(Direction::Write);
    let mut rest = String::new();
    answers.read_to_string(&mut rest).unwrap();
    acknowledged + rest.lines().filter(|answer| *answer == "OK").count()
}

#[test]
fn two_hundred_clients_of_all_kinds_get_each_line_through_once() {
    // Full most of the time.
    let channel = MemoryChannel::builder("small").capacity_events(50).build().unwrap();
    let mut source = TcpLines::bind("127.0.0.1:0")
        .line_bytes_max(4096)
        .batch_max(10)
        .connections_max(CLIENTS)
        .connections_per_peer_max(CLIENTS)
        .bytes_in_flight_max(BYTES_MAX);
    let listener = source.handle();
    let shutdown = Shutdown::new();
    let context = SourceContext::new("lines", Arc::new(channel.clone()), shutdown.clone());
    source.open(&context).unwrap();
    let address = listener.local_addr().unwrap();

    let mut received = vec![Vec::new(); CLIENTS];
    thread::scope(|scope| {
        let running = scope.spawn(|| source.run(&context));
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number, address))).collect();
        let mut count = 0;
        while count < CLIENTS * LINES {
            let batch = channel.take(50, Wait::up_to(Duration::from_secs(60))).unwrap();
            assert!(!batch.is_empty(), "only {count} lines came");
            for event in &batch {
                let text = str::from_utf8(event.body()).unwrap();
                let (client, line) = text.split_once(' ').unwrap();
                received[client.parse::<usize>().unwrap()].push(line.parse::<usize>().unwrap());
            }
            count += batch.len();
            batch.commit().unwrap();
        }
        for client in clients {
            assert_eq!(client.join().unwrap(), LINES, "every line acknowledged");
        }
        shutdown.request();
        running.join().unwrap().unwrap();
    });

    let whole: Vec<usize> = (0..LINES).collect();
    assert!(received.iter().all(|lines| *lines == whole), "each line once, in the order of its client");
    assert_eq!(channel.stats().depth_events, 0);
    let (stats, net) = (context.counters().snapshot(), listener.stats());
    assert_eq!(stats.accepted_events, (CLIENTS * LINES) as u64);
    assert_eq!((stats.dropped_events, stats.event_read_fail), (CLIENTS as u64 / 2, CLIENTS as u64 / 4));
    assert_eq!((net.accepted_connections, net.refused_connections), (CLIENTS as u64, 0));
    assert_eq!((net.bytes_in_flight, stats.open_connections), (0, 0));
    assert!(net.bytes_in_flight_peak <= BYTES_MAX as u64);
    println!(
        "{CLIENTS} clients, {} lines, at most {} bytes in flight",
        stats.accepted_events, net.bytes_in_flight_peak
    );
}
