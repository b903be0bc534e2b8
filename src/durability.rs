//! Durability levels.

use std::time::Duration;

/// When a commit on a file channel returns, and so what survives what.
///
/// | level | killed process | power cut |
/// |---|---|---|
/// | `Sync` | nothing is lost | nothing is lost |
/// | `Interval(d)` | nothing is lost | at most the commits of the last `d` and of the time that the store's thread takes for what it is at: at most filling a segment |
/// | `Os` | nothing is lost | what the operating system had not written back; never a middle part of a lane |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A commit returns once its bytes are on stable storage. The default.
    #[default]
    Sync,
    /// A commit returns once the operating system has its bytes; they are synced this much later, or once the store's thread is done
    /// with what it is at.
    Interval(Duration),
    /// A commit returns once the operating system has its bytes; the operating system decides when it writes them.
    Os,
}
