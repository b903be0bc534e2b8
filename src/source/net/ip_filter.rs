//! Who may connect, by address.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::str::FromStr;

use super::client::host_address;
use super::resolver::Resolver;
use crate::net::Signal;

/// Rules about who may connect, in the form of Flume's `ipFilterRules`:
/// `allow|deny:ip|name:pattern`, separated by commas. The first rule that matches decides; without one the connection is
/// accepted.
///
/// In a pattern, `*` stands for anything and `?` for one character. A name is `localhost`, which is whoever connects from
/// this host, `*`, or a host, which stands for the addresses that it has when somebody connects; a host that the resolver
/// does not know is nobody. A pattern of names (feature `dns`) is compared with the name that the resolver has for the
/// address of who connects, if that name has the address again, and with the address itself if there is none. Only a
/// connection that a rule about names has to decide on waits for the resolver. Its answers are believed for
/// [`HOST_NAME_AGE_MAX`](crate::limits::HOST_NAME_AGE_MAX), and that it has none for
/// [`HOST_NAME_RETRY`](crate::limits::HOST_NAME_RETRY).
///
/// While the resolver does not answer, a host is nobody, and patterns of names are compared with addresses: a rule
/// `deny:name:<host>` denies nobody then, as in Flume, where a rule that does not match leaves the decision to the next one; that is told
/// to `tracing`. To keep somebody out for sure, deny addresses, or allow those who may come and end
/// with `deny:ip:*`.
///
/// ```
/// use aqueduct::source::net::IpFilter;
///
/// let filter: IpFilter = "allow:ip:127.*, allow:ip:10.1.2.*, deny:name:*".parse()?;
/// # let _ = filter;
/// let error = "deny:ip".parse::<IpFilter>().map(|_| ()).unwrap_err();
/// assert!(error.to_string().contains("<allow or deny>:<ip or name>:<pattern>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpFilter {
    rules: Vec<Rule>,
}

/// Why rules cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?} of the IP filter: {reason}")]
pub struct IpFilterError {
    rule: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    who: Who,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Everyone,
    ThisHost,
    Pattern(String),
    Address(IpAddr),
    Name(Name),
}

/// Who is known by a name, so that it takes the resolver to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Host(String),
    #[cfg(feature = "dns")]
    Pattern(String),
}

impl IpFilter {
    /// Whether `peer` may use the connection `stream`, unless it takes names to tell.
    pub(super) fn admits_at_once(&self, stream: &TcpStream, peer: SocketAddr) -> Option<bool> {
        self.decide(stream, peer, |_, _| None)
    }

    /// The same, with names; nothing if `stop` is raised before all are asked for that it takes.
    ///
    /// # Blocking
    /// For the resolver of the operating system, which may ask a name server.
    pub(super) fn admits(
        &self,
        stream: &TcpStream,
        peer: SocketAddr,
        resolver: &Resolver,
        stop: &Signal,
    ) -> Option<bool> {
        self.decide(stream, peer, asking(resolver, stop))
    }

    fn decide(
        &self,
        stream: &TcpStream,
        peer: SocketAddr,
        ask: impl FnMut(&Name, IpAddr) -> Option<bool>,
    ) -> Option<bool> {
        let local = stream.local_addr().ok().map(|address| address.ip());
        self.decides(peer.ip().to_canonical(), local.map(|local| local.to_canonical()), ask)
    }

    /// What the first rule that matches says; nothing if `ask` cannot tell whether one does.
    fn decides(
        &self,
        peer: IpAddr,
        local: Option<IpAddr>,
        mut ask: impl FnMut(&Name, IpAddr) -> Option<bool>,
    ) -> Option<bool> {
        for rule in &self.rules {
            let is_meant = match &rule.who {
                Who::Everyone => true,
                // Who connects to an address of this host from that very address is on this host.
                Who::ThisHost => peer.is_loopback() || local == Some(peer),
                // Java writes all groups of an IPv6 address.
                Who::Pattern(pattern) => {
                    [peer.to_string(), host_address(peer)].iter().any(|text| matches(pattern, text))
                }
                Who::Address(address) => *address == peer,
                Who::Name(name) => ask(name, peer)?,
            };
            if is_meant {
                return Some(rule.allow);
            }
        }
        Some(true)
    }
}

/// Tells for one connection whether a name is that of its peer, whose own name is asked for once at most.
fn asking(resolver: &Resolver, stop: &Signal) -> impl FnMut(&Name, IpAddr) -> Option<bool> {
    #[cfg(feature = "dns")]
    let mut own: Option<String> = None;
    move |name, peer| {
        // With a name server that does not answer, each question may take long.
        if stop.is_raised() {
            return None;
        }
        Some(match name {
            Name::Host(host) => resolver.has(host, peer),
            #[cfg(feature = "dns")]
            Name::Pattern(pattern) => {
                matches(pattern, own.get_or_insert_with(|| resolver.name_of(peer).to_ascii_lowercase()))
            }
        })
    }
}

impl FromStr for IpFilter {
    type Err = IpFilterError;

    fn from_str(text: &str) -> Result<Self, IpFilterError> {
        // Java drops what is empty at the end of a list.
        let text = text.trim().trim_end_matches(',');
        let rules = text.split(',').map(|rule| Rule::parse(rule.trim())).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, IpFilterError> {
        let error = |reason: String| IpFilterError { rule: text.to_owned(), reason };
        let form = || error("it must look like <allow or deny>:<ip or name>:<pattern>".to_owned());
        let mut parts = text.splitn(3, ':');
        let (Some(access), Some(kind), Some(pattern)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let allow = match access {
            "allow" => true,
            "deny" => false,
            _ => return Err(form()),
        };
        let who = match (kind, pattern) {
            ("ip" | "name", "*") => Who::Everyone,
            ("ip", pattern) if pattern.bytes().all(|byte| byte.is_ascii_hexdigit() || b".:*?".contains(&byte)) => {
                Who::Pattern(pattern.to_ascii_lowercase())
            }
            ("ip", _) => {
                return Err(error(
                    "an address is made of digits, dots or colons, and the wildcards * and ?".to_owned(),
                ));
            }
            ("name", "localhost") => Who::ThisHost,
            #[cfg(feature = "dns")]
            ("name", pattern) if pattern.contains(['*', '?']) => Who::Name(Name::Pattern(pattern.to_ascii_lowercase())),
            #[cfg(not(feature = "dns"))]
            ("name", pattern) if pattern.contains(['*', '?']) => {
                let why = "patterns of names are not part of this build; enable the feature dns of the crate aqueduct";
                return Err(error(why.to_owned()));
            }
            ("name", host) => match host.parse::<IpAddr>() {
                Ok(address) => Who::Address(address.to_canonical()),
                Err(_) => Who::Name(Name::Host(host.to_owned())),
            },
            _ => return Err(form()),
        };
        Ok(Self { allow, who })
    }
}

/// Whether `text` is what `pattern` says, with `*` for anything and `?` for one byte.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last star does not fit: the star takes one byte more.
    let mut retry = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                retry = Some((p, t));
                p += 1;
            }
            (None, None) => return true,
            (Some(wanted), Some(byte)) if *wanted == b'?' || wanted == byte => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((star, taken)) if taken < text.len() => {
                    retry = Some((star, taken + 1));
                    (p, t) = (star + 1, taken + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests;
