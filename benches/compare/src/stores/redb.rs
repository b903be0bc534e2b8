//! One table, keys in the order of arrival, one write transaction for each put and each take, `Durability::Immediate` (the
//! default). redb has one writer at a time and no group commit. A take removes its range in one pass.

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use redb::{Database, Durability, ReadableTableMetadata, TableDefinition};

use super::{Class, Error, Gate, Result, Store};

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

struct Redb {
    db: Database,
    next: Mutex<u64>,
    head: Mutex<u64>,
    gate: Gate,
}

pub fn open(dir: &Path, _: Class) -> Result<Box<dyn Store>> {
    std::fs::create_dir_all(dir)?;
    let db = Database::create(dir.join("redb"))?;
    let tx = db.begin_write()?;
    tx.open_table(EVENTS)?;
    tx.commit()?;
    Ok(Box::new(Redb { db, next: Mutex::default(), head: Mutex::default(), gate: Gate::default() }))
}

impl Store for Redb {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let tx = self.db.begin_write()?;
        {
            let mut next = self.next.lock().map_err(|error| error.to_string())?;
            let mut table = tx.open_table(EVENTS)?;
            for body in bodies {
                table.insert(*next, &body[..])?;
                *next += 1;
            }
        }
        tx.commit()?;
        self.gate.add(bodies.len());
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let claimed = self.gate.claim(events);
        let mut head = self.head.lock().map_err(|error| error.to_string())?;
        let tx = self.db.begin_write()?;
        let mut removed = 0;
        tx.open_table(EVENTS)?.retain_in(*head..*head + claimed as u64, |_, body| {
            sink(body);
            removed += 1;
            false
        })?;
        tx.commit()?;
        *head += claimed as u64;
        Ok(removed)
    }

    fn tidy(&self) -> Result {
        let waiting = self.gate.claim_all() as u64;
        let mut tx = self.db.begin_write()?;
        tx.set_durability(Durability::Immediate)?;
        {
            let mut head = self.head.lock().map_err(|error| Error::from(error.to_string()))?;
            let mut table = tx.open_table(EVENTS)?;
            table.retain_in(*head..*head + waiting, |_, _| false)?;
            *head += waiting;
            assert!(table.is_empty()?, "everything was removed");
        }
        tx.commit()?;
        Ok(())
    }
}
