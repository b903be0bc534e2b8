//! An identifier for each event as a header.

use std::fmt::Write as _;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::Interceptor;
use super::header::Target;
use crate::event::Event;

/// Puts a random identifier (RFC 9562, version 4) into the header `id`: Flume's `UUIDInterceptor`.
///
/// With it a sink or its readers can tell a repeated event from a new one, wherever the repetition happened. An event that
/// has the header keeps it.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, Uuid};
///
/// let event = Uuid::new().prefix("web-").intercept(Event::new("x")).ok_or("dropped")?;
/// let id = event.headers().get("id").ok_or("no id")?.to_owned();
/// assert!(id.starts_with("web-") && id.len() == 40);
/// let again = Uuid::new().intercept(event).ok_or("dropped")?;
/// assert_eq!(again.headers().get("id"), Some(id.as_str()));
/// # Ok::<(), &str>(())
/// ```
///
/// An event that has no room for a header (see [`limits`](crate::limits)) goes on without it.
#[derive(Clone, Debug)]
pub struct Uuid {
    target: Target,
    prefix: String,
}

impl Uuid {
    /// With Flume's defaults: header `id`, kept if it is there, no prefix.
    #[must_use]
    pub fn new() -> Self {
        Self { target: Target::new("id", true), prefix: String::new() }
    }

    /// The name of the header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.target.name = name.into();
        self
    }

    /// Whether an event that has the header keeps its value; it does by default.
    #[must_use]
    pub fn preserve_existing(mut self, preserve: bool) -> Self {
        self.target.preserve_existing = preserve;
        self
    }

    /// What every identifier begins with.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn value(&self) -> String {
        let mut value = String::with_capacity(self.prefix.len() + 36);
        value.push_str(&self.prefix);
        push_uuid(&mut value, random());
        value
    }
}

impl Default for Uuid {
    fn default() -> Self {
        Self::new()
    }
}

impl Interceptor for Uuid {
    fn intercept(&self, event: Event) -> Option<Event> {
        Some(self.target.set(event, || self.value().into()))
    }
}

/// Random bits from the operating system, for each event anew: a process that forks must not go on with what its parent
/// had in store.
///
/// # Panics
/// If the operating system has no random numbers (Linux before 3.17, or a sandbox that forbids the call). An identifier that
/// may not be unique would be worse: the agent reports the panic, and the event is not lost.
#[allow(clippy::panic)] // see above
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => panic!("the operating system gives no random numbers: {error}"),
        }
    }
    bytes
}

fn push_uuid(out: &mut String, mut bytes: [u8; 16]) {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identifiers_have_their_form_and_do_not_repeat() {
        let mut text = String::new();
        push_uuid(&mut text, [0xff; 16]);
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        text.clear();
        push_uuid(&mut text, [0; 16]);
        assert_eq!(text, "00000000-0000-4000-8000-000000000000");
        let ids: HashSet<String> = (0..1000).map(|_| Uuid::new().value()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn a_header_that_is_there_is_kept_or_replaced_as_configured() {
        let old = || Event::new("x").with_header("key", "old").unwrap();
        let keeps = Uuid::new().header("key");
        assert_eq!(keeps.intercept(old()).unwrap().headers().get("key"), Some("old"));
        let replaced = keeps.preserve_existing(false).prefix("p:").intercept(old()).unwrap();
        assert!(replaced.headers().get("key").unwrap().starts_with("p:"));
    }
}
