//! A listener in force: its rules compiled, its attributes at hand.

use std::net::IpAddr;
use std::sync::Arc;

use elbow_balance::Group;
use elbow_model::{LoadBalancerAttributes, LoadBalancerType, Transforms};

use crate::additions::ResponseFields;
use crate::classic;
use crate::error::Error;
use crate::head::RequestHead;
use crate::page::{self, LocalResponse};
pub use crate::rules::{Forwarding, Member, Route, choose_group};
use crate::rules::{Rule, Subject};

/// An HTTP or HTTPS listener; immutable.
#[derive(Clone, Debug)]
pub struct Listener {
    /// `app/name/id`, or a Classic load balancer's name, as in access logs.
    pub load_balancer_id: Arc<str>,
    /// The Host of requests that name none.
    pub dns_name: Arc<str>,
    /// What clients connect to: `X-Forwarded-Port`, the port rule of Host, `#{port}`.
    pub port: u16,
    /// Whether clients speak TLS.
    pub https: bool,
    /// It is a Classic load balancer's.
    pub classic: bool,
    /// Of the load balancer.
    pub attributes: Arc<LoadBalancerAttributes>,
    /// What all responses get.
    pub(crate) response_fields: Option<Arc<ResponseFields>>,
    /// What targets read the TLS version in, when it is not `x-amzn-tls-version`.
    pub(crate) tls_version_header: Option<Arc<str>>,
    /// What targets read the cipher in, when it is not `x-amzn-tls-cipher-suite`.
    pub(crate) tls_cipher_header: Option<Arc<str>>,
    rules: Box<[Rule]>,
    default: Route,
}

/// What [`Listener::route`] found.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// Of the rule; 0 for the default action.
    pub priority: u32,
    /// What to do.
    pub action: &'a Route,
    /// What targets get to see instead of what the client sent.
    pub transforms: Option<&'a Transforms>,
}

impl Listener {
    /// Compiles `listener` of `lb`; `group` finds target groups by name.
    pub fn new(
        lb: &elbow_model::LoadBalancer,
        listener: &elbow_model::Listener,
        dns_name: Arc<str>,
        group: impl Fn(&str) -> Option<Arc<Group>>,
    ) -> Self {
        let id: Arc<str> = lb.resource_id().into();
        let mut rules: Box<[Rule]> = listener
            .rules
            .iter()
            .map(|rule| Rule::new(rule, &id, &group))
            .collect();
        rules.sort_by_key(|rule| rule.priority);
        let is_classic = lb.kind == LoadBalancerType::Classic;
        Self {
            default: Route::new(&listener.default_actions, &id, &group),
            load_balancer_id: id,
            dns_name,
            port: listener.port,
            https: listener.protocol.is_tls(),
            classic: is_classic,
            attributes: Arc::new(match is_classic {
                true => classic::attributes(&lb.attributes),
                false => lb.attributes.clone(),
            }),
            response_fields: ResponseFields::new(&listener.attributes),
            tls_version_header: listener.attributes.tls_version_header.clone(),
            tls_cipher_header: listener.attributes.tls_cipher_header.clone(),
            rules,
        }
    }

    /// The first rule by priority whose conditions all hold, else the default action (parity 1.3).
    /// `client` is the peer of the connection.
    pub fn route(&self, head: &RequestHead<'_>, client: IpAddr) -> Matched<'_> {
        let mut subject = Subject::new(head, client);
        match self.rules.iter().find(|rule| rule.matches(&mut subject)) {
            Some(rule) => Matched {
                priority: rule.priority,
                action: &rule.route,
                transforms: rule.transforms.as_deref(),
            },
            None => Matched {
                priority: 0,
                action: &self.default,
                transforms: None,
            },
        }
    }

    /// The status that `head` is refused with because this kind of load balancer does not take it,
    /// whatever its fields (parity 1.1 and section 4).
    pub(crate) fn refusal(&self, head: &RequestHead<'_>) -> Option<u16> {
        match self.classic {
            true => classic::refusal(head),
            false => (head.method == "TRACE").then_some(405),
        }
    }

    /// What the client gets for `error`.
    pub(crate) fn error_status(&self, error: &Error) -> u16 {
        match self.classic {
            true => classic::error_status(error.kind, error.status()),
            false => error.status(),
        }
    }

    /// What the client gets where an ALB answers `status`.
    pub(crate) fn status(&self, status: u16) -> u16 {
        match self.classic {
            true => classic::status(status),
            false => status,
        }
    }

    /// The response of our own for `status`.
    pub(crate) fn page(&self, status: u16) -> LocalResponse {
        match self.classic {
            true => classic::page(status),
            false => page::page(status),
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Whether targets read something of ours in the field `name`, by its configured name.
    pub(crate) fn has_renamed(&self, name: &str) -> bool {
        let renamed = [&self.tls_version_header, &self.tls_cipher_header];
        let mut renamed = renamed.into_iter().flatten();
        renamed.any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Whether `port` is one that a URL need not name.
    pub(crate) fn has_default_port(&self) -> bool {
        matches!(self.port, 80 | 443)
    }
}
