use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::net::Readiness;
use crate::source::SourcePort;
use crate::{PutBatch, PutError, PutTicket, Shutdown, Wait};

struct NoPort;

impl SourcePort for NoPort {
    fn submit(&self, batch: PutBatch, _wait: Option<Wait>) -> Result<PutTicket, PutError> {
        Err(PutError::Closed { channel: "none".to_owned(), batch: Box::new(batch) })
    }

    fn position(&self, _owner: &str) -> Option<bytes::Bytes> {
        None
    }

    fn positions(&self, _prefix: &str) -> Vec<(String, bytes::Bytes)> {
        Vec::new()
    }
}

fn context(shutdown: &Shutdown) -> SourceContext {
    SourceContext::new("listener", Arc::new(NoPort), shutdown.clone())
}

fn listener(handle: &ListenerHandle) -> Listener {
    let options = ListenerOptions::new(1024, b"no\n");
    Listener::bind("127.0.0.1:0", options, handle.clone()).unwrap()
}

#[test]
fn failures_of_accept_that_pass_do_not_end_the_listener() {
    let errors =
        [Errno::MFILE, Errno::NFILE, Errno::CONNABORTED, Errno::NOBUFS, Errno::INTR, Errno::NETDOWN, Errno::NOMEM];
    let (shutdown, handle) = (Shutdown::new(), ListenerHandle::default());
    let (context, listener) = (context(&shutdown), listener(&handle));
    let address = handle.local_addr().unwrap();
    let attempts = AtomicUsize::new(0);
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let accept = |socket: &TcpListener| match errors.get(attempts.fetch_add(1, Ordering::SeqCst)) {
                Some(error) => Err((*error).into()),
                None => socket.accept(),
            };
            listener.run_with(&context, accept, |connection| connection.write_all(b"hello", WATCH).unwrap())
        });
        let mut greeting = String::new();
        TcpStream::connect(address).unwrap().read_to_string(&mut greeting).unwrap();
        assert_eq!(greeting, "hello");
        shutdown.request();
        running.join().unwrap().unwrap();
    });
    assert_eq!(attempts.into_inner(), errors.len() + 1);
    let stats = handle.stats();
    assert_eq!((stats.accept_errors, stats.accepted_connections), (errors.len() as u64 - 1, 1), "EINTR is no error");
}

#[test]
fn a_listening_socket_that_is_broken_ends_the_run_with_an_error_that_can_pass() {
    let (shutdown, handle) = (Shutdown::new(), ListenerHandle::default());
    let (context, listener) = (context(&shutdown), listener(&handle));
    let _client = TcpStream::connect(handle.local_addr().unwrap()).unwrap();
    match listener.run_with(&context, |_| Err(Errno::INVAL.into()), |_| ()) {
        Err(SourceError::Retry(error)) => assert!(error.to_string().contains("Invalid argument"), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(handle.local_addr(), None);
}

#[test]
fn without_a_thread_for_any_connection_the_run_ends_with_the_reason() {
    let (shutdown, handle) = (Shutdown::new(), ListenerHandle::default());
    let (context, mut listener) = (context(&shutdown), listener(&handle));
    // More than there are addresses.
    listener.options.stack_bytes = 1 << 60;
    let _client = TcpStream::connect(handle.local_addr().unwrap()).unwrap();
    match listener.run(&context, |_| ()) {
        Err(SourceError::Retry(error)) => {
            assert!(error.to_string().contains("no thread for a connection, with a stack of"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((handle.stats().refused_connections, handle.stats().accepted_connections), (1, 0));
}

#[test]
fn a_shortage_of_threads_that_passes_does_not_end_the_run() {
    let (shutdown, handle) = (Shutdown::new(), ListenerHandle::default());
    let (context, options) = (context(&shutdown), ListenerOptions::new(1024, b"no\n"));
    let running = Running {
        options: &options,
        handle: &handle,
        budget: &Budget::new(options.sizes()),
        peers: Peers::new(1, 1, Arc::clone(context.counters())),
        resolver: Resolver::new(),
        stop: Signal::new().unwrap(),
        clock: SystemClock::new(),
        thread_name: String::new(),
        span: Span::current(),
        serve: |_: &mut Connection<'_>| (),
    };
    let shortage = || Err(Errno::AGAIN.into());
    assert!(running.no_thread(&Errno::AGAIN.into(), || Ok(())).is_ok());
    assert!(running.no_thread(&Errno::AGAIN.into(), shortage).is_err());
    running.stop.raise();
    assert!(running.no_thread(&Errno::AGAIN.into(), shortage).is_ok(), "at a stop");
}

#[test]
fn a_stop_ends_connections_that_wait_to_read_or_to_write() {
    let (shutdown, handle) = (Shutdown::new(), ListenerHandle::default());
    let (context, listener) = (context(&shutdown), listener(&handle));
    let address = handle.local_addr().unwrap();
    let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let hour = Duration::from_secs(3600);
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            listener.run(&context, |connection| {
                if begun.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                    assert_eq!(connection.wait_readable(hour).unwrap(), Readiness::Stopped);
                } else {
                    // More than the network's buffers hold for a peer that does not read.
                    let error = connection.write_all(&vec![0; 64 << 20], hour).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                }
                ended.fetch_add(1, Ordering::SeqCst);
            })
        });
        let _clients = [(); 10].map(|()| TcpStream::connect(address).unwrap());
        while begun.load(Ordering::SeqCst) < 10 {
            thread::yield_now();
        }
        shutdown.request();
        running.join().unwrap().unwrap();
    });
    assert_eq!(ended.into_inner(), 10);
    assert_eq!(handle.stats().panicked_connections, 0);
}

#[test]
fn every_failure_of_accept_is_about_something() {
    let of = |error: Errno| Failure::of(&error.into());
    assert_eq!(of(Errno::AGAIN), Failure::None);
    assert_eq!(of(Errno::CONNABORTED), Failure::Connection);
    assert_eq!(of(Errno::MFILE), Failure::System);
    assert_eq!(of(Errno::PERM), Failure::System);
    assert_eq!(of(Errno::BADF), Failure::Listener);
    assert_eq!(Failure::of(&io::Error::other("unknown")), Failure::System);
}

#[test]
fn several_addresses_share_their_limits_and_are_bound_together_or_not_at_all() {
    let (shutdown, handle) = (Shutdown::new(), ListenerHandle::default());
    let context = context(&shutdown);
    let options = ListenerOptions { connections_max: 2, ..ListenerOptions::new(1024, b"no\n") };
    let listener = Listener::bind_all(["127.0.0.1:0"; 3], options.clone(), handle.clone()).unwrap();
    let addresses = handle.local_addrs();
    assert_eq!((addresses.len(), handle.local_addr()), (3, Some(addresses[0])));
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            listener.run(&context, |connection| {
                let port = connection.local_port().unwrap().to_string();
                connection.write_all(port.as_bytes(), WATCH).unwrap();
                connection.wait_readable(Duration::from_secs(60)).unwrap();
            })
        });
        let mut clients = Vec::new();
        for address in &addresses[..2] {
            let mut client = TcpStream::connect(address).unwrap();
            let mut greeting = vec![0; address.port().to_string().len()];
            client.read_exact(&mut greeting).unwrap();
            assert_eq!(greeting, address.port().to_string().as_bytes());
            clients.push(client);
        }
        let mut refusal = String::new();
        TcpStream::connect(addresses[2]).unwrap().read_to_string(&mut refusal).unwrap();
        assert_eq!(refusal, "no\n", "two connections in all");
        shutdown.request();
        running.join().unwrap().unwrap();
    });
    assert_eq!(handle.local_addrs(), []);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let error = Listener::bind_all(["127.0.0.1:0", &taken], options, handle.clone()).unwrap_err();
    assert!(matches!(&error, SourceError::Retry(reason) if reason.to_string().contains(&taken)), "{error}");
    assert_eq!(handle.local_addrs(), []);
}
