//! For `testing::fuzz`: stores of Java.

use super::{der, jks};

pub(crate) fn jks(data: &[u8]) {
    if let Ok(entries) = jks::read(data, None) {
        for key in &entries.keys {
            let _ = jks::decrypt(&key.encrypted, "password");
        }
    }
    let _ = jks::read(data, Some("password"));
    let _ = jks::decrypt(data, "password");
    if let Some((content, rest)) = der::split(data, der::SEQUENCE) {
        assert!(content.len() + rest.len() < data.len());
    }
}

pub(crate) fn jks_seeds() -> Vec<Vec<u8>> {
    // Version 2, one trusted certificate, and a digest that nobody checks.
    let mut store = jks::MAGIC.to_vec();
    store.extend([0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    store.extend(b"X.509");
    store.extend([0, 0, 0, 2, 0x30, 0]);
    store.extend([0; 20]);
    vec![store, include_bytes!("../../tests/fixtures/tls/server.jks").to_vec()]
}
