//! Sinks that stand in for each other: fail-over and load balancing.
//!
//! | Flume | here |
//! |---|---|
//! | `default` | [`Single`], or no group at all |
//! | `failover` | [`Failover`] |
//! | `load_balance` | [`LoadBalance`] |
//!
//! In an agent, sinks are put into a group by [`AgentBuilder::sink_group`](crate::agent::AgentBuilder::sink_group).

mod failover;
mod load_balance;
mod member;
mod monitor;
mod policy;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::member::{Class, Member};
use super::{Delivered, Sink, SinkBatch, SinkContext, SinkError};
use crate::clock::{Clock, SystemClock};
use crate::limits::{SINK_BATCH_EVENTS, SINK_IDLE};

pub use failover::Failover;
pub use load_balance::LoadBalance;
pub use monitor::{GroupMonitor, MemberSnapshot};
pub use policy::{GroupPolicy, PolicyError, Single};

/// Several sinks of one channel that deliver its events as one. Which of them gets a batch is the matter of a
/// [`GroupPolicy`].
///
/// ```
/// use aqueduct::sink::group::{Failover, SinkGroup};
/// use aqueduct::sink::{self, Delivered, SinkError};
/// use aqueduct::{Agent, Drain, MemoryChannel};
/// use std::time::Duration;
///
/// let group = SinkGroup::new(Failover::new().priority("main", 10).priority("spare", 5))
///     .member("main", sink::from_fn(|_| Err(SinkError::retry("no route to host"))))
///     .member("spare", sink::from_fn(|_| Ok(Delivered::All)));
/// let monitor = group.monitor();
/// let running = Agent::builder("edge")
///     .channel("mem", MemoryChannel::new("mem"))
///     .pusher("app")
///     .to(["mem"])
///     .sink("out", group)
///     .from("mem")
///     .build()?
///     .start()?;
/// running.pusher("app")?.put("hello")?;
/// assert!(running.shutdown(Drain::up_to(Duration::from_secs(30)))?.is_drained());
/// assert_eq!(monitor.member("spare").map(|spare| spare.stats.drain_success_events), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What becomes of errors
///
/// * A member that fails with [`SinkError::Retry`], or panics, is opened again before its next turn; the policy decides when
///   that is. The same batch goes to the next member at once. If no member takes it, the group fails with `Retry`.
/// * [`SinkError::Permanent`] is about the event, not about the member: it brings the member no penalty, although it is opened
///   again as after any error, and the other members are asked. Once all members that have not ended say so of one batch, the
///   group says `Permanent`, and the agent's policy for such events applies. As long as one of them fails otherwise, or is in
///   its penalty, the group says `Retry`: it may deliver the event.
/// * [`SinkError::Fatal`] ends the member: it is closed, and the group goes on without it. The group fails with `Fatal` when no
///   member is left.
///
/// So an event is delivered at least once by one of the members, and twice if one has delivered it and failed all the same.
/// Positions are each member's own, and those of a member that failed are not committed. They are among those of the group,
/// under the name of the member: `<agent>/sink/<group>/<member>/`. A sink that an agent has put into a group keeps the
/// positions that it has by itself.
pub struct SinkGroup {
    policy: Box<dyn GroupPolicy>,
    members: Vec<Member>,
    clock: Arc<dyn Clock>,
    /// Whether the members are sinks of an agent, which have names and positions by themselves.
    is_of_agent: bool,
    was_opened: bool,
    /// The member that delivered what is not committed yet.
    uncommitted: Option<usize>,
}

impl SinkGroup {
    /// A group without members yet.
    pub fn new(policy: impl GroupPolicy + 'static) -> Self {
        Self { is_of_agent: false, ..Self::of_agent(Box::new(policy)) }
    }

    /// A group of sinks of an agent.
    pub(crate) fn of_agent(policy: Box<dyn GroupPolicy>) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self { policy, members: Vec::new(), clock, is_of_agent: true, was_opened: false, uncommitted: None }
    }

    /// Adds a sink. It gets [`SINK_BATCH_EVENTS`] events at once, at most.
    #[must_use]
    pub fn member(self, name: impl Into<String>, sink: impl Sink + 'static) -> Self {
        self.member_with_batch(name, sink, SINK_BATCH_EVENTS)
    }

    /// Adds a sink that gets so many events at once, at most. The batch of the group must be as large.
    #[must_use]
    pub fn member_with_batch(self, name: impl Into<String>, sink: impl Sink + 'static, events: usize) -> Self {
        self.add(name.into(), Box::new(sink), events)
    }

    pub(crate) fn add(mut self, name: String, sink: Box<dyn Sink>, events: usize) -> Self {
        self.members.push(Member::new(name, sink, events.max(1)));
        self
    }

    /// The clock that penalties are measured with.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A view of the members that are there by now, to watch them by.
    #[must_use]
    pub fn monitor(&self) -> GroupMonitor {
        GroupMonitor::new(self.members.iter().map(|member| member.watch.clone()).collect())
    }

    /// The largest batch of a member.
    pub(crate) fn batch(&self) -> usize {
        self.members.iter().map(|member| member.batch).max().unwrap_or(SINK_BATCH_EVENTS)
    }

    fn prepare(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        let names: Vec<String> = self.members.iter().map(|member| member.watch.name.clone()).collect();
        self.policy.bind(&names).map_err(SinkError::fatal)?;
        for (place, member) in self.members.iter_mut().enumerate() {
            let name = &member.watch.name;
            let context = if self.is_of_agent { context.other(name) } else { context.part(name) };
            member.context = Some(context.standing_by(self.policy.stands_by(place)));
        }
        let now = self.clock.monotonic();
        for place in 0..self.members.len() {
            self.ensure_open(place, now);
        }
        if self.members.iter().any(|member| member.is_open) { Ok(()) } else { Err(self.exhausted()) }
    }

    /// The member at a place, open; `None` if it cannot be.
    fn ensure_open(&mut self, place: usize, now: Duration) -> Option<&mut Member> {
        let opened = self.members.get_mut(place)?.ensure_open(now);
        match opened {
            Ok(true) => self.members.get_mut(place),
            Ok(false) => None,
            Err(class) => {
                self.punish(place, class);
                None
            }
        }
    }

    /// From now on, not from the beginning of the attempt: one that took long would have served its penalty by then.
    fn punish(&mut self, place: usize, class: Class) {
        if class != Class::Permanent {
            self.policy.failed(place, self.clock.monotonic());
        }
    }

    /// Calls something of every open member that has done nothing for a while.
    fn tend(&mut self, now: Duration, idle_for: Duration) {
        for place in 0..self.members.len() {
            let Some(member) = self.members.get_mut(place) else { continue };
            if member.is_open
                && now.saturating_sub(member.last_active) >= idle_for
                && let Err(class) = member.idle(now)
            {
                self.punish(place, class);
            }
        }
    }

    /// No member could deliver.
    fn exhausted(&self) -> SinkError {
        let told: Vec<String> = self.members.iter().map(|member| member.watch.told()).collect();
        let error = Exhausted(told.join("; "));
        if self.is_over() { SinkError::fatal(error) } else { SinkError::retry(error) }
    }

    fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.is_over)
    }
}

impl Sink for SinkGroup {
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        if let Some(member) = self.uncommitted.take().and_then(|place| self.members.get_mut(place)) {
            // What it delivered was not committed.
            member.is_open = false;
        }
        if !std::mem::replace(&mut self.was_opened, true) {
            return self.prepare(context);
        }
        // Members are opened when it is their turn.
        if self.is_over() { Err(self.exhausted()) } else { Ok(()) }
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        let now = self.clock.monotonic();
        self.tend(now, SINK_IDLE);
        let mut refusals = Vec::new();
        for place in self.policy.order(now) {
            let Some(member) = self.ensure_open(place, now) else { continue };
            match member.write(batch, now) {
                Ok(events) => {
                    if events > 0 {
                        self.policy.delivered(place, self.clock.monotonic());
                        self.uncommitted = Some(place);
                    }
                    return Ok(Delivered::First(events));
                }
                Err((class, error)) => {
                    self.punish(place, class);
                    if class == Class::Permanent {
                        refusals.push(error);
                    }
                }
            }
        }
        // One that failed otherwise, or waits for the end of its penalty, may still deliver the event.
        let by_all = refusals.len() >= self.members.iter().filter(|member| !member.is_over).count();
        Err(refusals.into_iter().next().filter(|_| by_all).unwrap_or_else(|| self.exhausted()))
    }

    fn committed(&mut self) -> Result<(), SinkError> {
        let Some(place) = self.uncommitted.take() else { return Ok(()) };
        if let Some(Err(class)) = self.members.get_mut(place).map(Member::committed) {
            self.punish(place, class);
        }
        if self.is_over() { Err(self.exhausted()) } else { Ok(()) }
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.tend(self.clock.monotonic(), Duration::ZERO);
        if self.is_over() { Err(self.exhausted()) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let failed: Vec<String> = self.members.iter_mut().filter_map(Member::close).collect();
        if failed.is_empty() { Ok(()) } else { Err(SinkError::retry(failed.join("; "))) }
    }
}

/// No member of the group can deliver now; what became of each.
#[derive(Debug, thiserror::Error)]
#[error("no sink of the group could deliver: {0}")]
struct Exhausted(String);

impl fmt::Debug for SinkGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.members.iter().map(|member| &member.watch.name).collect();
        f.debug_struct("SinkGroup").field("members", &names).finish_non_exhaustive()
    }
}
