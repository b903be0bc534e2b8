//! The decoders of the store one by one, with seeds from small stores.

use super::recovery::images;
use crate::store::fuzz;

pub(super) use fuzz::{checkpoint, frame, manifest, record, segment_header};

pub(super) fn frame_seeds() -> Vec<Vec<u8>> {
    fuzz::frame_seeds(images())
}

pub(super) fn record_seeds() -> Vec<Vec<u8>> {
    fuzz::record_seeds(images())
}

pub(super) fn segment_header_seeds() -> Vec<Vec<u8>> {
    fuzz::segment_header_seeds(images())
}

pub(super) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    fuzz::checkpoint_seeds(images())
}

pub(super) fn manifest_seeds() -> Vec<Vec<u8>> {
    fuzz::manifest_seeds(images())
}
