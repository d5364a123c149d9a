//! Watches the API server, kind by kind, and reports changes of the cluster.
//!
//! One task per kind lists and then watches it, with a streaming list if the server supports it, else page by
//! page. After an outage, a new list is compared with the known objects, so that nothing is deleted
//! and created again.

mod kinds;
mod known;
mod list;
mod reflector;
mod request;
mod trim;

use elbow_manifest::cluster::Identity;
use kube::Client;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Metrics;
pub(crate) use kinds::{KINDS, Kind};
pub use list::{Listing, list};
use reflector::Reflector;

/// The number of updates that may wait for the controller; beyond it the watches wait.
const QUEUE: usize = 4096;

/// An update from a watch.
#[derive(Debug)]
pub(crate) enum Update {
    /// The object was created or changed. Fields that elbow does not read are removed.
    Applied(Value),
    /// The object was deleted.
    Deleted(Identity),
    /// The state of a kind, which is an index into [`KINDS`].
    State(usize, KindState),
}

/// The state of a kind's watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KindState {
    /// Not listed yet.
    Pending,
    /// All objects have been reported, and changes follow.
    Synced,
    /// All objects have been reported, but the server is away.
    Disconnected,
    /// The kind may not be read.
    Forbidden,
    /// The cluster does not have the kind.
    Absent,
}

impl KindState {
    /// Whether elbow may start to serve without waiting for this kind.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self, Self::Pending)
    }

    /// Whether the known objects are those of the API server.
    pub(crate) fn is_synced(&self) -> bool {
        !matches!(self, Self::Pending | Self::Disconnected)
    }
}

/// The watches of all kinds; dropping it ends them.
pub(crate) struct Watches {
    updates: mpsc::Receiver<Update>,
    _tasks: JoinSet<()>,
}

/// The settings of the watches.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) client: Client,
    /// The only namespace to watch; `None`: all.
    pub(crate) namespace: Option<String>,
    /// Whether to try streaming lists.
    pub(crate) streams: bool,
    /// Whether elbow takes the place of EKS Auto Mode's controllers.
    pub(crate) auto_mode: bool,
    pub(crate) metrics: Metrics,
}

impl Watches {
    /// Starts watching all kinds.
    pub(crate) fn start(settings: &Settings) -> Self {
        let (sender, updates) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for (index, kind) in KINDS.iter().enumerate() {
            if kind.is_watched(settings.auto_mode) {
                tasks.spawn(Reflector::new(index, settings.clone(), sender.clone()).run());
            }
        }
        Self {
            updates,
            _tasks: tasks,
        }
    }

    /// Waits for the next update.
    pub(crate) async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }

    /// The updates that are already there, at most `most`.
    pub(crate) fn ready(&mut self, most: usize) -> impl Iterator<Item = Update> {
        std::iter::from_fn(|| self.updates.try_recv().ok()).take(most)
    }
}
