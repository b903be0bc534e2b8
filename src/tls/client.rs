//! What a sink or client that connects needs.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;

use super::error::own;
use super::verifier::{Trust, Verifier};
use super::{KeyStore, Protocols, TlsError, TrustStore};

/// Whom a sink or client trusts, and the settings with which it speaks TLS. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient {
    #[cfg_attr(not(feature = "rpc"), allow(dead_code))]
    config: Arc<ClientConfig>,
}

/// Collects the settings of a [`TlsClient`].
#[derive(Clone, Debug)]
pub struct TlsClientBuilder {
    trust: Option<TrustStore>,
    identity: Option<KeyStore>,
    protocols: Protocols,
    verify_hostname: bool,
}

impl TlsClient {
    /// Settings for a client that trusts what the system trusts, and verifies the names of servers.
    #[must_use]
    pub fn builder() -> TlsClientBuilder {
        TlsClientBuilder {
            trust: Some(TrustStore::system()),
            identity: None,
            protocols: Protocols::default(),
            verify_hostname: true,
        }
    }

    #[cfg_attr(not(feature = "rpc"), allow(dead_code))]
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Another one, which need not be honest.
    #[cfg(test)]
    pub(super) fn with_config(config: ClientConfig) -> Self {
        Self { config: Arc::new(config) }
    }
}

impl TlsClientBuilder {
    /// Trusts these authorities, or these very certificates, which are good for any time then, as in Java. Default: [`TrustStore::system`].
    #[must_use]
    pub fn trust(mut self, authorities: TrustStore) -> Self {
        self.trust = Some(authorities);
        self
    }

    /// Proves itself with this key to servers that ask for it. Default: no key.
    #[must_use]
    pub fn identity(mut self, identity: KeyStore) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Versions and cipher suites.
    #[must_use]
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    /// Whether the certificate of a server must be for the name by which it is reached. Without it, whoever has any
    /// certificate that is trusted can pretend to be the server; that is how Flume's clients do it, and tolerable where
    /// the trust store holds the certificates of a few own servers. Default: `true`.
    #[must_use]
    pub fn verify_hostname(mut self, verify: bool) -> Self {
        self.verify_hostname = verify;
        self
    }

    /// Trusts everyone, as Flume's `trust-all-certs`. Against someone who can change what is on the network this is no
    /// better than plain text.
    #[must_use]
    pub fn danger_trust_all_certificates(mut self) -> Self {
        self.trust = None;
        self
    }

    /// Reads keys and certificates and puts everything together.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what to do.
    pub fn build(self) -> Result<TlsClient, TlsError> {
        let (provider, versions) = self.protocols.provider()?;
        let trust = match &self.trust {
            Some(store) => Trust::some(store.load()?, self.verify_hostname)?,
            None => Trust::Everyone,
        };
        let verifier = Verifier::new(trust, provider.signature_verification_algorithms);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .map_err(TlsError::settings)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(store) => {
                let identity = store.load()?;
                builder
                    .with_client_auth_cert(identity.chain, identity.key)
                    .map_err(|error| TlsError::store(&identity.place, own(&error)))?
            }
        };
        Ok(TlsClient { config: Arc::new(config) })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}
