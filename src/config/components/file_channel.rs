//! Flume's `file` channel: a store of its own directories.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::number::Borne;
use super::super::stores::{StoreSettings, flume_files};
use super::super::{ChannelSetup, Keys, Made, Registry, Site};
use super::memory::transaction_capacity;
use super::{ANY, JAVA_INT_MAX, number_without_effect, seconds_or_none};
use crate::Durability;
use crate::limits::PUT_WAIT;
use crate::wait::Wait;

pub(super) fn register(registry: &mut Registry) {
    registry.channel(&["file", "org.apache.flume.channel.file.FileChannel"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<ChannelSetup> {
    let capacity = keys.bearable_number("capacity", 1..=u64::MAX, Borne::Numbers, 1_000_000);
    let put_wait = Wait::up_to(seconds_or_none(keys, "keep-alive", PUT_WAIT));
    let settings = settings(keys, site, capacity, put_wait);
    refuse_flume_files(keys, &settings);
    let name = site.name().to_owned();
    let events = settings.transaction_events;
    let setup = ChannelSetup::in_store(settings, move |stores, settings| stores.open(&name, settings));
    Ok(setup.transaction_events_max(events))
}

/// The settings of the store, by the keys that are Flume's for every channel with files. Opens nothing.
pub(super) fn settings(keys: &mut Keys, site: &Site<'_>, capacity: u64, put_wait: Wait) -> StoreSettings {
    let home = site.home().join(".flume").join("file-channel");
    let checkpoint = keys.optional("checkpointDir").map_or_else(|| home.join("checkpoint"), PathBuf::from);
    let data = keys.optional("dataDirs");
    let data = data.map_or_else(|| vec![home.join("data")], |dirs| directories(&dirs));
    if data.is_empty() {
        keys.mistake("dataDirs", "names no directory");
    }
    let transaction_events = transaction_capacity(keys, capacity, Borne::Numbers, 10_000);
    let durability = durability(keys);
    without_effect(keys);
    StoreSettings { checkpoint, data, capacity, transaction_events, put_wait, durability }
}

/// Events that are in there must not be passed over, and a check must find it, too.
pub(super) fn refuse_flume_files(keys: &mut Keys, settings: &StoreSettings) {
    for (key, dir) in settings.dirs() {
        if let Some(file) = flume_files(dir) {
            keys.mistake(key, moved(dir, &file));
        }
    }
}

fn durability(keys: &mut Keys) -> Durability {
    if keys.flag("fsyncPerTransaction", true) {
        // Without effect, as in Flume, where it must be a number all the same.
        keys.optional_number::<i64>("fsyncInterval", ANY);
        return Durability::Sync;
    }
    let interval = keys.seconds("fsyncInterval", 1..=JAVA_INT_MAX, Duration::from_secs(5));
    Durability::Interval(interval)
}

fn without_effect(keys: &mut Keys) {
    let checkpoints = "the store takes checkpoints by itself, without stopping anyone";
    number_without_effect(keys, "checkpointInterval", ANY, checkpoints);
    keys.ignored(&["checkpointOnClose", "useDualCheckpoints", "backupCheckpointDir"], checkpoints);
    keys.ignored(&["compressBackupCheckpoint", "use-log-replay-v1", "use-fast-replay"], checkpoints);
    number_without_effect(keys, "maxFileSize", ANY, "the store has segments of 64 MiB, and uses them again");
    let room = "the store keeps room for itself, so that a full disk can be drained";
    number_without_effect(keys, "minimumRequiredSpace", ANY, room);
    keys.unsupported(&["encryption."], "there is no encryption; put the directories on an encrypted file system");
}

fn directories(list: &str) -> Vec<PathBuf> {
    list.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from).collect()
}

fn moved(dir: &Path, file: &str) -> String {
    format!(
        "{} holds the files of a Flume file channel ({file}), which cannot be used in place; \
         import them with the example import_flume_channel, and name the directories of that store here",
        dir.display()
    )
}
