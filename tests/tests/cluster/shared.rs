//! One cluster for all tests of this program; each has exclusive use of it for a while.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use elbow_tests::TempDir;
use elbow_tests::cluster::Cluster;

use crate::witness::{self, Witness};

/// Shared by the tests.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    pods: OnceLock<TempDir>,
}

impl Shared {
    /// MinIO's pods in the cluster, created at the first call.
    pub(crate) fn witness(&self, python: PathBuf) -> Witness<'_> {
        Witness {
            cluster: &self.cluster,
            python,
            dir: self.pods.get_or_init(|| witness::start(&self.cluster)),
        }
    }
}

/// Exclusive use of the cluster.
pub(crate) struct Turn {
    // Dropped before the cluster, which ends with the last test that waits for it.
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

/// Waits for exclusive use of the cluster; `Err` says what is missing to start it.
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
