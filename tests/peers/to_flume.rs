//! Our clients and sinks to Flume's sources.

use std::collections::BTreeSet;

use aqueduct::Event;
use aqueduct::rpc::{RpcClient, RpcClientBuilder, ThriftProtocol};

use crate::process::{PATIENCE, Side};
use crate::rpc::{assert_each_once_in_order, collector, delivered, expected, sender};
use crate::same::Run;

fn events(thread: usize, numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers.map(|n| Event::new(format!("event {thread} {n}"))).collect()
}

/// Sends from so many threads, each with a client of its own, first single events and then batches, and checks that each
/// event arrives once, in the order of its thread.
fn clients_to_flume(
    kind: &str,
    options: &str,
    threads: usize,
    client: impl Fn(RpcClientBuilder) -> RpcClientBuilder + Sync,
) {
    const EVENTS: usize = 500;
    const SINGLE: usize = 50;
    let root = tempfile::tempdir().expect("a directory");
    let run = Run::with_conf(Side::Flume, root.path(), &collector(kind, options));
    let mut flume = run.listening("in");
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let builder = client(RpcClient::builder([format!("127.0.0.1:{}", run.port)]));
            scope.spawn(move || {
                let mut client = builder.connect_timeout(PATIENCE).build().expect("a client");
                for event in events(thread, 0..SINGLE) {
                    client.append(&event).expect("an event is taken");
                }
                for batch in events(thread, SINGLE..EVENTS).chunks(60) {
                    client.append_batch(batch).expect("a batch is taken");
                }
            });
        }
    });
    run.await_lines(&mut flume, threads * EVENTS);
    flume.stop();
    assert_each_once_in_order(&run, threads, EVENTS);
}

#[test]
fn sixteen_clients_of_ours_at_once() {
    clients_to_flume("avro", "", 16, |client| client);
}

#[test]
fn our_client_deflates_at_every_level() {
    for level in [1, 6, 9] {
        clients_to_flume("avro", "compression-type = deflate", 2, |client| client.deflate(level));
    }
}

#[test]
fn our_thrift_client_in_both_protocols() {
    for (name, protocol) in [("compact", ThriftProtocol::Compact), ("binary", ThriftProtocol::Binary)] {
        clients_to_flume("thrift", &format!("protocol = {name}"), 16, |client| client.thrift(protocol));
    }
}

#[test]
fn a_client_without_deflate_at_a_source_with_it_is_told_so_and_nothing_is_stored() {
    let root = tempfile::tempdir().expect("a directory");
    let run = Run::with_conf(Side::Flume, root.path(), &collector("avro", "compression-type = deflate"));
    let flume = run.listening("in");
    let mut client = RpcClient::connect(format!("127.0.0.1:{}", run.port)).expect("a connection");
    client.append(&Event::new("in plain text")).expect_err("it speaks another language");
    flume.stop();
    assert!(delivered(&run).is_empty());
}

#[test]
fn our_sink_delivers_to_flume_through_its_restarts() {
    const EVENTS: usize = 20_000;
    const BATCH: usize = 500;
    let root = tempfile::tempdir().expect("a directory");
    // Durable channels: what Flume acknowledged survives its end.
    let durable = |conf: &str, agent: &str| {
        let memory = format!("{agent}.channels.c.type = memory\n");
        assert!(conf.contains(&memory), "{conf}");
        let file = format!(
            "{agent}.channels.c.type = file\n{agent}.channels.c.checkpointDir = ${{env:STATE}}/checkpoint\n\
             {agent}.channels.c.dataDirs = ${{env:STATE}}/data\n{agent}.channels.c.minimumRequiredSpace = 1048576\n"
        );
        conf.replace(&memory, &file)
    };
    let to = Run::with_conf(Side::Flume, &root.path().join("to"), &durable(&collector("avro", ""), "in"));
    let mut flume = to.listening("in");
    let conf = sender("avro", "request-timeout = 5000");
    let mut from = Run::with_conf(Side::Ours, &root.path().join("from"), &durable(&conf, "out"));
    from.port = to.port;
    let line = |n| format!("event 0 {n}\n");
    from.drop_file("first", (0..EVENTS / 2).map(line).collect::<String>().as_bytes());
    let mut ours = from.start("out");
    // In the middle of what flows.
    let mut kills = 0;
    for share in [8, 4] {
        flume.await_that("some of it has arrived", || to.lines_now() >= EVENTS / 2 / share);
        flume.kill();
        kills += 1;
        if kills == 2 {
            from.drop_file("second", (EVENTS / 2..EVENTS).map(line).collect::<String>().as_bytes());
        }
        flume = to.listening("in");
    }
    let all = expected(1, EVENTS);
    flume.await_that("all events are there", || whole_lines(&to).into_iter().collect::<BTreeSet<_>>() == all);
    ours.await_that("it still runs", || true);
    ours.stop();
    flume.stop();
    let twice = whole_lines(&to).len() - EVENTS;
    println!("{twice} of {EVENTS} events twice after {kills} kills");
    // Per kill: the request of ours without an answer, and the batch that Flume's own sink wrote and did not commit.
    assert!(twice <= kills * (BATCH + 1000), "{twice} events twice after {kills} kills");
}

/// The lines of all files. A process that was killed may have left a file with half a line at its end.
fn whole_lines(run: &Run) -> Vec<String> {
    let files = std::fs::read_dir(run.out.join("a")).expect("the output");
    let contents = files.map(|file| std::fs::read_to_string(file.expect("an entry").path()).expect("text"));
    let whole = |content: String| content.rsplit_once('\n').map(|(whole, _)| whole.to_owned()).unwrap_or_default();
    contents.map(whole).flat_map(|content| content.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
