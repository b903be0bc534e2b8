//! Flume's `SPILLABLEMEMORY` channel: memory first, then a store.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{ChannelSetup, Keys, Made, Registry, Severity, Site};
use super::{JAVA_INT_MAX, bearable_seconds, file_channel, memory};
use crate::Spillable;
use crate::limits::SPILLABLE_MEMORY_EVENTS;
use crate::wait::Wait;

pub(super) fn register(registry: &mut Registry) {
    registry.channel(&["SPILLABLEMEMORY", "org.apache.flume.channel.SpillableMemoryChannel"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<ChannelSetup> {
    let memory = keys.bearable_number("memoryCapacity", 0..=JAVA_INT_MAX, Borne::Anything, SPILLABLE_MEMORY_EVENTS);
    let overflow = overflow_capacity(keys, memory);
    let timeout = bearable_seconds(keys, "overflowTimeout", Duration::from_secs(3));
    let bytes = memory::byte_capacity(keys, 500);
    without_effect(keys);
    // In Flume a put waits so long for memory, and as long again for the overflow.
    let put_wait = Wait::up_to(timeout.saturating_mul(2));
    // Where there is no overflow, its channel is made all the same in Flume, and has the default.
    let settings = file_channel::settings(keys, site, if overflow == 0 { u64::MAX } else { overflow }, put_wait);
    let events = settings.transaction_events;
    if overflow == 0 {
        let events = events.min(usize::try_from(memory).unwrap_or(usize::MAX));
        let setup = memory::in_memory(keys, site, (memory, bytes, events), Wait::up_to(timeout))?;
        let name = site.name().to_owned();
        return Ok(setup.after(move |stores| stores.refuse_left(&name, &settings)));
    }
    file_channel::refuse_flume_files(keys, &settings);
    let name = site.name().to_owned();
    let setup = ChannelSetup::in_store(settings, move |stores, settings| {
        stores.open_with(settings, |store| {
            let channel = Spillable::builder(name)
                .memory_events(memory)
                .memory_bytes(bytes)
                .overflow_events(overflow)
                .overflow_bytes(u64::MAX)
                .spill_after(timeout)
                .put_wait(put_wait);
            Ok(channel.open(store)?)
        })
    });
    Ok(setup.transaction_events_max(events))
}

/// Events that the overflow holds; none if it is off.
fn overflow_capacity(keys: &mut Keys, memory: u64) -> u64 {
    let key = "overflowCapacity";
    let given = keys.bearable_number(key, i32::MIN..=i32::MAX, Borne::Anything, OVERFLOW_EVENTS);
    if given <= 0 && memory == 0 {
        let why = format!(
            "is not above 0, and memoryCapacity is 0: no event has a place; Flume takes the default of {OVERFLOW_EVENTS}"
        );
        keys.problem(Severity::Ignored, key, why);
        return OVERFLOW_EVENTS.unsigned_abs().into();
    }
    u64::try_from(given).unwrap_or(0)
}

fn without_effect(keys: &mut Keys) {
    let why = "has no effect: bytes are counted, not estimated";
    bearable_without_effect(keys, "avgEventSize", 500, why);
    let why = "has no effect: memory is used again when the overflow is empty";
    bearable_without_effect(keys, "overflowDeactivationThreshold", 5, why);
    keys.ignored(&["capacity"], "has no effect, as in Flume; use memoryCapacity and overflowCapacity");
    keys.ignored(&["keep-alive"], "has no effect, as in Flume; use overflowTimeout");
}

fn bearable_without_effect(keys: &mut Keys, key: &str, default: i32, why: &str) {
    let is_good = keys.value(key).is_some_and(|text| text.parse::<i32>().is_ok());
    keys.bearable_number(key, i32::MIN..=i32::MAX, Borne::Anything, default);
    if is_good {
        keys.warn(key, why);
    }
}

const OVERFLOW_EVENTS: i32 = 100_000_000;

#[cfg(test)]
mod tests;
