//! The session of a user, which its browser keeps in cookies.

use serde_json::{Value, json};

use super::date;
use super::seal::{Purpose, Seal};
use crate::jwt::Claims;

/// Cookies of one session.
const MAX_SHARDS: usize = 4;
/// Bytes of a cookie that browsers keep: its name, an equals sign and its value.
const MAX_COOKIE: usize = 4096;
/// Bytes of the claims of a user with the access token (ALB guide: authenticate users).
const MAX_CLAIMS: usize = 11 * 1024;
/// Seconds that browsers keep the cookies: a week, whatever the session timeout is.
const KEPT: u64 = 604_800;

/// A user that is logged in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    /// When the user logged in, in seconds since the epoch.
    pub(super) since: u64,
    /// What the provider says of the user.
    pub(super) claims: Claims,
    pub(super) access_token: String,
    /// When the access token expires, in seconds since the epoch.
    pub(super) expires: Option<u64>,
    pub(super) refresh_token: Option<String>,
}

/// The claims of a user are too large for cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Session {
    /// The user, as the provider calls it.
    pub(super) fn subject(&self) -> &str {
        self.claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The values of Set-Cookie that give a browser this session at `now`. It has `present` cookies of another one.
    pub(super) fn cookies(
        &self,
        seal: &Seal,
        name: &str,
        present: usize,
        now: u64,
    ) -> Result<Vec<String>, TooLarge> {
        let claims = Value::Object(self.claims.clone()).to_string();
        if claims.len() + self.access_token.len() > MAX_CLAIMS {
            return Err(TooLarge);
        }
        let content = json!([
            self.since,
            self.claims,
            self.access_token,
            self.expires,
            self.refresh_token
        ]);
        let text = seal
            .close(Purpose::Session, content.to_string().as_bytes())
            .ok_or(TooLarge)?;
        let room = MAX_COOKIE.saturating_sub(name.len() + "-0=".len()).max(1);
        let expires = date::cookie(now + KEPT);
        let mut cookies: Vec<String> = Vec::new();
        for (at, part) in text.as_bytes().chunks(room).enumerate() {
            let value = String::from_utf8_lossy(part);
            cookies.push(format!(
                "{name}-{at}={value}; Expires={expires}; Path=/; SameSite=None; Secure; HttpOnly"
            ));
        }
        if cookies.len() > MAX_SHARDS {
            return Err(TooLarge);
        }
        for at in cookies.len()..present {
            let expires = date::cookie(0);
            cookies.push(format!(
                "{name}-{at}=; Expires={expires}; Path=/; SameSite=None; Secure; HttpOnly"
            ));
        }
        Ok(cookies)
    }

    /// The session that the cookies of a request hold.
    pub(super) fn open(seal: &Seal, shards: &[&[u8]]) -> Option<Self> {
        let content = seal.open(Purpose::Session, &shards.concat())?;
        let content: Value = serde_json::from_slice(&content).ok()?;
        let [since, claims, access, expires, refresh] = &content.as_array()?[..] else {
            return None;
        };
        Some(Self {
            since: since.as_u64()?,
            claims: claims.as_object()?.clone(),
            access_token: access.as_str()?.to_owned(),
            expires: expires.as_u64(),
            refresh_token: refresh.as_str().map(str::to_owned),
        })
    }
}

/// The values of the session cookies of a request, in order; empty without the first one.
pub(super) fn shards<'a>(cookies: &[&'a [u8]], name: &str) -> Vec<&'a [u8]> {
    let value = |at| super::cookie(cookies, &format!("{name}-{at}"));
    (0..MAX_SHARDS).map_while(value).collect()
}
