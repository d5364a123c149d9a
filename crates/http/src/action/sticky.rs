//! Sticky sessions (ALB guide and CLB guide: sticky sessions): which target or group a client's cookies name, and
//! which cookies a response sets.

use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Group, Target};
use elbow_model::{CookieStickiness, Stickiness};

use crate::header::cookie;
use crate::header::date::HttpDate;
use crate::header::head::RequestHead;
use crate::header::seal::Seal;

/// Seconds until every cookie expires. The configured duration is checked against the time in the
/// value instead.
const EXPIRES: u64 = 7 * 86_400;

/// The first version of Chromium that needs `SameSite=None` to send a cookie from another site.
const CHROMIUM: u32 = 80;

/// The cookies of one kind: the one for requests from other sites, which wins, and the plain one.
const TARGET: [&str; 2] = ["AWSALBCORS", "AWSALB"];
const GROUP: [&str; 2] = ["AWSALBTGCORS", "AWSALBTG"];
const INSTANCE: [&str; 2] = ["AWSELBCORS", AWSELB];
const AWSELB: &str = "AWSELB";
const APPLICATION: &str = "AWSALBAPP-0";
/// The further parts of a long value, which ours is not.
const UNUSED: [&str; 3] = ["AWSALBAPP-1", "AWSALBAPP-2", "AWSALBAPP-3"];
/// The value of a cookie that holds nothing.
const REMOVED: &str = "_remove_";

/// Stickiness: clients stay with one choice for a time.
#[derive(Clone, Debug)]
pub(crate) struct Sticky {
    seal: Seal,
    kind: Kind,
    /// The application's cookie that sessions are tied to.
    application: Option<Arc<str>>,
}

/// Whose cookies they are.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// An Application Load Balancer's, which are too old after this time.
    Application(Duration),
    /// A Classic load balancer's, which browsers forget after this time; the load balancer takes them at any age.
    Classic(Option<Duration>),
}

/// What a client's cookies of one kind say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieState {
    /// The request has no such cookie.
    Absent,
    /// It is foreign, damaged, or too old.
    Invalid,
    /// It names this choice.
    Names(u64),
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
            kind: Kind::Application(duration),
            application,
        }))
    }

    /// The stickiness to the instances that `group` consists of; it ends with the instance port.
    pub(crate) fn of_instances(group: &Group, policy: &CookieStickiness) -> Arc<Self> {
        let (expiration, application) = match policy {
            CookieStickiness::LoadBalancer { expiration } => (*expiration, None),
            CookieStickiness::Application { name } => (None, Some(Arc::clone(name))),
        };
        Arc::new(Self {
            seal: Seal::new(&format!("instances/{}", group.config.name)),
            kind: Kind::Classic(expiration),
            application,
        })
    }

    /// The stickiness to groups of a forward action of the load balancer `id`.
    pub(crate) fn to_groups(id: &str, duration: Duration) -> Arc<Self> {
        Arc::new(Self {
            seal: Seal::new(&format!("loadbalancer/{id}")),
            kind: Kind::Application(duration),
            application: None,
        })
    }

    /// Which group the client's cookies name, by its key.
    pub(crate) fn group(&self, head: &RequestHead<'_>, now: u64) -> CookieState {
        self.read(head, &GROUP, now)
    }

    /// Which target the client's cookies name, by its key.
    fn target(&self, head: &RequestHead<'_>, now: u64) -> CookieState {
        // The load balancer's cookie counts beside the application's alone (parity 1.8 and section 4).
        if let Some(name) = &self.application
            && cookies(head, name).next().is_none()
        {
            return CookieState::Absent;
        }
        let names: &[&str] = match (self.kind, &self.application) {
            (Kind::Application(_), None) => &TARGET,
            (Kind::Application(_), Some(_)) => &[APPLICATION],
            (Kind::Classic(_), None) => &INSTANCE,
            (Kind::Classic(_), Some(_)) => &[AWSELB],
        };
        self.read(head, names, now)
    }

    fn read(&self, head: &RequestHead<'_>, names: &[&str], now: u64) -> CookieState {
        let found = names.iter().find_map(|name| cookies(head, name).next());
        let Some(value) = found else {
            return CookieState::Absent;
        };
        let choice = match self.kind {
            Kind::Application(duration) => {
                let token = self.seal.open(value);
                let is_due = |made: u64| now < made.saturating_add(duration.as_secs());
                token.filter(|token| is_due(token.made))
            }
            Kind::Classic(_) => self.seal.open_hex(value),
        };
        choice.map_or(CookieState::Invalid, |token| {
            CookieState::Names(token.choice)
        })
    }
}

/// A client's sticky session: what its cookies name, and which cookies its response sets.
#[derive(Debug)]
pub(crate) struct Session {
    /// The choice among groups, by the key of the group.
    group: Option<(Arc<Sticky>, u64)>,
    /// The choice among targets.
    target: Option<Arc<Sticky>>,
    /// The target that the client's cookie names, chosen or not.
    pub(crate) named: Option<u64>,
    /// The application's cookie is for requests from other sites.
    cross_site: bool,
}

/// The cookies that one response sets.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    /// Values of Set-Cookie.
    pub(crate) always: Vec<String>,
    /// Values that depend on whether the target sets the application's cookie.
    pub(crate) of_application: Option<OfApplication>,
    /// Whether caches are told to leave out the cookies, unless the target says what they do. Observed, not documented.
    pub(crate) forbids_caching: bool,
}

/// The cookies of a session that is tied to the application's cookie.
#[derive(Debug)]
pub(crate) struct OfApplication {
    /// The name of the application's cookie.
    pub(crate) name: Arc<str>,
    /// Values of Set-Cookie if the target sets it.
    pub(crate) beside: Vec<String>,
    /// Values of Set-Cookie if it does not.
    pub(crate) without: Vec<String>,
    /// Whether the values take over the attributes of the application's cookie, such as its path and its age.
    pub(crate) follows: bool,
}

impl Session {
    /// The session of the client that sent `head`; `None` when neither groups nor targets are
    /// sticky. `to_group` has the key of the chosen group.
    pub(crate) fn new(
        to_group: Option<(&Arc<Sticky>, u64)>,
        to_target: Option<&Arc<Sticky>>,
        head: &RequestHead<'_>,
        now: u64,
    ) -> Option<Box<Self>> {
        if to_group.is_none() && to_target.is_none() {
            return None;
        }
        let named = match to_target.map(|sticky| sticky.target(head, now)) {
            Some(CookieState::Names(key)) => Some(key),
            Some(CookieState::Absent | CookieState::Invalid) | None => None,
        };
        Some(Box::new(Self {
            group: to_group.map(|(sticky, key)| (Arc::clone(sticky), key)),
            target: to_target.cloned(),
            named,
            cross_site: head.value("origin").is_some()
                && head.value("user-agent").is_some_and(wants_same_site),
        }))
    }

    /// The cookies for a response of `target` at `now`.
    pub(crate) fn cookies(&self, target: &Target, now: u64) -> Box<Cookies> {
        if let Some(sticky) = &self.target
            && let Kind::Classic(expiration) = sticky.kind
        {
            return Box::new(self.classic_cookies(sticky, expiration, target.key(), now));
        }
        let expires = HttpDate::from_unix(now.saturating_add(EXPIRES));
        let expires = String::from_utf8_lossy(expires.as_bytes());
        let set = |name: &str, value: &str, end: &str| {
            format!("{name}={value}; Expires={expires}; Path=/{end}")
        };
        let line = |name: &str, sticky: &Sticky, choice: u64, end: &str| {
            let value = sticky.seal.close(choice, now);
            set(name, &String::from_utf8_lossy(&value), end)
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
                    let removed = || UNUSED.map(|name| set(name, REMOVED, end));
                    let line = line(APPLICATION, sticky, key, end);
                    let beside = std::iter::once(line).chain(removed());
                    if self.named.is_some_and(|named| named != key) {
                        // The session moved to another target, which need not know of it.
                        cookies.always.extend(beside);
                        return Box::new(cookies);
                    }
                    let without = match self.named {
                        Some(_) => Vec::new(),
                        None => {
                            let none = set(APPLICATION, REMOVED, end);
                            std::iter::once(none).chain(removed()).collect()
                        }
                    };
                    cookies.of_application = Some(OfApplication {
                        name: Arc::clone(name),
                        beside: beside.collect(),
                        without,
                        follows: false,
                    });
                }
            },
        }
        Box::new(cookies)
    }

    /// The cookies of a Classic load balancer, in its spelling: a session keeps its first one (CLB guide: sticky
    /// sessions).
    fn classic_cookies(
        &self,
        sticky: &Sticky,
        expiration: Option<Duration>,
        key: u64,
        now: u64,
    ) -> Cookies {
        let mut cookies = Cookies::default();
        let has_moved = self.named.is_some_and(|named| named != key);
        let value = sticky.seal.close_hex(key, now);
        let age =
            expiration.map_or_else(String::new, |time| format!(";MAX-AGE={}", time.as_secs()));
        match &sticky.application {
            None if self.named == Some(key) => {}
            None => {
                let [cross, plain] = INSTANCE;
                cookies.always = vec![
                    format!("{plain}={value};PATH=/{age}"),
                    format!("{cross}={value};PATH=/{age};SECURE;SAMESITE=None"),
                ];
            }
            // The session moved to another instance, which need not know of it.
            Some(_) if has_moved => cookies.always.push(format!("{AWSELB}={value};PATH=/")),
            Some(name) => {
                cookies.of_application = Some(OfApplication {
                    name: Arc::clone(name),
                    beside: vec![format!("{AWSELB}={value}")],
                    without: Vec::new(),
                    follows: true,
                });
            }
        }
        cookies.forbids_caching = true;
        cookies
    }
}

const SAME_SITE: &str = "; SameSite=None; Secure";

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
