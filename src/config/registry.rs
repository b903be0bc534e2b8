//! Which type names stand for which components.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::components;
use super::keys::Keys;
use super::problem::{Refused, Severity};
use super::setup::{ChannelSetup, ProcessorSetup, SelectorSetup, SinkSetup, SourceSetup};
use super::site::Site;
use crate::agent::nearest;
use crate::interceptor::Interceptor;
use crate::sink::Serializer;

/// The components that a configuration can name, by kind and type name.
///
/// [`Registry::standard`] has all of the crate's, by Flume's aliases and class names. A component of your own registers
/// under a name, in any case, with a function that makes it of its [`Keys`] at its [`Site`]; one that has the name already
/// gives way.
///
/// ```
/// use aqueduct::config::{Registry, SourceSetup};
/// use aqueduct::source::Sequence;
///
/// let mut registry = Registry::standard();
/// registry.source(&["count", "com.example.CountSource"], |keys, _| {
///     let end = keys.number("end", 1..=u64::MAX, 10);
///     Ok(SourceSetup::new(Sequence::new().total(end)))
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) sources: Table<SourceSetup>,
    pub(super) sinks: Table<SinkSetup>,
    pub(super) channels: Table<ChannelSetup>,
    pub(super) interceptors: Table<Box<dyn Interceptor>>,
    pub(super) selectors: Table<SelectorSetup>,
    pub(super) processors: Table<ProcessorSetup>,
    pub(super) serializers: Table<Box<dyn Serializer>>,
}

/// What a factory gives back. It asks the keys for everything it knows, with their readers, and then makes the component;
/// if a builder refuses, it returns what [`Keys::refuse`] makes of the builder's error.
pub type Made<T> = Result<T, Refused>;

type Factory<T> = Arc<dyn Fn(&mut Keys, &Site<'_>) -> Made<T> + Send + Sync>;

impl Registry {
    /// No component at all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sources: Table::new("source", Severity::Fatal),
            sinks: Table::new("sink", Severity::Fatal),
            channels: Table::new("channel", Severity::Fatal),
            interceptors: Table::new("interceptor", Severity::Dropped),
            selectors: Table::new("selector", Severity::Dropped),
            processors: Table::new("sink processor", Severity::Dropped),
            serializers: Table::new("serializer", Severity::Dropped),
        }
    }

    /// All components of the crate, as far as its features are enabled.
    #[must_use]
    pub fn standard() -> Self {
        let mut registry = Self::empty();
        components::register(&mut registry);
        registry
    }

    /// Registers a source under its type names.
    pub fn source(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<SourceSetup> + Send + Sync + 'static,
    ) {
        self.sources.insert(names, make);
    }

    /// Registers a sink under its type names.
    pub fn sink(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<SinkSetup> + Send + Sync + 'static,
    ) {
        self.sinks.insert(names, make);
    }

    /// Registers a channel under its type names.
    pub fn channel(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<ChannelSetup> + Send + Sync + 'static,
    ) {
        self.channels.insert(names, make);
    }

    /// Registers an interceptor under its type names.
    pub fn interceptor(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<Box<dyn Interceptor>> + Send + Sync + 'static,
    ) {
        self.interceptors.insert(names, make);
    }

    /// Registers a channel selector under its type names.
    pub fn selector(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<SelectorSetup> + Send + Sync + 'static,
    ) {
        self.selectors.insert(names, make);
    }

    /// Registers a sink processor under its type names.
    ///
    /// ```
    /// use aqueduct::config::{ProcessorSetup, Registry};
    /// use aqueduct::sink::group::Failover;
    ///
    /// let mut registry = Registry::standard();
    /// // a1.sinkgroups.g.processor.type = in_order
    /// registry.processor(&["in_order", "com.example.InOrder"], |_, site| {
    ///     let order = site.sinks().iter().rev().zip(1..);
    ///     Ok(ProcessorSetup::new(order.fold(Failover::new(), |policy, (sink, priority)| policy.priority(sink, priority))))
    /// });
    /// ```
    pub fn processor(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<ProcessorSetup> + Send + Sync + 'static,
    ) {
        self.processors.insert(names, make);
    }

    /// Registers a serializer under its type names.
    pub fn serializer(
        &mut self,
        names: &[&str],
        make: impl Fn(&mut Keys, &Site<'_>) -> Made<Box<dyn Serializer>> + Send + Sync + 'static,
    ) {
        self.serializers.insert(names, make);
    }
}

/// The factories of one kind.
pub(super) struct Table<T> {
    kind: &'static str,
    // What Flume makes of a type that it does not know.
    unknown: Severity,
    // By type name in lower case.
    factories: BTreeMap<String, Registered<T>>,
}

struct Registered<T> {
    // The first name it was registered with, for messages.
    name: Arc<str>,
    // This name, as it was written.
    written: Arc<str>,
    make: Make<T>,
}

/// Or what to do instead of using a type that Flume has and this crate does not.
type Make<T> = Result<Factory<T>, &'static str>;

impl<T> Table<T> {
    fn new(kind: &'static str, unknown: Severity) -> Self {
        Self { kind, unknown, factories: BTreeMap::new() }
    }

    fn insert(&mut self, names: &[&str], make: impl Fn(&mut Keys, &Site<'_>) -> Made<T> + Send + Sync + 'static) {
        let make: Factory<T> = Arc::new(make);
        self.add(names, &Ok(make));
    }

    /// Types that Flume has and this crate does not, and what to do instead.
    pub(super) fn without(&mut self, names: &[&str], instead: &'static str) {
        self.add(names, &Err(instead));
    }

    fn add(&mut self, names: &[&str], make: &Make<T>) {
        let Some(first) = names.first() else { return };
        let first: Arc<str> = (*first).into();
        for name in names {
            let registered = Registered { name: first.clone(), written: (*name).into(), make: make.clone() };
            self.factories.insert(name.to_lowercase(), registered);
        }
    }

    /// Makes what the key `key` names, with `default` if it has no value; of the keys below `below`, or of all.
    pub(super) fn make(
        &self,
        keys: &mut Keys,
        site: &Site<'_>,
        key: &str,
        default: Option<&str>,
        below: Option<&str>,
    ) -> Made<T> {
        let name = match default {
            None => keys.required(key),
            Some(default) => keys.text(key, default),
        };
        let registered = self.factories.get(&name.to_lowercase());
        if registered.is_none_or(|registered| registered.make.is_err()) {
            match below {
                None => keys.set_kind(None),
                Some(prefix) => keys.within(prefix, |part| part.set_kind(None)),
            }
        }
        let Some(registered) = registered else {
            if !name.is_empty() {
                keys.problem(self.unknown, key, self.no_such(&name));
            }
            return Err(Refused::new());
        };
        match &registered.make {
            Err(instead) => {
                let message = format!("Flume's {} {} is not part of this crate; {instead}", self.kind, registered.name);
                keys.problem(Severity::Fatal, key, message);
                Err(Refused::new())
            }
            Ok(make) => {
                let make_of = |part: &mut Keys| {
                    part.set_kind(Some(registered.name.clone()));
                    make(part, site)
                };
                match below {
                    None => make_of(keys),
                    Some(prefix) => keys.within(prefix, make_of),
                }
            }
        }
    }

    /// Whether there are components of a type.
    pub(super) fn has(&self, name: &str) -> bool {
        self.factories.get(&name.to_lowercase()).is_some_and(|registered| registered.make.is_ok())
    }

    /// The name under which a type was registered first.
    pub(super) fn name_of(&self, name: &str) -> Option<Arc<str>> {
        self.factories.get(&name.to_lowercase()).map(|registered| registered.name.clone())
    }

    fn no_such(&self, name: &str) -> String {
        let there = || self.factories.values().filter(|registered| registered.make.is_ok());
        if let Some(near) = nearest(name, there().map(|registered| &*registered.written)) {
            return format!("there is no such type of {}; is it {near}?", self.kind);
        }
        let mut names: Vec<&str> = there().map(|registered| &*registered.name).collect();
        names.sort_unstable();
        names.dedup();
        format!("there is no such type of {}; there are {}", self.kind, names.join(", "))
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, unknown: self.unknown, factories: self.factories.clone() }
    }
}

impl<T> Clone for Registered<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), written: self.written.clone(), make: self.make.clone() }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}
