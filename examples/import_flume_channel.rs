//! Takes over what a stopped Flume file channel still holds into a channel of ours. An import that was interrupted goes on
//! where it was: no event is lost or doubled.
//!
//! run: --help
//!
//! `cargo run --release --example import_flume_channel -- --checkpoint-dir D --data-dirs D1,D2 --store S --channel NAME`

// An example prints what it does.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::indexing_slicing)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use aqueduct::import::{FlumeFileChannel, ImportError};
use aqueduct::{Channel, FileStore, limits};

const USAGE: &str =
    "usage: import_flume_channel --checkpoint-dir DIR --data-dirs DIR[,DIR...] --store DIR --channel NAME [--new-backlog]

  --checkpoint-dir  `checkpointDir` of the Flume channel; its agent must be stopped
  --data-dirs       its `dataDirs`
  --store           directory of the store to import into; created if it is not there
  --channel         channel of that store
  --new-backlog     import all of it, although another backlog was imported into that channel before";

const BATCH: usize = 1000;
const BATCH_BYTES: u64 = 8 << 20;
/// Of a put: a batch that is nearly full, and the largest event.
const FLUME_TRANSACTION_BYTES: usize = limits::FLUME_BODY_BYTES_MAX + (16 << 20);

struct Arguments {
    checkpoint_dir: PathBuf,
    data_dirs: Vec<PathBuf>,
    store: PathBuf,
    channel: String,
    is_new: bool,
}

fn arguments() -> Result<Option<Arguments>, String> {
    let mut values = [const { None::<String> }; 4];
    let names = ["--checkpoint-dir", "--data-dirs", "--store", "--channel"];
    let mut is_new = false;
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--help" {
            return Ok(None);
        }
        if name == "--new-backlog" {
            is_new = true;
            continue;
        }
        let index = names.iter().position(|known| *known == name).ok_or(format!("unknown argument {name}"))?;
        values[index] = Some(given.next().ok_or(format!("{name} needs a value"))?);
    }
    let mut values = names.into_iter().zip(values).map(|(name, value)| value.ok_or(format!("{name} is missing")));
    let mut next = || values.next().ok_or_else(String::new)?;
    Ok(Some(Arguments {
        checkpoint_dir: next()?.into(),
        data_dirs: next()?.split(',').map(|dir| dir.trim().into()).collect(),
        store: next()?.into(),
        channel: next()?,
        is_new,
    }))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let flume = FlumeFileChannel::open(&arguments.checkpoint_dir, &arguments.data_dirs)?;
    for log in flume.torn() {
        println!("{}: the last record is cut off; its transaction was never committed", log.display());
    }
    // Flume's events can be larger than our default allows, and its channels hold what the disk holds.
    let store = FileStore::builder(&arguments.store).body_bytes_max(limits::FLUME_BODY_BYTES_MAX);
    let store = store.capacity_events(u64::MAX).capacity_bytes(u64::MAX);
    let store = store.transaction_bytes_max(FLUME_TRANSACTION_BYTES).open()?;
    let channel = store.channel(&arguments.channel)?;
    let owner = FlumeFileChannel::position_owner(&arguments.channel);
    let done = match flume.imported_before(&arguments.channel, channel.position(&owner).as_deref()) {
        Err(ImportError::OtherBacklog { .. }) if arguments.is_new => 0,
        done => done?,
    };
    println!("{} events in the Flume channel, {done} of them imported before", flume.len());
    let mut events = flume.events_from(done);
    let mut imported = done;
    loop {
        let mut put = channel.begin_put();
        let before = imported;
        let mut bytes = 0;
        while imported - before < BATCH && bytes < BATCH_BYTES {
            let Some(event) = events.next().transpose()? else { break };
            bytes += event.size_bytes();
            imported += 1;
            put.push(event);
        }
        if imported == before {
            break;
        }
        // With the events: a restart goes on behind them.
        put.set_position(owner.as_str(), flume.position(imported));
        put.commit()?;
    }
    println!(
        "{} events in channel {} of {}",
        channel.stats().depth_events,
        arguments.channel,
        arguments.store.display()
    );
    store.close()?;
    Ok(())
}

fn main() -> ExitCode {
    let result = match arguments() {
        Ok(Some(arguments)) => run(&arguments).map_err(|error| error.to_string()),
        Ok(None) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(error) => Err(format!("{error}\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
