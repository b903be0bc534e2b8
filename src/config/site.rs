//! Where a component is made: what surrounds it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::keys::Keys;
use super::options::Options;
use super::registry::Made;
use crate::codec::java_hash::HeaderMap;
use crate::limits::TRANSACTION_EVENTS_MAX;
use crate::sink::{Logger, Serializer};

/// What a factory may know of the surroundings of its component, beside its [`Keys`].
pub struct Site<'a> {
    options: &'a Options,
    agent: &'a str,
    name: &'a str,
    channels: &'a [ChannelSite],
    told: &'a [String],
    sinks: &'a [String],
    header_map: HeaderMap,
}

/// A channel, as its sources and sinks see it.
#[derive(Clone, Debug)]
pub(super) struct ChannelSite {
    pub(super) name: String,
    /// The name of its type, as it was registered first.
    pub(super) kind: String,
    pub(super) transaction_events_max: usize,
}

impl<'a> Site<'a> {
    /// The site of a component in an agent, without channels.
    #[must_use]
    pub fn new(options: &'a Options, agent: &'a str, name: &'a str) -> Self {
        Self { options, agent, name, channels: &[], told: &[], sinks: &[], header_map: HeaderMap::default() }
    }

    pub(super) fn with_channels(mut self, channels: &'a [ChannelSite]) -> Self {
        self.channels = channels;
        self
    }

    /// Names for which it is told already why they are not among the channels, if they are not.
    pub(super) fn with_told(mut self, names: &'a [String]) -> Self {
        self.told = names;
        self
    }

    pub(super) fn with_sinks(mut self, sinks: &'a [String]) -> Self {
        self.sinks = sinks;
        self
    }

    pub(super) fn with_header_map(mut self, map: HeaderMap) -> Self {
        self.header_map = map;
        self
    }

    /// The name of the agent.
    #[must_use]
    pub fn agent(&self) -> &'a str {
        self.agent
    }

    /// The name of the component; an interceptor or selector is at the site of its source.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The names of a source's channels in their order, or of the channel that a sink takes from.
    pub fn channels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// Name and type of each of these channels.
    pub(super) fn channel_kinds(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.channels.iter().map(|channel| (channel.name.as_str(), channel.kind.as_str()))
    }

    /// Whether nobody has to say of a name that it is no channel here: it is one, or there is a mistake that says why not.
    pub(super) fn knows_channel(&self, name: &str) -> bool {
        self.channels().any(|channel| channel == name) || self.told.iter().any(|told| told == name)
    }

    /// The names of the sinks of a group, in the order in which they are in it.
    #[must_use]
    pub fn sinks(&self) -> &'a [String] {
        self.sinks
    }

    /// Events of one transaction that all these channels take. A listener that makes batches by itself keeps them to it.
    #[must_use]
    pub fn transaction_events_max(&self) -> usize {
        let events = self.channels.iter().map(|channel| channel.transaction_events_max);
        events.min().unwrap_or(TRANSACTION_EVENTS_MAX)
    }

    /// A variable of the environment, such as `FLUME_SSL_KEYSTORE_PATH`.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<String> {
        self.options.environment(name)
    }

    /// A system property, as given to Flume by `-D`: `javax.net.ssl.keyStore`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.options.property(name)
    }

    /// The home directory, below which Flume's default paths are.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.options.home()
    }

    /// A logger sink that writes to where the agent's log goes.
    #[must_use]
    pub fn logger(&self) -> Logger {
        self.options.logger().header_map(self.header_map)
    }

    /// How the maps of headers come to be that a sink gets in Flume.
    pub(super) fn header_map(&self) -> HeaderMap {
        self.header_map
    }

    /// Where the agent's log goes, line by line.
    pub(super) fn log(&self) -> Arc<dyn Fn(&str) + Send + Sync> {
        self.options.log()
    }

    /// The serializer that `key` names, or `default`, with the keys below `<key>.`.
    ///
    /// # Errors
    /// If there is none of the name or it refuses its keys, which is among their problems.
    pub fn serializer(&self, keys: &mut Keys, key: &str, default: &str) -> Made<Box<dyn Serializer>> {
        let below = format!("{key}.");
        self.options.registry().serializers.make(keys, self, key, Some(default), Some(&below))
    }
}

impl fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("agent", &self.agent).field("name", &self.name).finish_non_exhaustive()
    }
}
