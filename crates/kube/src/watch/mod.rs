//! What the API server says, kind by kind, as changes of a cluster.
//!
//! One task a kind lists and then watches it: by a list that is a stream where the server has that, else page by
//! page. What a new list says differently after an outage is worked out from what is known, so that nothing goes
//! and comes back.

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

/// Changes that may wait for the controller; then the watches wait.
const QUEUE: usize = 4096;

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// The object is so, without what nobody reads.
    Set(Value),
    /// The object is there no longer.
    Gone(Identity),
    /// How it stands with the kind, which is an index into [`KINDS`].
    Standing(usize, Standing),
}

/// How it stands with a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is known yet.
    Unknown,
    /// All objects have been told of, and changes are.
    Followed,
    /// All objects have been told of, and the server is away.
    Lost,
    /// It may not be read.
    Forbidden,
    /// The cluster does not have it.
    Absent,
}

impl Standing {
    /// Whether there is nothing more to wait for before the first time that something is served.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Whether what the API server says is what is known.
    pub(crate) fn is_synced(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Lost)
    }
}

/// The watches of all kinds, which end when it is dropped.
pub(crate) struct Watches {
    told: mpsc::Receiver<Told>,
    _tasks: JoinSet<()>,
}

/// How the kinds are watched.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) client: Client,
    /// The only namespace that counts; `None`: all.
    pub(crate) namespace: Option<String>,
    /// Whether the server may have lists that are streams.
    pub(crate) streams: bool,
    pub(crate) metrics: Metrics,
}

impl Watches {
    /// Watches all kinds from now on.
    pub(crate) fn start(settings: &Settings) -> Self {
        let (tell, told) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for index in 0..KINDS.len() {
            tasks.spawn(Reflector::new(index, settings.clone(), tell.clone()).run());
        }
        Self {
            told,
            _tasks: tasks,
        }
    }

    /// The next thing that is told.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// What has been told already, at most `most` of it.
    pub(crate) fn ready(&mut self, most: usize) -> impl Iterator<Item = Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).take(most)
    }
}
