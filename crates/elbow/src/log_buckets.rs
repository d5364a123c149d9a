//! The buckets of logs, as the environment file maps them.

use std::path::Path;
use std::sync::Arc;

use elbow_logs::{Bucket, Buckets};
use elbow_manifest::Context;
use elbow_manifest::context::{LogBucket, LogBucketPlace};

/// The buckets of `context`.
pub(crate) fn of(context: &Context) -> Buckets {
    let folder = Path::new(&context.file).parent();
    let folder = folder.unwrap_or_else(|| Path::new(""));
    let bucket = |LogBucket { name, place }: &LogBucket| {
        let place = match place {
            LogBucketPlace::Folder(path) => Bucket::Folder(folder.join(path)),
        };
        (Arc::from(name.as_str()), place)
    };
    context.log_buckets.iter().map(bucket).collect()
}
