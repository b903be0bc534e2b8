//! Receiving datagrams.
//!
//! One thread does nothing but receive, so that the kernel's buffer is emptied also while a commit takes its time; another
//! one commits whatever has come in by then.

mod drops;
mod handle;
mod queue;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, Builder};
use std::time::{Duration, SystemTime};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::clock::{Clock, SystemClock};
use crate::event::Event;
use crate::limits;
use crate::net::{Readiness, Signal, wait};
use crate::source::delivery::{Delivery, Kept, Refusals};
use crate::source::{OnFull, SourceContext, SourceError};
use crate::tell::{Span, tell};
use drops::Drops;
use queue::Queue;

pub use handle::{DatagramHandle, DatagramStats};

/// How datagrams are received.
#[derive(Clone, Debug)]
pub(crate) struct DatagramOptions {
    pub(crate) receive_buffer_bytes: usize,
    pub(crate) bytes_in_flight_max: usize,
    pub(crate) batch_max: usize,
    pub(crate) on_full: OnFull,
}

/// One datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) peer: SocketAddr,
    pub(crate) arrived: SystemTime,
}

/// A bound socket for datagrams, into which the kernel already receives.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    options: DatagramOptions,
    handle: DatagramHandle,
    queue: Arc<Queue>,
}

/// What the threads of a running source share.
struct Running<'a> {
    socket: UdpSocket,
    options: DatagramOptions,
    handle: &'a DatagramHandle,
    queue: &'a Queue,
    context: &'a SourceContext,
    stop: Signal,
    clock: SystemClock,
    // Of the component, for the threads below.
    span: Span,
}

/// From this attempt to put a batch on, events that make an interceptor or selector fail are dropped.
const ATTEMPTS: u32 = 3;
/// Datagrams that are received before other things are looked at.
const SWEEP: usize = 1024;
/// Pause after a failure of the system, such as one for lack of memory.
const PAUSE: Duration = Duration::from_millis(10);

impl DatagramOptions {
    /// Options with the defaults of [`limits`].
    pub(crate) fn new() -> Self {
        Self {
            receive_buffer_bytes: limits::DATAGRAM_RECEIVE_BUFFER_BYTES,
            bytes_in_flight_max: limits::SOURCE_BYTES_IN_FLIGHT_MAX,
            batch_max: limits::SOURCE_BATCH_EVENTS,
            on_full: OnFull::default(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let least = limits::DATAGRAM_BYTES_MAX;
        if self.batch_max == 0 {
            return Err("batch_max is 0; it must be at least 1".to_owned());
        }
        if self.bytes_in_flight_max < least {
            let given = self.bytes_in_flight_max;
            return Err(format!("bytes_in_flight_max is {given}; it must be at least {least}, to hold any datagram"));
        }
        Ok(())
    }
}

impl Datagrams {
    /// Binds `address`, which is `host:port`.
    ///
    /// # Errors
    /// `Fatal` for options and addresses that can never work, `Retry` for those that are just not free.
    pub(crate) fn bind(address: &str, options: DatagramOptions, handle: DatagramHandle) -> Result<Self, SourceError> {
        options.check().map_err(|reason| SourceError::fatal(format!("{address}: {reason}")))?;
        let (socket, bound) = bind_socket(address, &options).map_err(|error| {
            let text = format!("cannot listen on {address}: {error}");
            match error.kind() {
                ErrorKind::InvalidInput | ErrorKind::PermissionDenied => SourceError::fatal(text),
                _ => SourceError::retry(text),
            }
        })?;
        let queue = Arc::new(Queue::new(options.bytes_in_flight_max));
        let buffer = sockopt::socket_recv_buffer_size(&socket).unwrap_or(0);
        handle.opened(bound, buffer, Arc::clone(&queue));
        Ok(Self { socket, options, handle, queue })
    }

    /// Receives datagrams, makes events of them with `read`, and commits them, until shutdown is requested. What the
    /// kernel has received by then is taken, too.
    pub(crate) fn run<F>(self, context: &SourceContext, read: F) -> Result<(), SourceError>
    where
        F: FnMut(&Datagram<'_>, &mut Vec<Event>) + Send,
    {
        let Self { socket, options, handle, queue } = self;
        let stop = Signal::new().map_err(SourceError::retry)?;
        let running = Running {
            socket,
            options,
            handle: &handle,
            queue: &queue,
            context,
            stop,
            clock: SystemClock::new(),
            span: Span::current(),
        };
        let outcome = thread::scope(|scope| {
            let running = &running;
            let name = context.name().replace('\0', "");
            let committing = Builder::new()
                .name(name.clone())
                .spawn_scoped(scope, || {
                    let _span = running.span.clone().entered();
                    running.commit()
                })
                .map_err(SourceError::retry)?;
            let receiving = Builder::new().name(name).spawn_scoped(scope, || {
                let _span = running.span.clone().entered();
                running.receive(read)
            });
            let receiving = receiving.inspect_err(|_| running.queue.close()).map_err(SourceError::retry)?;
            context.shutdown().sleep_until(|| running.queue.is_closed());
            running.stop.raise();
            Ok((receiving.join(), committing.join()))
        });
        handle.closed();
        match outcome? {
            (Err(panic), _) | (_, Err(panic)) => resume_unwind(panic),
            (Ok(received), Ok(committed)) => committed.and(received.map_err(SourceError::retry)),
        }
    }
}

impl Running<'_> {
    /// Commits what is received until nothing more comes.
    fn commit(&self) -> Result<(), SourceError> {
        let _ending = Ending(self);
        while let Some((events, bytes)) = self.queue.take(self.options.batch_max) {
            let outcome = self.put(events);
            self.queue.release(bytes);
            if let Err(reason) = outcome {
                // Nothing is to come behind what is dropped.
                self.queue.close();
                self.drop_events(self.queue.clear());
                return Err(SourceError::retry(reason));
            }
        }
        Ok(())
    }

    /// Puts the events, again and again if that can help, while others are received.
    fn put(&self, events: Vec<Event>) -> Result<(), String> {
        let is_stopping = || self.stop.is_raised() || self.context.shutdown().is_requested();
        let mut delivery = Delivery::new(self.context, self.options.on_full, &is_stopping);
        let mut kept = Kept::new(events);
        let (mut attempt, mut pause) = (1, limits::RETRY_MIN);
        loop {
            let mut refusals = Refusals::default();
            delivery.blame_events(attempt == ATTEMPTS);
            let outcome = delivery.put_kept(kept, &mut refusals);
            let Err(unusable) = outcome else {
                self.drop_events(refusals.events);
                return Ok(());
            };
            kept = unusable.kept;
            // At a stop there is one more attempt, if it can find the event that is to blame.
            let may_find = unusable.in_component && attempt < ATTEMPTS;
            if !unusable.can_pass || is_stopping() && !may_find {
                self.drop_events(refusals.events);
                return Err(refusals.reason);
            }
            self.drop_events(refusals.events - kept.len());
            tell!(WARN, "datagrams cannot be put", message = refusals.reason);
            if kept.is_empty() {
                return Ok(());
            }
            self.context.shutdown().sleep(pause);
            attempt = if is_stopping() { ATTEMPTS } else { ATTEMPTS.min(attempt + 1) };
            pause = limits::RETRY_MAX.min(pause * 2);
        }
    }

    fn drop_events(&self, events: usize) {
        self.context.counters().dropped_events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Receives until the source is asked to stop, or nobody takes what is received.
    fn receive<F>(&self, mut read: F) -> io::Result<()>
    where
        F: FnMut(&Datagram<'_>, &mut Vec<Event>),
    {
        let _ending = Ending(self);
        let mut buffer = vec![0; limits::DATAGRAM_BYTES_MAX];
        let mut drops = Drops::of(&self.socket);
        let mut looked_at = self.clock.monotonic();
        // Only what arrives can be dropped, so nothing is looked at while nothing arrives.
        let mut arrived = false;
        loop {
            let limit = arrived.then_some(limits::DATAGRAM_DROPS_INTERVAL);
            let readable = Some((self.socket.as_fd(), PollFlags::IN));
            let readiness = wait(readable, Some(&self.stop), &self.clock, limit)?;
            match readiness {
                Readiness::Ready => {
                    arrived = true;
                    if self.sweep(&mut buffer, &mut read)? == Sweep::Closed {
                        return Ok(());
                    }
                }
                Readiness::TimedOut => arrived = false,
                Readiness::Stopped => {
                    let until = self.clock.monotonic() + limits::CONNECTION_STOP;
                    while self.clock.monotonic() < until && self.sweep(&mut buffer, &mut read)? == Sweep::More {}
                    self.handle.dropped(drops.look());
                    return Ok(());
                }
            }
            let now = self.clock.monotonic();
            if !arrived || now.saturating_sub(looked_at) >= limits::DATAGRAM_DROPS_INTERVAL {
                looked_at = now;
                self.handle.dropped(drops.look());
            }
        }
    }

    /// Receives what is there, up to a limit.
    fn sweep<F>(&self, buffer: &mut [u8], read: &mut F) -> io::Result<Sweep>
    where
        F: FnMut(&Datagram<'_>, &mut Vec<Event>),
    {
        let counters = self.context.counters();
        let mut events = Vec::new();
        for _ in 0..SWEEP {
            match self.socket.recv_from(buffer) {
                Ok((len, peer)) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    self.handle.received(len);
                    read(&Datagram { bytes, peer, arrived: self.clock.wall() }, &mut events);
                    let waits = !self.stop.is_raised();
                    let refused = self.queue.push(&mut events, waits);
                    counters.dropped_events.fetch_add(refused as u64, Ordering::Relaxed);
                    if self.queue.is_closed() {
                        return Ok(Sweep::Closed);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Sweep::Empty),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if passes(&error) => {
                    counters.event_read_fail.fetch_add(1, Ordering::Relaxed);
                    self.stop.sleep(&self.clock, PAUSE)?;
                    return Ok(Sweep::Empty);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Sweep::More)
    }
}

/// Tells the other threads when it is dropped, also by a panic, so that nobody waits for who is gone.
struct Ending<'a>(&'a Running<'a>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
        self.0.context.shutdown().wake();
    }
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    /// Nothing more is there.
    Empty,
    /// At its limit.
    More,
    /// Nobody takes what is received.
    Closed,
}

/// Whether a failure to receive is about the moment and not about the socket.
fn passes(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOMEM | Errno::NOBUFS | Errno::NETDOWN | Errno::CONNREFUSED | Errno::HOSTUNREACH))
}

fn bind_socket(address: &str, options: &DatagramOptions) -> io::Result<(UdpSocket, SocketAddr)> {
    let mut last = io::Error::new(ErrorKind::InvalidInput, "the name has no address");
    for address in address.to_socket_addrs()? {
        match UdpSocket::bind(address) {
            Ok(socket) => {
                // More than is allowed is not refused, but cut to that.
                sockopt::set_socket_recv_buffer_size(&socket, options.receive_buffer_bytes)?;
                socket.set_nonblocking(true)?;
                let bound = socket.local_addr()?;
                return Ok((socket, bound));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
