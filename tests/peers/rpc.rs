//! Flume's RPC in both directions: its client to our sources, our sinks and our client to its sources, and chains of both.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aqueduct::Event;
use aqueduct::rpc::RpcClient;

use crate::process::{Agent, PATIENCE, Side, flume_client};
use crate::same::Run;

/// Each line of `options` as a key of the component that `prefix` names.
fn prefixed(prefix: &str, options: &str) -> String {
    options.lines().flat_map(|line| [prefix, line.trim(), "\n"]).collect()
}

/// An agent `in` that receives RPC on `PORT` and writes bodies to `OUT/a`.
pub(crate) fn collector(kind: &str, options: &str) -> String {
    let options = prefixed("in.sources.r.", options);
    format!(
        "in.sources = r\nin.channels = c\nin.sinks = k\n\
         in.sources.r.type = {kind}\nin.sources.r.bind = 127.0.0.1\nin.sources.r.port = ${{env:PORT}}\n\
         in.sources.r.channels = c\n{options}\
         in.channels.c.type = memory\nin.channels.c.capacity = 200000\nin.channels.c.transactionCapacity = 2000\n\
         in.sinks.k.type = file_roll\nin.sinks.k.channel = c\nin.sinks.k.sink.directory = ${{env:OUT}}/a\n\
         in.sinks.k.sink.rollInterval = 0\nin.sinks.k.sink.batchSize = 1000\n"
    )
}

/// An agent `out` that sends the lines of `IN` to `PORT`.
pub(crate) fn sender(kind: &str, options: &str) -> String {
    let options = prefixed("out.sinks.k.", options);
    format!(
        "out.sources = r\nout.channels = c\nout.sinks = k\n\
         out.sources.r.type = spooldir\nout.sources.r.spoolDir = ${{env:IN}}\nout.sources.r.channels = c\n\
         out.channels.c.type = memory\nout.channels.c.capacity = 100000\nout.channels.c.transactionCapacity = 2000\n\
         out.sinks.k.type = {kind}\nout.sinks.k.channel = c\nout.sinks.k.hostname = 127.0.0.1\n\
         out.sinks.k.port = ${{env:PORT}}\nout.sinks.k.batch-size = 500\n{options}"
    )
}

/// A key store and a trust store for `localhost`, made by Java's own tool.
fn stores(dir: &Path) -> (String, String) {
    let keytool = |arguments: &[&str]| {
        let output = Command::new("keytool").args(arguments).current_dir(dir).output().expect("keytool runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    let password = ["-storepass", "changeit", "-keypass", "changeit"];
    let name = ["-alias", "flume", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=localhost", "-validity", "30"];
    let key =
        ["-genkeypair", "-keystore", "keys.p12", "-storetype", "PKCS12", "-ext", "SAN=dns:localhost,ip:127.0.0.1"];
    keytool(&[&key[..], &name, &password].concat());
    keytool(&["-exportcert", "-keystore", "keys.p12", "-alias", "flume", "-storepass", "changeit", "-file", "cert"]);
    let trust = ["-importcert", "-noprompt", "-keystore", "trust.p12", "-storetype", "PKCS12", "-alias", "flume"];
    keytool(&[&trust[..], &["-storepass", "changeit", "-file", "cert"]].concat());
    let path = |name: &str| dir.join(name).to_str().expect("a path in UTF-8").to_owned();
    (path("keys.p12"), path("trust.p12"))
}

fn client(port: u16, options: &str) -> String {
    format!("client.type = default\nhosts = h\nhosts.h = localhost:{port}\nrequest-timeout = 60000\n{options}\n")
}

pub(crate) fn delivered(run: &Run) -> Vec<String> {
    let output = run.output().remove("a").unwrap_or_default();
    String::from_utf8(output).expect("text").lines().map(str::to_owned).collect()
}

pub(crate) fn expected(threads: usize, events: usize) -> BTreeSet<String> {
    (0..threads).flat_map(|thread| (0..events).map(move |n| format!("event {thread} {n}"))).collect()
}

/// That so many events of each thread were delivered, each once and in the order of its thread.
pub(crate) fn assert_each_once_in_order(run: &Run, threads: usize, events: usize) {
    let lines = delivered(run);
    assert_eq!(lines.len(), threads * events, "none twice");
    assert_eq!(lines.iter().cloned().collect::<BTreeSet<_>>(), expected(threads, events));
    for thread in 0..threads {
        let prefix = format!("event {thread} ");
        let numbers: Vec<usize> = lines.iter().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(numbers.is_sorted(), "the order of thread {thread}");
    }
}

/// Sends with Flume's client to a collector of ours and checks that each event arrives once, in the order of its thread.
fn flume_to_ours(kind: &str, options: &str, client_options: &str, threads: usize, batch: usize) {
    const EVENTS: usize = 500;
    let root = tempfile::tempdir().expect("a directory");
    let (keys, trust) = if options.contains("KEYS") { stores(root.path()) } else { (String::new(), String::new()) };
    let conf = collector(kind, &options.replace("KEYS", &keys));
    let run = Run::with_conf(Side::Ours, root.path(), &conf);
    let mut agent = run.listening("in");
    let properties = client(run.port, &client_options.replace("TRUST", &trust));
    let text = flume_client(root.path(), &properties, threads, EVENTS, batch);
    assert_eq!(text.trim(), format!("sent {}", threads * EVENTS));
    run.await_lines(&mut agent, threads * EVENTS);
    agent.stop();
    assert_each_once_in_order(&run, threads, EVENTS);
}

#[test]
fn flumes_client_appends_single_events_and_batches() {
    flume_to_ours("avro", "", "", 1, 0);
    flume_to_ours("avro", "", "batch-size = 100", 1, 100);
}

#[test]
fn flumes_client_deflates_at_every_level() {
    for level in [1, 6, 9] {
        let options = format!("batch-size = 50\ncompression-type = deflate\ncompression-level = {level}");
        flume_to_ours("avro", "compression-type = deflate", &options, 1, 50);
    }
}

const SERVER_TLS: &str = "ssl = true\nkeystore = KEYS\nkeystore-password = changeit\nkeystore-type = PKCS12";
const CLIENT_TLS: &str = "ssl = true\ntruststore = TRUST\ntruststore-password = changeit\ntruststore-type = PKCS12";

#[test]
fn flumes_client_speaks_tls() {
    flume_to_ours("avro", SERVER_TLS, CLIENT_TLS, 1, 20);
}

#[test]
fn flumes_client_speaks_tls_with_deflate() {
    let server = format!("{SERVER_TLS}\ncompression-type = deflate");
    let client = format!("{CLIENT_TLS}\ncompression-type = deflate\ncompression-level = 6");
    flume_to_ours("avro", &server, &client, 1, 20);
}

#[test]
fn sixteen_clients_of_flume_at_once() {
    flume_to_ours("avro", "", "batch-size = 20", 16, 20);
}

#[test]
fn flumes_thrift_client_in_both_protocols() {
    for protocol in ["compact", "binary"] {
        let root = tempfile::tempdir().expect("a directory");
        let run = Run::with_conf(Side::Ours, root.path(), &collector("thrift", &format!("protocol = {protocol}")));
        let mut agent = run.listening("in");
        let properties = client(run.port, &format!("batch-size = 100\nprotocol = {protocol}"));
        let properties = properties.replace("client.type = default", "client.type = thrift");
        let text = flume_client(root.path(), &properties, 16, 500, 100);
        assert_eq!(text.trim(), "sent 8000");
        run.await_lines(&mut agent, 8000);
        agent.stop();
        assert_eq!(delivered(&run).len(), 8000, "none twice");
        assert_eq!(delivered(&run).into_iter().collect::<BTreeSet<_>>(), expected(16, 500));
    }
}

/// A call of `append` with a handshake whose hashes nobody knows, and without the protocol's text.
fn unknown_handshake() -> Vec<u8> {
    let mut call = vec![0x5A; 16];
    call.push(0);
    call.extend([0xA5; 16]);
    call.push(0);
    // No metadata, then name and argument: an event with no headers and the body `x`.
    call.push(0);
    call.push(12);
    call.extend(b"append");
    call.extend([0, 2, b'x']);
    let mut frame = Vec::new();
    for number in [1, 1, u32::try_from(call.len()).expect("a short call")] {
        frame.extend(number.to_be_bytes());
    }
    frame.extend(call);
    frame
}

fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(bytes).expect("the call is sent");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    let mut answer = Vec::new();
    // The connection stays open: the time limit ends this.
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn a_handshake_with_unknown_hashes_is_answered_as_flume_does() {
    let root = tempfile::tempdir().expect("a directory");
    let [flume, ours] = [Side::Flume, Side::Ours].map(|side| {
        let run = Run::with_conf(side, root.path(), &collector("avro", ""));
        let agent = run.listening("in");
        let answer = answer(run.port, &unknown_handshake());
        agent.stop();
        assert!(run.output().is_empty(), "nothing was stored");
        answer
    });
    assert!(flume.len() > 1000, "Flume answers with its protocol: {} bytes", flume.len());
    assert_eq!(ours, flume);
}

#[test]
fn a_frame_over_the_limit_and_a_client_that_dies_harm_nobody_else() {
    let root = tempfile::tempdir().expect("a directory");
    let run = Run::with_conf(Side::Ours, root.path(), &collector("avro", ""));
    let mut agent = run.listening("in");
    let mut huge = Vec::new();
    for number in [1u32, 1, u32::MAX] {
        huge.extend(number.to_be_bytes());
    }
    let said = answer(run.port, &huge);
    assert!(String::from_utf8_lossy(&said).contains("over the limit"), "to a frame of 4 GiB: {said:?}");
    let half = unknown_handshake();
    let mut stream = TcpStream::connect(("127.0.0.1", run.port)).expect("a connection");
    stream.write_all(&half[..half.len() / 2]).expect("half a frame");
    drop(stream);
    let text = flume_client(root.path(), &client(run.port, "batch-size = 100"), 1, 500, 100);
    assert_eq!(text.trim(), "sent 500");
    run.await_lines(&mut agent, 500);
    agent.stop();
    assert_eq!(delivered(&run).len(), 500);
}

fn ours_to_flume(kind: &str, options: &str, sink_options: &str) {
    let root = tempfile::tempdir().expect("a directory");
    let (keys, trust) = if options.contains("KEYS") { stores(root.path()) } else { (String::new(), String::new()) };
    let to = Run::with_conf(Side::Flume, root.path(), &collector(kind, &options.replace("KEYS", &keys)));
    let mut collector = to.listening("in");
    let mut from = Run::with_conf(Side::Ours, root.path(), &sender(kind, &sink_options.replace("TRUST", &trust)));
    from.port = to.port;
    let lines = (0..5000).map(|n| format!("event 0 {n}\n")).collect::<Vec<_>>().concat();
    from.drop_file("lines", lines.as_bytes());
    let sending = from.start("out");
    to.await_lines(&mut collector, 5000);
    sending.stop();
    collector.stop();
    assert_eq!(delivered(&to), lines.lines().collect::<Vec<_>>());
}

#[test]
fn our_avro_sink_delivers_to_flume() {
    ours_to_flume("avro", "", "");
    let deflated = "compression-type = deflate\ncompression-level = 9";
    ours_to_flume("avro", "compression-type = deflate", deflated);
}

#[test]
fn our_avro_sink_delivers_to_flume_over_tls() {
    ours_to_flume("avro", SERVER_TLS, &format!("{CLIENT_TLS}\nhostname = localhost"));
    let deflated = format!("{CLIENT_TLS}\nhostname = localhost\ncompression-type = deflate");
    ours_to_flume("avro", &format!("{SERVER_TLS}\ncompression-type = deflate"), &deflated);
}

/// Goal: events of requests that are in flight at once all arrive at Flume's source, once, from the sink and from the client.
/// Method: their numbers, in any order, as Flume runs the requests of a connection in several threads.
#[test]
fn several_requests_in_flight_reach_flume() {
    let root = tempfile::tempdir().expect("a directory");
    for (number, (options, sink_options)) in [
        ("", "requests-in-flight = 4"),
        ("compression-type = deflate", "requests-in-flight = 4\ncompression-type = deflate"),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = root.path().join(number.to_string());
        let to = Run::with_conf(Side::Flume, &dir.join("to"), &collector("avro", options));
        let mut collector = to.listening("in");
        let mut from = Run::with_conf(Side::Ours, &dir.join("from"), &sender("avro", sink_options));
        from.port = to.port;
        let lines = (0..20_000).map(|n| format!("event 0 {n}\n")).collect::<Vec<_>>().concat();
        from.drop_file("lines", lines.as_bytes());
        let sending = from.start("out");
        to.await_lines(&mut collector, 20_000);
        sending.stop();
        collector.stop();
        assert_eq!(delivered(&to).len(), 20_000, "none twice");
        assert_eq!(delivered(&to).into_iter().collect::<BTreeSet<_>>(), expected(1, 20_000));
    }
    let run = Run::with_conf(Side::Flume, &root.path().join("client"), &collector("avro", ""));
    let mut agent = run.listening("in");
    let address = format!("127.0.0.1:{}", run.port);
    let client = RpcClient::builder([address]).batch_events(100).requests_in_flight(64).build();
    let mut client = client.expect("a client");
    let events: Vec<Event> = (0..50_000).map(|n| Event::new(format!("event 0 {n}"))).collect();
    events.chunks(10_000).for_each(|chunk| client.append_batch(chunk).expect("an answer to each request"));
    run.await_lines(&mut agent, events.len());
    agent.stop();
    let lines = delivered(&run);
    assert_eq!(lines.len(), events.len(), "none twice");
    let late = lines
        .windows(100)
        .filter(|run| !run.is_sorted_by_key(|line| line.split(' ').nth(2).and_then(|n| n.parse::<u32>().ok())))
        .count();
    println!("{late} of {} runs of 100 events are out of order", lines.len() - 99);
    assert_eq!(lines.into_iter().collect::<BTreeSet<_>>(), expected(1, events.len()));
}

#[test]
fn our_thrift_sink_delivers_to_flume() {
    for protocol in ["compact", "binary"] {
        let protocol = format!("protocol = {protocol}");
        ours_to_flume("thrift", &protocol, &protocol);
    }
}

#[test]
fn our_client_delivers_to_flume_through_its_restart() {
    let root = tempfile::tempdir().expect("a directory");
    // A durable channel: what Flume acknowledged survives its end.
    let conf = collector("avro", "").replace(
        "in.channels.c.type = memory\n",
        "in.channels.c.type = file\nin.channels.c.checkpointDir = ${env:STATE}/checkpoint\n\
         in.channels.c.dataDirs = ${env:STATE}/data\nin.channels.c.minimumRequiredSpace = 1048576\n",
    );
    let run = Run::with_conf(Side::Flume, root.path(), &conf);
    let mut collector = Some(run.listening("in"));
    let mut client = RpcClient::connect(format!("127.0.0.1:{}", run.port)).expect("a client");
    let mut resent = 0;
    let batches: Vec<Vec<Event>> =
        (0..60).map(|batch| (0..100).map(|n| Event::new(format!("event 0 {}", batch * 100 + n))).collect()).collect();
    for (number, batch) in batches.iter().enumerate() {
        if number == 20 {
            collector.take().expect("running").kill();
            collector = Some(run.listening("in"));
        }
        let begun = std::time::Instant::now();
        while let Err(error) = client.append_batch(batch) {
            assert!(begun.elapsed() < PATIENCE, "{error}");
            resent += 1;
            std::thread::sleep(Duration::from_millis(100));
            let _ = client.reconnect();
        }
    }
    let mut collector = collector.expect("running");
    let all = expected(1, 6000);
    collector.await_that("all events are there", || delivered(&run).into_iter().collect::<BTreeSet<_>>() == all);
    collector.stop();
    let twice = delivered(&run).len() - all.len();
    println!("{resent} batches sent again, {twice} events there twice");
}

#[test]
fn three_hops_lose_nothing_of_a_million_events() {
    const EVENTS: usize = 1_000_000;
    let root = tempfile::tempdir().expect("a directory");
    let dirs = ["first", "second", "third"].map(|name| root.path().join(name));
    let last = Run::with_conf(Side::Ours, &dirs[2], &collector("avro", ""));
    let mut third = last.listening("in");
    let hop = collector("avro", "").replace(
        "in.sinks.k.type = file_roll",
        &format!("in.sinks.k.type = avro\nin.sinks.k.hostname = 127.0.0.1\nin.sinks.k.port = {}\nin.sinks.k.batch-size = 1000", last.port),
    );
    let hop: String = hop.lines().filter(|line| !line.contains(".sink.")).flat_map(|line| [line, "\n"]).collect();
    let middle = Run::with_conf(Side::Flume, &dirs[1], &hop);
    let second = middle.listening("in");
    let from = sender("avro", "").replace(
        "out.sources.r.type = spooldir\nout.sources.r.spoolDir = ${env:IN}\n",
        &format!("out.sources.r.type = seq\nout.sources.r.totalEvents = {EVENTS}\nout.sources.r.batchSize = 1000\n"),
    );
    let mut from = Run::with_conf(Side::Ours, &dirs[0], &from.replace("batch-size = 500", "batch-size = 1000"));
    from.port = middle.port;
    let begun = std::time::Instant::now();
    let first = from.start("out");
    while count(&last) < EVENTS {
        assert!(
            begun.elapsed() < 4 * PATIENCE,
            "{} of {EVENTS} arrived\n{}",
            count(&last),
            logs(&[&first, &second, &third])
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    println!("{EVENTS} events over three hops in {:.0?}", begun.elapsed());
    third.await_that("it still runs", || true);
    first.stop();
    second.stop();
    third.stop();
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for line in delivered(&last) {
        *seen.entry(line.parse().expect("a number")).or_default() += 1;
    }
    assert!((0..EVENTS).all(|number| seen.contains_key(&number)), "an event is missing");
    println!("{} events more than once", seen.values().filter(|count| **count > 1).count());
}

fn count(run: &Run) -> usize {
    run.lines_now()
}

fn logs(agents: &[&Agent]) -> String {
    agents.iter().map(|agent| agent.log()).collect::<Vec<_>>().join("\n----\n")
}
