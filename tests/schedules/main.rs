//! Channels and their stores under many schedules of their threads.
//!
//! A build with `--cfg shuttle` (`.ci/schedules`) has locks, condition variables, atomic numbers and threads of `shuttle`,
//! whose scheduler decides at each of them, and before each operation of the simulated disk, who goes on. Each exploration runs
//! one short program of a few threads again and again, half of the times with a random choice at every step (`random`), half
//! with few changes at random places (`pct`). A program decides at random, as part of the schedule, on what it runs: data
//! directories, the store's own thread, faults. What must hold: nobody waits for ever, no call fails without a reason, and
//! what calls have promised is there after a power cut (`ledger`).
//!
//! `AQUEDUCT_SCHEDULES=n` sets the schedules of each exploration and scheduler, `AQUEDUCT_SEED` the seed; with the same of
//! both, a run repeats itself. An argument that is no option runs only the explorations whose names contain it. A failure
//! leaves its schedule in a file; `AQUEDUCT_SCHEDULE=<file>` runs that one, of the exploration that the argument names.

#[cfg(shuttle)]
mod explore;
#[cfg(shuttle)]
mod ledger;
#[cfg(shuttle)]
mod memory;
#[cfg(shuttle)]
mod store;
#[cfg(shuttle)]
mod world;

#[cfg(shuttle)]
fn main() -> std::process::ExitCode {
    explore::main(&[
        ("store::commits", store::commits),
        ("store::tickets", store::tickets),
        ("store::takers", store::takers),
        ("store::one_put_for_many", store::one_put_for_many),
        ("store::tasks", store::tasks),
        ("store::room", store::room),
        ("store::nobody_finds_it_empty", store::nobody_finds_it_empty),
        ("store::segments", store::segments),
        ("store::poison", store::poison),
        ("store::closing", store::closing),
        ("store::closing_beside_work", store::closing_beside_work),
        ("store::closing_a_channel", store::closing_a_channel),
        ("store::last_handle", store::last_handle),
        ("memory::takers", memory::takers),
        ("memory::room", memory::room),
        ("memory::closing", memory::closing),
        ("memory::spilling", memory::spilling),
    ])
}

#[cfg(not(shuttle))]
fn main() {}
