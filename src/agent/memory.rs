//! What the events of a batch keep in memory besides themselves.

use bytes::Bytes;

use crate::event::Event;

/// Gives bodies memory of their own where fewer than half of the `received` events of a batch are left. Sources cut the bodies
/// of a batch out of common blocks; the few that go on would keep those of all others in memory, which no channel counts.
pub(super) fn part_with_others(events: &mut [Event], received: usize) {
    if events.len() < received.div_ceil(2) {
        for event in events {
            let body = Bytes::copy_from_slice(event.body());
            event.set_body(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_that_are_left_let_go_of_the_memory_of_the_others() {
        let block = Bytes::from(vec![b'x'; 1000]);
        let cut = |count: usize| (0..count).map(|n| Event::new(block.slice(n * 10..n * 10 + 10))).collect::<Vec<_>>();
        let shares = |event: &Event| block.as_ptr_range().contains(&event.body().as_ptr());
        let mut half = cut(50);
        part_with_others(&mut half, 100);
        assert!(half.iter().all(shares));
        let mut few = cut(49);
        part_with_others(&mut few, 100);
        assert!(!few.iter().any(shares));
        assert_eq!(few, cut(49));
    }
}
