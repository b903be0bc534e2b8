//! Keys on elliptic curves as Java stores them: without the public key, which `ring` wants to see.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;

use super::der::{BITS, INTEGER, OCTETS, OID, SEQUENCE, join, split};

/// The key with the public key of its certificate put in, if it is on an elliptic curve and has none.
///
/// ```text
/// PKCS#8 = SEQUENCE { INTEGER 0, SEQUENCE { OID, curve }, OCTET STRING { SEC1 } ... }
/// SEC1   = SEQUENCE { INTEGER 1, OCTET STRING secret, [0] curve (optional), [1] { BIT STRING public } (optional) }
/// certificate's public key = SEQUENCE { SEQUENCE { OID, curve }, BIT STRING public }
/// ```
pub(super) fn complete(key: Vec<u8>, certificate: Option<&CertificateDer<'_>>) -> PrivateKeyDer<'static> {
    let completed = certificate.and_then(|certificate| with_public_key(&key, certificate));
    PrivatePkcs8KeyDer::from(completed.unwrap_or(key)).into()
}

fn with_public_key(key: &[u8], certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (content, _) = split(key, SEQUENCE)?;
    let (version, rest) = split(content, INTEGER)?;
    let (algorithm, rest) = split(rest, SEQUENCE)?;
    let (sec1, _) = split(rest, OCTETS)?;
    if split(algorithm, OID)?.0 != EC_PUBLIC_KEY {
        return None;
    }
    let (inner, _) = split(sec1, SEQUENCE)?;
    let (sec1_version, rest) = split(inner, INTEGER)?;
    let (secret, mut rest) = split(rest, OCTETS)?;
    if let Some((_, behind)) = split(rest, CURVE) {
        rest = behind;
    }
    if split(rest, PUBLIC_KEY).is_some() {
        return None;
    }
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let public = parsed.subject_public_key_info();
    let (info, _) = split(&public, SEQUENCE)?;
    let (_, rest) = split(info, SEQUENCE)?;
    let (public, _) = split(rest, BITS)?;
    let public = join(PUBLIC_KEY, &[&join(BITS, &[public])]);
    let sec1 = join(SEQUENCE, &[&join(INTEGER, &[sec1_version]), &join(OCTETS, &[secret]), &public]);
    let (version, algorithm) = (join(INTEGER, &[version]), join(SEQUENCE, &[algorithm]));
    Some(join(SEQUENCE, &[&version, &algorithm, &join(OCTETS, &[&sec1])]))
}

/// 1.2.840.10045.2.1
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const CURVE: u8 = 0xa0;
const PUBLIC_KEY: u8 = 0xa1;
