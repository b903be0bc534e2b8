//! Flume's interceptors that add a header.

use super::super::{Keys, Made, Registry, Site};
use crate::interceptor::{Host, Interceptor, StaticHeader, Timestamp};

pub(super) fn register(registry: &mut Registry) {
    registry.interceptor(&["timestamp", "org.apache.flume.interceptor.TimestampInterceptor$Builder"], timestamp);
    registry.interceptor(&["host", "org.apache.flume.interceptor.HostInterceptor$Builder"], host);
    registry.interceptor(&["static", "org.apache.flume.interceptor.StaticInterceptor$Builder"], static_header);
}

fn timestamp(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    let interceptor = Timestamp::new()
        .header(keys.text("headerName", "timestamp"))
        .preserve_existing(keys.flag("preserveExisting", false));
    Ok(Box::new(interceptor))
}

fn host(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    let header = keys.text("hostHeader", "host");
    let preserve = keys.flag("preserveExisting", false);
    let host = if keys.flag("useIP", true) { Host::address() } else { Ok(Host::name()) };
    match host {
        Ok(host) => Ok(Box::new(host.header(header).preserve_existing(preserve))),
        Err(error) => {
            keys.mistake("useIP", format!("{error}; set it to false to have the name of the host"));
            Err(keys.refuse("there is no address"))
        }
    }
}

fn static_header(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    let interceptor = StaticHeader::new(keys.text("key", "key"), keys.text("value", "value"))
        .preserve_existing(keys.flag("preserveExisting", true));
    Ok(Box::new(interceptor))
}
