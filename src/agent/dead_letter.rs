//! Events that a sink can never deliver, on their way into another channel.

use std::sync::Arc;

use bytes::Bytes;

use super::failure::{Failure, guarded};
use crate::batch::PutBatch;
use crate::channel::{Channel, TakeTransaction};
use crate::event::{Event, EventId};
use crate::limits::DEAD_LETTER_WAIT;
use crate::sink::SinkError;
use crate::wait::Wait;

/// The channel for what a sink cannot deliver.
///
/// If both channels are of one store, each event gets there once: a position whose owner is named after it is set in the transaction
/// of the put and cleared in that of the take. An event that comes again and has one was put before a crash, or by another sink.
pub(super) struct DeadLetters {
    channel: Arc<dyn Channel>,
    /// What the owners of the positions begin with.
    marks: Option<String>,
}

impl DeadLetters {
    /// For what the sinks of `agent` cannot deliver from the channel `from`.
    pub(super) fn new(agent: &str, from: (&str, &Arc<dyn Channel>), channel: Arc<dyn Channel>) -> Self {
        let (name, source) = from;
        let store = |channel: &Arc<dyn Channel>| channel.store_part().map(|(store, _)| store);
        let is_shared = store(source).is_some() && store(source) == store(&channel);
        let marks = is_shared.then(|| format!("{agent}/dead-letter/{name}/"));
        Self { channel, marks }
    }

    /// Puts the first event of a take, unless a put before a crash has done so, and leaves its commit to the caller.
    pub(super) fn put_first(&self, take: &mut TakeTransaction) -> Result<(), Failure> {
        let Some(event) = take.first().cloned() else { return Ok(()) };
        let mut batch = PutBatch::new(vec![event.clone()]);
        if let (Some(marks), Some(EventId { lane, seq })) = (&self.marks, take.id(0)) {
            // Not one for each sink: one that goes on with another event would forget what it has put and nobody has committed.
            let owner = format!("{marks}{lane}-{seq}");
            // Where a power cut may take an event and leave its mark, another one can get its identity.
            let content = checksum(&event);
            let is_there = self.channel.position(&owner).is_some_and(|marked| marked == content);
            take.clear_position(owner.clone());
            if is_there {
                return Ok(());
            }
            batch.set_position(owner, content);
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

fn checksum(event: &Event) -> Bytes {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(event.headers().as_encoded());
    hasher.update(event.body());
    Bytes::copy_from_slice(&hasher.finalize().to_le_bytes())
}
