//! What an open asks for in memory: what a damaged file says does not decide it.

use aqueduct::store::OpenError;
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{FileStore, FileStoreBuilder};

use crate::check::Result;

/// Opens a store. `Err`: that took more memory, at once or in all, than its files account for.
pub(crate) fn open(builder: FileStoreBuilder, disk: &SimVfs) -> Result<std::result::Result<FileStore, OpenError>> {
    let files: u64 = disk.files().iter().map(|path| disk.peek(path).map_or(0, |bytes| bytes.len() as u64)).sum();
    let mut opened = None;
    let asked = allocation_counter::measure(|| opened = Some(builder.open()));
    if asked.bytes_max > AT_ONCE_MAX + AT_ONCE_TIMES * files {
        return Err(format!("the open holds {} bytes at once, for {files} bytes of files", asked.bytes_max));
    }
    if asked.bytes_total > IN_ALL_MAX + IN_ALL_TIMES * files {
        return Err(format!("the open asks for {} bytes in all, for {files} bytes of files", asked.bytes_total));
    }
    opened.ok_or_else(|| "the open did not run".to_owned())
}

// An open of an undamaged store needs half of that, with what the simulated disk keeps of its calls.
const AT_ONCE_MAX: u64 = 16 << 10;
const AT_ONCE_TIMES: u64 = 4;
const IN_ALL_MAX: u64 = 32 << 10;
const IN_ALL_TIMES: u64 = 10;
