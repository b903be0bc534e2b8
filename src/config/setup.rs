//! What factories make: components together with what the agent must know of them.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::batch_size::BatchSize;
use super::stores::{StoreSettings, Stores};
use crate::agent::{AnySource, Backoff, IntoSink, IntoSource, PermanentPolicy};
use crate::channel::Channel;
use crate::limits::{SINK_BATCH_EVENTS, SOURCE_BATCH_EVENTS, TRANSACTION_EVENTS_MAX};
use crate::selector::Selector;
use crate::sink::Sink;
use crate::sink::group::GroupPolicy;

/// A source as it was configured.
pub struct SourceSetup {
    pub(super) source: AnySource,
    pub(super) batch: BatchSize,
    pub(super) idle: Backoff,
    pub(super) retry: Backoff,
}

impl SourceSetup {
    /// A [`Source`](crate::Source), a [`PullSource`](crate::PullSource) or a closure.
    pub fn new<M>(source: impl IntoSource<M>) -> Self {
        Self {
            source: source.into_source(),
            batch: BatchSize::fixed(SOURCE_BATCH_EVENTS),
            idle: Backoff::IDLE,
            retry: Backoff::RETRY,
        }
    }

    /// Events of one transaction. A pull source is asked for so many; of any source it is checked that its channels take
    /// them.
    #[must_use]
    pub fn batch(mut self, batch: BatchSize) -> Self {
        self.batch = batch;
        self
    }

    /// Pauses of a pull source that has nothing new.
    #[must_use]
    pub fn idle(mut self, backoff: Backoff) -> Self {
        self.idle = backoff;
        self
    }

    /// Pauses after errors.
    #[must_use]
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = backoff;
        self
    }
}

/// A sink as it was configured.
pub struct SinkSetup {
    pub(super) sink: Box<dyn Sink>,
    pub(super) batch: BatchSize,
    pub(super) retry: Backoff,
    pub(super) on_permanent: PermanentPolicy,
}

impl SinkSetup {
    /// A [`Sink`] or a closure.
    pub fn new<M>(sink: impl IntoSink<M>) -> Self {
        Self {
            sink: sink.into_sink(),
            batch: BatchSize::fixed(SINK_BATCH_EVENTS),
            retry: Backoff::RETRY,
            on_permanent: PermanentPolicy::Retry,
        }
    }

    /// Events that are taken in one transaction, at most.
    #[must_use]
    pub fn batch(mut self, batch: BatchSize) -> Self {
        self.batch = batch;
        self
    }

    /// Pauses after errors.
    #[must_use]
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = backoff;
        self
    }

    /// What happens with an event that can never be delivered. Flume tries for ever.
    #[must_use]
    pub fn on_permanent(mut self, policy: PermanentPolicy) -> Self {
        self.on_permanent = policy;
        self
    }
}

/// A channel as it was configured, not open yet: a configuration can be checked without touching a disk.
pub struct ChannelSetup {
    pub(super) transaction_events_max: usize,
    pub(super) open: Box<OpenChannel>,
    /// The store that it is part of, to be compared with those of the other channels.
    pub(super) store: Option<StoreSettings>,
}

type OpenChannel = dyn FnOnce(&Stores) -> Result<Arc<dyn Channel>, Box<dyn Error + Send + Sync>> + Send;

impl ChannelSetup {
    /// A channel that `open` opens, when everything else has been found to be right.
    pub fn new<C, E>(open: impl FnOnce() -> Result<C, E> + Send + 'static) -> Self
    where
        C: Channel + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::opened_by(move |_| open())
    }

    /// A channel of a store with these settings, which other channels may have opened.
    pub(super) fn in_store<C, E>(
        settings: StoreSettings,
        open: impl FnOnce(&Stores, &StoreSettings) -> Result<C, E> + Send + 'static,
    ) -> Self
    where
        C: Channel + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let store = Some(settings.clone());
        Self { store, ..Self::opened_by(move |stores| open(stores, &settings)) }
    }

    fn opened_by<C, E>(open: impl FnOnce(&Stores) -> Result<C, E> + Send + 'static) -> Self
    where
        C: Channel + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let open = |stores: &Stores| match open(stores) {
            Ok(channel) => Ok(Arc::new(channel) as Arc<dyn Channel>),
            Err(error) => Err(error.into()),
        };
        Self { transaction_events_max: TRANSACTION_EVENTS_MAX, open: Box::new(open), store: None }
    }

    /// A channel that holds nothing outside of memory.
    pub fn ready(channel: impl Channel + 'static) -> Self {
        Self::new(move || Ok::<_, std::convert::Infallible>(channel))
    }

    /// The same, if `check` has nothing against it when the channel is opened.
    pub(super) fn after<E>(self, check: impl FnOnce(&Stores) -> Result<(), E> + Send + 'static) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { transaction_events_max, open, store } = self;
        let open = |stores: &Stores| check(stores).map_err(Into::into).and_then(|()| open(stores));
        Self { transaction_events_max, open: Box::new(open), store }
    }

    /// Events that one transaction of the channel can have: the batches of its sources and sinks are made to fit.
    #[must_use]
    pub fn transaction_events_max(mut self, events: usize) -> Self {
        self.transaction_events_max = events;
        self
    }
}

/// A selector as it was configured.
pub struct SelectorSetup {
    pub(super) selector: Option<Box<dyn Selector>>,
    pub(super) optional: Vec<String>,
}

impl SelectorSetup {
    /// Every event goes to every channel.
    #[must_use]
    pub fn replicating() -> Self {
        Self { selector: None, optional: Vec::new() }
    }

    /// A selector chooses.
    pub fn new(selector: impl Selector + 'static) -> Self {
        Self { selector: Some(Box::new(selector)), optional: Vec::new() }
    }

    /// Channels of the source that get events only if they have room at once, whatever the selector says.
    #[must_use]
    pub fn optional(mut self, channels: Vec<String>) -> Self {
        self.optional = channels;
        self
    }
}

/// What a group of sinks does, as it was configured: Flume's sink processor.
pub struct ProcessorSetup {
    pub(super) policies: Policies,
    pub(super) left_out: Vec<String>,
}

pub(super) enum Policies {
    /// The sink runs as it would without the group.
    None,
    One(Box<dyn GroupPolicy>),
    EachChannel(Box<MakePolicy>),
}

type MakePolicy = dyn Fn() -> Box<dyn GroupPolicy> + Send;

impl ProcessorSetup {
    /// A policy for sinks that take from one channel; groups of others are refused.
    pub fn new(policy: impl GroupPolicy + 'static) -> Self {
        Self { policies: Policies::One(Box::new(policy)), left_out: Vec::new() }
    }

    /// A policy that means the same for the sinks of each channel: one is made for those of every channel that the sinks
    /// of the group take from. A sink that is the only one of its channel runs by itself.
    pub fn for_each_channel<P: GroupPolicy + 'static>(make: impl Fn() -> P + Send + 'static) -> Self {
        let make = move || Box::new(make()) as Box<dyn GroupPolicy>;
        Self { policies: Policies::EachChannel(Box::new(make)), left_out: Vec::new() }
    }

    pub(super) fn none() -> Self {
        Self { policies: Policies::None, left_out: Vec::new() }
    }

    /// Sinks of the group that do not run.
    #[must_use]
    pub(super) fn without(mut self, sinks: Vec<String>) -> Self {
        self.left_out = sinks;
        self
    }
}

impl fmt::Debug for ProcessorSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorSetup").field("left_out", &self.left_out).finish_non_exhaustive()
    }
}

impl fmt::Debug for SourceSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSetup").field("source", &self.source).field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl fmt::Debug for SinkSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkSetup").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChannelSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.transaction_events_max;
        f.debug_struct("ChannelSetup").field("transaction_events_max", &events).finish_non_exhaustive()
    }
}

impl fmt::Debug for SelectorSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectorSetup").field("optional", &self.optional).finish_non_exhaustive()
    }
}
