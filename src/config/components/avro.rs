//! Flume's `avro` source and sink.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{BatchSize, Keys, Made, Registry, SinkSetup, Site, SourceSetup};
use super::{bind_address, seconds_or_none, tls};
use crate::limits::{
    CONNECTIONS_MAX, DEFLATE_LEVEL, FLUME_CONNECTION_IDLE, FLUME_RPC_BYTES_IN_FLIGHT_MAX, FLUME_RPC_FRAME,
    FLUME_RPC_FRAME_BYTES_MAX, RPC_BATCH_EVENTS, RPC_CONNECT, RPC_REQUEST, RPC_REQUESTS_IN_FLIGHT,
    RPC_REQUESTS_IN_FLIGHT_MAX, TRANSACTION_EVENTS_MAX,
};
use crate::rpc::{RpcClient, RpcClientBuilder};
use crate::sink;
use crate::source::AvroRpc;
use crate::source::net::IpFilter;

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["avro", "org.apache.flume.source.AvroSource"], source);
    registry.sink(&["avro", "org.apache.flume.sink.AvroSink"], sink);
}

fn source(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    listener(keys, site).map(SourceSetup::new)
}

fn listener(keys: &mut Keys, site: &Site<'_>) -> Made<AvroRpc> {
    // Flume does not ask where its clients come from: behind a balancer all of them have one address.
    let mut source = AvroRpc::bind(bind_address(keys, "bind", None))
        .deflate(is_deflate(keys))
        .connections_per_peer_max(CONNECTIONS_MAX)
        .idle_timeout(FLUME_CONNECTION_IDLE)
        .frame_bytes_max(FLUME_RPC_FRAME_BYTES_MAX)
        .bytes_in_flight_max(FLUME_RPC_BYTES_IN_FLIGHT_MAX)
        .frame_timeout(FLUME_RPC_FRAME);
    keys.ignored(&["threads"], "has no effect: every connection has a thread");
    let is_filtered = keys.flag("ipFilter", false);
    if is_filtered && !keys.is_set("ipFilterRules") {
        keys.mistake("ipFilterRules", "is missing; with ipFilter there must be rules");
    }
    let rules =
        keys.parsed("ipFilterRules", |text| if is_filtered { text.parse::<IpFilter>().map(Some) } else { Ok(None) });
    if let Some(rules) = rules.flatten() {
        source = source.ip_filter(rules);
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = tls::server(keys, site)? {
        source = source.tls(tls);
    }
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(source)
}

fn sink(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let address = bind_address(keys, "hostname", None);
    let batch = batch_size(keys);
    let in_flight = requests_in_flight(keys);
    let client = client_settings(keys, site, RpcClient::builder([address]))?;
    let client = client.batch_events(batch.events()).requests_in_flight(in_flight);
    // As many events as fill the requests that may be in flight.
    let batch = batch.times(in_flight, REQUESTS_IN_FLIGHT_KEY);
    let mut sink = sink::AvroRpc::with_client(client);
    let reset = seconds_or_none(keys, "reset-connection-interval", Duration::ZERO);
    if !reset.is_zero() {
        sink = sink.reset_interval(reset);
    }
    Ok(SinkSetup::new(sink).batch(batch))
}

/// A key of ours.
pub(in super::super) fn requests_in_flight(keys: &mut Keys) -> usize {
    keys.number(REQUESTS_IN_FLIGHT_KEY, 1..=RPC_REQUESTS_IN_FLIGHT_MAX, RPC_REQUESTS_IN_FLIGHT)
}

/// The keys that the sink shares with the client.
pub(in super::super) fn client_settings(
    keys: &mut Keys,
    site: &Site<'_>,
    client: RpcClientBuilder,
) -> Made<RpcClientBuilder> {
    let mut client = client
        .connect_timeout(timeout(keys, "connect-timeout", Borne::Anything, RPC_CONNECT))
        .request_timeout(timeout(keys, "request-timeout", Borne::Anything, RPC_REQUEST));
    let level = compression_level(keys);
    if is_deflate(keys) {
        client = client.deflate(level);
    }
    keys.ignored(&["maxIoWorkers"], "has no effect: there are no workers");
    #[cfg(feature = "tls")]
    if let Some(tls) = tls::client(keys, site)? {
        client = client.tls(tls);
    }
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(client)
}

/// Flume takes the default for what is no number; with another number it does not connect.
fn compression_level(keys: &mut Keys) -> u32 {
    let key = "compression-level";
    if keys.value(key).is_some_and(|text| text.parse::<i32>().is_err()) {
        return keys.bearable_number(key, 0..=9, Borne::Anything, DEFLATE_LEVEL);
    }
    keys.number(key, 0..=9, DEFLATE_LEVEL)
}

fn is_deflate(keys: &mut Keys) -> bool {
    let choices = [("none", false), ("deflate", true)];
    keys.bearable_choice("compression-type", &choices, false, "Flume takes none")
}

/// The size of a sink's batches.
pub(super) fn batch_size(keys: &mut Keys) -> BatchSize {
    let is_size = |text: &str| text.parse::<i32>().is_ok_and(|events| events > 0);
    if keys.value(BATCH_SIZE_KEY).is_none_or(is_size) {
        return keys.batch_size(BATCH_SIZE_KEY, RPC_BATCH_EVENTS);
    }
    BatchSize::fixed(keys.bearable_number(
        BATCH_SIZE_KEY,
        1..=TRANSACTION_EVENTS_MAX,
        Borne::Anything,
        RPC_BATCH_EVENTS,
    ))
}

/// Flume takes less than a second for a mistake, and uses the default.
pub(super) fn timeout(keys: &mut Keys, key: &str, borne: Borne, default: Duration) -> Duration {
    let instead = format!("Flume takes the default of {}", default.as_millis());
    let Some(millis) = keys.bearable(key, i64::MIN..=i64::MAX, borne, &instead) else { return default };
    let found = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    if found >= Duration::from_secs(1) {
        return found;
    }
    keys.warn(key, "is less than a second; as in Flume, the default counts");
    default
}

const BATCH_SIZE_KEY: &str = "batch-size";
pub(super) const REQUESTS_IN_FLIGHT_KEY: &str = "requests-in-flight";

#[cfg(test)]
mod tests {
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
        let options =
            Options::new().with_environment(environment).with_property("javax.net.ssl.keyStorePassword", "no");
        let site = Site::new(&options, "a1", "x");
        let make = |pairs: &[(&str, &str)]| {
            let mut keys = Keys::of("x.", with(SOURCE, pairs));
            source(&mut keys, &site).map(|_| ()).is_ok()
        };
        assert!(!make(&[("ssl", "true")]), "a system property comes before the environment");
        assert!(make(&[("ssl", "true"), ("keystore-password", "changeit")]));
    }
}
