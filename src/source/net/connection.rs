//! One connection, as the source on top sees it.

#[cfg(feature = "rpc")]
use std::io::IoSliceMut;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
#[cfg(feature = "rpc")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::PollFlags;

use super::budget::Share;
use super::handle::{ListenerHandle, count};
use super::layers::Layers;
use super::peers::Slot;
use crate::clock::{Clock, SystemClock};
#[cfg(feature = "rpc")]
use crate::limits::SOURCE_FULL_WAIT;
use crate::limits::{CONNECTION_LINGER, CONNECTION_LINGER_BYTES, CONNECTION_STOP};
use crate::net::{Readiness, Signal, Stream, wait};

/// A connection within its limits. Every wait ends when the source is asked to stop.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    // Before the socket, because fields are dropped in this order: a peer that sees the end of its connection and
    // connects again finds its place free.
    _slot: Slot,
    share: Share,
    stream: Stream,
    peer: SocketAddr,
    stop: &'a Signal,
    handle: &'a ListenerHandle,
    clock: SystemClock,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        (stream, peer): (Stream, SocketAddr),
        (slot, share): (Slot, Share),
        stop: &'a Signal,
        handle: &'a ListenerHandle,
    ) -> Self {
        Self { _slot: slot, share, stream, peer, stop, handle, clock: SystemClock::new() }
    }

    /// Puts `layers` on the socket and goes through their handshakes, within `limit`.
    pub(super) fn secure(mut self, layers: &Layers, limit: Duration) -> io::Result<Self> {
        if !layers.are_any() {
            return Ok(self);
        }
        let until = self.age().saturating_add(limit);
        while !layers.can_tell(&self.stream)? {
            self.await_handshake(until)?;
        }
        self.stream = layers.put_on(self.stream)?;
        loop {
            match self.stream.shake_hands() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.await_handshake(until)?,
                Ok(()) => return Ok(self),
                Err(error) => {
                    // So that the peer gets to read what TLS has to say about it.
                    self.close_gently();
                    return Err(error);
                }
            }
        }
    }

    fn await_handshake(&self, until: Duration) -> io::Result<()> {
        match self.wait_readable(until)? {
            Readiness::Ready => Ok(()),
            Readiness::Stopped => Err(ErrorKind::Interrupted.into()),
            Readiness::TimedOut => Err(ErrorKind::TimedOut.into()),
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The port at which the connection came in.
    pub(crate) fn local_port(&self) -> Option<u16> {
        self.stream.socket().local_addr().ok().map(|address| address.port())
    }

    /// Counts a client of the listener that sends what makes no sense, and returns how many did so.
    #[cfg(feature = "rpc")]
    pub(crate) fn count_nonsense(&self) -> u64 {
        self.handle.counts().nonsense.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The bytes that this connection may hold.
    pub(crate) fn share(&mut self) -> &mut Share {
        &mut self.share
    }

    /// Waits until the connection may hold `bytes` of a request, for as long as that takes. Returns `false` if the source is
    /// asked to stop first.
    #[cfg(feature = "rpc")]
    pub(crate) fn wait_for_room(&mut self, bytes: usize) -> bool {
        while !self.share.wait_for_request(bytes, SOURCE_FULL_WAIT) {
            if self.is_stopping() {
                return false;
            }
        }
        true
    }

    /// Time since the connection was accepted.
    pub(crate) fn age(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_raised()
    }

    /// Reads what is there, without waiting. `None`: nothing yet; zero bytes: the peer sends no more.
    pub(crate) fn read_available(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        available(self.stream.read(buffer))
    }

    /// The same into `first` and, if that is filled, `second`, which stays empty where there are layers.
    #[cfg(feature = "rpc")]
    pub(crate) fn read_available_to(&mut self, first: &mut [u8], second: &mut [u8]) -> io::Result<Option<usize>> {
        available(self.stream.read_vectored(&mut [IoSliceMut::new(first), IoSliceMut::new(second)]))
    }

    /// Waits until there is something to read, up to the time `until`, measured as [`age`](Self::age).
    pub(crate) fn wait_readable(&self, until: Duration) -> io::Result<Readiness> {
        let left = until.saturating_sub(self.age());
        let readiness =
            wait(Some((self.stream.as_fd(), self.stream.wanted())), Some(self.stop), &self.clock, Some(left))?;
        if readiness == Readiness::TimedOut {
            count(&self.handle.counts().timed_out);
        }
        Ok(readiness)
    }

    /// Writes all of `bytes` within `limit`, or within a short time once the source is asked to stop.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
        let mut until = self.age().saturating_add(limit);
        let mut stop = Some(self.stop);
        loop {
            let done = if bytes.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(bytes) };
            match done {
                Ok(0) if bytes.is_empty() => return Ok(()),
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = until.saturating_sub(self.age());
                    match wait(Some((self.stream.as_fd(), PollFlags::OUT)), stop, &self.clock, Some(left))? {
                        Readiness::Ready => {}
                        Readiness::Stopped => {
                            stop = None;
                            until = until.min(self.age().saturating_add(CONNECTION_STOP));
                        }
                        Readiness::TimedOut => {
                            count(&self.handle.counts().timed_out);
                            return Err(ErrorKind::TimedOut.into());
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the layers say that nothing more comes. The connection is dropped next.
    pub(super) fn say_goodbye(&mut self) {
        self.stream.say_goodbye();
    }

    /// Ends the connection so that what was written last reaches the peer.
    ///
    /// A socket that is closed with unread input makes the kernel send a reset, which may overtake or discard the last
    /// answers. So the input is read and thrown away for a while, until the peer closes, too.
    pub(crate) fn close_gently(&mut self) {
        if self.stream.shutdown_write().is_err() {
            return;
        }
        let limit = if self.is_stopping() { CONNECTION_STOP } else { CONNECTION_LINGER };
        let mut until = self.age().saturating_add(limit);
        let mut stop = Some(self.stop).filter(|stop| !stop.is_raised());
        let mut rest = CONNECTION_LINGER_BYTES;
        let mut buffer = [0; 4096];
        while rest > 0 {
            // From the socket: what is thrown away need not be decrypted.
            match self.stream.socket().read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => rest = rest.saturating_sub(read),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = until.saturating_sub(self.age());
                    match wait(Some((self.stream.as_fd(), PollFlags::IN)), stop, &self.clock, Some(left)) {
                        Ok(Readiness::Ready) => {}
                        Ok(Readiness::Stopped) => {
                            stop = None;
                            until = until.min(self.age().saturating_add(CONNECTION_STOP));
                        }
                        Ok(Readiness::TimedOut) | Err(_) => return,
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

fn available(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
