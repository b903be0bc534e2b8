//! The files under test, and what plays the others.

#[path = "../../../src/store/backlog.rs"]
pub(crate) mod backlog;
#[path = "../../../src/store/capacity.rs"]
pub(crate) mod capacity;
pub(crate) mod frame;
#[path = "../../../src/store/group.rs"]
pub(crate) mod group;
#[path = "../../../src/store/groups.rs"]
pub(crate) mod groups;
#[path = "../../../src/store/keeper.rs"]
pub(crate) mod keeper;
pub(crate) mod lane;
#[path = "../../../src/store/queue.rs"]
pub(crate) mod queue;
#[path = "../../../src/store/ranges.rs"]
pub(crate) mod ranges;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod state;
