//! Who may connect, by address.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;

/// Rules about who may connect, in the form of Flume's `ipFilterRules`:
/// `allow|deny:ip|name:pattern`, separated by commas. The first rule that matches decides; without one the connection is
/// accepted.
///
/// In the pattern of an address, `*` stands for anything and `?` for one character. A name is `localhost`, which is
/// whoever connects from this host, `*`, or a host, which stands for the addresses that it has when the rules are read:
/// there are no other patterns of names, because the name that belongs to an address is what the owner of the address
/// says it is.
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
    Addresses(Vec<IpAddr>),
}

impl IpFilter {
    /// Whether `peer` may use the connection `stream`.
    pub(super) fn admits(&self, stream: &TcpStream, peer: SocketAddr) -> bool {
        let local = stream.local_addr().ok().map(|address| address.ip());
        self.decides(peer.ip().to_canonical(), local.map(|local| local.to_canonical()))
    }

    fn decides(&self, peer: IpAddr, local: Option<IpAddr>) -> bool {
        let found = self.rules.iter().find(|rule| match &rule.who {
            Who::Everyone => true,
            // Who connects to an address of this host from that very address is on this host.
            Who::ThisHost => peer.is_loopback() || local == Some(peer),
            Who::Pattern(pattern) => matches(pattern.as_bytes(), peer.to_string().as_bytes()),
            Who::Addresses(addresses) => addresses.contains(&peer),
        });
        found.is_none_or(|rule| rule.allow)
    }
}

impl FromStr for IpFilter {
    type Err = IpFilterError;

    fn from_str(text: &str) -> Result<Self, IpFilterError> {
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
            ("name", pattern) if pattern.contains(['*', '?']) => {
                return Err(error("patterns of names are not supported; give patterns of addresses".to_owned()));
            }
            ("name", host) => {
                let found = (host, 0).to_socket_addrs();
                let found = found.map_err(|reason| error(format!("the name cannot be resolved: {reason}")))?;
                Who::Addresses(found.map(|address| address.ip().to_canonical()).collect())
            }
            _ => return Err(form()),
        };
        Ok(Self { allow, who })
    }
}

/// Whether `text` is what `pattern` says, with `*` for anything and `?` for one byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
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
mod tests {
    use super::*;

    fn decides(rules: &str, peer: &str) -> bool {
        let filter: IpFilter = rules.parse().unwrap();
        filter.decides(peer.parse().unwrap(), Some("192.0.2.7".parse().unwrap()))
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        for (rules, peer, expected) in [
            ("deny:ip:127.*", "127.0.0.1", false),
            ("deny:ip:127.*", "10.0.0.1", true),
            ("allow:ip:127.*,deny:ip:*", "127.0.0.1", true),
            ("allow:ip:127.*, deny:ip:*", "128.0.0.1", false),
            ("deny:ip:*,allow:ip:127.*", "127.0.0.1", false),
            ("allow:name:localhost,deny:ip:*", "127.0.0.5", true),
            ("allow:name:localhost,deny:ip:*", "192.0.2.7", true),
            ("allow:name:localhost,deny:ip:*", "192.0.2.8", false),
            ("allow:name:192.0.2.9,deny:name:*", "192.0.2.9", true),
            ("deny:ip:10.0.?.1", "10.0.7.1", false),
            ("deny:ip:10.0.?.1", "10.0.77.1", true),
            ("deny:ip:10.*.*.9", "10.1.9.9", false),
            ("deny:ip:10.*.*.9", "10.1.9.99", true),
            ("deny:ip:2001:DB8:*", "2001:db8::1", false),
            ("deny:ip:1.2.3.4", "1.2.3.45", true),
        ] {
            assert_eq!(decides(rules, peer), expected, "{rules}: {peer}");
        }
    }

    #[test]
    fn rules_that_make_no_sense_are_errors_that_name_them() {
        for rules in
            ["", "allow", "allow:ip", "permit:ip:*", "allow:host:*", "allow:ip:10.0.0.1/8", "allow:ip:*,", "deny:ip:"]
        {
            let outcome = rules.parse::<IpFilter>();
            match rules {
                // An empty pattern is legal and matches nothing.
                "deny:ip:" => assert!(decides(rules, "10.0.0.1")),
                _ => assert!(outcome.unwrap_err().to_string().starts_with("rule \""), "{rules}"),
            }
        }
        let error = "deny:name:*.example.com".parse::<IpFilter>().unwrap_err().to_string();
        assert!(error.contains("give patterns of addresses"), "{error}");
    }

    #[test]
    fn patterns_take_time_in_proportion_only() {
        let pattern = "*1".repeat(2000);
        assert!(!matches(pattern.as_bytes(), "1".repeat(1999).as_bytes()));
        assert!(matches(pattern.as_bytes(), "1".repeat(2000).as_bytes()));
    }
}
