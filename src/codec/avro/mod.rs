//! Avro: binary data, and container files.

#[cfg(feature = "avro")]
pub(crate) mod blocks;
#[cfg(feature = "avro")]
mod canonical;
#[cfg(feature = "avro")]
pub(crate) mod container;
#[allow(dead_code)] // each of the features `avro` and `rpc` needs only a part of it
pub(crate) mod data;
#[cfg(all(feature = "avro", any(test, feature = "testing")))]
pub(crate) mod fuzz;
#[cfg(feature = "avro")]
pub(crate) mod java_text;
#[cfg(feature = "avro")]
pub(crate) mod schema;
