//! A store at rest: its disk, and what must come out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aqueduct::vfs::sim::{SavedFile, SimVfs};
use aqueduct::{Event, FileStore, FileStoreBuilder, Wait};

use crate::layout::{Frame, Kind, Layout};

/// Lane and sequence number of an event.
pub(crate) type Key = (u16, u64);

/// An event that was put.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) event: Event,
    pub(crate) channels: Vec<String>,
}

/// A store that no process has open.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: &'static str,
    pub(crate) disk: SimVfs,
    pub(crate) layout: Layout,
    pub(crate) lanes: u16,
    pub(crate) events: BTreeMap<Key, Known>,
    /// Channel and event of every acknowledgement.
    pub(crate) acked: BTreeSet<(String, Key)>,
    /// Every value that an owner's position ever had, in order.
    pub(crate) positions: BTreeMap<String, Vec<Option<Vec<u8>>>>,
    /// What files looked like before.
    pub(crate) older: Vec<(PathBuf, &'static str, SavedFile)>,
}

/// What is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Waiting events by channel, in order.
    pub(crate) waiting: BTreeMap<String, Vec<Key>>,
    pub(crate) positions: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn builder(disk: &SimVfs, lanes: u16, seed: u64) -> FileStoreBuilder {
    let mut builder = FileStore::builder("/store");
    if lanes > 1 {
        for lane in 1..=lanes {
            builder = builder.data_dir(format!("/disk{lane}"));
        }
    }
    let vfs = std::sync::Arc::new(disk.clone());
    builder.vfs(vfs).seed(seed).background(false).put_wait(Wait::NONE).segment_bytes(4 << 10).replay_bytes_max(3 << 10)
}

impl Image {
    /// What is there if nothing is damaged.
    pub(crate) fn whole(&self) -> Content {
        self.without(|_| false)
    }

    /// What is there without some records: their events, acknowledgements and positions never came to be.
    pub(crate) fn without(&self, gone: impl Fn(&Frame) -> bool) -> Content {
        let mut content = Content::default();
        for name in self.layout.channels.keys() {
            let waiting = self.waiting_in(name, &gone, false);
            content.waiting.insert(name.clone(), waiting);
        }
        for (owner, values) in &self.positions {
            let lost = |value: &Option<Vec<u8>>| {
                let set = |frame: &&Frame| frame.positions.iter().any(|(name, set)| (name, set) == (owner, value));
                let mut frames = self.layout.frames.iter().filter(set).peekable();
                frames.peek().is_some() && frames.all(&gone)
            };
            if let Some(Some(value)) = values.iter().rev().find(|value| !lost(value)) {
                content.positions.insert(owner.clone(), value.clone());
            }
        }
        content
    }

    /// The events that wait in a channel, in order, without those of lost records. Those whose acknowledgement is lost come
    /// back, unless `acks_stay`.
    pub(crate) fn waiting_in(&self, channel: &str, gone: &impl Fn(&Frame) -> bool, acks_stay: bool) -> Vec<Key> {
        let id = self.layout.channels[channel];
        let mut found = Vec::new();
        for frame in self.layout.frames.iter().filter(|frame| frame.kind == Kind::Put && !gone(frame)) {
            for seq in frame.seqs.clone() {
                let key = (frame.lane, seq);
                let mine = self.events[&key].channels.iter().any(|name| name == channel);
                let acked =
                    self.acked.contains(&(channel.to_owned(), key)) && (acks_stay || self.ack_stays(id, key, gone));
                if mine && !acked {
                    found.push((frame.stamp, key));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// Whether an acknowledgement is known without the lost records.
    fn ack_stays(&self, channel: u16, key: Key, gone: &impl Fn(&Frame) -> bool) -> bool {
        let about = |frame: &&Frame| {
            frame.acks.iter().any(|(of, lane, range)| (*of, *lane) == (channel, key.0) && range.contains(&key.1))
        };
        let mut frames = self.layout.frames.iter().filter(about).peekable();
        // Without any record of it, it is in the state that later segments begin with.
        frames.peek().is_none() || frames.any(|frame| !gone(frame))
    }

    /// The name that a channel had: one that the manifest had forgotten is named by its number.
    pub(crate) fn name_of(&self, name: &str) -> String {
        let number = name.strip_prefix("channel-").and_then(|number| number.parse::<u16>().ok());
        let known = self.layout.channels.iter().find(|(_, id)| Some(**id) == number);
        known.map_or_else(|| name.to_owned(), |(name, _)| name.clone())
    }

    /// The number of an event, if it is byte for byte one of this channel.
    pub(crate) fn key_of(&self, channel: &str, event: &Event) -> Result<Key, String> {
        let known = self.events.iter().find(|(_, known)| known.event == *event);
        let (key, known) = known.ok_or_else(|| format!("{channel}: an event came that was never put: {event:?}"))?;
        if known.channels.iter().any(|name| name == channel) {
            Ok(*key)
        } else {
            Err(format!("event {key:?} of {:?} came out of {channel}", known.channels))
        }
    }
}
