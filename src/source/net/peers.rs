//! Who is connected, and whether one more may.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::source::SourceCounters;
use std::sync::atomic::Ordering;

/// The connections of a listener, counted by address.
#[derive(Debug)]
pub(super) struct Peers {
    max: usize,
    per_peer_max: usize,
    state: Mutex<State>,
    counters: Arc<SourceCounters>,
}

#[derive(Debug, Default)]
struct State {
    total: usize,
    by_peer: HashMap<IpAddr, usize>,
}

impl Peers {
    pub(super) fn new(max: usize, per_peer_max: usize, counters: Arc<SourceCounters>) -> Arc<Self> {
        Arc::new(Self { max, per_peer_max, state: Mutex::default(), counters })
    }

    /// A place for one more connection from `peer`, if the limits leave one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        // An IPv4 client of an IPv6 socket is the same peer as one of an IPv4 socket.
        let peer = peer.to_canonical();
        let mut state = self.state.lock();
        let of_peer = state.by_peer.get(&peer).copied().unwrap_or(0);
        if state.total >= self.max || of_peer >= self.per_peer_max {
            return None;
        }
        state.total += 1;
        state.by_peer.insert(peer, of_peer + 1);
        self.counters.open_connections.fetch_add(1, Ordering::Relaxed);
        Some(Slot { peers: Arc::clone(self), peer })
    }

    /// How many are connected.
    pub(super) fn open_connections(&self) -> usize {
        self.state.lock().total
    }
}

/// The place of one connection. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Slot {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.peers.state.lock();
        state.total -= 1;
        // Entries of peers that left are removed, or the map would grow with every address ever seen.
        match state.by_peer.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                state.by_peer.remove(&self.peer);
            }
        }
        self.peers.counters.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_by_peer_and_come_back() {
        let counters = Arc::<SourceCounters>::default();
        let peers = Peers::new(3, 2, Arc::clone(&counters));
        let [one, two, three] = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]].map(IpAddr::from);
        let first = peers.admit(one).unwrap();
        let second = peers.admit("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(peers.admit(one).is_none(), "two of one peer");
        let _third = peers.admit(two).unwrap();
        assert!(peers.admit(three).is_none(), "three in all");
        assert_eq!(counters.snapshot().open_connections, 3);
        drop((first, second));
        let _fourth = peers.admit(three).unwrap();
        assert_eq!(peers.state.lock().by_peer.len(), 2, "peers that left are forgotten");
        assert_eq!(counters.snapshot().open_connections, 2);
    }
}
