//! Requests, one at a time, over a connection that is used again.

use std::fmt;
use std::time::Duration;

use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::uri::Scheme;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ureq::unversioned::resolver::DefaultResolver;
#[cfg(feature = "tls")]
use ureq::unversioned::transport::Connector;
use ureq::unversioned::transport::TcpConnector;
use ureq::{Agent, config::AutoHeaderValue};

use super::unsent::{Before, is_unsent};
use crate::limits::{HTTP_ANSWER_BYTES_MAX, HTTP_TIME_UNLIMITED};
#[cfg(feature = "tls")]
use crate::tls::TlsClient;

/// A limit of time, unless it is so long that it is none. The client cannot add any to its clock.
fn limit(time: Duration) -> Option<Duration> {
    (time < HTTP_TIME_UNLIMITED).then_some(time)
}

/// Where requests go and how.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) endpoint: String,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) content_type: String,
    pub(super) accept: String,
    pub(super) headers: Vec<(String, String)>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsClient>,
}

/// Sends requests.
pub(super) struct Client {
    agent: Agent,
    uri: Uri,
    // The address without what may be secret in it.
    shown: String,
    headers: HeaderMap,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The beginning of the body, as it may be shown.
    pub(super) reason: String,
}

impl Target {
    /// Checks everything that can be checked without a connection.
    pub(super) fn check(&self) -> Result<(), String> {
        self.uri()?;
        self.header_map()?;
        for (name, timeout) in [("connect_timeout", self.connect_timeout), ("request_timeout", self.request_timeout)] {
            if timeout.is_zero() {
                return Err(format!("{name} is zero, so that nothing would ever be sent; it must be longer"));
            }
        }
        Ok(())
    }

    /// Prepares to send; a connection is made when there is something to be sent.
    pub(super) fn client(&self) -> Result<Client, String> {
        self.check()?;
        let uri = self.uri()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A request that is sent again somewhere else would lose its body.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(AutoHeaderValue::from(concat!("aqueduct/", env!("CARGO_PKG_VERSION"))))
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .timeout_connect(limit(self.connect_timeout))
            // The limit of all together has the time for connecting in it, also where there is a connection already.
            .timeout_send_request(limit(self.request_timeout))
            .timeout_send_body(limit(self.request_timeout))
            .timeout_recv_response(limit(self.request_timeout))
            .timeout_recv_body(limit(self.request_timeout))
            .timeout_global(limit(self.connect_timeout.saturating_add(self.request_timeout)))
            .max_idle_connections(1)
            .build();
        let agent = self.agent(config, &uri)?;
        let shown = shown(&uri);
        Ok(Client { agent, uri, shown, headers: self.header_map()? })
    }

    fn uri(&self) -> Result<Uri, String> {
        let error = |reason: &str| {
            format!("the endpoint {:?} {reason}; it must look like http://host:port/path", self.endpoint)
        };
        let uri: Uri = self.endpoint.parse().map_err(|_| error("is not a URL"))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(error("names no host"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(error("holds credentials, which belong into a header"));
        }
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => Ok(uri),
            Some(scheme) if *scheme == Scheme::HTTPS => {
                if cfg!(feature = "tls") {
                    Ok(uri)
                } else {
                    Err(error("needs the feature tls"))
                }
            }
            _ => Err(error("is neither http nor https")),
        }
    }

    fn header_map(&self) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        let known = [(CONTENT_TYPE.as_str(), &self.content_type), (ACCEPT.as_str(), &self.accept)];
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in known.into_iter().chain(own) {
            // Its value may be a secret.
            let found =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is not a header of HTTP"))?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| format!("the value of {name} is not one of a header of HTTP"))?;
            value.set_sensitive(true);
            map.insert(found, value);
        }
        Ok(map)
    }

    #[cfg(feature = "tls")]
    fn agent(&self, config: ureq::config::Config, uri: &Uri) -> Result<Agent, String> {
        let resolver = Before(DefaultResolver::default());
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Agent::with_parts(config, Before(TcpConnector::default()), resolver));
        }
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => TlsClient::builder().build().map_err(|error| error.to_string())?,
        };
        let connector = ().chain(TcpConnector::default()).chain(super::tls::TlsConnector::new(&tls));
        Ok(Agent::with_parts(config, Before(connector), resolver))
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // what is said without the feature
    fn agent(&self, config: ureq::config::Config, _: &Uri) -> Result<Agent, String> {
        Ok(Agent::with_parts(config, Before(TcpConnector::default()), Before(DefaultResolver::default())))
    }
}

impl Client {
    /// Posts a body and waits for the answer.
    pub(super) fn post(&self, body: &[u8]) -> Result<Answer, String> {
        let mut request = self.agent.post(&self.uri);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
        }
        let mut response = request.send(body).map_err(|error| self.describe_failure(&error))?;
        let status = response.status().as_u16();
        // Read to its end, so that the connection can be used again; if it is longer or breaks, the connection is not.
        let body = response.body_mut().with_config().limit(HTTP_ANSWER_BYTES_MAX).read_to_vec().unwrap_or_default();
        let text = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(&body)).trim().to_owned();
        Ok(Answer { status, reason: text.escape_debug().to_string() })
    }

    /// Why there is no answer, and whether the events may have arrived all the same.
    fn describe_failure(&self, error: &ureq::Error) -> String {
        let shown = &self.shown;
        if is_unsent(error) {
            return format!("cannot post to {shown}: {error}");
        }
        format!("no answer from {shown}, which may have the events already and will get them again: {error}")
    }

    /// An answer as a reason for an error.
    pub(super) fn describe(&self, answer: &Answer) -> String {
        let colon = if answer.reason.is_empty() { "" } else { ": " };
        format!("{} answered {}{colon}{}", self.shown, answer.status, answer.reason)
    }
}

/// A URL without its query.
fn shown(uri: &Uri) -> String {
    let (scheme, authority) =
        (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |found| found.as_str()));
    format!("{scheme}://{authority}{}", uri.path())
}

/// Bytes of an answer that an error shows.
const SHOWN_BYTES: usize = 200;

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of headers may be secrets, and so may be a query.
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Target")
            .field("endpoint", &self.uri().map(|uri| shown(&uri)).unwrap_or_default())
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.shown).finish_non_exhaustive()
    }
}
