//! Open files and locks of the simulator.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::io::Errno;

use super::fault::{Fault, OpKind};
use super::state::State;
use super::{metadata_of, run};
use crate::vfs::{Metadata, VfsFile, VfsLock};

/// Slices that one call takes, as in Linux.
const SLICES_MAX: usize = 1024;

/// A descriptor: it keeps its inode in being.
#[derive(Debug)]
struct Handle {
    state: Arc<Mutex<State>>,
    inode: u64,
    path: Arc<Path>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.lock().release(self.inode);
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    handle: Handle,
    writable: bool,
}

impl SimFile {
    /// The caller has counted the handle, in the node and in all.
    pub(super) fn new(state: Arc<Mutex<State>>, inode: u64, path: Arc<Path>, writable: bool) -> Self {
        Self { handle: Handle { state, inode, path }, writable }
    }

    fn run<T>(
        &self,
        kind: OpKind,
        offset: u64,
        len: u64,
        op: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let on_sync_error = |state: &mut State, kept| state.lose_file(self.handle.inode, kept);
        run(&self.handle.state, (kind, &self.handle.path, offset, len), on_sync_error, op)
    }

    fn must_be_writable(&self, otherwise: Errno) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(otherwise.into()) }
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.run(OpKind::Read, offset, buf.len() as u64, |state, fault| {
            check_offset(offset)?;
            let wanted = if let Some(Fault::Short(max)) = fault { buf.len().min(max) } else { buf.len() };
            let buf = buf.get_mut(..wanted).unwrap_or_default();
            let n = state.content(self.handle.inode)?.read(buf, offset);
            if let Some(Fault::Flip(bit)) = fault {
                flip(buf.get_mut(..n).unwrap_or_default(), bit);
            }
            Ok(n)
        })
    }

    fn write_at(&self, bufs: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bufs = bufs.get(..SLICES_MAX).unwrap_or(bufs);
        let mut data = Vec::with_capacity(bufs.iter().map(|buf| buf.len()).sum());
        for buf in bufs {
            data.extend_from_slice(buf);
        }
        self.run(OpKind::Write, offset, data.len() as u64, |state, fault| {
            check_offset(offset)?;
            self.must_be_writable(Errno::BADF)?;
            match fault {
                Some(Fault::Short(max) | Fault::KillAfter(max)) => data.truncate(max),
                Some(Fault::Flip(bit)) => flip(&mut data, bit),
                _ => {}
            }
            if data.is_empty() {
                return Ok(0);
            }
            state.write(self.handle.inode, offset, Bytes::from(data), &self.handle.path)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.run(OpKind::SyncData, 0, 0, |state, _| state.sync_file(self.handle.inode))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.run(OpKind::SetLen, 0, len, |state, _| {
            // As the standard library says it.
            i64::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
            self.must_be_writable(Errno::INVAL)?;
            state.set_len(self.handle.inode, len, &self.handle.path)
        })
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.run(OpKind::Metadata, 0, 0, |state, _| metadata_of(state, self.handle.inode))
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.run(OpKind::Map, 0, len, |state, _| {
            let content = state.content(self.handle.inode)?;
            if content.len() < len {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "file is shorter than the range to map"));
            }
            Ok(Bytes::from(content.to_vec(len)))
        })
    }
}

#[derive(Debug)]
pub(super) struct SimLock {
    handle: Handle,
}

impl SimLock {
    /// The caller has counted the handle and taken the lock.
    pub(super) fn new(state: Arc<Mutex<State>>, inode: u64, path: Arc<Path>) -> Self {
        Self { handle: Handle { state, inode, path } }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.handle.state.lock().locked.remove(&self.handle.inode);
    }
}

impl VfsLock for SimLock {}

/// File offsets are signed in the kernel.
fn check_offset(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_ok() { Ok(()) } else { Err(Errno::INVAL.into()) }
}

fn flip(bytes: &mut [u8], bit: u64) {
    let bits = bytes.len() as u64 * 8;
    let Some(bit) = bit.checked_rem(bits) else { return };
    if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1 << (bit % 8);
    }
}
