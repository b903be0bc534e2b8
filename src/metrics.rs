//! The numbers of agents, channels and stores for the facade of the crate [`metrics`](::metrics).
//!
//! The crate counts by itself, for whoever asks ([`RunningAgent::stats`](crate::RunningAgent::stats),
//! [`Channel::stats`](crate::Channel::stats), [`FileStore::stats`](crate::FileStore::stats)). A [`Mirror`] passes what these
//! say on to the recorder that the program has installed, such as an exporter for Prometheus. Names and labels are stable and
//! listed in `docs/operations.md`.

use std::collections::HashMap;

use ::metrics::{Key, Label, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::agent::AgentStats;
use crate::stats::{ChannelStats, ComponentStatus, Health, SinkStats, SourceStats};
use crate::store::{LaneStats, StoreStats};

/// Passes snapshots on to the recorder of the crate `metrics`. Call it before each scrape, or every few seconds.
///
/// Counters begin at 0 with each start of an agent and with each open of a channel or store; what is passed on is what was added since
/// the last snapshot, so the recorder's counters go on over restarts within the process. Use one mirror for all.
///
/// ```
/// use aqueduct::metrics::Mirror;
/// use aqueduct::{Channel, MemoryChannel};
///
/// let channel = MemoryChannel::builder("c1").build()?;
/// let mut mirror = Mirror::new();
/// // Every few seconds:
/// mirror.channel("c1", &channel.stats());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Mirror {
    // What counters were at the last snapshot.
    last: HashMap<Key, u64>,
}

impl Mirror {
    /// A mirror that has passed nothing on yet. Tells the installed recorder what the numbers mean.
    #[must_use]
    pub fn new() -> Self {
        CHANNEL.describe();
        SOURCE.describe();
        SINK.describe();
        COMPONENT.describe();
        STORE.describe();
        LANE.describe();
        Self::default()
    }

    /// An agent: its channels, sources, sinks and groups of sinks, with the label `agent` and one for the component.
    pub fn agent(&mut self, stats: &AgentStats) {
        let labels = |kind: &'static str, name: &str| {
            vec![Label::new("agent", stats.name.clone()), Label::new(kind, name.to_owned())]
        };
        for channel in &stats.channels {
            self.pass(&CHANNEL, &channel.stats, &labels("channel", &channel.name));
        }
        for source in &stats.sources {
            let labels = labels("source", &source.name);
            self.pass(&SOURCE, &source.stats, &labels);
            self.pass(&COMPONENT, &source.status, &labels);
        }
        for sink in &stats.sinks {
            let labels = labels("sink", &sink.name);
            self.pass(&SINK, &sink.stats, &labels);
            self.pass(&COMPONENT, &sink.status, &labels);
        }
        for group in &stats.groups {
            let labels = labels("group", &group.name);
            self.pass(&SINK, &group.stats, &labels);
            self.pass(&COMPONENT, &group.status, &labels);
        }
    }

    /// A channel that is used without an agent, with the label `channel`.
    pub fn channel(&mut self, name: &str, stats: &ChannelStats) {
        self.pass(&CHANNEL, stats, &[Label::new("channel", name.to_owned())]);
    }

    /// A store, with the label `store`, and its data directories, with the label `dir` besides. The channels of a store are
    /// those of the agent.
    pub fn store(&mut self, name: &str, stats: &StoreStats) {
        let label = Label::new("store", name.to_owned());
        self.pass(&STORE, stats, std::slice::from_ref(&label));
        for lane in &stats.lanes {
            let dir = Label::new("dir", lane.path.to_string_lossy().into_owned());
            self.pass(&LANE, lane, &[label.clone(), dir]);
        }
    }

    fn pass<S>(&mut self, series: &Series<S>, stats: &S, labels: &[Label]) {
        for (name, _, read) in series.gauges {
            gauge!(*name, labels.iter()).set(read(stats));
        }
        for (name, _, read) in series.counters {
            let now = read(stats);
            let last = self.last.entry(Key::from_parts(*name, labels.to_vec())).or_default();
            // Less than before: it was started or opened again, and has counted so many since.
            let added = now.checked_sub(*last).unwrap_or(now);
            *last = now;
            counter!(*name, labels.iter()).increment(added);
        }
    }
}

/// The numbers of one kind of snapshot: name, meaning, and where it is found.
struct Series<S: 'static> {
    gauges: &'static [Number<S, f64>],
    counters: &'static [Number<S, u64>],
}

type Number<S, V> = (&'static str, &'static str, fn(&S) -> V);

impl<S> Series<S> {
    fn describe(&self) {
        for (name, meaning, _) in self.gauges {
            match unit(name) {
                Some(unit) => describe_gauge!(*name, unit, *meaning),
                None => describe_gauge!(*name, *meaning),
            }
        }
        for (name, meaning, _) in self.counters {
            match unit(name) {
                Some(unit) => describe_counter!(*name, unit, *meaning),
                None => describe_counter!(*name, *meaning),
            }
        }
    }
}

fn unit(name: &str) -> Option<Unit> {
    match name.rsplit_once('_')?.1 {
        "bytes" => Some(Unit::Bytes),
        "seconds" => Some(Unit::Seconds),
        "microseconds" => Some(Unit::Microseconds),
        "events" => Some(Unit::Count),
        _ => None,
    }
}

/// As a recorder has it. Beyond 2^53 it is rounded.
#[allow(clippy::cast_precision_loss)]
fn real(number: u64) -> f64 {
    number as f64
}

const CHANNEL: Series<ChannelStats> = Series {
    gauges: &[
        ("aqueduct_channel_depth_events", "Events in the channel, those in open takes included", |s| {
            real(s.depth_events)
        }),
        ("aqueduct_channel_depth_bytes", "Bytes of the events in the channel", |s| real(s.depth_bytes)),
        ("aqueduct_channel_in_flight_events", "Events in open takes", |s| real(s.in_flight_events)),
        ("aqueduct_channel_capacity_events", "Capacity in events", |s| real(s.capacity_events)),
        ("aqueduct_channel_capacity_bytes", "Capacity in bytes", |s| real(s.capacity_bytes)),
        ("aqueduct_channel_oldest_age_seconds", "Age of the oldest event, 0 if there is none", |s| {
            s.oldest_age.unwrap_or_default().as_secs_f64()
        }),
    ],
    counters: &[
        ("aqueduct_channel_put_attempt_events", "Events that callers tried to put", |s| s.put_attempt_events),
        ("aqueduct_channel_put_success_events", "Events that were committed", |s| s.put_success_events),
        ("aqueduct_channel_take_attempt_events", "Events handed out to takers, again or not", |s| {
            s.take_attempt_events
        }),
        ("aqueduct_channel_take_success_events", "Events whose take was committed", |s| s.take_success_events),
        ("aqueduct_channel_rolled_back_events", "Events handed back by a rollback", |s| s.rolled_back_events),
        ("aqueduct_channel_dropped_newest_events", "New events that the overflow policy dropped", |s| {
            s.dropped_newest_events
        }),
        ("aqueduct_channel_dropped_oldest_events", "Old events that the overflow policy dropped", |s| {
            s.dropped_oldest_events
        }),
        ("aqueduct_channel_diverted_events", "Events that the overflow policy put elsewhere", |s| s.diverted_events),
        ("aqueduct_channel_lost_events", "Events passed over as damaged", |s| s.lost_events),
        ("aqueduct_channel_put_full", "Puts that found no room within their wait", |s| s.put_full_count),
        ("aqueduct_channel_put_errors", "Puts that failed for another reason", |s| s.put_error_count),
        ("aqueduct_channel_take_errors", "Takes that failed", |s| s.take_error_count),
    ],
};

const SOURCE: Series<SourceStats> = Series {
    gauges: &[("aqueduct_source_open_connections", "Connections open now", |s| real(s.open_connections))],
    counters: &[
        ("aqueduct_source_received_events", "Events handed over by the source", |s| s.received_events),
        ("aqueduct_source_accepted_events", "Events committed to all required channels", |s| s.accepted_events),
        ("aqueduct_source_intercepted_events", "Events that interceptors dropped", |s| s.intercepted_events),
        ("aqueduct_source_received_batches", "Transactions handed over", |s| s.received_batches),
        ("aqueduct_source_accepted_batches", "Transactions committed", |s| s.accepted_batches),
        ("aqueduct_source_channel_write_fail", "Transactions that a channel refused", |s| s.channel_write_fail),
        ("aqueduct_source_event_read_fail", "Failed reads from the outside", |s| s.event_read_fail),
        ("aqueduct_source_dropped_events", "Events that the source gave up", |s| s.dropped_events),
        ("aqueduct_source_unrouted_events", "Events that the selector sent nowhere", |s| s.unrouted_events),
        ("aqueduct_source_optional_failed_events", "Events that an optional channel refused", |s| {
            s.optional_failed_events
        }),
    ],
};

const SINK: Series<SinkStats> = Series {
    gauges: &[],
    counters: &[
        ("aqueduct_sink_batch_empty", "Batches with no event", |s| s.batch_empty),
        ("aqueduct_sink_batch_underflow", "Batches that were not full", |s| s.batch_underflow),
        ("aqueduct_sink_batch_complete", "Full batches", |s| s.batch_complete),
        ("aqueduct_sink_drain_attempt_events", "Events handed to the sink, again or not", |s| s.drain_attempt_events),
        ("aqueduct_sink_drain_success_events", "Events delivered and committed", |s| s.drain_success_events),
        ("aqueduct_sink_write_fail", "Failed deliveries", |s| s.write_fail),
        ("aqueduct_sink_channel_read_fail", "Failed takes", |s| s.channel_read_fail),
        ("aqueduct_sink_dropped_events", "Undeliverable events that were dropped", |s| s.dropped_events),
        ("aqueduct_sink_diverted_events", "Undeliverable events that were put elsewhere", |s| s.diverted_events),
    ],
};

const COMPONENT: Series<ComponentStatus> = Series {
    gauges: &[("aqueduct_component_running", "1 if it is open and works, else 0", |s| {
        real(u64::from(s.health == Health::Running))
    })],
    counters: &[
        ("aqueduct_component_restarts", "Times it was opened again after a failure", |s| s.restarts),
        ("aqueduct_component_panics", "Failures that were panics", |s| s.panics),
    ],
};

const STORE: Series<StoreStats> = Series {
    gauges: &[("aqueduct_store_sync_max_seconds", "The longest sync", |s| s.sync_time_max.as_secs_f64())],
    counters: &[
        ("aqueduct_store_syncs", "Syncs of data files by commits", |s| s.syncs),
        ("aqueduct_store_sync_microseconds", "Time spent in them", |s| {
            u64::try_from(s.sync_time.as_micros()).unwrap_or(u64::MAX)
        }),
        ("aqueduct_store_records", "Transactions written", |s| s.records),
        ("aqueduct_store_written_bytes", "Bytes written for them", |s| s.bytes),
        ("aqueduct_store_checkpoints", "Checkpoints taken", |s| s.checkpoints),
        ("aqueduct_store_checkpoint_errors", "Checkpoints that failed", |s| s.checkpoint_errors),
    ],
};

const LANE: Series<LaneStats> = Series {
    gauges: &[
        ("aqueduct_store_poisoned", "1 if the data directory takes no more writes", |s| {
            real(u64::from(s.poisoned.is_some()))
        }),
        ("aqueduct_store_disk_full", "1 if there was no room for another segment", |s| real(u64::from(s.disk_full))),
        ("aqueduct_store_segments", "Segments with events", |s| real(s.segments)),
        ("aqueduct_store_segment_bytes", "Bytes of their files", |s| real(s.segment_bytes)),
        ("aqueduct_store_spare_bytes", "Bytes of files kept for later segments", |s| real(s.spare_bytes)),
        ("aqueduct_store_cache_bytes", "Bytes of recent events in memory", |s| real(s.cache_bytes)),
        ("aqueduct_store_damaged_bytes", "Bytes passed over as damaged", |s| real(s.damaged_bytes)),
    ],
    counters: &[],
};
