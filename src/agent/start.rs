//! Starting an agent: channels are open already, then sinks, then sources.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::builder::PermanentPolicy;
use super::circle::{Circle, circles};
use super::claim::Claim;
use super::component::{Component, ComponentEnd, ComponentKind};
use super::dead_letter::DeadLetters;
use super::failure::guarded;
use super::grouping::assemble;
use super::into::SourceKind;
use super::port::{Path, Port};
use super::pusher::{Gate, Pusher};
use super::report::{Drain, StartError};
use super::running::{RunningAgent, RunningChannel, RunningSink, RunningSource};
use super::signal::Signal;
use super::sink_runner::{OnPermanent, SinkRunner};
use super::source_runner::{PullRunner, run_push};
use super::topology::{GroupPlan, SinkPlan, SourcePlan, Topology};
use crate::channel::Channel;
use crate::error::TakeError;
use crate::limits::SINK_OPEN_WAIT;
use crate::shutdown::Shutdown;
use crate::sink::group::GroupMonitor;
use crate::sink::{SinkContext, SinkCounters};
use crate::source::{SourceContext, SourceCounters, SourceError};
use crate::tell;
use crate::wait::{Bell, Wait};

/// Starts everything, or nothing.
pub(super) fn start(topology: Topology) -> Result<RunningAgent, StartError> {
    let channels = topology.channels;
    let mut agent = RunningAgent {
        name: topology.name,
        signal: Arc::new(Signal::new()),
        stop_sources: Shutdown::new(),
        stop_sinks: Shutdown::new(),
        stop_wait: Shutdown::new(),
        channels: Vec::with_capacity(channels.len()),
        sources: Vec::with_capacity(topology.sources.len()),
        sinks: Vec::with_capacity(topology.sinks.len()),
    };
    for plan in channels {
        // Nothing would ever come through it. Taking no event asks for nothing else.
        if let Err(TakeError::Closed { .. }) = plan.channel.take(0, Wait::NONE) {
            return Err(StartError::Closed { channel: plan.name });
        }
        agent.channels.push(RunningChannel { name: plan.name, channel: plan.channel, close: plan.close });
    }
    let started = start_sinks(&mut agent, topology.sinks, topology.groups)
        .and_then(|()| start_sources(&mut agent, topology.sources));
    if let Err(error) = started {
        agent.stop_threads(Drain::NONE);
        return Err(error);
    }
    Ok(agent)
}

fn start_sinks(agent: &mut RunningAgent, mut sinks: Vec<SinkPlan>, groups: Vec<GroupPlan>) -> Result<(), StartError> {
    let groups: Vec<_> = groups.into_iter().map(|group| assemble(group, &mut sinks)).collect();
    let groups = groups.into_iter().map(|(plan, members)| (plan, Some(members)));
    let plans: Vec<_> = sinks.into_iter().map(|plan| (plan, None)).chain(groups).collect();
    let diversion = |plan: &'_ SinkPlan| match &plan.on_permanent {
        PermanentPolicy::Divert(into) => Some((plan.channel.clone(), into.clone())),
        _ => None,
    };
    let diversions: Vec<_> = plans.iter().filter_map(|(plan, _)| diversion(plan)).collect();
    let circles = circles(&diversions.iter().map(|(from, into)| (&**from, &**into)).collect::<Vec<_>>());
    for (plan, members) in plans {
        let circle = circles.get(&plan.channel).cloned();
        let sink = start_sink(agent, plan, members, circle)?;
        agent.sinks.push(sink);
    }
    // A sink that cannot reach its destination yet must not hold up the sources: what they bring waits in the channels.
    let end = agent.signal.now() + SINK_OPEN_WAIT;
    agent.signal.wait_until(Some(end), || agent.sinks.iter().all(|sink| sink.component.has_attempted()));
    agent.sinks.iter().try_for_each(|sink| failed_open(&sink.component))
}

fn start_sources(agent: &mut RunningAgent, plans: Vec<SourcePlan>) -> Result<(), StartError> {
    for plan in plans {
        let source = start_source(agent, plan)?;
        agent.sources.push(source);
    }
    agent.signal.wait_until(None, || agent.sources.iter().all(|source| source.component.has_attempted()));
    agent.sources.iter().try_for_each(|source| failed_open(&source.component))
}

fn failed_open(component: &Component) -> Result<(), StartError> {
    match component.take_failed_open() {
        None => Ok(()),
        Some(source) => Err(StartError::Open { kind: component.kind, name: component.name.clone(), source }),
    }
}

fn start_sink(
    agent: &RunningAgent,
    plan: SinkPlan,
    members: Option<GroupMonitor>,
    circle: Option<Arc<Circle>>,
) -> Result<RunningSink, StartError> {
    let SinkPlan { name, sink, channel, batch, retry, on_permanent } = plan;
    let stop = agent.stop_sinks.clone();
    let kind = if members.is_some() { ComponentKind::SinkGroup } else { ComponentKind::Sink };
    let component = Component::new(kind, &name, stop.clone(), agent.signal.clone(), retry);
    let from = channel;
    let channel = find(agent, &component, &from)?;
    let counters = Arc::new(SinkCounters::default());
    let bell = Arc::new(Bell::default());
    // Positions are those of sinks. A group has none of its own, and may have the name of any sink.
    let sinks = members.as_ref().map_or_else(|| vec![name.clone()], GroupMonitor::names);
    let on_permanent = match on_permanent {
        PermanentPolicy::Retry => OnPermanent::Retry,
        PermanentPolicy::Drop => OnPermanent::Drop,
        PermanentPolicy::Divert(other) => {
            let other = find(agent, &component, &other)?;
            OnPermanent::Divert(DeadLetters::new(&agent.name, (&from, &channel), other))
        }
    };
    let runner = SinkRunner {
        component: component.clone(),
        context: SinkContext::of_agent(&agent.name, &name, channel.clone(), stop),
        channel: channel.clone(),
        events_max: batch,
        on_permanent,
        circle,
        counters: counters.clone(),
        bell: bell.clone(),
        is_refused: Cell::new(false),
    };
    let prefix = |sink: &String| (channel.clone(), runner.context.other(sink).prefix().to_owned());
    let claim = Claim::new(sinks.iter().map(prefix).collect());
    let thread = spawn(agent, &component, move || in_order(claim, sink, |sink, claim| runner.run(&mut **sink, claim)))?;
    Ok(RunningSink { component, counters, bell, channel, members, thread: Some(thread) })
}

fn start_source(agent: &RunningAgent, plan: SourcePlan) -> Result<RunningSource, StartError> {
    let SourcePlan { name, source, interceptors, selector, required, optional, batch, retry, idle } = plan;
    let stop = agent.stop_sources.clone();
    let component = Component::new(ComponentKind::Source, &name, stop.clone(), agent.signal.clone(), retry);
    let resolve = |names: Vec<String>| {
        let found = names.into_iter().map(|name| find(agent, &component, &name).map(|channel| (name, channel)));
        found.collect::<Result<Vec<_>, _>>()
    };
    let path = Path { interceptors, selector, required: resolve(required)?, optional: resolve(optional)? };
    let counters: Arc<SourceCounters> = Arc::default();
    let port = Arc::new(Port::new(component.clone(), path, counters.clone()));
    let with_positions = port.with_positions().cloned();
    let context = SourceContext::of_agent(&agent.name, &name, port, stop, counters);
    let claim = Claim::new(with_positions.into_iter().map(|channel| (channel, context.prefix().to_owned())).collect());
    let mut running = RunningSource {
        component: component.clone(),
        context: context.clone(),
        pusher: None,
        gate: None,
        thread: None,
    };
    match source {
        SourceKind::Push(source) => {
            let body = {
                let component = component.clone();
                move || in_order(claim, source, |source, claim| run_push(&mut **source, &component, &context, claim))
            };
            running.thread = Some(spawn(agent, &component, body)?);
        }
        SourceKind::Pull(source) => {
            let runner = PullRunner { component: component.clone(), context, events_max: batch, idle };
            running.thread = Some(spawn(agent, &component, move || {
                in_order(claim, source, |source, claim| runner.run(&mut **source, claim))
            })?);
        }
        SourceKind::Pusher => {
            let gate = Arc::new(Gate::new(component.clone()));
            running.pusher = Some(Pusher::new(context, gate.clone()));
            running.gate = Some(gate);
            component.opened();
        }
    }
    Ok(running)
}

/// Runs a component, drops it, and only then, even if something panics, what it had for itself: the drop may still work.
fn in_order<C>(
    mut claim: Claim,
    mut component: C,
    run: impl FnOnce(&mut C, &mut Claim) -> ComponentEnd,
) -> ComponentEnd {
    let end = run(&mut component, &mut claim);
    drop(component);
    end
}

/// The channel of a name, which the builder has checked to exist.
fn find(agent: &RunningAgent, component: &Component, channel: &str) -> Result<Arc<dyn Channel>, StartError> {
    agent.channels.iter().find(|known| known.name == channel).map(|known| known.channel.clone()).ok_or_else(|| {
        StartError::Open {
            kind: component.kind,
            name: component.name.clone(),
            source: format!("there is no channel {channel}").into(),
        }
    })
}

/// Runs `body` in a thread of its own and records how it ended, even by a panic of the runner or of a component's drop.
fn spawn(
    agent: &RunningAgent,
    component: &Arc<Component>,
    body: impl FnOnce() -> ComponentEnd + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let name = format!("aqueduct-{}-{}", agent.name, component.name);
    let supervised = component.clone();
    let agent = agent.name.clone();
    let thread = thread::Builder::new().name(name).spawn(move || {
        let _span = tell::component(&agent, &supervised.kind, &supervised.name);
        let end = guarded(|| Ok::<_, SourceError>(body()));
        supervised.ended(end.unwrap_or_else(|failure| ComponentEnd::Failed(failure.message())));
    });
    thread.map_err(|source: io::Error| StartError::Thread {
        kind: component.kind,
        name: component.name.clone(),
        source,
    })
}
