//! What a listener puts between its sockets and the source on top.

use std::io;

use crate::net::Stream;
#[cfg(feature = "tls")]
use crate::tls::{Session, TlsServer};

/// The layers of all connections of a listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsServer>,
    #[cfg(feature = "rpc")]
    pub(crate) deflate: bool,
}

impl Layers {
    pub(super) fn are_any(&self) -> bool {
        self.has_tls() || self.has_deflate()
    }

    /// Whether it is known, or can be told by now, in which order a client has put its layers.
    pub(super) fn can_tell(&self, stream: &Stream) -> io::Result<bool> {
        if !(self.has_tls() && self.has_deflate()) {
            return Ok(true);
        }
        first_byte(stream).map(|byte| byte.is_some())
    }

    /// The stream with the layers on it, in the order in which the client has put them: Flume from 1.10 on compresses
    /// what TLS has encrypted, Flume up to 1.9 encrypts what is compressed.
    pub(super) fn put_on(&self, stream: Stream) -> io::Result<Stream> {
        let tls_below = self.has_deflate() && self.has_tls() && first_byte(&stream)? == Some(TLS_HANDSHAKE_RECORD);
        let stream = if tls_below { self.put_tls(stream)? } else { stream };
        let stream = self.put_deflate(stream);
        if tls_below { Ok(stream) } else { self.put_tls(stream) }
    }

    #[cfg(feature = "tls")]
    fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(feature = "tls")]
    fn put_tls(&self, stream: Stream) -> io::Result<Stream> {
        match &self.tls {
            Some(server) => Ok(stream.with_tls(Session::server(server)?)),
            None => Ok(stream),
        }
    }

    #[cfg(feature = "rpc")]
    fn has_deflate(&self) -> bool {
        self.deflate
    }

    #[cfg(feature = "rpc")]
    fn put_deflate(&self, stream: Stream) -> Stream {
        // Flume's servers always compress at this level.
        if self.deflate { stream.with_deflate(crate::net::Deflate::new(crate::limits::DEFLATE_LEVEL)) } else { stream }
    }
}

#[cfg(not(feature = "tls"))]
#[allow(clippy::unused_self, clippy::unnecessary_wraps)] // what is said without the feature
impl Layers {
    fn has_tls(&self) -> bool {
        false
    }

    fn put_tls(&self, stream: Stream) -> io::Result<Stream> {
        Ok(stream)
    }
}

#[cfg(not(feature = "rpc"))]
#[allow(clippy::unused_self)] // what is said without the feature
impl Layers {
    fn has_deflate(&self) -> bool {
        false
    }

    fn put_deflate(&self, stream: Stream) -> Stream {
        stream
    }
}

/// The first byte of a TLS connection; a zlib stream begins with 0x78.
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// The first byte that the peer has sent, left where it is.
fn first_byte(stream: &Stream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    match stream.socket().peek(&mut byte) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(Some(byte[0])),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}
