//! The socket of a task and the layers on it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::layers::Layers;

/// A socket, plain or with TLS.
#[derive(Debug)]
pub(crate) enum TaskStream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<TcpStream>>),
}

impl TaskStream {
    /// The socket with its layers, after their handshakes.
    #[cfg(feature = "tls")]
    pub(super) async fn secure(socket: TcpStream, layers: &Layers) -> io::Result<Self> {
        match &layers.tls {
            None => Ok(Self::Plain(socket)),
            Some(server) => {
                let acceptor = TlsAcceptor::from(std::sync::Arc::clone(server.config()));
                Ok(Self::Tls(Box::new(acceptor.accept(socket).await?)))
            }
        }
    }

    /// The socket: without the feature `tls` there are no layers.
    #[cfg(not(feature = "tls"))]
    pub(super) fn secure(socket: TcpStream, _: &Layers) -> impl Future<Output = io::Result<Self>> {
        std::future::ready(Ok(Self::Plain(socket)))
    }
}

impl AsyncRead for TaskStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for TaskStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
