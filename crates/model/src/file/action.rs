//! Actions of rules and listeners (ALB guide: action types).

use std::sync::Arc;
use std::time::Duration;

use super::item::{Item, Seen};
use super::listener::Place;
use super::{Declared, Scope, find};
use crate::suggest::did_you_mean;
use crate::{
    Action, ContentType, FixedResponse, Forward, LoadBalancerType, Protocol, Redirect,
    RedirectStatus, TargetGroup, WeightedTargetGroup,
};

pub(super) const FIELDS: &[&str] = &[
    "type",
    "forwardConfig",
    "redirectConfig",
    "fixedResponseConfig",
];
pub(super) const FORWARD_FIELDS: &[&str] = &["targetGroups", "targetGroupStickinessConfig"];
pub(super) const STICKINESS_FIELDS: &[&str] = &["enabled", "durationSeconds"];
pub(super) const TARGET_GROUP_FIELDS: &[&str] = &["targetGroup", "weight"];
pub(super) const REDIRECT_FIELDS: &[&str] =
    &["protocol", "port", "host", "path", "query", "statusCode"];
pub(super) const FIXED_RESPONSE_FIELDS: &[&str] = &["statusCode", "contentType", "messageBody"];

/// Target groups of a forward action (ALB guide: quotas).
const MAX_TARGET_GROUPS: usize = 5;

/// Bytes of a fixed body.
const MAX_BODY: usize = 1024;

/// Actions that AWS has beside the three that are served.
const UNSERVED: &[&str] = &[
    "authenticate-oidc",
    "authenticate-cognito",
    "jwt-validation",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Forward,
    Redirect,
    FixedResponse,
}

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("forward", Kind::Forward),
    ("redirect", Kind::Redirect),
    ("fixed-response", Kind::FixedResponse),
];

pub(super) const CONTENT_TYPES: &[(&str, ContentType)] = &[
    ("text/plain", ContentType::TextPlain),
    ("text/css", ContentType::TextCss),
    ("text/html", ContentType::TextHtml),
    ("application/javascript", ContentType::Javascript),
    ("application/json", ContentType::Json),
];

pub(super) const REDIRECT_CODES: &[(&str, RedirectStatus)] = &[
    ("HTTP_301", RedirectStatus::Moved),
    ("HTTP_302", RedirectStatus::Found),
];

impl Kind {
    fn config(self) -> &'static str {
        match self {
            Self::Forward => "forwardConfig",
            Self::Redirect => "redirectConfig",
            Self::FixedResponse => "fixedResponseConfig",
        }
    }
}

/// The actions of a rule or listener, of which there is exactly one.
pub(super) fn read_all(item: &Item<'_>, place: Place, scope: &Scope<'_>) -> Vec<Action> {
    let items = item.items();
    let served = |item: &&Item<'_>| !item.peek("type").is_some_and(|t| UNSERVED.contains(&t));
    match items.iter().filter(served).nth(1) {
        Some(second) => second.error("too-many", "one action is enough; this is another"),
        None if items.is_empty() => item.error("missing-field", "an action is missing"),
        None => {}
    }
    items
        .iter()
        .filter_map(|item| read(item, place, scope))
        .collect()
}

fn read(item: &Item<'_>, place: Place, scope: &Scope<'_>) -> Option<Action> {
    if let Some(name) = item.peek("type").filter(|name| UNSERVED.contains(name)) {
        item.not_supported(format_args!("actions of type {name} are"));
        return None;
    }
    let fields = item.fields(FIELDS)?;
    let kind_item = fields.required("type")?;
    let kind = kind_item.one_of(KINDS)?;
    if kind != Kind::Forward && place.kind == Some(LoadBalancerType::Network) {
        kind_item.error(
            "invalid-combination",
            "a network load balancer can only forward",
        );
    }
    for (name, other) in KINDS.iter().filter(|(_, other)| *other != kind) {
        if let Some(item) = fields.get(other.config()) {
            item.error(
                "invalid-combination",
                format!("{} belongs to actions of type {name}", other.config()),
            );
        }
    }
    let config = fields.required(kind.config())?;
    match kind {
        Kind::Forward => forward(&config, place, scope).map(Action::Forward),
        Kind::Redirect => redirect(&config, place).map(Action::Redirect),
        Kind::FixedResponse => fixed_response(&config).map(Action::FixedResponse),
    }
}

fn forward(item: &Item<'_>, place: Place, scope: &Scope<'_>) -> Option<Forward> {
    let fields = item.fields(FORWARD_FIELDS)?;
    let stickiness_item = fields.get("targetGroupStickinessConfig");
    let stickiness = stickiness_item
        .as_ref()
        .and_then(|item| stickiness(item, place));
    let list = fields.required("targetGroups")?;
    let items = list.items();
    if items.is_empty() || items.len() > MAX_TARGET_GROUPS {
        list.error(
            "out-of-range",
            format!(
                "a forward action has 1 to {MAX_TARGET_GROUPS} target groups, not {}",
                items.len()
            ),
        );
    }
    let mut names = Seen::new("target group");
    let mut first = None;
    let mut sticky = None;
    let groups = items.iter().filter_map(|item| {
        let fields = item.fields(TARGET_GROUP_FIELDS)?;
        let weight = match fields.get("weight") {
            Some(item) => item.number(0..=999),
            None => Some(1),
        };
        let name_item = fields.required("targetGroup")?;
        let name = name_item.text()?;
        names.check(name.to_owned(), &name_item, "duplicate-target-group");
        let group = target_group(&name_item, name, place, scope);
        let protocol = group.and_then(|group| group.protocol);
        if place.protocol == Some(Protocol::Tls)
            && protocol.is_some()
            && *first.get_or_insert(protocol) != protocol
        {
            name_item.error(
                "invalid-combination",
                "a TLS listener forwards to TCP groups or to TLS groups, not to both",
            );
        }
        if group.is_some_and(|group| group.value.attributes.stickiness.is_some()) {
            sticky = sticky.or(Some(name));
        }
        Some(WeightedTargetGroup {
            target_group: name.into(),
            weight: weight?,
        })
    });
    let target_groups: Vec<_> = groups.collect();
    if let Some(name) = sticky.filter(|_| target_groups.len() > 1 && stickiness.is_none()) {
        stickiness_item.as_ref().unwrap_or(item).error_with(
            "invalid-combination",
            format!("target group {name:?} is sticky, and one of several"),
            "AWS wants targetGroupStickinessConfig: {enabled: true, durationSeconds: 3600} beside it"
                .to_owned(),
        );
    }
    Some(Forward {
        target_groups,
        stickiness,
    })
}

/// How long a client stays with its group; `None` when it is not to.
fn stickiness(item: &Item<'_>, place: Place) -> Option<Duration> {
    let fields = item.fields(STICKINESS_FIELDS)?;
    let enabled = fields
        .get("enabled")
        .and_then(|item| item.one_of(&[("true", true), ("false", false)]))
        .unwrap_or_default();
    let seconds_item = fields.get("durationSeconds");
    let seconds = seconds_item
        .as_ref()
        .and_then(|item| item.number(1..=604_800));
    if !enabled {
        return None;
    }
    if place.protocol == Some(Protocol::Tls) {
        item.error(
            "invalid-combination",
            "target groups of a TLS listener cannot be sticky",
        );
    }
    if place.kind == Some(LoadBalancerType::Network) {
        // By the client's address, which does not run out.
        return Some(Duration::from_secs(seconds.unwrap_or(3600)));
    }
    if seconds_item.is_none() {
        fields.required("durationSeconds")?;
    }
    seconds.map(Duration::from_secs)
}

/// Checks that the group exists and that such a listener may forward to it (NLB guide: listeners);
/// the group.
fn target_group<'a>(
    item: &Item<'_>,
    name: &str,
    place: Place,
    scope: &Scope<'a>,
) -> Option<&'a Declared<TargetGroup>> {
    let Some(group) = find(scope.target_groups, name) else {
        item.error_with(
            "unknown-target-group",
            format!(
                "{} forwards to {name:?}, which no target group is called",
                place.name()
            ),
            did_you_mean(name, scope.target_groups.iter().map(|g| &*g.name)),
        );
        return None;
    };
    let protocol = group.protocol?;
    let allowed: &[Protocol] = match place.protocol? {
        Protocol::Http | Protocol::Https => &[Protocol::Http, Protocol::Https],
        Protocol::Tcp => &[Protocol::Tcp, Protocol::TcpUdp],
        Protocol::Tls => &[Protocol::Tcp, Protocol::Tls],
        Protocol::Udp => &[Protocol::Udp, Protocol::TcpUdp],
        Protocol::TcpUdp => &[Protocol::TcpUdp],
        Protocol::Ssl => &[],
    };
    if !allowed.contains(&protocol) {
        let names: Vec<_> = allowed.iter().map(|p| p.as_str()).collect();
        item.error_with(
            "invalid-combination",
            format!(
                "{} speaks {} and cannot forward to {name:?}, a group of protocol {}",
                place.name(),
                place.protocol?.as_str(),
                protocol.as_str()
            ),
            format!("it forwards to groups of protocol {}", names.join(", ")),
        );
        return None;
    }
    if group.value.attributes.stickiness.is_some() && place.protocol == Some(Protocol::Tls) {
        item.error(
            "invalid-combination",
            format!(
                "{} ends TLS, so that {name:?} cannot be sticky",
                place.name()
            ),
        );
    }
    Some(group)
}

fn redirect(item: &Item<'_>, place: Place) -> Option<Redirect> {
    let fields = item.fields(REDIRECT_FIELDS)?;
    let text = |name, default: &str, check: fn(&str) -> Option<&'static str>| -> Arc<str> {
        let Some(item) = fields.get(name) else {
            return default.into();
        };
        let Some(text) = item.text() else {
            return default.into();
        };
        let usable = placeholders(name);
        if let Some(what) = check(text) {
            item.error("invalid-redirect", format!("{text:?} is not {what}"));
        } else if !only_placeholders(text, usable) {
            item.error_with(
                "invalid-redirect",
                format!("{text:?} has a placeholder that {name} cannot hold"),
                format!("it can hold {}", usable.join(", ")),
            );
        }
        text.into()
    };
    let redirect = Redirect {
        protocol: text("protocol", "#{protocol}", |text| {
            let valid = matches!(text, "HTTP" | "HTTPS" | "#{protocol}");
            (!valid).then_some("HTTP, HTTPS or #{protocol}")
        }),
        port: text("port", "#{port}", |text| {
            let number = text.bytes().all(|b| b.is_ascii_digit())
                && text.parse::<u16>().is_ok_and(|port| port > 0);
            (!number && text != "#{port}").then_some("a port from 1 to 65535, or #{port}")
        }),
        host: text("host", "#{host}", |text| {
            let valid = (1..=128).contains(&text.len()) && visible(text);
            (!valid).then_some("a host of 1 to 128 visible characters")
        }),
        path: text("path", "/#{path}", |text| {
            let valid = text.starts_with('/') && text.len() <= 128 && visible(text);
            (!valid).then_some("a path of 1 to 128 visible characters from \"/\"")
        }),
        query: text("query", "#{query}", |text| {
            let valid = !text.starts_with('?') && text.len() <= 128 && visible(text);
            (!valid).then_some("a query of up to 128 visible characters without the \"?\"")
        }),
        status: fields.required("statusCode")?.one_of(REDIRECT_CODES)?,
    };
    check_redirect(item, &redirect, place);
    Some(redirect)
}

/// A redirect changes something that the listener sees, and never leads from HTTPS to HTTP.
fn check_redirect(item: &Item<'_>, redirect: &Redirect, place: Place) {
    let (Some(protocol), Some(port)) = (place.protocol, place.port) else {
        return;
    };
    if protocol == Protocol::Https && &*redirect.protocol == "HTTP" {
        item.error(
            "invalid-redirect",
            format!("{} would redirect from HTTPS to HTTP", place.name()),
        );
    }
    let same_protocol = ["#{protocol}", protocol.as_str()].contains(&&*redirect.protocol);
    let same_port = &*redirect.port == "#{port}" || *redirect.port == port.to_string();
    let same_rest = &*redirect.host == "#{host}" && &*redirect.path == "/#{path}";
    if same_protocol && same_port && same_rest {
        item.error_with(
            "redirect-loop",
            format!("{} redirects a request to itself", place.name()),
            "change the protocol, the port, the host or the path".to_owned(),
        );
    }
}

/// Printable ASCII without the space, which no URL holds.
fn visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// The placeholders that each part of a redirect may hold.
fn placeholders(field: &str) -> &'static [&'static str] {
    match field {
        "protocol" => &["#{protocol}"],
        "port" => &["#{port}"],
        "host" => &["#{host}"],
        "path" => &["#{host}", "#{port}", "#{path}"],
        _ => &["#{protocol}", "#{host}", "#{port}", "#{path}", "#{query}"],
    }
}

fn only_placeholders(text: &str, usable: &[&str]) -> bool {
    text.match_indices("#{").all(|(i, _)| {
        text.get(i..)
            .is_some_and(|rest| usable.iter().any(|name| rest.starts_with(name)))
    })
}

fn fixed_response(item: &Item<'_>) -> Option<FixedResponse> {
    let fields = item.fields(FIXED_RESPONSE_FIELDS)?;
    let status = fields.required("statusCode").and_then(|item| {
        let text = item.text()?;
        let status = text.parse::<u16>().ok().filter(|status| {
            text.len() == 3 && matches!(status, 200..=299 | 400..=499 | 500..=599)
        });
        if status.is_none() {
            item.error("out-of-range", format!("{text:?} is not 2XX, 4XX or 5XX"));
        }
        status
    });
    let content_type = fields
        .get("contentType")
        .and_then(|item| item.one_of(CONTENT_TYPES))
        .unwrap_or_default();
    let body = fields.get("messageBody").and_then(|item| {
        let text = item.text()?;
        if text.len() > MAX_BODY {
            let length = text.len();
            item.error(
                "out-of-range",
                format!("the body has {length} bytes; {MAX_BODY} are allowed"),
            );
        }
        Some(text)
    });
    Some(FixedResponse {
        status: status?,
        content_type,
        body: body.unwrap_or_default().into(),
    })
}
