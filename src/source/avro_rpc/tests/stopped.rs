//! Events in the moment after a stop.

use super::*;
use crate::source::testing::{Listening, TestPort};

/// Goal: events that the client takes for accepted get the room that comes just after a stop. Method: they wait when the stop is
/// requested, and the room comes once they are back at the port.
#[test]
fn told_events_get_the_room_of_the_moment_after_a_stop() {
    let port = TestPort::with(|state| (state.capacity, state.put_wait) = (0, Wait::FOREVER));
    let source = local().ack(RpcAck::OnReceipt);
    let handle = source.handle();
    let running = Listening::start(source, handle, &port);
    let mut raw = Raw::new(running.connect());
    let request = raw.batch(&["a"]);
    raw.send(request);
    assert_eq!(raw.status(), OK);
    port.until(|state| state.waiting == 1);
    port.change(|state| state.held = true);
    running.shutdown.request();
    port.until(|state| state.waits.len() == 2);
    port.change(|state| (state.held, state.capacity) = (false, 1));
    let (_, stats, _) = running.stop();
    assert_eq!((stats.dropped_events, port.bodies()), (0, vec!["a".into()]));
}
