//! Connecting, within a time limit, so that it can be given up.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};

use super::{Readiness, Stream, wait};
use crate::clock::{Clock, SystemClock};
use crate::limits::RPC_STOP;
use crate::shutdown::Shutdown;

/// Waits for sockets of a client: up to a deadline, and not much longer than the request to stop.
#[derive(Debug)]
pub(crate) struct Patience {
    clock: SystemClock,
    stop: Option<Shutdown>,
    stopped_at: Option<Duration>,
}

impl Patience {
    pub(crate) fn new(stop: Option<Shutdown>) -> Self {
        Self { clock: SystemClock::new(), stop, stopped_at: None }
    }

    /// The deadline that is so far away.
    pub(crate) fn deadline(&self, limit: Duration) -> Duration {
        self.now().saturating_add(limit)
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Waits until the socket is ready.
    pub(crate) fn wait(&mut self, socket: &impl AsFd, flags: PollFlags, deadline: Duration) -> io::Result<()> {
        loop {
            let stop = self.stop_deadline();
            let left = deadline.min(stop.unwrap_or(Duration::MAX)).saturating_sub(self.now());
            // Nobody writes to the socket when the request to stop is made, so it is looked for from time to time.
            let slice = if self.stop.is_some() && stop.is_none() { left.min(STOP_SLICE) } else { left };
            match wait(Some((socket.as_fd(), flags)), None, &self.clock, Some(slice))? {
                Readiness::Ready | Readiness::Stopped => return Ok(()),
                Readiness::TimedOut if slice < left => {}
                Readiness::TimedOut if self.now() < deadline => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "given up because of a request to stop"));
                }
                Readiness::TimedOut => return Err(ErrorKind::TimedOut.into()),
            }
        }
    }

    fn stop_deadline(&mut self) -> Option<Duration> {
        if self.stopped_at.is_none() && self.stop.as_ref().is_some_and(Shutdown::is_requested) {
            self.stopped_at = Some(self.now());
        }
        self.stopped_at.map(|at| at.saturating_add(RPC_STOP))
    }
}

impl Stream {
    /// Connects to the first address of `host` that lets it.
    pub(crate) fn connect(host: &str, port: u16, patience: &mut Patience, deadline: Duration) -> io::Result<Self> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match connect_to(address, patience, deadline) {
                Ok(socket) => return Self::new(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn connect_to(address: SocketAddr, patience: &mut Patience, deadline: Duration) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match connect(&socket, &address) {
        Ok(()) => return Ok(socket.into()),
        Err(Errno::INPROGRESS | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    patience.wait(&socket, PollFlags::OUT, deadline)?;
    let socket = TcpStream::from(socket);
    match socket.take_error()? {
        None => Ok(socket),
        Some(error) => Err(error),
    }
}

/// How often a wait looks whether it should end.
const STOP_SLICE: Duration = Duration::from_millis(100);
