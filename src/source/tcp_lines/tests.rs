mod connections;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown as Direction, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::*;
use crate::Shutdown;
use crate::source::SourcePort;
use crate::source::testing::{Listening, State, TestPort};

fn start(source: TcpLines, port: &Arc<TestPort>) -> Listening<TcpLines> {
    let handle = source.handle();
    Listening::start(source, handle, port)
}

/// So many lines, each its number.
fn numbers(count: usize) -> String {
    (0..count).flat_map(|number| [number.to_string(), "\n".to_owned()]).collect()
}

fn source() -> TcpLines {
    TcpLines::local(0)
}

impl Listening<TcpLines> {
    fn client(&self) -> Client {
        Client::new(self.connect())
    }
}

struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        // Only so that a test that fails does not hang.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        rest
    }

    /// What comes after the client said that it sends no more.
    fn finish(self) -> String {
        self.stream.shutdown(Direction::Write).unwrap();
        self.rest()
    }
}

#[test]
fn a_line_is_acknowledged_after_its_commit() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source(), &port);
    let mut client = running.client();
    client.send("a\n");
    port.until(|state| state.waiting == 1);
    client.stream.set_nonblocking(true).unwrap();
    assert_eq!(client.stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    client.stream.set_nonblocking(false).unwrap();
    port.change(|state| state.held = false);
    assert_eq!(client.answer(), "OK\n");
    assert_eq!(port.bodies(), ["a"]);
    assert_eq!(client.finish(), "");
    let (_, stats, listener) = running.stop();
    assert_eq!((stats.received_events, stats.accepted_events, stats.dropped_events), (1, 1, 0));
    assert_eq!((listener.accepted_connections, listener.refused_connections), (1, 0));
}

#[test]
fn a_line_is_acknowledged_on_receipt_or_never_if_so_chosen() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().ack(Ack::OnReceipt), &port);
    let mut client = running.client();
    assert_eq!(client.send("a\n").answer(), "OK\n");
    assert!(port.bodies().is_empty());
    port.change(|state| state.held = false);
    port.until(|state| state.events.len() == 1);
    running.stop();

    let running = start(source().ack(Ack::None), &port);
    let mut client = running.client();
    client.send("b\nc\n");
    assert_eq!(client.finish(), "");
    assert_eq!(port.bodies(), ["a", "b", "c"]);
    running.stop();
}

#[test]
fn what_is_lost_without_acknowledgement_is_counted() {
    for ack in [Ack::OnReceipt, Ack::None] {
        let port = TestPort::with(|state| state.closed = true);
        let running = start(source().ack(ack), &port);
        let mut client = running.client();
        client.send("a\nb\nc\n");
        let answers = client.rest();
        assert!(["", "OK\n", "OK\nOK\n", "OK\nOK\nOK\n"].contains(&answers.as_str()), "{answers}");
        let (_, stats, _) = running.stop();
        assert_eq!((stats.accepted_events, stats.dropped_events), (0, 3), "{ack:?}");
    }
}

#[test]
fn lines_that_are_there_share_a_transaction() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().batch_max(100), &port);
    let mut client = running.client();
    client.send(numbers(1000));
    port.until(|state| state.waiting == 1);
    port.change(|state| state.held = false);
    assert_eq!(client.finish(), "OK\n".repeat(1000));
    assert_eq!(port.bodies(), (0..1000).map(|number| number.to_string()).collect::<Vec<_>>());
    let batches = port.state.lock().batches.clone();
    assert!(batches.iter().all(|size| *size <= 100));
    assert!(batches.contains(&100), "{batches:?}");
    running.stop();
}

#[test]
fn bodies_are_the_bytes_of_the_lines() {
    let port = TestPort::with(|_| ());
    let running = start(source().client_address_header("client"), &port);
    let mut client = running.client();
    let address = client.stream.local_addr().unwrap().to_string();
    client.send(b"a\r\n\n\xff\x00\n");
    // In pieces as small as they get.
    for byte in b"slow\n" {
        client.send([*byte]);
    }
    assert_eq!(client.finish(), "OK\n".repeat(4));
    assert_eq!(port.bodies(), [&b"a\r"[..], b"", b"\xff\x00", b"slow"]);
    assert!(port.state.lock().events.iter().all(|event| event.headers().get("client") == Some(&address)));
    running.stop();
}

#[test]
fn a_client_of_ipv4_at_a_socket_of_ipv6_is_shown_as_what_it_is() {
    let serves_both = TcpListener::bind("[::]:0").is_ok_and(|socket| {
        let port = socket.local_addr().unwrap().port();
        ["127.0.0.1", "::1"].iter().all(|host| TcpStream::connect((*host, port)).is_ok())
    });
    if !serves_both {
        return println!("skipped: the system has no IPv6, or keeps IPv4 from its sockets");
    }
    let port = TestPort::with(|_| ());
    let running = start(TcpLines::bind("[::]:0").client_address_header("client"), &port);
    let listening = running.handle.local_addr().unwrap().port();
    for host in ["127.0.0.1", "::1"] {
        let mut client = Client::new(TcpStream::connect((host, listening)).unwrap());
        let address = client.stream.local_addr().unwrap().to_string();
        client.send(b"x\n");
        assert_eq!(client.finish(), "OK\n");
        assert_eq!(port.state.lock().events.last().and_then(|event| event.headers().get("client")), Some(&*address));
    }
    running.stop();
}

#[test]
fn a_line_over_the_limit_ends_the_connection_and_keeps_the_lines_before_it() {
    let failure = "FAILED: Event exceeds the maximum length (64 chars, including newline)\n";
    let just_right = "x".repeat(63);
    for too_long in ["y".repeat(64), "y".repeat(64) + "\n", "y".repeat(3 << 20), "y".repeat(64) + "\nlater\n"] {
        let port = TestPort::with(|_| ());
        let running = start(source().line_bytes_max(64), &port);
        let mut client = running.client();
        client.send(format!("{just_right}\n"));
        // The source reads no further than it must, so the end of a long text may find a closed connection.
        let _ = client.stream.write_all(too_long.as_bytes());
        assert_eq!(client.rest(), format!("OK\n{failure}"));
        assert_eq!(port.bodies(), [just_right.as_str()]);
        assert_eq!(running.client().send("other\n").answer(), "OK\n");
        let (_, stats, _) = running.stop();
        assert_eq!((stats.event_read_fail, stats.dropped_events, stats.accepted_events), (1, 1, 2));
    }
}

#[test]
fn lines_are_measured_and_read_as_java_does_if_so_chosen() {
    let failure = "FAILED: Event exceeds the maximum length (8 chars, including newline)\n";
    // Two pairs, a sign of three bytes, two of two: seven code units of 15 bytes.
    let just_right = "\u{1f600}\u{20ac}\u{1f600}\u{e4}\u{e4}";
    for too_long in [
        "yyyyyyyy",
        "yyyyyyyy\n",
        "\u{1f600}\u{1f600}\u{1f600}\u{1f600}",
        "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\n",
    ] {
        let port = TestPort::with(|_| ());
        let running = start(source().line_chars_max(8).encoding("utf-8"), &port);
        let mut client = running.client();
        // The first byte of a sign alone, and the others after it, are one sign.
        for byte in just_right.bytes() {
            client.send([byte]);
        }
        client.send("\n");
        client.send(too_long);
        assert_eq!(client.rest(), format!("OK\n{failure}"), "{too_long}");
        assert_eq!(port.bodies(), [just_right]);
        running.stop();
    }
    let port = TestPort::with(|_| ());
    let running = start(source().line_chars_max(8).encoding("ISO-8859-1"), &port);
    assert_eq!(running.client().send(b"caf\xe9 \xff\n").answer(), "OK\n");
    running.stop();
    let running = start(source().encoding("UTF-8"), &port);
    assert_eq!(running.client().send(b"a\xffb\xe2\x82\n").answer(), "OK\n");
    running.stop();
    assert_eq!(port.bodies(), ["caf\u{e9} \u{ff}", "a\u{fffd}b\u{fffd}"]);
}

#[test]
fn clients_that_speak_utf_16_are_answered_in_it() {
    let bytes = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
    for (label, order, mark) in [
        ("UTF-16LE", u16::to_le_bytes as fn(u16) -> [u8; 2], ""),
        ("utf-16be", u16::to_be_bytes, ""),
        ("UTF-16", u16::to_be_bytes, "\u{feff}"),
    ] {
        let port = TestPort::with(|_| ());
        let running = start(source().line_chars_max(8).encoding(label), &port);
        let mut client = running.client();
        // A byte at a time, so that every character is cut; the second line has a line feed in half of a unit.
        for byte in bytes("caf\u{e9} \u{1d11e}\n\u{10a}\u{a0a}\nyyyyyyyy", order) {
            client.send([byte]);
        }
        let mut answer = Vec::new();
        client.stream.read_to_end(&mut answer).unwrap();
        let told = "OK\nOK\nFAILED: Event exceeds the maximum length (8 chars, including newline)\n";
        assert_eq!(answer, bytes(&format!("{mark}{told}"), order), "{label}");
        assert_eq!(port.bodies(), ["caf\u{e9} \u{1d11e}", "\u{10a}\u{a0a}"], "{label}");
        running.stop();
    }
}

#[test]
fn the_longest_lines_pass_within_the_smallest_memory() {
    let port = TestPort::with(|_| ());
    let tight =
        source().line_bytes_max(1000).connections_max(2).connection_bytes_in_flight_max(1000).bytes_in_flight_max(2000);
    let running = start(tight, &port);
    let line = "z".repeat(999) + "\n";
    let mut clients = [running.client(), running.client()];
    for client in &mut clients {
        client.send(line.repeat(50));
    }
    for client in &mut clients {
        assert_eq!(client.answer(), "OK\n");
    }
    for client in clients {
        assert_eq!(client.finish(), "OK\n".repeat(49));
    }
    assert!(port.bodies().iter().all(|body| body.len() == 999));
    let (_, _, listener) = running.stop();
    assert_eq!(listener.bytes_in_flight_peak, 2000);
}

#[test]
fn what_a_batch_held_is_given_back_with_its_commit() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().line_bytes_max(64), &port);
    let mut client = running.client();
    client.send(numbers(100));
    port.until(|state| state.waiting == 1);
    let held = running.handle.stats().bytes_in_flight;
    port.change(|state| state.held = false);
    for _ in 0..100 {
        assert_eq!(client.answer(), "OK\n");
    }
    let listener = running.handle.stats();
    assert_eq!(listener.bytes_in_flight, 64, "the share of a connection that is open and idle");
    assert!(held > 64 && listener.bytes_in_flight_peak >= held, "{listener:?}");
    drop(client);
    running.stop();
}

#[test]
fn clients_that_die_or_stall_in_a_line_harm_nobody() {
    let port = TestPort::with(|_| ());
    let running = start(source(), &port);
    let mut stalled = running.client();
    assert_eq!(stalled.send("kept\nnever fini").answer(), "OK\n");
    let mut dying = running.client();
    assert_eq!(dying.send("kept\nlo").answer(), "OK\n");
    drop(dying);
    let mut reset = running.client();
    assert_eq!(reset.send("kept\nlo").answer(), "OK\n");
    rustix::net::sockopt::set_socket_linger(&reset.stream, Some(Duration::ZERO)).unwrap();
    drop(reset);
    assert_eq!(running.client().send("fine\n").answer(), "OK\n");
    while running.stats().dropped_events < 2 {
        thread::yield_now();
    }
    assert_eq!(port.bodies(), ["kept", "kept", "kept", "fine"]);
    let (_, stats, _) = running.stop();
    assert_eq!(stats.dropped_events, 3, "and the stalled one at the end");
    assert_eq!(stalled.rest(), "");
}

#[test]
fn a_client_that_closes_without_reading_its_answers_loses_nothing_it_sent() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().batch_max(10), &port);
    let mut client = running.client();
    client.send("a\n".repeat(5000));
    port.until(|state| state.waiting == 1);
    drop(client);
    port.change(|state| state.held = false);
    port.until(|state| state.events.len() == 5000);
    running.stop();
}

#[test]
fn a_client_that_never_reads_its_answers_is_closed() {
    let port = TestPort::with(|_| ());
    let running = start(source().answer_timeout(Duration::from_millis(50)), &port);
    let mut client = running.client();
    while client.stream.write_all(&[b'\n'; 4096]).is_ok() {}
    assert_eq!(running.client().send("fine\n").answer(), "OK\n");
    let (_, _, listener) = running.stop();
    assert_eq!(listener.timed_out_connections, 1);
}

#[test]
fn a_full_channel_slows_its_senders_and_loses_nothing() {
    let port = TestPort::with(|state| state.capacity = 0);
    let running = start(source().batch_max(7), &port);
    let mut client = running.client();
    client.send(numbers(100));
    port.until(|state| state.waiting == 1);
    port.change(|state| state.capacity = 10);
    let mut taken = Vec::new();
    while taken.len() < 100 {
        port.until(|state| !state.events.is_empty());
        port.change(|state| taken.extend(state.events.drain(..).map(|event| event.body().clone())));
    }
    assert_eq!(client.finish(), "OK\n".repeat(100));
    assert_eq!(taken, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    let (_, stats, _) = running.stop();
    assert_eq!((stats.received_events, stats.accepted_events, stats.dropped_events), (100, 100, 0));
}

#[test]
fn a_full_channel_fails_the_lines_that_do_not_fit_if_so_chosen() {
    let port = TestPort::with(|state| state.capacity = 10);
    let running = start(source().on_full(OnFull::Fail).batch_max(30), &port);
    let mut client = running.client();
    client.send(numbers(30));
    let failure = "FAILED: channel test port is full: its capacity in events is used up\n";
    for _ in 0..10 {
        assert_eq!(client.answer(), "OK\n");
    }
    for _ in 0..20 {
        assert_eq!(client.answer(), failure);
    }
    port.change(|state| state.events.clear());
    assert_eq!(client.send("later\n").answer(), "OK\n");
    assert_eq!(client.finish(), "");
    let (_, stats, _) = running.stop();
    assert_eq!((stats.received_events, stats.accepted_events, stats.dropped_events), (31, 11, 20));
}

#[test]
fn a_channel_without_a_place_is_told_of_in_the_words_that_were_chosen_for_it() {
    let port = TestPort::with(|state| state.capacity = 1);
    let texts = |name: &str| [(name.to_owned(), "no more".to_owned())];
    for (name, failure) in
        [("test\nport", "no more"), ("other", "channel test port is full: its capacity in events is used up")]
    {
        port.change(|state| state.events.clear());
        let running = start(source().on_full(OnFull::Fail).full_texts(texts(name)), &port);
        let mut client = running.client();
        assert_eq!(client.send("1\n").answer(), "OK\n");
        assert_eq!(client.send("2\n").answer(), format!("FAILED: {failure}\n"));
        client.finish();
        running.stop();
    }
}

#[test]
fn lines_that_no_channel_can_take_are_told_apart_from_those_around_them() {
    let port = TestPort::with(|state| (state.body_max, state.transaction_max) = (5, 3));
    let running = start(source(), &port);
    let mut client = running.client();
    client.send("1\n2\n3\n4\ntoo long\n5\n6\n");
    let failure = "FAILED: event body bytes of 8 is over the limit of 5 of channel test port\n";
    assert_eq!(client.finish(), "OK\n".repeat(4) + failure + "OK\nOK\n");
    assert_eq!(port.bodies(), ["1", "2", "3", "4", "5", "6"]);
    let (_, stats, _) = running.stop();
    assert_eq!((stats.received_events, stats.accepted_events, stats.dropped_events), (7, 6, 1));
}

#[test]
fn a_channel_that_is_closed_or_broken_ends_the_connection() {
    type Change = fn(&mut State);
    let cases: [(Change, &str); 2] = [
        (|state| state.closed = true, "FAILED: channel test port is closed\n"),
        (
            |state| state.broken = true,
            "FAILED: the outcome of the commit is unknown until the store is opened again: the store is closed\n",
        ),
    ];
    for (change, failure) in cases {
        let port = TestPort::with(change);
        let running = start(source().batch_max(1), &port);
        let mut client = running.client();
        client.send("a\nb\nc\npart");
        assert_eq!(client.rest(), failure);
        let (_, stats, _) = running.stop();
        assert_eq!(stats.accepted_events, 0);
        assert!(port.bodies().is_empty());
    }
}

#[test]
fn a_panic_ends_its_connection_only() {
    let port = TestPort::with(|state| state.panics = true);
    let running = start(source(), &port);
    assert_eq!(running.client().send("a\n").answer(), "");
    port.change(|state| state.panics = false);
    assert_eq!(running.client().send("b\n").answer(), "OK\n");
    let (_, _, listener) = running.stop();
    assert_eq!(listener.panicked_connections, 1);
}

#[test]
fn two_hundred_clients_and_a_slow_consumer_keep_order_and_bounds() {
    const CLIENTS: usize = 200;
    const LINES: usize = 100;
    let port = TestPort::with(|state| state.capacity = 64);
    let bound = 512 * 1024;
    let running = start(
        source()
            .connections_max(CLIENTS)
            .connections_per_peer_max(CLIENTS)
            .line_bytes_max(1024)
            .bytes_in_flight_max(bound)
            .batch_max(20),
        &port,
    );
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); CLIENTS];
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut client = running.client();
            scope.spawn(move || {
                // Half of the clients wait for each answer, half for none.
                let filler = "-".repeat(number * 4);
                if number % 2 == 0 {
                    client.send(
                        (0..LINES)
                            .flat_map(|line| [number.to_string(), format!(" {line} {filler}\n")])
                            .collect::<String>(),
                    );
                } else {
                    for line in 0..LINES {
                        assert_eq!(client.send(format!("{number} {line} {filler}\n")).answer(), "OK\n");
                    }
                }
                let answered = if number % 2 == 0 { LINES } else { 0 };
                assert_eq!(client.finish(), "OK\n".repeat(answered));
            });
        }
        let mut count = 0;
        while count < CLIENTS * LINES {
            port.until(|state| !state.events.is_empty());
            port.change(|state| {
                count += state.events.len();
                for event in state.events.drain(..) {
                    let text = String::from_utf8(event.body().to_vec()).unwrap();
                    let mut words = text.split(' ');
                    let [client, line] = [(); 2].map(|()| words.next().unwrap().parse::<usize>().unwrap());
                    taken[client].push(line);
                }
            });
        }
    });
    let whole: Vec<usize> = (0..LINES).collect();
    assert!(taken.iter().all(|lines| *lines == whole), "each line once, in its client's order");
    let (_, stats, listener) = running.stop();
    assert_eq!(stats.accepted_events, (CLIENTS * LINES) as u64);
    assert!(listener.bytes_in_flight_peak <= bound as u64);
    println!("{CLIENTS} clients, {} lines, peak of {} bytes in flight", CLIENTS * LINES, listener.bytes_in_flight_peak);
}

#[test]
fn options_that_cannot_work_are_refused_with_what_to_do() {
    let port: Arc<dyn SourcePort> = TestPort::with(|_| ());
    let context = SourceContext::new("lines", port, Shutdown::new());
    let hour = Duration::from_secs(3600);
    for (source, part) in [
        (source().batch_max(0), "batch_max is 0"),
        (source().line_bytes_max(1), "at least 2, one byte and the newline"),
        (source().line_bytes_max(2 << 20), "connection_bytes_in_flight_max is 1048576; it must be at least 2097152"),
        (source().line_bytes_max(1 << 20), "need 1073741824 bytes, but bytes_in_flight_max is 67108864"),
        (source().line_chars_max(1), "at least 2, one character and the newline"),
        (source().encoding("utf-17"), "encoding \"utf-17\" is not known; it must be one such as UTF-8"),
        (source().connections_max(0), "connections_max is 0"),
        (source().connections_per_peer_max(0), "connections_per_peer_max is 0"),
        (source().bytes_in_flight_max(0), "bytes_in_flight_max is 0"),
        (source().idle_timeout(Duration::ZERO), "idle_timeout is zero"),
        (source().line_timeout(Duration::ZERO).idle_timeout(hour), "line_timeout is zero"),
        (source().client_address_header("n".repeat(70_000)), "client_address_header: header name of 70000 bytes"),
        (TcpLines::bind("no port"), "cannot listen on no port"),
    ] {
        let mut source = source;
        match source.open(&context) {
            Err(SourceError::Fatal(error)) => assert!(error.to_string().contains(part), "{error}"),
            other => panic!("{part}: {other:?}"),
        }
    }
}

#[test]
fn an_address_in_use_is_worth_another_try() {
    let port: Arc<dyn SourcePort> = TestPort::with(|_| ());
    let context = SourceContext::new("lines", port, Shutdown::new());
    let mut first = source();
    first.open(&context).unwrap();
    let address = first.handle().local_addr().unwrap().to_string();
    let mut second = TcpLines::bind(address.as_str());
    match second.open(&context) {
        Err(SourceError::Retry(error)) => assert!(error.to_string().contains(&address), "{error}"),
        other => panic!("{other:?}"),
    }
    drop(first);
    second.open(&context).unwrap();
}
