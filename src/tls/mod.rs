//! TLS for everything that speaks TCP: sources that listen, clients and sinks that connect.
//!
//! A [`TlsServer`] is what a source needs, a [`TlsClient`] what a sink or client needs. Keys and certificates come from
//! PEM files, from PKCS#12, or from Java's JKS; which one it is, the content tells. TLS 1.2 and 1.3 are spoken, older
//! versions are not.
//!
//! ```
//! use aqueduct::TcpLines;
//! use aqueduct::tls::{KeyStore, TlsServer, TrustStore};
//!
//! fn source() -> Result<TcpLines, Box<dyn std::error::Error>> {
//!     let tls = TlsServer::builder(KeyStore::new("server.p12").password("changeit"))
//!         .require_client_certificate(TrustStore::new("clients.pem"))
//!         .build()?;
//!     Ok(TcpLines::bind("0.0.0.0:44444").tls(tls))
//! }
//! ```

mod client;
mod der;
mod ec_key;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod jks;
mod protocols;
mod server;
mod session;
mod store;
mod verifier;

pub use client::{TlsClient, TlsClientBuilder};
pub use error::TlsError;
#[cfg_attr(not(feature = "http"), allow(unused_imports))]
pub(crate) use error::of_connection;
pub use protocols::Protocols;
pub use server::{TlsServer, TlsServerBuilder};
pub(crate) use session::Session;
pub use store::{KeyStore, TrustStore};

#[cfg(test)]
mod tests;
