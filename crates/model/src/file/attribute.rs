//! Attributes by their AWS keys: which there are, what they may be, and what elbow makes of them.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::item::Item;
use crate::suggest::did_you_mean;
use crate::{
    ListenerAttributes, LoadBalancerAttributes, LoadBalancerType, Protocol, TargetGroupAttributes,
};

struct Attribute {
    key: &'static str,
    values: Values,
    effect: Effect,
}

#[derive(Clone, Copy)]
enum Values {
    Flag,
    Number(u32, u32),
    ZeroOr(u32, u32),
    OffOr(u32, u32),
    OneOf(&'static [&'static str]),
    /// Of a field that requests get.
    HeaderName,
    /// Of a field that responses get; empty for none.
    HeaderValue,
    Text,
}

#[derive(Clone, Copy)]
enum Effect {
    /// It does what it says, or is a detail of one that does not and says so itself.
    Served,
    /// elbow behaves as these values say; another is taken with a warning.
    Without(&'static [&'static str]),
}

use Effect::Without;
use Values::{Flag, HeaderName, HeaderValue, Number, OffOr, OneOf, Text, ZeroOr};
use tables::*;

mod parsed;
mod tables;

/// Characters of the name of a header.
const MAX_NAME: usize = 40;

/// Bytes of the value of a header (ALB guide: header modification).
const MAX_VALUE: usize = 1024;

/// What frames a message or says whose it is has no other meaning.
const UNTOUCHABLE: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The attributes that an object of one kind has, and those of its sibling, for better messages.
struct Table {
    of: &'static str,
    known: [&'static [Attribute]; 2],
    sibling: &'static str,
    foreign: &'static [Attribute],
}

/// Attributes of a load balancer.
pub(super) fn load_balancer(item: &Item<'_>, kind: LoadBalancerType) -> LoadBalancerAttributes {
    let (application, network) = ("application load balancers", "network load balancers");
    let raw = match kind {
        LoadBalancerType::Application => read(
            item,
            &Table {
                of: application,
                known: [COMMON, APPLICATION],
                sibling: network,
                foreign: NETWORK,
            },
        ),
        LoadBalancerType::Network => read(
            item,
            &Table {
                of: network,
                known: [COMMON, NETWORK],
                sibling: application,
                foreign: APPLICATION,
            },
        ),
        LoadBalancerType::Classic => read(
            item,
            &Table {
                of: "classic load balancers",
                known: [CLASSIC, &[]],
                sibling: application,
                foreign: APPLICATION,
            },
        ),
    };
    LoadBalancerAttributes::from_raw(raw)
}

/// Attributes of a listener, which depend on its protocol.
pub(super) fn listener(item: &Item<'_>, protocol: Option<Protocol>) -> ListenerAttributes {
    let (of, known, sibling, foreign): (_, [&'static [Attribute]; 2], _, _) = match protocol {
        Some(Protocol::Http) => (
            "listeners of protocol HTTP",
            [HTTP_LISTENER, &[]],
            "listeners of protocol HTTPS",
            HTTPS_LISTENER,
        ),
        Some(Protocol::Https) => (
            "listeners of protocol HTTPS",
            [HTTP_LISTENER, HTTPS_LISTENER],
            "listeners of protocol TCP",
            TCP_LISTENER,
        ),
        Some(Protocol::Tcp) => (
            "listeners of protocol TCP",
            [TCP_LISTENER, &[]],
            "listeners of protocol HTTP and HTTPS",
            HTTP_LISTENER,
        ),
        Some(_) => (
            "listeners of other protocols",
            [&[], &[]],
            "listeners of protocol TCP",
            TCP_LISTENER,
        ),
        // The protocol has been found wrong already.
        None => return ListenerAttributes::default(),
    };
    let table = Table {
        of,
        known,
        sibling,
        foreign,
    };
    ListenerAttributes::from_raw(read(item, &table))
}

/// Attributes of a target group, which depend on the kind of load balancer that can use it.
pub(super) fn target_group(item: &Item<'_>, protocol: Protocol) -> TargetGroupAttributes {
    let application = "groups of protocol HTTP and HTTPS";
    let network = "groups of protocol TCP, TLS, UDP and TCP_UDP";
    let raw = match protocol {
        Protocol::Http | Protocol::Https => read(
            item,
            &Table {
                of: application,
                known: [GROUP, APPLICATION_GROUP],
                sibling: network,
                foreign: NETWORK_GROUP,
            },
        ),
        _ => read(
            item,
            &Table {
                of: network,
                known: [GROUP, NETWORK_GROUP],
                sibling: application,
                foreign: APPLICATION_GROUP,
            },
        ),
    };
    let attributes = TargetGroupAttributes::from_raw(raw);
    parsed::check_stickiness(item, &attributes);
    attributes
}

/// The schema of the attributes of every kind of load balancer.
pub(super) fn load_balancer_schema(_: &mut SchemaGenerator) -> Schema {
    object_schema(&[COMMON, APPLICATION, NETWORK, CLASSIC])
}

/// The schema of the attributes of every kind of listener.
pub(super) fn listener_schema(_: &mut SchemaGenerator) -> Schema {
    object_schema(&[TCP_LISTENER, HTTP_LISTENER, HTTPS_LISTENER])
}

/// The schema of the attributes of every kind of target group.
pub(super) fn target_group_schema(_: &mut SchemaGenerator) -> Schema {
    object_schema(&[GROUP, APPLICATION_GROUP, NETWORK_GROUP])
}

fn object_schema(tables: &[&[Attribute]]) -> Schema {
    let mut properties: BTreeMap<&str, Schema> = BTreeMap::new();
    for attribute in tables.iter().copied().flatten() {
        let own = attribute.values.schema();
        // One key may mean more in one kind than in the other: then any text will do.
        let schema = match properties.get(attribute.key) {
            Some(other) if *other != own => Text.schema(),
            _ => own,
        };
        properties.insert(attribute.key, schema);
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The attributes that hold, as written.
fn read(item: &Item<'_>, table: &Table) -> BTreeMap<String, String> {
    let mut raw = BTreeMap::new();
    for (key, at, value) in item.pairs() {
        let known = || table.known.iter().copied().flatten();
        if let Some(attribute) = known().find(|a| a.key == key) {
            if let Some(text) = attribute.read(&value) {
                raw.insert(key.to_owned(), text.to_owned());
            }
        } else if table.foreign.iter().any(|a| a.key == key) {
            value.error_at(
                at,
                "attribute-not-applicable",
                format!(
                    "{key} is an attribute of {}, not of {}",
                    table.sibling, table.of
                ),
                None,
            );
        } else {
            value.error_at(
                at,
                "unknown-attribute",
                format!("{} have no attribute \"{key}\"", table.of),
                did_you_mean(key, known().map(|a| a.key)),
            );
        }
    }
    raw
}

impl Values {
    /// AWS has them as text; a number or a flag without quotes is as good.
    fn schema(self) -> Schema {
        match self {
            Flag => json_schema!({"enum": ["true", "false", true, false]}),
            OneOf(names) if names.contains(&"true") => {
                json_schema!({"anyOf": [{"type": "boolean"}, {"enum": names}]})
            }
            OneOf(names) => json_schema!({"enum": names}),
            Number(from, to) => json_schema!({
                "type": ["string", "integer"],
                "pattern": "^[0-9]+$",
                "minimum": from,
                "maximum": to,
            }),
            ZeroOr(_, to) => Number(0, to).schema(),
            OffOr(from, to) => {
                json_schema!({"anyOf": [{"const": "off"}, Number(from, to).schema()]})
            }
            HeaderName => json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_NAME}),
            HeaderValue => json_schema!({"type": "string", "maxLength": MAX_VALUE}),
            Text => json_schema!({"type": "string"}),
        }
    }
}

impl Attribute {
    fn read<'a>(&self, value: &Item<'a>) -> Option<&'a str> {
        let text = value.text()?;
        match self.values {
            Flag => drop(value.one_of(&[("true", ()), ("false", ())])?),
            Number(from, to) => drop(value.number(from..=to)?),
            ZeroOr(..) if text == "0" => {}
            OffOr(..) if text == "off" => {}
            ZeroOr(from, to) | OffOr(from, to) => drop(value.number(from..=to)?),
            OneOf(names) => {
                let table: Vec<(&'static str, ())> = names.iter().map(|n| (*n, ())).collect();
                value.one_of(&table)?;
            }
            HeaderName => header_name(value, text)?,
            HeaderValue => header_value(value, text)?,
            Text => {}
        }
        let key = self.key;
        if let Without(as_is) = self.effect
            && !as_is.contains(&text)
        {
            value.warn("no-effect", format!("{key} is taken, but has no effect"));
        }
        Some(text)
    }
}

/// The name of a field that targets are to read in place of the usual one.
fn header_name(item: &Item<'_>, text: &str) -> Option<()> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let taken = UNTOUCHABLE
        .iter()
        .any(|name| name.eq_ignore_ascii_case(text));
    if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(is_token) || taken {
        item.error(
            "invalid-header",
            format!("{text:?} is no name of up to {MAX_NAME} characters for a header of this kind"),
        );
        return None;
    }
    Some(())
}

/// The characters that the API takes (ALB guide: header modification).
fn header_value(item: &Item<'_>, text: &str) -> Option<()> {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || b"_ :;.,\\/'?!(){}[]@<>=-+*#&`|~^%".contains(&b);
    if text.len() > MAX_VALUE || !text.bytes().all(allowed) {
        item.error_with(
            "invalid-header",
            format!("{text:?} is no value for a header here"),
            format!(
                "up to {MAX_VALUE} letters, digits, spaces and _:;.,\\/'?!(){{}}[]@<>=-+*#&`|~^%"
            ),
        );
        return None;
    }
    Some(())
}
