//! Operations that hang until a test lets them go.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// A gate at which operations wait, so that a test decides what happens while, say, a sync is under way. Clones are the
/// same gate. See [`Inject::pause`](super::Inject::pause).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::path::Path;
///
/// use aqueduct::vfs::sim::{Gate, Inject, OpKind, SimVfs};
/// use aqueduct::vfs::{OpenMode, Vfs};
///
/// let sim = SimVfs::new();
/// let file = sim.open(Path::new("/f"), OpenMode::CreateNew)?;
/// let gate = Gate::new();
/// sim.inject(Inject::pause(&gate).on(OpKind::SyncData));
/// let syncing = std::thread::spawn({
///     let file = file.clone();
///     move || file.sync_data()
/// });
/// gate.wait_for(1);
/// // The sync hangs; everything else goes on.
/// assert_eq!(file.metadata()?.len, 0);
/// gate.open();
/// assert!(matches!(syncing.join(), Ok(Ok(()))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: u64,
}

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets all that wait and all that come later pass.
    pub fn open(&self) {
        self.shared.state.lock().open = true;
        self.shared.changed.notify_all();
    }

    /// Waits until this many operations have come to the gate since it was made.
    ///
    /// # Blocking
    /// Until then, without a bound.
    pub fn wait_for(&self, operations: u64) {
        let mut state = self.shared.state.lock();
        self.shared.changed.wait_while(&mut state, |state| state.arrived < operations);
    }

    pub(super) fn pass(&self) {
        let mut state = self.shared.state.lock();
        state.arrived += 1;
        self.shared.changed.notify_all();
        self.shared.changed.wait_while(&mut state, |state| !state.open);
    }
}
