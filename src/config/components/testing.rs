//! Making components of pairs of keys and values, as the tests of components do.

use super::super::site::ChannelSite;
use super::super::{Keys, Made, Options, SelectorSetup, Site};
use crate::interceptor::Interceptor;
use crate::limits::TRANSACTION_EVENTS_MAX;

/// Makes something at source `r1` of agent `a1`, which has the channels `c1` to `c4`. Returns what became of it, and what is
/// wrong with the keys.
fn make<T>(
    prefix: &str,
    kind: &str,
    pairs: &[(&str, &str)],
    build: impl FnOnce(&Options, &mut Keys, &Site<'_>) -> Made<T>,
) -> (Made<T>, Vec<String>) {
    let options = Options::new();
    let channel = |name: &str| ChannelSite {
        name: name.to_owned(),
        kind: "memory".to_owned(),
        transaction_events_max: TRANSACTION_EVENTS_MAX,
    };
    let channels = ["c1", "c2", "c3", "c4"].map(channel);
    let site = Site::new(&options, "a1", "r1").with_channels(&channels);
    let mut keys = Keys::of(prefix, pairs.iter().copied().chain([("type", kind)]));
    let made = build(&options, &mut keys, &site);
    (made, keys.finish(kind).iter().map(ToString::to_string).collect())
}

fn good<T>((made, mistakes): (Made<T>, Vec<String>)) -> T {
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    made.unwrap_or_else(|_| panic!("it was refused without a reason"))
}

fn make_interceptor(kind: &str, pairs: &[(&str, &str)]) -> (Made<Box<dyn Interceptor>>, Vec<String>) {
    make("a1.sources.r1.interceptors.i1.", kind, pairs, |options, keys, site| {
        options.registry().interceptors.make(keys, site, "type", None, None)
    })
}

fn make_selector(kind: &str, pairs: &[(&str, &str)]) -> (Made<SelectorSetup>, Vec<String>) {
    make("a1.sources.r1.selector.", kind, pairs, |options, keys, site| {
        options.registry().selectors.make(keys, site, "type", None, None)
    })
}

/// An interceptor of these keys.
pub(super) fn interceptor(kind: &str, pairs: &[(&str, &str)]) -> Box<dyn Interceptor> {
    good(make_interceptor(kind, pairs))
}

/// What is wrong with the keys of an interceptor.
pub(super) fn mistakes_of_interceptor(kind: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    make_interceptor(kind, pairs).1
}

/// A selector of these keys.
pub(super) fn selector(kind: &str, pairs: &[(&str, &str)]) -> SelectorSetup {
    good(make_selector(kind, pairs))
}

/// What is wrong with the keys of a selector.
pub(super) fn mistakes_of_selector(kind: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    make_selector(kind, pairs).1
}

/// What is wrong with the keys of a source.
pub(super) fn problems_of_source(kind: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let made = make("a1.sources.r1.", kind, pairs, |options, keys, site| {
        options.registry().sources.make(keys, site, "type", None, None)
    });
    made.1
}

/// What is wrong with keys of which `make` makes a component.
pub(super) fn problems_of<T>(
    kind: &str,
    pairs: &[(&str, &str)],
    make: impl FnOnce(&mut Keys, &Site<'_>) -> Made<T>,
) -> Vec<String> {
    let options = Options::new().with_environment(|_| None);
    let site = Site::new(&options, "a1", "x");
    let mut keys = Keys::of("x.", pairs.iter().copied());
    // What is refused is among the problems.
    let _ = make(&mut keys, &site);
    keys.finish(kind).iter().map(ToString::to_string).collect()
}
