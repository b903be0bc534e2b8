//! Acknowledgements that are never encoded.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) ranges: Vec<AckRange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckRange {
    pub(crate) lane: u16,
    pub(crate) events: u32,
    pub(crate) bytes: u64,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
}
