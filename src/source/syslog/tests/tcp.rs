use std::io::{Read, Write};
use std::net::{Shutdown as Direction, TcpStream};
use std::sync::Arc;
use std::thread;

use super::*;
use crate::source::SourcePort;
use crate::source::testing::{Listening, TestPort};
use crate::{Event, Shutdown};

fn start(source: SyslogTcp, port: &Arc<TestPort>) -> Listening<SyslogTcp> {
    let handle = source.handle();
    Listening::start(source, handle, port)
}

impl Listening<SyslogTcp> {
    fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream
    }
}

/// Waits for the other side to close.
fn closed(mut stream: TcpStream) {
    // Only so that a test that fails does not hang.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let _ = stream.shutdown(Direction::Write);
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("syslog has no answers"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

fn source() -> SyslogTcp {
    SyslogTcp::bind("127.0.0.1:0")
}

fn bodies(port: &TestPort) -> Vec<String> {
    port.bodies().iter().map(|body| body.escape_ascii().to_string()).collect()
}

fn status(event: &Event) -> Option<&str> {
    event.headers().get("flume.syslog.status")
}

#[test]
fn messages_become_events_with_their_headers() {
    let port = TestPort::with(|_| ());
    let running = start(source().client_ip_header("ip").port_header("port"), &port);
    let text =
        "<13>1 2003-10-11T22:14:15.003Z web-1 app - - - one\n27 <14>1 - - a counted\nmessage\n<13>bare\nnot syslog\n";
    closed(running.send(text));
    port.until(|state| state.events.len() == 4);
    assert_eq!(bodies(&port), ["app - - - one", "a counted\\nmessage", "<13>bare", "not syslog"]);
    let listening = running.handle.local_addr().unwrap().port().to_string();
    for (event, expected) in port.state.lock().events.iter().zip([
        vec![
            ("Facility", "1"),
            ("Severity", "5"),
            ("priority", "13"),
            ("version", "1"),
            ("timestamp", "1065910455003"),
            ("host", "web-1"),
        ],
        vec![("Facility", "1"), ("Severity", "6"), ("priority", "14"), ("version", "1")],
        vec![("Facility", "1"), ("Severity", "5")],
        vec![("Facility", "0"), ("Severity", "0"), ("flume.syslog.status", "Invalid")],
    ]) {
        let expected = [expected, vec![("ip", "127.0.0.1"), ("port", &listening)]].concat();
        assert_eq!(event.headers().iter().collect::<Vec<_>>(), expected);
    }
    let (_, stats, _) = running.stop();
    assert_eq!((stats.received_events, stats.accepted_events), (4, 4));
    assert_eq!((stats.event_read_fail, stats.dropped_events), (1, 0));
}

#[test]
fn what_arrives_while_a_commit_is_under_way_is_one_batch() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().batch_max(10), &port);
    let mut client = running.send("<13>first\n");
    port.until(|state| state.waiting == 1);
    client.write_all("<13>x\n".repeat(25).as_bytes()).unwrap();
    port.change(|state| state.held = false);
    port.until(|state| state.events.len() == 26);
    let batches = port.state.lock().batches.clone();
    assert!(batches[0] == 1 && batches.iter().all(|batch| *batch <= 10), "{batches:?}");
    running.stop();
}

#[test]
fn a_full_channel_slows_its_clients_down_and_loses_nothing() {
    let port = TestPort::with(|state| state.capacity = 25);
    let running = start(source().batch_max(10), &port);
    let mut client = running.connect();
    let sender = thread::spawn(move || {
        for number in 0..2000 {
            writeln!(client, "<13>{number}").unwrap();
        }
        client
    });
    while port.bodies().len() < 2000 {
        port.until(|state| state.events.len() + 10 > state.capacity || state.events.len() == 2000);
        port.change(|state| state.capacity += 30);
    }
    closed(sender.join().unwrap());
    assert_eq!(bodies(&port), (0..2000).map(|number| format!("<13>{number}")).collect::<Vec<_>>());
    assert_eq!(running.stop().1.dropped_events, 0);
}

#[test]
fn what_a_full_channel_does_not_take_is_dropped_and_counted_if_asked_for() {
    let port = TestPort::with(|state| state.capacity = 3);
    let running = start(source().on_full(OnFull::Fail), &port);
    closed(running.send("<13>x\n".repeat(10)));
    let (_, stats, _) = running.stop();
    assert_eq!((port.bodies().len(), stats.dropped_events), (3, 7));
    assert_eq!(stats.received_events, stats.accepted_events + stats.dropped_events);
}

#[test]
fn an_unfinished_message_is_kept_as_incomplete() {
    for (sent, kept) in
        [("<13>Oct 11 22:14:15 h half", "half"), ("99 <13>Oct 11 22:14:15 h half", "half"), ("12", "12")]
    {
        let port = TestPort::with(|_| ());
        let running = start(source(), &port);
        closed(running.send(format!("<13>whole\n{sent}")));
        port.until(|state| state.events.len() == 2);
        assert_eq!(bodies(&port)[1], kept);
        let found = status(&port.state.lock().events[1]).map(str::to_owned);
        assert_eq!(found.as_deref(), Some(if sent == "12" { "Invalid" } else { "Incomplete" }));
        assert_eq!(running.stop().1.event_read_fail, 1);
    }
}

#[test]
fn a_slow_or_silent_client_is_closed_and_what_it_sent_is_kept() {
    let short = Duration::from_millis(50);
    for (sent, source) in [
        ("<13>slow", source().message_timeout(short)),
        ("4 <13", source().message_timeout(short)),
        ("", source().idle_timeout(short)),
    ] {
        let port = TestPort::with(|_| ());
        let running = start(source, &port);
        let mut client = running.send(sent);
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert!(matches!(client.read(&mut [0]), Ok(0)), "closed by the source");
        assert_eq!(port.bodies().len(), usize::from(!sent.is_empty()));
        assert_eq!(running.stop().2.timed_out_connections, 1);
    }
}

#[test]
fn what_the_kernel_has_received_is_taken_before_the_source_stops() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source().batch_max(5), &port);
    let mut client = running.send("<13>0\n");
    port.until(|state| state.waiting == 1);
    for number in 1..500 {
        writeln!(client, "<13>{number}").unwrap();
    }
    running.shutdown.request();
    port.change(|state| state.held = false);
    let (_, stats, _) = running.stop();
    assert_eq!(bodies(&port), (0..500).map(|number| format!("<13>{number}")).collect::<Vec<_>>());
    assert_eq!(stats.dropped_events, 0);
}

#[test]
fn a_line_without_an_end_is_events_of_the_maximum() {
    for (overlong, expected) in [(Overlong::Split, 400), (Overlong::Truncate, 1), (Overlong::Drop, 0)] {
        let port = TestPort::with(|_| ());
        let running = start(source().event_bytes_max(2500).overlong(overlong).connections_max(4), &port);
        let mut client = running.connect();
        for _ in 0..250 {
            client.write_all(&[b'x'; 4000]).unwrap();
        }
        client.write_all(b"\n<13>after\n").unwrap();
        closed(client);
        port.until(|state| state.events.len() == expected + 1);
        assert!(port.bodies()[..expected].iter().all(|body| body.len() == 2500));
        assert_eq!(bodies(&port)[expected], "<13>after");
        let (_, stats, _) = running.stop();
        let lost = u64::from(overlong == Overlong::Drop);
        assert_eq!((stats.event_read_fail, stats.dropped_events), (expected as u64 + lost, lost));
    }
}

#[test]
fn a_channel_that_is_gone_ends_the_connection_and_every_message_is_counted() {
    for change in [(|state| state.closed = true) as fn(&mut crate::source::testing::State), |state| state.broken = true]
    {
        let port = TestPort::with(change);
        let running = start(source().batch_max(3), &port);
        closed(running.send("<13>x\n".repeat(10) + "unfinished"));
        let (_, stats, _) = running.stop();
        // The client may be closed before it has sent all.
        assert!((1..=11).contains(&stats.dropped_events), "{stats:?}");
        assert_eq!((port.bodies().len(), stats.accepted_events), (0, 0));
    }
}

#[test]
fn several_ports_have_their_charsets_and_names() {
    let port = TestPort::with(|_| ());
    let latin = Charset::for_label("ISO-8859-1").unwrap();
    // Ports that are free now: bound to find out, and let go again.
    let free: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = free.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    drop(free);
    let source = SyslogTcp::multiport("127.0.0.1", ports.clone()).port_charset(ports[1], latin).port_header("port");
    let running = start(source, &port);
    for (number, listening) in ports.iter().enumerate() {
        let mut client = TcpStream::connect(("127.0.0.1", *listening)).unwrap();
        client.write_all(b"\n\n<13>Oct 11 22:14:15 h\xe9 caf\xe9\n\n").unwrap();
        closed(client);
        port.until(|state| state.events.len() == number + 1);
    }
    let state = port.state.lock();
    let headers: Vec<Vec<_>> = state.events.iter().map(|event| event.headers().iter().collect()).collect();
    let names = ports.iter().map(u16::to_string).collect::<Vec<_>>();
    assert_eq!(headers[0], [("flume.syslog.status", "Invalid"), ("port", names[0].as_str())]);
    assert_eq!(state.events[0].body(), &b"<13>Oct 11 22:14:15 h\xe9 caf\xe9"[..]);
    let found: Vec<_> = headers[1].iter().filter(|(name, _)| *name != "timestamp").copied().collect();
    let expected =
        [("Facility", "1"), ("Severity", "5"), ("Priority", "13"), ("host", "h\u{e9}"), ("port", names[1].as_str())];
    assert_eq!(found, expected);
    assert_eq!(state.events[1].body(), &b"caf\xe9"[..]);
    drop(state);
    running.stop();
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_do() {
    let utf_16 = Charset::for_label("UTF-16LE").unwrap();
    let format = SyslogFormat::new("(.*)").unwrap();
    for (source, words) in [
        (source().batch_max(0), "batch_max"),
        (source().event_bytes_max(9), "at least 10"),
        (source().event_bytes_max(1 << 20), "bytes_in_flight_max"),
        (source().connection_bytes_in_flight_max(100), "event_bytes_max"),
        (source().idle_timeout(Duration::ZERO), "idle_timeout"),
        (source().message_timeout(Duration::ZERO), "message_timeout"),
        (source().zone("Nowhere"), "Nowhere"),
        (source().charset(utf_16), "UTF-16LE"),
        (source().port_header("n".repeat(70_000)), "port_header"),
        (source().client_ip_header("n".repeat(70_000)), "client_ip_header"),
        (SyslogTcp::multiport("127.0.0.1", [5140]).format(format), "a source with `bind` for each port"),
        (SyslogTcp::multiport("127.0.0.1", []), "at least one"),
        (SyslogTcp::multiport("127.0.0.1", 1..=1025), "1024"),
        (SyslogTcp::multiport("127.0.0.1", [5140]).port_charset(5141, Charset::UTF_8), "5141"),
    ] {
        let mut source = source;
        let port: Arc<dyn SourcePort> = TestPort::with(|_| ());
        let error = source.open(&SourceContext::new("syslog", port, Shutdown::new())).unwrap_err();
        assert!(matches!(error, SourceError::Fatal(_)) && error.to_string().contains(words), "{words}: {error}");
    }
}
