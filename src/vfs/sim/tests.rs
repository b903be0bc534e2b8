//! The simulator is an instrument: these tests calibrate it. Programs known to be wrong must be caught, a program known
//! to be right must pass, and without crashes it must behave like the operating system.

mod crashes;
mod differential;
mod faults;
mod model;

use std::io::{self, IoSlice};
use std::path::Path;

use super::*;

/// Writes a buffer as a whole.
fn write(file: &dyn VfsFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(&mut [IoSlice::new(bytes)], offset).map_err(|(_, error)| error)
}

/// Creates a file with content.
fn create(vfs: &dyn Vfs, path: &str, bytes: &[u8]) -> io::Result<Arc<dyn VfsFile>> {
    let file = vfs.open(Path::new(path), OpenMode::CreateNew)?;
    write(&*file, bytes, 0)?;
    Ok(file)
}

/// A file system with a durable directory `/d`.
fn with_dir() -> SimVfs {
    let sim = SimVfs::new();
    sim.make_dirs("/d").unwrap();
    sim
}

/// The seed to use: `AQUEDUCT_SEED` or the given one; printed, so that a failure can be replayed.
fn seed(default: u64) -> u64 {
    let seed = std::env::var("AQUEDUCT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(default);
    println!("AQUEDUCT_SEED={seed}");
    seed
}
