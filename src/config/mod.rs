//! Flume's properties files: the same file makes the same agent.
//!
//! Unlike Flume, which drops what it does not understand and runs a smaller agent, every mistake is an error with its file,
//! line and key, what is expected there, and the nearest key that exists; all mistakes are reported at once.
#![allow(dead_code)] // the builder of agents uses the rest

mod components;
mod keys;
mod options;
mod problem;
mod registry;
mod setup;
mod site;
mod stores;

pub use keys::{BatchSize, Keys, Number};
pub use options::Options;
pub use problem::{ConfigError, Origin, Problem, Refused, Severity};
pub use registry::{Made, Registry};
pub use setup::{ChannelSetup, SelectorSetup, SinkSetup, SourceSetup};
pub use site::Site;
