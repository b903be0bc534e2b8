//! The keys of TLS, which all sources and sinks share, and the settings for all of them: Java's system properties
//! `javax.net.ssl.*` and Flume's `flume.ssl.*`, or the variables of the environment that stand for them.
//!
//! Two things go beyond Flume: a source with a `truststore` serves only clients with a certificate of it, and a sink with a
//! `keystore` shows the certificate in it.

use super::super::{Keys, Made, Site};
#[cfg(feature = "tls")]
use super::super::{Refused, Severity};
#[cfg(all(feature = "tls", any(feature = "http", feature = "rpc")))]
use crate::tls::TlsClient;
#[cfg(feature = "tls")]
use crate::tls::{KeyStore, Protocols, TlsError, TlsServer, TrustStore};

/// What the keys of a source say; `None` without `ssl`.
#[cfg(feature = "tls")]
pub(in super::super) fn server(keys: &mut Keys, site: &Site<'_>) -> Made<Option<TlsServer>> {
    let is_on = keys.flag("ssl", false);
    let identity = key_store(keys, site, true);
    let clients = trust_store(keys);
    let protocols = protocols(keys, site);
    if !is_on {
        return Ok(None);
    }
    let Some(identity) = identity else {
        keys.missing_for("ssl", "keystore", Severity::Dropped, "is missing; with ssl there must be a key");
        return Err(keys.refuse("without a key"));
    };
    let mut builder = TlsServer::builder(identity).protocols(protocols);
    if let Some(clients) = clients {
        builder = builder.require_client_certificate(clients);
    }
    match builder.build() {
        Ok(server) => Ok(Some(server)),
        Err(error) => Err(refuse(keys, &error)),
    }
}

/// What the keys of a sink or client say; `None` without `ssl`.
#[cfg(all(feature = "tls", feature = "rpc"))]
pub(in super::super) fn client(keys: &mut Keys, site: &Site<'_>) -> Made<Option<TlsClient>> {
    let is_on = keys.flag("ssl", false);
    let trusts_everyone = keys.flag("trust-all-certs", false);
    let has_own = keys.is_set("truststore");
    let trust = trust_store(keys).or_else(|| global_trust_store(site));
    let verify = keys.flag("verify-hostname", trust.is_none());
    let identity = key_store(keys, site, false);
    let protocols = protocols(keys, site);
    if !is_on {
        return Ok(None);
    }
    if trusts_everyone {
        keys.warn("trust-all-certs", "trusts whoever answers: no better than plain text");
    } else if !verify && !keys.is_set("verify-hostname") {
        // As in Flume. With certificates that the whole world trusts it would be no check at all, so it is one there.
        let key = if has_own { "truststore" } else { "ssl" };
        keys.warn(key, "the name of the server is not checked, as in Flume; verify-hostname = true checks it");
    }
    let mut builder = TlsClient::builder().protocols(protocols).verify_hostname(verify);
    builder = match trust {
        Some(trust) => builder.trust(trust),
        None => builder,
    };
    if trusts_everyone {
        builder = builder.danger_trust_all_certificates();
    }
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    match builder.build() {
        Ok(client) => Ok(Some(client)),
        Err(error) => Err(refuse(keys, &error)),
    }
}

/// Names the key that is wrong, if it is one of the component's own.
#[cfg(feature = "tls")]
fn refuse(keys: &mut Keys, error: &TlsError) -> Refused {
    let key = match error {
        TlsError::Read { place, .. } | TlsError::Store { place, .. } if place.starts_with("trust") => {
            "truststore".to_owned()
        }
        TlsError::Read { .. } | TlsError::Store { .. } => "keystore".to_owned(),
        TlsError::Settings { setting, .. } => setting.unwrap_or("ssl").replace('_', "-"),
    };
    keys.refuse_for(if keys.is_set(&key) { &key } else { "ssl" }, error)
}

/// For a sink that has no keys of its own for TLS: what the settings for all components say, if they say anything. With
/// them Java's own HTTP client also shows the certificate of the key store, which Flume's clients of RPC do not.
#[cfg(all(feature = "tls", feature = "http"))]
pub(super) fn global_client(keys: &mut Keys, site: &Site<'_>) -> Made<Option<TlsClient>> {
    let (trust, identity) = (global_trust_store(site), global_key_store(site));
    if trust.is_none() && identity.is_none() {
        return Ok(None);
    }
    let mut builder = TlsClient::builder();
    if let Some(trust) = trust {
        builder = builder.trust(trust);
    }
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    match builder.build() {
        Ok(client) => Ok(Some(client)),
        Err(error) => Err(keys.refuse(error)),
    }
}

#[cfg(feature = "tls")]
fn global_trust_store(site: &Site<'_>) -> Option<TrustStore> {
    let path = global(site, "javax.net.ssl.trustStore", "FLUME_SSL_TRUSTSTORE_PATH")?;
    let password = global(site, "javax.net.ssl.trustStorePassword", "FLUME_SSL_TRUSTSTORE_PASSWORD");
    Some(with_password(TrustStore::new(path), password, TrustStore::password))
}

#[cfg(all(feature = "tls", feature = "http"))]
fn global_key_store(site: &Site<'_>) -> Option<KeyStore> {
    let path = global(site, KEY_STORE.0, KEY_STORE.1)?;
    let password = global(site, KEY_STORE_PASSWORD.0, KEY_STORE_PASSWORD.1);
    Some(with_password(KeyStore::new(path), password, KeyStore::password))
}

#[cfg(feature = "tls")]
const KEY_STORE: (&str, &str) = ("javax.net.ssl.keyStore", "FLUME_SSL_KEYSTORE_PATH");
#[cfg(feature = "tls")]
const KEY_STORE_PASSWORD: (&str, &str) = ("javax.net.ssl.keyStorePassword", "FLUME_SSL_KEYSTORE_PASSWORD");

#[cfg(feature = "tls")]
fn key_store(keys: &mut Keys, site: &Site<'_>, with_global: bool) -> Option<KeyStore> {
    let (own, own_password) = (keys.optional("keystore"), keys.optional("keystore-password"));
    store_type(keys, "keystore-type");
    let global = |(property, variable)| if with_global { global(site, property, variable) } else { None };
    let path = own.or_else(|| global(KEY_STORE))?;
    let password = own_password.or_else(|| global(KEY_STORE_PASSWORD));
    Some(with_password(KeyStore::new(path), password, KeyStore::password))
}

#[cfg(feature = "tls")]
fn trust_store(keys: &mut Keys) -> Option<TrustStore> {
    let (path, password) = (keys.optional("truststore"), keys.optional("truststore-password"));
    store_type(keys, "truststore-type");
    Some(with_password(TrustStore::new(path?), password, TrustStore::password))
}

/// The content of a store tells its type, as it does in Java for these; others cannot be read.
#[cfg(feature = "tls")]
fn store_type(keys: &mut Keys, key: &str) {
    keys.choice(key, &[("JKS", ()), ("PKCS12", ()), ("PEM", ())], ());
}

#[cfg(feature = "tls")]
fn with_password<S>(store: S, password: Option<String>, put: impl FnOnce(S, String) -> S) -> S {
    match password {
        Some(password) => put(store, password),
        None => store,
    }
}

#[cfg(feature = "tls")]
fn protocols(keys: &mut Keys, site: &Site<'_>) -> Protocols {
    let mut names = |key: &str, property: &str, variable: &str| -> Vec<String> {
        let own = keys.optional(key);
        let text = own.or_else(|| global(site, property, variable)).unwrap_or_default();
        text.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    Protocols::new()
        .include_protocols(names("include-protocols", "flume.ssl.include.protocols", "FLUME_SSL_INCLUDE_PROTOCOLS"))
        .exclude_protocols(names("exclude-protocols", "flume.ssl.exclude.protocols", "FLUME_SSL_EXCLUDE_PROTOCOLS"))
        .include_cipher_suites(names(
            "include-cipher-suites",
            "flume.ssl.include.cipherSuites",
            "FLUME_SSL_INCLUDE_CIPHERSUITES",
        ))
        .exclude_cipher_suites(names(
            "exclude-cipher-suites",
            "flume.ssl.exclude.cipherSuites",
            "FLUME_SSL_EXCLUDE_CIPHERSUITES",
        ))
}

/// A system property, or the variable that stands for it.
#[cfg(feature = "tls")]
fn global(site: &Site<'_>, property: &str, variable: &str) -> Option<String> {
    site.property(property).map(str::to_owned).or_else(|| site.environment(variable)).filter(|text| !text.is_empty())
}

/// Without the feature `tls`, nobody speaks it.
#[cfg(not(feature = "tls"))]
pub(in super::super) fn none(keys: &mut Keys, _: &Site<'_>) -> Made<()> {
    if keys.flag("ssl", false) {
        keys.mistake("ssl", "TLS is not part of this build; enable the feature tls of the crate aqueduct");
    }
    let keys_of_tls = [
        "trust-all-certs",
        "verify-hostname",
        "keystore",
        "keystore-password",
        "keystore-type",
        "truststore",
        "truststore-password",
        "truststore-type",
        "include-protocols",
        "exclude-protocols",
        "include-cipher-suites",
        "exclude-cipher-suites",
    ];
    keys.ignored(&keys_of_tls, "has no effect without ssl");
    Ok(())
}
