use super::super::testing::problems_of;
use super::*;

fn problems(is_source: bool, pairs: &[(&str, &str)]) -> Vec<String> {
    if is_source { problems_of("thrift", pairs, source) } else { problems_of("thrift", pairs, sink) }
}

const SOURCE: [(&str, &str); 2] = [("bind", "127.0.0.1"), ("port", "4141")];
const SINK: [(&str, &str); 2] = [("hostname", "collector"), ("port", "4141")];

#[test]
fn every_key_of_flumes_source_and_sink_is_known() {
    for (is_source, base, more) in [
        (
            true,
            SOURCE,
            &[
                ("protocol", "BINARY"),
                ("kerberos", "false"),
                ("ssl", "false"),
                ("keystore", "ks"),
                ("keystore-password", "p"),
                ("keystore-type", "jks"),
                ("exclude-protocols", "SSLv3"),
                ("include-protocols", "TLSv1.3"),
                ("exclude-cipher-suites", "A"),
                ("include-cipher-suites", "B"),
            ][..],
        ),
        (
            false,
            SINK,
            &[
                ("protocol", "compact"),
                ("batch-size", "50"),
                ("connect-timeout", "1000"),
                ("request-timeout", "60000"),
                ("reset-connection-interval", "600"),
                ("kerberos", "false"),
                ("ssl", "false"),
                ("truststore", "ts"),
                ("truststore-password", "p"),
                ("truststore-type", "PKCS12"),
            ],
        ),
    ] {
        assert_eq!(problems(is_source, &[&base[..], more].concat()), [] as [&str; 0]);
    }
    assert_eq!(problems(false, &[&SINK[..], &[("connection-reset-interval", "6")]].concat()), [] as [&str; 0]);
    for (is_source, base, key) in [
        (true, SOURCE, "threads"),
        (true, SOURCE, "agent-principal"),
        (true, SOURCE, "agent-keytab"),
        (false, SINK, "maxConnections"),
        (false, SINK, "client-principal"),
        (false, SINK, "client-keytab"),
        (false, SINK, "server-principal"),
    ] {
        let found = problems(is_source, &[&base[..], &[(key, "1")]].concat());
        assert!(matches!(&found[..], [only] if only.contains("has no effect")), "{key}: {found:?}");
    }
}

#[test]
fn mistakes_are_named_with_what_to_do() {
    for (is_source, base, more, expected) in [
        (true, &SOURCE[..1], ("x", "y"), "x.port: is missing"),
        (true, &SOURCE[..], ("protocol", "json"), "must be compact or binary"),
        (true, &SOURCE[..], ("kerberos", "true"), "Kerberos is not part of this crate; use ssl"),
        (true, &SOURCE[..], ("compression-type", "deflate"), "thrift has no such key"),
        (false, &SINK[1..], ("x", "y"), "x.hostname: is missing"),
        (false, &SINK[..], ("kerberos", "true"), "Kerberos is not part of this crate"),
        (false, &SINK[..], ("batchSize", "5"), "is it batch-size?"),
        (false, &SINK[..], ("request-timeout", "10"), "the default counts"),
        (false, &SINK[..], ("requests-in-flight", "2"), "is for Avro RPC"),
    ] {
        let found = problems(is_source, &[base, &[more]].concat());
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}
