//! What a channel does with a put that finds no room.

/// What a channel does with a put that finds no room within its wait.
///
/// A put that sets a wait of its own ([`PutTransaction::set_wait`](crate::PutTransaction::set_wait)) waits that long under
/// every policy before the policy decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Wait for room as long as the channel is configured to, then refuse the put with
    /// [`PutError::Full`](crate::PutError::Full). Nothing is lost.
    #[default]
    Block,
    /// Refuse the put with [`PutError::Full`](crate::PutError::Full) without waiting. Nothing is lost. Sources of an agent that
    /// would only come again wait up to [`PUT_WAIT`](crate::limits::PUT_WAIT) all the same, and as long as one of them waits, every
    /// other put is refused, also one that would fit: room goes to whoever waits for it.
    Fail,
    /// Drop the events that were to be put, all of the transaction, and count them. The put succeeds and its positions are
    /// set, as the source is done with the events.
    DropNewest,
    /// Drop as many of the oldest events as it takes to make room, and count them. Events of open takes are never dropped:
    /// if they leave too little room even then, nothing is dropped and the put is refused with
    /// [`PutError::Full`](crate::PutError::Full).
    DropOldest,
    /// Put the events, all of the transaction, into another channel, and count them. The put succeeds once that channel has
    /// committed them, and its positions are set then: a kill in between brings the events again. If that channel refuses
    /// them, too, nothing is lost and the put is refused with [`PutError::Full`](crate::PutError::Full). The order among
    /// events of the two channels is lost; [`Spillable`](crate::Spillable) keeps it.
    Divert,
}
