#[cfg(feature = "dns")]
use std::mem::take;
use std::sync::LazyLock;

#[cfg(feature = "dns")]
use parking_lot::Mutex;

use super::*;

fn decides(rules: &str, peer: &str) -> bool {
    decides_with(rules, peer, |_, _| None).unwrap()
}

fn decides_with(rules: &str, peer: &str, ask: impl FnMut(&Name, IpAddr) -> Option<bool>) -> Option<bool> {
    let filter: IpFilter = rules.parse().unwrap();
    filter.decides(peer.parse().unwrap(), Some("192.0.2.7".parse().unwrap()), ask)
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
        ("deny:ip:2001:db8:0:0:*", "2001:db8::1", false),
        ("allow:ip:127.*,deny:ip:*,,", "10.0.0.1", false),
        ("deny:ip:1.2.3.4", "1.2.3.45", true),
    ] {
        assert_eq!(decides(rules, peer), expected, "{rules}: {peer}");
    }
}

#[test]
fn rules_that_make_no_sense_are_errors_that_name_them() {
    for rules in
        ["", ",", "allow", "allow:ip", "permit:ip:*", "allow:host:*", "allow:ip:10.0.0.1/8", "a,,b", "deny:ip:"]
    {
        let outcome = rules.parse::<IpFilter>();
        match rules {
            // An empty pattern is legal and matches nothing.
            "deny:ip:" => assert!(decides(rules, "10.0.0.1")),
            _ => assert!(outcome.unwrap_err().to_string().starts_with("rule \""), "{rules}"),
        }
    }
}

#[test]
fn names_are_asked_for_where_no_rule_decides_before() {
    let rules = "allow:ip:10.*,deny:name:bad.example.com,allow:name:192.0.2.9";
    // What nobody knows is not asked for at once, and is nobody's name.
    for (peer, at_once, of_nobody, of_all) in [
        ("10.0.0.1", Some(true), Some(true), Some(true)),
        ("192.0.2.9", None, Some(true), Some(false)),
        ("192.0.2.8", None, Some(true), Some(false)),
    ] {
        assert_eq!(decides_with(rules, peer, |_, _| None), at_once, "{peer}");
        assert_eq!(decides_with(rules, peer, |_, _| Some(false)), of_nobody, "{peer}");
        let asked = decides_with(rules, peer, |name, _| Some(*name == Name::Host("bad.example.com".to_owned())));
        assert_eq!(asked, of_all, "{peer}");
    }
}

#[cfg(feature = "dns")]
#[test]
fn a_pattern_of_names_is_one_of_the_name_that_the_address_has() {
    let this = "127.0.0.1".parse().unwrap();
    let (resolver, stop) = (Resolver::new(), Signal::new().unwrap());
    let name = resolver.name_of(this).to_ascii_lowercase();
    for (pattern, expected) in [(format!("{}*", &name[..3]), true), ("*.nowhere.invalid".to_owned(), false)] {
        let asked = decides_with(&format!("deny:name:{pattern}"), "127.0.0.1", asking(&resolver, &stop));
        assert_eq!(asked, Some(!expected), "{pattern}");
    }
}

#[cfg(feature = "dns")]
#[test]
fn the_resolver_is_asked_once_about_each_client_and_host() {
    static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    fn addresses_of(host: &str) -> Vec<IpAddr> {
        ASKED.lock().push(host.to_owned());
        if host == "bad" { vec![[192, 0, 2, 9].into()] } else { Vec::new() }
    }
    fn name_of(peer: IpAddr) -> Option<String> {
        ASKED.lock().push(peer.to_string());
        (peer.to_string() == "192.0.2.8").then(|| "Evil.example".to_owned())
    }
    let (resolver, stop) = (Resolver::asking(addresses_of, name_of), Signal::new().unwrap());
    let rules = "deny:name:a*,deny:name:b*,deny:name:nobody,deny:name:bad,deny:name:nobody,deny:name:e*";
    for (peer, expected, asked) in [
        ("192.0.2.9", false, vec!["192.0.2.9", "nobody", "bad"]),
        ("192.0.2.9", false, vec![]),
        ("192.0.2.8", false, vec!["192.0.2.8"]),
        ("192.0.2.6", true, vec!["192.0.2.6"]),
        ("192.0.2.6", true, vec![]),
    ] {
        assert_eq!(decides_with(rules, peer, asking(&resolver, &stop)), Some(expected), "{peer}");
        assert_eq!(take(&mut *ASKED.lock()), asked, "{peer}");
    }
}

/// Goal: a stop waits for one question at most. Method: it comes while the first one is answered.
#[test]
fn no_more_names_are_asked_for_after_a_stop() {
    static STOP: LazyLock<Signal> = LazyLock::new(|| Signal::new().unwrap());
    fn stops(host: &str) -> Vec<IpAddr> {
        assert_eq!(host, "one");
        STOP.raise();
        Vec::new()
    }
    let resolver = Resolver::asking(
        stops,
        #[cfg(feature = "dns")]
        |_| None,
    );
    assert_eq!(decides_with("deny:name:one,deny:name:two", "192.0.2.9", asking(&resolver, &STOP)), None);
}

#[test]
fn patterns_take_time_in_proportion_only() {
    let pattern = "*1".repeat(2000);
    assert!(!matches(&pattern, &"1".repeat(1999)));
    assert!(matches(&pattern, &"1".repeat(2000)));
}
