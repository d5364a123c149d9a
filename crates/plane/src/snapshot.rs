//! What the workers serve: an immutable value built from a model and swapped as a whole. Unchanged parts are shared with
//! the previous snapshot, so that the cost of a change depends on its size.

mod addresses;
mod build;
mod certificates;
mod group;
mod group_changes;
mod instances;
mod listener;
mod make_listener;
mod parts;
mod pem_files;
mod public_keys;
mod stamp;
mod state;
#[cfg(test)]
mod tests;
mod trust_stores;

pub(crate) use build::{Built, build, refresh};
pub use certificates::check;
pub(crate) use group::GroupState;
pub(crate) use instances::InstanceTargets;
pub(crate) use listener::{Handler, Limit, ListenerState, forwarded_groups};
pub(crate) use parts::Parts;
pub(crate) use state::{BalancerState, Changes, Snapshot};
