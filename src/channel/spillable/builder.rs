//! Settings of a spillable channel.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, Spillable};
use crate::channel::MemoryChannel;
use crate::channel::memory::MemoryChannelError;
use crate::error::StorageError;
use crate::limits;
use crate::store::FileStore;
use crate::wait::Wait;

/// Why a spillable channel cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpillableError {
    /// A setting is zero.
    #[error("setting {setting} of channel {channel} is 0; it must be at least 1")]
    Zero {
        /// The channel.
        channel: String,
        /// The setting.
        setting: &'static str,
    },
    /// The name is that of a channel in which another one saves what is in its memory.
    #[error(
        "channel {channel} has a name that ends in `.saved`, as that has in which another spillable channel saves its events"
    )]
    ReservedName {
        /// The channel.
        channel: String,
    },
    /// The part in memory cannot be built.
    #[error(transparent)]
    Memory(#[from] MemoryChannelError),
    /// The part in the store cannot be opened.
    #[error("channel {channel}: {source}")]
    Store {
        /// The channel.
        channel: String,
        /// The failure.
        source: StorageError,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) memory_events: u64,
    pub(super) memory_bytes: u64,
    overflow_events: u64,
    overflow_bytes: u64,
    pub(super) spill_after: Duration,
    pub(super) put_wait: Wait,
}

impl Settings {
    /// Events in memory and overflow together, at most.
    pub(super) fn capacity_events(&self) -> u64 {
        self.memory_events.saturating_add(self.overflow_events)
    }

    /// Bytes in memory and overflow together, at most.
    pub(super) fn capacity_bytes(&self) -> u64 {
        self.memory_bytes.saturating_add(self.overflow_bytes)
    }

    /// What the owners of this channel's positions begin with in the store.
    pub(super) fn prefix(&self) -> String {
        // With its length a name is not the beginning of another.
        format!("spillable/{}:{}/", self.name.len(), self.name)
    }
}

/// Settings of a [`Spillable`] channel; see [`Spillable::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct SpillableBuilder {
    settings: Settings,
}

impl SpillableBuilder {
    pub(super) fn new(name: String) -> Self {
        let settings = Settings {
            name,
            memory_events: limits::SPILLABLE_MEMORY_EVENTS,
            memory_bytes: limits::MEMORY_CHANNEL_BYTES,
            overflow_events: limits::FILE_CHANNEL_EVENTS,
            overflow_bytes: limits::FILE_CHANNEL_BYTES,
            spill_after: Duration::ZERO,
            put_wait: Wait::up_to(limits::PUT_WAIT),
        };
        Self { settings }
    }

    /// Events that memory holds at most. With 0 every event goes to the overflow. Default
    /// [`limits::SPILLABLE_MEMORY_EVENTS`].
    pub fn memory_events(mut self, events: u64) -> Self {
        self.settings.memory_events = events;
        self
    }

    /// Bytes that memory holds at most, counted by [`Event::size_bytes`](crate::Event::size_bytes). Default
    /// [`limits::MEMORY_CHANNEL_BYTES`].
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.settings.memory_bytes = bytes;
        self
    }

    /// Events that the channel holds at most beside those that fit into memory. Default [`limits::FILE_CHANNEL_EVENTS`].
    pub fn overflow_events(mut self, events: u64) -> Self {
        self.settings.overflow_events = events;
        self
    }

    /// Bytes that the channel holds at most beside those that fit into memory. Default [`limits::FILE_CHANNEL_BYTES`].
    pub fn overflow_bytes(mut self, bytes: u64) -> Self {
        self.settings.overflow_bytes = bytes;
        self
    }

    /// How long a put waits for room in memory before it is the first to spill, within its own wait. Later ones follow it
    /// at once. Default zero (Flume: 3 s).
    pub fn spill_after(mut self, wait: Duration) -> Self {
        self.settings.spill_after = wait;
        self
    }

    /// How long a put waits for room, anywhere in the channel, if its transaction does not say. Default
    /// [`limits::PUT_WAIT`], which is also what [`Wait::NONE`] is for sources of an agent that would only come again. As long as
    /// a put waits, one that does not is refused as full, also if it would fit: room goes to whoever waits for it.
    pub fn put_wait(mut self, wait: Wait) -> Self {
        self.settings.put_wait = wait;
        self
    }

    /// Opens the channel with its overflow in `store`: two file channels, one of the same name and one of the name with
    /// `.saved` behind it, which must not be used otherwise. What they hold from before is in the channel. The store's limits of
    /// transactions and bodies apply.
    ///
    /// # Errors
    /// If a setting cannot be used, or the store takes no more.
    pub fn open(self, store: &FileStore) -> Result<Spillable, SpillableError> {
        let Self { settings } = self;
        let zero = |setting| SpillableError::Zero { channel: settings.name.clone(), setting };
        if settings.overflow_events == 0 {
            return Err(zero("overflow_events"));
        }
        if settings.overflow_bytes == 0 {
            return Err(zero("overflow_bytes"));
        }
        if settings.name.ends_with(Spillable::SAVED) {
            return Err(SpillableError::ReservedName { channel: settings.name });
        }
        let failed = |source| SpillableError::Store { channel: settings.name.clone(), source };
        let (len, len_max) = (settings.name.len(), limits::NAME_BYTES_MAX - Spillable::SAVED.len());
        if len > len_max {
            // Before there is one channel of the two.
            let (actual, max) = (len as u64, len_max as u64);
            return Err(failed(StorageError::Limit { what: "bytes of a spillable channel's name", actual, max }));
        }
        let overflow = store.channel(&settings.name).map_err(failed)?;
        let saved = store.channel(&Spillable::saved_name(&settings.name)).map_err(failed)?;
        saved.set_capacity(u64::MAX, u64::MAX);
        let limits = overflow.transaction_limits();
        let events_max = u64::try_from(limits.events).unwrap_or(u64::MAX).min(settings.memory_events.max(1));
        let memory = MemoryChannel::builder(&settings.name)
            .capacity_events(settings.memory_events.max(1))
            .capacity_bytes(settings.memory_bytes.max(1))
            .transaction_events_max(usize::try_from(events_max).unwrap_or(usize::MAX))
            .transaction_bytes_max(limits.bytes)
            .body_bytes_max(limits.body_bytes)
            .owner_bytes_max(limits::POSITION_OWNER_BYTES_MAX.saturating_sub(settings.prefix().len()))
            .clock(overflow.clock())
            .build()?;
        let shared = Shared::new(settings, memory, overflow, saved);
        shared.restore().map_err(|source| SpillableError::Store { channel: shared.settings.name.clone(), source })?;
        shared.share_capacity(&shared.gate.lock());
        Ok(Spillable { shared: Arc::new(shared) })
    }
}
