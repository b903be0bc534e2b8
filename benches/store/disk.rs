//! What the disk wrote.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The directory in which benchmarks write.
pub(crate) fn parent() -> PathBuf {
    std::env::var_os("AQUEDUCT_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Bytes that the disk below that directory has written, for whomever; always the same where the system does not say. A process's
/// own count, that of `/proc/self/io`, takes a piece of the page cache of which something has changed for written whole.
pub(crate) fn bytes_written() -> u64 {
    static STAT: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let device = std::fs::metadata(parent()).ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        Some(format!("/sys/dev/block/{major}:{minor}/stat").into())
    });
    let stat = STAT.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let sectors: Option<u64> = stat.split_whitespace().nth(6).and_then(|sectors| sectors.parse().ok());
    sectors.unwrap_or(0) * 512
}
