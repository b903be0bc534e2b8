//! Flume's `memory` channel.

use super::super::{ChannelSetup, Keys, Made, Registry, Site};
use super::seconds_or_none;
use crate::MemoryChannel;
use crate::limits::{
    FLUME_BODY_BYTES_MAX, FLUME_MEMORY_PERCENT, FLUME_TRANSACTION_BYTES_MAX, MEMORY_CHANNEL_BYTES, PUT_WAIT,
    TRANSACTION_EVENTS_MAX,
};
use crate::wait::Wait;

pub(super) fn register(registry: &mut Registry) {
    registry.channel(&["memory", "org.apache.flume.channel.MemoryChannel"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<ChannelSetup> {
    let capacity = keys.number("capacity", 1..=EVENTS_MAX, 100);
    let transaction = transaction_capacity(keys, capacity, 100);
    let wait = Wait::up_to(seconds_or_none(keys, "keep-alive", PUT_WAIT));
    let bytes = byte_capacity(keys, 100);
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
pub(super) fn transaction_capacity(keys: &mut Keys, capacity: u64, default: usize) -> usize {
    let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
    let given = keys.optional_number("transactionCapacity", 1..=TRANSACTION_EVENTS_CEILING);
    if given.is_some_and(|events| events > capacity) {
        keys.mistake("transactionCapacity", format!("is over the capacity of {capacity}; Flume drops the channel"));
    }
    // More than the crate's limit is as good as the limit: no batch is larger.
    given.unwrap_or(default).min(capacity).min(TRANSACTION_EVENTS_MAX)
}

/// Bytes that the channel may hold. Flume counts bodies and leaves a part of the bytes to the headers, which are counted
/// here. Flume counts in slots of `slot` bytes.
pub(super) fn byte_capacity(keys: &mut Keys, slot: u64) -> u64 {
    keys.number("byteCapacityBufferPercentage", 0..=100_u8, 20);
    match keys.optional_number("byteCapacity", 0..=u64::MAX) {
        // Less than a slot stands for no limit.
        Some(bytes) if bytes < slot + slot / 4 => u64::MAX,
        Some(bytes) => bytes,
        None => memory_bytes(),
    }
}

/// What stands for 80 percent of Java's largest heap.
fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let total = u64::from(info.mem_unit).saturating_mul(info.totalram);
    (total / 100 * FLUME_MEMORY_PERCENT).max(MEMORY_CHANNEL_BYTES)
}

const EVENTS_MAX: u64 = i32::MAX.unsigned_abs() as u64;
/// Java's largest `int`.
const TRANSACTION_EVENTS_CEILING: usize = i32::MAX.unsigned_abs() as usize;
