//! Settings of a memory channel.

use std::sync::Arc;

use super::MemoryChannel;
use crate::channel::Channel;
use crate::channel::overflow::Overflow;
use crate::clock::{Clock, SystemClock};
use crate::limits;
use crate::wait::Wait;

/// Why a memory channel cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryChannelError {
    /// A setting is zero.
    #[error("setting {setting} of channel {channel} is 0; it must be at least 1")]
    Zero {
        /// The channel.
        channel: String,
        /// The setting.
        setting: &'static str,
    },
    /// A transaction could be larger than the channel.
    #[error(
        "setting transaction_events_max of channel {channel} is {events}, over its capacity_events of {capacity}; \
         no such transaction could be put"
    )]
    TransactionOverCapacity {
        /// The channel.
        channel: String,
        /// Events in one transaction, at most.
        events: u64,
        /// Capacity in events.
        capacity: u64,
    },
    /// The policy is [`Overflow::Divert`] and there is no channel to divert to.
    #[error("channel {channel} diverts what it has no room for, but to no channel; name one with divert_to")]
    DivertsNowhere {
        /// The channel.
        channel: String,
    },
    /// The name cannot be used.
    #[error("the name of a channel has {bytes} bytes; it must have 1 to {}", limits::NAME_BYTES_MAX)]
    Name {
        /// Length of the name.
        bytes: usize,
    },
}

/// What a channel is set up with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) capacity_events: u64,
    pub(super) capacity_bytes: u64,
    pub(super) overflow: Overflow,
    pub(super) divert_to: Option<Arc<dyn Channel>>,
    pub(super) put_wait: Wait,
    pub(super) transaction_events_max: usize,
    pub(super) transaction_bytes_max: u64,
    pub(super) body_bytes_max: usize,
    pub(super) owner_bytes_max: usize,
    pub(super) clock: Arc<dyn Clock>,
}

impl Settings {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            capacity_events: limits::MEMORY_CHANNEL_EVENTS,
            capacity_bytes: limits::MEMORY_CHANNEL_BYTES,
            overflow: Overflow::Block,
            divert_to: None,
            put_wait: Wait::up_to(limits::PUT_WAIT),
            transaction_events_max: limits::TRANSACTION_EVENTS_MAX,
            transaction_bytes_max: limits::TRANSACTION_BYTES_MAX as u64,
            body_bytes_max: limits::BODY_BYTES_MAX,
            owner_bytes_max: limits::POSITION_OWNER_BYTES_MAX,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// Settings of a [`MemoryChannel`]; see [`MemoryChannel::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct MemoryChannelBuilder {
    settings: Settings,
    // The default gives way to a smaller capacity; what a user asks for does not.
    transaction_events_set: bool,
}

impl MemoryChannelBuilder {
    pub(super) fn new(name: String) -> Self {
        Self { settings: Settings::new(name), transaction_events_set: false }
    }

    /// Events that the channel holds at most, those of open takes included. Default
    /// [`limits::MEMORY_CHANNEL_EVENTS`].
    pub fn capacity_events(mut self, events: u64) -> Self {
        self.settings.capacity_events = events;
        self
    }

    /// Bytes that the channel holds at most, those of open takes included, counted by
    /// [`Event::size_bytes`](crate::Event::size_bytes). The bookkeeping of an event, about 70 bytes, is not counted, nor
    /// is the rest of a larger buffer that a body may be a part of. Default [`limits::MEMORY_CHANNEL_BYTES`].
    pub fn capacity_bytes(mut self, bytes: u64) -> Self {
        self.settings.capacity_bytes = bytes;
        self
    }

    /// What becomes of a put that finds no room. Default [`Overflow::Block`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// Puts what finds no room into this channel: [`Overflow::Divert`].
    ///
    /// ```
    /// use aqueduct::{Channel, MemoryChannel};
    ///
    /// let spare = MemoryChannel::new("spare");
    /// let main = MemoryChannel::builder("main").capacity_events(1).divert_to(spare.clone()).build()?;
    /// main.put("one")?;
    /// assert_eq!(main.put("two")?.diverted, 1);
    /// assert_eq!(spare.stats().depth_events, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn divert_to(mut self, channel: impl Channel + 'static) -> Self {
        self.settings.divert_to = Some(Arc::new(channel));
        self.overflow(Overflow::Divert)
    }

    /// How long a put waits for room under [`Overflow::Block`] if its transaction does not say. Default
    /// [`limits::PUT_WAIT`], which is also what [`Wait::NONE`] is for sources of an agent that would only come again. As long as
    /// a put waits, one that does not is refused as full, also if it would fit: room goes to whoever waits for it.
    pub fn put_wait(mut self, wait: Wait) -> Self {
        self.settings.put_wait = wait;
        self
    }

    /// Events in one transaction, at most: a larger put is refused, a take hands out no more. Default
    /// [`limits::TRANSACTION_EVENTS_MAX`], or the capacity if that is less.
    pub fn transaction_events_max(mut self, events: usize) -> Self {
        self.settings.transaction_events_max = events;
        self.transaction_events_set = true;
        self
    }

    /// Bytes of one put transaction, headers and bodies, at most. Default [`limits::TRANSACTION_BYTES_MAX`].
    pub fn transaction_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.transaction_bytes_max = bytes;
        self
    }

    /// Bytes of the body of one event, at most. Default [`limits::BODY_BYTES_MAX`].
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.body_bytes_max = bytes;
        self
    }

    /// Bytes of the owner of a position, at most: fewer than others allow where something is put before it elsewhere.
    pub(in crate::channel) fn owner_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.owner_bytes_max = bytes;
        self
    }

    /// The clock that the age of events is measured with. How long puts and takes wait is always measured with the
    /// system's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Builds the channel.
    ///
    /// # Errors
    /// If a setting cannot be used; the error names it.
    pub fn build(self) -> Result<MemoryChannel, MemoryChannelError> {
        let Self { mut settings, transaction_events_set } = self;
        let channel = || settings.name.clone();
        if settings.name.is_empty() || settings.name.len() > limits::NAME_BYTES_MAX {
            return Err(MemoryChannelError::Name { bytes: settings.name.len() });
        }
        let amounts = [
            ("capacity_events", settings.capacity_events),
            ("capacity_bytes", settings.capacity_bytes),
            ("transaction_events_max", settings.transaction_events_max as u64),
            ("transaction_bytes_max", settings.transaction_bytes_max),
            ("body_bytes_max", settings.body_bytes_max as u64),
        ];
        if let Some((setting, _)) = amounts.into_iter().find(|(_, amount)| *amount == 0) {
            return Err(MemoryChannelError::Zero { channel: channel(), setting });
        }
        if settings.overflow == Overflow::Divert && settings.divert_to.is_none() {
            return Err(MemoryChannelError::DivertsNowhere { channel: channel() });
        }
        let events = settings.transaction_events_max as u64;
        let capacity = settings.capacity_events;
        if events > capacity {
            if transaction_events_set {
                return Err(MemoryChannelError::TransactionOverCapacity { channel: channel(), events, capacity });
            }
            settings.transaction_events_max = usize::try_from(capacity).unwrap_or(usize::MAX);
        }
        Ok(MemoryChannel::with(settings))
    }
}
