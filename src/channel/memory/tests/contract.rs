//! The memory channel against the contract of channels, and the cases for durable channels against a channel that is.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::channel::memory::MemoryChannel;
use crate::channel::memory::state::State;
use crate::channel::{Channel, memory::MemoryChannelError};
use crate::testing::Random;
use crate::testing::conformance::model::{self, ModelOptions};
use crate::testing::conformance::{self, ChannelFactory, ChannelSetup, FactoryError};

struct Memory;

impl ChannelFactory for Memory {
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
        Ok(Arc::new(build(instance, setup)?))
    }
}

/// Keeps the contents of a channel when all the suite's handles are gone.
#[derive(Default)]
struct Reopened {
    channels: Mutex<HashMap<u64, MemoryChannel>>,
}

impl ChannelFactory for Reopened {
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
        let channel = build(instance, setup)?;
        if let Some(old) = self.channels.lock().insert(instance, channel.clone()) {
            assert_eq!(Arc::strong_count(&old.shared), 1, "the suite kept a handle");
            let State { queue, depth, in_flight, positions, .. } = std::mem::take(&mut *old.shared.state.lock());
            assert_eq!(in_flight.events, 0, "the suite kept a take");
            let mut state = channel.shared.state.lock();
            (state.queue, state.depth, state.positions) = (queue, depth, positions);
        }
        Ok(Arc::new(channel))
    }

    fn is_durable(&self) -> bool {
        true
    }
}

fn build(instance: u64, setup: &ChannelSetup) -> Result<MemoryChannel, MemoryChannelError> {
    MemoryChannel::builder(format!("memory-{instance}"))
        .capacity_events(setup.capacity_events)
        .capacity_bytes(setup.capacity_bytes)
        .put_wait(setup.put_wait)
        .build()
}

mod memory {
    crate::channel_conformance!(super::Memory);
}

#[test]
fn the_cases_for_durable_channels_hold_on_one_that_is() {
    let report = conformance::run(&Reopened::default());
    println!("{report}");
    assert!(report.is_passed(), "{report}");
    assert!(report.results.iter().all(|(_, result)| *result != conformance::CaseResult::NotApplicable));
}

#[test]
fn ten_thousand_random_steps_agree_with_the_model() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let steps = ModelOptions::new(seed).steps(10_000);
    let report = model::run(&Memory, &steps);
    println!("in memory: {report:?}");
    assert!(report.full > 0 && report.too_large > 0 && report.rollbacks > 0 && report.reopens == 0);
    let report = model::run(&Reopened::default(), &steps);
    println!("with restarts: {report:?}");
    assert!(report.taken_events > 0 && report.reopens > 0);
}
