//! Buckets behind the S3 API.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload, RetryConfig};

use client::{Connector, Roots};

mod client;

/// What it takes to store objects in a bucket.
#[derive(Clone, Default)]
pub struct S3Settings {
    /// The name of the bucket.
    pub bucket: String,
    /// The URL of the API, e.g. `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// The region in signatures.
    pub region: String,
    /// The access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
    /// The PEM file of the authorities that may sign the certificate of the endpoint; `None`: those of the system.
    pub authority_file: Option<PathBuf>,
    /// Whether the host name has the name of the bucket, and not the path.
    pub virtual_hosted: bool,
}

/// A bucket behind the S3 API.
#[derive(Debug)]
pub struct S3 {
    store: AmazonS3,
    endpoint: String,
}

impl S3 {
    /// A bucket; nothing is sent.
    ///
    /// # Errors
    /// The settings cannot be used, for example because the endpoint is not a URL.
    pub fn new(settings: S3Settings) -> Result<Self, String> {
        let roots = Roots::new(settings.authority_file.as_deref())?;
        let builder = AmazonS3Builder::new()
            .with_endpoint(settings.url())
            .with_bucket_name(settings.bucket)
            .with_region(settings.region)
            .with_access_key_id(settings.access_key_id)
            .with_secret_access_key(settings.secret_access_key)
            .with_virtual_hosted_style_request(settings.virtual_hosted)
            .with_allow_http(settings.endpoint.starts_with("http://"))
            .with_http_connector(Connector::new(roots))
            // The delivery repeats, and logs each outage once.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        let builder = match settings.session_token {
            Some(token) => builder.with_token(token),
            None => builder,
        };
        Ok(Self {
            store: builder.build().map_err(|error| in_one_line(&error))?,
            endpoint: settings.endpoint,
        })
    }

    /// Stores an object.
    ///
    /// # Errors
    /// The reason for a person.
    pub(crate) async fn put(&self, key: &str, bytes: Arc<[u8]>) -> Result<(), String> {
        let key = Key::from(key);
        let payload = PutPayload::from(bytes.to_vec());
        match self.store.put(&key, payload).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{}: {}", self.endpoint, in_one_line(&error))),
        }
    }
}

impl S3Settings {
    /// The URL that keys are appended to, or the name of the bucket and keys.
    fn url(&self) -> String {
        match self.endpoint.split_once("://") {
            Some((scheme, host)) if self.virtual_hosted => {
                format!("{scheme}://{}.{host}", self.bucket)
            }
            _ => self.endpoint.clone(),
        }
    }
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Settings")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// An error with its causes, without line breaks.
fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
