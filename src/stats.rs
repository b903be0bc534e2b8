//! Snapshots of what channels and agents did.

use std::time::{Duration, SystemTime};

use crate::clock::{Clock, SystemClock};

/// What a channel holds and did since it was opened; a file channel since its store was. Counter names follow Flume's
/// (`EventPutAttemptCount`, ...).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Events in the channel, those in open takes included.
    pub depth_events: u64,
    /// Bytes of the events in the channel.
    pub depth_bytes: u64,
    /// Events that have room and are on their way into the channel: their put is not committed yet, and may fail.
    /// A put that waits for room, in the channel or on the disk, is not among them.
    pub reserved_events: u64,
    /// Bytes of these events.
    pub reserved_bytes: u64,
    /// Events in open take transactions.
    pub in_flight_events: u64,
    /// Events in the channel that are handed out again only once their store is opened again: a data directory takes no more
    /// writes, and these were behind its last good sync. Counted as takers come upon them.
    pub withheld_events: u64,
    /// Capacity in events.
    pub capacity_events: u64,
    /// Capacity in bytes.
    pub capacity_bytes: u64,
    /// Events that callers tried to put.
    pub put_attempt_events: u64,
    /// Events that were committed.
    pub put_success_events: u64,
    /// Events handed out to takers, redeliveries included.
    pub take_attempt_events: u64,
    /// Events whose take was committed.
    pub take_success_events: u64,
    /// Events handed back by a rollback.
    pub rolled_back_events: u64,
    /// New events that the overflow policy dropped.
    pub dropped_newest_events: u64,
    /// Old events that the overflow policy dropped.
    pub dropped_oldest_events: u64,
    /// New events that the overflow policy put into another channel.
    pub diverted_events: u64,
    /// Events that were passed over because their bytes on disk are damaged; only ever under
    /// [`OnCorruption::Salvage`](crate::store::OnCorruption::Salvage).
    pub lost_events: u64,
    /// Puts that found no room within their wait, and those that had to wait for room on the disk.
    pub put_full_count: u64,
    /// Puts that failed for another reason.
    pub put_error_count: u64,
    /// Takes that failed.
    pub take_error_count: u64,
    /// Age of the oldest event that was put since the channel was opened and is still there.
    pub oldest_age: Option<Duration>,
}

/// What a source did since the agent started. Counter names follow Flume's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStats {
    /// Events handed over by the source (`EventReceivedCount`).
    pub received_events: u64,
    /// Events committed to all required channels, or dropped by an interceptor (`EventAcceptedCount`).
    pub accepted_events: u64,
    /// Events that interceptors dropped.
    pub intercepted_events: u64,
    /// Transactions handed over (`AppendBatchReceivedCount`).
    pub received_batches: u64,
    /// Transactions committed (`AppendBatchAcceptedCount`).
    pub accepted_batches: u64,
    /// Transactions that a channel refused (`ChannelWriteFail`).
    pub channel_write_fail: u64,
    /// Failed reads from the outside (`EventReadFail`).
    pub event_read_fail: u64,
    /// Connections open now (`OpenConnectionCount`).
    pub open_connections: u64,
    /// Events that the source itself gave up, with the reason in its documentation, and those of a source without positions
    /// that no channel took before the grace of a stop was over.
    pub dropped_events: u64,
    /// Events that the selector sent to no channel.
    pub unrouted_events: u64,
    /// Copies of events that an optional channel refused.
    pub optional_failed_events: u64,
}

/// What a sink did since the agent started. Counter names follow Flume's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// Batches with no event (`BatchEmptyCount`).
    pub batch_empty: u64,
    /// Batches with fewer events than the batch size (`BatchUnderflowCount`).
    pub batch_underflow: u64,
    /// Full batches (`BatchCompleteCount`).
    pub batch_complete: u64,
    /// Events handed to the sink, redeliveries included (`EventDrainAttemptCount`).
    pub drain_attempt_events: u64,
    /// Events delivered and committed (`EventDrainSuccessCount`).
    pub drain_success_events: u64,
    /// Failed deliveries (`EventWriteFail`).
    pub write_fail: u64,
    /// Failed takes (`ChannelReadFail`).
    pub channel_read_fail: u64,
    /// Undeliverable events that the sink's policy dropped.
    pub dropped_events: u64,
    /// Undeliverable events that the sink's policy put into another channel.
    pub diverted_events: u64,
}

/// How a component is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It has not been opened yet.
    #[default]
    Starting,
    /// It works.
    Running,
    /// It failed and is tried again after a pause.
    Retrying,
    /// It ended, as it should.
    Ended,
    /// It ended with an error that will not pass. The other components go on.
    Failed,
}

/// State of a component at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentStatus {
    /// How it is.
    pub health: Health,
    /// The last failure, also if it has recovered since.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<SystemTime>,
    /// How often it was opened again after a failure, or tried a commit again.
    pub restarts: u64,
    /// How many of its failures were panics, of its own or of its interceptors and selector.
    pub panics: u64,
}

impl ComponentStatus {
    /// Notes a failure.
    pub(crate) fn note(&mut self, message: &str, is_panic: bool) {
        self.last_error = Some(message.to_owned());
        self.last_error_at = Some(SystemClock::new().wall());
        self.panics += u64::from(is_panic);
    }
}
