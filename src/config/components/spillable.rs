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
        return memory::in_memory(keys, site, (memory, bytes, events), Wait::up_to(timeout));
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
mod tests {
    use super::super::super::Options;
    use super::super::super::stores::Stores;
    use super::*;
    use crate::channel::Channel;

    fn problems(dir: &std::path::Path, pairs: &[(&str, &str)]) -> (Made<ChannelSetup>, Vec<String>) {
        let options = Options::new().with_home(dir);
        let site = Site::new(&options, "a1", "c1");
        let mut keys = Keys::of("a1.channels.c1.", pairs.iter().copied());
        let made = make(&mut keys, &site);
        (made, keys.finish("SPILLABLEMEMORY").iter().map(ToString::to_string).collect())
    }

    fn open(dir: &std::path::Path, pairs: &[(&str, &str)]) -> std::sync::Arc<dyn Channel> {
        let (made, problems) = problems(dir, pairs);
        assert_eq!(problems, [] as [&str; 0], "{pairs:?}");
        (made.unwrap().open)(&Stores::default()).unwrap()
    }

    #[test]
    fn the_capacity_is_that_of_memory_and_overflow() {
        let dir = tempfile::tempdir().unwrap();
        for (pairs, capacity) in [
            (&[][..], 10_000 + 100_000_000),
            (&[("memoryCapacity", "20"), ("overflowCapacity", "7")], 27),
            (&[("memoryCapacity", "0"), ("overflowCapacity", "7")], 7),
            (&[("memoryCapacity", "20"), ("overflowCapacity", "0")], 20),
            (&[("memoryCapacity", "20"), ("overflowCapacity", "-1"), ("transactionCapacity", "500")], 20),
            (&[("overflowTimeout", "-1")], 10_000 + 100_000_000),
        ] {
            let channel = open(dir.path(), pairs);
            assert_eq!(channel.stats().capacity_events, capacity, "{pairs:?}");
            channel.close().unwrap();
        }
    }

    #[test]
    fn what_does_not_fit_into_memory_goes_into_the_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (checkpoint, data) = (dir.path().join("c"), dir.path().join("d"));
        let pairs = [
            ("memoryCapacity", "2"),
            ("overflowCapacity", "3"),
            ("overflowTimeout", "0"),
            ("checkpointDir", checkpoint.to_str().unwrap()),
            ("dataDirs", data.to_str().unwrap()),
        ];
        let channel = open(dir.path(), &pairs);
        for event in 0..5 {
            channel.put(format!("{event}")).unwrap();
        }
        assert!(channel.put("too much").is_err());
        channel.close().unwrap();
        drop(channel);
        let channel = open(dir.path(), &pairs);
        let mut bodies = Vec::new();
        while bodies.len() < 5 {
            let take = channel.take(5, Wait::NONE).unwrap();
            assert!(!take.is_empty(), "{bodies:?}");
            bodies.extend(take.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()));
            take.commit().unwrap();
        }
        assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
        channel.close().unwrap();
        assert!(data.is_dir() && !dir.path().join(".flume").exists());
    }

    #[test]
    fn every_key_of_flumes_is_known_and_mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let known = [
            ("transactionCapacity", "10"),
            ("byteCapacity", "1000000"),
            ("byteCapacityBufferPercentage", "10"),
            ("fsyncPerTransaction", "false"),
            ("fsyncInterval", "1"),
        ];
        open(dir.path(), &known).close().unwrap();
        for (key, value, expected) in [
            ("capacity", "5", "has no effect, as in Flume; use memoryCapacity and overflowCapacity"),
            ("keep-alive", "5", "use overflowTimeout"),
            ("avgEventSize", "200", "bytes are counted"),
            (
                "avgEventSize",
                "large",
                "must be a number from -2147483648 to 2147483647; Flume takes the default of 500",
            ),
            ("overflowDeactivationThreshold", "10", "when the overflow is empty"),
            ("checkpointInterval", "1000", "takes checkpoints by itself"),
            ("encryption.activeKey", "k", "there is no encryption"),
            ("memoryCapacity", "-1", "must be a number from 0"),
            ("overflowTimeot", "1", "is it overflowTimeout?"),
            ("transactionCapacity", "100000001", "is over the capacity of 100000000"),
        ] {
            let (_, found) = problems(dir.path(), &[(key, value)]);
            assert!(matches!(&found[..], [only] if only.contains(expected)), "{key}: {found:?}");
        }
        for overflow in ["0", "-5"] {
            let (_, found) = problems(dir.path(), &[("memoryCapacity", "0"), ("overflowCapacity", overflow)]);
            let expected = format!("overflowCapacity = {overflow}: is not above 0, and memoryCapacity is 0: no event");
            assert!(matches!(&found[..], [only] if only.contains(&expected)), "{found:?}");
        }
    }
}
