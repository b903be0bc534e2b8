//! What tests may do to a disk behind the back of the running system: look, rot, remove, restore.
//!
//! None of this is counted, traced or failed, and all of it is durable at once. What was unsynced in the file (or, for
//! names, in the directory) becomes durable first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::SimVfs;
use super::content::Content;
use super::state::{Body, Entries, Place, ROOT, State};

/// The bytes of a file at some moment, see [`SimVfs::save`].
#[derive(Clone, Debug)]
pub struct SavedFile {
    content: Content,
}

impl SavedFile {
    /// The bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.content.to_vec(self.content.len())
    }
}

impl SimVfs {
    /// Makes a directory and its missing parents, durably.
    ///
    /// # Errors
    /// `NotADirectory` if a file is in the way, or if a name cannot be one.
    pub fn make_dirs(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut state = self.state.lock();
        let ancestors: Vec<&Path> = path.as_ref().ancestors().filter(|p| p.file_name().is_some()).collect();
        for dir in ancestors.into_iter().rev() {
            if let Ok(inode) = state.find(dir) {
                state.entries(inode)?;
                continue;
            }
            state.plant(dir, Body::Dir { durable: Arc::default(), current: Arc::default() })?;
        }
        Ok(())
    }

    /// Puts a thing into a directory that is neither file nor directory, as a FIFO: it cannot be opened.
    ///
    /// # Errors
    /// `AlreadyExists`; `NotFound` if there is no such directory.
    pub fn make_special(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state.lock().plant(path.as_ref(), Body::Special).map(drop)
    }

    /// The paths of all files in all directories, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        fn visit(state: &State, dir: &Path, entries: &Entries, found: &mut Vec<PathBuf>) {
            for (name, &inode) in entries {
                let path = dir.join(name);
                match state.node(inode).map(|node| &node.body) {
                    Ok(Body::File { .. }) => found.push(path),
                    Ok(Body::Dir { current, .. }) => visit(state, &path, current, found),
                    _ => {}
                }
            }
        }
        let state = self.state.lock();
        let mut found = Vec::new();
        if let Ok(entries) = state.entries(ROOT) {
            visit(&state, Path::new("/"), entries, &mut found);
        }
        found.sort();
        found
    }

    /// The bytes of a file as the running system sees them.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if it is not a file.
    pub fn peek(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        Ok(self.save(path)?.to_vec())
    }

    /// Overwrites bytes of a file, which grows if need be and is created if there is none.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a file; `NotFound` if there is no such directory.
    pub fn poke(&self, path: impl AsRef<Path>, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = path.as_ref();
        let mut state = self.state.lock();
        if matches!(state.find(path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            state.plant(path, Body::File { durable: Content::default(), current: Content::default() })?;
        }
        state.tamper(path, |content| content.write(offset, bytes))
    }

    /// Inverts one bit of a file.
    ///
    /// # Errors
    /// As [`SimVfs::peek`]; `InvalidInput` if the file is shorter.
    pub fn flip_bit(&self, path: impl AsRef<Path>, bit: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.find(path.as_ref())?;
        let mut byte = [0];
        if state.content(inode)?.read(&mut byte, bit / 8) == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has no such bit"));
        }
        state.tamper(path.as_ref(), |content| content.write(bit / 8, &byte.map(|b| b ^ (1 << (bit % 8)))))
    }

    /// Cuts a file, or extends it with zeros.
    ///
    /// # Errors
    /// As [`SimVfs::peek`].
    pub fn cut(&self, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        self.state.lock().tamper(path.as_ref(), |content| content.set_len(len))
    }

    /// Removes a file or a directory with all that is in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn erase(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state.lock().erase(path.as_ref())
    }

    /// Keeps the bytes of a file, to be restored later.
    ///
    /// # Errors
    /// As [`SimVfs::peek`].
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<SavedFile> {
        let state = self.state.lock();
        Ok(SavedFile { content: state.content(state.find(path.as_ref())?)?.clone() })
    }

    /// Replaces the bytes of a file by older ones (or those of another file); creates it if there is none.
    ///
    /// # Errors
    /// As [`SimVfs::poke`].
    pub fn restore(&self, path: impl AsRef<Path>, saved: &SavedFile) -> io::Result<()> {
        self.poke(path.as_ref(), 0, &[])?;
        self.state.lock().tamper(path.as_ref(), |content| content.clone_from(&saved.content))
    }
}

impl State {
    fn plant(&mut self, path: &Path, body: Body) -> io::Result<u64> {
        let place = self.place(path)?;
        let inode = self.create(&place, body, &Arc::from(path))?;
        self.settle(place.dir)?;
        Ok(inode)
    }

    /// Makes the disk agree with the running system about the entries of a directory.
    fn settle(&mut self, dir: u64) -> io::Result<()> {
        self.sync_entries(dir)?;
        let node = self.node_mut(dir)?;
        node.diverged = false;
        if let Body::Dir { durable, current } = &mut node.body {
            durable.clone_from(current);
        }
        Ok(())
    }

    fn tamper(&mut self, path: &Path, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        let inode = self.find(path)?;
        self.content(inode)?;
        self.sync_file(inode)?;
        let node = self.node_mut(inode)?;
        let Body::File { durable, current } = &mut node.body else { return Err(Errno::INVAL.into()) };
        let before = current.allocated_bytes();
        change(current);
        durable.clone_from(current);
        node.diverged = false;
        let after = current.allocated_bytes();
        self.used = (self.used + after).saturating_sub(before);
        Ok(())
    }

    fn erase(&mut self, path: &Path) -> io::Result<()> {
        let place = self.place(path)?;
        let inode = self.entry(&place)?.ok_or(Errno::NOENT)?;
        if let Body::Dir { current, .. } = &self.node(inode)?.body {
            let names: Vec<PathBuf> = current.keys().map(|name| path.join(name)).collect();
            for name in names {
                self.erase(&name)?;
            }
        }
        let Place { dir, .. } = place;
        self.unlink(&place, &Arc::from(path), inode)?;
        self.settle(dir)
    }
}
