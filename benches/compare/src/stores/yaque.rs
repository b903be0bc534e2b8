//! `send_batch` for each transaction, one sender for all producers (a queue has only one). A take is a batch under its
//! guard, whose commit saves the place of the reader each time. yaque makes no sync call, so that its class is OS.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_executor::block_on;
use yaque::{Receiver, ReceiverBuilder, Sender};

use super::{Class, Gate, Result, Store};

struct Yaque {
    sender: Mutex<Sender>,
    receiver: Mutex<Receiver>,
    gate: Gate,
}

pub fn open(dir: &Path, _: Class) -> Result<Box<dyn Store>> {
    let sender = Mutex::new(Sender::open(dir)?);
    let receiver = Mutex::new(ReceiverBuilder::new().save_every_nth(Some(1)).open(dir)?);
    Ok(Box::new(Yaque { sender, receiver, gate: Gate::default() }))
}

impl Yaque {
    fn remove(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = block_on(receiver.recv_batch(events))?;
        batch.iter().for_each(|body| sink(body));
        let taken = batch.len();
        batch.commit()?;
        Ok(taken)
    }
}

impl Store for Yaque {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        block_on(self.sender.lock().unwrap_or_else(PoisonError::into_inner).send_batch(bodies))?;
        self.gate.add(bodies.len());
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        self.remove(self.gate.claim(events), sink)
    }

    fn tidy(&self) -> Result {
        let mut waiting = self.gate.claim_all();
        while waiting > 0 {
            waiting -= self.remove(waiting.min(10_000), &mut |_| ())?;
        }
        Ok(())
    }
}
