//! Flume's `memory` channel.

use std::path::Path;

use super::super::number::Borne;
use super::super::{ChannelSetup, Keys, Made, Registry, Site};
use super::{JAVA_INT_MAX, bearable_seconds};
use crate::MemoryChannel;
use crate::limits::{
    FLUME_BODY_BYTES_MAX, FLUME_MEMORY_PERCENT, FLUME_TRANSACTION_BYTES_MAX, MEMORY_CHANNEL_BYTES, PUT_WAIT,
    TRANSACTION_EVENTS_MAX,
};
use crate::vfs::{OpenMode, OsVfs, Vfs};
use crate::wait::Wait;

pub(super) fn register(registry: &mut Registry) {
    registry.channel(&["memory", "org.apache.flume.channel.MemoryChannel"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<ChannelSetup> {
    let capacity = keys.bearable_number("capacity", 1..=JAVA_INT_MAX, Borne::Anything, 100);
    let transaction = transaction_capacity(keys, capacity, Borne::Anything, 100);
    let wait = Wait::up_to(bearable_seconds(keys, "keep-alive", PUT_WAIT));
    let bytes = byte_capacity(keys, 100);
    in_memory(keys, site, (capacity, bytes, transaction), wait)
}

/// A channel in memory of so many events and bytes, and so many events of a transaction.
pub(super) fn in_memory(
    keys: &mut Keys,
    site: &Site<'_>,
    (capacity, bytes, transaction): (u64, u64, usize),
    wait: Wait,
) -> Made<ChannelSetup> {
    let channel = MemoryChannel::builder(site.name())
        .capacity_events(capacity)
        .capacity_bytes(bytes)
        .transaction_events_max(transaction)
        .transaction_bytes_max(bytes.min(FLUME_TRANSACTION_BYTES_MAX))
        .body_bytes_max(usize::try_from(bytes).unwrap_or(usize::MAX).min(FLUME_BODY_BYTES_MAX))
        .put_wait(wait);
    match channel.build() {
        Ok(channel) => Ok(ChannelSetup::ready(channel).transaction_events_max(transaction)),
        Err(error) => Err(keys.refuse(error)),
    }
}

/// Events of one transaction. Flume drops a channel whose capacity is below the default; the default gives way here.
pub(super) fn transaction_capacity(keys: &mut Keys, capacity: u64, borne: Borne, default: usize) -> usize {
    let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
    let instead = format!("Flume takes the default of {default}");
    let given = keys.bearable("transactionCapacity", 1..=JAVA_INT_MAX, borne, &instead);
    let given = given.map(|events| usize::try_from(events).unwrap_or(usize::MAX));
    if given.is_some_and(|events| events > capacity) {
        keys.mistake("transactionCapacity", format!("is over the capacity of {capacity}; Flume drops the channel"));
    }
    // More than the crate's limit is as good as the limit: no batch is larger.
    given.unwrap_or(default).min(capacity).min(TRANSACTION_EVENTS_MAX)
}

/// Bytes that the channel may hold. Flume counts bodies, in slots of `slot` bytes, and leaves a part of the bytes to the
/// headers, which are counted here.
pub(super) fn byte_capacity(keys: &mut Keys, slot: u64) -> u64 {
    let headers = keys.bearable_number(HEADERS_PERCENT, i32::MIN..=i32::MAX, Borne::Anything, 20);
    let instead = "Flume takes the default of 80 % of its memory";
    let given = keys.bearable("byteCapacity", i64::MIN..=i64::MAX, Borne::Anything, instead);
    let bytes = given.map_or_else(memory_bytes, |bytes| u64::try_from(bytes).unwrap_or(0));
    // Where less than a slot is left for bodies, there is no limit.
    if i128::from(bytes) * (100 - i128::from(headers)) < i128::from(slot) * 100 {
        if headers >= 100 {
            keys.warn(
                HEADERS_PERCENT,
                "leaves nothing to the bodies of events, which is no limit for them, as in Flume",
            );
        }
        return u64::MAX;
    }
    bytes
}

/// What stands for 80 percent of Java's largest heap.
fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let total = u64::from(info.mem_unit).saturating_mul(info.totalram);
    let total = cgroup_bytes(Path::new("/sys/fs/cgroup")).map_or(total, |limit| limit.min(total));
    (total / 100 * FLUME_MEMORY_PERCENT).max(MEMORY_CHANNEL_BYTES)
}

/// The limit of the container, if there is one: the cgroup's own, as a container sees it, of version 2 or 1. Java looks at
/// it, too.
fn cgroup_bytes(root: &Path) -> Option<u64> {
    let limit = |file: &str| {
        // The kernel says that the file is empty.
        let mut text = [0; CGROUP_FILE_BYTES_MAX];
        let file = OsVfs::new().open(&root.join(file), OpenMode::Read).ok()?;
        let read = file.read_at(&mut text, 0).ok()?;
        // Version 2 says `max` where there is no limit, version 1 a number beyond any memory.
        str::from_utf8(text.get(..read)?).ok()?.trim().parse().ok()
    };
    limit("memory.max").or_else(|| limit("memory/memory.limit_in_bytes"))
}

const HEADERS_PERCENT: &str = "byteCapacityBufferPercentage";
const CGROUP_FILE_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // the files of the kernel are made here

    use super::*;

    #[test]
    fn bytes_are_limited_where_flume_has_a_slot_for_them() {
        for (bytes, headers, expected) in [
            ("125", "20", 125),
            ("124", "20", u64::MAX),
            ("-1", "20", u64::MAX),
            ("1000", "90", 1000),
            ("999", "90", u64::MAX),
            ("1000", "100", u64::MAX),
            ("1000", "120", u64::MAX),
            ("50", "-100", 50),
        ] {
            let mut keys = Keys::of("x.", [("byteCapacity", bytes), (HEADERS_PERCENT, headers)]);
            assert_eq!(byte_capacity(&mut keys, 100), expected, "{bytes} {headers}");
            assert!(keys.is_good());
        }
    }

    #[test]
    fn the_memory_of_a_container_is_what_its_cgroup_may_have() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(cgroup_bytes(dir.path()), None);
        std::fs::create_dir(dir.path().join("memory")).unwrap();
        std::fs::write(dir.path().join("memory/memory.limit_in_bytes"), "536870912\n").unwrap();
        assert_eq!(cgroup_bytes(dir.path()), Some(512 << 20));
        std::fs::write(dir.path().join("memory.max"), "1073741824\n").unwrap();
        assert_eq!(cgroup_bytes(dir.path()), Some(1 << 30));
        std::fs::remove_dir_all(dir.path().join("memory")).unwrap();
        std::fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(cgroup_bytes(dir.path()), None);
    }
}
