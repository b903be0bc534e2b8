use std::sync::Arc;

use crate::channel::{Channel, MemoryChannel};
use crate::testing::conformance::{ChannelFactory, ChannelSetup, FactoryError};

struct Memory;

impl ChannelFactory for Memory {
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
        let channel = MemoryChannel::builder(format!("memory-{instance}"))
            .capacity_events(setup.capacity_events)
            .capacity_bytes(setup.capacity_bytes)
            .put_wait(setup.put_wait)
            .build()?;
        Ok(Arc::new(channel))
    }
}

mod contract {
    crate::channel_conformance!(super::Memory);
}
