//! Known mistakes, planted on purpose, to see that the tests find them.
//!
//! A build with `--cfg aqueduct_sabotage` makes the one mistake that the variable `AQUEDUCT_SABOTAGE` names, and none without
//! it. In every other build [`planted`] is a constant, and nothing of this is left. `.ci/sabotage` plants them one by one; each
//! must be found by the suite that its table names.

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $bug:ident = $name:literal,)+) => {
        /// A mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Bug { $($(#[doc = $doc])+ $bug,)+ }

        #[cfg(aqueduct_sabotage)]
        const NAMES: &[(&str, Bug)] = &[$(($name, Bug::$bug)),+];
    };
}

bugs! {
    /// A commit returns before its bytes are durable.
    NoSync = "no-sync",
    /// The sync of a commit that failed is tried once more.
    RetrySync = "retry-sync",
    /// Events are visible before it is known whether they are durable.
    PublishBeforeSync = "publish-before-sync",
    /// The commit of a take returns before it is durable.
    AckNotSynced = "ack-not-synced",
    /// A frame says of itself that it is durable.
    MarkBeforeSync = "mark-before-sync",
    /// What a failed write left is not made invalid.
    NoFence = "no-fence",
    /// The next frame goes behind what a failed write left.
    AppendBehindGarbage = "append-behind-garbage",
    /// Whether a lane is poisoned is looked at when a transaction is submitted, not when it is written.
    PoisonReadEarly = "poison-read-early",
    /// The room of a put that was refused stays claimed.
    CapacityLeak = "capacity-leak",
    /// An acknowledgement in one lane does not wait for its events in another.
    AckAheadOfOtherLane = "ack-ahead-of-other-lane",
    /// A cleared position is forgotten before that is durable.
    ForgetBeforeDurable = "forget-before-durable",
    /// The interval after which weak commits are synced is not kept.
    IntervalForgotten = "interval-forgotten",
    /// The name of a new segment is not synced.
    NoDirSync = "no-dir-sync",
    /// A segment is removed before the acknowledgements of its events are durable.
    RetireBeforeSync = "retire-before-sync",
    /// A segment is removed before the log says that it was durable.
    RetireUnproven = "retire-unproven",
    /// A segment is removed while its last event is still wanted.
    RetireTooMuch = "retire-too-much",
    /// A new segment forgets the positions.
    PositionsLostAtRotation = "positions-lost-at-rotation",
    /// Checksums fit everywhere: in other segments, offsets and lives of a file.
    UnsaltedChecksum = "unsalted-checksum",
    /// The checksum of a payload is not looked at.
    PayloadUnchecked = "payload-unchecked",
    /// A length is believed.
    LengthBelieved = "length-believed",
    /// The manifest is renamed before its bytes are durable.
    RenameBeforeSync = "rename-before-sync",
    /// The manifest is written in its place.
    ReplaceInPlace = "replace-in-place",
    /// A checkpoint speaks of what is not durable.
    CheckpointBeforeSync = "checkpoint-before-sync",
    /// A checkpoint of a log that has lost its end is taken for an old one.
    LostEndUnnoticed = "lost-end-unnoticed",
    /// Recovery builds on records that may be in the page cache alone.
    TailTrusted = "tail-trusted",
    /// Recovery gives the numbers of the last events to the next ones.
    NumbersReused = "numbers-reused",
    /// An unfinished write counts as damage.
    TornTailIsDamage = "torn-tail-is-damage",
    /// Damage is passed over without a word.
    DamageUnreported = "damage-unreported",
    /// A take that is rolled back returns behind the one that was begun after it.
    RollbackReversed = "rollback-reversed",
    /// The next event comes from any lane that has one.
    LanesUnordered = "lanes-unordered",
    /// An acknowledgement covers one event more than was taken.
    AckTooMuch = "ack-too-much",
    /// A put wakes nobody who waits for events.
    LostWakeup = "lost-wakeup",
    /// The lead of a group is offered and nobody is woken to take it.
    LostLead = "lost-lead",
    /// Two threads write groups at the same time.
    TwoLeaders = "two-leaders",
    /// The store's thread forgets a transaction that it watches over when it is notified of something.
    WatchForgotten = "watch-forgotten",
    /// A transaction is announced to the store's thread before it is there.
    AnnouncedEarly = "announced-early",
    /// A close leaves those asleep who wait for room or events.
    CloseWakesNobody = "close-wakes-nobody",
    /// A short write counts as a whole one.
    ShortWriteIgnored = "short-write-ignored",
    /// A memory channel returns what was rolled back behind what is fresh.
    MemoryRollbackBehind = "memory-rollback-behind",
    /// A memory channel that is busy counts as empty.
    MemoryEmptyWhenBusy = "memory-empty-when-busy",
}

/// Whether this mistake is to be made.
#[cfg(not(aqueduct_sabotage))]
#[inline]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

/// Whether this mistake is to be made.
///
/// # Panics
/// If the variable names no mistake.
#[cfg(aqueduct_sabotage)]
pub(crate) fn planted(bug: Bug) -> bool {
    static PLANTED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let find = || {
        let name = std::env::var("AQUEDUCT_SABOTAGE").ok().filter(|name| !name.is_empty())?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        Some(known.unwrap_or_else(|| panic!("AQUEDUCT_SABOTAGE={name}: no such mistake")).1)
    };
    *PLANTED.get_or_init(find) == Some(bug)
}
