//! Recovers what a crash left, and compares it with what is allowed.

use std::collections::HashSet;

use aqueduct::vfs::sim::{CrashChoice, CrashMode, SimVfs, Survive};
use aqueduct::{Channel, Durability, FileStore, OpenError, StorageError, TakeTransaction};

use super::oracle::{Oracle, State, take_all};
use super::workload::Config;

/// Operations of one recovery, at most: they do not depend on the number of crashes before.
const RECOVERY_OPS_MAX: u64 = 1500;

/// Recovers, compares, and recovers again.
pub(crate) fn check(
    image: &SimVfs,
    config: Config,
    oracle: &Oracle,
    allowed: &HashSet<State>,
    variant: u64,
) -> Result<State, String> {
    let state = recover(image, config, oracle, 100)?;
    if !allowed.contains(&state) {
        return Err(format!("found {state:?}\nallowed {allowed:?}"));
    }
    // What a recovery has shown stays, whatever happens next.
    let next = if variant.is_multiple_of(2) {
        image.snapshot()
    } else {
        image.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing))
    };
    let again = recover(&next, config, oracle, 200)?;
    if again != state {
        return Err(format!("the first recovery shows {state:?}, the second {again:?}"));
    }
    if variant.is_multiple_of(8) {
        goes_on(&next, config, oracle, &state)?;
    }
    Ok(state)
}

/// Opens, reads everything, and ends without a close.
pub(crate) fn recover(image: &SimVfs, config: Config, oracle: &Oracle, seed: u64) -> Result<State, String> {
    let before = image.op_count();
    let mut opened = config.builder(image, seed).open();
    if let Err(OpenError::Storage(StorageError::DiskFull { .. })) = &opened
        && config.durability != Durability::Sync
    {
        // What a weaker level left unsynced is written again, and that may take more than a full disk has. Then the open
        // fails, changes nothing, and succeeds once there is room.
        image.set_space(None);
        opened = config.builder(image, seed).open();
    }
    let store = opened.map_err(|error| format!("the open fails: {error}"))?;
    let ops = image.op_count() - before;
    if ops > RECOVERY_OPS_MAX {
        return Err(format!("the recovery took {ops} operations"));
    }
    let report = store.recovery_report();
    if let Some(damage) = report.lanes.iter().flat_map(|lane| &lane.damage).next() {
        return Err(format!("damage is reported after a mere crash: {damage:?}"));
    }
    let state = oracle.observe(&store)?;
    for (name, events) in &report.backlog {
        if state.channels.get(name).map(Vec::len) != usize::try_from(*events).ok() {
            return Err(format!("the report has {events} events of {name}, but {state:?}"));
        }
    }
    Ok(state)
}

/// A recovered store takes puts and takes, gives its space back, and comes back empty.
pub(crate) fn goes_on(image: &SimVfs, config: Config, oracle: &Oracle, state: &State) -> Result<(), String> {
    image.set_space(None);
    let store = config.builder(image, 300).open().map_err(|error| format!("the third open fails: {error}"))?;
    let channel = store.channel("a").map_err(|error| format!("cannot create a channel: {error}"))?;
    channel.put("new").map_err(|error| format!("cannot put: {error}"))?;
    let names = store.channel_names();
    for name in &names {
        let channel = store.channel(name).map_err(|error| error.to_string())?;
        let takes = take_all(&channel)?;
        let last = takes.iter().flatten().last().filter(|event| *event.body() == "new");
        if last.is_some() != (name == "a") {
            return Err(format!("the new event of {name} is not the last: {last:?}"));
        }
        takes.into_iter().try_for_each(TakeTransaction::commit).map_err(|error| format!("cannot commit: {error}"))?;
    }
    store.maintain();
    store.maintain();
    let lanes = store.stats().lanes;
    if lanes.iter().any(|lane| lane.segments > 1) {
        return Err(format!("all is taken, but {lanes:?}"));
    }
    store.close().map_err(|error| format!("cannot close: {error}"))?;
    drop((channel, store));
    let positions = state.positions.clone();
    let channels = names.into_iter().map(|name| (name, Vec::new())).collect();
    let empty = State { channels, positions };
    let store = config.builder(image, 400).open().map_err(|error| format!("the fourth open fails: {error}"))?;
    let found = oracle.observe(&store)?;
    if found != empty {
        return Err(format!("all was taken, but {found:?} came back"));
    }
    has_no_strays(image, &store)
}

/// Every file belongs to the store: bytes on disk are what the statistics say, and a few small files.
pub(crate) fn has_no_strays(image: &SimVfs, store: &FileStore) -> Result<(), String> {
    let known: u64 = store.stats().lanes.iter().map(|lane| lane.segment_bytes + lane.spare_bytes).sum();
    let large = |path: &&std::path::PathBuf| {
        path.extension().is_some_and(|kind| kind == "seg" || kind == "spare" || kind == "new")
    };
    let files = image.files();
    let bytes: u64 = files.iter().filter(large).map(|path| image.peek(path).map_or(0, |b| b.len() as u64)).sum();
    if bytes != known {
        return Err(format!("{bytes} bytes in segment files, the statistics know {known}: {files:?}"));
    }
    Ok(())
}
