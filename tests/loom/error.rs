//! The errors of the crate that the files name, with no more than what they do with them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FullReason {
    Events,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StorageError {
    Closed,
    Poisoned,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PutError {
    Indeterminate { source: StorageError },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TakeError {
    Closed { channel: String },
    Storage { channel: String, source: StorageError },
    Indeterminate { source: StorageError },
}
