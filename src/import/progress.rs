//! How far the import of a backlog has come, kept by the channel that it goes into.

use super::{FlumeFileChannel, ImportError};
use crate::channel::{Channel, PutTransaction};

/// The position of one import into one channel. Positions are the store's, so that it has the name of the channel.
///
/// ```text
/// <events imported> <events of the backlog> <checksum of the backlog>
/// ```
fn owner(channel: &str) -> String {
    format!("import-flume-channel/{channel}")
}

impl FlumeFileChannel {
    /// How many of the events, from the first on, [`mark_imported`](Self::mark_imported) says to be in `channel`.
    ///
    /// # Errors
    /// [`ImportError::OtherBacklog`]: what was imported into the channel before is not the beginning of this backlog.
    /// Flume has run in between, or it was another channel of Flume's.
    pub fn imported_into(&self, channel: &impl Channel) -> Result<usize, ImportError> {
        let Some(position) = channel.position(&owner(channel.name())) else { return Ok(0) };
        let text = String::from_utf8_lossy(&position).into_owned();
        let (imported, backlog) = text.split_once(' ').unwrap_or((&text, ""));
        match imported.parse() {
            Ok(imported) if backlog == self.fingerprint() => Ok(imported),
            _ => Err(ImportError::OtherBacklog {
                channel: channel.name().to_owned(),
                imported: imported.to_owned(),
                of: backlog.split(' ').next().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Notes in a transaction of the channel `name` that with its events so many are imported, from the first on.
    pub fn mark_imported(&self, put: &mut PutTransaction, name: &str, imported: usize) {
        put.set_position(owner(name), format!("{imported} {}", self.fingerprint()));
    }

    /// The number of events, and a checksum over the logs and the places of all events: a backlog that has grown, shrunk or
    /// moved is another one.
    fn fingerprint(&self) -> String {
        let mut crc = crc32fast::Hasher::new();
        for log in self.logs.keys() {
            crc.update(&log.to_le_bytes());
        }
        for pointer in &self.queue {
            crc.update(&pointer.log.to_le_bytes());
            crc.update(&pointer.offset.to_le_bytes());
        }
        format!("{} {:08x}", self.queue.len(), crc.finalize())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // Flume's files are made here

    use std::path::Path;

    use super::*;
    use crate::{FileStore, Wait};

    /// The files of a stopped Flume channel with so many events in log 1.
    fn flume(dir: &Path, events: u8) -> FlumeFileChannel {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("log-1.meta"), [10, 0x0d, 3, 0, 0, 0, 0x15, 1, 0, 0, 0]).unwrap();
        let mut log = Vec::new();
        for event in 0..events {
            let head = |kind| {
                [vec![23, 0x0d, kind, 0, 0, 0, 0x11, event + 1], vec![0; 7], vec![0x19, event + 1], vec![0; 7]].concat()
            };
            let put = [head(1), vec![9, 0x0a, 7, 0x12, 5], b"event".to_vec()].concat();
            let commit = [head(4), vec![5, 0x0d, 1, 0, 0, 0]].concat();
            for record in [put, commit] {
                log.push(super::super::record::RECORD);
                log.extend(u32::try_from(record.len()).unwrap().to_be_bytes());
                log.extend(record);
            }
        }
        std::fs::write(dir.join("log-1"), log).unwrap();
        let flume = FlumeFileChannel::open(&dir.join("none"), &[dir.to_path_buf()]).unwrap();
        assert_eq!(flume.len(), usize::from(events));
        flume
    }

    fn import(flume: &FlumeFileChannel, channel: &impl Channel, until: usize) {
        let done = flume.imported_into(channel).unwrap();
        let mut put = channel.begin_put();
        for event in flume.events_from(done).take(until - done) {
            put.push(event.unwrap());
        }
        flume.mark_imported(&mut put, channel.name(), until);
        put.commit().unwrap();
    }

    #[test]
    fn channels_of_one_store_are_imported_into_each_for_itself_and_go_on_where_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (flume(&dir.path().join("a"), 3), flume(&dir.path().join("b"), 4));
        let store = FileStore::open(dir.path().join("store")).unwrap();
        let (c1, c2) = (store.channel("c1").unwrap(), store.channel("c2").unwrap());
        import(&a, &c1, 3);
        assert_eq!(b.imported_into(&c2).unwrap(), 0);
        import(&b, &c2, 1);
        assert_eq!((a.imported_into(&c1).unwrap(), b.imported_into(&c2).unwrap()), (3, 1));
        import(&b, &c2, 4);
        let depth = |channel: &dyn Channel| channel.stats().depth_events;
        assert_eq!((depth(&c1), depth(&c2)), (3, 4));
        assert_eq!(c2.take(1, Wait::NONE).unwrap()[0].body(), "event");
    }

    #[test]
    fn another_backlog_is_refused_and_nothing_of_it_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path().join("store")).unwrap();
        let channel = store.channel("c1").unwrap();
        import(&flume(dir.path(), 3), &channel, 2);
        let later = flume(dir.path(), 5);
        let error = later.imported_into(&channel).unwrap_err();
        assert!(matches!(error, ImportError::OtherBacklog { .. }));
        let text = error.to_string();
        assert!(text.starts_with("channel c1 has 2 of 3 events of another backlog"), "{text}");
    }
}
