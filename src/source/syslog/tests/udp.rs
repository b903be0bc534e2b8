use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;

use super::*;
use crate::Shutdown;
use crate::source::SourcePort;
use crate::source::testing::TestPort;

#[test]
fn a_datagram_is_a_message() {
    let port = TestPort::with(|_| ());
    let shutdown = Shutdown::new();
    let context = SourceContext::new("syslog", Arc::clone(&port) as Arc<dyn SourcePort>, shutdown.clone());
    let mut source = SyslogUdp::bind("127.0.0.1:0").client_ip_header("ip").keep_fields("hostname".parse().unwrap());
    source.open(&context).unwrap();
    let handle = source.handle();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(handle.local_addr().unwrap()).unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| source.run(&context));
        let large = [b"<13>Oct 11 22:14:15 h ".to_vec(), vec![b'x'; 65_000]].concat();
        let messages: [&[u8]; 10] = [
            b"<13>Oct 11 22:14:15 h a",
            b"\n<13>Oct 11 22:14:15 h a\nb\nc\n\n",
            b"",
            b"\n\n",
            b"<13",
            b"<",
            // A count is no framing here.
            b"4 <1>a",
            b"<13>\xff\0",
            &large,
            b"<13>last",
        ];
        for message in messages {
            client.send(message).unwrap();
        }
        port.until(|state| state.events.len() == 8);
        shutdown.request();
        running.join().unwrap().unwrap();
    });
    let bodies: Vec<_> = port.bodies().iter().map(|body| body.escape_ascii().to_string()).collect();
    assert_eq!(bodies[..6], ["h a", "h a\\nb\\nc", "<13", "<", "4 <1>a", "<13>\\xff\\x00"]);
    assert_eq!((bodies[6].len(), bodies[7].as_str()), (65_002, "<13>last"));
    let state = port.state.lock();
    assert!(state.events.iter().all(|event| event.headers().get("ip") == Some("127.0.0.1")));
    let invalid = state.events.iter().filter(|event| event.headers().get(STATUS_HEADER) == Some("Invalid")).count();
    assert_eq!(invalid, 3);
    assert_eq!(handle.stats().empty_datagrams, 1);
    assert_eq!(context.counters().snapshot().event_read_fail, 5);
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_do() {
    let context = SourceContext::new("syslog", TestPort::with(|_| ()), Shutdown::new());
    for (mut source, words) in [
        (SyslogUdp::bind("127.0.0.1:0").zone("Nowhere"), "Nowhere"),
        (SyslogUdp::bind("127.0.0.1:0").client_ip_header("n".repeat(70_000)), "client_ip_header"),
        (SyslogUdp::bind("127.0.0.1:0").batch_max(0), "batch_max"),
    ] {
        let error = source.open(&context).unwrap_err();
        assert!(matches!(error, SourceError::Fatal(_)) && error.to_string().contains(words), "{words}: {error}");
    }
}
