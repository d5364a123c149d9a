//! Where the fields of a model come from, and what can be left out when elbow does not serve one of them.

use std::collections::BTreeSet;

use elbow_model::Origin;

/// A part of a stack that can be left out when elbow does not serve it. Leaving it out lets nobody in who would be kept
/// out on AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A field of a target group, by the names of both.
    GroupField(String, &'static str),
    /// A target group, and everything that forwards to it.
    Group(String),
    /// A condition of a rule, by the rule's id and its index. Without it the rule forwards nothing.
    Condition(String, usize),
    /// The actions of a rule, by the rule's id. Without them it answers 503.
    Rule(String),
    /// The default actions of a listener, by its port. Without them it answers 503.
    Default(u16),
    /// A listener, by its port.
    Listener(u16),
}

impl Part {
    /// What leaving it out means, for messages.
    pub(super) fn consequence(&self) -> &'static str {
        match self {
            Self::GroupField(..) => "it is left out",
            Self::Group(_) => "the target group and what leads to it are left out",
            Self::Condition(..) | Self::Rule(_) => "the rule answers 503",
            Self::Default(_) => "what no other rule takes is answered 503",
            Self::Listener(_) => "the listener is left out",
        }
    }
}

/// The parts of a stack that are left out.
pub(super) type LeftOut = BTreeSet<Part>;

/// Where an attribute was written. A missing one is reported at the attribute whose key has the longest beginning in
/// common: the one that needs it.
pub(super) fn of_attribute<'o>(
    attributes: impl Iterator<Item = (&'o str, &'o Origin)>,
    key: &str,
) -> Option<&'o Origin> {
    let in_common = |other: &str| {
        let pairs = other.bytes().zip(key.bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let nearest = attributes.max_by_key(|(other, _)| (*other == key, in_common(other)));
    nearest.map(|(_, origin)| origin)
}

/// A field of a model that a stack becomes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where its value was written.
    pub(super) origin: Origin,
    /// What to leave out when the value is not served; `None`: the load balancer is refused.
    pub(super) part: Option<Part>,
}

impl Place {
    /// Of a value that cannot be left out.
    pub(super) fn fixed(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            part: None,
        }
    }

    /// Of a value of a part.
    pub(super) fn of(origin: &Origin, part: Part) -> Self {
        Self {
            origin: origin.clone(),
            part: Some(part),
        }
    }
}
