use super::super::super::Options;
use super::super::testing::problems_of;
use super::StatusAction::{Accept, AcceptThenPause, Retry};
use super::*;

fn problems(is_source: bool, pairs: &[(&str, &str)]) -> Vec<String> {
    if is_source { problems_of("http", pairs, source) } else { problems_of("http", pairs, sink) }
}

const NONE: [&str; 0] = [];
const ENDPOINT: (&str, &str) = ("endpoint", "http://localhost:8080/in");

#[test]
fn every_key_of_flumes_source_is_known() {
    for pairs in [
        &[("port", "0")][..],
        &[("port", "1"), ("bind", "::1"), ("handler", "org.apache.flume.source.http.JSONHandler")],
        &[
            ("port", "1"),
            ("handler", "org.apache.flume.source.http.BLOBHandler"),
            ("handler.mandatoryParameters", "origin, kind"),
        ],
        &[
            ("port", "1"),
            ("handler", "org.apache.flume.sink.solr.morphline.BlobHandler"),
            ("handler.maxBlobLength", "1000"),
        ],
        &[("port", "1"), ("handler", "ndjson")],
        &[("port", "1"), ("ssl", "false"), ("keystore", "k"), ("keystore-password", "p"), ("keystore-type", "JKS")],
        &[("port", "1"), ("enableSSL", "false"), ("excludeProtocols", "SSLv3"), ("keystorePassword", "p")],
        &[
            ("port", "1"),
            ("QueuedThreadPool.maxThreads", "20"),
            ("HttpConfiguration.requestHeaderSize", "20000"),
            ("ServerConnector.idleTimeout", "5000"),
        ],
        &[("port", "1"), ("ServerConnector.idleTimeout", "0")],
    ] {
        assert_eq!(problems(true, pairs), NONE, "{pairs:?}");
    }
    for key in ["QueuedThreadPool.minThreads", "HttpConfiguration.sendServerVersion", "ServerConnector.acceptQueueSize"]
    {
        let found = problems(true, &[("port", "1"), (key, "1")]);
        assert!(matches!(&found[..], [only] if only.contains(key) && only.contains("has no effect")), "{found:?}");
    }
}

#[test]
fn clients_of_one_address_may_be_all_there_are() {
    let options = Options::new();
    let (mut keys, site) = (Keys::of("x.", [("port", "1")]), Site::new(&options, "a1", "x"));
    let source = listener(&mut keys, &site).ok();
    let limit = format!("connections_per_peer_max: {CONNECTIONS_MAX}");
    assert!(format!("{source:?}").contains(&limit), "{source:?}");
}

#[test]
fn mistakes_are_named_with_what_to_do() {
    for (is_source, pairs, expected) in [
        (true, &[("bind", "localhost")][..], "x.port: is missing"),
        (true, &[("port", "1"), ("handler", "com.example.Own")], "must be org.apache.flume.source.http.JSONHandler"),
        (true, &[("port", "1"), ("handler.mandatoryParameters", "a")], "http has no such key"),
        (true, &[("port", "1"), ("ssl", "true"), ("SslContextFactory.needClientAuth", "true")], "use the keys of ssl"),
        (true, &[("port", "1"), ("SslContextFactory.needClientAuth", "true")], "has no effect without ssl"),
        (true, &[("port", "1"), ("ServerConnector.idleTimeout", "soon")], "must be a whole number"),
        (false, &[], "x.endpoint: is missing"),
        (false, &[("endpoint", "localhost")], "it must look like http://host:port/path"),
        (false, &[ENDPOINT, ("connectTimeout", "0")], "must be a number from 1"),
        (false, &[ENDPOINT, ("contentTypeHeader", "a\nb")], "the value of content-type is not one"),
        (false, &[ENDPOINT, ("rollback.4xx", "true")], "such as 5XX"),
        (false, &[ENDPOINT, ("backoff.600", "true")], "such as 5XX"),
        (false, &[ENDPOINT, ("backoff.20", "true")], "such as 5XX"),
        (false, &[ENDPOINT, ("backoff.200", "yes")], "must be true or false"),
        (false, &[ENDPOINT, ("format", "xml")], "must be body, json or ndjson"),
    ] {
        let found = problems(is_source, pairs);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn every_key_of_flumes_sink_is_known() {
    let all = [
        ENDPOINT,
        ("connectTimeout", "100"),
        ("requestTimeout", "200"),
        ("contentTypeHeader", "application/json"),
        ("acceptHeader", "*/*"),
        ("defaultBackoff", "false"),
        ("defaultRollback", "false"),
        ("backoff.4XX", "false"),
        ("rollback.503", "true"),
        ("format", "ndjson"),
        ("batchSize", "10"),
    ];
    assert_eq!(problems(false, &all), NONE);
    assert_eq!(problems(false, &[ENDPOINT]), NONE);
    for key in ["defaultIncrementMetrics", "incrementMetrics.4XX"] {
        let found = problems(false, &[ENDPOINT, (key, "true")]);
        assert!(matches!(&found[..], [only] if only.contains("has no effect")), "{found:?}");
    }
}

#[test]
fn the_most_specific_key_of_a_status_counts() {
    let actions = |pairs: &[(&str, &str)]| {
        let mut keys = Keys::of("x.", pairs.iter().copied());
        let sink = statuses(&mut keys, sink::Http::new("http://h/"));
        assert_eq!(keys.finish("http").len(), 0);
        [200, 302, 404, 450, 503].map(|status| sink.action(status))
    };
    assert_eq!(actions(&[]), [Accept, Retry, Retry, Retry, Retry]);
    // As the guide has it.
    let guide = [
        ("defaultBackoff", "true"),
        ("defaultRollback", "true"),
        ("backoff.4XX", "false"),
        ("rollback.4XX", "false"),
        ("backoff.200", "false"),
        ("rollback.200", "false"),
    ];
    assert_eq!(actions(&guide), [Accept, Retry, Accept, Accept, Retry]);
    let own =
        [("defaultRollback", "false"), ("rollback.4XX", "true"), ("rollback.404", "false"), ("backoff.503", "false")];
    assert_eq!(actions(&own), [Accept, AcceptThenPause, AcceptThenPause, Retry, Accept]);
    assert_eq!(actions(&[("rollback.2XX", "true")])[0], Retry, "if someone insists");
}
