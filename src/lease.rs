//! Names that one at a time works under.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The names that are in use: what a channel needs to implement [`Channel::lease`](crate::Channel::lease). Clones share them.
///
/// ```
/// use aqueduct::channel::Leases;
///
/// let leases = Leases::default();
/// let lease = leases.take("edge/sink/out/");
/// assert!(lease.is_some() && leases.take("edge/sink/out/").is_none());
/// drop(lease);
/// assert!(leases.take("edge/sink/out/").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Leases(Arc<Mutex<BTreeSet<String>>>);

impl Leases {
    /// Takes a name, unless somebody has it.
    #[must_use]
    pub fn take(&self, name: &str) -> Option<Lease> {
        let is_free = self.0.lock().insert(name.to_owned());
        is_free.then(|| Lease { name: name.to_owned(), leases: Some(self.clone()) })
    }

    /// The names that somebody has now.
    pub(crate) fn held(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }
}

/// The right to work under a name, until it is dropped; see [`Channel::lease`](crate::Channel::lease).
#[derive(Debug)]
#[must_use]
pub struct Lease {
    name: String,
    // `None`: of a channel that does not look.
    leases: Option<Leases>,
}

impl Lease {
    /// Of a channel that lets several work under one name.
    pub(crate) fn shared(name: &str) -> Self {
        Self { name: name.to_owned(), leases: None }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(leases) = &self.leases {
            leases.0.lock().remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_again_once_its_lease_is_dropped() {
        let leases = Leases::default();
        let first = leases.take("a/sink/out/");
        assert!(first.is_some() && leases.take("a/sink/out/").is_none() && leases.take("a/sink/other/").is_some());
        assert_eq!(leases.held(), ["a/sink/out/"]);
        drop(first);
        assert!(leases.take("a/sink/out/").is_some());
    }
}
