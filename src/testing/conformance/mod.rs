//! The contract of [`Channel`], as cases that any implementation can run.
//!
//! Implement [`ChannelFactory`] for a channel of your own and let [`channel_conformance!`](crate::channel_conformance)
//! make one test of each case:
//!
//! ```
//! use std::sync::Arc;
//!
//! use aqueduct::testing::conformance::{ChannelFactory, ChannelSetup, FactoryError};
//! use aqueduct::{Channel, MemoryChannel};
//!
//! struct Memory;
//!
//! impl ChannelFactory for Memory {
//!     fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
//!         let channel = MemoryChannel::builder(format!("memory-{instance}"))
//!             .capacity_events(setup.capacity_events)
//!             .capacity_bytes(setup.capacity_bytes)
//!             .put_wait(setup.put_wait)
//!             .build()?;
//!         Ok(Arc::new(channel))
//!     }
//! }
//!
//! aqueduct::channel_conformance!(Memory);
//!
//! // Or all of them in one test:
//! let report = aqueduct::testing::conformance::run(&Memory);
//! assert!(report.is_passed(), "{report}");
//! ```
//!
//! Cases that restart the channel run only if the factory says that it [is durable](ChannelFactory::is_durable); for
//! others they pass without doing anything. [`model`] is the randomised one: it takes any number of random steps on
//! a channel and on a model of it and compares the two after each.
//!
//! A channel that forgets to wake somebody, or does not keep to a wait, may make a case wait for ever. A case that has not
//! ended after 30 seconds is named on standard error, also where tests keep their output to themselves; it goes on.
//!
//! What the suite does not cover: power cuts and failing disks (the factory may arrange them, see
//! [`ChannelFactory::open`]), puts over several channels of a store, speed, and anything a channel promises beyond the
//! contract.

// A test suite reports by panicking, as `assert!` does; the rules against panics are for code that serves users.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc, clippy::unwrap_used)]

mod cases;
pub mod model;
mod report;
mod support;
mod watch;

use std::error::Error;
use std::sync::Arc;

use crate::channel::Channel;
use crate::limits;
use crate::wait::Wait;

pub use report::{CaseResult, Report, run};

/// Why a factory could not open a channel.
pub type FactoryError = Box<dyn Error + Send + Sync>;

/// Makes the channels that the suite tests.
pub trait ChannelFactory {
    /// Opens channel number `instance`.
    ///
    /// A number that was not seen before asks for a new, empty channel that shares nothing with the others. A number
    /// that was seen before comes only if the channel [is durable](Self::is_durable): it asks for that channel again,
    /// with what it held durably. The suite has dropped every handle to it by then, and has closed it or not; a
    /// factory may make the restart as hard as it likes (for instance by letting a simulated power cut lose everything
    /// that was not synced).
    ///
    /// # Errors
    /// Any; the case fails with it.
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError>;

    /// Whether the channel survives being opened again.
    fn is_durable(&self) -> bool {
        false
    }
}

/// How the suite wants a channel to be set up. A put that finds no room waits for it and then fails with
/// [`PutError::Full`](crate::PutError::Full); other policies are not tested.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelSetup {
    /// Capacity in events, those of open takes included.
    pub capacity_events: u64,
    /// Capacity in bytes, counted as by [`Event::size_bytes`](crate::Event::size_bytes).
    pub capacity_bytes: u64,
    /// How long a put waits for room if its transaction does not say.
    pub put_wait: Wait,
}

impl Default for ChannelSetup {
    /// Room for whatever a case may put that does not say otherwise, and no waiting.
    fn default() -> Self {
        Self {
            capacity_events: limits::MEMORY_CHANNEL_EVENTS,
            capacity_bytes: limits::MEMORY_CHANNEL_BYTES,
            put_wait: Wait::NONE,
        }
    }
}

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// What must hold, as a sentence.
    pub name: &'static str,
    /// Whether the case restarts the channel.
    pub needs_durable: bool,
    check: fn(&dyn ChannelFactory),
}

impl Case {
    /// Runs the case, unless it needs a durable channel and the factory has none. Returns whether it ran. A case that has not
    /// ended after 30 seconds is named on standard error.
    ///
    /// # Panics
    /// If the channel fails the case.
    pub fn run(&self, factory: &dyn ChannelFactory) -> bool {
        let applies = factory.is_durable() || !self.needs_durable;
        if applies {
            watch::watched(self.name, || (self.check)(factory));
        }
        applies
    }
}

/// All cases.
pub const CASES: &[Case] = crate::channel_conformance!(@list [@table]);

/// Runs the case of this name; what the tests made by [`channel_conformance!`](crate::channel_conformance) call.
///
/// # Panics
/// If the channel fails the case, or there is no such case.
pub fn run_case(name: &str, factory: &dyn ChannelFactory) -> bool {
    let case = CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"));
    case.run(factory)
}

/// Makes a `#[test]` of each case of the conformance suite, for the channels of a factory. The expression is evaluated
/// once in each test. Use it in a module of its own, as the tests are named like the cases.
///
/// See [`testing::conformance`](crate::testing::conformance) for an example.
#[macro_export]
macro_rules! channel_conformance {
    // The one list of the cases, handed to whoever asks: `@tests` below, or `@table`, which is `CASES`.
    (@list [$($to:tt)*]) => {
        $crate::channel_conformance! { $($to)*
            order::events_come_in_the_order_of_their_puts
            order::a_take_may_cross_and_split_put_batches
            order::a_take_hands_out_no_more_than_asked_for
            order::open_takes_share_no_event
            order::puts_and_takes_may_alternate
            visibility::nothing_is_visible_before_the_commit
            visibility::a_dropped_put_leaves_nothing
            visibility::the_order_is_that_of_the_commits
            visibility::a_put_becomes_visible_as_a_whole
            visibility::an_empty_put_is_fine
            visibility::a_receipt_counts_the_events
            visibility::transactions_may_end_in_another_thread
            waiting::a_take_that_does_not_wait_comes_back_empty
            waiting::a_take_that_waits_in_vain_comes_back_empty
            waiting::a_take_that_finds_events_does_not_wait_for_more
            waiting::a_waiting_take_wakes_for_each_put
            waiting::a_waiting_take_wakes_for_a_rollback
            waiting::one_put_serves_many_waiting_takes
            waiting::a_task_is_ready_while_there_are_events
            waiting::a_task_is_woken_by_a_rollback
            waiting::all_waiting_tasks_are_woken
            waiting::ready_can_be_awaited
            rollback::rollback_returns_the_events_to_the_head
            rollback::a_dropped_take_is_rolled_back
            rollback::events_stay_before_those_put_after_them
            rollback::takes_rolled_back_in_any_order_restore_it
            rollback::rollbacks_and_commits_may_alternate
            rollback::a_take_over_gaps_goes_back_to_where_it_was
            rollback::events_come_again_as_often_as_they_are_rolled_back
            rollback::commit_of_the_first_returns_the_rest
            rollback::commit_of_the_first_none_is_a_rollback
            rollback::commit_of_more_than_there_are_is_a_commit
            capacity::a_put_that_fits_exactly_is_accepted
            capacity::a_full_channel_gives_the_batch_back_unchanged
            capacity::a_put_that_fails_leaves_the_room_to_others
            capacity::events_of_an_open_take_keep_their_room
            capacity::a_rollback_makes_no_room
            capacity::the_commit_of_a_take_frees_exactly_its_room
            capacity::a_put_of_no_events_needs_no_room
            capacity::headers_and_bodies_count_as_bytes
            capacity::events_without_bytes_count_as_events
            capacity::a_batch_over_the_whole_capacity_is_too_large
            capacity::a_waiting_put_goes_on_when_there_is_room
            capacity::a_waiting_put_gives_up_after_its_wait
            capacity::a_put_may_set_a_wait_of_its_own
            capacity::all_waiting_puts_get_in
            positions::a_position_is_set_with_its_put
            positions::a_position_is_set_with_its_take
            positions::a_position_is_cleared_with_its_put
            positions::the_last_word_on_a_position_counts
            positions::a_transaction_may_set_positions_only
            positions::a_position_is_not_set_with_a_take_that_is_rolled_back
            positions::a_position_is_set_with_the_commit_of_a_part
            positions::a_position_is_not_set_with_a_put_that_fails
            positions::positions_are_listed_by_prefix_and_name
            positions::a_position_is_any_bytes
            content::events_come_out_byte_for_byte
            content::events_come_again_byte_for_byte
            content::a_batch_may_have_thousands_of_events
            content::an_event_keeps_its_identity
            content::no_two_events_have_one_identity
            content::a_receipt_names_the_first_event
            tickets::many_puts_may_be_in_flight
            tickets::tickets_may_be_waited_for_in_any_order
            tickets::tickets_are_futures
            tickets::a_ticket_may_be_polled_by_changing_tasks
            tickets::a_put_whose_ticket_is_dropped_goes_on
            tickets::takes_may_be_in_flight
            tickets::a_ticket_tells_of_positions_too
            close::closing_twice_is_fine
            close::a_closed_channel_refuses_puts_and_gives_them_back
            close::a_closed_channel_refuses_takes
            close::close_wakes_a_waiting_take
            close::close_wakes_a_waiting_put
            close::close_makes_tasks_ready
            close::a_take_may_end_after_close
            close::positions_can_be_read_after_close
            threads::each_producer_keeps_its_order
            threads::nothing_is_lost_or_repeated_between_threads
            random::the_channel_does_what_its_model_does
            restart::committed_events_survive_a_close
            restart::committed_events_survive_without_a_close
            restart::committed_takes_do_not_come_again
            restart::takes_that_were_open_come_again_in_order
            restart::takes_committed_out_of_order_leave_their_gaps
            restart::the_rest_of_a_commit_of_a_part_comes_again
            restart::puts_that_were_not_committed_are_gone
            restart::positions_survive
            restart::identities_survive
            restart::contents_survive
            restart::what_survives_counts_against_the_capacity
            restart::restarts_may_come_one_after_the_other
        }
    };
    (@table $($group:ident :: $name:ident)*) => {
        &[$($crate::testing::conformance::Case {
            name: stringify!($name),
            needs_durable: cases::$group::NEEDS_DURABLE,
            check: cases::$group::$name,
        }),*]
    };
    (@tests [$factory:expr] $($group:ident :: $name:ident)*) => {
        $(#[test]
        fn $name() {
            $crate::testing::conformance::run_case(stringify!($name), &$factory);
        })*
    };
    ($factory:expr) => {
        $crate::channel_conformance! { @list [@tests [$factory]] }
    };
}
