//! The numbers of agents, channels and stores for the facade of the crate [`metrics`].
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
/// What is passed on of a counter is what was added since the last snapshot. One that is lower than it was belongs to
/// something that was started or opened again, and counts from 0: so the recorder's counters go on over restarts within the
/// process, if no counter had passed its last value before it was seen again. Use one mirror for all, and names that are unique
/// among what runs at the same time. The last numbers of an agent are in
/// [`ShutdownReport::stats`](crate::agent::ShutdownReport::stats).
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
        CHANNEL.describe("channel");
        SOURCE.describe("source");
        SINK.describe("sink");
        SINK.describe("sink_group");
        COMPONENT.describe("component");
        STORE.describe("store");
        LANE.describe("store");
        Self::default()
    }

    /// An agent: its channels, sources, sinks and groups of sinks, with the label `agent` and one for the component.
    pub fn agent(&mut self, stats: &AgentStats) {
        let labels = |kind: &'static str, name: &str| {
            vec![Label::new("agent", stats.name.clone()), Label::new(kind, name.to_owned())]
        };
        for channel in &stats.channels {
            self.pass("channel", &CHANNEL, &channel.stats, &labels("channel", &channel.name));
        }
        for source in &stats.sources {
            let labels = labels("source", &source.name);
            self.pass("source", &SOURCE, &source.stats, &labels);
            self.pass("component", &COMPONENT, &source.status, &labels);
        }
        for sink in &stats.sinks {
            let labels = labels("sink", &sink.name);
            self.pass("sink", &SINK, &sink.stats, &labels);
            self.pass("component", &COMPONENT, &sink.status, &labels);
        }
        for group in &stats.groups {
            let labels = labels("group", &group.name);
            self.pass("sink_group", &SINK, &group.stats, &labels);
            self.pass("component", &COMPONENT, &group.status, &labels);
        }
    }

    /// A channel that is used without an agent, with the label `channel`.
    pub fn channel(&mut self, name: &str, stats: &ChannelStats) {
        self.pass("channel", &CHANNEL, stats, &[Label::new("channel", name.to_owned())]);
    }

    /// A store, with the label `store`, and its data directories, with the label `dir` besides. The channels of a store are
    /// those of the agent.
    pub fn store(&mut self, name: &str, stats: &StoreStats) {
        let label = Label::new("store", name.to_owned());
        self.pass("store", &STORE, stats, std::slice::from_ref(&label));
        for lane in &stats.lanes {
            let dir = Label::new("dir", lane.path.to_string_lossy().into_owned());
            self.pass("store", &LANE, lane, &[label.clone(), dir]);
        }
    }

    fn pass<S>(&mut self, kind: &str, series: &Series<S>, stats: &S, labels: &[Label]) {
        for (field, _, read) in series.gauges {
            gauge!(gauge_name(kind, field), labels.iter()).set(read(stats));
        }
        for (field, _, read) in series.counters {
            let now = read(stats);
            let key = Key::from_parts(counter_name(kind, field), labels.to_vec());
            let counter = counter!(key.name().to_owned(), labels.iter());
            let last = self.last.entry(key).or_default();
            let added = now.checked_sub(*last).unwrap_or(now);
            *last = now;
            counter.increment(added);
        }
    }
}

fn gauge_name(kind: &str, field: &str) -> String {
    format!("aqueduct_{kind}_{field}")
}

fn counter_name(kind: &str, field: &str) -> String {
    format!("aqueduct_{kind}_{field}_total")
}

/// The numbers of one kind of snapshot: the last part of the name, what it means, and where it is found.
struct Series<S: 'static> {
    gauges: &'static [Number<S, f64>],
    counters: &'static [Number<S, u64>],
}

type Number<S, V> = (&'static str, &'static str, fn(&S) -> V);

impl<S> Series<S> {
    fn describe(&self, kind: &str) {
        for (field, meaning, _) in self.gauges {
            match unit(field) {
                Some(unit) => describe_gauge!(gauge_name(kind, field), unit, *meaning),
                None => describe_gauge!(gauge_name(kind, field), *meaning),
            }
        }
        for (field, meaning, _) in self.counters {
            match unit(field) {
                Some(unit) => describe_counter!(counter_name(kind, field), unit, *meaning),
                None => describe_counter!(counter_name(kind, field), *meaning),
            }
        }
    }
}

fn unit(field: &str) -> Option<Unit> {
    match field.rsplit_once('_')?.1 {
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
        ("depth_events", "Events in the channel, those in open takes included", |s| real(s.depth_events)),
        ("depth_bytes", "Bytes of the events in the channel", |s| real(s.depth_bytes)),
        ("reserved_events", "Events on their way into the channel", |s| real(s.reserved_events)),
        ("reserved_bytes", "Bytes of the events on their way into the channel", |s| real(s.reserved_bytes)),
        ("in_flight_events", "Events in open takes", |s| real(s.in_flight_events)),
        ("withheld_events", "Events that wait for the store to be opened again", |s| real(s.withheld_events)),
        ("capacity_events", "Capacity in events", |s| real(s.capacity_events)),
        ("capacity_bytes", "Capacity in bytes", |s| real(s.capacity_bytes)),
        (
            "oldest_age_seconds",
            "Age of the oldest event that was put since the channel was opened, 0 if there is none",
            |s| s.oldest_age.unwrap_or_default().as_secs_f64(),
        ),
    ],
    counters: &[
        ("put_attempt_events", "Events that callers tried to put", |s| s.put_attempt_events),
        ("put_success_events", "Events that were committed", |s| s.put_success_events),
        ("take_attempt_events", "Events handed out to takers, again or not", |s| s.take_attempt_events),
        ("take_success_events", "Events whose take was committed", |s| s.take_success_events),
        ("rolled_back_events", "Events handed back by a rollback", |s| s.rolled_back_events),
        ("dropped_newest_events", "New events that the overflow policy dropped", |s| s.dropped_newest_events),
        ("dropped_oldest_events", "Old events that the overflow policy dropped", |s| s.dropped_oldest_events),
        ("diverted_events", "Events that the overflow policy put elsewhere", |s| s.diverted_events),
        ("lost_events", "Events passed over as damaged", |s| s.lost_events),
        ("put_full", "Puts that found no room within their wait, or had to wait for the disk", |s| s.put_full_count),
        ("put_errors", "Puts that failed for another reason", |s| s.put_error_count),
        ("take_errors", "Takes that failed", |s| s.take_error_count),
    ],
};

const SOURCE: Series<SourceStats> = Series {
    gauges: &[("open_connections", "Connections open now", |s| real(s.open_connections))],
    counters: &[
        ("received_events", "Events handed over by the source", |s| s.received_events),
        ("accepted_events", "Events committed to all required channels, or dropped by an interceptor", |s| {
            s.accepted_events
        }),
        ("intercepted_events", "Events that interceptors dropped", |s| s.intercepted_events),
        ("received_batches", "Transactions handed over", |s| s.received_batches),
        ("accepted_batches", "Transactions committed", |s| s.accepted_batches),
        ("channel_write_fail", "Transactions that a channel refused", |s| s.channel_write_fail),
        ("event_read_fail", "Failed reads from the outside", |s| s.event_read_fail),
        ("dropped_events", "Events that the source gave up", |s| s.dropped_events),
        ("unrouted_events", "Events that the selector sent nowhere", |s| s.unrouted_events),
        ("optional_failed_events", "Events that an optional channel refused", |s| s.optional_failed_events),
    ],
};

const SINK: Series<SinkStats> = Series {
    gauges: &[],
    counters: &[
        ("batch_empty", "Batches with no event", |s| s.batch_empty),
        ("batch_underflow", "Batches that were not full", |s| s.batch_underflow),
        ("batch_complete", "Full batches", |s| s.batch_complete),
        ("drain_attempt_events", "Events handed to the sink, again or not", |s| s.drain_attempt_events),
        ("drain_success_events", "Events delivered and committed", |s| s.drain_success_events),
        ("write_fail", "Failed deliveries", |s| s.write_fail),
        ("channel_read_fail", "Failed takes", |s| s.channel_read_fail),
        ("dropped_events", "Undeliverable events that were dropped", |s| s.dropped_events),
        ("diverted_events", "Undeliverable events that were put elsewhere", |s| s.diverted_events),
    ],
};

const COMPONENT: Series<ComponentStatus> = Series {
    gauges: &[
        ("running", "1 if it is open and works, else 0", |s| real(u64::from(s.health == Health::Running))),
        ("retrying", "1 if it failed and is tried again, else 0", |s| real(u64::from(s.health == Health::Retrying))),
        ("failed", "1 if it failed for good, else 0", |s| real(u64::from(s.health == Health::Failed))),
    ],
    counters: &[
        ("restarts", "Times it was opened again after a failure, or tried a commit again", |s| s.restarts),
        ("panics", "Failures that were panics", |s| s.panics),
    ],
};

const STORE: Series<StoreStats> = Series {
    gauges: &[("sync_max_seconds", "The longest sync since the store was opened", |s| s.sync_time_max.as_secs_f64())],
    counters: &[
        ("syncs", "Syncs of data files by commits", |s| s.syncs),
        ("sync_microseconds", "Time spent in them", |s| u64::try_from(s.sync_time.as_micros()).unwrap_or(u64::MAX)),
        ("records", "Transactions written", |s| s.records),
        ("written_bytes", "Bytes written for them", |s| s.bytes),
        ("checkpoints", "Checkpoints taken", |s| s.checkpoints),
        ("checkpoint_errors", "Checkpoints that failed", |s| s.checkpoint_errors),
    ],
};

const LANE: Series<LaneStats> = Series {
    gauges: &[
        ("poisoned", "1 if the data directory takes no more writes", |s| real(u64::from(s.poisoned.is_some()))),
        ("disk_full", "1 if there was no room for another segment", |s| real(u64::from(s.disk_full))),
        ("segments", "Segments with events", |s| real(s.segments)),
        ("segment_bytes", "Bytes of their files", |s| real(s.segment_bytes)),
        ("spare_bytes", "Bytes of files kept for later segments", |s| real(s.spare_bytes)),
        ("cache_bytes", "Bytes of recent events in memory", |s| real(s.cache_bytes)),
        ("damaged_bytes", "Bytes passed over as damaged", |s| real(s.damaged_bytes)),
    ],
    counters: &[],
};
