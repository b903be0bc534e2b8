//! What the agent gives to a sink.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::channel::Channel;
use crate::shutdown::Shutdown;

/// What a sink works with: its name, its positions, and the request to stop.
#[derive(Clone)]
pub struct SinkContext {
    name: Arc<str>,
    // Empty, or `<agent>/`.
    base: Arc<str>,
    prefix: Arc<str>,
    channel: Arc<dyn Channel>,
    shutdown: Shutdown,
    stands_by: bool,
}

impl SinkContext {
    /// A context for the sink `name` that takes from `channel`, to run it without an agent. Its positions are those of
    /// `sink/<name>/`; in an agent, they are those of `<agent>/sink/<name>/`, so that two agents can share a store.
    #[must_use]
    pub fn new(name: &str, channel: Arc<dyn Channel>, shutdown: Shutdown) -> Self {
        Self::below("", name, channel, shutdown)
    }

    /// A context for a sink of an agent.
    pub(crate) fn of_agent(agent: &str, name: &str, channel: Arc<dyn Channel>, shutdown: Shutdown) -> Self {
        Self::below(&format!("{agent}/"), name, channel, shutdown)
    }

    /// The context of another sink of the same agent and channel.
    pub(crate) fn other(&self, name: &str) -> Self {
        Self::below(&self.base, name, self.channel.clone(), self.shutdown.clone())
    }

    /// The context of a part of this sink, with positions among those of this sink.
    pub(crate) fn part(&self, name: &str) -> Self {
        Self { name: name.into(), prefix: format!("{}{name}/", self.prefix).into(), ..self.clone() }
    }

    /// The same for a sink that gets nothing while another one works.
    pub(crate) fn standing_by(mut self, stands_by: bool) -> Self {
        self.stands_by = stands_by;
        self
    }

    /// Whether the sink gets nothing while another one works.
    pub(crate) fn stands_by(&self) -> bool {
        self.stands_by
    }

    fn below(base: &str, name: &str, channel: Arc<dyn Channel>, shutdown: Shutdown) -> Self {
        let prefix = format!("{base}sink/{name}/").into();
        Self { name: name.into(), base: base.into(), prefix, channel, shutdown, stands_by: false }
    }

    /// The name of the sink.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last committed position `key` of this sink.
    #[must_use]
    pub fn position(&self, key: &str) -> Option<Bytes> {
        self.channel.position(&format!("{}{key}", self.prefix))
    }

    /// All committed positions of this sink whose key begins with `prefix`, by key.
    #[must_use]
    pub fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let mut found = self.channel.positions(&format!("{}{prefix}", self.prefix));
        for (owner, _) in &mut found {
            owner.drain(..self.prefix.len().min(owner.len()));
        }
        found
    }

    /// The request to stop; a sink that waits for something outside should give up when it is made.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Whether positions are there after a crash if the take is committed that set them: those of a store's channel are.
    pub(crate) fn keeps_positions(&self) -> bool {
        self.channel.store_part().is_some()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Debug for SinkContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkContext").field("name", &self.name).finish_non_exhaustive()
    }
}
