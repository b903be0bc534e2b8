//! How many connections there may be, how long they live, and what a stop does to them.

use super::*;

#[test]
fn connections_over_the_limits_are_refused_and_places_come_back() {
    for limited in [source().connections_max(2), source().connections_per_peer_max(2)] {
        let port = TestPort::with(|_| ());
        let running = start(limited, &port);
        let mut kept = [running.client(), running.client()];
        for client in &mut kept {
            assert_eq!(client.send("a\n").answer(), "OK\n");
        }
        for _ in 0..5 {
            assert_eq!(running.client().rest(), "FAILED: too many connections\n");
        }
        let [first, mut second] = kept;
        assert_eq!(first.finish(), "");
        assert_eq!(running.client().send("b\n").answer(), "OK\n");
        assert_eq!(second.send("c\n").answer(), "OK\n");
        let (_, _, listener) = running.stop();
        assert_eq!((listener.accepted_connections, listener.refused_connections), (3, 5));
    }
}

#[test]
fn silent_clients_are_closed() {
    let short = Duration::from_millis(20);
    let port = TestPort::with(|_| ());

    let running = start(source().first_byte_timeout(short), &port);
    assert_eq!(running.client().rest(), "");
    assert_eq!(running.stop().2.timed_out_connections, 1);

    let running = start(source().idle_timeout(short), &port);
    let mut client = running.client();
    client.send("a\n");
    assert_eq!(client.rest(), "OK\n");
    assert_eq!(running.stop().2.timed_out_connections, 1);

    let running = start(source().line_timeout(short), &port);
    let mut client = running.client();
    client.send("b\npart");
    assert_eq!(client.rest(), "OK\nFAILED: line not finished within 20ms\n");
    let (_, stats, listener) = running.stop();
    assert_eq!((stats.event_read_fail, stats.dropped_events, listener.timed_out_connections), (1, 1, 1));
}

#[test]
fn a_trickle_of_bytes_does_not_stretch_the_time_for_a_line() {
    let port = TestPort::with(|_| ());
    // A line too long to reach its limit first.
    let wide = source().line_bytes_max(1 << 20).connections_max(1).line_timeout(Duration::from_millis(50));
    let running = start(wide, &port);
    let mut client = running.client();
    client.stream.set_nonblocking(true).unwrap();
    while client.stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        let _ = client.stream.write(b"x");
        thread::yield_now();
    }
    let (_, stats, listener) = running.stop();
    assert_eq!((stats.event_read_fail, stats.accepted_events, listener.timed_out_connections), (1, 0, 1));
}

#[test]
fn a_stop_ends_idle_connections_and_a_source_can_start_again() {
    let port = TestPort::with(|_| ());
    let mut source = source();
    for round in 0..3 {
        let running = start(source, &port);
        let mut clients: Vec<Client> = (0..50).map(|_| running.client()).collect();
        for client in clients.iter_mut().take(25) {
            assert_eq!(client.send(format!("{round}\n")).answer(), "OK\n");
        }
        let address = running.handle.local_addr().unwrap();
        source = running.stop().0;
        for client in clients.into_iter().take(25) {
            assert_eq!(client.rest(), "");
        }
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
    assert_eq!(port.bodies().len(), 75);
}

#[test]
fn a_stop_lets_the_commit_in_flight_finish_and_answers_it() {
    let port = TestPort::with(|state| state.held = true);
    let running = start(source(), &port);
    let mut client = running.client();
    client.send("a\n");
    port.until(|state| state.waiting == 1);
    running.shutdown.request();
    // The listener goes first; then only the commit is missing.
    while running.handle.local_addr().is_some() {
        thread::yield_now();
    }
    port.change(|state| state.held = false);
    assert_eq!(client.rest(), "OK\n");
    let (_, stats, _) = running.stop();
    assert_eq!((stats.accepted_events, stats.dropped_events), (1, 0));
}

#[test]
fn a_stop_does_not_wait_for_room_in_a_full_channel() {
    let port = TestPort::with(|state| state.capacity = 0);
    let running = start(source(), &port);
    let mut client = running.client();
    client.send("a\n");
    port.until(|state| state.waiting == 1);
    let (_, stats, _) = running.stop();
    assert_eq!(client.rest(), "FAILED: channel test port is full: its capacity in events is used up\n");
    assert_eq!((stats.accepted_events, stats.dropped_events), (0, 1));
}
