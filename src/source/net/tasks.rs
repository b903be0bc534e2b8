//! The listener of sources whose connections are tasks of a runtime instead of threads of their own.
//!
//! The runtime lives inside of [`Listener::run_tasks`]: one thread for all sockets, and a few for what may block. Limits
//! and counters are those of every listener; base shares are the source's own matter.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, Builder};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::budget::{Budget, Share};
use super::client::canonical;
use super::handle::{ListenerHandle, count};
use super::listener::{ACCEPT_BACKOFF_MIN, Failure, Listener, ListenerOptions, WATCH, refuse};
use super::peers::{Peers, Slot};
use super::task_stream::TaskStream;
use crate::limits;
use crate::source::{SourceContext, SourceError};
use crate::tell::tell;

/// What a listener with tasks is told besides its other options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskOptions {
    /// Threads for what may block, at most.
    pub(crate) workers: usize,
    /// How long connections may take to end by themselves once the source is asked to stop.
    pub(crate) stop_timeout: Duration,
}

/// A connection that is accepted, with the handshakes of its layers still to come.
#[derive(Debug)]
pub(crate) struct TaskConnection {
    // Before the socket, see `Connection`.
    slot: Slot,
    socket: TcpStream,
    share: Share,
    peer: SocketAddr,
    options: Arc<ListenerOptions>,
    signals: TaskSignals,
}

/// A connection that is ready to be used.
#[derive(Debug)]
pub(crate) struct SecureConnection {
    // Before the stream, see `Connection`.
    pub(crate) slot: Slot,
    pub(crate) stream: TaskStream,
    pub(crate) share: Share,
    pub(crate) peer: SocketAddr,
    pub(crate) signals: TaskSignals,
}

/// What a task has to do with the listener it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct TaskSignals {
    stop: watch::Receiver<bool>,
    /// As long as somebody has this, the listener does not end, within its limit for that.
    _alive: mpsc::Sender<Infallible>,
    pub(crate) handle: ListenerHandle,
}

impl TaskSignals {
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until the source is asked to stop.
    pub(crate) async fn stopping(&self) {
        // The listener that could say so is gone: that is a stop as well.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }
}

impl ListenerHandle {
    pub(crate) fn count_panic(&self) {
        tell!(ERROR, "connection ended by a panic");
        count(&self.counts().panicked);
    }

    pub(crate) fn count_timeout(&self) {
        count(&self.counts().timed_out);
    }
}

impl TaskConnection {
    /// Goes through the handshakes of all layers. `None` if that failed, which is counted.
    pub(crate) async fn secure(self) -> Option<SecureConnection> {
        let Self { slot, socket, share, peer, options, signals } = self;
        let handshake = timeout(options.handshake_timeout, TaskStream::secure(socket, &options.layers));
        let outcome = match race(handshake, signals.stopping()).await {
            Raced::First(Ok(outcome)) => outcome,
            Raced::First(Err(_)) => {
                signals.handle.count_timeout();
                Err(io::ErrorKind::TimedOut.into())
            }
            Raced::Second(()) => Err(io::ErrorKind::Interrupted.into()),
        };
        if let Err(error) = &outcome {
            signals.handle.count_insecure(peer, error);
        }
        outcome.ok().map(|stream| SecureConnection { slot, stream, share, peer, signals })
    }
}

impl Listener {
    /// As [`run`](Self::run), with `serve` making a task of each connection.
    pub(crate) fn run_tasks<F, T>(
        self,
        context: &SourceContext,
        task_options: TaskOptions,
        serve: F,
    ) -> Result<(), SourceError>
    where
        F: Fn(TaskConnection) -> T + Send,
        T: Future<Output = ()> + Send + 'static,
    {
        let (mut sockets, options, handle, budget) = self.into_parts();
        // Whoever serves by tasks listens on one address.
        let Some(socket) = sockets.pop() else {
            return Err(SourceError::fatal("there is no address to listen on"));
        };
        let counters = Arc::clone(context.counters());
        let peers = Peers::new(options.connections_max, options.connections_per_peer_max, counters);
        let name = context.name().replace('\0', "");
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name(format!("{name}-worker"))
            .thread_stack_size(options.stack_bytes)
            .max_blocking_threads(task_options.workers.max(1))
            .build()
            .map_err(SourceError::retry)?;
        let (stop, stopped) = watch::channel(false);
        let accepting = Accepting {
            options: Arc::new(options),
            handle: handle.clone(),
            budget,
            peers,
            stopped,
            task_options,
            serve,
        };
        let outcome = thread::scope(|scope| {
            let running = Builder::new().name(name).spawn_scoped(scope, move || {
                let outcome = runtime.block_on(accepting.run(socket));
                runtime.shutdown_timeout(limits::CONNECTION_STOP);
                outcome
            })?;
            while !running.is_finished() && !context.shutdown().sleep(WATCH) {}
            stop.send_replace(true);
            running.join().unwrap_or_else(|_| Err(io::Error::other("the accepting thread panicked")))
        });
        handle.closed();
        outcome.map_err(SourceError::retry)
    }
}

/// The task that accepts.
struct Accepting<F> {
    options: Arc<ListenerOptions>,
    handle: ListenerHandle,
    budget: Arc<Budget>,
    peers: Arc<Peers>,
    stopped: watch::Receiver<bool>,
    task_options: TaskOptions,
    serve: F,
}

/// What the accepting task has to do next.
enum Next {
    Stop,
    /// A connection has ended.
    Ended(Result<(), JoinError>),
    Accepted(io::Result<(TcpStream, SocketAddr)>),
}

impl<F, T> Accepting<F>
where
    F: Fn(TaskConnection) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    async fn run(self, socket: std::net::TcpListener) -> io::Result<()> {
        let (alive, mut ended) = mpsc::channel(1);
        let signals = TaskSignals { stop: self.stopped.clone(), _alive: alive, handle: self.handle.clone() };
        let mut tasks = JoinSet::new();
        let outcome = self.accept_all(TcpListener::from_std(socket)?, &mut tasks, &signals).await;
        drop(signals);
        self.handle.closed();
        let end = async {
            while let Some(outcome) = tasks.join_next().await {
                self.ended(outcome);
            }
            // What connections have left behind.
            while ended.recv().await.is_some() {}
        };
        let _ = timeout(self.task_options.stop_timeout, end).await;
        outcome
    }

    async fn accept_all(&self, socket: TcpListener, tasks: &mut JoinSet<()>, signals: &TaskSignals) -> io::Result<()> {
        let mut backoff = ACCEPT_BACKOFF_MIN;
        let mut stopping = pin!(signals.stopping());
        loop {
            let next = poll_fn(|cx| {
                if stopping.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Stop);
                }
                if let Poll::Ready(Some(outcome)) = tasks.poll_join_next(cx) {
                    return Poll::Ready(Next::Ended(outcome));
                }
                socket.poll_accept(cx).map(Next::Accepted)
            });
            let error = match next.await {
                Next::Stop => return Ok(()),
                Next::Ended(outcome) => {
                    self.ended(outcome);
                    continue;
                }
                Next::Accepted(Ok(accepted)) => {
                    backoff = ACCEPT_BACKOFF_MIN;
                    if let Some(connection) = self.admit(accepted, signals) {
                        tasks.spawn((self.serve)(connection));
                    }
                    continue;
                }
                Next::Accepted(Err(error)) => error,
            };
            match Failure::of(&error) {
                Failure::None => {}
                Failure::Connection => count(&self.handle.counts().accept_errors),
                Failure::System => {
                    count(&self.handle.counts().accept_errors);
                    race(sleep(backoff), signals.stopping()).await;
                    backoff = (backoff * 2).min(limits::ACCEPT_BACKOFF_MAX);
                }
                Failure::Listener => return Err(error),
            }
        }
    }

    fn admit(&self, accepted: (TcpStream, SocketAddr), signals: &TaskSignals) -> Option<TaskConnection> {
        let (socket, peer) = (accepted.0, canonical(accepted.1));
        let counts = self.handle.counts();
        let share = self.budget.admit(self.options.unit_bytes_max, Duration::ZERO);
        let Some((slot, share)) = self.peers.admit(peer.ip()).zip(share) else {
            tell!(DEBUG, "connection refused, there are too many", peer = peer);
            count(&counts.refused);
            if let Ok(socket) = socket.into_std() {
                refuse(&socket, if self.options.layers.are_any() { b"" } else { self.options.refusal });
            }
            return None;
        };
        count(&counts.accepted);
        // Answers are whole when they are written, and somebody waits for them.
        let _ = socket.set_nodelay(true);
        let (options, signals) = (Arc::clone(&self.options), signals.clone());
        Some(TaskConnection { slot, socket, share, peer, options, signals })
    }

    fn ended(&self, outcome: Result<(), JoinError>) {
        if outcome.is_err_and(|error| error.is_panic()) {
            self.handle.count_panic();
        }
    }
}

/// Which of two futures was ready first.
#[derive(Debug)]
pub(crate) enum Raced<A, B> {
    First(A),
    Second(B),
}

/// Waits for the first of two futures; the other one is dropped.
pub(crate) async fn race<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> Raced<A, B> {
    let (mut first, mut second): (Pin<&mut _>, Pin<&mut _>) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = first.as_mut().poll(cx) {
            return Poll::Ready(Raced::First(outcome));
        }
        second.as_mut().poll(cx).map(Raced::Second)
    })
    .await
}
