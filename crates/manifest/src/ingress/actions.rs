//! The actions of a rule or a listener.

use elbow_model::{At, Origin};

use super::Build;
use super::auth::Authentication;
use super::backend::{BackendAction, EnhancedBackend, Target, Tuple};
use super::group::Member;
use crate::Refusal;
use crate::stack::{Action, Forward, Reference, WeightedGroup};

impl Build<'_> {
    /// The actions of a backend on a listener: on HTTPS authentication, then the backend's own action. Its origin is
    /// `origin` unless an annotation defines it.
    pub(super) fn actions(
        &mut self,
        protocol: &str,
        member: &Member<'_>,
        backend: &EnhancedBackend<'_>,
        origin: &Origin,
    ) -> Result<Vec<At<Action>>, Refusal> {
        let mut actions = Vec::new();
        if protocol == "HTTPS" {
            match &backend.authentication {
                None => {}
                Some(Authentication::Action(action)) => actions.push(action.clone()),
                Some(Authentication::Broken(refusal)) => return Err(refusal.clone()),
            }
        }
        let origin = backend.origin.as_ref().unwrap_or(origin);
        let action = match &backend.action {
            BackendAction::Other(kind, config, value) => Action::Other {
                kind,
                config,
                value: value.clone(),
                secret: None,
            },
            BackendAction::Forward(tuples, stickiness) => Action::Forward(Forward {
                target_groups: tuples
                    .iter()
                    .map(|tuple| self.weighted(member, tuple))
                    .collect::<Result<_, _>>()?,
                stickiness: stickiness.clone(),
            }),
        };
        actions.push(At::new(action, origin.clone()));
        Ok(actions)
    }

    fn weighted(
        &mut self,
        member: &Member<'_>,
        tuple: &Tuple<'_>,
    ) -> Result<WeightedGroup, Refusal> {
        let target_group = match &tuple.target {
            Target::Arn(arn) => Reference::Literal(arn.clone()),
            Target::Service(service, port) => {
                Reference::target_group(self.add_target_group(member, service, port)?)
            }
        };
        Ok(WeightedGroup {
            target_group,
            weight: tuple.weight,
        })
    }
}
