//! Transforms of rules (ALB guide: transforms).

use std::sync::Arc;

use super::condition::expression;
use super::item::{Item, Seen};
use crate::{Expression, Rewrite, Transforms};

pub(super) const FIELDS: &[&str] = &["type", "hostHeaderRewriteConfig", "urlRewriteConfig"];
pub(super) const CONFIG_FIELDS: &[&str] = &["rewrites"];
pub(super) const REWRITE_FIELDS: &[&str] = &["regex", "replace"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    HostHeader,
    Url,
}

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("host-header-rewrite", Kind::HostHeader),
    ("url-rewrite", Kind::Url),
];

impl Kind {
    fn config(self) -> &'static str {
        match self {
            Self::HostHeader => "hostHeaderRewriteConfig",
            Self::Url => "urlRewriteConfig",
        }
    }
}

/// The transforms of a rule: at most one of each type.
pub(super) fn read_all(item: &Item<'_>) -> Transforms {
    let mut transforms = Transforms::default();
    let mut seen = Seen::new("transform");
    for item in item.items() {
        match read(&item, &mut seen) {
            Some((Kind::HostHeader, rewrite)) => transforms.host_header = Some(rewrite),
            Some((Kind::Url, rewrite)) => transforms.url = Some(rewrite),
            None => {}
        }
    }
    transforms
}

fn read(item: &Item<'_>, seen: &mut Seen<&'static str>) -> Option<(Kind, Rewrite)> {
    let fields = item.fields(FIELDS)?;
    let kind = fields.required("type")?.one_of(KINDS)?;
    for (name, other) in KINDS {
        if *other == kind {
            seen.check(name, item, "duplicate-transform");
        } else if let Some(item) = fields.get(other.config()) {
            item.error(
                "invalid-combination",
                format!("{} belongs to transforms of type {name}", other.config()),
            );
        }
    }
    let list = fields
        .required(kind.config())?
        .fields(CONFIG_FIELDS)?
        .required("rewrites")?;
    let items = list.items();
    if items.len() != 1 {
        let count = items.len();
        list.error(
            "out-of-range",
            format!("a transform has one rewrite, not {count}"),
        );
    }
    let fields = items.first()?.fields(REWRITE_FIELDS)?;
    let regex = fields.required("regex").and_then(|item| {
        let text = printable(&item)?;
        // Names of hosts are the same in any case; paths are not.
        expression(&item, text, kind == Kind::HostHeader)
    });
    let replace = fields.required("replace").and_then(|item| printable(&item));
    Some((
        kind,
        Rewrite {
            regex: regex?,
            replace: Arc::from(replace?),
        },
    ))
}

fn printable<'a>(item: &Item<'a>) -> Option<&'a str> {
    const MAX: usize = Expression::MAX_TRANSFORM;
    let text = item.text()?;
    let valid = text.len() <= MAX && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if !valid {
        item.error(
            "invalid-pattern",
            format!("{text:?} is not up to {MAX} characters of printable ASCII"),
        );
    }
    valid.then_some(text)
}
