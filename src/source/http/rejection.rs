//! Why a request is not served.

/// Why a request is not served: a status of HTTP and a reason in words, which the client gets to see.
///
/// ```
/// use aqueduct::source::http::Rejection;
///
/// let rejection = Rejection::bad_request("the field `time` is missing");
/// assert_eq!(rejection.status(), 400);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    status: u16,
    reason: String,
}

impl Rejection {
    fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// The request is not what it should be: 400.
    #[must_use]
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(400, reason)
    }

    /// The request, or something in it, is larger than it may be: 413.
    #[must_use]
    pub fn too_large(reason: impl Into<String>) -> Self {
        Self::new(413, reason)
    }

    /// The request is of a kind that is not understood: 415.
    #[must_use]
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::new(415, reason)
    }

    /// The request is good and cannot be served all the same, through no fault of the client: 500.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::new(500, reason)
    }

    /// The request came at a bad time and may be sent again: 503.
    #[must_use]
    pub fn busy(reason: impl Into<String>) -> Self {
        Self::new(503, reason)
    }

    pub(super) fn forbidden(reason: impl Into<String>) -> Self {
        Self::new(403, reason)
    }

    pub(super) fn method(reason: impl Into<String>) -> Self {
        Self::new(405, reason)
    }

    pub(super) fn not_implemented(reason: impl Into<String>) -> Self {
        Self::new(501, reason)
    }

    pub(super) fn too_slow(reason: impl Into<String>) -> Self {
        Self::new(408, reason)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
