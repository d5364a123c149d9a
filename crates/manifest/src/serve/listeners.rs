//! The listeners of an ALB or NLB, in the words of the model.

use elbow_model::{At, AttributesSpec, ListenerSpec, LoadBalancerType, Origin, Step};

use super::actions::{Actions, Unbuilt, unavailable};
use super::hosts::{Wanted, name, of_listener};
use super::place::{Part, Place, of_attribute};
use super::rules::{self, Rule};
use super::trust_stores::{self, LeftOut};
use crate::Context;
use crate::stack::{Listener, Stack};

/// A listener with the places of its fields.
pub(super) struct Front<'a> {
    kind: LoadBalancerType,
    from: &'a Listener,
    certificates: Vec<At<String>>,
    rules: Vec<Rule<'a>>,
}

/// Builds the listeners that are not left out, by port.
pub(super) fn build<'a>(
    stack: &'a Stack,
    kind: LoadBalancerType,
    context: &Context,
    actions: &mut Actions<'_, '_>,
    wanted: &mut Wanted,
) -> (Vec<Front<'a>>, Vec<ListenerSpec>) {
    let listeners = stack.listeners.values();
    let mut listeners: Vec<&Listener> = listeners.map(|one| &**one).collect();
    listeners.sort_by_key(|listener| *listener.port);
    let built = listeners
        .into_iter()
        .filter_map(|from| Front::build(from, stack, kind, context, actions, wanted));
    built.unzip()
}

impl<'a> Front<'a> {
    fn build(
        from: &'a Listener,
        stack: &'a Stack,
        kind: LoadBalancerType,
        context: &Context,
        actions: &mut Actions<'_, '_>,
        wanted: &mut Wanted,
    ) -> Option<(Self, ListenerSpec)> {
        let port = *from.port;
        if actions.is_left_out(&Part::Listener(port)) {
            return None;
        }
        let mutual_authentication = match trust_stores::mutual_authentication(from, context) {
            Ok(spec) => spec,
            Err(LeftOut::Warning(warning)) => {
                actions.notes.push(warning);
                return None;
            }
            Err(LeftOut::Error(error)) => {
                actions.faults.push(error);
                return None;
            }
        };
        let default_actions = default_actions(from, kind, actions)?;
        let certificates = of_listener(stack, from);
        for arn in &certificates {
            wanted.add(arn);
        }
        let names: Vec<String> = certificates.iter().map(|arn| name(arn)).collect();
        let (rules, specs): (Vec<_>, Vec<_>) = rules::of_listener(stack, port)
            .into_iter()
            .map(|(id, rule)| Rule::build(id, rule, actions))
            .unzip();
        let attributes: AttributesSpec = from
            .listener_attributes
            .iter()
            .map(|one| (one.key.clone(), one.value.value.clone()))
            .collect();
        let front = Self {
            kind,
            from,
            certificates,
            rules,
        };
        let spec = ListenerSpec {
            port: Some(port.into()),
            protocol: Some(from.protocol.value.clone()),
            ssl_policy: from.ssl_policy.as_ref().map(|one| one.value.clone()),
            alpn_policy: from.alpn_policy.first().map(|one| one.value.clone()),
            certificates: (!names.is_empty()).then_some(names),
            mutual_authentication,
            rules: (!specs.is_empty()).then_some(specs),
            default_actions: Some(default_actions),
            attributes: (!attributes.is_empty()).then_some(attributes),
            ..ListenerSpec::default()
        };
        Some((front, spec))
    }

    /// The place of a field.
    pub(super) fn place(&self, steps: &[Step]) -> Place {
        let from = self.from;
        let port = *from.port;
        let listener = |origin: &Origin| Place::of(origin, Part::Listener(port));
        let of = |value: Option<&Origin>| Place::fixed(value.unwrap_or(&from.port.origin));
        match steps {
            [Step::Field("protocol"), ..] => listener(&from.protocol.origin),
            [Step::Field("sslPolicy"), ..] => of(from.ssl_policy.as_ref().map(|one| &one.origin)),
            [Step::Field("alpnPolicy"), ..] => of(from.alpn_policy.first().map(|one| &one.origin)),
            [Step::Field("certificates"), Step::Index(at), ..] => {
                of(self.certificates.get(*at).map(|one| &one.origin))
            }
            [Step::Field("certificates"), ..] => {
                of(self.certificates.first().map(|one| &one.origin))
            }
            [Step::Field("mutualAuthentication"), ..] => {
                of(from.mutual_authentication.as_ref().map(|one| &one.origin))
            }
            [Step::Field("attributes"), Step::Key(key), ..] => {
                let attributes = from.listener_attributes.iter();
                let attributes = attributes.map(|one| (one.key.as_str(), &one.value.origin));
                of(of_attribute(attributes, key))
            }
            [Step::Field("defaultActions"), rest @ ..] => {
                let index = match rest.first() {
                    Some(Step::Index(at)) => *at,
                    _ => 0,
                };
                let action = from.default_actions.get(index);
                let origin = action.map_or(&from.port.origin, |one| &one.origin);
                match self.kind {
                    LoadBalancerType::Network => listener(origin),
                    _ => Place::of(origin, Part::Default(port)),
                }
            }
            [Step::Field("rules"), Step::Index(at), rest @ ..] => match self.rules.get(*at) {
                Some(rule) => rule.place(rest),
                None => listener(&from.port.origin),
            },
            _ => listener(&from.port.origin),
        }
    }
}

/// The default actions; `None`: the listener is left out.
fn default_actions(
    from: &Listener,
    kind: LoadBalancerType,
    actions: &mut Actions<'_, '_>,
) -> Option<Vec<elbow_model::ActionSpec>> {
    let is_network = kind == LoadBalancerType::Network;
    let built = if actions.is_left_out(&Part::Default(*from.port)) {
        Err(Unbuilt::LeftOut)
    } else {
        actions.build(&from.default_actions)
    };
    match built {
        // AWS takes no ALB listener without a default action.
        Ok(built) if is_network || !built.is_empty() => Some(built),
        Ok(_) => Some(unavailable()),
        Err(why) => {
            let part = if is_network {
                Part::Listener(*from.port)
            } else {
                Part::Default(*from.port)
            };
            actions.notes.extend(why.warning(part.consequence()));
            (!is_network).then(unavailable)
        }
    }
}
