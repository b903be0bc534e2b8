//! Random steps on a channel and its model.

use super::super::model::{self, ModelOptions};
use super::super::{ChannelFactory, ChannelSetup};
use crate::testing::Random;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn the_channel_does_what_its_model_does(factory: &dyn ChannelFactory) {
    let seed = Random::seed();
    let tiny = ChannelSetup { capacity_events: 5, capacity_bytes: 200, ..ChannelSetup::default() };
    let small = ChannelSetup { capacity_events: 60, capacity_bytes: 2000, ..ChannelSetup::default() };
    for setup in [tiny, small, ChannelSetup::default()] {
        let _ = model::run(factory, &ModelOptions::new(seed).steps(500).setup(setup));
    }
}
