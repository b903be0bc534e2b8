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
    /// Connects to the first address of `host` that lets it. None of them can use up the time of those behind it.
    pub(crate) fn connect(host: &str, port: u16, patience: &mut Patience, deadline: Duration) -> io::Result<Self> {
        let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        Self::new(connect_to_one(&addresses, patience, deadline)?)
    }
}

fn connect_to_one(addresses: &[SocketAddr], patience: &mut Patience, deadline: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = patience.now();
        let share = deadline.saturating_sub(now) / u32::try_from(left).unwrap_or(u32::MAX);
        match connect_to(*address, patience, now.saturating_add(share)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next_one() {
        // The system answers nobody who comes when this queue is full.
        let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&deaf, 0).unwrap();
        let (deaf, mut patience) = (deaf.local_addr().map(|address| (deaf, address)).unwrap(), Patience::new(None));
        let mut queued = Vec::new();
        let error = loop {
            let deadline = patience.deadline(Duration::from_millis(100));
            match connect_to(deaf.1, &mut patience, deadline) {
                Ok(socket) => queued.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = good.local_addr().unwrap();
        let deadline = patience.deadline(Duration::from_secs(2));
        let socket = connect_to_one(&[deaf.1, address], &mut patience, deadline).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), address);
    }
}
