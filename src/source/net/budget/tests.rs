use super::*;

fn budget(max: usize, bases: usize, reserve: usize) -> Arc<Budget> {
    Budget::new(Sizes { max, bases, reserve })
}

#[test]
fn shares_never_sum_to_more_than_the_budget() {
    let budget = budget(100, 0, 0);
    let mut first = budget.admit(40, Duration::ZERO).unwrap();
    let second = budget.admit(40, Duration::ZERO).unwrap();
    assert!(budget.admit(21, Duration::ZERO).is_none());
    assert!(first.grow_to(60, 1000), "20 are left");
    assert!(!first.grow_to(61, 1000));
    assert!(!first.grow_to(61, 60), "its own limit");
    assert_eq!(budget.usage(), (100, 100, 100));
    first.shrink();
    assert_eq!(budget.usage(), (80, 100, 100));
    drop((first, second));
    assert_eq!(budget.usage(), (0, 100, 100));
    assert!(budget.admit(usize::MAX, Duration::ZERO).is_none());
}

#[test]
fn a_share_keeps_what_it_needs() {
    let budget = budget(100, 0, 40);
    let mut share = budget.admit(10, Duration::ZERO).unwrap();
    assert!(share.grow_to(30, 30));
    for (bytes, used) in [(50, 30), (25, 25), (5, 10), (20, 10)] {
        share.shrink_to(bytes);
        assert_eq!(budget.usage().0, used, "{bytes}");
    }
    let other = budget.admit(45, Duration::ZERO).unwrap();
    assert!(share.wait_for_request(40, Duration::ZERO), "the reserve");
    for (bytes, used) in [(40, 95), (11, 95), (10, 55)] {
        share.shrink_to(bytes);
        assert_eq!(budget.usage().0, used, "{bytes}");
    }
    drop((share, other));
    assert_eq!(budget.usage().0, 0);
}

/// Goal: a request that is refused keeps nothing of the common part. Method: one that needs all of that and the reserve, which
/// another one has.
#[test]
fn what_is_taken_for_a_request_that_finds_no_reserve_is_given_back() {
    let budget = budget(110, 20, 50);
    let mut large = budget.admit(10, Duration::ZERO).unwrap();
    let mut other = budget.admit(10, Duration::ZERO).unwrap();
    assert!(other.wait_for_request(60, Duration::ZERO), "the reserve");
    assert!(large.grow_request_to(20));
    let before = budget.usage().0;
    assert!(!large.grow_with_reserve_to(80));
    assert_eq!((before, budget.usage().0), (80, 80));
    drop(other);
    assert!(large.grow_with_reserve_to(80));
    assert_eq!(budget.usage().0, 100);
}

#[test]
fn a_new_connection_gets_its_share_before_others_grow() {
    let budget = budget(100, 0, 0);
    let mut greedy = budget.admit(10, Duration::ZERO).unwrap();
    assert!(greedy.grow_to(95, 95));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| budget.admit(50, Duration::from_secs(60)).is_some());
        while !budget.state.lock().admitting {
            std::thread::yield_now();
        }
        assert!(!greedy.grow_to(96, 100), "a newcomer waits");
        greedy.shrink();
        assert!(waiting.join().unwrap());
    });
    assert!(greedy.grow_to(50, 100));
}

#[test]
fn nothing_grows_into_the_base_shares_of_connections_to_come() {
    let budget = budget(140, 40, 80);
    let mut shares = [(); 2].map(|()| budget.admit(10, Duration::ZERO).unwrap());
    // The common part, then the reserve.
    assert!(shares[0].wait_for_request(30, Duration::ZERO) && shares[0].wait_for_request(100, Duration::ZERO));
    assert!(!shares[1].wait_for_request(11, Duration::ZERO) && !shares[1].grow_to(11, 1000));
    assert!(shares[1].wait_for_request(10, Duration::ZERO), "its own");
    let others = [(); 2].map(|()| budget.admit(10, Duration::ZERO));
    assert!(others.iter().all(Option::is_some));
    assert_eq!(budget.usage(), (140, 140, 140));
}

#[test]
fn who_has_the_reserve_can_finish_and_others_wait_for_it() {
    let budget = budget(100, 40, 40);
    let mut shares = [(); 4].map(|()| budget.admit(10, Duration::ZERO).unwrap());
    assert!(budget.admit(21, Duration::ZERO).is_none(), "20 are left besides the reserve");
    assert!(shares[0].grow_request_to(30) && !shares[1].grow_request_to(11));
    assert!(shares[1].wait_for_request(50, Duration::ZERO), "the reserve, and 10 of its own");
    assert_eq!(budget.usage(), (100, 100, 100));
    assert!(shares[1].wait_for_request(50, Duration::ZERO) && shares[1].grow_request_to(50));
    assert!(!shares[2].wait_for_request(11, Duration::from_millis(1)));
    let [mut first, mut second, mut third, mut fourth] = shares;
    std::thread::scope(|scope| {
        let minute = Duration::from_secs(60);
        let waiting = scope.spawn(move || third.wait_for_request(50, minute) && fourth.wait_for_request(15, minute));
        second.shrink();
        first.shrink();
        assert!(waiting.join().unwrap(), "the reserve for the one, room for the other");
    });
    assert!(!second.wait_for_request(usize::MAX, Duration::ZERO), "more than there is");
    drop((first, second));
    assert_eq!(budget.usage().0, 0);
}

#[test]
fn a_few_requests_do_not_use_up_what_is_common() {
    let budget = budget(80 << 20, 0, 0);
    let mut shares = [(); 20].map(|()| budget.admit(0, Duration::ZERO).unwrap());
    // Each has as much as it gets, and then a small one still finds room.
    for (number, share) in shares.iter_mut().enumerate() {
        let mut bytes = 0;
        while share.grow_request_to(bytes + STEP_BYTES) {
            bytes += STEP_BYTES;
        }
        assert!(number > 0 || bytes == 10 << 20, "an eighth: {bytes}");
        assert!(bytes >= CONNECTION_BYTES_IN_FLIGHT_MAX);
    }
    let mut small = budget.admit(0, Duration::ZERO).unwrap();
    assert!(small.grow_request_to(CONNECTION_BYTES_IN_FLIGHT_MAX));
}
