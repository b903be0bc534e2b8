//! Sources of the network, a spillable channel and a group of sinks, together in one agent.

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use aqueduct::Drain;
use aqueduct::agent::{Health, RunningAgent};
use aqueduct::config::{Options, Properties};

/// Three ports of TCP and two of UDP that were free a moment ago.
fn free_ports() -> [u16; 5] {
    let tcp = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let udp = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [first, second, third] = tcp.map(|listener| listener.local_addr().unwrap().port());
    let [fourth, fifth] = udp.map(|socket| socket.local_addr().unwrap().port());
    [first, second, third, fourth, fifth]
}

/// The agent at work, and its ports. If another program was faster to take one, it is started again with others.
pub(super) fn start<P: Copy>(
    free_ports: impl Fn() -> P,
    conf: impl Fn(P) -> String,
    options: &Options,
) -> (RunningAgent, P) {
    for _ in 0..20 {
        let ports = free_ports();
        let properties = Properties::parse("f", conf(ports).as_bytes()).unwrap();
        let agent = properties.plan("a1", options).unwrap().open().unwrap();
        let Ok(running) = agent.start() else { continue };
        if running.stats().sources.iter().all(|source| matches!(source.status.health, Health::Running | Health::Ended))
        {
            return (running, ports);
        }
        running.shutdown(Drain::NONE).unwrap();
    }
    panic!("no ports are free");
}

fn conf(dir: &Path, [tcp, first, second, udp, lines]: [u16; 5]) -> String {
    let dir = dir.display();
    format!(
        "a1.sources = t m u n
a1.channels = c
a1.sinks = s1 s2
a1.sinkgroups = g
a1.sources.t.type = syslogtcp
a1.sources.t.channels = c
a1.sources.t.host = 127.0.0.1
a1.sources.t.port = {tcp}
a1.sources.t.keepFields = priority
a1.sources.m.type = multiport_syslogtcp
a1.sources.m.channels = c
a1.sources.m.ports = {first} {second}
a1.sources.m.portHeader = port
a1.sources.m.clientIPHeader = ip
a1.sources.u.type = syslogudp
a1.sources.u.channels = c
a1.sources.u.port = {udp}
a1.sources.n.type = netcatudp
a1.sources.n.channels = c
a1.sources.n.bind = 127.0.0.1
a1.sources.n.port = {lines}
a1.channels.c.type = SPILLABLEMEMORY
a1.channels.c.memoryCapacity = 1
a1.channels.c.overflowTimeout = 0
a1.channels.c.checkpointDir = {dir}/checkpoint
a1.channels.c.dataDirs = {dir}/data
a1.sinks.s1.type = file_roll
a1.sinks.s1.channel = c
a1.sinks.s1.sink.directory = {dir}/a
a1.sinks.s1.sink.batchSize = 1
a1.sinks.s1.sink.serializer = header_and_text
a1.sinks.s2.type = file_roll
a1.sinks.s2.channel = c
a1.sinks.s2.sink.directory = {dir}/b
a1.sinks.s2.sink.batchSize = 1
a1.sinks.s2.sink.serializer = header_and_text
a1.sinkgroups.g.sinks = s1 s2
a1.sinkgroups.g.processor.type = load_balance
"
    )
}

pub(super) fn lines(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    files.collect::<String>().lines().map(str::to_owned).collect()
}

#[test]
fn syslog_and_lines_reach_both_sinks_of_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let (running, [tcp, first, second, udp, plain]) =
        start(free_ports, |ports| conf(dir.path(), ports), &Options::new());
    for (port, text) in [
        (tcp, "<34>Oct 11 22:14:15 web-1 app: over tcp\n"),
        (first, "<13>1 - web-2 first port\n"),
        (second, "<13>1 - web-3 second port\n"),
    ] {
        TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"<13>Oct 11 22:14:15 web-4 app: over udp", ("127.0.0.1", udp)).unwrap();
    socket.send_to(b"one line\nand another\n", ("127.0.0.1", plain)).unwrap();

    let begun = Instant::now();
    let outputs = || [dir.path().join("a"), dir.path().join("b")].map(|dir| lines(&dir));
    while outputs().iter().map(Vec::len).sum::<usize>() < 6 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", outputs());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(running.shutdown(Drain::up_to(Duration::from_secs(30))).unwrap().is_drained());
    let [left, right] = outputs();
    assert_eq!((left.len(), right.len()), (3, 3), "they take turns");
    let all = [left, right].concat();
    for expected in [
        "host=web-1".to_owned(),
        "} <34>app: over tcp".to_owned(),
        format!("port={first}"),
        format!("port={second}"),
        "ip=127.0.0.1".to_owned(),
        "host=web-4".to_owned(),
        "} app: over udp".to_owned(),
        "{} one line".to_owned(),
        "{} and another".to_owned(),
    ] {
        assert!(all.iter().any(|line| line.contains(&expected)), "{expected}: {all:?}");
    }
}

/// Java's HTTP client, and so Flume's sink, shows the certificate of the key store for all components to a server that asks for one.
#[test]
fn an_http_sink_shows_the_certificate_that_is_for_all_components() {
    let store = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let options = Options::new()
        .with_property("javax.net.ssl.trustStore", store("trust.p12"))
        .with_property("javax.net.ssl.trustStorePassword", "changeit")
        .with_property("javax.net.ssl.keyStore", store("server.p12"))
        .with_property("javax.net.ssl.keyStorePassword", "changeit");
    let conf = |[port, ..]: [u16; 5]| {
        format!(
            "a1.sources = seq web
a1.channels = there here
a1.sinks = post end
a1.sources.seq.type = seq
a1.sources.seq.totalEvents = 3
a1.sources.seq.channels = there
a1.channels.there.type = memory
a1.sinks.post.type = http
a1.sinks.post.endpoint = https://localhost:{port}
a1.sinks.post.format = json
a1.sinks.post.channel = there
a1.sources.web.type = http
a1.sources.web.bind = 127.0.0.1
a1.sources.web.port = {port}
a1.sources.web.ssl = true
a1.sources.web.truststore = {}
a1.sources.web.truststore-password = changeit
a1.sources.web.channels = here
a1.channels.here.type = memory
a1.sinks.end.type = null
a1.sinks.end.channel = here
",
            store("trust.p12")
        )
    };
    let (running, _) = start(free_ports, conf, &options);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = running.stats();
        let [post, end] = &stats.sinks[..] else { panic!("{stats:?}") };
        if end.stats.drain_success_events >= 3 {
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", post.status);
        std::thread::sleep(Duration::from_millis(10));
    }
    running.shutdown(Drain::NONE).unwrap();
}
