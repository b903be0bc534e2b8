use super::super::super::Options;
use super::super::testing::problems_of;
use super::*;

fn problems(is_source: bool, pairs: &[(&str, &str)]) -> Vec<String> {
    if is_source { problems_of("avro", pairs, source) } else { problems_of("avro", pairs, sink) }
}

const SOURCE: [(&str, &str); 2] = [("bind", "127.0.0.1"), ("port", "4141")];
const SINK: [(&str, &str); 2] = [("hostname", "collector"), ("port", "4141")];

fn with<'a>(base: [(&'a str, &'a str); 2], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&base[..], more].concat()
}

#[test]
fn every_key_of_flumes_source_and_sink_is_known() {
    let source = with(
        SOURCE,
        &[
            ("compression-type", "deflate"),
            ("ipFilter", "true"),
            ("ipFilterRules", "allow:ip:127.*,deny:name:*"),
            ("ssl", "false"),
            ("keystore", "ks"),
            ("keystore-password", "p"),
            ("keystore-type", "jks"),
            ("exclude-protocols", "SSLv3 TLSv1.1"),
            ("include-protocols", "TLSv1.3"),
            ("exclude-cipher-suites", "A B"),
            ("include-cipher-suites", "C"),
        ],
    );
    assert_eq!(problems(true, &source), [] as [&str; 0]);
    let sink = with(
        SINK,
        &[
            ("batch-size", "50"),
            ("requests-in-flight", "4"),
            ("connect-timeout", "1000"),
            ("request-timeout", "60000"),
            ("reset-connection-interval", "600"),
            ("compression-type", "none"),
            ("compression-level", "0"),
            ("trust-all-certs", "false"),
            ("truststore", "ts"),
            ("truststore-password", "p"),
            ("truststore-type", "PKCS12"),
        ],
    );
    assert_eq!(problems(false, &sink), [] as [&str; 0]);
}

#[test]
fn clients_of_one_address_may_be_all_there_are() {
    let options = Options::new();
    let (mut keys, site) = (Keys::of("x.", SOURCE), Site::new(&options, "a1", "x"));
    let source = listener(&mut keys, &site).ok();
    let limit = format!("connections_per_peer_max: {CONNECTIONS_MAX}");
    assert!(format!("{source:?}").contains(&limit), "{source:?}");
}

#[test]
fn mistakes_are_named_with_what_to_do() {
    for (is_source, pairs, expected) in [
        (true, vec![], "x.bind: is missing"),
        (true, with(SOURCE, &[("ipFilter", "true")]), "x.ipFilterRules: is missing"),
        (true, with(SOURCE, &[("ipFilter", "true"), ("ipFilterRules", "allow")]), "<allow or deny>:<ip or name>"),
        (true, with(SOURCE, &[("compression-type", "gzip")]), "must be none or deflate"),
        (true, with(SOURCE, &[("threads", "5")]), "every connection has a thread"),
        (true, with(SOURCE, &[("keystore-type", "JCEKS")]), "must be JKS, PKCS12 or PEM"),
        (false, with(SINK, &[("request-timeout", "500")]), "the default counts"),
        (false, with(SINK, &[("compression-level", "10")]), "must be a number from 0 to 9"),
        (false, with(SINK, &[("batchSize", "10")]), "is it batch-size?"),
        (false, with(SINK, &[("requests-in-flight", "65")]), "must be a number from 1 to 64"),
    ] {
        let found = problems(is_source, &pairs);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_set_up_by_the_keys_of_flume() {
    let fixture = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let (keys, trust) = (fixture("server.jks"), fixture("trust.jks"));
    let source = [("ssl", "true"), ("keystore", keys.as_str()), ("keystore-password", "changeit")];
    assert_eq!(problems(true, &with(SOURCE, &source)), [] as [&str; 0]);
    let found = problems(true, &with(SOURCE, &source[..1]));
    assert!(found.iter().any(|problem| problem.contains("x.keystore: is missing")), "{found:?}");
    let found = problems(true, &with(SOURCE, &source[..2]));
    assert!(found.iter().any(|problem| problem.contains("needs its password")), "{found:?}");
    let sink = [("ssl", "true"), ("truststore", trust.as_str()), ("truststore-password", "changeit")];
    let found = problems(false, &with(SINK, &sink));
    assert!(matches!(&found[..], [only] if only.contains("verify-hostname = true checks it")), "{found:?}");
    let strict = [&sink[..], &[("verify-hostname", "true")]].concat();
    assert_eq!(problems(false, &with(SINK, &strict)), [] as [&str; 0]);
    let found = problems(false, &with(SINK, &[("ssl", "true"), ("truststore", "absent.jks")]));
    assert!(found.iter().any(|problem| problem.contains("cannot read trust store absent.jks")), "{found:?}");
}

#[cfg(feature = "tls")]
#[test]
fn the_name_of_the_server_is_not_checked_with_any_trust_store_of_the_users() {
    let trust = format!("{}/tests/fixtures/tls/trust.jks", env!("CARGO_MANIFEST_DIR"));
    let environment = move |name: &str| match name {
        "FLUME_SSL_TRUSTSTORE_PATH" => Some(trust.clone()),
        "FLUME_SSL_TRUSTSTORE_PASSWORD" => Some("changeit".to_owned()),
        _ => None,
    };
    for (options, is_checked) in
        [(Options::new().with_environment(environment), false), (Options::new().with_environment(|_| None), true)]
    {
        let site = Site::new(&options, "a1", "x");
        let mut keys = Keys::of("x.", with(SINK, &[("ssl", "true")]));
        sink(&mut keys, &site).map(|_| ()).unwrap();
        let problems = keys.finish("avro");
        let is_told =
            problems.iter().any(|problem| problem.to_string().contains("the name of the server is not checked"));
        assert_eq!(is_told, !is_checked, "{problems:?}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn settings_for_all_components_count_where_one_has_none_of_its_own() {
    let fixture = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let environment = move |name: &str| match name {
        "FLUME_SSL_KEYSTORE_PATH" => Some(fixture("server.p12")),
        "FLUME_SSL_KEYSTORE_PASSWORD" => Some("changeit".to_owned()),
        "FLUME_SSL_INCLUDE_PROTOCOLS" => Some("TLSv1.2,TLSv1.3".to_owned()),
        _ => None,
    };
    let options = Options::new().with_environment(environment).with_property("javax.net.ssl.keyStorePassword", "no");
    let site = Site::new(&options, "a1", "x");
    let make = |pairs: &[(&str, &str)]| {
        let mut keys = Keys::of("x.", with(SOURCE, pairs));
        source(&mut keys, &site).map(|_| ()).is_ok()
    };
    assert!(!make(&[("ssl", "true")]), "a system property comes before the environment");
    assert!(make(&[("ssl", "true"), ("keystore-password", "changeit")]));
}
