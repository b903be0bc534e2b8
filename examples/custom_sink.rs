//! A sink of one's own that fails now and then: events come again, in order, and an event that can never be delivered is
//! diverted to another channel.
//!
//!     cargo run --release --example custom_sink

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct::agent::PermanentPolicy;
use aqueduct::sink::{Delivered, Sink, SinkBatch, SinkError};
use aqueduct::{Agent, Channel, Drain, FileStore, Wait};

/// Delivers numbers; the connection breaks at every 50th attempt.
struct Numbers {
    attempts: u32,
    delivered: Arc<Mutex<Vec<u32>>>,
}

impl Sink for Numbers {
    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        for (done, event) in batch.events().iter().enumerate() {
            self.attempts += 1;
            if self.attempts.is_multiple_of(50) {
                // What was delivered of this batch stays so: only the rest comes again.
                return if done > 0 { Ok(Delivered::First(done)) } else { Err(SinkError::retry("connection lost")) };
            }
            let Some(number) = std::str::from_utf8(event.body()).ok().and_then(|text| text.parse().ok()) else {
                return if done > 0 { Ok(Delivered::First(done)) } else { Err(SinkError::permanent("not a number")) };
            };
            self.delivered.lock().expect("no panic holds the lock").push(number);
        }
        Ok(Delivered::All)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path())?;
    let delivered = Arc::new(Mutex::new(Vec::new()));
    let running = Agent::builder("numbers")
        .channel("disk", store.channel("numbers")?)
        .shared_channel("bad", store.channel("bad")?)
        .pusher("app")
        .to(["disk"])
        .sink("out", Numbers { attempts: 0, delivered: delivered.clone() })
        .batch(20)
        .on_permanent(PermanentPolicy::divert("bad"))
        .from("disk")
        .build()?
        .start()?;
    let pusher = running.pusher("app")?;
    for number in 0..500 {
        pusher.put(if number == 123 { "one hundred and twenty-three".to_owned() } else { number.to_string() })?;
    }
    let report = running.shutdown(Drain::up_to(Duration::from_secs(60)))?;
    let delivered = delivered.lock().expect("no panic holds the lock");
    assert!(delivered.iter().copied().eq((0..500).filter(|number| *number != 123)));
    println!("delivered {} numbers in order, over broken connections: {:?}", delivered.len(), report.outcome);

    let bad = store.channel("bad")?.take(10, Wait::NONE)?;
    println!("diverted: {:?}", bad.iter().map(aqueduct::Event::body).collect::<Vec<_>>());
    assert_eq!(bad.len(), 1);
    bad.commit()?;
    store.close()?;
    Ok(())
}
