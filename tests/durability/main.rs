//! The store under simulated crashes.
//!
//! `crash` stops scripted workloads before every change of the disk, enumerates what a crash can leave, recovers, and
//! compares what is there with every outcome that the promises allow. See `docs/testing.md`.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // an error is a failed test

mod crash;
mod regressions;
#[path = "../scripts/mod.rs"]
mod scripts;
