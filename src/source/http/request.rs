//! A request, as handlers see it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::http::{HeaderName, header};

use super::Rejection;

/// A request with its body, which is complete and not compressed.
pub struct Request {
    head: Parts,
    body: Bytes,
    peer: SocketAddr,
}

impl Request {
    pub(super) fn new(head: Parts, body: Bytes, peer: SocketAddr) -> Self {
        Self { head, body, peer }
    }

    /// The path, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// What stands behind the question mark, as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// Names and values of the query in their order, decoded.
    ///
    /// # Errors
    /// If one of them is not UTF-8 in percent encoding.
    pub fn parameters(&self) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), Rejection>> {
        let parts = self.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
    }

    /// The first header of this name, in any case, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The `charset` of the content type, if there is one.
    #[must_use]
    pub fn charset(&self) -> Option<&str> {
        let content_type = self.head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        content_type.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        })
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Who sent it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// The text that stands in a query: `+` is a blank, `%` and two digits are a byte.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, Rejection> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let malformed = || Rejection::bad_request(format!("the parameter {text:?} is not UTF-8 in percent encoding"));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(out).map(Cow::Owned).map_err(|_| malformed()),
            [b'%', high, low, rest @ ..] => {
                out.push(digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or_else(malformed)?);
                rest
            }
            [b'%', ..] => return Err(malformed()),
            [byte, rest @ ..] => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                rest
            }
        };
    }
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl fmt::Debug for Request {
    /// Neither header fields nor the query nor the body, in which there may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("peer", &self.peer)
            .field("path", &self.path())
            .field("headers", &self.head.headers.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, content_type: &str) -> Request {
        let request = hyper::Request::builder().uri(uri).header(header::CONTENT_TYPE, content_type);
        Request::new(request.body(()).unwrap().into_parts().0, Bytes::new(), "127.0.0.1:1".parse().unwrap())
    }

    #[test]
    fn parameters_are_decoded() {
        let read = |uri: &str| -> Result<Vec<(String, String)>, Rejection> {
            let request = request(uri, "");
            request.parameters().map(|pair| pair.map(|(name, value)| (name.into(), value.into()))).collect()
        };
        let pairs = read("/x?a=1&b=%C3%A4+%2b&&c&=d&a=2").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("b", "\u{e4} +"), ("c", ""), ("", "d"), ("a", "2")]);
        assert!(read("/x").unwrap().is_empty() && read("/x?").unwrap().is_empty());
        for bad in ["%", "%1", "%zz", "%ff", "%+1", "a=%c3"] {
            assert_eq!(read(&format!("/x?{bad}")).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn the_charset_is_that_of_the_content_type() {
        for (content_type, charset) in [
            ("application/json", None),
            ("application/json; charset=UTF-16", Some("UTF-16")),
            ("text/plain;a=b; Charset=\"utf-8\" ", Some("utf-8")),
            ("text/plain; charset", None),
            ("charset=x", None),
        ] {
            assert_eq!(request("/", content_type).charset(), charset, "{content_type}");
        }
        let request = request("/p?q", "text/plain");
        assert_eq!((request.path(), request.query()), ("/p", Some("q")));
        assert_eq!((request.header("CONTENT-type"), request.header("no\n")), (Some("text/plain"), None));
    }

    #[test]
    fn a_request_is_shown_without_what_may_be_secret() {
        let head = hyper::Request::post("/in?token=secret").header("authorization", "secret").body(()).unwrap();
        let request = Request::new(head.into_parts().0, "secret".into(), ([127, 0, 0, 1], 80).into());
        assert_eq!(
            format!("{request:?}"),
            "Request { peer: 127.0.0.1:80, path: \"/in\", headers: 1, body_bytes: 6, .. }"
        );
    }
}
