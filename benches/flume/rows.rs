//! Channels and the RPC hop beside Flume's.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::disk;
use crate::report::{Measured, median, print_costs, print_rates, print_resident};
use crate::side::{Answer, Kind, Side, sync_calls};

const WARM_UP: usize = 12;
const ROUNDS: usize = 5;
/// Bytes of an event, on both sides.
const BODY: usize = 500;
/// What the latencies are of.
const PUT: &str = "put";
const SIDES: [Kind; 2] = [Kind::Ours, Kind::Flume];

/// Both sides in turn, in rounds: `prepare`, and then `step`, which passes so many events and is what is measured.
fn rounds(
    sides: &mut [Side; 2],
    events: usize,
    prepare: impl Fn(&mut Side),
    step: impl Fn(&mut Side) -> Answer,
) -> [Measured; 2] {
    let mut measured = [Measured::default(), Measured::default()];
    for number in 0..WARM_UP + ROUNDS {
        for (side, measured) in sides.iter_mut().zip(&mut measured) {
            prepare(side);
            // What the other side left in the page cache is not this one's to write.
            rustix::fs::sync();
            let before = disk::bytes_written();
            let answer = step(side);
            rustix::fs::sync();
            if number >= WARM_UP {
                measured.disk_bytes += disk::bytes_written() - before;
                measured.payload += (events * BODY) as u64;
                measured.rates.push(events as f64 / answer.seconds);
                measured.puts.extend(answer.puts);
                measured.acks.extend(answer.acks);
            }
        }
    }
    for (side, measured) in sides.iter().zip(&mut measured) {
        measured.resident_kib = side.resident_kib();
    }
    measured
}

/// File channels that do a command of so many events in each round.
fn file(dir: &Path, command: &str, events: usize) {
    let syncs = SIDES.map(|kind| count_syncs(dir, kind, &[command])[0] as f64 / events as f64);
    let mut sides = with_file_channels(dir);
    let [mut ours, mut flume] = rounds(
        &mut sides,
        events,
        |side| {
            side.obey("drain");
        },
        |side| side.obey(command),
    );
    print_rates(&mut ours, &mut flume, BODY, PUT);
    print_costs(&ours, &flume, syncs);
}

fn with_file_channels(dir: &Path) -> [Side; 2] {
    SIDES.map(|kind| {
        let mut side = kind.start();
        side.obey(&format!("file {}", dir.join(format!("{kind:?}")).display()));
        side
    })
}

pub(crate) fn file_put(dir: &Path, producers: usize, batch: usize, commits: usize) {
    file(dir, &format!("put {producers} {commits} {batch}"), producers * commits * batch);
}

pub(crate) fn file_put_take(dir: &Path) {
    const COMMITS: usize = 200;
    file(dir, &format!("put-take {COMMITS} 100"), COMMITS * 100);
}

pub(crate) fn memory(_: &Path) {
    const COMMITS: usize = 20_000;
    let mut sides = SIDES.map(Kind::start);
    sides.iter_mut().for_each(|side| {
        side.obey("memory");
    });
    let step = |side: &mut Side| {
        let timed = side.obey(&format!("put-take {COMMITS} 100"));
        Answer { seconds: side.obey(&format!("pass {COMMITS} 100")).seconds, ..timed }
    };
    let [mut ours, mut flume] = rounds(&mut sides, COMMITS * 100, |_| {}, step);
    print_rates(&mut ours, &mut flume, BODY, PUT);
}

/// Opening a file channel with a million events in it, as a killed process left it.
pub(crate) fn start(dir: &Path) {
    const EVENTS: usize = 1_000_000;
    for kind in SIDES {
        let mut side = kind.start();
        side.obey(&format!("file {}", dir.join(format!("{kind:?}")).display()));
        side.obey(&format!("put 1 {} 1000", EVENTS / 1000));
    }
    let mut seconds = [Vec::new(), Vec::new()];
    let mut resident = [0; 2];
    for _ in 0..ROUNDS {
        for (place, kind) in SIDES.into_iter().enumerate() {
            // Of a copy: to open it changes it.
            let (from, to) = (dir.join(format!("{kind:?}")), dir.join("copy"));
            let copied = Command::new("cp").arg("-r").args([&from, &to]).status();
            assert!(copied.is_ok_and(|status| status.success()), "a copy of the channel");
            let moved = dir.join("original");
            std::fs::rename(&from, &moved).expect("the channel out of its place");
            std::fs::rename(&to, &from).expect("the copy in its place");
            let mut side = kind.start();
            seconds[place].push(side.obey(&format!("file {}", from.display())).seconds);
            resident[place] = side.resident_kib().max(resident[place]);
            side.obey(&format!("take {} 1000", EVENTS / 10));
            drop(side);
            std::fs::remove_dir_all(&from).expect("a directory that is there");
            std::fs::rename(&moved, &from).expect("the channel in its place");
        }
    }
    let [ours, flume] = seconds.map(|mut seconds| median(&mut seconds));
    println!(
        "{ours:9.3} s        | Flume {flume:9.3} | ratio {:.0}, to open with {EVENTS} events waiting",
        flume / ours
    );
    print_resident(resident);
}

/// A client, a source, and a memory channel that is emptied; each end is ours or Flume's, against Flume's on both. Both clients
/// are given the same lists and send them in requests of a hundred events; ours has so many of them in flight.
pub(crate) fn avro(flume_client: bool, flume_source: bool, in_flight: usize) {
    let kind = |flume| if flume { Kind::Flume } else { Kind::Ours };
    let mut hops = [
        Hop::start(kind(flume_client), kind(flume_source), in_flight),
        Hop::start(Kind::Flume, Kind::Flume, in_flight),
    ];
    let mut measured = [Measured::default(), Measured::default()];
    for round in 0..WARM_UP + ROUNDS {
        for (hop, measured) in hops.iter_mut().zip(&mut measured) {
            let (rate, calls) = hop.run();
            if round >= WARM_UP {
                measured.rates.push(rate);
                measured.puts.extend(calls);
            }
        }
    }
    for (hop, measured) in hops.iter().zip(&mut measured) {
        measured.resident_kib = hop.client.resident_kib() + hop.source.resident_kib();
    }
    let [mut ours, mut flume] = measured;
    print_rates(&mut ours, &mut flume, BODY, "call of the client");
}

/// Events that come through a hop in a round, of one call of the client, and of one request.
const EVENTS: usize = 300_000;
const LIST: usize = 1000;
const REQUEST: usize = 100;

struct Hop {
    client: Side,
    source: Side,
}

impl Hop {
    fn start(client: Kind, source: Kind, in_flight: usize) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let (mut client, mut source) = (client.start(), source.start());
        source.obey("memory");
        source.obey(&format!("receive {port}"));
        client.obey(&format!("connect {port} {REQUEST} {in_flight}"));
        Self { client, source }
    }

    /// Events a second, until the last one has come out of the channel, and how long each call of the client took.
    fn run(&mut self) -> (f64, Vec<f64>) {
        let begun = Instant::now();
        self.source.begin(&format!("take {EVENTS} 1000"));
        let calls = self.client.obey(&format!("send {} {LIST}", EVENTS / LIST)).puts;
        self.source.end();
        (EVENTS as f64 / begun.elapsed().as_secs_f64(), calls)
    }
}

/// How many calls make the events of a commit durable: at least one each.
pub(crate) fn syncs(dir: &Path) {
    const COMMITS: usize = 200;
    let commands = [format!("put 1 {COMMITS} 100"), format!("take {} 100", COMMITS * 100)];
    let counted = SIDES.map(|kind| {
        let calls = count_syncs(dir, kind, &commands.each_ref().map(String::as_str));
        assert!(calls.iter().all(|calls| *calls >= COMMITS), "{kind:?} does not sync each commit: {calls:?}");
        [calls[0], calls[1]].map(|calls| calls as f64 / COMMITS as f64)
    });
    let [[ours_put, ours_take], [flume_put, flume_take]] = counted;
    println!("{ours_put:9.2} a put, {ours_take:.2} a take | Flume {flume_put:9.2} a put, {flume_take:.2} a take");
}

/// The calls that make something durable, while a side with a file channel of its own does each of the commands.
fn count_syncs(dir: &Path, kind: Kind, commands: &[&str]) -> Vec<usize> {
    let log = dir.join(format!("calls-{kind:?}"));
    let mut side = kind.start_traced(&log);
    side.obey(&format!("file {}", dir.join(format!("traced-{kind:?}")).display()));
    side.obey("put 1 10 100");
    side.obey("drain");
    let mut count = |command: &&str| {
        let before = sync_calls(&log);
        side.obey(command);
        sync_calls(&log) - before
    };
    commands.iter().map(&mut count).collect()
}
