//! A socket and the layers on it.

use std::fmt;
#[cfg(feature = "rpc")]
use std::io::IoSliceMut;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;

#[cfg(feature = "rpc")]
use super::Deflate;
#[cfg(feature = "tls")]
use crate::tls::Session;

/// A socket that does not block, with any layers on it: TLS, compression, one in the other.
///
/// Reading and writing are those of a socket that does not block, whatever the layers: an error of the kind `WouldBlock`
/// says that nothing more can be done before the socket is ready for [`wanted`](Self::wanted). A layer may hold bytes
/// that the socket has delivered, so the socket is waited for only after a read that ended so. What was written is
/// on its way once [`flush`](Write::flush) says so.
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<Layer<Session>>),
    #[cfg(feature = "rpc")]
    Deflate(Box<Layer<Deflate>>),
}

/// A layer and what is below it.
#[cfg(any(feature = "rpc", feature = "tls"))]
pub(crate) struct Layer<T> {
    below: Stream,
    layer: T,
}

impl Stream {
    pub(crate) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // Requests and answers are whole when they are written, and somebody waits for them.
        socket.set_nodelay(true)?;
        Ok(Self::Plain(socket))
    }

    /// With TLS on top. Its handshake is under way until [`shake_hands`](Self::shake_hands) says that it is not.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(self, session: Session) -> Self {
        Self::Tls(Box::new(Layer { below: self, layer: session }))
    }

    /// With compression on top.
    #[cfg(feature = "rpc")]
    pub(crate) fn with_deflate(self, deflate: Deflate) -> Self {
        Self::Deflate(Box::new(Layer { below: self, layer: deflate }))
    }

    /// Goes on with the handshakes of all layers as far as that goes without waiting.
    #[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps))]
    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                tls.below.shake_hands()?;
                tls.layer.shake_hands(&mut tls.below)
            }
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.below.shake_hands(),
        }
    }

    /// What the socket must be ready for before a read that would have blocked is tried again.
    pub(crate) fn wanted(&self) -> PollFlags {
        if self.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }

    fn has_output(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.layer.has_output() || tls.below.has_output(),
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.layer.has_output() || deflate.below.has_output(),
        }
    }

    /// Ends this direction, on all layers, as far as that goes without waiting.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        self.say_goodbye();
        self.socket().shutdown(Shutdown::Write)
    }

    /// Lets the layers say that nothing more comes, as far as that goes without waiting.
    pub(crate) fn say_goodbye(&mut self) {
        match self {
            Self::Plain(_) => {}
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                tls.layer.say_goodbye(&mut tls.below);
                tls.below.say_goodbye();
            }
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.below.say_goodbye(),
        }
    }

    /// The socket below all layers.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.below.socket(),
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.below.socket(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => retry(|| socket.read(buffer)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.layer.read(&mut tls.below, buffer),
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.layer.read(&mut deflate.below, buffer),
        }
    }

    /// Layers fill the first buffer only.
    #[cfg(feature = "rpc")]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if let Self::Plain(socket) = self {
            return retry(|| socket.read_vectored(buffers));
        }
        match buffers.iter_mut().find(|buffer| !buffer.is_empty()) {
            Some(first) => self.read(first),
            None => Ok(0),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => retry(|| socket.write(bytes)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.layer.write(&mut tls.below, bytes),
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.layer.write(&mut deflate.below, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.layer.flush(&mut tls.below),
            #[cfg(feature = "rpc")]
            Self::Deflate(deflate) => deflate.layer.flush(&mut deflate.below),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(self.socket()).finish()
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
