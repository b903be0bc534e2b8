//! Channels and the RPC hop beside Flume's.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::side::{Kind, Side};
use crate::{median, print_rates, print_resident};

const WARM_UP: usize = 12;
const ROUNDS: usize = 5;
/// Bytes of an event, on both sides.
const BODY: usize = 500;
const SIDES: [Kind; 2] = [Kind::Ours, Kind::Flume];

/// Rates of both sides, in rounds.
fn compare(sides: &mut [Side; 2], events: usize, mut round: impl FnMut(&mut Side) -> f64) {
    let mut rates = [Vec::new(), Vec::new()];
    for number in 0..WARM_UP + ROUNDS {
        for (side, rates) in sides.iter_mut().zip(&mut rates) {
            let rate = events as f64 / round(side);
            if number >= WARM_UP {
                rates.push(rate);
            }
        }
    }
    let [ours, flume] = &mut rates;
    print_rates(ours, flume, BODY, sides.each_ref().map(Side::resident_kib));
}

fn with_file_channels(dir: &Path) -> [Side; 2] {
    SIDES.map(|kind| {
        let mut side = kind.start();
        side.obey(&format!("file {}", dir.join(format!("{kind:?}")).display()));
        side
    })
}

pub(crate) fn file_put(dir: &Path, producers: usize, batch: usize, commits: usize) {
    let mut sides = with_file_channels(dir);
    compare(&mut sides, producers * commits * batch, |side| {
        let seconds = side.obey(&format!("put {producers} {commits} {batch}"));
        side.obey("drain");
        seconds
    });
}

pub(crate) fn file_put_take(dir: &Path) {
    const COMMITS: usize = 200;
    let mut sides = with_file_channels(dir);
    compare(&mut sides, COMMITS * 100, |side| side.obey(&format!("put-take {COMMITS} 100")));
}

pub(crate) fn memory(_: &Path) {
    const COMMITS: usize = 20_000;
    let mut sides = SIDES.map(Kind::start);
    sides.iter_mut().for_each(|side| {
        side.obey("memory");
    });
    compare(&mut sides, COMMITS * 100, |side| side.obey(&format!("put-take {COMMITS} 100")));
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
            seconds[place].push(side.obey(&format!("file {}", from.display())));
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
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..WARM_UP + ROUNDS {
        for (hop, rates) in hops.iter_mut().zip(&mut rates) {
            let rate = hop.run();
            if round >= WARM_UP {
                rates.push(rate);
            }
        }
    }
    let [ours, flume] = &mut rates;
    print_rates(ours, flume, BODY, hops.each_ref().map(|hop| hop.client.resident_kib() + hop.source.resident_kib()));
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

    /// Events a second, until the last one has come out of the channel.
    fn run(&mut self) -> f64 {
        let begun = Instant::now();
        self.source.begin(&format!("take {EVENTS} 1000"));
        self.client.obey(&format!("send {} {LIST}", EVENTS / LIST));
        self.source.end();
        EVENTS as f64 / begun.elapsed().as_secs_f64()
    }
}

/// How many calls make the events of a commit durable.
pub(crate) fn syncs(dir: &Path) {
    const COMMITS: usize = 200;
    let counted = SIDES.map(|kind| {
        let log = dir.join("calls");
        let calls =
            || std::fs::read_to_string(&log).unwrap_or_default().lines().filter(|line| line.contains("sync(")).count();
        let mut side = kind.start_traced(&log);
        side.obey(&format!("file {}", dir.join(format!("{kind:?}")).display()));
        side.obey("put 1 10 100");
        let before = calls();
        side.obey(&format!("put 1 {COMMITS} 100"));
        let puts = calls() - before;
        side.obey(&format!("take {} 100", COMMITS * 100));
        let takes = calls() - before - puts;
        [puts, takes].map(|calls| calls as f64 / COMMITS as f64)
    });
    let [[ours_put, ours_take], [flume_put, flume_take]] = counted;
    println!("{ours_put:9.2} a put, {ours_take:.2} a take | Flume {flume_put:9.2} a put, {flume_take:.2} a take");
}
