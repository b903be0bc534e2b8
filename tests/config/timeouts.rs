//! Keys of ours by which sources of the network close connections: without them these tests would wait for a day.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use aqueduct::Drain;
use aqueduct::agent::{Health, RunningAgent};
use aqueduct::config::{Options, Properties};

/// An agent with this source, at a port that was free a moment ago. If another program was faster, it is started again.
fn start(source: &str) -> (RunningAgent, u16) {
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let source = source.replace("PORT", &port.to_string());
        let text = format!(
            "a1.sources = r\na1.channels = c\na1.sinks = k\n\
             a1.sources.r.channels = c\na1.channels.c.type = memory\na1.sinks.k.type = null\na1.sinks.k.channel = c\n\
             {source}"
        );
        let agent =
            Properties::parse("f", text.as_bytes()).unwrap().plan("a1", &Options::new()).unwrap().open().unwrap();
        let Ok(running) = agent.start() else { continue };
        if running.stats().sources.iter().all(|source| source.status.health == Health::Running) {
            return (running, port);
        }
        running.shutdown(Drain::NONE).unwrap();
    }
    panic!("no port is free");
}

/// What the source says until it closes the connection of a client that sends this and then nothing more.
fn said_until_closed(source: &str, sent: &str) -> String {
    let (running, port) = start(source);
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Only so that a test that fails does not hang.
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.write_all(sent.as_bytes()).unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 100];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => said.extend(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("still open after a minute, with {source}: {error}"),
        }
    }
    running.shutdown(Drain::NONE).unwrap();
    String::from_utf8(said).unwrap()
}

#[test]
fn netcat_closes_silent_connections_and_unfinished_lines_by_its_keys() {
    let netcat = "a1.sources.r.type = netcat\na1.sources.r.bind = 127.0.0.1\na1.sources.r.port = PORT\n";
    let with = |key: &str| format!("{netcat}a1.sources.r.{key} = 100\n");
    // Long enough for a client that is slow to send.
    let patient = format!("{netcat}a1.sources.r.idle-timeout = 2000\n");
    assert_eq!(said_until_closed(&patient, "a line\n"), "OK\n");
    assert_eq!(said_until_closed(&with("idle-timeout"), ""), "");
    let said = "OK\nFAILED: line not finished within 100ms\n";
    assert_eq!(said_until_closed(&with("line-timeout"), "a line\nand half of ano"), said);
}

#[test]
fn syslog_closes_silent_connections_and_unfinished_messages_by_its_keys() {
    for (kind, port) in [("syslogtcp", "port"), ("multiport_syslogtcp", "ports")] {
        let with = |key: &str| {
            format!(
                "a1.sources.r.type = {kind}\na1.sources.r.host = 127.0.0.1\na1.sources.r.{port} = PORT\n\
                 a1.sources.r.{key} = 100\n"
            )
        };
        assert_eq!(said_until_closed(&with("idleTimeout"), "<13>Oct 11 22:14:15 web-1 app: whole\n"), "");
        assert_eq!(said_until_closed(&with("idleTimeout"), ""), "");
        assert_eq!(said_until_closed(&with("messageTimeout"), "<13>Oct 11 22:14:15 web-1 app: ha"), "");
    }
}
