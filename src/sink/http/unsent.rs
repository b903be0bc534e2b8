//! Which errors of a request say that nothing of it was sent.

use std::error::Error as StdError;
use std::fmt;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};
use ureq::{Error, config::Config};

/// Marks the errors of what comes before a request: finding the host and connecting to it.
#[derive(Debug)]
pub(super) struct Before<T>(pub(super) T);

/// Such an error.
#[derive(Debug)]
struct Unsent(Error);

/// Whether nothing of the request was sent.
pub(super) fn is_unsent(error: &Error) -> bool {
    matches!(error, Error::Other(error) if error.is::<Unsent>())
}

fn marked(error: Error) -> Error {
    Error::Other(Box::new(Unsent(error)))
}

impl<C: Connector> Connector for Before<C> {
    type Out = C::Out;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<C::Out>, Error> {
        self.0.connect(details, chained).map_err(marked)
    }
}

impl<R: Resolver> Resolver for Before<R> {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        self.0.resolve(uri, config, timeout).map_err(marked)
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Unsent {}
