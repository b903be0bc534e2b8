//! One table with an integer primary key, `journal_mode = WAL`, `synchronous = FULL` (synced) or `OFF` (OS), prepared
//! statements. Writers share one connection, which is quicker than several ones that wait for each other's lock; the
//! consumer reads on a connection of its own and deletes what it has read in one transaction.

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{Class, Gate, Result, Store};

struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    gate: Gate,
}

pub fn open(dir: &Path, class: Class) -> Result<Box<dyn Store>> {
    std::fs::create_dir_all(dir)?;
    let connect = || -> Result<Connection> {
        let connection = Connection::open(dir.join("db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", if class == Class::Synced { "FULL" } else { "OFF" })?;
        Ok(connection)
    };
    let writer = connect()?;
    writer.execute("CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)", [])?;
    Ok(Box::new(Sqlite { writer: Mutex::new(writer), reader: Mutex::new(connect()?), gate: Gate::default() }))
}

impl Store for Sqlite {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let mut writer = self.writer.lock().map_err(|error| error.to_string())?;
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO events (body) VALUES (?)")?;
            for body in bodies {
                insert.execute(params![&body[..]])?;
            }
        }
        tx.commit()?;
        drop(writer);
        self.gate.add(bodies.len());
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let claimed = self.gate.claim(events);
        let reader = self.reader.lock().map_err(|error| error.to_string())?;
        let mut select = reader.prepare_cached("SELECT id, body FROM events ORDER BY id LIMIT ?")?;
        let mut rows = select.query(params![i64::try_from(claimed)?])?;
        let mut last = 0_i64;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            sink(row.get_ref(1)?.as_blob()?);
        }
        drop(rows);
        let writer = self.writer.lock().map_err(|error| error.to_string())?;
        Ok(writer.prepare_cached("DELETE FROM events WHERE id <= ?")?.execute(params![last])?)
    }

    fn tidy(&self) -> Result {
        self.gate.claim_all();
        let writer = self.writer.lock().map_err(|error| error.to_string())?;
        writer.execute("DELETE FROM events", [])?;
        Ok(())
    }
}
