//! Flume's properties files: the same file makes the same agent.
//!
//! Unlike Flume, which drops what it does not understand and runs a smaller agent, every mistake is an error with its file,
//! line and key, what is expected there, and the nearest key that exists; all mistakes are reported at once.
mod batch_size;
mod channels;
mod components;
mod file;
mod filters;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod groups;
mod header_maps;
mod keys;
mod lookup;
mod number;
mod options;
mod plan;
mod problem;
mod properties;
mod read;
mod registry;
#[cfg(feature = "rpc")]
mod rpc_client;
mod section;
mod setup;
mod site;
mod stores;

pub use batch_size::BatchSize;
pub use channels::Channels;
pub use file::Properties;
pub use keys::Keys;
pub use number::Number;
pub use options::Options;
pub use plan::Plan;
pub use problem::{ConfigError, OpenError, Origin, Problem, Refused, Severity};
pub use registry::{Made, Registry};
pub use setup::{ChannelSetup, ProcessorSetup, SelectorSetup, SinkSetup, SourceSetup};
pub use site::Site;
