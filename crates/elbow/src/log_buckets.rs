//! The buckets of logs, as the environment file maps them.

use std::env;
use std::path::Path;
use std::sync::Arc;

use elbow_logs::{Bucket, Buckets, S3, S3Settings};
use elbow_manifest::Context;
use elbow_manifest::context::{Credentials, LogBucketEndpoint, LogBucketPlace};
use elbow_model::diagnostic::Diagnostic;

/// The buckets of `context`; those that cannot be used are added to `found`.
pub(crate) fn of(context: &Context, found: &mut Vec<Diagnostic>) -> Buckets {
    let folder = Path::new(&context.file).parent();
    let folder = folder.unwrap_or_else(|| Path::new(""));
    let mut buckets = Buckets::new();
    for bucket in &context.log_buckets {
        let place = match &bucket.place {
            LogBucketPlace::Folder(path) => Ok(Bucket::Folder(folder.join(path))),
            LogBucketPlace::S3(endpoint) => {
                let settings = settings(&bucket.name, endpoint, context, folder);
                settings
                    .and_then(S3::new)
                    .map(|s3| Bucket::S3(Arc::new(s3)))
            }
        };
        match place {
            Ok(place) => drop(buckets.insert(bucket.name.as_str().into(), place)),
            Err(reason) => {
                let message = format!("bucket \"{}\" of logs: {reason}", bucket.name);
                found.push(Diagnostic::error("unusable-bucket", message).at(&context.file, 0, 0));
            }
        }
    }
    buckets
}

fn settings(
    bucket: &str,
    from: &LogBucketEndpoint,
    context: &Context,
    folder: &Path,
) -> Result<S3Settings, String> {
    let (access_key_id, secret_access_key, session_token) = match &from.credentials {
        Some(Credentials {
            access_key_id,
            secret_access_key,
        }) => (access_key_id.clone(), secret_access_key.0.clone(), None),
        None => (
            variable("AWS_ACCESS_KEY_ID")?,
            variable("AWS_SECRET_ACCESS_KEY")?,
            env::var("AWS_SESSION_TOKEN").ok(),
        ),
    };
    Ok(S3Settings {
        bucket: bucket.to_owned(),
        endpoint: from.endpoint.clone(),
        region: from
            .region
            .clone()
            .unwrap_or_else(|| context.region.clone()),
        access_key_id,
        secret_access_key,
        session_token,
        authority_file: from.ca_file.as_ref().map(|file| folder.join(file)),
        virtual_hosted: from.virtual_hosted,
    })
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| {
        format!("no access key; add accessKeyId and secretAccessKey, or set {name} in the environment of the process")
    })
}
