//! The names under which a component works with its channels: no other one may do so meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::component::Component;
use super::failure::{Failure, guarded};
use crate::channel::{Channel, Lease};
use crate::limits::LEASE_WAIT;
use crate::source::SourceError;

/// What a component is to have for itself.
pub(super) struct Claim {
    wanted: Vec<(Arc<dyn Channel>, String)>,
    held: Vec<Lease>,
}

impl Claim {
    pub(super) fn new(wanted: Vec<(Arc<dyn Channel>, String)>) -> Self {
        Self { wanted, held: Vec::new() }
    }

    /// Takes what is not held yet, and keeps it until the claim is dropped. `false`: the component was asked to stop while it
    /// waited for another one to let go.
    pub(super) fn hold(&mut self, component: &Component) -> Result<bool, Failure> {
        let end = component.signal.now().saturating_add(LEASE_WAIT);
        while let Some((channel, prefix)) = self.wanted.get(self.held.len()) {
            if let Some(lease) = guarded(|| Ok::<_, SourceError>(channel.lease(prefix)))? {
                self.held.push(lease);
                continue;
            }
            if component.signal.now() >= end {
                // Two that hold what the other one wants would wait for ever.
                self.held.clear();
                let error = format!(
                    "another {} {} still works with channel {}: one of an earlier run that has not returned, or of another \
                     agent of the same name",
                    component.kind,
                    component.name,
                    channel.name()
                );
                return Err(Failure::Retry(error.into()));
            }
            if component.stop.sleep(LOOK) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Time between two looks whether a lease is free.
const LOOK: Duration = Duration::from_millis(10);
