//! A request to stop that wakes threads which wait for sockets.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::clock::Clock;

/// Once raised, it stays raised, and every wait that watches it returns.
#[derive(Debug)]
pub(crate) struct Signal {
    raised: AtomicBool,
    // Raising writes one byte that nobody reads: the read end stays readable for all who poll it, now and later.
    reader: PipeReader,
    writer: PipeWriter,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The socket is ready, or has an error to tell.
    Ready,
    /// The source is asked to stop.
    Stopped,
    /// Neither, in the given time.
    TimedOut,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { raised: AtomicBool::new(false), reader, writer })
    }

    pub(crate) fn raise(&self) {
        if !self.raised.swap(true, Ordering::SeqCst) {
            // An empty pipe takes one byte; if it did not, the flag is still seen at the next look.
            let _ = (&self.writer).write_all(&[1]);
        }
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Sleeps for `limit`, or less if the signal is raised. Returns whether it was.
    pub(crate) fn sleep(&self, clock: &dyn Clock, limit: Duration) -> io::Result<bool> {
        Ok(wait(None, Some(self), clock, Some(limit))? == Readiness::Stopped)
    }
}

/// Waits until one of the sockets has something to read or to accept, and says which have; none if the signal is raised.
pub(crate) fn wait_any<'a, S: AsFd>(sockets: &'a [S], stop: &Signal) -> io::Result<Vec<&'a S>> {
    loop {
        if stop.is_raised() {
            return Ok(Vec::new());
        }
        let mut watched: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        watched.push(PollFd::from_borrowed_fd(stop.reader.as_fd(), PollFlags::IN));
        match poll(&mut watched, None) {
            Ok(_) if stop.is_raised() => {}
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                let ready = sockets.iter().zip(&watched).filter(|(_, watched)| !watched.revents().is_empty());
                return Ok(ready.map(|(socket, _)| socket).collect());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the socket is ready for what is wanted, the signal is raised, or the time is over.
pub(crate) fn wait(
    socket: Option<(BorrowedFd<'_>, PollFlags)>,
    stop: Option<&Signal>,
    clock: &dyn Clock,
    limit: Option<Duration>,
) -> io::Result<Readiness> {
    let deadline = limit.and_then(|limit| clock.monotonic().checked_add(limit));
    loop {
        if stop.is_some_and(Signal::is_raised) {
            return Ok(Readiness::Stopped);
        }
        let left = deadline.map(|deadline| deadline.saturating_sub(clock.monotonic()));
        // A time too long for the kernel is as good as none.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut watched = Vec::with_capacity(2);
        if let Some((socket, flags)) = &socket {
            watched.push(PollFd::new(socket, *flags));
        }
        if let Some(stop) = stop {
            watched.push(PollFd::from_borrowed_fd(stop.reader.as_fd(), PollFlags::IN));
        }
        match poll(&mut watched, timeout.as_ref()) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(Readiness::TimedOut),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) if stop.is_some_and(Signal::is_raised) => return Ok(Readiness::Stopped),
            Ok(_) => return Ok(Readiness::Ready),
            Err(error) => return Err(error.into()),
        }
    }
}
