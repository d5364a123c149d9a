//! IngressGroups: their members and the order of these.

use std::collections::BTreeSet;
use std::fmt;

use crate::annotations::{Row, ingress as keys};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{At, Origin};

use crate::Refusal;
use crate::bounds::TooMuch;
use crate::lookup::Lookup;
use crate::objects::{Ingress, IngressClassParams};

/// An Ingress of the ALB controller, with the parameters of its class.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) ingress: &'a Ingress,
    pub(super) params: Option<&'a IngressClassParams>,
    /// Whether its controller is that of EKS Auto Mode.
    pub(super) is_auto: bool,
    /// A warning for everything about its class that stands in.
    pub(super) stand_ins: Vec<Diagnostic>,
}

impl<'a> Member<'a> {
    /// The annotations of the Ingress.
    pub(super) fn annotations(&self) -> Lookup<'a> {
        Lookup::new(vec![&self.ingress.meta]).in_auto_mode(self.is_auto)
    }

    /// A text: the class's, else the annotation's.
    pub(super) fn text(
        &self,
        suffix: &'static Row,
        class: impl Fn(&IngressClassParams) -> Option<String>,
    ) -> Option<At<String>> {
        let of_class = self.params.and_then(|params| {
            let text = class(params)?;
            Some(At::new(text, params.meta.origin()))
        });
        of_class.or_else(|| {
            let found = self.annotations().find(suffix)?;
            Some(At::new(found.value.to_owned(), found.origin()))
        })
    }

    /// `namespace/name`.
    pub(super) fn key(&self) -> String {
        self.ingress.meta.key()
    }
}

/// The identity of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupId {
    /// Named by its members.
    Explicit(String),
    /// A single Ingress without a group.
    Implicit { namespace: String, name: String },
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit(name) => f.write_str(name),
            Self::Implicit { namespace, name } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// The group of an Ingress: IngressClassParams first, then the annotation, else its own.
pub(super) fn id(member: &Member<'_>) -> Result<GroupId, Refusal> {
    if let Some(params) = member.params
        && let Some(group) = &params.group
    {
        return if is_group_name(group) {
            Ok(GroupId::Explicit(group.clone()))
        } else {
            Err(params.meta.refuse("invalid-group", wrong_name(group)))
        };
    }
    if let Some(found) = member.annotations().find(keys::GROUP_NAME) {
        return if is_group_name(found.value) {
            Ok(GroupId::Explicit(found.value.to_owned()))
        } else {
            Err(found.refuse("invalid-group", wrong_name(found.value)))
        };
    }
    let meta = &member.ingress.meta;
    Ok(GroupId::Implicit {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
    })
}

fn wrong_name(name: &str) -> String {
    format!(
        "invalid group name \"{name}\": use at most 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends"
    )
}

fn is_group_name(name: &str) -> bool {
    let ends = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    name.len() <= 63
        && name.starts_with(ends)
        && name.ends_with(ends)
        && name
            .chars()
            .all(|letter| ends(letter) || letter == '-' || letter == '.')
}

/// A group with its members in order.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) id: GroupId,
    pub(super) members: Vec<Member<'a>>,
}

/// Sorts the members of a group; an invalid `group.order` counts as 0.
pub(crate) fn sort(members: &mut [&Ingress]) {
    let order = |ingress: &Ingress| {
        let annotations = Lookup::new(vec![&ingress.meta]);
        let order = annotations.integer(keys::GROUP_ORDER).ok().flatten();
        (order.unwrap_or(0), ingress.meta.key())
    };
    members.sort_by_cached_key(|ingress| order(ingress));
}

impl<'a> Group<'a> {
    /// Sorts the members by `group.order`, then by name.
    pub(super) fn new(id: GroupId, members: Vec<Member<'a>>) -> Result<Self, Refusal> {
        let mut ordered = Vec::with_capacity(members.len());
        for member in members {
            let order = member.annotations().int32(keys::GROUP_ORDER)?.unwrap_or(0);
            if !(-1000..=1000).contains(&order) {
                let message = format!("group.order: expected -1000 to 1000, found {order}");
                return Err(match member.annotations().find(keys::GROUP_ORDER) {
                    Some(found) => found.refuse("out-of-range", message),
                    None => member.ingress.meta.refuse("out-of-range", message),
                });
            }
            ordered.push((order, member.key(), member));
        }
        ordered.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(Self {
            id,
            members: ordered.into_iter().map(|(_, _, member)| member).collect(),
        })
    }

    /// The value that all members agree on; different values refuse the stack.
    pub(super) fn only<T: Ord + fmt::Debug>(
        &self,
        what: &'static Row,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Option<T>, Refusal> {
        let mut values: BTreeSet<T> = values.into_iter().collect();
        if values.len() > 1 {
            return Err(self.conflict(what, &format!("{values:?}")));
        }
        Ok(values.pop_first())
    }

    /// [`Self::only`] for texts with their origins.
    pub(super) fn only_text(
        &self,
        what: &'static Row,
        values: Vec<At<String>>,
    ) -> Result<Option<At<String>>, Refusal> {
        let texts = values.iter().map(|text| text.value.clone());
        self.only(what, texts)?;
        Ok(values.into_iter().next())
    }

    /// The origin of the first member.
    pub(super) fn origin(&self) -> Origin {
        let first = self.members.first();
        first.map_or_else(Origin::default, |member| member.ingress.meta.origin())
    }

    /// The error that members set `what` differently: at the last of them, with the value of each.
    fn conflict(&self, what: &'static Row, values: &str) -> Refusal {
        let members = self.members.iter();
        let said = members.filter_map(|member| {
            let annotations = member.annotations();
            let found = annotations.find(what)?;
            Some(format!("{} in {}", found.value, member.key()))
        });
        let said: Vec<String> = said.collect();
        let told = if said.is_empty() {
            values.to_owned()
        } else {
            said.join(", ")
        };
        let message = format!("the members of the group set different values for {what}: {told}");
        let last = self.members.iter().rev().find_map(|member| {
            let annotations = member.annotations();
            let found = annotations.find(what)?;
            Some(found.refuse("conflict", message.clone()))
        });
        let refusal = last.unwrap_or_else(|| self.refuse("conflict", message));
        Box::new(refusal.hint("set it on one member, or to the same value on each"))
    }

    /// An error at the first annotation `what` that contains `text`, else at the first member.
    pub(super) fn refuse_saying(
        &self,
        what: &'static Row,
        text: &str,
        code: &'static str,
        message: String,
    ) -> Refusal {
        let said = self.members.iter().find_map(|member| {
            let annotations = member.annotations();
            let found = annotations.find(what)?;
            let says = found.value.contains(text);
            says.then(|| found.refuse(code, message.clone()))
        });
        said.unwrap_or_else(|| self.refuse(code, message))
    }

    /// The error that the load balancer would exceed a bound.
    pub(super) fn too_much(&self, bound: TooMuch) -> Refusal {
        Box::new(self.refuse(bound.code, bound.message).hint(bound.hint))
    }

    /// An error about the whole group, at its first member.
    pub(super) fn refuse(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        let message = message.into();
        match self.members.first() {
            Some(member) => member.ingress.meta.refuse(code, message),
            None => Box::new(Diagnostic::error(code, message)),
        }
    }
}
