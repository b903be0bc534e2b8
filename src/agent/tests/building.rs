//! What the builder finds wrong.

use super::channels::Store;
use super::*;
use crate::agent::{Backoff, ComponentKind, Mistake, PermanentPolicy};
use crate::limits::TRANSACTION_EVENTS_MAX;
use crate::selector::{Route, Selector, SelectorError};

#[allow(clippy::unnecessary_wraps)] // the form of a source
fn idle(_: &mut PullBatch) -> Result<Pulled, SourceError> {
    Ok(Pulled::Idle)
}

#[allow(clippy::unnecessary_wraps)] // the form of a sink
fn null(_: &[Event]) -> Result<Delivered, SinkError> {
    Ok(Delivered::All)
}

fn mistakes(builder: AgentBuilder) -> Vec<String> {
    builder.build().map_or_else(|errors| errors.mistakes().iter().map(ToString::to_string).collect(), |_| Vec::new())
}

struct Choosy;

impl Selector for Choosy {
    fn select(&self, _: &Event, _: &mut Route<'_>) {}
    fn bind(&mut self, channels: &[String]) -> Result<(), SelectorError> {
        Err(SelectorError::new(format!("it cannot work with {}", channels.join(" and "))))
    }
}

/// Goal: one build reports everything that is wrong. Method: an agent with each mistake that can stand beside the others.
#[test]
fn every_mistake_is_reported_at_once() {
    let long = "n".repeat(256);
    let parts = Store::parts(&[1, 1]);
    let builder = agent()
        .channel("disk", memory("disk"))
        .channel("disk", memory("disk"))
        .channel("", memory("none"))
        .channel("spare", memory("spare"))
        .channel("left", parts[0].clone())
        .channel("right", parts[0].clone())
        .channel("lone", parts[1].clone());
    let builder = builder.source("in", idle).to(["dsk", "left", "left"]);
    let builder = builder.source("in", idle).batch(0).optional(["disk"]).to([] as [&str; 0]);
    let builder = builder
        .source(long.clone(), idle)
        .backoff(Backoff::new(Duration::ZERO, HANG))
        .idle(Backoff::new(HANG, Duration::ZERO))
        .to(["right"]);
    let builder = builder.source("a/b", idle).selector(Choosy).optional(["lone"]).to(["disk"]);
    let builder = builder.sink("out", null).batch(TRANSACTION_EVENTS_MAX + 1).from("nowhere-near");
    let builder = builder.sink("out", null).on_permanent(PermanentPolicy::divert("disk")).from("disk");
    let builder = builder.sink("bad\n", null).on_permanent(PermanentPolicy::divert("Lone")).from("lone");
    let found = mistakes(builder);
    let expected = [
        "there is more than one channel disk".to_owned(),
        "channel number 3 has an empty name".to_owned(),
        "channel  is used by no source and no sink".to_owned(),
        "channel spare is used by no source and no sink".to_owned(),
        "channels left and right are the same channel of a store".to_owned(),
        format!("source {long}: its name of 256 bytes is over the limit of 255 bytes"),
        "source \"a/b\": a name may not have the character '/'".to_owned(),
        "there is more than one source in".to_owned(),
        "source in: there is no channel dsk; is it disk?".to_owned(),
        "source in names channel left more than once".to_owned(),
        "source in has no channel; name at least one with `to`".to_owned(),
        "source in: a batch of 0 events is not between 1 and 100000".to_owned(),
        format!(
            "source {long}: the first pause of its `backoff` must be longer than zero and not longer than the last ({:?})",
            Backoff::new(Duration::ZERO, HANG)
        ),
        format!(
            "source {long}: the first pause of its `idle` must be longer than zero and not longer than the last ({:?})",
            Backoff::new(HANG, Duration::ZERO)
        ),
        "selector of source a/b: it cannot work with disk and lone".to_owned(),
        "there is more than one sink out".to_owned(),
        "sink \"bad\\n\": a name may not have the character '\\n'".to_owned(),
        "sink out: there is no channel nowhere-near".to_owned(),
        "sink out: a batch of 100001 events is not between 1 and 100000".to_owned(),
        "sink out diverts to channel disk, from which it takes".to_owned(),
        "sink bad\n: there is no channel Lone for its dead letters; is it lone?".to_owned(),
    ];
    for mistake in &expected {
        assert!(found.contains(mistake), "missing: {mistake}\nfound: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    println!("covered: {} mistakes in one build", expected.len());
}

#[test]
fn an_empty_agent_has_two_mistakes_and_an_empty_name_a_third() {
    let errors = Agent::builder("").build().unwrap_err();
    let found = errors.mistakes();
    assert_eq!(
        found,
        [Mistake::EmptyName { kind: ComponentKind::Agent, number: 1 }, Mistake::NoChannel, Mistake::NothingToRun]
    );
    assert_eq!(
        errors.to_string(),
        "the agent cannot be built: the agent has an empty name; it has no channel; it has neither source nor sink"
    );
    println!("covered: empty agent");
}

#[test]
fn a_sound_agent_has_no_mistake() {
    let builder = agent().channel("a", memory("a")).channel("b", memory("b")).channel("dead", memory("dead"));
    let builder = builder.source("in", idle).optional(["b"]).to(["a"]).pusher("app").to(["b"]);
    let builder = builder.sink("out", null).on_permanent(PermanentPolicy::divert("dead")).from("a");
    assert_eq!(mistakes(builder.sink("out2", null).from("a")), [] as [&str; 0]);
    println!("covered: two sinks on one channel, a channel only diverted to, an optional one, a pusher");
}

#[test]
fn boxed_components_and_typeless_sources_are_accepted() {
    use crate::agent::IntoSource;
    let source: Box<dyn crate::PullSource> = Box::new(crate::source::from_fn(idle));
    let sink: Box<dyn crate::Sink> = Box::new(crate::sink::from_fn(null));
    let channel: Arc<dyn Channel> = Arc::new(memory("a"));
    let builder = agent().channel("a", channel).source("boxed", source).to(["a"]);
    assert_eq!(
        mistakes(builder.source("typeless", idle.into_source()).to(["a"]).sink("out", sink).from("a")),
        [] as [&str; 0]
    );
    println!("covered: Box<dyn PullSource>, Box<dyn Sink>, Arc<dyn Channel>, AnySource");
}
