//! Sticky sessions (ALB guide: sticky sessions): which target or group a client's cookies name, and
//! the cookies that it gets.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use elbow_balance::{Chosen, Group, Target};
use elbow_model::Stickiness;

use crate::additions::Cookies;
use crate::cookie;
use crate::date::HttpDate;
use crate::head::RequestHead;
use crate::rules::{Forwarding, Member};
use crate::seal::{Seal, Token};

/// `Expires` of every cookie; the duration that was configured is kept by the value.
const EXPIRES: u64 = 7 * 86_400;

/// From this version on, Chromium takes a cookie from another site only if it says `SameSite=None`.
const CHROMIUM: u32 = 80;

/// The cookies of one kind: the plain one, and the one for requests from other sites, which wins.
const TARGET: [&str; 2] = ["AWSALBCORS", "AWSALB"];
const GROUP: [&str; 2] = ["AWSALBTGCORS", "AWSALBTG"];
const APPLICATION: &str = "AWSALBAPP-0";

/// How clients stay with one choice for a time.
#[derive(Clone, Debug)]
pub(crate) struct Sticky {
    seal: Seal,
    duration: Duration,
    /// The target's cookie that sessions are tied to.
    application: Option<Arc<str>>,
}

/// What a client's cookies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    /// Not one of ours, damaged, or too old.
    Invalid,
    Choice(u64),
}

impl Sticky {
    /// The stickiness of `group` to targets, if it has any for HTTP.
    pub(crate) fn of_group(group: &Group) -> Option<Arc<Self>> {
        let config = &group.config;
        let (duration, application) = match config.attributes.stickiness.as_ref()? {
            Stickiness::LoadBalancerCookie { duration } => (*duration, None),
            Stickiness::ApplicationCookie { name, duration } => (*duration, Some(Arc::clone(name))),
            Stickiness::SourceIp => return None,
        };
        Some(Arc::new(Self {
            seal: Seal::new(&format!("targetgroup/{}", config.name)),
            duration,
            application,
        }))
    }

    /// The stickiness to groups of a forward action of the load balancer `id`.
    pub(crate) fn to_groups(id: &str, duration: Duration) -> Arc<Self> {
        Arc::new(Self {
            seal: Seal::new(&format!("loadbalancer/{id}")),
            duration,
            application: None,
        })
    }

    /// Which group the client's cookies name, by its key.
    pub(crate) fn group(&self, head: &RequestHead<'_>, now: u64) -> Said {
        self.read(head, &GROUP, now)
    }

    /// Which target the client's cookies name, by its key.
    fn target(&self, head: &RequestHead<'_>, now: u64) -> Said {
        match &self.application {
            None => self.read(head, &TARGET, now),
            // Both cookies, or none (parity 1.8).
            Some(name) if cookies(head, name).next().is_some() => {
                self.read(head, &[APPLICATION], now)
            }
            Some(_) => Said::Nothing,
        }
    }

    fn read(&self, head: &RequestHead<'_>, names: &[&str], now: u64) -> Said {
        let found = names.iter().find_map(|name| cookies(head, name).next());
        let Some(value) = found else {
            return Said::Nothing;
        };
        match self.seal.open(value) {
            Some(Token { choice, made }) if now < made.saturating_add(self.duration.as_secs()) => {
                Said::Choice(choice)
            }
            _ => Said::Invalid,
        }
    }
}

/// What is to be said to a client about the choice that was made for it.
#[derive(Debug)]
pub(crate) struct Promise {
    /// The choice among groups.
    group: Option<(Arc<Sticky>, u64)>,
    /// The choice among targets.
    target: Option<Arc<Sticky>>,
    /// The target that the client's cookie named, chosen or not.
    named: Option<u64>,
    /// The application's cookie is for requests from other sites.
    cross_site: bool,
}

impl Promise {
    /// Finds the target of `member` that the client's cookies name and that may still be chosen.
    /// Where nobody stays with anything there is no promise.
    pub(crate) fn find<'m>(
        forwarding: &Forwarding,
        member: &'m Member,
        head: &RequestHead<'_>,
    ) -> (Option<Chosen<'m>>, Option<Box<Self>>) {
        let (to_group, to_target) = (forwarding.sticky.as_ref(), member.sticky.as_ref());
        if to_group.is_none() && to_target.is_none() {
            return (None, None);
        }
        let named = match to_target.map(|sticky| sticky.target(head, now())) {
            Some(Said::Choice(key)) => Some(key),
            Some(Said::Nothing | Said::Invalid) | None => None,
        };
        let promise = Self {
            group: to_group.map(|sticky| (Arc::clone(sticky), member.key)),
            target: to_target.cloned(),
            named,
            cross_site: head.value("origin").is_some()
                && head.value("user-agent").is_some_and(wants_same_site),
        };
        let known = named.and_then(|key| member.group.choose_known(key));
        (known, Some(Box::new(promise)))
    }

    /// The cookies for a response of `target` at `now`.
    pub(crate) fn cookies(&self, target: &Target, now: u64) -> Box<Cookies> {
        let expires = HttpDate::from_unix(now.saturating_add(EXPIRES));
        let expires = String::from_utf8_lossy(expires.as_bytes());
        let line = |name: &str, sticky: &Sticky, choice: u64, end: &str| {
            let value = sticky.seal.close(choice, now);
            let value = String::from_utf8_lossy(&value);
            format!("{name}={value}; Expires={expires}; Path=/{end}")
        };
        let both = |names: [&str; 2], sticky: &Sticky, choice: u64| {
            let [cross, plain] = names;
            [
                line(plain, sticky, choice, ""),
                line(cross, sticky, choice, SAME_SITE),
            ]
        };
        let mut cookies = Cookies::default();
        if let Some((sticky, choice)) = &self.group {
            cookies.always.extend(both(GROUP, sticky, *choice));
        }
        let key = target.key();
        match &self.target {
            None => {}
            Some(sticky) => match &sticky.application {
                None => cookies.always.extend(both(TARGET, sticky, key)),
                Some(name) => {
                    let end = if self.cross_site { SAME_SITE } else { "" };
                    let line = line(APPLICATION, sticky, key, end);
                    match self.named {
                        // The session goes on elsewhere, whatever that target says.
                        Some(named) if named != key => cookies.always.push(line),
                        _ => cookies.beside = Some((Arc::clone(name), line)),
                    }
                }
            },
        }
        Box::new(cookies)
    }
}

const SAME_SITE: &str = "; SameSite=None; Secure";

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn cookies<'a>(head: &'a RequestHead<'a>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    head.values("cookie")
        .flat_map(move |field| cookie::values(field, name))
}

fn wants_same_site(agent: &[u8]) -> bool {
    [&b"Chrome/"[..], b"Chromium/"].iter().any(|mark| {
        let Some(at) = memchr::memmem::find(agent, mark) else {
            return false;
        };
        let digits = agent.get(at + mark.len()..).unwrap_or_default();
        let version = digits
            .iter()
            .take(4)
            .map_while(|b| char::from(*b).to_digit(10))
            .fold(0, |version, digit| version * 10 + digit);
        version >= CHROMIUM
    })
}

#[cfg(test)]
mod tests;
