//! Flume's `replicating` selector.

use super::super::{Keys, Made, Registry, SelectorSetup, Site};

pub(super) fn register(registry: &mut Registry) {
    registry.selector(&["replicating", "org.apache.flume.channel.ReplicatingChannelSelector"], replicating);
}

fn replicating(keys: &mut Keys, site: &Site<'_>) -> Made<SelectorSetup> {
    Ok(SelectorSetup::replicating().optional(channels_of(keys, "optional", site)))
}

/// The names of channels of the source, in a key of its selector.
pub(super) fn channels_of(keys: &mut Keys, key: &str, site: &Site<'_>) -> Vec<String> {
    let mut names = keys.list(key);
    for name in &names {
        if !site.channels().any(|channel| channel == name) {
            let channels: Vec<&str> = site.channels().collect();
            keys.mistake(
                key,
                format!("{name} is no channel of source {}; it has {}", site.name(), channels.join(", ")),
            );
        }
    }
    names.dedup();
    names
}
