//! What a component's call can come to besides success.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{PutError, TakeError, chain, panic_message};
use crate::sink::SinkError;
use crate::source::SourceError;

/// A boxed error, as components return it.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Why a call of a component did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It can pass.
    Retry(BoxError),
    /// The first event of the batch can never be delivered.
    Permanent(BoxError),
    /// It will not pass without a person.
    Fatal(BoxError),
    /// The component panicked; what is to be said about it.
    Panic(String),
}

impl Failure {
    /// The error with all its causes, in one line.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Retry(error) | Self::Permanent(error) | Self::Fatal(error) => chain(&**error),
            Self::Panic(message) => message.clone(),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Retry(error) => Self::Retry(error),
            SourceError::Fatal(error) => Self::Fatal(error),
        }
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Retry(error) => Self::Retry(error),
            SinkError::Permanent(error) => Self::Permanent(error),
            SinkError::Fatal(error) => Self::Fatal(error),
        }
    }
}

impl From<TakeError> for Failure {
    fn from(error: TakeError) -> Self {
        match error {
            // Nothing can be taken from a closed channel any more. An unknown outcome: the take may turn out committed when
            // the store is opened again, with the sink's position. A sink that went back to its older position meanwhile
            // would cut off what nobody delivers again.
            TakeError::Closed { .. } | TakeError::Indeterminate { .. } => Self::Fatal(error.into()),
            _ => Self::Retry(error.into()),
        }
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Closed { .. } | PutError::ForeignChannel { .. } | PutError::TooLarge { .. } => {
                Self::Fatal(error.into())
            }
            _ => Self::Retry(error.into()),
        }
    }
}

/// Calls a component; a panic becomes a failure.
///
/// The component is used again after a panic, but not before its `open`, which has to bring it into order.
pub(super) fn guarded<T, E: Into<Failure>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(panic) => Err(Failure::Panic(format!("panicked: {}", panic_message(&*panic)))),
    }
}
