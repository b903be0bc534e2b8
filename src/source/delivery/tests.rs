use std::sync::Arc;

use super::*;
use crate::shutdown::Shutdown;
use crate::source::testing::TestPort;

/// Goal: whoever waits for room keeps its place in the line of the channel, until a stop. Method: a port without room that
/// waits by itself and says what it was asked for.
#[test]
fn waiting_for_room_is_one_wait_of_the_channel_until_a_stop() {
    let (port, shutdown) = (TestPort::with(|state| state.capacity = 1), Shutdown::new());
    let context = SourceContext::new("test", Arc::clone(&port) as _, shutdown.clone());
    let refused = std::thread::scope(|scope| {
        let putting = scope.spawn(|| {
            let delivery = Delivery::new(&context, OnFull::Wait, &|| false);
            let mut refusals = Refusals::default();
            delivery.put_all(vec!["0".into()], &mut refusals).unwrap();
            assert!(delivery.put_all(vec!["1".into()], &mut refusals).is_err());
            refusals.events
        });
        port.until(|state| state.waiting == 1 && state.events.len() == 1);
        shutdown.request();
        putting.join().unwrap()
    });
    assert_eq!((refused, port.bodies()), (1, vec!["0".into()]));
    assert_eq!(port.state.lock().waits, [None, None, Some(Wait::up_to(SOURCE_FULL_WAIT))]);
}

/// Goal: who takes "full" for an answer is called back at a stop all the same. Method: a port without room that would wait for
/// ever, before and after the request.
#[test]
fn a_put_that_may_fail_waits_as_long_as_the_channel_but_not_over_a_stop() {
    let port = TestPort::with(|state| (state.capacity, state.put_wait) = (0, Wait::FOREVER));
    let context = SourceContext::new("test", Arc::clone(&port) as _, Shutdown::new());
    let put = || {
        let mut refusals = Refusals::default();
        Delivery::new(&context, OnFull::Fail, &|| false).put_all(vec!["x".into()], &mut refusals).unwrap();
        refusals.events
    };
    let refused = std::thread::scope(|scope| {
        let putting = scope.spawn(put);
        port.until(|state| state.waiting == 1);
        context.shutdown().request();
        putting.join().unwrap()
    });
    assert_eq!((refused, put()), (1, 1));
}

/// Goal: events for which there is room in the moment after a stop are put, even if they may be dropped. Method: a put that waits
/// when the stop is requested, and one that comes later; the room comes once they are back at the port.
#[test]
fn a_put_that_may_fail_gets_the_room_of_the_moment_after_a_stop() {
    let port = TestPort::with(|state| (state.capacity, state.put_wait) = (0, Wait::FOREVER));
    let context = SourceContext::new("test", Arc::clone(&port) as _, Shutdown::new());
    for expected in [vec![None, Some(Wait::up_to(SOURCE_FULL_WAIT))], vec![Some(Wait::up_to(SOURCE_FULL_WAIT))]] {
        let tries = expected.len();
        port.change(|state| (state.held, state.waits) = (tries == 1, Vec::new()));
        let refused = std::thread::scope(|scope| {
            let putting = scope.spawn(|| {
                let mut refusals = Refusals::default();
                Delivery::new(&context, OnFull::Fail, &|| false).put_all(vec!["x".into()], &mut refusals).unwrap();
                refusals.events
            });
            port.until(|state| state.waiting == 1);
            port.change(|state| state.held = true);
            context.shutdown().request();
            port.until(|state| state.waits.len() == tries);
            port.change(|state| (state.held, state.capacity) = (false, state.capacity + 1));
            putting.join().unwrap()
        });
        assert_eq!((refused, &port.state.lock().waits), (0, &expected));
    }
}

/// Each event of a batch has the wait of its own that it would have had in Flume, until one of them has waited in vain.
#[test]
fn events_of_a_batch_that_found_no_room_wait_one_by_one_until_one_of_them_finds_none() {
    let port = TestPort::with(|state| state.capacity = 2);
    let context = SourceContext::new("test", Arc::clone(&port) as _, Shutdown::new());
    let mut refusals = Refusals::default();
    let events = (0..5).map(|number| Event::new(number.to_string())).collect();
    Delivery::new(&context, OnFull::Fail, &|| false).put_all(events, &mut refusals).unwrap();
    assert_eq!((refusals.events, port.bodies()), (3, vec!["0".into(), "1".into()]));
    let waits = [None, None, None, None, Some(Wait::NONE), Some(Wait::NONE)];
    assert_eq!(port.state.lock().waits, waits, "the batch, two that fit, one in vain, and the two behind it");
    let events = vec!["5".into(), "6".into()];
    port.change(|state| (state.capacity, state.waits) = (3, Vec::new()));
    Delivery::new(&context, OnFull::Fail, &|| true).put_all(events, &mut refusals).unwrap();
    let waits = [Some(Wait::up_to(SOURCE_FULL_WAIT)), Some(Wait::NONE), Some(Wait::NONE)];
    assert_eq!(port.state.lock().waits, waits, "at a stop");
}
