use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::shutdown::Shutdown;
use crate::source::SourcePort;
use crate::ticket::{PutTicket, Receipt};
use crate::wait::Wait;

/// Keeps what is put, or refuses it.
#[derive(Default)]
struct Kept {
    bodies: Mutex<Vec<String>>,
    position: Mutex<Option<Bytes>>,
}

impl SourcePort for Kept {
    fn submit(&self, batch: PutBatch, _: Option<Wait>) -> Result<PutTicket, PutError> {
        let (events, positions) = batch.into_parts();
        let bodies = events.iter().map(|event| String::from_utf8(event.body().to_vec()).unwrap());
        self.bodies.lock().extend(bodies);
        for (owner, position) in positions {
            assert_eq!(owner, "source/seq/");
            *self.position.lock() = position;
        }
        Ok(PutTicket::ready(Ok(Receipt::default())))
    }

    fn position(&self, _: &str) -> Option<Bytes> {
        self.position.lock().clone()
    }

    fn positions(&self, _: &str) -> Vec<(String, Bytes)> {
        Vec::new()
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_restart_at_any_point_neither_loses_nor_repeats_a_number() {
    let mut cases = 0;
    for total in [0, 1, 9, 100, 1000] {
        for room in [1, 3, 7, 100] {
            let kept = Arc::new(Kept::default());
            let context = SourceContext::new("seq", Arc::clone(&kept) as _, Shutdown::new());
            // Every second poll is not committed, every third life ends after a commit.
            'lives: for life in 0.. {
                let mut source = Sequence::new().total(total);
                source.open(&context).unwrap();
                for step in 0..=life % 3 {
                    let mut batch = PullBatch::new(room);
                    let pulled = source.poll(&mut batch).unwrap();
                    assert!(batch.events().len() <= room);
                    if (life + step) % 2 == 1 {
                        source.open(&context).unwrap();
                        continue;
                    }
                    context.put_batch(batch.into_put_batch(), None).unwrap();
                    source.committed().unwrap();
                    if pulled == Pulled::Done {
                        break 'lives;
                    }
                }
            }
            assert_eq!(*kept.bodies.lock(), numbers(0..total), "total {total}, room {room}");
            cases += 1;
        }
    }
    println!("{cases} combinations of total and batch size");
}

#[test]
fn from_zero_begins_again_with_each_instance_but_not_after_an_error() {
    let kept = Arc::new(Kept::default());
    let context = SourceContext::new("seq", Arc::clone(&kept) as _, Shutdown::new());
    let mut source = Sequence::new().from_zero();
    source.open(&context).unwrap();
    for commit in [true, false, true] {
        let mut batch = PullBatch::new(2);
        assert_eq!(source.poll(&mut batch).unwrap(), Pulled::More);
        if commit {
            context.put_batch(batch.into_put_batch(), None).unwrap();
            source.committed().unwrap();
        } else {
            source.open(&context).unwrap();
        }
    }
    assert_eq!(*kept.bodies.lock(), numbers(0..4));
    assert_eq!(*kept.position.lock(), None);
    let mut batch = PullBatch::new(1);
    let mut again = Sequence::new().from_zero();
    again.open(&context).unwrap();
    again.poll(&mut batch).unwrap();
    assert_eq!(batch.events()[0].body(), "0");
}

#[test]
fn the_end_of_the_numbers_and_a_foreign_position_are_no_surprise() {
    let kept = Arc::new(Kept { position: Mutex::new(Some((u64::MAX - 2).to_string().into())), ..Kept::default() });
    let context = SourceContext::new("seq", Arc::clone(&kept) as _, Shutdown::new());
    let mut source = Sequence::new();
    source.open(&context).unwrap();
    let mut batch = PullBatch::new(100);
    assert_eq!(source.poll(&mut batch).unwrap(), Pulled::Done);
    assert_eq!(batch.events().len(), 2);
    for foreign in ["", "x", "-1", "18446744073709551616", "\u{7f}"] {
        *kept.position.lock() = Some(foreign.into());
        assert!(matches!(source.open(&context), Err(SourceError::Fatal(_))), "{foreign:?}");
    }
}
