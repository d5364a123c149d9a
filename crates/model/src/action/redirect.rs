//! Redirects (ALB guide: redirect actions).

use std::fmt;
use std::sync::Arc;

use super::owner::Owner;
use crate::invalid::Place;
use crate::kinds::{Protocol, RedirectStatus};
use crate::read::{is_visible, one_of};
use crate::spec::RedirectSpec;

/// `RedirectConfig`: fields may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}`, `#{query}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}` (the default).
    pub protocol: Arc<str>,
    /// 1-65535 or `#{port}` (the default).
    pub port: Arc<str>,
    /// 1-128 characters, `#{host}` by default.
    pub host: Arc<str>,
    /// Starts with `/`; `/#{path}` by default.
    pub path: Arc<str>,
    /// Without `?`; `#{query}` by default.
    pub query: Arc<str>,
    /// 301 or 302.
    pub status: RedirectStatus,
}

impl Redirect {
    pub(super) fn build(spec: &RedirectSpec, owner: Owner<'_>, at: &Place<'_>) -> Option<Self> {
        let part = |part: &Part, given: &Option<String>| -> Arc<str> {
            match given {
                Some(text) => {
                    part.check(text, &at.field(part.name));
                    text[..].into()
                }
                None => part.default.into(),
            }
        };
        let (protocol, port) = (part(&PROTOCOL, &spec.protocol), part(&PORT, &spec.port));
        let (host, path) = (part(&HOST, &spec.host), part(&PATH, &spec.path));
        let query = part(&QUERY, &spec.query);
        let Some(code) = &spec.status_code else {
            at.missing("statusCode");
            return None;
        };
        let redirect = Self {
            protocol,
            port,
            host,
            path,
            query,
            status: one_of(code, RedirectStatus::NAMES, &at.field("statusCode"))?,
        };
        redirect.check(owner, at);
        Some(redirect)
    }

    /// A redirect changes something that the listener sees, and never leads from HTTPS to HTTP.
    fn check(&self, owner: Owner<'_>, at: &Place<'_>) {
        let (Some(protocol), Some(port)) = (owner.protocol, owner.port) else {
            return;
        };
        if protocol == Protocol::Https && &*self.protocol == "HTTP" {
            at.error(
                "invalid-redirect",
                format!("{owner} would redirect from HTTPS to HTTP"),
            );
        }
        let same_protocol = ["#{protocol}", protocol.as_str()].contains(&&*self.protocol);
        let same_port = &*self.port == "#{port}" || *self.port == port.to_string();
        let same_rest = &*self.host == "#{host}" && &*self.path == "/#{path}";
        if same_protocol && same_port && same_rest {
            at.error_with(
                "redirect-loop",
                format!("{owner} redirects a request to itself"),
                "change the protocol, the port, the host or the path".to_owned(),
            );
        }
    }
}

/// A part of the target of a redirect.
struct Part {
    name: &'static str,
    default: &'static str,
    placeholders: &'static [&'static str],
    is_valid: fn(&str) -> bool,
    what: &'static str,
}

const PROTOCOL: Part = Part {
    name: "protocol",
    default: "#{protocol}",
    placeholders: &["#{protocol}"],
    is_valid: |text| matches!(text, "HTTP" | "HTTPS" | "#{protocol}"),
    what: "HTTP, HTTPS or #{protocol}",
};

const PORT: Part = Part {
    name: "port",
    default: "#{port}",
    placeholders: &["#{port}"],
    is_valid: |text| {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        text == "#{port}" || (is_number && text.parse::<u16>().is_ok_and(|port| port > 0))
    },
    what: "a port from 1 to 65535, or #{port}",
};

const HOST: Part = Part {
    name: "host",
    default: "#{host}",
    placeholders: &["#{host}"],
    is_valid: |text| (1..=128).contains(&text.len()) && is_visible(text),
    what: "a host of 1 to 128 visible characters",
};

const PATH: Part = Part {
    name: "path",
    default: "/#{path}",
    placeholders: &["#{host}", "#{port}", "#{path}"],
    is_valid: |text| text.starts_with('/') && text.len() <= 128 && is_visible(text),
    what: "a path of 1 to 128 visible characters that starts with \"/\"",
};

const QUERY: Part = Part {
    name: "query",
    default: "#{query}",
    placeholders: &["#{protocol}", "#{host}", "#{port}", "#{path}", "#{query}"],
    is_valid: |text| !text.starts_with('?') && text.len() <= 128 && is_visible(text),
    what: "a query of up to 128 visible characters without the \"?\"",
};

impl Part {
    fn check(&self, text: &str, at: &Place<'_>) {
        if !(self.is_valid)(text) {
            at.error("invalid-redirect", format!("{text:?} is not {}", self.what));
        } else if !self.has_only_placeholders(text) {
            at.error_with(
                "invalid-redirect",
                format!("{text:?} has a placeholder that {} cannot hold", self.name),
                format!("it can hold {}", self.placeholders.join(", ")),
            );
        }
    }

    fn has_only_placeholders(&self, text: &str) -> bool {
        let is_known = |rest: &str| self.placeholders.iter().any(|name| rest.starts_with(name));
        let mut starts = text.match_indices("#{");
        starts.all(|(i, _)| text.get(i..).is_some_and(is_known))
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            host,
            port,
            path,
            query,
            status,
        } = self;
        let code = status.code();
        write!(
            f,
            "redirect {code} to {protocol}://{host}:{port}{path}?{query}"
        )
    }
}
