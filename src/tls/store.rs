//! Where keys and certificates come from.

use std::fmt;
use std::path::{Path, PathBuf};

use p12_keystore::{KeyStoreEntry, Pkcs12Archive, Pkcs12ImportPolicy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, der, ec_key, jks};
use crate::codec::java_hash;
use crate::limits::TLS_FILE_BYTES_MAX;
use crate::vfs::read_settings;

/// A private key with its certificate and the certificates that lead from it to an authority.
///
/// ```
/// use aqueduct::tls::KeyStore;
///
/// let java = KeyStore::new("/etc/flume/server.jks").password("changeit"); // JKS, PKCS#12, or PEM
/// let pem = KeyStore::pem("/etc/ssl/server.crt", "/etc/ssl/private/server.key");
/// assert!(!format!("{java:?}").contains("changeit"));
/// # let _ = pem;
/// ```
#[derive(Clone, Debug)]
pub struct KeyStore {
    chain: Place,
    // In PEM, the key may have a place of its own.
    key: Option<Place>,
    password: Secret,
}

/// The certificates that are trusted: those of authorities, and of peers themselves. Each may vouch for others, so keep none of a peer
/// here whose key is not as safe as that of an authority.
///
/// ```
/// use aqueduct::tls::TrustStore;
///
/// let java = TrustStore::new("/etc/flume/trust.jks"); // JKS, PKCS#12, or PEM; the password is optional
/// let system = TrustStore::system();
/// # let _ = (java, system);
/// ```
#[derive(Clone, Debug)]
pub struct TrustStore {
    place: Option<Place>,
    password: Secret,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// Text that is not shown.
#[derive(Clone, Default)]
struct Secret(Option<String>);

/// What a server or client proves itself with.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) place: String,
}

/// Who is trusted, and to vouch for others.
pub(super) struct Trusted {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) place: String,
}

impl KeyStore {
    /// A file in one of three formats, told apart by content: PKCS#12 (`.p12`, `.pfx`, and what `keytool` writes today),
    /// Java's old JKS, or PEM with both certificates and key. Of several keys it is
    /// the one that Java shows, the first in the order of a `HashMap` of the names of those that have a certificate.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { chain: Place::File(path.into()), key: None, password: Secret::default() }
    }

    /// Two PEM files: the certificate, followed by those that lead to an authority, and the key.
    #[must_use]
    pub fn pem(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { chain: Place::File(chain.into()), key: Some(Place::File(key.into())), password: Secret::default() }
    }

    /// The same from memory.
    #[must_use]
    pub fn from_pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (chain, key) = (Place::Memory(chain.into()), Some(Place::Memory(key.into())));
        Self { chain, key, password: Secret::default() }
    }

    /// The password of the store, and of the key in it.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Secret(Some(password.into()));
        self
    }

    pub(super) fn load(&self) -> Result<Identity, TlsError> {
        let place = self.chain.describe("key store");
        let bytes = self.chain.read(&place)?;
        let (chain, key) = match Format::of(&bytes) {
            Format::Jks => self.read_jks(&bytes, &place)?,
            Format::Pkcs12 => self.read_pkcs12(&bytes, &place)?,
            Format::Pem => self.read_pem(&bytes, &place)?,
        };
        if chain.is_empty() {
            return Err(TlsError::store(&place, NO_CERTIFICATE));
        }
        Ok(Identity { chain, key, place })
    }

    fn read_jks(&self, bytes: &[u8], place: &str) -> Result<Parts, TlsError> {
        let Some(password) = &self.password.0 else {
            return Err(TlsError::store(place, "a JKS key store needs its password"));
        };
        let entries = jks::read(bytes, Some(password)).map_err(|error| TlsError::store(place, error))?;
        let why = if entries.keys.is_empty() { NO_KEY } else { NO_CERTIFICATE };
        // As in Java, a key without a certificate serves nobody.
        let usable = entries.keys.into_iter().filter(|entry| !entry.chain.is_empty());
        let named = usable.map(|entry| (entry.alias.clone(), entry)).collect();
        let entry = first_in_java(named).ok_or_else(|| TlsError::store(place, why))?;
        let key = jks::decrypt(&entry.encrypted, password)
            .map_err(|error| TlsError::store(place, format!("the key {}: {error}", entry.alias)))?;
        let chain = certificates(entry.chain);
        let key = ec_key::complete(key, chain.first());
        Ok((chain, key))
    }

    fn read_pkcs12(&self, bytes: &[u8], place: &str) -> Result<Parts, TlsError> {
        let password = self.password.0.as_deref().unwrap_or_default();
        let store = p12_keystore::KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict)
            .map_err(|error| pkcs12_error(place, &error))?;
        let keys = store.entries().filter_map(|(alias, entry)| match entry {
            // Java makes names small when it reads them.
            KeyStoreEntry::PrivateKeyChain(chain) => Some((alias.to_lowercase(), chain)),
            _ => None,
        });
        let found = first_in_java(keys.collect()).ok_or_else(|| TlsError::store(place, NO_KEY))?;
        let chain = certificates(found.certs().iter().map(|certificate| certificate.as_der().to_vec()));
        let key = ec_key::complete(found.key().as_der().to_vec(), chain.first());
        Ok((chain, key))
    }

    fn read_pem(&self, bytes: &[u8], place: &str) -> Result<Parts, TlsError> {
        let chain = pem_certificates(bytes, place)?;
        let Some(key) = &self.key else {
            return Ok((chain, pem_key(bytes, place)?));
        };
        let place = key.describe("private key");
        Ok((chain, pem_key(&key.read(&place)?, &place)?))
    }
}

impl TrustStore {
    /// A file in one of three formats, told apart by content: PKCS#12, Java's old JKS, or PEM.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { place: Some(Place::File(path.into())), password: Secret::default() }
    }

    /// PEM from memory.
    #[must_use]
    pub fn from_pem(certificates: impl Into<Vec<u8>>) -> Self {
        Self { place: Some(Place::Memory(certificates.into())), password: Secret::default() }
    }

    /// What the system trusts: the file that the environment variable `SSL_CERT_FILE` names, or where distributions of
    /// Linux keep it.
    #[must_use]
    pub fn system() -> Self {
        Self { place: None, password: Secret::default() }
    }

    /// The password of the store. A JKS store without it is read, too, but not checked for damage.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Secret(Some(password.into()));
        self
    }

    pub(super) fn load(&self) -> Result<Trusted, TlsError> {
        let place = match &self.place {
            Some(place) => place.clone(),
            None => Place::File(system_file()?),
        };
        let name = place.describe("trust store");
        let bytes = place.read(&name)?;
        let found = match Format::of(&bytes) {
            Format::Pem => pem_certificates(&bytes, &name)?,
            Format::Jks => {
                let entries = jks::read(&bytes, self.password.0.as_deref());
                let entries = entries.map_err(|error| TlsError::store(&name, error))?;
                // As in Java, the certificate of a key of our own is trusted, too.
                let own = entries.keys.into_iter().filter_map(|key| key.chain.into_iter().next());
                certificates(entries.trusted.into_iter().chain(own))
            }
            Format::Pkcs12 => {
                let password = self.password.0.as_deref().unwrap_or_default();
                let archive =
                    Pkcs12Archive::from_pkcs12(&bytes, password).map_err(|error| pkcs12_error(&name, &error))?;
                certificates(archive.certs.into_iter().map(|found| found.cert.as_der().to_vec()))
            }
        };
        if found.is_empty() {
            return Err(TlsError::store(&name, "it holds no certificate, so that nobody would be trusted"));
        }
        Ok(Trusted { certificates: found, place: name })
    }
}

impl Place {
    fn describe(&self, what: &str) -> String {
        match self {
            Self::File(path) => format!("{what} {}", path.display()),
            Self::Memory(_) => format!("{what} in memory"),
        }
    }

    fn read(&self, place: &str) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(path) => read_settings(path, TLS_FILE_BYTES_MAX)
                .map_err(|source| TlsError::Read { place: place.to_owned(), source }),
            Self::Memory(bytes) => Ok(bytes.clone()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "***" } else { "none" })
    }
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What a store is written in.
enum Format {
    Jks,
    Pkcs12,
    Pem,
}

impl Format {
    fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(&jks::MAGIC) {
            Self::Jks
        } else if bytes.first() == Some(&der::SEQUENCE) {
            Self::Pkcs12
        } else {
            Self::Pem
        }
    }
}

/// The key that Java shows, which puts keys into a `HashMap` by their names and takes the first that serves.
fn first_in_java<T>(keys: Vec<(String, T)>) -> Option<T> {
    let buckets = java_hash::buckets_of_map(keys.len());
    keys.into_iter().min_by_key(|(name, _)| java_hash::place(name, buckets)).map(|(_, key)| key)
}

fn certificates(found: impl IntoIterator<Item = Vec<u8>>) -> Vec<CertificateDer<'static>> {
    found.into_iter().map(CertificateDer::from).collect()
}

fn pem_certificates(bytes: &[u8], place: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| TlsError::store(place, format!("not well-formed PEM: {error}")))?;
    if found.is_empty() {
        return Err(TlsError::store(place, "neither JKS nor PKCS#12 nor PEM with a certificate in it"));
    }
    Ok(found)
}

fn pem_key(bytes: &[u8], place: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        let encrypted = bytes.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
        let reason = if encrypted {
            "the key is encrypted, which is not supported in PEM; decrypt it, or put it into a PKCS#12 store".to_owned()
        } else {
            format!("no private key in PEM: {error}")
        };
        TlsError::store(place, reason)
    })
}

fn pkcs12_error(place: &str, error: &p12_keystore::error::Error) -> TlsError {
    use p12_keystore::error::Error;
    let reason = match error {
        Error::MacError(_) | Error::UnpadError => "the password is wrong, or the store is damaged".to_owned(),
        other => format!("not a PKCS#12 store that can be read: {other}"),
    };
    TlsError::store(place, reason)
}

/// The file with what the system trusts.
fn system_file() -> Result<PathBuf, TlsError> {
    if let Some(named) = std::env::var_os("SSL_CERT_FILE").filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    let known = SYSTEM_FILES.iter().map(Path::new).find(|path| path.exists());
    known.map(Path::to_path_buf).ok_or_else(|| {
        let reason = format!(
            "there is no file of trusted certificates ({}); install the package of CA certificates, or name a trust store",
            SYSTEM_FILES.join(", ")
        );
        TlsError::store("trust store of the system", reason)
    })
}

const NO_KEY: &str = "it holds no private key; is it a trust store?";
const NO_CERTIFICATE: &str = "it holds no certificate for the key";
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// Where Debian, Red Hat, SUSE and Alpine keep the certificates of authorities.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
