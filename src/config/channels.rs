//! Channels that outlive the agent that uses them.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use super::plan::{Plan, PlannedChannel};
use super::stores::Stores;
use crate::channel::Channel;
use crate::error::StorageError;

/// The open channels of an agent, from one configuration of it to the next.
///
/// Flume takes a changed configuration over by stopping everything and starting it again. What is in its memory channels
/// survives that, since channels that are configured as before go on; so they do here. See [`Plan::open_with`].
#[derive(Debug, Default)]
pub struct Channels {
    open: BTreeMap<String, Open>,
    // A channel that is opened later may be part of the store of one that goes on.
    stores: Stores,
}

#[derive(Debug)]
struct Open {
    values: BTreeMap<String, String>,
    channel: Arc<dyn Channel>,
    // Its close has begun and could not save what is in memory.
    is_closing: bool,
}

impl Channels {
    /// No channel yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The channel of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Channel>> {
        self.open.get(name).map(|open| &open.channel)
    }

    /// The open channels that a plan does not go on with, because it has other settings for them or does not have them. What
    /// they hold in memory is lost when they are closed.
    #[must_use]
    pub fn changed_by(&self, plan: &Plan) -> Vec<&str> {
        let others = self.open.iter().filter(|(name, open)| !open.is_in(name, &plan.channels));
        others.map(|(name, _)| name.as_str()).collect()
    }

    /// Closes all channels.
    ///
    /// # Errors
    /// If one cannot be closed in good order; the others are closed all the same. One that could not save what it has in memory
    /// ([`StorageError::NotSaved`]) is kept, and closing again, or opening a plan, tries again.
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.close_others(&[])
    }

    pub(super) fn close_others(&mut self, planned: &[PlannedChannel]) -> Result<(), StorageError> {
        let mut outcome = Ok(());
        self.open.retain(|name, open| {
            if open.is_in(name, planned) {
                return true;
            }
            let closed = open.channel.close();
            open.is_closing = closed.as_ref().is_err_and(StorageError::leaves_something_to_save);
            // What is not saved is told rather than another failure: it may be lost yet.
            if closed.is_err() && (open.is_closing || outcome.is_ok()) {
                outcome = closed;
            }
            open.is_closing
        });
        outcome
    }

    /// The channel of a plan: open already, or opened now.
    pub(super) fn open(&mut self, planned: PlannedChannel) -> Result<Arc<dyn Channel>, Box<dyn Error + Send + Sync>> {
        let PlannedChannel { site, setup, values } = planned;
        if let Some(open) = self.open.get(&site.name) {
            return Ok(open.channel.clone());
        }
        let channel = (setup.open)(&self.stores)?;
        if let Some(settings) = setup.store.filter(|_| site.kind == "file")
            && let Err(error) = self.stores.refuse_parked(&site.name, &settings)
        {
            // Nothing was put into it.
            let _ = channel.close();
            return Err(error.into());
        }
        self.open.insert(site.name, Open { values, channel: channel.clone(), is_closing: false });
        Ok(channel)
    }
}

impl Open {
    fn is_in(&self, name: &str, planned: &[PlannedChannel]) -> bool {
        !self.is_closing && planned.iter().any(|planned| planned.site.name == name && planned.values == self.values)
    }
}
