//! IngressGroups: who is a member, and in which order.

use std::collections::BTreeSet;
use std::fmt;

use super::PREFIX;
use crate::Refusal;
use crate::annotations::Lookup;
use crate::bounds::TooMuch;
use crate::objects::{Ingress, IngressClassParams};
use crate::stack::Source;

/// An Ingress that is ours, with what its class says.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) ingress: &'a Ingress,
    pub(super) params: Option<&'a IngressClassParams>,
}

impl<'a> Member<'a> {
    /// The annotations of the Ingress.
    pub(super) fn annotations(&self) -> Lookup<'a> {
        Lookup::new(PREFIX, vec![&self.ingress.meta])
    }

    /// `namespace/name`.
    pub(super) fn key(&self) -> String {
        self.ingress.meta.key()
    }

    /// What a resource of this member was made of.
    pub(super) fn source(&self) -> Source {
        let meta = &self.ingress.meta;
        Source {
            ingress: Some((meta.namespace.clone(), meta.name.clone())),
            ..Source::default()
        }
    }
}

/// What tells groups apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupId {
    /// Named by its members.
    Explicit(String),
    /// An Ingress for itself.
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
    if let Some(found) = member.annotations().find("group.name") {
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
        "\"{name}\" is no name of a group: at most 63 of a-z, 0-9, '-' and '.', a letter or digit at both ends"
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

/// Sorts the members of a group, whether or not what they say of their order can be read.
pub(crate) fn sort(members: &mut [&Ingress]) {
    let order = |ingress: &Ingress| {
        let annotations = Lookup::new(PREFIX, vec![&ingress.meta]);
        let order = annotations.integer("group.order").ok().flatten();
        (order.unwrap_or(0), ingress.meta.key())
    };
    members.sort_by_cached_key(|ingress| order(ingress));
}

impl<'a> Group<'a> {
    /// Sorts the members by `group.order`, then by name.
    pub(super) fn new(id: GroupId, members: Vec<Member<'a>>) -> Result<Self, Refusal> {
        let mut ordered = Vec::with_capacity(members.len());
        for member in members {
            let order = member.annotations().integer("group.order")?.unwrap_or(0);
            if !(-1000..=1000).contains(&order) {
                let message = format!("group.order is {order}, which is not within -1000 to 1000");
                return Err(match member.annotations().find("group.order") {
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

    /// The one value that the members give; two different ones refuse the stack.
    pub(super) fn only<T: Ord + fmt::Debug>(
        &self,
        what: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Option<T>, Refusal> {
        let mut values: BTreeSet<T> = values.into_iter().collect();
        if values.len() > 1 {
            return Err(self.conflict(what, &format!("{values:?}")));
        }
        Ok(values.pop_first())
    }

    /// The error that members differ in `what`: at the last that says something of it, with what each says.
    fn conflict(&self, what: &str, values: &str) -> Refusal {
        let members = self.members.iter();
        let said = members.filter_map(|member| {
            let annotations = member.annotations();
            let found = annotations.find(what)?;
            Some(format!("{} in {}", found.value, member.key()))
        });
        let said: Vec<String> = said.collect();
        let told = match said.is_empty() {
            true => values.to_owned(),
            false => said.join(", "),
        };
        let message = format!("the group gives different values for {what}: {told}");
        let last = self.members.iter().rev().find_map(|member| {
            let annotations = member.annotations();
            let found = annotations.find(what)?;
            Some(found.refuse("conflict", message.clone()))
        });
        let refusal = last.unwrap_or_else(|| self.refuse("conflict", message));
        Box::new(refusal.hint("give it at one member, or the same at each"))
    }

    /// An error at the first annotation `what` that has `text` in it, else at the first member.
    pub(super) fn refuse_saying(
        &self,
        what: &str,
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

    /// The error that the load balancer would have too much of something.
    pub(super) fn too_much(&self, bound: TooMuch) -> Refusal {
        Box::new(self.refuse(bound.code, bound.message).hint(bound.hint))
    }

    /// An error about the group as a whole, at its first member.
    pub(super) fn refuse(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        let message = message.into();
        match self.members.first() {
            Some(member) => member.ingress.meta.refuse(code, message),
            None => Box::new(elbow_model::diagnostic::Diagnostic::error(code, message)),
        }
    }
}
