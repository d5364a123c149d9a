//! What travels through the provider and back: the parameter `state`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use super::seal::{Purpose, Seal};
use crate::encoding::encode;

/// Seconds that a login may take (ALB guide: authenticate users, client login timeout).
const LOGIN_TIMEOUT: u64 = 15 * 60;
/// Bytes of a URI that a login remembers. A longer one is not returned to, since providers limit the length of URLs.
const MAX_URI: usize = 4096;
/// Bytes of the secret that ties a state to the browser that began the login.
const SECRET: usize = 24;

/// The name of the cookie with the secret of logins in progress.
pub(super) const COOKIE: &str = "AWSALBAuthNonce";

/// What a login must return to the browser that began it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// When the login began, in seconds since the epoch.
    made: u64,
    /// Hash of the secret of the browser.
    browser: Vec<u8>,
    /// The path and query that were asked for.
    pub(super) uri: String,
}

/// The secret of a browser: the value of [`COOKIE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    /// A fresh secret.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; SECRET];
        rand::fill(&mut bytes).ok()?;
        Some(Self(encode(bytes)))
    }

    /// The secret that a browser has from another login, which may still be in progress in another tab.
    pub(super) fn of_cookie(value: &[u8]) -> Option<Self> {
        let is_ours = value.len() == SECRET / 3 * 4
            && value
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let text = std::str::from_utf8(value).ok()?;
        is_ours.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The `nonce` of the request for a login, which the ID token must repeat. It does not give the secret away.
    pub(super) fn nonce(&self) -> String {
        encode(self.hash("nonce"))
    }

    fn hash(&self, purpose: &str) -> Vec<u8> {
        let text = [purpose.as_bytes(), self.0.as_bytes()].concat();
        digest(&SHA256, &text).as_ref().to_vec()
    }
}

impl State {
    /// The state of a login that begins at `now` to get to `uri`.
    pub(super) fn new(uri: &str, secret: &Secret, now: u64) -> Self {
        let uri = if uri.len() <= MAX_URI { uri } else { "/" };
        Self {
            made: now,
            browser: secret.hash("state"),
            uri: uri.to_owned(),
        }
    }

    /// The value of the parameter.
    pub(super) fn close(&self, seal: &Seal) -> Option<String> {
        let content = [
            &self.made.to_be_bytes(),
            &self.browser[..],
            self.uri.as_bytes(),
        ]
        .concat();
        seal.close(Purpose::State, &content)
    }

    /// The state that `text` holds, if `seal` made it.
    pub(super) fn open(seal: &Seal, text: &[u8]) -> Option<Self> {
        let content = seal.open(Purpose::State, text)?;
        let (made, rest) = content.split_first_chunk::<8>()?;
        let (browser, uri) = rest.split_at_checked(SHA256.output_len())?;
        Some(Self {
            made: u64::from_be_bytes(*made),
            browser: browser.to_vec(),
            uri: String::from_utf8(uri.to_vec()).ok()?,
        })
    }

    /// Whether the browser with this secret began the login, and not too long before `now`.
    pub(super) fn is_of(&self, secret: &Secret, now: u64) -> bool {
        let is_timely = now.saturating_sub(self.made) <= LOGIN_TIMEOUT;
        is_timely && self.browser == secret.hash("state")
    }
}
