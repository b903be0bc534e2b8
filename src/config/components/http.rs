//! Flume's `http` source and sink.

use std::time::Duration;

use super::super::{Keys, Made, Registry, SinkSetup, Site, SourceSetup};
use super::{ALL_INTERFACES, bind_address, tls};
use crate::codec::java_hash::HeaderMap;
use crate::limits::{
    CONNECTIONS_MAX, FLUME_BODY_BYTES_MAX, FLUME_CONNECTION_IDLE, FLUME_HTTP_BODY, FLUME_HTTP_BYTES_IN_FLIGHT_MAX,
    FLUME_HTTP_IDLE, HTTP_CONNECT, HTTP_HEADER_BYTES_CEILING, HTTP_HEADER_BYTES_MIN, HTTP_REQUEST, HTTP_WORKERS,
    HTTP_WORKERS_CEILING, PROPERTY_MILLIS_MAX, SINK_BATCH_EVENTS,
};
use crate::sink::{self, HttpFormat, StatusAction};
use crate::source::Http;
use crate::source::http::{BlobHandler, JsonHandler, NdjsonHandler};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["http", "org.apache.flume.source.http.HTTPSource"], source);
    registry.sink(&["http", "org.apache.flume.sink.http.HttpSink"], sink);
}

fn source(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    listener(keys, site).map(SourceSetup::new)
}

fn listener(keys: &mut Keys, site: &Site<'_>) -> Made<Http> {
    let source = Http::bind(bind_address(keys, "bind", Some(ALL_INTERFACES)))
        .get(true)
        .connections_per_peer_max(CONNECTIONS_MAX)
        .body_bytes_max(FLUME_BODY_BYTES_MAX)
        .bytes_in_flight_max(FLUME_HTTP_BYTES_IN_FLIGHT_MAX)
        .body_timeout(FLUME_HTTP_BODY);
    let source = handler(keys, source);
    let source = jetty(keys, source);
    for (old, present) in
        [("enableSSL", "ssl"), ("excludeProtocols", "exclude-protocols"), ("keystorePassword", "keystore-password")]
    {
        keys.alias(old, present);
    }
    if keys.value("ssl").is_some_and(|ssl| ssl.eq_ignore_ascii_case("true")) {
        keys.unsupported(&["SslContextFactory."], "is a setting of Flume's web server; use the keys of ssl");
    }
    keys.ignored(&["SslContextFactory."], "has no effect without ssl");
    #[cfg(feature = "tls")]
    let source = match tls::server(keys, site)? {
        Some(tls) => source.tls(tls),
        None => source,
    };
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(source)
}

#[derive(Clone, Copy)]
enum HandlerKind {
    Json,
    Blob,
    /// Of the morphline sink, with a limit.
    LimitedBlob,
    NdjsonValues,
    NdjsonEvents,
}

/// Flume's handlers by their class names, and ours by names of their own.
const HANDLERS: [(&str, HandlerKind); 7] = [
    ("org.apache.flume.source.http.JSONHandler", HandlerKind::Json),
    ("org.apache.flume.source.http.BLOBHandler", HandlerKind::Blob),
    ("org.apache.flume.sink.solr.morphline.BlobHandler", HandlerKind::LimitedBlob),
    ("json", HandlerKind::Json),
    ("blob", HandlerKind::Blob),
    ("ndjson", HandlerKind::NdjsonValues),
    ("ndjson-events", HandlerKind::NdjsonEvents),
];

/// How the maps of headers come to be that Flume's handler of a name makes.
pub(in super::super) fn map_of_handler(name: &str) -> HeaderMap {
    match HANDLERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, HandlerKind::Blob)) => HeaderMap::Filled,
        Some((_, HandlerKind::LimitedBlob)) => HeaderMap::Copied { of_map: true, added: 0 },
        // What is read from JSON has an order.
        _ => HeaderMap::Copied { of_map: false, added: 0 },
    }
}

fn handler(keys: &mut Keys, source: Http) -> Http {
    match keys.choice("handler", &HANDLERS, HandlerKind::Json) {
        HandlerKind::Json => source.handler(JsonHandler::new()),
        HandlerKind::NdjsonValues => source.handler(NdjsonHandler::values()),
        HandlerKind::NdjsonEvents => source.handler(NdjsonHandler::events()),
        HandlerKind::Blob => {
            let names = keys.text("handler.mandatoryParameters", "");
            let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            source.handler(BlobHandler::new().mandatory(names))
        }
        HandlerKind::LimitedBlob => {
            let max = keys.number("handler.maxBlobLength", 1..=FLUME_BODY_BYTES_MAX, 100_000_000);
            source.handler(BlobHandler::new().keep_content_type(true).bytes_max(max))
        }
    }
}

/// The settings that Flume hands on to its web server, as far as they mean something here.
fn jetty(keys: &mut Keys, source: Http) -> Http {
    // Not above zero stands for no limit.
    let idle = match keys.optional_number("ServerConnector.idleTimeout", i64::MIN..=i64::MAX) {
        None => FLUME_HTTP_IDLE,
        Some(millis) => {
            u64::try_from(millis).ok().filter(|millis| *millis > 0).map_or(FLUME_CONNECTION_IDLE, Duration::from_millis)
        }
    };
    let head = keys.number("HttpConfiguration.requestHeaderSize", 1..=HTTP_HEADER_BYTES_CEILING, HTTP_HEADER_BYTES_MIN);
    let workers = keys.number("QueuedThreadPool.maxThreads", 1..=HTTP_WORKERS_CEILING, HTTP_WORKERS);
    for (prefix, known) in [
        ("ServerConnector.", "idleTimeout"),
        ("HttpConfiguration.", "requestHeaderSize"),
        ("QueuedThreadPool.", "maxThreads"),
    ] {
        for (key, _) in keys.sub(prefix) {
            if key != known {
                keys.warn(&format!("{prefix}{key}"), "has no effect: it is a setting of Flume's web server");
            }
        }
    }
    source
        .idle_timeout(idle)
        .first_byte_timeout(idle)
        .header_timeout(idle)
        .silence_timeout(idle)
        .header_bytes_max(head.max(HTTP_HEADER_BYTES_MIN))
        .workers(workers)
}

fn sink(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let endpoint = keys.required("endpoint");
    let is_tls = endpoint.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let mut sink = sink::Http::new(endpoint)
        .connect_timeout(keys.millis("connectTimeout", 1..=PROPERTY_MILLIS_MAX, HTTP_CONNECT))
        .request_timeout(keys.millis("requestTimeout", 1..=PROPERTY_MILLIS_MAX, HTTP_REQUEST))
        .accept(keys.text("acceptHeader", "text/plain"));
    let formats = [("body", HttpFormat::Body), ("json", HttpFormat::JsonArray), ("ndjson", HttpFormat::JsonLines)];
    // As in Flume, which posts nothing for an event without a body: a server may refuse such a request for ever.
    sink = sink.format(keys.choice("format", &formats, HttpFormat::Body)).skip_empty(true);
    if let Some(content_type) = keys.optional("contentTypeHeader") {
        sink = sink.content_type(content_type);
    }
    sink = statuses(keys, sink);
    let batch = keys.batch_size("batchSize", SINK_BATCH_EVENTS);
    #[cfg(feature = "tls")]
    if is_tls && let Some(tls) = tls::global_client(keys, site)? {
        sink = sink.tls(tls);
    }
    #[cfg(not(feature = "tls"))]
    let _ = (is_tls, site);
    match sink.check() {
        Ok(()) => Ok(SinkSetup::new(sink).batch(batch)),
        Err(reason) => {
            keys.mistake("endpoint", reason);
            Err(keys.refuse("it cannot be used"))
        }
    }
}

/// What the statuses mean, by the keys `rollback.<status>` and `backoff.<status>`, where a status may be a class such as
/// `4XX`, and by the defaults.
///
/// In Flume the default of `defaultRollback` holds for 200 as well, so that without more keys an event that was accepted
/// is sent again for ever. Here it holds for all but 2xx, which mean what they say unless a key says otherwise.
fn statuses(keys: &mut Keys, mut sink: sink::Http) -> sink::Http {
    let default_rollback = keys.flag("defaultRollback", true);
    let default_backoff = keys.flag("defaultBackoff", true);
    let why = "has no effect: events are counted by what became of them";
    keys.ignored(&["defaultIncrementMetrics", "incrementMetrics."], why);
    let (rollback, backoff) = (by_status(keys, "rollback."), by_status(keys, "backoff."));
    for status in 100..=599 {
        let is_good = status / 100 == 2;
        let is_rolled_back = find(&rollback, status).unwrap_or(default_rollback && !is_good);
        let is_paused = find(&backoff, status).unwrap_or(default_backoff && !is_good);
        let action = match (is_rolled_back, is_paused) {
            (true, _) => StatusAction::Retry,
            (false, true) => StatusAction::AcceptThenPause,
            (false, false) => StatusAction::Accept,
        };
        sink = sink.on_status(status, action);
    }
    sink
}

/// Which statuses a key is about, and what it says.
type ByStatus = Vec<(Statuses, bool)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Class(u16),
}

fn by_status(keys: &mut Keys, prefix: &str) -> ByStatus {
    let names: Vec<String> = keys.sub(prefix).into_iter().map(|(name, _)| name).collect();
    let mut found = Vec::new();
    for name in names {
        let key = format!("{prefix}{name}");
        match Statuses::parse(&name) {
            Some(statuses) => found.push((statuses, keys.flag(&key, false))),
            None => keys.mistake(&key, "must end in a status, such as 503, or in a class of them, such as 5XX"),
        }
    }
    found
}

fn find(rules: &ByStatus, status: u16) -> Option<bool> {
    let rule = |wanted| rules.iter().find(|(statuses, _)| *statuses == wanted).map(|(_, value)| *value);
    rule(Statuses::One(status)).or_else(|| rule(Statuses::Class(status / 100)))
}

impl Statuses {
    fn parse(text: &str) -> Option<Self> {
        let is_class = |class: &u16| (1..=5).contains(class);
        if text.len() != 3 {
            return None;
        }
        match text.strip_suffix("XX") {
            Some(class) => class.parse().ok().filter(is_class).map(Self::Class),
            None => text.parse().ok().filter(|status: &u16| is_class(&(status / 100))).map(Self::One),
        }
    }
}

#[cfg(test)]
mod tests;
