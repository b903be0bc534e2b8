//! Clients that stop in the middle of large requests.

use std::sync::mpsc::channel;

use super::*;

/// Goal: requests that stall hold nothing that others need. Method: one has what one request at a time can have, two wait for
/// that; small requests go on, on a connection from before and on as many new ones as there may be. Then the large ones go
/// on, and get through one after the other.
#[test]
fn large_requests_that_stall_keep_nobody_else_from_small_ones() {
    let (clients, frame, hour) = (8, 1 << 20, Duration::from_secs(3600));
    let max = clients * limits::RPC_CONNECTION_BYTES + 2 * frame + 100_000;
    let source = local().connections_max(clients).frame_bytes_max(frame).bytes_in_flight_max(max);
    let running = start(source.frame_timeout(hour).silence_timeout(hour));
    let mut early = running.client();
    early.append(&Event::new("early")).unwrap();
    let body = "x".repeat(frame - 1000);
    let stalled = [(); 3].map(|()| {
        let (mut raw, body) = (running.connect(), body.clone());
        let (go_on, going_on) = channel();
        let thread = thread::spawn(move || {
            let request = raw.batch(&[&body]);
            let (most, rest) = request.split_at(request.len() - 10);
            raw.send(most);
            going_on.recv().unwrap();
            raw.send(rest);
            assert_eq!(raw.status(), OK);
        });
        (go_on, thread)
    });
    while running.handle.stats().bytes_in_flight < 2 * frame as u64 {
        thread::yield_now();
    }
    early.append(&Event::new("still")).unwrap();
    let mut late: Vec<_> = (4..clients).map(|_| running.client()).collect();
    for client in &mut late {
        client.append(&Event::new("late")).unwrap();
    }
    assert_eq!(running.bodies(), ["early", "still", "late", "late", "late", "late"]);
    for (go_on, _) in &stalled {
        go_on.send(()).unwrap();
    }
    for (_, thread) in stalled {
        thread.join().unwrap();
    }
    assert!(running.bodies() == [body.clone(), body.clone(), body]);
    running.stop();
}
