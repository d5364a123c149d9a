//! One cluster for all tests of this program, each having it for itself for a while.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use elbow_tests::TempDir;
use elbow_tests::cluster::Cluster;

use crate::witness::{self, Witness};

/// What tests share.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    pods: OnceLock<TempDir>,
}

impl Shared {
    /// MinIO's pods in it, made when first asked for.
    pub(crate) fn witness(&self, python: PathBuf) -> Witness<'_> {
        Witness {
            cluster: &self.cluster,
            python,
            dir: self.pods.get_or_init(|| witness::start(&self.cluster)),
        }
    }
}

/// The cluster, and the right to change what is in it.
pub(crate) struct Turn {
    // The turn ends before the cluster, which goes with the last test that waits for it.
    turn: MutexGuard<'static, ()>,
    shared: Arc<Shared>,
}

impl Deref for Turn {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.cluster.state());
        }
        let _until_here = &self.turn;
    }
}

/// Waits for this test's turn; otherwise what is missing for a cluster.
pub(crate) fn turn(minio: &Path) -> Result<Turn, String> {
    static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    static TURN: Mutex<()> = Mutex::new(());
    let shared = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.upgrade() {
            Some(shared) => shared,
            None => {
                let started = Arc::new(Shared {
                    cluster: Cluster::start(minio)?,
                    pods: OnceLock::new(),
                });
                *shared = Arc::downgrade(&started);
                started
            }
        }
    };
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Turn { turn, shared })
}
