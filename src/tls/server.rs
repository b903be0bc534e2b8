//! What a source that listens needs.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::error::own;
use super::verifier::{ClientVerifier, roots};
use super::{KeyStore, Protocols, TlsError, TrustStore};

/// The key and the settings with which a source speaks TLS. Cheap to clone.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

/// Collects the settings of a [`TlsServer`].
#[derive(Clone, Debug)]
pub struct TlsServerBuilder {
    identity: KeyStore,
    clients: Option<TrustStore>,
    protocols: Protocols,
}

impl TlsServer {
    /// Settings for a server that proves itself with the key in `identity`.
    #[must_use]
    pub fn builder(identity: KeyStore) -> TlsServerBuilder {
        TlsServerBuilder { identity, clients: None, protocols: Protocols::default() }
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Another one, which need not be honest.
    #[cfg(test)]
    pub(super) fn with_config(config: ServerConfig) -> Self {
        Self { config: Arc::new(config) }
    }
}

impl TlsServerBuilder {
    /// Serves only clients that prove themselves with a certificate of one of these authorities, or with one of these very
    /// certificates. Default: all clients.
    #[must_use]
    pub fn require_client_certificate(mut self, authorities: TrustStore) -> Self {
        self.clients = Some(authorities);
        self
    }

    /// Versions and cipher suites.
    #[must_use]
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    /// Reads keys and certificates and puts everything together.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what to do.
    pub fn build(self) -> Result<TlsServer, TlsError> {
        let identity = self.identity.load()?;
        let (provider, versions) = self.protocols.provider()?;
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(TlsError::settings)?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let trusted = authorities.load()?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&trusted)?), provider).build();
                let verifier = verifier.map_err(|error| TlsError::store(&trusted.place, error))?;
                builder.with_client_cert_verifier(Arc::new(ClientVerifier::new(verifier, trusted)))
            }
        };
        let place = identity.place;
        let config = builder
            .with_single_cert(identity.chain, identity.key)
            .map_err(|error| TlsError::store(&place, own(&error)))?;
        Ok(TlsServer { config: Arc::new(config) })
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}
