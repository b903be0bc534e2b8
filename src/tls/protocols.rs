//! The choice of versions and cipher suites, by the names that Java gives them.

use std::fmt;

use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::TlsError;

/// Which versions of TLS, and which cipher suites, may be used. The default is all that are known to be good: TLS 1.2 and
/// 1.3, with forward secrecy and authenticated encryption.
///
/// Names are those of Java (`TLSv1.3`, `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`), as in Flume's configuration. What this
/// crate does not speak (`SSLv3`, `TLSv1`, `TLSv1.1`, older suites) can be named and makes no difference, unless it is
/// all that is left. A version none of whose suites is left is not spoken.
///
/// ```
/// use aqueduct::tls::Protocols;
///
/// let strict = Protocols::new().exclude_protocols(["TLSv1.2"]);
/// # let _ = strict;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Protocols {
    include_versions: Vec<String>,
    exclude_versions: Vec<String>,
    include_suites: Vec<String>,
    exclude_suites: Vec<String>,
}

impl Protocols {
    /// The default choice.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these versions. An empty list means all.
    #[must_use]
    pub fn include_protocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.include_versions = names.into_iter().map(Into::into).collect();
        self
    }

    /// Not these versions, even if they are included.
    #[must_use]
    pub fn exclude_protocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exclude_versions = names.into_iter().map(Into::into).collect();
        self
    }

    /// Only these cipher suites. An empty list means all.
    #[must_use]
    pub fn include_cipher_suites(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.include_suites = names.into_iter().map(Into::into).collect();
        self
    }

    /// Not these cipher suites, even if they are included.
    #[must_use]
    pub fn exclude_cipher_suites(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exclude_suites = names.into_iter().map(Into::into).collect();
        self
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
        for (setting, names) in
            [("include_protocols", &self.include_versions), ("exclude_protocols", &self.exclude_versions)]
        {
            if let Some(name) = names.iter().find(|name| !VERSIONS.contains(&name.as_str())) {
                let reason = format!("{name} is not a version of TLS; the names are {}", VERSIONS.join(", "));
                return Err(TlsError::protocols(setting, reason));
            }
        }
        let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
        for (name, version) in [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)] {
            if is_chosen(name, &self.include_versions, &self.exclude_versions) {
                versions.push(version);
            }
        }
        if versions.is_empty() {
            let is_included = ["TLSv1.2", "TLSv1.3"].iter().any(|name| is_chosen(name, &self.include_versions, &[]));
            return Err(TlsError::protocols(
                if is_included { "exclude_protocols" } else { "include_protocols" },
                "no version of TLS is left; this crate speaks TLSv1.2 and TLSv1.3, so include one of them",
            ));
        }
        Ok(versions)
    }

    /// The cryptography, with the chosen suites, and those of the chosen versions that have one. In Java, too, a version
    /// without a suite is not spoken.
    pub(super) fn provider(&self) -> Result<(CryptoProvider, Vec<&'static SupportedProtocolVersion>), TlsError> {
        let mut provider = ring::default_provider();
        let all = provider.cipher_suites.clone();
        provider.cipher_suites.retain(|suite| is_chosen(&java_name(suite), &self.include_suites, &self.exclude_suites));
        let chosen = self.versions()?;
        let has_suite = |version: &&_| provider.cipher_suites.iter().any(|suite| suite.version() == *version);
        let versions: Vec<_> = chosen.iter().copied().filter(has_suite).collect();
        if versions.is_empty() {
            let known: Vec<String> =
                all.iter().filter(|suite| chosen.contains(&suite.version())).map(java_name).collect();
            let is_included = known.iter().any(|name| is_chosen(name, &self.include_suites, &[]));
            let reason = format!(
                "no cipher suite is left for {}; this crate knows {}",
                chosen.iter().map(|version| Version(version).to_string()).collect::<Vec<_>>().join(" and "),
                known.join(", ")
            );
            let setting = if is_included { "exclude_cipher_suites" } else { "include_cipher_suites" };
            return Err(TlsError::protocols(setting, reason));
        }
        Ok((provider, versions))
    }
}

fn is_chosen(name: &str, include: &[String], exclude: &[String]) -> bool {
    (include.is_empty() || include.iter().any(|included| included == name))
        && !exclude.iter().any(|other| other == name)
}

/// Java has one prefix for the suites of all versions.
fn java_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

struct Version(&'static SupportedProtocolVersion);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self.0 == TLS13 { "TLSv1.3" } else { "TLSv1.2" })
    }
}

/// All that Java knows, so that its configurations can be read.
const VERSIONS: [&str; 7] = ["SSLv2Hello", "SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_what_is_included_and_not_excluded() {
        let names = |protocols: Protocols| {
            protocols.versions().map(|found| found.into_iter().map(|v| Version(v).to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names(Protocols::new()).unwrap(), ["TLSv1.2", "TLSv1.3"]);
        assert_eq!(names(Protocols::new().exclude_protocols(["SSLv3", "TLSv1.2"])).unwrap(), ["TLSv1.3"]);
        assert_eq!(names(Protocols::new().include_protocols(["TLSv1.1", "TLSv1.2"])).unwrap(), ["TLSv1.2"]);
        let nothing = names(Protocols::new().include_protocols(["TLSv1"])).unwrap_err().to_string();
        assert!(nothing.contains("include one of them"), "{nothing}");
        let unknown = names(Protocols::new().exclude_protocols(["TLS1.2"])).unwrap_err().to_string();
        assert!(unknown.contains("TLS1.2 is not a version of TLS") && unknown.contains("TLSv1.2"), "{unknown}");
    }

    #[test]
    fn cipher_suites_go_by_the_names_of_java() {
        let names = |protocols: Protocols| {
            protocols.provider().map(|(provider, _)| provider.cipher_suites.iter().map(java_name).collect::<Vec<_>>())
        };
        let all = names(Protocols::new()).unwrap();
        for name in ["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] {
            assert!(all.iter().any(|known| known == name), "{all:?}");
            let rest = names(Protocols::new().exclude_cipher_suites([name, "TLS_RSA_WITH_RC4_128_MD5"])).unwrap();
            assert_eq!(rest.len(), all.len() - 1);
        }
        let one = Protocols::new().include_protocols(["TLSv1.3"]).include_cipher_suites(["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(names(one).unwrap(), ["TLS_AES_128_GCM_SHA256"]);
        let old = Protocols::new().include_cipher_suites(["TLS_RSA_WITH_AES_128_CBC_SHA"]);
        let error = names(old).unwrap_err().to_string();
        let expected = "no cipher suite is left for TLSv1.2 and TLSv1.3; this crate knows TLS_";
        assert!(error.contains(expected), "{error}");
        let other = Protocols::new().include_protocols(["TLSv1.2"]).include_cipher_suites(["TLS_AES_128_GCM_SHA256"]);
        let error = names(other).unwrap_err().to_string();
        assert!(error.contains("no cipher suite is left for TLSv1.2; this crate knows TLS_ECDHE_"), "{error}");
    }

    #[test]
    fn a_version_without_a_cipher_suite_is_left_out() {
        let versions = |suites: &[&str]| {
            let (_, versions) = Protocols::new().include_cipher_suites(suites.iter().copied()).provider().unwrap();
            versions.into_iter().map(|version| Version(version).to_string()).collect::<Vec<_>>()
        };
        let (old, new) = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256");
        assert_eq!(versions(&[old]), ["TLSv1.2"]);
        assert_eq!(versions(&[new, "TLS_RSA_WITH_AES_128_CBC_SHA"]), ["TLSv1.3"]);
        assert_eq!(versions(&[old, new]), ["TLSv1.2", "TLSv1.3"]);
    }
}
