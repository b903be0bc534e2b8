//! Flume's sink processors: what a group of sinks does.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{Keys, Made, ProcessorSetup, Registry, Severity, Site};
use crate::limits::SINK_PENALTY_MAX;
use crate::sink::group::{Failover, LoadBalance};

pub(super) fn register(registry: &mut Registry) {
    registry.processor(&["default", "org.apache.flume.sink.DefaultSinkProcessor"], single);
    registry.processor(&["failover", "org.apache.flume.sink.FailoverSinkProcessor"], failover);
    registry.processor(&["load_balance", "org.apache.flume.sink.LoadBalancingSinkProcessor"], load_balance);
}

fn single(keys: &mut Keys, site: &Site<'_>) -> Made<ProcessorSetup> {
    let count = site.sinks().len();
    if count > 1 {
        let why = format!(
            "is for one sink, not for {count}; Flume drops the group and its sinks; use failover or load_balance"
        );
        keys.mistake("type", why);
    }
    Ok(ProcessorSetup::none())
}

fn failover(keys: &mut Keys, site: &Site<'_>) -> Made<ProcessorSetup> {
    let max = keys.bearable("maxpenalty", i32::MIN..=i32::MAX, Borne::Anything, "Flume takes the default of 30000");
    // Below zero there is no penalty either.
    let max = max.map_or(SINK_PENALTY_MAX, |millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
    let mut policy = Failover::new().max_penalty(max);
    let mut given: Vec<(&str, i32)> = Vec::new();
    let mut left_out = Vec::new();
    let mut next = 0;
    for sink in site.sinks() {
        let key = format!("priority.{sink}");
        let instead = "Flume gives the sink a priority below those that have one";
        let priority = keys.bearable(&key, i32::MIN..=i32::MAX, Borne::Anything, instead).unwrap_or_else(|| {
            next -= 1;
            next
        });
        if let Some((other, _)) = given.iter().find(|(_, taken)| *taken == priority) {
            let message =
                format!("sink {other} has the priority {priority}, too; Flume leaves {sink} out of the group");
            keys.problem(Severity::Ignored, &key, message);
            left_out.push(sink.clone());
            continue;
        }
        given.push((sink, priority));
        policy = policy.priority(sink, priority);
    }
    Ok(ProcessorSetup::new(policy).without(left_out))
}

fn load_balance(keys: &mut Keys, site: &Site<'_>) -> Made<ProcessorSetup> {
    let is_random = keys.choice("selector", &[("round_robin", false), ("random", true)], false);
    let max = keys.number("selector.maxTimeOut", i64::MIN..=i64::MAX, 0);
    // For Flume, too, zero is as good as nothing, and less than that is no penalty.
    let backoff = keys.flag("backoff", false) && max >= 0;
    let max = u64::try_from(max).ok().filter(|max| *max > 0).map_or(SINK_PENALTY_MAX, Duration::from_millis);
    let count = site.sinks().len();
    if count < 2 {
        keys.mistake("type", "needs two sinks at least, to share the work; Flume drops the group and its sink");
    }
    Ok(ProcessorSetup::for_each_channel(move || {
        let policy = if is_random { LoadBalance::random() } else { LoadBalance::round_robin() };
        policy.backoff(backoff).max_timeout(max)
    }))
}
