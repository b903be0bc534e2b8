//! Scripted workloads on a simulated disk: the scripts and settings, the process that runs one, and the oracle that knows
//! what may be there afterwards. The suites that stop, fail or damage something in between include this module.

#![allow(dead_code)] // each suite uses a part of it

pub(crate) mod check;
pub(crate) mod oracle;
pub(crate) mod pool;
pub(crate) mod workload;
pub(crate) mod world;
