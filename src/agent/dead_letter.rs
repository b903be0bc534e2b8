//! Events that a sink can never deliver, on their way into another channel.

use std::sync::Arc;

use bytes::Bytes;

use super::failure::{Failure, guarded};
use crate::batch::PutBatch;
use crate::channel::{Channel, TakeTransaction};
use crate::event::EventId;
use crate::limits::DEAD_LETTER_WAIT;
use crate::sink::SinkError;
use crate::wait::Wait;

/// The channel for what a sink cannot deliver.
///
/// If both channels are of one store, each event gets there once: its identity is a position that is set in the transaction of the
/// put and cleared in that of the take. An event that comes again with this identity was put before a crash.
pub(super) struct DeadLetters {
    channel: Arc<dyn Channel>,
    /// Owner of the position, and what the owners of all sinks of the channel begin with.
    mark: Option<(String, String)>,
}

impl DeadLetters {
    /// For the sink `sink` of `agent`, or the group that it is the first of, which takes from the channel `from`.
    pub(super) fn new(agent: &str, from: (&str, &Arc<dyn Channel>), sink: &str, channel: Arc<dyn Channel>) -> Self {
        let (name, source) = from;
        let store = |channel: &Arc<dyn Channel>| channel.store_part().map(|(store, _)| store);
        let is_shared = store(source).is_some() && store(source) == store(&channel);
        let prefix = format!("{agent}/dead-letter/{name}/");
        let mark = is_shared.then(|| (format!("{prefix}{sink}"), prefix));
        Self { channel, mark }
    }

    /// Puts the first event of a take, unless a put before a crash has done so, and leaves its commit to the caller.
    pub(super) fn put_first(&self, take: &mut TakeTransaction) -> Result<(), Failure> {
        let Some(event) = take.first().cloned() else { return Ok(()) };
        let mut batch = PutBatch::new(vec![event]);
        if let (Some((owner, prefix)), Some(id)) = (&self.mark, take.id(0)) {
            let id = encode(id);
            // Another sink of the channel may have put it.
            let found = self.channel.positions(prefix).into_iter().find(|(_, marked)| *marked == id);
            let is_there = found.is_some();
            take.clear_position(found.map_or_else(|| owner.clone(), |(marker, _)| marker));
            if is_there {
                return Ok(());
            }
            batch.set_position(owner, id);
        }
        let put = guarded(|| {
            let mut transaction = self.channel.begin_put();
            transaction.set_batch(batch);
            transaction.set_wait(Wait::up_to(DEAD_LETTER_WAIT));
            Ok::<_, SinkError>(transaction.commit())
        })?;
        // Full, closed or too large: the event stays where it is, whatever the other channel's state.
        put.map(drop).map_err(|error| Failure::Retry(error.into()))
    }
}

fn encode(id: EventId) -> Bytes {
    [&id.lane.to_le_bytes()[..], &id.seq.to_le_bytes()[..]].concat().into()
}
