//! Binding, accepting, and the threads of connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown as Direction, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Builder, Scope};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};

use super::budget::{Budget, Sizes};
use super::client::canonical;
use super::connection::Connection;
use super::handle::{ListenerHandle, count};
use super::ip_filter::IpFilter;
use super::layers::Layers;
use super::peers::Peers;
use super::resolver::Resolver;
use crate::clock::SystemClock;
use crate::error::panic_message;
use crate::limits;
use crate::net::{Signal, Stream, wait_any};
use crate::source::{SourceContext, SourceError};
use crate::tell::{Span, tell};

/// What a listener is limited to, and how it says so.
#[derive(Clone, Debug)]
pub(crate) struct ListenerOptions {
    pub(crate) connections_max: usize,
    pub(crate) connections_per_peer_max: usize,
    /// For all connections together.
    pub(crate) bytes_in_flight_max: usize,
    /// What every connection may hold at any time: the largest unit (line) in bytes, or less if there is a reserve. Then it
    /// is set aside for all connections that may come.
    pub(crate) unit_bytes_max: usize,
    /// Bytes out of `bytes_in_flight_max` that are kept for one connection at a time, which finds no others: the largest
    /// unit (frame). 0: every connection can hold a unit of its own.
    pub(crate) reserve_bytes: usize,
    /// Of the thread of each connection.
    pub(crate) stack_bytes: usize,
    /// What a connection over the limits is told before it is closed, unless there are layers below what it speaks.
    pub(crate) refusal: &'static [u8],
    /// Who may connect.
    pub(crate) filter: Option<IpFilter>,
    /// A peer that is silent for so long is asked by the system whether it still lives. `None`: it is not.
    pub(crate) keep_alive: Option<Duration>,
    /// What lies between the socket and the source.
    pub(crate) layers: Layers,
    /// For the handshakes of these layers.
    pub(crate) handshake_timeout: Duration,
}

impl ListenerOptions {
    /// Options with the defaults of [`limits`].
    pub(crate) fn new(unit_bytes_max: usize, refusal: &'static [u8]) -> Self {
        Self {
            connections_max: limits::CONNECTIONS_MAX,
            connections_per_peer_max: limits::CONNECTIONS_PER_PEER_MAX,
            bytes_in_flight_max: limits::SOURCE_BYTES_IN_FLIGHT_MAX,
            unit_bytes_max,
            reserve_bytes: 0,
            stack_bytes: limits::CONNECTION_STACK_BYTES,
            refusal,
            filter: None,
            keep_alive: None,
            layers: Layers::default(),
            handshake_timeout: limits::TLS_HANDSHAKE,
        }
    }

    fn sizes(&self) -> Sizes {
        let bases = if self.reserve_bytes > 0 { self.connections_max * self.unit_bytes_max } else { 0 };
        Sizes { max: self.bytes_in_flight_max, bases, reserve: self.reserve_bytes }
    }

    fn check(&self) -> Result<(), String> {
        for (name, value) in [
            ("connections_max", self.connections_max),
            ("connections_per_peer_max", self.connections_per_peer_max),
            ("bytes_in_flight_max", self.bytes_in_flight_max),
        ] {
            if value == 0 {
                return Err(format!("{name} is 0, so that nothing could ever be received; it must be at least 1"));
            }
        }
        if self.handshake_timeout.is_zero() {
            return Err("handshake_timeout is zero, so that every client would be closed at once".to_owned());
        }
        if self.stack_bytes > limits::CONNECTION_STACK_BYTES_MAX {
            let (bytes, max) = (self.stack_bytes, limits::CONNECTION_STACK_BYTES_MAX);
            return Err(format!("connection_stack_bytes is {bytes}; it must be at most {max}"));
        }
        let all = self.connections_max.checked_mul(self.unit_bytes_max);
        let needed = all.and_then(|all| all.checked_add(self.reserve_bytes));
        if needed.is_none_or(|needed| needed > self.bytes_in_flight_max) {
            let reserve = match self.reserve_bytes {
                0 => String::new(),
                bytes => format!(", and the largest request, which needs {bytes},"),
            };
            let (needed, remedy) = match needed {
                Some(needed) => (needed.to_string(), "raise it to that, or lower"),
                None => (format!("more than {}", usize::MAX), "lower"),
            };
            return Err(format!(
                "{} connections that hold up to {} bytes each{reserve} need {needed} bytes, but bytes_in_flight_max is \
                 {}; {remedy} connections_max or the length limit",
                self.connections_max, self.unit_bytes_max, self.bytes_in_flight_max
            ));
        }
        Ok(())
    }
}

/// Bound sockets that are not accepted from yet; the kernel already lets clients connect.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    options: ListenerOptions,
    handle: ListenerHandle,
    budget: Arc<Budget>,
}

/// What all threads of a running listener share.
struct Running<'a, F> {
    options: &'a ListenerOptions,
    handle: &'a ListenerHandle,
    budget: &'a Arc<Budget>,
    peers: Arc<Peers>,
    // For the filter.
    resolver: Resolver,
    stop: Signal,
    clock: SystemClock,
    thread_name: String,
    // Of the component, for the threads below.
    span: Span,
    serve: F,
}

/// How often the thread that waits for the request to stop looks whether the accepting thread still lives.
pub(super) const WATCH: Duration = Duration::from_secs(1);
/// First pause after a failed `accept`; it doubles up to [`limits::ACCEPT_BACKOFF_MAX`].
pub(super) const ACCEPT_BACKOFF_MIN: Duration = Duration::from_millis(10);
/// How long one attempt to get memory for a new connection lasts before the request to stop is looked at.
const ADMIT_WAIT: Duration = Duration::from_millis(100);
/// The pause before a thread is asked for again, where none is served.
const THREAD_PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    /// Binds `address`, which is `host:port`.
    ///
    /// # Errors
    /// `Fatal` for options and addresses that can never work, `Retry` for those that are just not free.
    pub(crate) fn bind(address: &str, options: ListenerOptions, handle: ListenerHandle) -> Result<Self, SourceError> {
        Self::bind_all([address], options, handle)
    }

    /// Binds all of these addresses, or none. The limits are those of all of them together.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), for the first address that cannot be bound.
    pub(crate) fn bind_all<A: AsRef<str>>(
        addresses: impl IntoIterator<Item = A>,
        options: ListenerOptions,
        handle: ListenerHandle,
    ) -> Result<Self, SourceError> {
        options.check().map_err(SourceError::fatal)?;
        let (mut sockets, mut bound) = (Vec::new(), Vec::new());
        for address in addresses {
            let (socket, address) = bind_socket(address.as_ref()).map_err(|error| {
                let text = format!("cannot listen on {}: {error}", address.as_ref());
                match error.kind() {
                    ErrorKind::InvalidInput | ErrorKind::PermissionDenied => SourceError::fatal(text),
                    _ => SourceError::retry(text),
                }
            })?;
            sockets.push(socket);
            bound.push(address);
        }
        let budget = Budget::new(options.sizes());
        handle.opened(bound, Arc::clone(&budget));
        Ok(Self { sockets, options, handle, budget })
    }

    /// Accepts connections and calls `serve` for each in a thread of its own, until shutdown is requested. Then the
    /// sockets are closed, the connections are told to stop, and all threads are waited for.
    pub(crate) fn run<F>(self, context: &SourceContext, serve: F) -> Result<(), SourceError>
    where
        F: Fn(&mut Connection<'_>) + Sync,
    {
        self.run_with(context, TcpListener::accept, serve)
    }

    /// For those who accept in another way.
    #[cfg(feature = "http")]
    pub(super) fn into_parts(self) -> (Vec<TcpListener>, ListenerOptions, ListenerHandle, Arc<Budget>) {
        (self.sockets, self.options, self.handle, self.budget)
    }

    /// As [`run`](Self::run), with the system call given, so that tests can let it fail.
    fn run_with<A, F>(self, context: &SourceContext, accept: A, serve: F) -> Result<(), SourceError>
    where
        A: Fn(&TcpListener) -> io::Result<(TcpStream, SocketAddr)> + Send,
        F: Fn(&mut Connection<'_>) + Sync,
    {
        let Self { sockets, options, handle, budget } = self;
        let counters = Arc::clone(context.counters());
        let running = Running {
            options: &options,
            handle: &handle,
            budget: &budget,
            peers: Peers::new(options.connections_max, options.connections_per_peer_max, counters),
            resolver: Resolver::new(),
            stop: Signal::new().map_err(SourceError::retry)?,
            clock: SystemClock::new(),
            thread_name: context.name().replace('\0', ""),
            span: Span::current(),
            serve,
        };
        let outcome = thread::scope(|scope| {
            let running = &running;
            let accepting = Builder::new().name(running.thread_name.clone()).spawn_scoped(scope, move || {
                let _span = running.span.clone().entered();
                let outcome = running.accept_all(scope, &sockets, accept);
                // Closed before the connections end: clients that come now are refused instead of left waiting.
                drop(sockets);
                running.handle.closed();
                outcome
            })?;
            while !accepting.is_finished() && !context.shutdown().sleep(WATCH) {}
            running.stop.raise();
            accepting.join().unwrap_or_else(|_| Err(io::Error::other("the accepting thread panicked")))
        });
        handle.closed();
        outcome.map_err(SourceError::retry)
    }
}

impl<F: Fn(&mut Connection<'_>) + Sync> Running<'_, F> {
    fn accept_all<'scope, A>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        sockets: &[TcpListener],
        accept: A,
    ) -> io::Result<()>
    where
        A: Fn(&TcpListener) -> io::Result<(TcpStream, SocketAddr)>,
    {
        let mut backoff = ACCEPT_BACKOFF_MIN;
        let mut number = 0_u64;
        loop {
            let ready = wait_any(sockets, &self.stop)?;
            if ready.is_empty() {
                return Ok(());
            }
            for socket in ready {
                match accept(socket) {
                    Ok((stream, peer)) => {
                        backoff = ACCEPT_BACKOFF_MIN;
                        number += 1;
                        self.admit(scope, (stream, canonical(peer)), number)?;
                    }
                    Err(error) => match Failure::of(&error) {
                        Failure::None => {}
                        Failure::Connection => count(&self.handle.counts().accept_errors),
                        Failure::System => {
                            count(&self.handle.counts().accept_errors);
                            self.stop.sleep(&self.clock, backoff)?;
                            backoff = (backoff * 2).min(limits::ACCEPT_BACKOFF_MAX);
                        }
                        Failure::Listener => return Err(error),
                    },
                }
            }
        }
    }

    /// Starts the thread of a connection, or refuses it. An error if no connection at all can be served.
    fn admit<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        accepted: (TcpStream, SocketAddr),
        number: u64,
    ) -> io::Result<()> {
        let counts = self.handle.counts();
        let filter = self.options.filter.as_ref();
        let is_admitted = filter.map_or(Some(true), |filter| filter.admits_at_once(&accepted.0, accepted.1));
        if is_admitted == Some(false) {
            tell!(DEBUG, "connection refused by the filter", peer = accepted.1);
            count(&counts.refused);
            return Ok(());
        }
        let Some(slot) = self.peers.admit(accepted.1.ip()) else {
            tell!(DEBUG, "connection refused, there are too many", peer = accepted.1);
            count(&counts.refused);
            let plain = !self.options.layers.are_any();
            refuse(&accepted.0, if plain { self.options.refusal } else { b"" });
            return Ok(());
        };
        // The shares of all connections fit into the budget, so what is missing comes free with the next commits, or when
        // the thread of a connection that has ended is gone.
        // Meanwhile further clients wait in the kernel.
        let share = loop {
            if let Some(share) = self.budget.admit(self.options.unit_bytes_max, ADMIT_WAIT) {
                break share;
            }
            if self.stop.is_raised() {
                return Ok(());
            }
        };
        let serve = move || {
            let _span = self.span.clone().entered();
            // Others do not wait for the name of this one.
            let ask = || filter?.admits(&accepted.0, accepted.1, &self.resolver, &self.stop);
            match is_admitted.or_else(ask) {
                Some(true) => {}
                Some(false) => {
                    tell!(DEBUG, "connection refused by the filter", peer = accepted.1);
                    return count(&counts.refused);
                }
                // The end of the source came first.
                None => return,
            }
            count(&counts.accepted);
            let Ok(stream) = Stream::new(accepted.0) else { return };
            if let Some(idle) = self.options.keep_alive {
                // A system that does not do it leaves it to the time limits.
                let _ = keep_alive(&stream, idle);
            }
            let connection = Connection::new((stream, accepted.1), (slot, share), &self.stop, self.handle);
            let mut connection = match connection.secure(&self.options.layers, self.options.handshake_timeout) {
                Ok(connection) => connection,
                Err(error) => return self.handle.count_insecure(accepted.1, &error),
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.serve)(&mut connection))) {
                tell!(ERROR, "connection ended by a panic", peer = accepted.1, message = panic_message(&*panic));
                count(&self.handle.counts().panicked);
            }
            connection.say_goodbye();
        };
        let stack_bytes = self.options.stack_bytes;
        let builder = || Builder::new().name(format!("{}-{number}", self.thread_name)).stack_size(stack_bytes);
        let again = || builder().spawn_scoped(scope, || ()).map(drop);
        builder().spawn_scoped(scope, serve).map_or_else(|error| self.no_thread(&error, again), |_| Ok(()))
    }

    /// A connection gets no thread. The next one may, when one of those that are served is gone. Without any, this is an error, unless
    /// a moment later there is one, as `again` tells: others in the machine may have had them all.
    fn no_thread(&self, error: &io::Error, again: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        count(&self.handle.counts().refused);
        let stack_bytes = self.options.stack_bytes;
        let text = format!("no thread for a connection, with a stack of {stack_bytes} bytes: {error}");
        let is_served = self.peers.open_connections() > 0;
        if is_served || self.stop.sleep(&self.clock, THREAD_PAUSE)? || again().is_ok() {
            tell!(WARN, "connection refused", message = text);
            return Ok(());
        }
        Err(io::Error::new(error.kind(), text))
    }
}

fn bind_socket(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let mut last = io::Error::new(ErrorKind::InvalidInput, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpListener::bind(address) {
            Ok(socket) => {
                // Again, with a longer queue than the standard library's 128: a burst of clients beyond it would wait
                // a second for its connections to be tried again.
                rustix::net::listen(&socket, limits::LISTEN_BACKLOG)?;
                socket.set_nonblocking(true)?;
                let bound = socket.local_addr()?;
                return Ok((socket, bound));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn keep_alive(stream: &Stream, idle: Duration) -> io::Result<()> {
    set_tcp_keepidle(stream, idle)?;
    set_tcp_keepintvl(stream, idle / 10)?;
    set_socket_keepalive(stream, true)?;
    Ok(())
}

/// Tells a client that it is not served, as far as that goes without waiting for it.
pub(super) fn refuse(mut stream: &TcpStream, message: &[u8]) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let _ = stream.write(message);
    let _ = stream.shutdown(Direction::Write);
    // Unread input would turn the close into a reset, which may discard the message.
    let _ = stream.read(&mut [0; 4096]);
}

/// What a failed `accept` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing: there was just nobody.
    None,
    /// The one connection, which is gone.
    Connection,
    /// The system, which is short of something.
    System,
    /// The listening socket, which will not get better.
    Listener,
}

impl Failure {
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::AGAIN | Errno::INTR) => Self::None,
            // accept(2): Linux passes on errors that the network had for the new connection.
            Some(
                Errno::CONNABORTED
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTUNREACH
                | Errno::HOSTDOWN
                | Errno::NOPROTOOPT
                | Errno::TIMEDOUT,
            ) => Self::Connection,
            Some(Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::OPNOTSUPP | Errno::FAULT) => Self::Listener,
            // Most of all EMFILE, ENFILE, ENOBUFS and ENOMEM.
            _ => Self::System,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
