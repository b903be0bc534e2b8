//! Java's old key store format, JKS, which `keytool` wrote by default before Java 9.
//!
//! Integers are big-endian, texts have a length of two bytes and other blocks one of four:
//!
//! ```text
//! FEEDFEED  version u32 (1, 2)  count u32  count * entry  SHA-1 of password, "Mighty Aphrodite" and all before
//! entry = 1 u32  alias text  time u64  encrypted key block  count u32  count * certificate
//!       | 2 u32  alias text  time u64  certificate
//! certificate = type text (version 2 only)  DER block
//! ```
//!
//! A key is a PKCS#8 structure, combined by exclusive or with a stream of SHA-1 digests: the first of password and salt,
//! each further one of password and the digest before. The salt stands before it, SHA-1 of password and plain text behind
//! it, and an OCTET STRING around all.

use sha1::{Digest, Sha1};

use super::der;
use crate::limits::KEY_STORE_ENTRIES_MAX;

pub(super) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// What a store holds.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) keys: Vec<KeyEntry>,
    pub(super) trusted: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct KeyEntry {
    pub(super) alias: String,
    pub(super) encrypted: Vec<u8>,
    pub(super) chain: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JksError {
    #[error("the JKS store ends too early or is damaged")]
    Malformed,
    #[error("version {0} of JKS is unknown")]
    Version(u32),
    #[error("it holds more than {KEY_STORE_ENTRIES_MAX} entries")]
    TooMany,
    #[error("the password is wrong, or the store is damaged")]
    Password,
    #[error("the key is protected in a way that is unknown; convert the store to PKCS#12 with keytool -importkeystore")]
    Protection,
}

/// Reads a store, checking its digest if there is a password to do it with.
pub(super) fn read(bytes: &[u8], password: Option<&str>) -> Result<Entries, JksError> {
    let content = bytes.len().checked_sub(DIGEST).and_then(|length| bytes.split_at_checked(length));
    let (content, digest) = content.ok_or(JksError::Malformed)?;
    let mut rest = Reader(content.strip_prefix(&MAGIC).ok_or(JksError::Malformed)?);
    let version = rest.u32()?;
    if !(1..=2).contains(&version) {
        return Err(JksError::Version(version));
    }
    if let Some(password) = password {
        let made = password_digest(password).chain_update(b"Mighty Aphrodite").chain_update(content).finalize();
        if made.as_slice() != digest {
            return Err(JksError::Password);
        }
    }
    let mut found = Entries::default();
    for _ in 0..rest.count()? {
        let kind = rest.u32()?;
        let alias = String::from_utf8_lossy(rest.text()?).into_owned();
        rest.take(8)?;
        match kind {
            1 => {
                let encrypted = rest.block()?.to_vec();
                let count = rest.count()?;
                let chain: Result<_, _> = (0..count).map(|_| rest.certificate(version)).collect();
                found.keys.push(KeyEntry { alias, encrypted, chain: chain? });
            }
            2 => found.trusted.push(rest.certificate(version)?),
            _ => return Err(JksError::Malformed),
        }
    }
    Ok(found)
}

/// The PKCS#8 form of a key.
pub(super) fn decrypt(encrypted: &[u8], password: &str) -> Result<Vec<u8>, JksError> {
    let unknown = || JksError::Protection;
    let (outer, _) = der::split(encrypted, der::SEQUENCE).ok_or_else(unknown)?;
    let (algorithm, rest) = der::split(outer, der::SEQUENCE).ok_or_else(unknown)?;
    let (name, _) = der::split(algorithm, der::OID).ok_or_else(unknown)?;
    let (data, _) = der::split(rest, der::OCTETS).ok_or_else(unknown)?;
    if name != KEY_PROTECTOR {
        return Err(JksError::Protection);
    }
    let plain_length = data.len().checked_sub(2 * DIGEST).ok_or(JksError::Malformed)?;
    let mut data = Reader(data);
    let salt = data.take(DIGEST)?;
    let (hidden, check) = (data.take(plain_length)?, data.take(DIGEST)?);
    let mut plain = Vec::with_capacity(plain_length);
    let mut key: Vec<u8> = salt.to_vec();
    for chunk in hidden.chunks(DIGEST) {
        key = password_digest(password).chain_update(&key).finalize().to_vec();
        plain.extend(chunk.iter().zip(&key).map(|(byte, mask)| byte ^ mask));
    }
    if password_digest(password).chain_update(&plain).finalize().as_slice() != check {
        return Err(JksError::Password);
    }
    Ok(plain)
}

/// Java's characters, two bytes each.
fn password_digest(password: &str) -> Sha1 {
    password
        .encode_utf16()
        .fold(Sha1::new(), |digest, unit| digest.chain_update([(unit >> 8) as u8, (unit & 0xff) as u8]))
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], JksError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(JksError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, length: usize) -> Result<u32, JksError> {
        Ok(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn u32(&mut self) -> Result<u32, JksError> {
        self.number(4)
    }

    fn count(&mut self) -> Result<usize, JksError> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > KEY_STORE_ENTRIES_MAX { Err(JksError::TooMany) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<&'a [u8], JksError> {
        let length = self.number(2)?;
        self.take(length as usize)
    }

    fn block(&mut self) -> Result<&'a [u8], JksError> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn certificate(&mut self, version: u32) -> Result<Vec<u8>, JksError> {
        if version == 2 {
            self.text()?;
        }
        Ok(self.block()?.to_vec())
    }
}

const DIGEST: usize = 20;
/// 1.3.6.1.4.1.42.2.17.1.1, Sun's own protection of keys.
const KEY_PROTECTOR: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// A store with one trusted certificate and one key, as the layout above says, with the password `ab`.
    #[allow(clippy::big_endian_bytes)] // as Java writes them
    fn store() -> Vec<u8> {
        let mut store = MAGIC.to_vec();
        let block = |length: u32, bytes: &[u8]| [&length.to_be_bytes(), bytes].concat();
        store.extend([2_u32, 2].map(u32::to_be_bytes).concat());
        store.extend(b"\0\0\0\x02\0\x02caTIME8888\0\x05X.509");
        store.extend(block(3, b"abc"));
        store.extend(b"\0\0\0\x01\0\x03keyTIME8888");
        store.extend(block(4, b"hush"));
        store.extend(b"\0\0\0\x01\0\x05X.509");
        store.extend(block(2, b"me"));
        let digest = Sha1::new().chain_update(b"\0a\0bMighty Aphrodite").chain_update(&store).finalize();
        store.extend(digest);
        store
    }

    #[test]
    fn a_store_is_read_as_the_layout_says_and_checked_with_its_password() {
        for password in [Some("ab"), None] {
            let found = read(&store(), password).unwrap();
            assert_eq!(found.trusted, [b"abc"]);
            let [key] = &found.keys[..] else { panic!("{found:?}") };
            assert_eq!(
                (key.alias.as_str(), &key.encrypted[..], &key.chain[..]),
                ("key", &b"hush"[..], &[b"me".to_vec()][..])
            );
        }
        assert_eq!(read(&store(), Some("abc")).unwrap_err(), JksError::Password);
        assert_eq!(decrypt(b"hush", "ab").unwrap_err(), JksError::Protection);
    }

    #[test]
    #[allow(clippy::big_endian_bytes)] // as Java writes them
    fn damaged_stores_are_errors() {
        let seed = Random::seed();
        println!("AQUEDUCT_SEED={seed}");
        let mut random = Random::new(seed);
        let good = store();
        for length in 0..good.len() {
            assert!(read(&good[..length], None).is_err());
        }
        for _ in 0..10_000 {
            let mut bad = good.clone();
            for _ in 0..=random.below(3) {
                let at = random.index(bad.len());
                bad[at] = random.next_u64().to_le_bytes()[0];
            }
            assert!(bad == good || read(&bad, Some("ab")).is_err());
            for key in read(&bad, None).unwrap_or_default().keys {
                let _ = decrypt(&key.encrypted, "ab");
            }
        }
        let mut many = MAGIC.to_vec();
        many.extend([2_u32, u32::MAX].map(u32::to_be_bytes).concat());
        many.extend([0; DIGEST]);
        assert_eq!(read(&many, None).unwrap_err(), JksError::TooMany);
    }
}
