//! How a configuration is read.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::content;
use super::registry::Registry;
use crate::limits::USERS_FILE_BYTES_MAX;
use crate::sink::{LogFormat, Logger};

/// How a configuration is read, and what there is beside it.
///
/// ```
/// use aqueduct::config::{Options, Registry};
///
/// let options = Options::new().with_registry(Registry::standard()).lenient().with_property("region", "eu");
/// assert_eq!(options.property("region"), Some("eu"));
/// ```
#[derive(Clone)]
#[must_use = "options do nothing by themselves"]
pub struct Options {
    registry: Registry,
    is_lenient: bool,
    properties: BTreeMap<String, String>,
    environment: Arc<Environment>,
    home: Option<PathBuf>,
    log: Option<Arc<Log>>,
}

type Environment = dyn Fn(&str) -> Option<String> + Send + Sync;
type Log = dyn Fn(&str) + Send + Sync;

impl Options {
    /// The standard components, the environment of the process, no system properties, and mistakes are errors.
    pub fn new() -> Self {
        Self {
            registry: Registry::standard(),
            is_lenient: false,
            properties: BTreeMap::new(),
            environment: Arc::new(|name| std::env::var(name).ok()),
            home: None,
            log: None,
        }
    }

    /// The components that there are.
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// What Flume does with mistakes: pass over a key or drop a component, with a warning, and run what is left.
    pub fn lenient(mut self) -> Self {
        self.is_lenient = true;
        self
    }

    /// A system property, as `-D` gives one to Flume.
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// An environment instead of the process's.
    pub fn with_environment(mut self, get: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.environment = Arc::new(get);
        self
    }

    /// The directory that stands for the user's home, instead of the property `user.home`, the variable `HOME`, or what the
    /// system's list of users says.
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Where logger sinks write their lines, instead of standard output, and sources what they tell of their files and commands.
    pub fn with_log(mut self, log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.log = Some(Arc::new(log));
        self
    }

    /// Whether mistakes are passed over as Flume does.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.is_lenient
    }

    /// A system property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// A variable of the environment.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn home(&self) -> PathBuf {
        let property = || self.property("user.home").filter(|home| !home.is_empty()).map(PathBuf::from);
        let variable = || self.environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        // Java's `user.home` of a user who has none.
        self.home
            .clone()
            .or_else(property)
            .or_else(variable)
            .or_else(home_of_user)
            .unwrap_or_else(|| PathBuf::from("?"))
    }

    pub(super) fn log(&self) -> Arc<Log> {
        self.log.clone().unwrap_or_else(|| {
            // As the logger does without it; nobody could be told if that fails.
            Arc::new(|line| drop(writeln!(io::stdout(), "{line}")))
        })
    }

    pub(super) fn logger(&self) -> Logger {
        let logger = match self.log.clone() {
            Some(log) => Logger::to_fn(move |line| log(line)),
            None => Logger::to_writer(StandardOutput),
        };
        logger.format(LogFormat::Flume)
    }
}

/// Standard output, whose reader may be gone: as in Flume nobody waits for another one.
struct StandardOutput;

impl io::Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).or_else(|error| unless_unread(error, bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().or_else(|error| unless_unread(error, ()))
    }
}

fn unless_unread<T>(error: io::Error, done: T) -> io::Result<T> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(done) } else { Err(error) }
}

/// The home of the user in the system's list, where Java finds it. A service may run without the variable.
fn home_of_user() -> Option<PathBuf> {
    let users = content(Path::new(USERS), USERS_FILE_BYTES_MAX).ok()?;
    home_in(&String::from_utf8_lossy(&users), rustix::process::getuid().as_raw())
}

/// Of lines with the user's number in the third field, and the home in the sixth.
fn home_in(users: &str, user: u32) -> Option<PathBuf> {
    let user = user.to_string();
    let homes = users.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next() == Some(user.as_str())).then(|| fields.nth(2)).flatten()
    });
    homes.filter(|home| !home.is_empty()).map(PathBuf::from).next()
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("is_lenient", &self.is_lenient)
            .field("properties", &self.properties.keys())
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

const USERS: &str = "/etc/passwd";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_given_or_that_of_the_user() {
        let options = Options::new().with_environment(|name| (name == "HOME").then(|| "/env".to_owned()));
        assert_eq!(options.home(), Path::new("/env"));
        let options = options.with_property("user.home", "/property");
        assert_eq!(options.home(), Path::new("/property"));
        assert_eq!(options.with_home("/given").home(), Path::new("/given"));
        let users =
            "root:x:0:0:root:/root:/bin/sh\nbroken\nflume:x:12:12::/var/lib/flume:/bin/false\nnone:x:13:13:::\n";
        assert_eq!(home_in(users, 12), Some("/var/lib/flume".into()));
        assert_eq!((home_in(users, 13), home_in(users, 1)), (None, None));
    }
}
