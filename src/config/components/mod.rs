//! Flume's components: their type names, keys and defaults. One file for each component or family.
//!
//! A component is one function: it asks its [`Keys`](super::Keys) for every key that Flume's has, with Flume's default,
//! and makes the crate's component of them.
#![allow(clippy::unnecessary_wraps)] // all factories of a kind have one form

#[cfg(feature = "rpc")]
mod avro;
mod exec;
mod file_channel;
mod file_roll;
#[cfg(feature = "http")]
mod http;
mod interceptors;
mod logger;
mod memory;
mod missing;
mod netcat;
mod netcat_udp;
mod null;
mod processors;
mod selectors;
mod seq;
mod serializers;
mod spillable;
mod spool_dir;
mod stress;
mod syslog;
mod tail_dir;
#[cfg(test)]
mod testing;
mod text_interceptors;
#[cfg(feature = "rpc")]
mod thrift;
// For every component that speaks TCP; not all of them are part of every build.
#[cfg_attr(not(any(feature = "http", feature = "rpc")), allow(dead_code))]
mod tls;

use std::ops::RangeInclusive;
use std::time::Duration;

#[cfg(feature = "rpc")]
pub(super) use avro::{client_settings, requests_in_flight};
#[cfg(feature = "http")]
pub(super) use http::map_of_handler;
#[cfg(feature = "rpc")]
pub(super) use thrift::client_settings as thrift_client_settings;

use super::keys::Keys;
use super::number::Borne;
use super::registry::Registry;
use crate::agent::Backoff;
use crate::codec::charset::Charset;
use crate::limits::PROPERTY_MILLIS_MAX;

/// Registers everything that the crate has.
pub(super) fn register(registry: &mut Registry) {
    // First, so that a component that there is takes its name back.
    missing::register(registry);
    #[cfg(feature = "rpc")]
    avro::register(registry);
    exec::register(registry);
    file_channel::register(registry);
    file_roll::register(registry);
    #[cfg(feature = "http")]
    http::register(registry);
    interceptors::register(registry);
    logger::register(registry);
    memory::register(registry);
    netcat::register(registry);
    netcat_udp::register(registry);
    null::register(registry);
    processors::register(registry);
    selectors::register(registry);
    seq::register(registry);
    serializers::register(registry);
    spillable::register(registry);
    spool_dir::register(registry);
    stress::register(registry);
    syslog::register(registry);
    tail_dir::register(registry);
    text_interceptors::register(registry);
    #[cfg(feature = "rpc")]
    thrift::register(registry);
}

/// The pauses of a pollable source. None at all is Flume's to take; here it is a short one.
fn pollable(keys: &mut Keys) -> Backoff {
    let max = pause(keys, "maxBackoffSleep", Duration::from_secs(5));
    let instead = "Flume fails at each pause, and makes one of maxBackoffSleep";
    let key = "backoffSleepIncrement";
    let given = keys.is_set(key).then(|| keys.bearable(key, 0..=u64::MAX, Borne::Numbers, instead).unwrap_or(u64::MAX));
    let increment = Duration::from_millis(given.unwrap_or(1000)).max(PAUSE_MIN);
    Backoff::new(increment.min(max), max)
}

/// A pause that cannot be as short as in Flume, which may be none.
fn pause(keys: &mut Keys, key: &str, default: Duration) -> Duration {
    keys.millis(key, 0..=PROPERTY_MILLIS_MAX, default).max(PAUSE_MIN)
}

/// The address that a source listens at: the keys `host_key`, with its default, and `port`.
fn bind_address(keys: &mut Keys, host_key: &str, default: Option<&str>) -> String {
    address(keys, host_key, default, listening)
}

/// The address that a sink connects to: the keys `hostname` and `port`.
#[cfg(feature = "rpc")]
fn peer_address(keys: &mut Keys) -> String {
    address(keys, "hostname", None, |host| host)
}

fn address(keys: &mut Keys, host_key: &str, default: Option<&str>, as_meant: impl FnOnce(String) -> String) -> String {
    let host = as_meant(match default {
        None => keys.required(host_key),
        Some(default) => keys.text(host_key, default),
    });
    let port: u16 = keys.required_number("port", 0..=u16::MAX);
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host to listen at. In Java `0.0.0.0` is all interfaces, those of IPv6, too, if the system has it.
fn listening(host: String) -> String {
    if host == ALL_INTERFACES && is_dual() { "::".to_owned() } else { host }
}

/// Whether a socket of IPv6 takes clients of IPv4, too.
fn is_dual() -> bool {
    use rustix::net::{AddressFamily, SocketType, socket, sockopt};
    let socket = socket(AddressFamily::INET6, SocketType::DGRAM, None);
    socket.and_then(sockopt::ipv6_v6only) == Ok(false)
}

/// A character set by its name.
pub(super) fn known_charset(label: &str) -> Result<Charset, &'static str> {
    Charset::for_label(label).ok_or("is no known character set; give a name such as UTF-8 or ISO-8859-1")
}

/// A time in seconds, of which Flume takes anything below zero for none.
fn seconds_or_none(keys: &mut Keys, key: &str, default: Duration) -> Duration {
    keys.optional_number(key, i64::MIN..=i64::MAX).map_or(default, not_below_zero)
}

/// The same, where Flume takes the default if it is no number.
fn bearable_seconds(keys: &mut Keys, key: &str, default: Duration) -> Duration {
    let instead = format!("Flume takes the default of {}", default.as_secs());
    keys.bearable(key, i32::MIN..=i32::MAX, Borne::Anything, &instead)
        .map_or(default, |seconds| not_below_zero(seconds.into()))
}

fn not_below_zero(seconds: i64) -> Duration {
    Duration::from_secs(seconds.max(0).unsigned_abs())
}

/// A number of the range that Flume works with and that changes nothing here, for which `why` says the reason.
fn number_without_effect(keys: &mut Keys, key: &str, range: RangeInclusive<i64>, why: &str) {
    if keys.optional_number(key, range).is_some() {
        keys.warn(key, why);
    }
}

const ALL_INTERFACES: &str = "0.0.0.0";
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Any number, for [`number_without_effect`].
const ANY: RangeInclusive<i64> = i64::MIN..=i64::MAX;
const ABOVE_ZERO: RangeInclusive<i64> = 1..=i64::MAX;
/// Java's largest `int`.
const JAVA_INT_MAX: u64 = i32::MAX.unsigned_abs() as u64;
