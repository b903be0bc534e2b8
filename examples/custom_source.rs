//! A source of one's own, with a position that is committed together with the events: a restart goes on behind it.
//!
//!     cargo run --release --example custom_source

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;

use aqueduct::agent::Outcome;
use aqueduct::source::{PullBatch, PullSource, Pulled, SourceContext, SourceError};
use aqueduct::{Agent, Channel, FileStore, Wait};

/// The rows of a table, by key.
struct Table {
    next: u64,
    rows: u64,
}

impl PullSource for Table {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        self.next = match context.position("key") {
            // Also after a failed poll or put: the rows that were read for it are read again.
            None => 0,
            Some(key) => u64::from_le_bytes(key.as_ref().try_into().map_err(SourceError::fatal)?),
        };
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        while self.next < self.rows && out.room() > 0 {
            out.push(format!("row {}", self.next));
            self.next += 1;
        }
        out.set_position("key", self.next.to_le_bytes().to_vec());
        Ok(if self.next == self.rows { Pulled::Done } else { Pulled::More })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    // The table grows between two runs of the same agent.
    for rows in [1000, 2500] {
        let store = FileStore::open(dir.path())?;
        let report = Agent::builder("pull")
            .channel("disk", store.channel("rows")?)
            .source("table", Table { next: 0, rows })
            .batch(100)
            .to(["disk"])
            .build()?
            .run_to_completion(Wait::FOREVER)?;
        println!("{rows} rows in the table, outcome {:?}", report.outcome);
        assert_eq!(report.outcome, Outcome::Completed);
        store.close()?;
    }
    let store = FileStore::open(dir.path())?;
    let channel = store.channel("rows")?;
    let mut expected = 0;
    loop {
        let take = channel.take(300, Wait::NONE)?;
        if take.is_empty() {
            break;
        }
        for event in &take {
            assert_eq!(event.body(), format!("row {expected}").as_bytes());
            expected += 1;
        }
        take.commit()?;
    }
    assert_eq!(expected, 2500);
    println!("the channel had rows 0 to {}, each once, in order", expected - 1);
    store.close()?;
    Ok(())
}
