//! What the syslog sources have in common.

use std::net::IpAddr;

use crate::codec::charset::Charset;
use crate::codec::syslog::{Dialect, KeepFields, SyslogFormat, SyslogParser};
use crate::event::{Headers, HeadersError};
#[cfg(feature = "dns")]
use crate::source::net::HostNames;
use crate::source::net::client;

/// How messages are read, and what is added to them.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(super) dialect: Dialect,
    pub(crate) keep: KeepFields,
    pub(super) zone: Option<String>,
    pub(super) format: Option<Box<SyslogFormat>>,
    pub(crate) client_ip_header: Option<String>,
    #[cfg(feature = "dns")]
    pub(super) client_hostname_header: Option<(String, HostNames)>,
}

impl Reading {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            keep: KeepFields::None,
            zone: None,
            format: None,
            client_ip_header: None,
            #[cfg(feature = "dns")]
            client_hostname_header: None,
        }
    }

    /// Gives each event a header with the name of the client; without the feature `dns`, nothing.
    #[cfg_attr(not(feature = "dns"), allow(clippy::needless_pass_by_value, clippy::unused_self))]
    pub(crate) fn tell_host_name(&mut self, name: String) {
        #[cfg(feature = "dns")]
        {
            self.client_hostname_header = Some((name, HostNames::new()));
        }
        #[cfg(not(feature = "dns"))]
        drop(name);
    }

    /// The parser for messages in `charset`.
    pub(super) fn parser(&self, charset: Charset) -> Result<SyslogParser, String> {
        let parser = SyslogParser::new(self.dialect).keep_fields(self.keep.clone()).charset(charset);
        let parser = self.format.iter().fold(parser, |parser, format| parser.format(SyslogFormat::clone(format)));
        match (&self.zone, self.dialect) {
            (Some(name), _) => parser.zone(name).map_err(|error| format!("zone: {error}")),
            (None, Dialect::Single) => Ok(parser.system_zone()),
            (None, Dialect::Multiport) => Ok(parser),
        }
    }

    /// The headers that tell of a client.
    pub(super) fn client_headers(&self, client: IpAddr) -> Result<Headers, HeadersError> {
        let mut headers = Headers::new();
        if let Some(name) = &self.client_ip_header {
            headers.insert(name, &client::host_address(client))?;
        }
        #[cfg(feature = "dns")]
        if let Some((name, names)) = &self.client_hostname_header {
            headers.insert(name, &names.of(client))?;
        }
        Ok(headers)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.format.is_some() && self.dialect == Dialect::Multiport {
            return Err("format is given, which messages at several ports do not have; use a source with `bind` for each port, \
                        or leave it out"
                .to_owned());
        }
        let mut headers = Headers::new();
        if let Some(name) = &self.client_ip_header {
            let longest = client::host_address(IpAddr::from([0xffff_u16; 8]));
            headers.insert(name, &longest).map_err(|error| format!("client_ip_header: {error}"))?;
        }
        #[cfg(feature = "dns")]
        if let Some((name, _)) = &self.client_hostname_header {
            let longest = "x".repeat(crate::limits::HOST_NAME_BYTES_MAX);
            headers.insert(name, &longest).map_err(|error| format!("client_hostname_header: {error}"))?;
        }
        self.parser(Charset::UTF_8).map(|_| ())
    }
}
