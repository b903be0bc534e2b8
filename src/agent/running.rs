//! A running agent, and stopping it.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::component::{Component, ComponentEnd, ComponentKind};
use super::mistake::nearest;
use super::pusher::{Gate, Pusher};
use super::report::{
    AgentStats, ChannelLeft, ChannelSnapshot, ComponentReport, Drain, Outcome, ShutdownError, ShutdownReport,
    SinkGroupSnapshot, SinkSnapshot, SourceSnapshot, UnknownPusher,
};
use super::signal::Signal;
use crate::channel::Channel;
use crate::limits::RECALL_LOOK;
use crate::shutdown::Shutdown;
use crate::sink::SinkCounters;
use crate::sink::group::{GroupMonitor, MemberSnapshot};
use crate::source::SourceContext;
use crate::stats::{ChannelStats, Health};
use crate::tell::tell;
use crate::wait::{Bell, Wait};

/// An agent at work. Stop it with [`shutdown`](Self::shutdown).
///
/// Dropping it asks everything to stop and waits for nothing: the threads end by themselves, those of sinks after their current
/// batch, and what is in the channels stays there. The channels are not closed. An agent that is started on the same
/// channels before these threads have ended opens components of the same names only after them.
pub struct RunningAgent {
    pub(super) name: String,
    pub(super) signal: Arc<Signal>,
    pub(super) stop_sources: Shutdown,
    pub(super) stop_sinks: Shutdown,
    // Ends a `wait_done` before its time.
    pub(super) stop_wait: Shutdown,
    pub(super) channels: Vec<RunningChannel>,
    pub(super) sources: Vec<RunningSource>,
    pub(super) sinks: Vec<RunningSink>,
}

pub(super) struct RunningChannel {
    pub(super) name: String,
    pub(super) channel: Arc<dyn Channel>,
    pub(super) close: bool,
}

pub(super) struct RunningSource {
    pub(super) component: Arc<Component>,
    pub(super) context: SourceContext,
    pub(super) pusher: Option<Pusher>,
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

pub(super) struct RunningSink {
    pub(super) component: Arc<Component>,
    pub(super) counters: Arc<SinkCounters>,
    pub(super) bell: Arc<Bell>,
    pub(super) channel: Arc<dyn Channel>,
    // Of a group.
    pub(super) members: Option<GroupMonitor>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl RunningAgent {
    /// The name of the agent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// State and counters of everything, now.
    #[must_use]
    pub fn stats(&self) -> AgentStats {
        let channel =
            |running: &RunningChannel| ChannelSnapshot { name: running.name.clone(), stats: running.channel.stats() };
        let source = |running: &RunningSource| SourceSnapshot {
            name: running.component.name.clone(),
            status: running.component.status(),
            stats: running.context.counters().snapshot(),
        };
        AgentStats {
            name: self.name.clone(),
            uptime: self.signal.now(),
            channels: self.channels.iter().map(channel).collect(),
            sources: self.sources.iter().map(source).collect(),
            sinks: self.sinks.iter().flat_map(RunningSink::snapshots).collect(),
            groups: self.sinks.iter().filter_map(RunningSink::group).collect(),
        }
    }

    /// A handle to push events with, of a source that was added by [`AgentBuilder::pusher`](super::AgentBuilder::pusher).
    ///
    /// # Errors
    /// If there is no such source.
    pub fn pusher(&self, name: &str) -> Result<Pusher, UnknownPusher> {
        let pushers = || self.sources.iter().filter_map(|source| source.pusher.as_ref());
        pushers().find(|pusher| pusher.name() == name).cloned().ok_or_else(|| UnknownPusher {
            agent: self.name.clone(),
            name: name.to_owned(),
            nearest: nearest(name, pushers().map(Pusher::name)).map(str::to_owned),
        })
    }

    /// A token that ends [`wait_done`](Self::wait_done) before its time, for another thread such as a signal handler's.
    #[must_use]
    pub fn stop_token(&self) -> Shutdown {
        self.stop_wait.clone()
    }

    /// Waits until all sources are done and the channels that have sinks are empty, with no put on its way. Returns earlier if
    /// that cannot happen any more because a component failed, or a data directory that withholds events, at the limit, and on a
    /// request by the [`stop_token`](Self::stop_token).
    ///
    /// Nothing is stopped; call [`shutdown`](Self::shutdown) next. A pusher is done once it is
    /// [finished](Pusher::finish); listeners never are.
    #[must_use]
    pub fn wait_done(&self, limit: Wait) -> Outcome {
        let end = limit.limit().map(|limit| self.signal.now().saturating_add(limit));
        let mut before = None;
        let mut over = None;
        self.signal.wait_until(end, || {
            over = self.outcome_so_far(&mut before);
            over.is_some() || self.stop_wait.is_requested()
        });
        over.unwrap_or(Outcome::Stopped)
    }

    /// Stops the agent: the sources first, then, once the channels are empty or the time is over, the sinks, then the
    /// channels.
    ///
    /// # Blocking
    /// As long as `drain` says: its limit, and its grace for components that do not return.
    ///
    /// # Errors
    /// [`ShutdownError`] if a channel could not be closed cleanly. The agent has stopped all the same, and the error has the
    /// report.
    pub fn shutdown(mut self, drain: Drain) -> Result<ShutdownReport, ShutdownError> {
        self.stop_threads(drain);
        let stats = self.stats();
        let mut left = Vec::with_capacity(self.channels.len());
        let (mut failed, mut unclosed) = (None, Vec::new());
        for running in &self.channels {
            let (events, bytes) = backlog(&running.channel.stats());
            let (name, has_sink) = (running.name.clone(), self.sinks_of(running).next().is_some());
            let mut closed = running.close;
            if closed && let Err(error) = running.channel.close() {
                closed = !error.leaves_something_to_save();
                failed.get_or_insert((running.name.clone(), error));
                unclosed.push(running.channel.clone());
            }
            left.push(ChannelLeft { name, events, bytes, closed, has_sink });
        }
        for ChannelLeft { name, events, .. } in &left {
            tell!(INFO, "agent leaves a channel", agent = self.name, channel = name, events = events);
        }
        let report = ShutdownReport {
            name: self.name.clone(),
            outcome: self.final_outcome(left.iter().all(|channel| channel.events == 0 || !channel.has_sink)),
            left,
            components: self.components().map(report).chain(self.sinks.iter().flat_map(RunningSink::reports)).collect(),
            stats,
        };
        match failed {
            None => Ok(report),
            Some((channel, source)) => Err(ShutdownError { channel, source, report: Box::new(report), unclosed }),
        }
    }

    /// Stops sources and sinks and waits for their threads.
    pub(super) fn stop_threads(&mut self, drain: Drain) {
        let begun = self.signal.now();
        let end_of_drain = begun.saturating_add(drain.limit);
        self.request_sources();
        let end_of_grace = begun.saturating_add(drain.grace);
        let is_over = || self.sources.iter().all(|source| source.component.has_ended());
        if !self.signal.wait_until(Some(end_of_grace), is_over) {
            self.sources.iter().for_each(|source| source.component.give_up.request());
            self.signal.wait_until(Some(self.signal.now().saturating_add(RECALL_LOOK * 2)), is_over);
        }
        if !drain.limit.is_zero() {
            let mut before = None;
            self.signal.wait_until(Some(end_of_drain), || self.is_drained(&mut before));
        }
        self.request_sinks();
        let end_of_grace = self.signal.now().saturating_add(drain.grace);
        self.signal.wait_until(Some(end_of_grace), || self.sinks.iter().all(|sink| sink.component.has_ended()));
        let sources = self.sources.iter_mut().map(|source| (&source.component, &mut source.thread));
        let sinks = self.sinks.iter_mut().map(|sink| (&sink.component, &mut sink.thread));
        for (component, thread) in sources.chain(sinks) {
            if !component.has_ended() {
                component.ended(ComponentEnd::Stuck);
            } else if let Some(thread) = thread.take() {
                // The thread has recorded its end as the last thing it did; panics were caught inside.
                let _ = thread.join();
            }
        }
    }

    fn request_sources(&self) {
        self.stop_sources.request();
        for gate in self.sources.iter().filter_map(|source| source.gate.as_ref()) {
            gate.shut(ComponentEnd::Stopped);
        }
    }

    fn request_sinks(&self) {
        self.stop_sinks.request();
        self.sinks.iter().for_each(|sink| sink.bell.ring());
    }

    fn components(&self) -> impl Iterator<Item = &Component> {
        let sources = self.sources.iter().map(|source| &*source.component);
        sources.chain(self.sinks.iter().map(|sink| &*sink.component))
    }

    /// The sinks that take from the channel, or have done so.
    fn sinks_of(&self, channel: &RunningChannel) -> impl Iterator<Item = &RunningSink> {
        self.sinks.iter().filter(|sink| Arc::ptr_eq(&sink.channel, &channel.channel))
    }

    /// Whether a sink that still runs takes from the channel.
    fn has_sink(&self, channel: &RunningChannel) -> bool {
        self.sinks_of(channel).any(|sink| !sink.component.has_ended())
    }

    /// Whether all channels that a sink still takes from are empty, but for what no sink gets any more, and nothing is on its way
    /// into them. Events may move from one channel to another (a sink that diverts, or puts into a channel), so it counts only
    /// if nothing was put since the look before, `before`.
    fn is_drained(&self, before: &mut Option<u64>) -> bool {
        let mut puts = 0u64;
        for running in self.channels.iter().filter(|running| self.has_sink(running)) {
            let stats = running.channel.stats();
            if backlog(&stats).0 > stats.withheld_events {
                *before = None;
                return false;
            }
            puts = puts.wrapping_add(stats.put_success_events);
        }
        if *before == Some(puts) {
            return true;
        }
        *before = Some(puts);
        self.signal.notify();
        false
    }

    /// The outcome of a bounded run, once there is one.
    fn outcome_so_far(&self, before: &mut Option<u64>) -> Option<Outcome> {
        let abandoned = self.channels.iter().any(|channel| {
            let had_sink = self.sinks_of(channel).next().is_some();
            had_sink && !self.has_sink(channel) && backlog(&channel.channel.stats()).0 > 0
        });
        if abandoned {
            return Some(Outcome::Failed);
        }
        if !self.sources.iter().all(|source| source.component.has_ended()) || !self.is_drained(before) {
            return None;
        }
        let failed = self.components().any(|component| matches!(component.end(), Some(ComponentEnd::Failed(_))))
            || self
                .channels
                .iter()
                .any(|running| self.has_sink(running) && running.channel.stats().withheld_events > 0);
        Some(if failed { Outcome::Failed } else { Outcome::Completed })
    }

    /// The outcome after everything has stopped.
    fn final_outcome(&self, is_drained: bool) -> Outcome {
        let failed = |component: &Component| {
            component.close_error().is_some()
                || matches!(component.end(), Some(ComponentEnd::Failed(_) | ComponentEnd::Stuck))
        };
        if self.components().any(failed) {
            return Outcome::Failed;
        }
        let done = self.sources.iter().all(|source| source.component.end() == Some(ComponentEnd::Done));
        if done && is_drained { Outcome::Completed } else { Outcome::Stopped }
    }
}

impl RunningSink {
    fn snapshots(&self) -> Vec<SinkSnapshot> {
        let Some(members) = &self.members else {
            let (name, status) = (self.component.name.clone(), self.component.status());
            return vec![SinkSnapshot { name, status, stats: self.counters.snapshot() }];
        };
        let member = |member: MemberSnapshot| {
            let MemberSnapshot { name, status, stats, .. } = member;
            SinkSnapshot { name, status, stats }
        };
        members.members().into_iter().map(member).collect()
    }

    fn group(&self) -> Option<SinkGroupSnapshot> {
        Some(SinkGroupSnapshot {
            name: self.component.name.clone(),
            sinks: self.members.as_ref()?.names(),
            status: self.component.status(),
            stats: self.counters.snapshot(),
        })
    }

    /// How the sinks of a group ended.
    fn reports(&self) -> Vec<ComponentReport> {
        let end_of_group = self.component.end().unwrap_or(ComponentEnd::Stuck);
        let report = |member: MemberSnapshot| {
            let MemberSnapshot { name, status, close_error, .. } = member;
            let end = match &status.last_error {
                Some(error) if status.health == Health::Failed => ComponentEnd::Failed(error.clone()),
                _ => end_of_group.clone(),
            };
            ComponentReport { kind: ComponentKind::Sink, name, end, status, close_error }
        };
        self.members.iter().flat_map(GroupMonitor::members).map(report).collect()
    }
}

/// Events that the channel has and that are on their way into it, and their bytes.
fn backlog(stats: &ChannelStats) -> (u64, u64) {
    (stats.depth_events + stats.reserved_events, stats.depth_bytes + stats.reserved_bytes)
}

fn report(component: &Component) -> ComponentReport {
    ComponentReport {
        kind: component.kind,
        name: component.name.clone(),
        end: component.end().unwrap_or(ComponentEnd::Stuck),
        status: component.status(),
        close_error: component.close_error(),
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.request_sources();
        self.sources.iter().for_each(|source| source.component.give_up.request());
        self.request_sinks();
    }
}

impl fmt::Debug for RunningAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let components: Vec<_> = self.components().map(|component| &component.name).collect();
        f.debug_struct("RunningAgent")
            .field("name", &self.name)
            .field("components", &components)
            .finish_non_exhaustive()
    }
}
