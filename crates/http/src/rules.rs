//! Listener rules, compiled: which action a request gets.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use elbow_balance::{Group, choose_weighted};
use elbow_model::Transforms;

use crate::head::RequestHead;
use crate::seal::key_of;
use crate::sticky::Sticky;
use crate::uri::{RequestTarget, normalise, split_port};

use condition::Test;

mod condition;

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Route {
    /// Send to one of the groups by weight.
    Forward(Forwarding),
    /// Answer 301 or 302.
    Redirect(elbow_model::Redirect),
    /// Answer with a fixed body.
    FixedResponse(elbow_model::FixedResponse),
}

/// A forward action, compiled.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    /// Where to.
    pub members: Vec<Member>,
    /// How clients stay with one of the groups.
    pub(crate) sticky: Option<Arc<Sticky>>,
}

/// A group of a forward action.
#[derive(Clone, Debug)]
pub struct Member {
    /// The group.
    pub group: Arc<Group>,
    /// Its share is weight / sum.
    pub weight: u32,
    /// What cookies know it by.
    pub(crate) key: u64,
    /// How clients stay with one of its targets.
    pub(crate) sticky: Option<Arc<Sticky>>,
}

impl Member {
    pub(crate) fn new(group: Arc<Group>, weight: u32) -> Self {
        Self {
            key: key_of(&group.config.name),
            sticky: Sticky::of_group(&group),
            group,
            weight,
        }
    }
}

impl Route {
    /// Compiles the terminal action of `actions` of the load balancer `id`; without one, or when its
    /// groups are unknown, requests find no targets.
    pub(crate) fn new(
        actions: &[elbow_model::Action],
        id: &str,
        group: &impl Fn(&str) -> Option<Arc<Group>>,
    ) -> Self {
        match actions.last() {
            Some(elbow_model::Action::Forward(forward)) => Self::Forward(Forwarding {
                members: forward
                    .target_groups
                    .iter()
                    .filter_map(|g| Some(Member::new(group(&g.target_group)?, g.weight)))
                    .collect(),
                sticky: forward
                    .stickiness
                    .map(|duration| Sticky::to_groups(id, duration)),
            }),
            Some(elbow_model::Action::Redirect(redirect)) => Self::Redirect(redirect.clone()),
            Some(elbow_model::Action::FixedResponse(fixed)) => Self::FixedResponse(fixed.clone()),
            None => Self::Forward(Forwarding::default()),
        }
    }

    /// As in `actions_executed` of the access log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Redirect(_) => "redirect",
            Self::FixedResponse(_) => "fixed-response",
        }
    }
}

/// One of `members` by weight: an empty group does not fail over to another (parity 1.4). `None`
/// when all weights are 0.
pub fn choose_group(members: &[Member], random: u64) -> Option<&Member> {
    if let [member @ Member { weight: 1.., .. }] = members {
        return Some(member);
    }
    let index = choose_weighted(members.iter().map(|member| member.weight), random)?;
    members.get(index)
}

/// A rule of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) priority: u32,
    conditions: Box<[Test]>,
    pub(crate) route: Route,
    pub(crate) transforms: Option<Box<Transforms>>,
}

impl Rule {
    pub(crate) fn new(
        rule: &elbow_model::Rule,
        id: &str,
        group: &impl Fn(&str) -> Option<Arc<Group>>,
    ) -> Self {
        Self {
            priority: rule.priority,
            conditions: rule.conditions.iter().map(Test::new).collect(),
            route: Route::new(&rule.actions, id, group),
            transforms: (rule.transforms != Transforms::default())
                .then(|| Box::new(rule.transforms.clone())),
        }
    }

    /// Whether all conditions hold.
    pub(crate) fn matches(&self, subject: &mut Subject<'_>) -> bool {
        self.conditions.iter().all(|test| test.holds(subject))
    }
}

/// What conditions look at, taken from the head once and only when asked for.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    head: &'a RequestHead<'a>,
    target: RequestTarget<'a>,
    client: IpAddr,
    host: Option<Option<&'a [u8]>>,
    path: Option<Option<Cow<'a, [u8]>>>,
}

impl<'a> Subject<'a> {
    /// What a request from `client` offers.
    pub(crate) fn new(head: &'a RequestHead<'a>, client: IpAddr) -> Self {
        Self {
            head,
            client: client.to_canonical(),
            target: RequestTarget::parse(head.target),
            host: None,
            path: None,
        }
    }

    /// The peer of the connection.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    pub(super) fn method(&self) -> &str {
        self.head.method
    }

    /// The values of all fields called `name`.
    pub(super) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.head.values(name).filter(|value| is_visible(value))
    }

    /// Keys and what they are set to; a key alone is set to nothing.
    pub(super) fn query(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let query = self.target.query.unwrap_or_default().as_bytes();
        query
            .split(|b| *b == b'&')
            .filter(|pair| !pair.is_empty() && is_visible(pair))
            .map(|pair| match memchr::memchr(b'=', pair) {
                Some(at) => (
                    pair.get(..at).unwrap_or_default(),
                    pair.get(at + 1..).unwrap_or_default(),
                ),
                None => (pair, &[][..]),
            })
    }

    pub(super) fn host(&mut self) -> Option<&[u8]> {
        *self.host.get_or_insert_with(|| {
            let authority = request_authority(self.head, &self.target)?;
            Some(split_port(authority).0).filter(|host| is_visible(host))
        })
    }

    pub(super) fn path(&mut self) -> Option<&[u8]> {
        self.path
            .get_or_insert_with(|| {
                let path = self.target.path.as_bytes();
                is_visible(path).then(|| normalise(path))
            })
            .as_deref()
    }
}

/// Who is asked: the authority of an absolute target, else the first Host header (parity 1.3).
pub(crate) fn request_authority<'a>(
    head: &RequestHead<'a>,
    target: &RequestTarget<'a>,
) -> Option<&'a [u8]> {
    match target.authority {
        Some(authority) => Some(authority.as_bytes()),
        None => head.value("host"),
    }
}

/// Rules apply to visible characters only (parity 1.3).
fn is_visible(value: &[u8]) -> bool {
    !value.iter().any(u8::is_ascii_control)
}

#[cfg(test)]
mod tests;
