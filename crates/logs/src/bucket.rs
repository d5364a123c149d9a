//! Where the buckets of the configuration are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::folder;
use crate::s3::S3;

/// Where a bucket is.
#[derive(Clone, Debug)]
pub enum Bucket {
    /// A folder, which is created if it is missing. Keys are paths in it.
    Folder(PathBuf),
    /// A bucket behind the S3 API.
    S3(Arc<S3>),
}

/// Buckets by name.
pub type Buckets = BTreeMap<Arc<str>, Bucket>;

impl Bucket {
    /// Stores a file.
    ///
    /// # Errors
    /// The reason for a person.
    pub(crate) async fn put(&self, key: &str, bytes: Arc<[u8]>) -> Result<(), String> {
        match self {
            Self::Folder(root) => put_into_folder(root, key, bytes).await,
            Self::S3(bucket) => bucket.put(key, bytes).await,
        }
    }
}

/// Writes on another thread, because a disk may be slow.
pub(crate) async fn put_into_folder(
    root: &Path,
    key: &str,
    bytes: Arc<[u8]>,
) -> Result<(), String> {
    let (root, path) = (root.to_owned(), root.join(key));
    let written =
        tokio::task::spawn_blocking(move || folder::write(&path, &bytes).map_err(|e| (path, e)));
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err((path, error))) => Err(format!("{}: {error}", path.display())),
        Err(error) => Err(format!("{}: {error}", root.display())),
    }
}
