//! The default settings, with the durability that is asked for.

use std::path::Path;

use aqueduct::{Channel, Durability, Event, FileChannel, FileStore, PutBatch, Wait};
use bytes::Bytes;

use super::{Class, Result, Store};

struct Ours {
    channel: FileChannel,
    durability: Durability,
    _store: FileStore,
}

pub fn open(dir: &Path, class: Class) -> Result<Box<dyn Store>> {
    let durability = match class {
        Class::Synced => Durability::Sync,
        Class::Os => Durability::Os,
    };
    let store = FileStore::builder(dir).durability(durability).take_durability(durability).open()?;
    Ok(Box::new(Ours { channel: store.channel("bench")?, durability, _store: store }))
}

impl Store for Ours {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let batch = PutBatch::new(bodies.iter().map(|body| Event::new(body.clone())).collect());
        self.channel.put_batch(batch)?;
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let mut take = self.channel.take(events, Wait::FOREVER)?;
        take.set_durability(self.durability);
        take.iter().for_each(|event| sink(event.body()));
        let taken = take.len();
        take.commit()?;
        Ok(taken)
    }

    fn tidy(&self) -> Result {
        loop {
            let mut take = self.channel.take(10_000, Wait::NONE)?;
            if take.is_empty() {
                return Ok(());
            }
            take.set_durability(Durability::Os);
            take.commit()?;
        }
    }
}
