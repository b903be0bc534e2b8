//! Plays recorded system calls into the crash simulator.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IoSlice;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqueduct::vfs::sim::SimVfs;
use aqueduct::vfs::{OpenMode, Vfs, VfsFile, VfsLock};

use crate::strace::Call;

/// What a descriptor stands for.
enum Open {
    File(Arc<dyn VfsFile>),
    Dir(PathBuf),
    /// Kept until it is closed.
    #[allow(dead_code)]
    Lock(Box<dyn VfsLock>),
}

/// The simulated disk of a recorded process.
pub(crate) struct Replay {
    pub(crate) sim: SimVfs,
    root: PathBuf,
    open: BTreeMap<i64, Open>,
}

impl Replay {
    /// Of the calls on what is below `root`, which exists and is durable with all above it.
    pub(crate) fn new(root: &Path) -> Result<Self, String> {
        let sim = SimVfs::new();
        sim.make_dirs(root).map_err(|error| error.to_string())?;
        sim.sync_everything();
        Ok(Self { sim, root: root.to_owned(), open: BTreeMap::new() })
    }

    /// Does what the call did. `Ok(true)`: the disk may hold something else now.
    pub(crate) fn apply(&mut self, call: &Call) -> Result<bool, String> {
        self.play(call).map_err(|problem| format!("{} in line {} of the log: {problem}", call.name, call.made))
    }

    fn play(&mut self, call: &Call) -> Result<bool, String> {
        let text = |error: std::io::Error| error.to_string();
        match call.name.as_str() {
            "open" | "openat" => return self.open(call),
            "close" => drop(call.descriptor().and_then(|fd| self.open.remove(&fd))),
            // A call that failed by itself has changed nothing; a failed sync would have.
            name if call.result < 0 && !name.ends_with("sync") => return Ok(false),
            _ if call.result < 0 => return Err(format!("it failed: {:?}", call.error)),
            "mkdir" | "mkdirat" => self.sim.create_dir(&self.path(call, 0)?).map_err(text)?,
            "rename" | "renameat" | "renameat2" => {
                self.sim.rename(&self.path(call, 0)?, &self.path(call, 1)?).map_err(text)?;
            }
            "unlink" | "unlinkat" => self.sim.remove_file(&self.path(call, 0)?).map_err(text)?,
            "pwritev" | "pwrite64" => {
                let mut bytes = call.strings().concat();
                bytes.truncate(usize::try_from(call.result).map_err(|error| error.to_string())?);
                let offset = call.last_number().ok_or("it has no offset")?;
                let file = self.file(call)?;
                file.write_all_at(&mut [IoSlice::new(&bytes)], offset).map_err(|(_, error)| error.to_string())?;
            }
            "ftruncate" => self.file(call)?.set_len(call.last_number().ok_or("it has no length")?).map_err(text)?,
            "fdatasync" => self.file(call)?.sync_data().map_err(text)?,
            "fsync" => match call.descriptor().and_then(|fd| self.open.get(&fd)) {
                Some(Open::Dir(path)) => self.sim.sync_dir(path).map_err(text)?,
                _ => return Err("it is not on a directory".to_owned()),
            },
            "pread64" | "statfs" | "flock" | "write" => return Ok(false),
            other => return Err(format!("the simulator has nothing like {other}")),
        }
        Ok(call.name != "close")
    }

    fn open(&mut self, call: &Call) -> Result<bool, String> {
        if call.result < 0 {
            return Ok(false);
        }
        let path = self.path(call, 0)?;
        let text = |error: std::io::Error| error.to_string();
        let (opened, changes) = if call.args.contains("O_DIRECTORY") {
            (Open::Dir(path), false)
        } else if !path.starts_with(&self.root) {
            // Libraries, the terminal, what `/proc` tells.
            return Ok(false);
        } else if call.args.contains("O_EXCL") {
            (Open::File(self.sim.open(&path, OpenMode::CreateNew).map_err(text)?), true)
        } else if call.args.contains("O_CREAT") {
            (Open::Lock(self.sim.lock(&path).map_err(text)?), true)
        } else {
            let mode = if call.args.contains("O_RDWR") { OpenMode::ReadWrite } else { OpenMode::Read };
            (Open::File(self.sim.open(&path, mode).map_err(text)?), false)
        };
        self.open.insert(call.result, opened);
        Ok(changes)
    }

    fn path(&self, call: &Call, index: usize) -> Result<PathBuf, String> {
        let path = call.strings().get(index).cloned().ok_or("it has no path")?;
        Ok(self.root.join(OsString::from_vec(path)))
    }

    fn file(&self, call: &Call) -> Result<&Arc<dyn VfsFile>, String> {
        match call.descriptor().and_then(|fd| self.open.get(&fd)) {
            Some(Open::File(file)) => Ok(file),
            _ => Err("it is on an unknown descriptor".to_owned()),
        }
    }
}

/// Writes what a simulated disk holds below `root` into a directory.
pub(crate) fn materialize(sim: &SimVfs, root: &Path, into: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        let place = into.join(dir.strip_prefix(root).map_err(|error| error.to_string())?);
        std::fs::create_dir_all(&place).map_err(text)?;
        for name in sim.read_dir(&dir).map_err(text)? {
            let path = dir.join(&name);
            match sim.peek(&path) {
                Ok(bytes) => std::fs::write(place.join(&name), bytes).map_err(text)?,
                Err(_) => waiting.push(path),
            }
        }
    }
    Ok(())
}
