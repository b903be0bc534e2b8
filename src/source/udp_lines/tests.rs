use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::*;
use crate::limits;
use crate::source::SourcePort;
use crate::source::testing::TestPort;
use crate::{Shutdown, SourceStats};

/// A source that runs in a thread, and a client.
struct Running {
    context: SourceContext,
    shutdown: Shutdown,
    handle: DatagramHandle,
    client: UdpSocket,
    thread: JoinHandle<(UdpLines, Result<(), SourceError>)>,
}

fn start(mut source: UdpLines, port: &Arc<TestPort>) -> Running {
    let shutdown = Shutdown::new();
    let context = SourceContext::new("lines", Arc::clone(port) as Arc<dyn SourcePort>, shutdown.clone());
    source.open(&context).unwrap();
    let (handle, inner) = (source.handle(), context.clone());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(handle.local_addr().unwrap()).unwrap();
    let thread = thread::spawn(move || {
        let outcome = source.run(&inner);
        (source, outcome)
    });
    Running { context, shutdown, handle, client, thread }
}

impl Running {
    fn stop(self) -> (SourceStats, Result<(), SourceError>) {
        self.shutdown.request();
        let (_, outcome) = self.thread.join().unwrap();
        assert_eq!((self.handle.local_addr(), self.handle.stats().bytes_in_flight), (None, 0));
        (self.context.counters().snapshot(), outcome)
    }
}

fn source() -> UdpLines {
    UdpLines::bind("127.0.0.1:0")
}

#[test]
fn each_line_of_a_datagram_is_an_event() {
    let port = TestPort::with(|_| ());
    let running = start(source().remote_address_header("from"), &port);
    let datagrams: [(&[u8], &[&str]); 8] = [
        (b"one", &["one"]),
        (b"one\n", &["one"]),
        (b"", &[""]),
        (b"\n", &[""]),
        (b"a\nb\r\n\nc", &["a", "b\r", "", "c"]),
        (b"\n\n", &["", ""]),
        (b"\xff\0", &["\\xff\\x00"]),
        (b"last\n", &["last"]),
    ];
    let mut expected = Vec::new();
    for (datagram, lines) in datagrams {
        running.client.send(datagram).unwrap();
        expected.extend(lines.iter().map(|line| line.replace('\r', "\\r")));
    }
    port.until(|state| state.events.len() == expected.len());
    let found: Vec<_> = port.bodies().iter().map(|body| body.escape_ascii().to_string()).collect();
    assert_eq!(found, expected);
    let from = format!("/{}", running.client.local_addr().unwrap());
    assert!(port.state.lock().events.iter().all(|event| event.headers().get("from") == Some(&from)));
    let stats = running.handle.stats();
    assert_eq!((stats.datagrams, stats.empty_datagrams, stats.bytes), (8, 1, 24));
    let (stats, outcome) = running.stop();
    outcome.unwrap();
    assert_eq!((stats.received_events, stats.accepted_events), (expected.len() as u64, expected.len() as u64));
}

#[test]
fn the_largest_datagram_comes_through_whole() {
    let port = TestPort::with(|_| ());
    let running = start(source(), &port);
    let largest: Vec<u8> = (0..65_507_u32).map(|at| b'a' + (at % 26) as u8).collect();
    running.client.send(&largest).unwrap();
    running.client.send(&vec![b'\n'; 65_507]).unwrap();
    port.until(|state| state.events.len() == 65_508);
    assert_eq!(port.bodies()[0], largest);
    running.stop().1.unwrap();
}

#[test]
fn what_arrives_during_a_commit_is_received_and_goes_into_one_batch() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().batch_max(50), &port);
    running.client.send(b"first").unwrap();
    port.until(|state| state.waiting == 1);
    for number in 0..100 {
        running.client.send(format!("{number}").as_bytes()).unwrap();
    }
    // Received, not only waiting in the kernel.
    while running.handle.stats().datagrams < 101 {
        thread::yield_now();
    }
    port.change(|state| state.held = false);
    port.until(|state| state.events.len() == 101);
    assert_eq!(port.state.lock().batches, [1, 50, 50]);
    running.stop().1.unwrap();
}

/// Goal: memory stays within its limit while the channel is full, what the limit leaves is the kernel's to drop, and
/// every datagram is accounted for. Method: a full channel, more datagrams than limit and kernel hold, then room.
#[test]
fn a_full_channel_costs_no_more_than_the_limit_and_the_kernels_drops_are_counted() {
    let port = TestPort::with(|state| state.capacity = 0);
    let source = source().bytes_in_flight_max(limits::DATAGRAM_BYTES_MAX).receive_buffer_bytes(1);
    let running = start(source, &port);
    let sent = 2000;
    for _ in 0..sent {
        running.client.send(&[b'x'; 1000]).unwrap();
    }
    port.until(|state| !state.waits.is_empty());
    assert!(running.handle.stats().bytes_in_flight_peak <= limits::DATAGRAM_BYTES_MAX as u64);
    port.change(|state| state.capacity = usize::MAX);
    let handle = running.handle.clone();
    let (stats, outcome) = running.stop();
    outcome.unwrap();
    let seen = handle.stats();
    assert_eq!(stats.dropped_events + port.bodies().len() as u64, seen.datagrams);
    match seen.kernel_drops {
        Some(drops) => assert_eq!(seen.datagrams + drops, sent),
        None => println!("/proc/net does not tell of drops"),
    }
}

#[test]
fn a_channel_that_is_closed_ends_the_run_with_an_error_that_can_pass() {
    let port = TestPort::with(|state| state.closed = true);
    let running = start(source(), &port);
    running.client.send(b"a\nb\nc").unwrap();
    let (_, outcome) = running.thread.join().unwrap();
    assert!(matches!(outcome, Err(SourceError::Retry(_))));
    assert_eq!(running.context.counters().snapshot().dropped_events, 3);
    assert_eq!(running.handle.local_addr(), None);
}

/// Goal: what a failed put gives back is put again, and what came meanwhile behind it. Method: a port that fails until more
/// has come.
#[test]
fn a_put_that_fails_costs_nothing() {
    let port = TestPort::with(|state| state.failing = true);
    let running = start(source().batch_max(2), &port);
    running.client.send(b"1\n2\n3").unwrap();
    port.until(|state| state.waits.len() == 2);
    running.client.send(b"4").unwrap();
    while running.handle.stats().datagrams < 2 {
        thread::yield_now();
    }
    port.change(|state| state.failing = false);
    port.until(|state| state.events.len() == 4);
    assert_eq!(port.bodies(), ["1", "2", "3", "4"]);
    let (stats, outcome) = running.stop();
    outcome.unwrap();
    assert_eq!((stats.accepted_events, stats.dropped_events), (4, 0));
}

#[test]
fn a_put_of_unknown_outcome_costs_its_events_and_no_others() {
    let port = TestPort::with(|state| state.broken = true);
    let running = start(source(), &port);
    running.client.send(b"a\nb\nc").unwrap();
    while running.context.counters().snapshot().dropped_events < 3 {
        thread::yield_now();
    }
    port.change(|state| state.broken = false);
    running.client.send(b"d").unwrap();
    port.until(|state| state.events.len() == 1);
    running.stop().1.unwrap();
}

#[test]
fn a_stop_does_not_wait_for_puts_that_fail() {
    let port = TestPort::with(|state| state.failing = true);
    let running = start(source().batch_max(2), &port);
    running.client.send(b"1\n2\n3").unwrap();
    port.until(|state| !state.waits.is_empty());
    let (stats, outcome) = running.stop();
    assert!(matches!(outcome, Err(SourceError::Retry(_))));
    assert_eq!((stats.accepted_events, stats.dropped_events), (0, 3));
}

#[test]
fn a_panic_behind_the_source_ends_its_threads() {
    let port = TestPort::with(|state| state.panics = true);
    let running = start(source(), &port);
    running.client.send(b"x").unwrap();
    assert!(running.thread.join().is_err());
}

#[test]
fn a_stopped_source_has_taken_what_the_kernel_had() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source(), &port);
    for number in 0..100 {
        running.client.send(format!("{number}").as_bytes()).unwrap();
    }
    running.shutdown.request();
    port.change(|state| state.held = false);
    running.stop().1.unwrap();
    assert_eq!(port.bodies().len(), 100);
}

#[test]
fn settings_that_cannot_work_are_refused_and_a_taken_port_can_pass() {
    let context = SourceContext::new("lines", TestPort::with(|_| ()), Shutdown::new());
    for (mut source, words) in [
        (source().batch_max(0), "batch_max"),
        (source().bytes_in_flight_max(1000), "65535"),
        (source().remote_address_header("n".repeat(70_000)), "remote_address_header"),
        (UdpLines::bind("127.0.0.1"), "127.0.0.1"),
    ] {
        let error = source.open(&context).unwrap_err();
        assert!(matches!(error, SourceError::Fatal(_)) && error.to_string().contains(words), "{words}: {error}");
    }
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = UdpLines::bind(taken.local_addr().unwrap().to_string()).open(&context).unwrap_err();
    assert!(matches!(error, SourceError::Retry(_)), "{error}");
}
