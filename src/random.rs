//! Numbers that are random enough for everything but secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The next number of the `SplitMix64` generator. Each state is visited once, so no seed is a bad one.
pub(crate) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A seed from the standard library's hash keys, which come from the operating system.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A number below `bound`; 0 if the bound is 0.
pub(crate) fn below(state: &mut u64, bound: u64) -> u64 {
    // The bias of the remainder is below bound / 2^64: nothing that anyone could notice.
    splitmix(state).checked_rem(bound).unwrap_or(0)
}
