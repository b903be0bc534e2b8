//! With the kernel's notes about changes.

use super::*;
use crate::clock::SystemClock;

/// Goal: what is written is read at once, not at the next look. Method: looks are an hour apart; a thread polls, another
/// writes, and waits for each line to arrive before it writes the next.
#[test]
fn what_is_written_is_read_without_waiting_for_the_next_look() {
    let bench = Bench::new();
    bench.append("app.log", "first\n");
    let group = FileGroup::new(bench.dir.path(), r"app\.log(\.\d)?");
    let mut source = TailDir::new([group])
        .clock(Arc::new(SystemClock::new()))
        .poll_interval(Duration::from_secs(3600))
        .cache_listing(false);
    let shutdown = Shutdown::new();
    let context = SourceContext::new("tail", bench.port.clone(), shutdown.clone());
    source.open(&context).unwrap();
    let (arrived, lines) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !context.shutdown().is_requested() {
                let mut out = PullBatch::new(10);
                let pulled = source.poll(&mut out).unwrap();
                assert_ne!(pulled, Pulled::Idle);
                for event in out.events() {
                    arrived.send(String::from_utf8(event.body().to_vec()).unwrap()).unwrap();
                }
                if !out.is_empty() {
                    context.put_batch(out.into_put_batch(), None).unwrap();
                    source.committed().unwrap();
                }
            }
        });
        let expect = |line: &str| {
            let found = lines.recv_timeout(Duration::from_secs(60)).expect("a line within a minute");
            assert_eq!(found, line);
        };
        expect("first");
        bench.append("app.log", "second\n");
        expect("second");
        bench.append("app.log.1", "in a new file\n");
        expect("in a new file");
        bench.rename("app.log", "rotated");
        bench.append("rotated", "after the rotation\n");
        expect("after the rotation");
        bench.append("app.log", "in its place\n");
        expect("in its place");
        bench.truncate("app.log", 0);
        bench.append("app.log", "a\n");
        expect("a");
        bench.remove("app.log.1");
        bench.append("app.log.1", "again\n");
        expect("again");
        shutdown.request();
    });
}
