use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::*;

/// One direction of a connection between two sessions of one thread.
#[derive(Default)]
struct Wire {
    bytes: VecDeque<u8>,
    closed: bool,
}

/// One end of both directions: reads from the first, writes to the second.
struct End<'a>(&'a mut Wire, &'a mut Wire);

impl Read for End<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.bytes.read(buffer)?;
        if read == 0 && !self.0.closed { Err(ErrorKind::WouldBlock.into()) } else { Ok(read) }
    }
}

impl Write for End<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pair {
    client: Session,
    server: Session,
    up: Wire,
    down: Wire,
}

impl Pair {
    fn new(client: &TlsClient, server: &TlsServer, host: &str) -> Self {
        let (client, server) = (Session::client(client, host).unwrap(), Session::server(server).unwrap());
        Self { client, server, up: Wire::default(), down: Wire::default() }
    }

    /// Both handshakes, and a word in both directions, which is when a client gets to know that its own certificate was
    /// refused.
    fn connect(&mut self) -> io::Result<()> {
        let Self { client, server, up, down } = self;
        let mut done = [false; 2];
        while done != [true; 2] {
            for (side, outcome) in [
                (0, client.shake_hands(&mut End(&mut *down, &mut *up))),
                (1, server.shake_hands(&mut End(&mut *up, &mut *down))),
            ] {
                match outcome {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    outcome => done[side] = outcome.map(|()| true)?,
                }
            }
        }
        let mut buffer = [0; 10];
        client.write(up, b"hello")?;
        assert_eq!(server.read(&mut End(&mut *up, &mut *down), &mut buffer)?, 5);
        server.write(down, &buffer[..5])?;
        assert_eq!(client.read(&mut End(down, up), &mut buffer)?, 5);
        assert_eq!(&buffer[..5], b"hello");
        Ok(())
    }
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn client(trust: TrustStore) -> TlsClient {
    TlsClient::builder().trust(trust).build().unwrap()
}

fn connect(client: &TlsClient, server: &TlsServer, host: &str) -> Result<(), String> {
    Pair::new(client, server, host).connect().map_err(|error| error.to_string())
}

/// An authority, and a key with its certificate for `localhost`, in PEM.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn trust(&self) -> TrustStore {
        TrustStore::from_pem(self.0.pem())
    }

    fn key(&self, change: impl FnOnce(&mut CertificateParams)) -> KeyStore {
        let (chain, key) = self.pem(change);
        KeyStore::from_pem(chain, key)
    }

    fn pem(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn server(&self) -> TlsServer {
        TlsServer::builder(self.key(|_| ())).build().unwrap()
    }
}

#[test]
fn stores_of_java_and_openssl_are_read() {
    let java = [("server.jks", "trust.jks"), ("server.p12", "trust.p12"), ("server.jks", "server.pem")];
    let java = java.into_iter().chain([("server.p12", "server.jks"), ("server.jks", "server.p12")]);
    let openssl = [("openssl.p12", "openssl.pem"), ("openssl.pem", "openssl.p12"), ("legacy.p12", "openssl.pem")];
    for (keys, trust) in java.chain(openssl) {
        let server = TlsServer::builder(KeyStore::new(fixture(keys)).password("changeit")).build();
        let client = client(TrustStore::new(fixture(trust)).password("changeit"));
        connect(&client, &server.unwrap(), "localhost").unwrap_or_else(|error| panic!("{keys}, {trust}: {error}"));
    }
    // Java reads certificates without the password, too.
    client(TrustStore::new(fixture("trust.jks")));
}

/// Goal: with several keys the one that Java shows. Method: stores whose first key, in the file or by name, is another
/// one; Java's own `KeyManagerFactory` was asked.
#[test]
fn of_several_keys_it_is_the_one_that_java_shows() {
    for file in ["several.jks", "several.p12"] {
        let identity = KeyStore::new(fixture(file)).password("changeit").load().unwrap();
        let shown: Vec<_> = ["server", "another"]
            .into_iter()
            .filter(|name| identity.chain[0].windows(name.len()).any(|part| part == name.as_bytes()))
            .collect();
        assert_eq!(shown, ["server"], "{file}");
    }
}

/// A key of which only the private part was stored cannot be shown. Java wrote the store, and was asked; the key without a
/// certificate would be the first.
#[test]
fn a_key_without_a_certificate_is_passed_over() {
    let entries = jks::read(&std::fs::read(fixture("chainless.jks")).unwrap(), Some("changeit")).unwrap();
    let chains: Vec<_> = entries.keys.iter().map(|key| (key.alias.as_str(), key.chain.len())).collect();
    assert_eq!(chains, [("p", 0), ("server", 1)]);
    let server = TlsServer::builder(KeyStore::new(fixture("chainless.jks")).password("changeit")).build().unwrap();
    connect(&client(TrustStore::new(fixture("server.pem"))), &server, "localhost").unwrap();
}

#[test]
fn what_is_wrong_with_a_store_is_said() {
    let server = |store: KeyStore| TlsServer::builder(store).build().unwrap_err().to_string();
    let trust = |store: TrustStore| TlsClient::builder().trust(store).build().unwrap_err().to_string();
    for file in ["server.jks", "server.p12", "openssl.p12"] {
        let error = server(KeyStore::new(fixture(file)).password("wrong"));
        assert!(error.contains(file) && error.contains("password is wrong"), "{error}");
    }
    for file in ["trust.jks", "trust.p12"] {
        let error = trust(TrustStore::new(fixture(file)).password("wrong"));
        assert!(error.contains("password is wrong"), "{error}");
        let error = server(KeyStore::new(fixture(file)).password("changeit"));
        assert!(error.contains("no private key; is it a trust store?"), "{error}");
    }
    assert!(server(KeyStore::new(fixture("server.jks"))).contains("needs its password"));
    let missing = server(KeyStore::new(fixture("absent.p12")));
    assert!(missing.contains("cannot read key store") && missing.contains("absent.p12"), "{missing}");
    assert!(server(KeyStore::pem(fixture("server.pem"), fixture("server.pem"))).contains("private key"));
    let encrypted = KeyStore::from_pem(
        std::fs::read(fixture("server.pem")).unwrap(),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    assert!(server(encrypted).contains("the key is encrypted"));
    assert!(trust(TrustStore::from_pem("nothing")).contains("neither JKS nor PKCS#12 nor PEM"));
    assert!(trust(TrustStore::new(fixture("README.md"))).contains("neither JKS"));
    let no_certificate = || TrustStore::from_pem("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    let said = "trust store in memory: none of its certificates can be parsed";
    assert_eq!(trust(no_certificate()), said);
    let stored = KeyStore::new(fixture("server.jks")).password("changeit");
    let asking = TlsServer::builder(stored).require_client_certificate(no_certificate());
    assert_eq!(asking.build().unwrap_err().to_string(), said);
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let mixed = KeyStore::from_pem(one.pem(|_| ()).0, other.pem(|_| ()).1);
    assert!(server(mixed).contains("key and certificate cannot be used"));
    let old = server(KeyStore::new(fixture("version1.pem")));
    assert!(old.ends_with("cannot be used: its certificate: it is of X.509 version 1 or 2, which is not supported; make one of version 3"), "{old}");
    let short = server(KeyStore::new(fixture("rsa1024.pem")));
    assert!(
        short.contains("key and certificate cannot be used: ") && short.ends_with("needs 2048 to 4096 bits"),
        "{short}"
    );
}

/// Goal: what is wrong with the certificate of a peer reads the same at each try, and as words.
#[test]
fn what_is_wrong_with_a_certificate_of_a_peer_is_said() {
    use rustls::pki_types::UnixTime;
    use rustls::{CertificateError, Error};
    let expired = |time| {
        let (time, not_after) = (UnixTime::since_unix_epoch(time), UnixTime::since_unix_epoch(Duration::from_secs(9)));
        CertificateError::ExpiredContext { time, not_after }
    };
    let said = |problem| of_connection(io::Error::new(ErrorKind::InvalidData, Error::InvalidCertificate(problem)));
    for seconds in [10, 20] {
        let error = said(expired(Duration::from_secs(seconds)));
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "invalid peer certificate: it has expired: it is not valid after 9 (UNIX)");
    }
    assert!(said(CertificateError::BadSignature).to_string().contains("RSA of less than 2048 bits"));
    assert_eq!(said(CertificateError::Revoked).to_string(), "invalid peer certificate: Revoked");
    let other = of_connection(io::Error::other("other"));
    assert_eq!(other.to_string(), "other");
}

#[test]
fn a_server_is_served_only_if_it_is_the_one_that_was_meant() {
    let (mine, other) = (Authority::new("mine"), Authority::new("other"));
    let server = mine.server();
    connect(&client(mine.trust()), &server, "localhost").unwrap();
    connect(&client(mine.trust()), &server, "127.0.0.1").unwrap();
    assert!(connect(&client(other.trust()), &server, "localhost").unwrap_err().contains("UnknownIssuer"));
    let name = connect(&client(mine.trust()), &server, "elsewhere").unwrap_err();
    assert!(name.contains("not valid for name \"elsewhere\""), "{name}");
    let lenient = TlsClient::builder().trust(mine.trust()).verify_hostname(false).build().unwrap();
    connect(&lenient, &server, "elsewhere").unwrap();
    let stranger = TlsClient::builder().trust(other.trust()).verify_hostname(false).build().unwrap();
    assert!(connect(&stranger, &server, "localhost").unwrap_err().contains("UnknownIssuer"));
    let careless = TlsClient::builder().danger_trust_all_certificates().build().unwrap();
    connect(&careless, &server, "elsewhere").unwrap();
}

#[test]
fn certificates_are_good_for_their_time_only() {
    let authority = Authority::new("authority");
    let expired = authority.key(|params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let server = TlsServer::builder(expired).build().unwrap();
    for verify in [true, false] {
        let client = TlsClient::builder().trust(authority.trust()).verify_hostname(verify).build().unwrap();
        let error = connect(&client, &server, "localhost").unwrap_err();
        assert!(error.contains("expired"), "{error}");
    }
}

#[test]
fn a_certificate_may_be_trusted_by_itself() {
    let check = |pem: String, key: String| {
        let server = TlsServer::builder(KeyStore::from_pem(pem.clone(), key)).build().unwrap();
        let client = client(TrustStore::from_pem(pem));
        connect(&client, &server, "localhost").unwrap();
        assert!(connect(&client, &server, "elsewhere").unwrap_err().contains("not valid for name"));
        let other = Authority::new("authority").server();
        assert!(connect(&client, &other, "localhost").unwrap_err().contains("UnknownIssuer"));
    };
    // Signed by an authority that is not trusted.
    let (pem, key) = Authority::new("authority").pem(|_| ());
    check(pem, key);
    // An authority, as `openssl req -x509` makes it, also after its time.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    for last in [2002, 4000] {
        params.not_after = rcgen::date_time_ymd(last, 1, 1);
        check(params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    }
}

#[test]
fn a_server_can_ask_its_clients_for_certificates() {
    let (servers, clients, others) = (Authority::new("servers"), Authority::new("clients"), Authority::new("others"));
    let server = TlsServer::builder(servers.key(|_| ())).require_client_certificate(clients.trust()).build().unwrap();
    let with = |identity: KeyStore| TlsClient::builder().trust(servers.trust()).identity(identity).build().unwrap();
    connect(&with(clients.key(|_| ())), &server, "localhost").unwrap();
    let none = connect(&client(servers.trust()), &server, "localhost").unwrap_err();
    assert!(none.contains("peer sent no certificates"), "{none}");
    let wrong = connect(&with(others.key(|_| ())), &server, "localhost").unwrap_err();
    assert!(wrong.contains("UnknownIssuer"), "{wrong}");
}

#[test]
fn a_client_may_be_trusted_by_itself() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let ((mine, key), other) = (clients.pem(|_| ()), clients.key(|_| ()));
    let known = TrustStore::from_pem(mine.clone());
    let server = TlsServer::builder(servers.key(|_| ())).require_client_certificate(known).build().unwrap();
    let with = |identity: KeyStore| TlsClient::builder().trust(servers.trust()).identity(identity).build().unwrap();
    connect(&with(KeyStore::from_pem(mine, key)), &server, "localhost").unwrap();
    let refused = connect(&with(other), &server, "localhost").unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

/// What whoever copied a certificate can show: it, without its key.
fn copied(certificate: &str) -> Arc<SingleCertAndKey> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap();
    Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, any_supported_type(&key).unwrap())))
}

/// Goal: a certificate that is trusted by itself, and that anyone can have, is good only with its key. Method: a server and a client
/// that show it with another key, in both versions of TLS, beside ones that have the right key.
#[test]
fn a_trusted_certificate_is_good_only_with_its_key() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let ((shown, key), (own, own_key)) = (servers.pem(|_| ()), clients.pem(|_| ()));
    for version in ["TLSv1.2", "TLSv1.3"] {
        let only = || Protocols::new().include_protocols([version]);
        let server = TlsServer::builder(KeyStore::from_pem(shown.clone(), key.clone())).protocols(only());
        let server = server.require_client_certificate(TrustStore::from_pem(own.clone())).build().unwrap();
        let client = TlsClient::builder().trust(TrustStore::from_pem(shown.clone())).protocols(only());
        let client = client.identity(KeyStore::from_pem(own.clone(), own_key.clone())).build().unwrap();
        connect(&client, &server, "localhost").unwrap();

        let mut config = rustls::ServerConfig::clone(server.config());
        config.cert_resolver = copied(&shown);
        // A session of before, which the two have the secrets of, would be proof enough.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let refused = connect(&client, &TlsServer::with_config(config), "localhost").unwrap_err();
        assert!(refused.contains("BadSignature"), "{version}: {refused}");

        let mut config = rustls::ClientConfig::clone(client.config());
        config.client_auth_cert_resolver = copied(&own);
        config.resumption = Resumption::disabled();
        let refused = connect(&TlsClient::with_config(config), &server, "localhost").unwrap_err();
        assert!(refused.contains("BadSignature"), "{version}: {refused}");
    }
}

#[test]
fn both_sides_agree_on_a_version_and_a_suite() {
    let authority = Authority::new("authority");
    let server = |protocols| TlsServer::builder(authority.key(|_| ())).protocols(protocols).build().unwrap();
    let client = |protocols| TlsClient::builder().trust(authority.trust()).protocols(protocols).build().unwrap();
    let only = |version: &str| Protocols::new().include_protocols([version]);
    for version in ["TLSv1.2", "TLSv1.3"] {
        connect(&client(only(version)), &server(Protocols::new()), "localhost").unwrap();
        connect(&client(Protocols::new()), &server(only(version)), "localhost").unwrap();
    }
    let error = connect(&client(only("TLSv1.2")), &server(only("TLSv1.3")), "localhost").unwrap_err();
    assert!(error.contains("peer is incompatible"), "{error}");
    let nothing = TlsServer::builder(authority.key(|_| ())).protocols(only("TLSv1.1")).build().unwrap_err();
    assert!(nothing.to_string().contains("no version of TLS is left"), "{nothing}");
}

#[test]
fn an_end_without_a_goodbye_is_an_error() {
    let authority = Authority::new("authority");
    let (server, client) = (authority.server(), client(authority.trust()));
    for polite in [true, false] {
        let mut pair = Pair::new(&client, &server, "localhost");
        pair.connect().unwrap();
        let Pair { client, server, up, down } = &mut pair;
        client.write(up, b"last").unwrap();
        if polite {
            client.say_goodbye(up);
        }
        up.closed = true;
        let mut buffer = [0; 10];
        assert_eq!(server.read(&mut End(&mut *up, &mut *down), &mut buffer).unwrap(), 4);
        match server.read(&mut End(up, down), &mut buffer) {
            Ok(0) => assert!(polite),
            outcome => assert!(!polite && outcome.unwrap_err().kind() == ErrorKind::UnexpectedEof),
        }
    }
}

#[test]
fn more_than_fits_is_written_in_parts() {
    let authority = Authority::new("authority");
    let mut pair = Pair::new(&client(authority.trust()), &authority.server(), "localhost");
    pair.connect().unwrap();
    let Pair { client, server, up, down } = &mut pair;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let (mut received, mut rest, mut buffer) = (Vec::new(), &sent[..], vec![0; 30_000]);
    while received.len() < sent.len() {
        let written = if rest.is_empty() { 0 } else { client.write(up, rest).unwrap() };
        rest = &rest[written..];
        while let Ok(read) = server.read(&mut End(&mut *up, &mut *down), &mut buffer) {
            received.extend_from_slice(&buffer[..read]);
        }
    }
    assert!(received == sent);
}
