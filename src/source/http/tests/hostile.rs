use super::*;
use crate::testing::Random;

/// Goal: no bytes harm the source, or what others send. Method: requests that are changed, cut and joined at random, from
/// several clients, with a good one after each.
#[test]
fn any_bytes_are_answered_or_cut_off_and_others_served() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let running = start(|source| {
        let short = Duration::from_millis(200);
        source.gzip(true).header_timeout(short).body_timeout(short).idle_timeout(short)
    });
    let good = [
        post(
            "/a?b=c",
            "content-type: application/json; charset=utf-8\r\n",
            "[{\"headers\":{\"a\":\"b\"},\"body\":\"c\"}]",
        ),
        post("/", "expect: 100-continue\r\ncontent-encoding: gzip\r\n", "x"),
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[{},{\r\n2\r\n}]\r\n0\r\n\r\n".to_vec(),
    ];
    let letters = b"\0\r\n\t :;,/%?=0159aAfFzZ{}[]\"\\\x7f\x80\xff";
    thread::scope(|scope| {
        for number in 0..4 {
            let (running, good) = (&running, &good);
            scope.spawn(move || {
                let mut random = Random::new(seed.wrapping_add(number));
                for _ in 0..250 {
                    let mut bytes = good[random.index(good.len())].clone();
                    if random.one_in(3) {
                        bytes.extend_from_slice(&good[random.index(good.len())]);
                    }
                    for _ in 0..=random.below(6) {
                        let at = random.index(bytes.len());
                        bytes[at] = letters[random.index(letters.len())];
                    }
                    if random.one_in(4) {
                        bytes.truncate(random.index(bytes.len()));
                    }
                    let mut client = running.connect();
                    let _ = client.0.get_mut().write_all(&bytes);
                    if random.one_in(2) {
                        let _ = client.0.get_mut().shutdown(std::net::Shutdown::Write);
                        while client
                            .answer()
                            .is_some_and(|answer| [100, 200, 400, 413, 415, 431].contains(&answer.status))
                        {
                        }
                    }
                    assert_eq!(running.post("[{\"headers\":{\"good\":\"yes\"}}]").status, 200);
                }
            });
        }
    });
    let served = running.take().iter().filter(|event| event.headers().get("good").is_some()).count();
    assert_eq!(served, 1000);
    running.until(|stats, counts| counts.open_connections == 0 && stats.bytes_in_flight == 0);
    let (stats, counts) = running.stop();
    assert_eq!((stats.panicked_connections, counts.channel_write_fail), (0, 0));
    assert_eq!(counts.received_events, counts.accepted_events);
}

/// Goal: slow clients hold up nobody and no memory. Method: many of them in the middle of a head or a body, and others that
/// work.
#[test]
fn many_slow_clients_cost_little_and_stall_nobody() {
    let running = start(|source| source.connections_per_peer_max(400));
    let slow: Vec<Client> = (0..300)
        .map(|number| {
            let mut client = running.connect();
            let request = post("/", "", vec![b' '; 1 << 20]);
            client.send(&request[..if number % 2 == 0 { 20 } else { 300 }]);
            client
        })
        .collect();
    running.until(|stats, _| stats.accepted_connections == 300);
    for _ in 0..100 {
        assert_eq!(running.post("[{}]").status, 200);
    }
    // What was announced is not held.
    assert_eq!(running.stats().bytes_in_flight, 0);
    drop(slow);
    running.stop();
}
