//! How far the import of a backlog has come, kept by the channel that it goes into.

use super::{FlumeFileChannel, ImportError};

impl FlumeFileChannel {
    /// The owner of the position of an import into the channel of this name. Positions are the store's, so that the name is
    /// part of it.
    #[must_use]
    pub fn position_owner(channel: &str) -> String {
        format!("import-flume-channel/{channel}")
    }

    /// The position to be committed with events, if so many are imported then, from the first on.
    ///
    /// ```text
    /// <events imported> <events of the backlog> <checksum of the backlog>
    /// ```
    #[must_use]
    pub fn position(&self, imported: usize) -> String {
        format!("{imported} {}", self.fingerprint())
    }

    /// How many of the events, from the first on, a channel has already, as its position says.
    ///
    /// # Errors
    /// [`ImportError::OtherBacklog`]: what was imported into the channel before is not the beginning of this backlog.
    /// Flume has run in between, or it was another channel of Flume's.
    pub fn imported_before(&self, channel: &str, position: Option<&[u8]>) -> Result<usize, ImportError> {
        let Some(position) = position else { return Ok(0) };
        let text = String::from_utf8_lossy(position).into_owned();
        let (imported, backlog) = text.split_once(' ').unwrap_or((&text, ""));
        match imported.parse() {
            Ok(imported) if backlog == self.fingerprint() => Ok(imported),
            _ => Err(ImportError::OtherBacklog {
                channel: channel.to_owned(),
                imported: imported.to_owned(),
                of: backlog.split(' ').next().unwrap_or_default().to_owned(),
            }),
        }
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

    use super::super::tests::{META, log};
    use super::*;
    use crate::{Channel, FileStore, Wait};

    /// The files of a stopped Flume channel with so many events in log 1.
    fn flume(dir: &Path, events: u8) -> FlumeFileChannel {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("log-1.meta"), META).unwrap();
        std::fs::write(dir.join("log-1"), log(events)).unwrap();
        let flume = FlumeFileChannel::open(&dir.join("none"), &[dir.to_path_buf()]).unwrap();
        assert_eq!(flume.len(), usize::from(events));
        flume
    }

    fn before(flume: &FlumeFileChannel, channel: &impl Channel) -> Result<usize, ImportError> {
        let position = channel.position(&FlumeFileChannel::position_owner(channel.name()));
        flume.imported_before(channel.name(), position.as_deref())
    }

    fn import(flume: &FlumeFileChannel, channel: &impl Channel, until: usize) {
        let done = before(flume, channel).unwrap();
        let mut put = channel.begin_put();
        for event in flume.events_from(done).take(until - done) {
            put.push(event.unwrap());
        }
        put.set_position(FlumeFileChannel::position_owner(channel.name()), flume.position(until));
        put.commit().unwrap();
    }

    #[test]
    fn channels_of_one_store_are_imported_into_each_for_itself_and_go_on_where_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (flume(&dir.path().join("a"), 3), flume(&dir.path().join("b"), 4));
        let store = FileStore::open(dir.path().join("store")).unwrap();
        let (c1, c2) = (store.channel("c1").unwrap(), store.channel("c2").unwrap());
        import(&a, &c1, 3);
        assert_eq!(before(&b, &c2).unwrap(), 0);
        import(&b, &c2, 1);
        assert_eq!((before(&a, &c1).unwrap(), before(&b, &c2).unwrap()), (3, 1));
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
        let error = before(&later, &channel).unwrap_err();
        assert!(matches!(error, ImportError::OtherBacklog { .. }));
        let text = error.to_string();
        assert!(text.starts_with("channel c1 has 2 of 3 events of another backlog"), "{text}");
    }
}
