//! What the sources that read files share: how a file is recognised, how it is read, how problems are told once.

mod absolute;
mod mark;
mod read;
mod reporter;
mod watch;

pub(crate) use absolute::absolute;
pub(crate) use mark::{HEAD_BYTES_MAX, Mark};
pub(crate) use read::{Budget, Pieces, escaped, is_gone, read_range, read_up_to};
pub use reporter::FileReport;
pub(crate) use reporter::Reporter;
pub(crate) use watch::{Changes, Watch};

#[cfg(test)]
pub(super) mod tests;
