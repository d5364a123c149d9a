//! Refreshes of sessions, each of them once: the requests of a page arrive together, with the same session, and a
//! provider may take a refresh token only once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use elbow_model::AuthenticateOidc;
use tokio::sync::watch::{self, Receiver};

use super::exchange::Answer;
use super::session::Session;

/// How long the answer to a refresh serves requests that have the session before it: a refresh takes up to 10 seconds.
const KEPT: Duration = Duration::from_secs(20);
/// Refreshes that are kept; more are not shared.
const MAX_KEPT: usize = 1024;

/// A session of a client of a provider, before its refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(config: &AuthenticateOidc, session: &Session) -> Self {
        let parts = [
            &*config.token_endpoint,
            &config.client_id,
            config.client_secret.expose(),
            session.refresh_token.as_deref().unwrap_or_default(),
            // Some providers keep the refresh token.
            &session.access_token,
        ];
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, parts.join("\0").as_bytes()).as_ref());
        Self(key)
    }
}

/// The refreshes of all workers.
#[derive(Debug, Default)]
pub(crate) struct Refreshes(Mutex<HashMap<Key, Refresh>>);

#[derive(Clone, Debug)]
struct Refresh {
    begun: Instant,
    answer: Receiver<Option<Answer>>,
}

impl Refreshes {
    /// The answer to the refresh of `key`: that of `ask`, or of a request that asked before.
    pub(super) async fn once<F>(&self, key: Key, ask: F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (mut refresh, is_own) = self.join(key, ask, Instant::now());
        let answer = match refresh.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone(),
            // The worker that asked has ended.
            Err(_) => None,
        };
        let answer = answer.unwrap_or_else(Answer::unhandled);
        if answer.session.is_err() {
            self.forget(key, &refresh);
        }
        Answer { is_own, ..answer }
    }

    /// The refresh of `key`, and whether it is a new one.
    fn join<F>(&self, key: Key, ask: F, now: Instant) -> (Receiver<Option<Answer>>, bool)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, refresh| now.saturating_duration_since(refresh.begun) < KEPT);
        if let Some(refresh) = kept.get(&key) {
            return (refresh.answer.clone(), false);
        }
        let (sender, answer) = watch::channel(None);
        // It goes on when this request ends: others wait for it, and the token is used up.
        tokio::spawn(async move { sender.send_replace(Some(ask.await)) });
        if kept.len() < MAX_KEPT {
            let answer = answer.clone();
            kept.insert(key, Refresh { begun: now, answer });
        }
        (answer, true)
    }

    /// A refresh that failed can be tried again.
    fn forget(&self, key: Key, failed: &Receiver<Option<Answer>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept
            .get(&key)
            .is_some_and(|refresh| refresh.answer.same_channel(failed))
        {
            kept.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::task::yield_now;

    use super::*;
    use crate::reason::Reason;

    fn session(token: &str) -> Session {
        Session {
            since: 1,
            claims: serde_json::Map::new(),
            access_token: String::new(),
            expires: None,
            refresh_token: Some(token.to_owned()),
        }
    }

    /// Counts how often it asks; answers `session` after a turn of other tasks.
    async fn ask(asked: Arc<AtomicU32>, session: Result<Session, Reason>) -> Answer {
        asked.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
        Answer {
            session,
            took: Duration::ZERO,
            is_own: true,
        }
    }

    #[tokio::test]
    async fn requests_with_one_session_share_a_refresh() {
        let refreshes = Refreshes::default();
        let asked = Arc::new(AtomicU32::new(0));
        let (one, other) = (Key([1; 32]), Key([2; 32]));
        let once = |key, token| refreshes.once(key, ask(Arc::clone(&asked), Ok(session(token))));
        let (first, second, third) = tokio::join!(once(one, "a"), once(one, "b"), once(other, "c"));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(
            (first.is_own, second.is_own, third.is_own),
            (true, false, true)
        );
        assert_eq!(second.session, first.session);
        // The next request may still have the cookies of before.
        assert_eq!(once(one, "d").await.session, first.session);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn refresh_outlives_the_request_that_began_it() {
        let refreshes = Refreshes::default();
        let asked = Arc::new(AtomicU32::new(0));
        let key = Key([1; 32]);
        let once = |token| refreshes.once(key, ask(Arc::clone(&asked), Ok(session(token))));
        tokio::select! {
            biased;
            _ = once("a") => panic!("it waits for its turn"),
            () = std::future::ready(()) => {}
        }
        let answer = once("b").await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(answer.session, Ok(session("a")));
    }

    #[tokio::test]
    async fn failed_refresh_is_tried_again() {
        let refreshes = Refreshes::default();
        let asked = Arc::new(AtomicU32::new(0));
        let failure = Err(Reason::AuthTokenEpRequestTimeout);
        for tries in 1..3 {
            let key = Key([1; 32]);
            let answer = refreshes.once(key, ask(Arc::clone(&asked), failure.clone()));
            assert_eq!(answer.await.session, failure);
            assert_eq!(asked.load(Ordering::Relaxed), tries);
        }
    }

    #[tokio::test]
    async fn old_refreshes_are_forgotten_and_their_number_is_bounded() {
        let refreshes = Refreshes::default();
        let asked = Arc::new(AtomicU32::new(0));
        let now = Instant::now();
        let join = |n: u16, at| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&n.to_be_bytes());
            let asking = ask(Arc::clone(&asked), Ok(session("a")));
            refreshes.join(Key(key), asking, at).1
        };
        let many = u16::try_from(MAX_KEPT).unwrap();
        assert!((0..=many).all(|n| join(n, now)));
        assert_eq!(refreshes.0.lock().unwrap().len(), MAX_KEPT);
        assert!(!join(0, now), "it is kept");
        assert!(join(many, now), "there is no room for it");
        assert!(join(0, now + KEPT));
        assert_eq!(refreshes.0.lock().unwrap().len(), 1);
    }
}
