//! For the tests of this crate and of crates that extend it (feature `testing`).
//!
//! [`conformance`] checks that a [`Channel`](crate::Channel) keeps its contract; [`Random`] is the generator behind
//! every randomised test, so that a failure can be repeated from its seed.

pub mod conformance;
#[doc(hidden)]
pub mod fuzz;
mod random;

pub use random::Random;
