//! Taking over what other systems left behind: the backlog of a stopped Flume file channel.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod progress;
mod proto;
mod queue;
mod record;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::event::Event;
use crate::limits::{FLUME_LOGS_MAX, FLUME_RECORD_BYTES_MAX, IMPORT_SEARCH_BYTES};
use crate::vfs::{OpenMode, OsVfs, Vfs, VfsFile};
use proto::{delimited, field};
use queue::{Checkpoint, Replay};
use record::{HEAD_BYTES, HEADER_BYTES, NOOP, PADDING, Pointer, RECORD, decode, decode_event, is_record};

/// The events that a stopped Flume file channel still holds: committed puts minus committed takes, in the order of its
/// queue.
///
/// Reads logs of version 3, which Flume has written since 1.4, and the checkpoint, if it is complete; without one
/// the logs are replayed from the beginning, as Flume does. Nothing is changed or locked: the agent must be stopped.
///
/// # Examples
///
/// ```no_run
/// use aqueduct::import::FlumeFileChannel;
/// use aqueduct::{Channel, FileStore};
///
/// let flume = FlumeFileChannel::open("/var/flume/checkpoint".as_ref(), &["/var/flume/data".into()])?;
/// let channel = FileStore::open("/var/aqueduct")?.channel("orders")?;
/// for event in flume.events() {
///     channel.put(event?)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FlumeFileChannel {
    logs: BTreeMap<u32, Log>,
    queue: Vec<Pointer>,
    torn: Vec<PathBuf>,
    used_checkpoint: bool,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    len: u64,
}

/// Why a Flume file channel cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file does not hold what Flume writes.
    #[error("{} is damaged at offset {offset}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
    /// The files are Flume's, of a kind that is not read here.
    #[error("{}: {detail}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        detail: String,
    },
    /// The channel has taken over, in whole or in part, a backlog that is not this one.
    #[error(
        "channel {channel} has {imported} of {of} events of another backlog: Flume has run since, or the directories are those \
         of another channel. Whether events of this backlog are among them cannot be told; import it into another channel, \
         or say that it is new"
    )]
    OtherBacklog {
        /// The channel.
        channel: String,
        /// So many events it has.
        imported: String,
        /// Of so many.
        of: String,
    },
}

impl ImportError {
    fn corrupt(path: &Path, offset: u64, detail: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_path_buf(), offset, detail: detail.into() }
    }

    fn unsupported(path: &Path, detail: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_path_buf(), detail: detail.into() }
    }

    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

impl FlumeFileChannel {
    /// Reads the channel with these directories: `checkpointDir` and `dataDirs` of its configuration.
    ///
    /// Holds eight bytes and some for each event in memory, and an open file for each log.
    ///
    /// # Errors
    /// [`ImportError`]: a directory cannot be read, the agent still runs (a directory has the file `in_use.lock`), a log
    /// is encrypted or of version 2, or damaged before its end. A record that is cut off at the end of a log, with no other
    /// behind it, belongs to a transaction that was never committed and is passed over, see [`torn`](Self::torn).
    pub fn open(checkpoint_dir: &Path, data_dirs: &[PathBuf]) -> Result<Self, ImportError> {
        Self::open_in(&OsVfs::new(), checkpoint_dir, data_dirs)
    }

    fn open_in(vfs: &dyn Vfs, checkpoint_dir: &Path, data_dirs: &[PathBuf]) -> Result<Self, ImportError> {
        let mut channel = Self { logs: BTreeMap::new(), queue: Vec::new(), torn: Vec::new(), used_checkpoint: false };
        refuse_running(vfs, checkpoint_dir)?;
        for dir in data_dirs {
            refuse_running(vfs, dir)?;
            channel.find_logs(vfs, dir)?;
        }
        let checkpoint = Checkpoint::read(vfs, checkpoint_dir)?;
        channel.used_checkpoint = checkpoint.is_some();
        let mut replay = Replay::default();
        for (number, log) in &channel.logs {
            if !log.replay(*number, &mut replay)? {
                channel.torn.push(log.path.clone());
            }
        }
        channel.queue = replay.finish(checkpoint);
        Ok(channel)
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Logs whose last record is cut off, as a crash leaves them. Flume itself refuses to start with them.
    #[must_use]
    pub fn torn(&self) -> &[PathBuf] {
        &self.torn
    }

    /// Whether the checkpoint was complete and spared the replay of what is before it.
    #[must_use]
    pub fn used_checkpoint(&self) -> bool {
        self.used_checkpoint
    }

    /// The events, from the head of the queue on. An event that cannot be read is an error in its place.
    pub fn events(&self) -> impl Iterator<Item = Result<Event, ImportError>> + '_ {
        self.events_from(0)
    }

    /// The same without the first `skip`: to go on after an interruption.
    pub fn events_from(&self, skip: usize) -> impl Iterator<Item = Result<Event, ImportError>> + '_ {
        self.queue.iter().skip(skip).map(|pointer| self.event(*pointer))
    }

    fn event(&self, pointer: Pointer) -> Result<Event, ImportError> {
        let Some(log) = self.logs.get(&pointer.log) else {
            let path = PathBuf::from(format!("log-{}", pointer.log));
            return Err(ImportError::corrupt(&path, pointer.offset.into(), "the log with an event is missing"));
        };
        let offset = u64::from(pointer.offset);
        let Some((RECORD, payload)) = log.record(offset)? else {
            return Err(ImportError::corrupt(&log.path, offset, "no record where the queue says that an event is"));
        };
        decode_event(payload).map_err(|error| ImportError::corrupt(&log.path, offset, error.to_string()))
    }

    fn find_logs(&mut self, vfs: &dyn Vfs, dir: &Path) -> Result<(), ImportError> {
        for name in vfs.read_dir(dir).map_err(|error| ImportError::io(dir, error))? {
            let number = name.to_str().and_then(|name| name.strip_prefix("log-")?.parse::<u32>().ok());
            let Some(number) = number else { continue };
            let path = dir.join(&name);
            let io = |error| ImportError::io(&path, error);
            check_meta(vfs, &path, number)?;
            let file = vfs.open(&path, OpenMode::Read).map_err(io)?;
            let len = file.metadata().map_err(io)?.len;
            if self.logs.len() >= FLUME_LOGS_MAX {
                return Err(ImportError::unsupported(dir, format!("there are more than {FLUME_LOGS_MAX} logs")));
            }
            if let Some(other) = self.logs.insert(number, Log { path: path.clone(), file, len }) {
                let detail = format!("{} has the same number: they belong to two channels", other.path.display());
                return Err(ImportError::unsupported(&path, detail));
            }
        }
        Ok(())
    }
}

impl Log {
    /// Adds all records; `false` if the last one is cut off.
    fn replay(&self, number: u32, replay: &mut Replay) -> Result<bool, ImportError> {
        let mut offset = 0;
        while offset < self.len {
            let Some((operation, payload)) = self.record(offset)? else {
                self.check_end(offset, "no record")?;
                return Ok(self.operation(offset)? == Some(PADDING));
            };
            let next = offset + u64::from(HEAD_BYTES) + payload.len() as u64;
            if operation == RECORD {
                match decode(payload) {
                    Ok(record) => {
                        let at = u32::try_from(offset).map_err(|_| self.too_long())?;
                        replay.add(Pointer { log: number, offset: at }, &record);
                    }
                    Err(error) => {
                        self.check_end(offset, &error.to_string())?;
                        return Ok(false);
                    }
                }
            }
            offset = next;
        }
        Ok(true)
    }

    /// Refuses a log that has a record behind `offset`, where there should be one and is none: it is damaged, and not cut off
    /// or filled up. A record that was cut off within an event that holds records of Flume looks the same. What is an
    /// event cannot be told from what is in one, so that both are an error rather than a loss.
    fn check_end(&self, offset: u64, detail: &str) -> Result<(), ImportError> {
        let overlap = HEAD_BYTES as usize + HEADER_BYTES;
        let mut window = vec![0; IMPORT_SEARCH_BYTES];
        let mut begin = offset + 1;
        while begin < self.len {
            let left = self.len - begin;
            let size = usize::try_from(left).map_or(window.len(), |left| left.min(window.len()));
            let bytes = window.get_mut(..size).unwrap_or_default();
            self.file.read_exact_at(bytes, begin).map_err(|error| ImportError::io(&self.path, error))?;
            for at in memchr::memchr_iter(RECORD, bytes) {
                if begins_record(bytes.get(at..).unwrap_or_default(), left - at as u64) {
                    let behind = begin + at as u64;
                    let detail = format!(
                        "{detail}, but there is another record at offset {behind}. Flume itself may still drain the channel. With \
                         this log cut off at offset {offset}, it is imported without anything that is behind that: all of those \
                         events are lost, damaged or not"
                    );
                    return Err(ImportError::corrupt(&self.path, offset, detail));
                }
            }
            // What begins at the end of this piece is whole in the next one.
            begin += if size as u64 == left { left } else { (IMPORT_SEARCH_BYTES - overlap) as u64 };
        }
        Ok(())
    }

    fn operation(&self, offset: u64) -> Result<Option<u8>, ImportError> {
        let mut byte = [0];
        let read = self.file.read_at(&mut byte, offset).map_err(|error| ImportError::io(&self.path, error))?;
        Ok((read == 1).then_some(byte[0]))
    }

    /// Operation and payload of the record at `offset`; `None` where the log ends.
    fn record(&self, offset: u64) -> Result<Option<(u8, Bytes)>, ImportError> {
        let io = |error| ImportError::io(&self.path, error);
        let behind_head = offset + u64::from(HEAD_BYTES);
        if behind_head > self.len {
            return Ok(None);
        }
        let mut head = [0; HEAD_BYTES as usize];
        self.file.read_exact_at(&mut head, offset).map_err(io)?;
        let mut head = head.as_slice();
        let (operation, len) = (head.get_u8(), head.get_u32());
        if !matches!(operation, RECORD | NOOP) || (operation == NOOP && len == 0) {
            return Ok(None);
        }
        if len > FLUME_RECORD_BYTES_MAX || behind_head + u64::from(len) > self.len {
            return Ok(None);
        }
        let mut payload = vec![0; len as usize];
        self.file.read_exact_at(&mut payload, behind_head).map_err(io)?;
        Ok(Some((operation, payload.into())))
    }

    fn too_long(&self) -> ImportError {
        ImportError::unsupported(&self.path, "the log is longer than Flume's logs can be")
    }
}

/// Whether a record begins here that ends within the `left` bytes of the log.
fn begins_record(mut bytes: &[u8], left: u64) -> bool {
    let (Ok(_), Ok(len)) = (bytes.try_get_u8(), bytes.try_get_u32()) else { return false };
    let begin = bytes.get(..HEADER_BYTES).unwrap_or(bytes);
    len <= FLUME_RECORD_BYTES_MAX
        && u64::from(HEAD_BYTES) + u64::from(len) <= left
        && is_record(Bytes::copy_from_slice(begin), len)
}

fn refuse_running(vfs: &dyn Vfs, dir: &Path) -> Result<(), ImportError> {
    match vfs.metadata(&dir.join("in_use.lock")) {
        Ok(_) => {
            let detail = "the file `in_use.lock` says that an agent uses this directory; stop it. If it was killed, remove that \
                          file first";
            Err(ImportError::unsupported(dir, detail))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ImportError::io(dir, error)),
    }
}

/// The file beside a log says which version it is of, and whether it is encrypted.
fn check_meta(vfs: &dyn Vfs, log: &Path, number: u32) -> Result<(), ImportError> {
    let mut name = log.as_os_str().to_owned();
    name.push(".meta");
    let path = PathBuf::from(name);
    let Some(mut bytes) = read_file(vfs, &path, 1 << 20)? else {
        let detail = "the file `.meta` beside it is missing: the log is of version 2 (Flume before 1.4), or not Flume's. Let \
                      Flume 1.11 open and close the channel once: it writes version 3";
        return Err(ImportError::unsupported(log, detail));
    };
    let corrupt = |detail: &str| ImportError::corrupt(&path, 0, detail);
    let mut message = delimited(&mut bytes, "metadata").map_err(|error| corrupt(&error.to_string()))?;
    while let Some((field_number, value)) =
        field(&mut message, "metadata").map_err(|error| corrupt(&error.to_string()))?
    {
        match (field_number, value.fixed32()) {
            (1, version) if version != Some(3) => {
                return Err(ImportError::unsupported(&path, "a log of another version than 3"));
            }
            (2, found) if found != Some(number) => return Err(corrupt("it is about another log")),
            (5, _) => {
                let detail = "the log is encrypted; let Flume drain the channel into an Avro sink that points to an Avro \
                              source of ours";
                return Err(ImportError::unsupported(&path, detail));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The bytes of a file of up to `max`; `None` if there is none.
fn read_file(vfs: &dyn Vfs, path: &Path, max: u64) -> Result<Option<Bytes>, ImportError> {
    let io = |error| ImportError::io(path, error);
    let file = match vfs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io)?,
    };
    let len = file.metadata().map_err(io)?.len;
    if len > max {
        return Err(ImportError::unsupported(path, format!("{len} bytes are more than the limit of {max}")));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0).map_err(io)?;
    Ok(Some(bytes.into()))
}

#[cfg(test)]
mod tests;
