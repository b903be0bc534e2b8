//! Requests and their answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::delivery::{Complete, Shared, Told};
use super::hold::Hold;
use super::paced::{Turn, Turns};
use super::{Rejection, body};
use crate::source::net::TaskSignals;

/// One connection, as HTTP sees it.
#[derive(Clone)]
pub(super) struct Exchange {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    peer: SocketAddr,
    turns: Turns,
    hold: Arc<Hold>,
    signals: TaskSignals,
    // The put of a request that was answered before it. The next request waits for it, so that a connection holds one.
    told: Mutex<Option<JoinHandle<()>>>,
    // The client may still be sending what nobody reads any more.
    has_unread: AtomicBool,
}

impl Exchange {
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: SocketAddr,
        turns: Turns,
        hold: Arc<Hold>,
        signals: TaskSignals,
    ) -> Self {
        let (told, has_unread) = (Mutex::default(), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { shared, peer, turns, hold, signals, told, has_unread }) }
    }

    pub(super) fn has_unread(&self) -> bool {
        self.inner.has_unread.load(Ordering::Relaxed)
    }
}

impl Service<Request<Incoming>> for Exchange {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        inner.turns.set(Turn::Busy);
        Box::pin(async move {
            let outcome = inner.serve(request).await;
            inner.turns.set(Turn::Idle);
            Ok(match outcome {
                Ok(Told::Committed) => Response::new(Full::default()),
                Ok(Told::Received(put)) => {
                    *inner.told.lock() = Some(put);
                    answer(StatusCode::ACCEPTED, "")
                }
                Err(rejection) => refuse(&rejection, inner.shared.settings.get),
            })
        })
    }
}

impl Inner {
    async fn serve(&self, request: Request<Incoming>) -> Result<Told, Rejection> {
        let before = self.told.lock().take();
        if let Some(put) = before {
            // It counts its failures itself.
            let _ = put.await;
        }
        let settings = &self.shared.settings;
        let (head, incoming) = request.into_parts();
        let has_body = !incoming.is_end_stream();
        let is_packed =
            match check_method(&head.method, settings.get).and_then(|()| is_packed(&head.headers, settings.gzip)) {
                Ok(is_packed) => is_packed,
                Err(rejection) => return Err(self.unread(has_body, rejection)),
            };
        let read = timeout(settings.body_timeout, body::read(incoming, &self.hold, settings));
        let body = match read.await {
            Ok(Ok(body)) => body,
            Ok(Err(rejection)) => {
                if rejection.status() == StatusCode::REQUEST_TIMEOUT.as_u16() {
                    self.signals.handle.count_timeout();
                }
                return Err(self.unread(true, rejection));
            }
            Err(_) => {
                self.signals.handle.count_timeout();
                let reason = format!("the body was not complete within {:?}", settings.body_timeout);
                return Err(self.unread(true, Rejection::too_slow(reason)));
            }
        };
        let (peer, hold, signals) = (self.peer, Arc::clone(&self.hold), self.signals.clone());
        let complete = Complete { head, body, is_packed, peer, hold, signals };
        let delivery = tokio::spawn(Arc::clone(&self.shared).deliver(complete));
        delivery.await.unwrap_or_else(|_| Err(Rejection::failed("the request made the source fail")))
    }

    /// A request that was not read to its end.
    fn unread(&self, has_body: bool, rejection: Rejection) -> Rejection {
        self.hold.release();
        self.shared.context.counters().event_read_fail.fetch_add(1, Ordering::Relaxed);
        self.has_unread.fetch_or(has_body, Ordering::Relaxed);
        rejection
    }
}

fn check_method(method: &Method, get: bool) -> Result<(), Rejection> {
    match *method {
        Method::POST => Ok(()),
        Method::GET | Method::HEAD if get => Ok(()),
        // As Flume answers them.
        Method::TRACE | Method::OPTIONS => Err(Rejection::forbidden(format!("{method} is not allowed"))),
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE => {
            Err(Rejection::method(format!("{method} is not supported; events come with POST")))
        }
        _ => Err(Rejection::not_implemented(format!("{method} is not known here; events come with POST"))),
    }
}

fn is_packed(headers: &HeaderMap, gzip: bool) -> Result<bool, Rejection> {
    let mut packed = false;
    for coding in headers.get_all(CONTENT_ENCODING) {
        let coding = coding.as_bytes();
        if coding.eq_ignore_ascii_case(b"identity") {
            continue;
        }
        let known = coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip");
        if !known || !gzip || packed {
            let coding = String::from_utf8_lossy(coding);
            return Err(Rejection::unsupported(format!("content encoding {coding:?} is not supported")));
        }
        packed = true;
    }
    Ok(packed)
}

fn refuse(rejection: &Rejection, get: bool) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = answer(status, rejection.reason());
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = HeaderValue::from_static(if get { "POST, GET, HEAD" } else { "POST" });
            drop(answer.headers_mut().insert(ALLOW, allowed));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            drop(answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1")));
        }
        _ => {}
    }
    answer
}

fn answer(status: StatusCode, reason: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    if !reason.is_empty() {
        *answer.body_mut() = Full::from(format!("{reason}\n"));
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    answer
}
