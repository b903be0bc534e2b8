//! Shows what is in a store, without opening it: no byte is changed and no lock is held, whatever state it is in.
//!
//!     cargo run --release --example inspect -- STORE [--data DIR]... [--verify] [--dump [CHANNEL]] [--limit N]
//!
//! `--data` names the data directories of a store that has others than `STORE/data`; `--verify` compares every checksum;
//! `--dump` shows the events that wait, at most N (100) of each channel. Ends with 0 if an open would succeed and nothing is
//! damaged or unreadable, with 1 if not, and with 2 if nothing can be said or written. Without arguments it makes a store of its own, leaves it
//! as a kill would, and looks at it.

// An example prints what it finds.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aqueduct::store::{InspectedLane, Inspection};
use aqueduct::{FileStore, FileStoreBuilder, StorageError};
use indicatif::{HumanBytes, HumanCount, HumanDuration};

#[derive(Default)]
struct Args {
    store: PathBuf,
    data: Vec<PathBuf>,
    verify: bool,
    dump: bool,
    channel: Option<String>,
    limit: usize,
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let out = &mut io::stdout().lock();
    let healthy = if args.is_empty() { demonstrate(out) } else { parse(args).and_then(|args| inspect(&args, out)) };
    let error = match healthy {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => return ExitCode::from(1),
        Err(error) => error,
    };
    // A pipe that is closed: whoever reads has seen enough.
    let output = error.downcast_ref::<io::Error>();
    if output.is_none_or(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        let what = if output.is_some() { "cannot write what was found: " } else { "" };
        let _ = writeln!(io::stderr(), "inspect: {what}{error}");
    }
    ExitCode::from(2)
}

fn parse(args: Vec<OsString>) -> Result<Args, Box<dyn Error>> {
    const USAGE: &str = "usage: inspect STORE [--data DIR]... [--verify] [--dump [CHANNEL]] [--limit N]";
    let mut parsed = Args { limit: 100, ..Args::default() };
    let mut args = args.into_iter().peekable();
    parsed.store = args.next().filter(|first| !first.to_string_lossy().starts_with("--")).ok_or(USAGE)?.into();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--data") => parsed.data.push(args.next().ok_or(USAGE)?.into()),
            Some("--verify") => parsed.verify = true,
            Some("--dump") => {
                parsed.dump = true;
                parsed.channel = args
                    .next_if(|next| !next.to_string_lossy().starts_with("--"))
                    .map(|name| name.to_string_lossy().into());
            }
            Some("--limit") => parsed.limit = args.next().and_then(|n| n.to_str()?.parse().ok()).ok_or(USAGE)?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(parsed)
}

fn inspect(args: &Args, out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    let builder = FileStore::builder(&args.store);
    let found = args.data.iter().fold(builder, FileStoreBuilder::data_dir).inspect()?;
    writeln!(out, "store {}", found.path.display())?;
    match found.in_use {
        Some(true) => writeln!(
            out,
            "IN USE by a process: what follows may be out of date, and may look damaged where it was being written"
        )?,
        Some(false) => writeln!(out, "not in use")?,
        None => writeln!(out, "whether it is in use could not be found out")?,
    }
    for obstacle in &found.obstacles {
        writeln!(out, "AN OPEN WOULD FAIL: {obstacle}")?;
    }
    for error in found.unreadable.values() {
        writeln!(out, "UNREADABLE, and left out of what follows: {error}")?;
    }
    let mut healthy = found.obstacles.is_empty() && found.unreadable.is_empty();
    writeln!(out, "\nchannels")?;
    for channel in &found.channels {
        let (events, bytes) = (HumanCount(channel.events), HumanBytes(channel.bytes));
        let known = if found.unreadable.is_empty() { "" } else { " where the logs can be read" };
        let oldest = oldest(&found, &channel.name).unwrap_or_else(|error| {
            healthy = false;
            format!("; the oldest CANNOT BE READ: {error}")
        });
        writeln!(out, "  {}: {events} events wait{known}, {bytes}{oldest}", channel.name.escape_debug())?;
    }
    found.lanes.iter().try_for_each(|lane| show_lane(lane, out))?;
    writeln!(out, "\npositions")?;
    for (owner, value) in &found.positions {
        writeln!(out, "  {}: {}", owner.escape_debug(), escape(value))?;
    }
    show_report(&found, out)?;
    if args.verify {
        let all = found.verify(|bytes| {
            // Who does not see the progress can do without.
            let _ = write!(io::stderr(), "\r{} read ", HumanBytes(bytes));
        });
        let (records, events) = (HumanCount(all.records), HumanCount(all.events));
        writeln!(
            out,
            "\nverified: {records} records with {events} events in {} segments, {} bytes",
            all.segments, all.bytes
        )?;
        for damage in &all.damage {
            let lost = damage.events.map_or("unknown".to_owned(), |events| events.to_string());
            writeln!(
                out,
                "  DAMAGED: {} at {}, {} bytes: {}; waiting events lost: {lost}",
                damage.path.display(),
                damage.offset,
                damage.bytes,
                damage.detail
            )?;
        }
        for (_, error) in &all.unreadable {
            writeln!(out, "  UNREADABLE: {error}")?;
        }
        healthy &= all.damage.is_empty() && all.unreadable.is_empty();
    }
    if args.dump {
        let wanted = |name: &str| args.channel.as_ref().is_none_or(|channel| channel == name);
        if args.channel.is_some() && !found.channels.iter().any(|channel| wanted(&channel.name)) {
            return Err("no such channel".into());
        }
        for channel in found.channels.iter().filter(|channel| wanted(&channel.name)) {
            healthy &= dump(&found, &channel.name, args.limit, out)?;
        }
    }
    Ok(healthy)
}

/// How old the first event is that a take would get, as far as anything tells.
fn oldest(found: &Inspection, channel: &str) -> Result<String, StorageError> {
    let Some(first) = found.events(channel).next().transpose()? else { return Ok(String::new()) };
    let id = format!("; the oldest is {} of lane {}", first.id.seq, first.id.lane);
    let stamp = first.event.headers().get("timestamp").and_then(|text| text.parse().ok());
    if let Some(time) = stamp.and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))) {
        return Ok(format!("{id}, from {} by its header `timestamp`", ago(time)));
    }
    let segment = found.lanes.iter().flat_map(|lane| &lane.segments).find(|segment| segment.path == first.path);
    let written = segment.and_then(|segment| segment.modified);
    Ok(id + &written.map_or(String::new(), |time| format!(", in a segment last written {}", ago(time))))
}

fn show_lane(lane: &InspectedLane, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nlane {} in {}", lane.number, lane.path.display())?;
    for segment in &lane.segments {
        let written = segment.modified.map_or(String::new(), |time| format!(", last written {}", ago(time)));
        let (used, whole) = (HumanBytes(segment.used_bytes), HumanBytes(segment.file_bytes));
        let (first, end) = (segment.first_seq, segment.end_seq);
        let channels: Vec<_> = segment.channels.iter().map(|name| name.escape_debug().to_string()).collect();
        let unproven = HumanBytes(segment.unproven_end_bytes - segment.used_bytes);
        let behind = if segment.unproven_end_bytes == segment.used_bytes {
            String::new()
        } else {
            format!(" and, not known to be durable, {end}..{} in {unproven} behind", segment.unproven_end_seq)
        };
        writeln!(
            out,
            "  segment {}: {used} of {whole} used, events {first}..{end}{behind} of [{}]{written}",
            segment.number,
            channels.join(", ")
        )?;
    }
    for point in &lane.checkpoints {
        let by = if point.by_close { ", by a close" } else { "" };
        writeln!(out, "  checkpoint {} of segment {} up to {}{by}", point.generation, point.segment, point.offset)?;
    }
    let (unreadable, reserve) = (lane.checkpoints_unreadable, lane.reserve.len());
    writeln!(
        out,
        "  {unreadable} checkpoints that cannot be read, {reserve} files in reserve, {} of no use any more",
        lane.leftovers.len()
    )?;
    Ok(())
}

fn show_report(found: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nwhat an open would report (read in {:.3} s)", found.report.took.as_secs_f64())?;
    for lane in &found.report.lanes {
        let closed = if lane.clean { "closed properly" } else { "not closed" };
        let from = if lane.from_checkpoint { "from a checkpoint" } else { "from the begin of a segment" };
        writeln!(
            out,
            "  {}: {closed}; replays {} records, {} bytes, {from}; writes {} again, cuts off {} unfinished",
            lane.path.display(),
            lane.replayed_records,
            lane.replayed_bytes,
            lane.rewritten_records,
            lane.torn_records
        )?;
        for damage in &lane.damage {
            let events = damage.events.map_or("an unknown number of".to_owned(), |events| events.to_string());
            writeln!(
                out,
                "  DAMAGED: {} at {}: {}; {events} events lost",
                damage.path.display(),
                damage.offset,
                damage.detail
            )?;
        }
    }
    for (channel, lost) in &found.report.lost {
        writeln!(out, "  {} loses {lost} events if the damage is passed over", channel.escape_debug())?;
    }
    Ok(())
}

/// `false`: not all events could be read.
fn dump(found: &Inspection, channel: &str, limit: usize, out: &mut dyn Write) -> io::Result<bool> {
    writeln!(out, "\nevents of {}", channel.escape_debug())?;
    let mut all = true;
    for stored in found.events(channel).take(limit) {
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                all = false;
                writeln!(out, "  UNREADABLE: {error}")?;
                continue;
            }
        };
        let headers = stored
            .event
            .headers()
            .iter()
            .map(|(key, value)| format!("{}={} ", escape(key.as_bytes()), escape(value.as_bytes())));
        writeln!(
            out,
            "  {}/{} {}| {}",
            stored.id.lane,
            stored.id.seq,
            headers.collect::<String>(),
            escape(stored.event.body())
        )?;
    }
    Ok(all)
}

/// At most so many bytes, and nothing that a terminal would obey.
fn escape(bytes: &[u8]) -> String {
    let shown = bytes.get(..200).unwrap_or(bytes);
    let rest = bytes.len() - shown.len();
    shown.escape_ascii().to_string() + &if rest > 0 { format!("... {rest} bytes more") } else { String::new() }
}

fn ago(time: SystemTime) -> String {
    let age = SystemTime::now().duration_since(time).map(HumanDuration);
    age.map_or_else(|_| "in the future".to_owned(), |age| format!("{age} ago"))
}

fn demonstrate(out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    let dir = tempfile::tempdir().map_err(|error| format!("no place for a store: {error}"))?;
    let store = FileStore::open(dir.path())?;
    let (orders, audit) = (store.channel("orders")?, store.channel("audit")?);
    for number in 0..5 {
        let mut put = store.begin_put();
        put.push_to(&[&orders, &audit], format!("order {number}\twith a \x1b[31mcontrol character"));
        put.set_position("orders.csv", format!("line {number}"));
        put.commit()?;
    }
    // Dropped, not closed: like a kill.
    drop((store, orders, audit));
    inspect(&Args { store: dir.path().to_path_buf(), verify: true, dump: true, limit: 3, ..Args::default() }, out)
}
