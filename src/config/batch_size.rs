//! The size of a batch, and who has chosen it.

/// How many events a component hands over in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSize {
    events: usize,
    // The key by which the user has chosen it.
    given: Option<String>,
    // It is several of the batches that the user knows.
    is_several: bool,
}

impl BatchSize {
    /// What the user cannot choose.
    #[must_use]
    pub fn fixed(events: usize) -> Self {
        Self { events, given: None, is_several: false }
    }

    /// As many as the user has chosen by `key`.
    pub(super) fn chosen(events: usize, key: &str) -> Self {
        Self { events, given: Some(key.to_owned()), is_several: false }
    }

    /// The number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// So many batches at once, as the user has chosen by `key`, unless it is one.
    #[cfg(feature = "rpc")]
    pub(super) fn times(self, batches: usize, key: &str) -> Self {
        if batches == 1 {
            return self;
        }
        Self { events: self.events.saturating_mul(batches), given: Some(key.to_owned()), is_several: true }
    }

    pub(super) fn is_several(&self) -> bool {
        self.is_several
    }

    pub(super) fn given(&self) -> Option<&str> {
        self.given.as_deref()
    }
}
