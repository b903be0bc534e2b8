//! Flume's properties files, read as a user reads them: through the public API, and by the example `agent`.

#![allow(clippy::disallowed_methods)] // tests make the files that are read
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, clippy::print_stdout)] // a panic is how a test fails

mod end_to_end;
mod file_channels;
mod groups;
mod ipv6;
mod lenient;
mod mistakes;
mod network;
mod reload;
mod samples;
mod timeouts;

use aqueduct::config::{ConfigError, Options, Plan, Properties};

/// Reads the agent `a1` of a text, in an environment without variables.
fn plan_with(text: &str, options: Options) -> Result<Plan, ConfigError> {
    let options = options.with_environment(|_| None).with_home("/nowhere");
    Properties::parse("f", text.as_bytes())?.plan("a1", &options)
}

fn plan(text: &str) -> Result<Plan, ConfigError> {
    plan_with(text, Options::new())
}

/// What is wrong, a line each.
fn mistakes(text: &str) -> Vec<String> {
    plan(text).expect_err(text).problems().iter().map(ToString::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    plan(text).unwrap_or_else(|error| panic!("{error}")).warnings().iter().map(ToString::to_string).collect()
}

/// A right agent, to be made wrong by what is put behind it: of equal keys the last counts.
const GOOD: &str = "a1.sources = r1
a1.channels = c1
a1.sinks = k1
a1.sources.r1.type = seq
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.sinks.k1.type = null
a1.sinks.k1.channel = c1
";
