//! What the tests of pull sources share.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

use super::SourcePort;
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::event::Event;
use crate::ticket::{PutTicket, Receipt, Ticket};
use crate::wait::Wait;

/// A port that keeps in memory what is committed, in one step, as a channel does.
#[derive(Default)]
pub(super) struct Port(pub(super) Mutex<(Vec<Event>, BTreeMap<String, Bytes>)>);

impl SourcePort for Port {
    fn submit(&self, batch: PutBatch, _: Option<Wait>) -> Result<PutTicket, PutError> {
        let (events, positions) = batch.into_parts();
        let receipt = Receipt::new(None, events.len() as u64, 0);
        let mut state = self.0.lock();
        state.0.extend(events);
        for (owner, position) in positions {
            match position {
                Some(position) => state.1.insert(owner, position),
                None => state.1.remove(&owner),
            };
        }
        Ok(Ticket::ready(Ok(receipt)))
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.0.lock().1.get(owner).cloned()
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let state = self.0.lock();
        let found = state.1.iter().filter(|(owner, _)| owner.starts_with(prefix));
        found.map(|(owner, position)| (owner.clone(), position.clone())).collect()
    }
}
