//! Aqueduct beside, before and behind real Apache Flume. `tests/peers/run` installs, builds and starts what this needs.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // an error is a failed test
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time, real files, and a word on what was run
#![allow(clippy::big_endian_bytes)] // the order of Flume's frames

mod import;
mod process;
mod rpc;
mod same;
mod to_flume;
