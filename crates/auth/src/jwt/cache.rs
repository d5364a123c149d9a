//! The keys of one issuer, fetched when they are needed and kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as Turn;

use super::keys::{Keys, MAX_BYTES};
use crate::client::{Client, Failure, Get};
use crate::reason::Reason;

/// How long keys are used before they are fetched again.
const TTL: Duration = Duration::from_secs(300);
/// Keys that lack the one that a token names are fetched again when they are this old: the issuer may have new ones,
/// but tokens with invented names must not make us ask for each.
const RETRY_UNKNOWN: Duration = Duration::from_secs(5);
/// How long the failure of a fetch is the answer to those who ask next.
const RETRY_FAILED: Duration = Duration::from_secs(1);

/// What the last fetch brought.
#[derive(Clone, Debug)]
struct Fetched {
    at: Instant,
    result: Result<Arc<Keys>, Reason>,
}

/// The keys behind one URL, for all workers.
#[derive(Debug)]
pub(crate) struct KeyCache {
    url: Arc<str>,
    client: Arc<Client>,
    last: Mutex<Option<Fetched>>,
    /// Held by the one that fetches; the others wait for what it gets.
    turn: Turn<()>,
}

impl KeyCache {
    pub(crate) fn new(url: Arc<str>, client: Arc<Client>) -> Self {
        Self {
            url,
            client,
            last: Mutex::default(),
            turn: Turn::default(),
        }
    }

    /// What is known without asking the issuer.
    pub(super) fn get(&self, now: Instant) -> Option<Result<Arc<Keys>, Reason>> {
        let last = self.lock().clone()?;
        let lifetime = if last.result.is_ok() {
            TTL
        } else {
            RETRY_FAILED
        };
        (now.saturating_duration_since(last.at) < lifetime).then_some(last.result)
    }

    /// Whether keys without the one that a token names are old enough to be fetched again.
    pub(super) fn may_have_more(&self, now: Instant) -> bool {
        let last = self.lock();
        last.as_ref()
            .is_none_or(|last| now.saturating_duration_since(last.at) >= RETRY_UNKNOWN)
    }

    /// Fetches the keys, or waits for a fetch that was begun after `asked`.
    pub(super) async fn fetch(&self, asked: Instant) -> Result<Arc<Keys>, Reason> {
        let _turn = self.turn.lock().await;
        let newer = self.lock().clone().filter(|last| last.at >= asked);
        if let Some(newer) = newer {
            return newer.result;
        }
        let at = Instant::now();
        let result = self.ask().await.map(Arc::new);
        if let Err(reason) = &result {
            tracing::warn!(url = %self.url, %reason, "cannot get the keys that verify JSON Web Tokens");
        }
        *self.lock() = Some(Fetched {
            at,
            result: result.clone(),
        });
        result
    }

    async fn ask(&self) -> Result<Keys, Reason> {
        let request = Get {
            url: &self.url,
            authorization: None,
            limit: MAX_BYTES,
        };
        let response = self.client.get(request).await.map_err(|failure| {
            tracing::debug!(url = %self.url, %failure, "fetch of keys failed");
            match failure {
                Failure::Unreachable(_) | Failure::Timeout => Reason::JwksRequestTimeout,
                Failure::TooLarge => Reason::JwksResponseSizeExceeded,
                Failure::Invalid(_) => Reason::JwksResponseInvalid,
            }
        })?;
        if !response.status.is_success() {
            return Err(Reason::JwksRequestFailed);
        }
        Keys::parse(&response.body)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fetched>> {
        // A panic cannot leave the value inconsistent: it is replaced in a single step.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
