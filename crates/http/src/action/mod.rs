//! What rules do with requests: the actions of the model, compiled once for every request.

use std::sync::Arc;

use elbow_auth::{Gate, Providers};
use elbow_balance::{Group, choose_weighted};
use elbow_model::{Account, AuthenticationSettings, CookieStickiness, Redirect, Transforms};
use elbow_telemetry::{GroupMetrics, Telemetry};

use crate::header::seal::key_of;
use crate::page::LocalResponse;
use sticky::Sticky;

pub(crate) mod local;
pub(crate) mod sticky;
pub(crate) mod transform;

/// The actions of a rule.
#[derive(Clone, Debug)]
pub struct Actions {
    /// Authenticates requests, if one of the actions does.
    pub(crate) gate: Option<Gate>,
    /// What is done with those that it lets through.
    pub(crate) then: Action,
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send it to one of the groups.
    Forward(Forwarding),
    /// Answer 301 or 302.
    Redirect(Redirect),
    /// Answer with this response.
    FixedResponse(LocalResponse),
}

/// A forward action.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    /// The groups to choose from.
    pub(crate) members: Vec<Member>,
    /// How clients stay with one of the groups.
    pub(crate) sticky: Option<Arc<Sticky>>,
    /// What targets get instead of what the client sent.
    pub(crate) transforms: Option<Box<Transforms>>,
}

/// A target group of a forward action.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) group: Arc<Group>,
    /// Its share of the requests is weight / sum.
    pub(crate) weight: u32,
    /// Stands for the group in cookies.
    pub(crate) key: u64,
    /// How clients stay with one of its targets.
    pub(crate) sticky: Option<Arc<Sticky>>,
    /// Its ARN, for access logs.
    pub(crate) arn: Arc<str>,
    /// Its metrics.
    pub(crate) metrics: Arc<GroupMetrics>,
}

/// What actions refer to.
pub(crate) struct Surroundings<'a, G> {
    /// The load balancer, as in access logs.
    pub(crate) id: &'a str,
    /// Its ARN.
    pub(crate) arn: &'a Arc<str>,
    /// Of the target groups.
    pub(crate) account: &'a Account,
    /// Of identities.
    pub(crate) providers: &'a Providers,
    /// Has the metrics of target groups.
    pub(crate) telemetry: &'a Telemetry,
    /// How clients stay with an instance, of a listener of a Classic load balancer.
    pub(crate) to_instances: Option<&'a CookieStickiness>,
    /// How they are asked.
    pub(crate) authentication: AuthenticationSettings,
    /// Finds target groups by name.
    pub(crate) group: G,
}

impl Actions {
    /// Compiles the actions of a rule with `transforms`.
    pub(crate) fn new<G: Fn(&str) -> Option<Arc<Group>>>(
        actions: &[elbow_model::Action],
        transforms: &Transforms,
        surroundings: &Surroundings<'_, G>,
    ) -> Self {
        let mut gates = actions.iter();
        Self {
            gate: gates.find_map(|action| {
                let Surroundings {
                    providers,
                    arn,
                    authentication,
                    ..
                } = surroundings;
                providers.gate(action, arn, *authentication)
            }),
            then: Action::new(actions, transforms, surroundings),
        }
    }
}

impl Action {
    /// Compiles the last of `actions`. Without an action, or when its groups are unknown, requests find no targets.
    fn new<G: Fn(&str) -> Option<Arc<Group>>>(
        actions: &[elbow_model::Action],
        transforms: &Transforms,
        surroundings: &Surroundings<'_, G>,
    ) -> Self {
        let Surroundings {
            id,
            account,
            telemetry,
            to_instances,
            group,
            ..
        } = surroundings;
        match actions.last() {
            Some(elbow_model::Action::Forward(forward)) => {
                let members = forward.target_groups.iter().filter_map(|g| {
                    let metrics = telemetry.group(&g.target_group);
                    let group = group(&g.target_group)?;
                    let mut member = Member::new(group, g.weight, account, metrics);
                    if let Some(policy) = to_instances {
                        member.sticky = Some(Sticky::of_instances(&member.group, policy));
                    }
                    Some(member)
                });
                let changes = *transforms != Transforms::default();
                Self::Forward(Forwarding {
                    members: members.collect(),
                    sticky: forward
                        .stickiness
                        .map(|duration| Sticky::to_groups(id, duration)),
                    transforms: changes.then(|| Box::new(transforms.clone())),
                })
            }
            Some(elbow_model::Action::Redirect(redirect)) => Self::Redirect(redirect.clone()),
            Some(elbow_model::Action::FixedResponse(fixed)) => {
                Self::FixedResponse(local::fixed_response(fixed))
            }
            // The model has nothing but a gate in front of another action.
            Some(
                elbow_model::Action::JwtValidation(_)
                | elbow_model::Action::AuthenticateOidc(_)
                | elbow_model::Action::AuthenticateCognito(_),
            )
            | None => Self::Forward(Forwarding::default()),
        }
    }
}

impl Forwarding {
    /// The group that cookies call `key`, unless its weight is 0.
    pub(crate) fn member(&self, key: u64) -> Option<&Member> {
        let mut members = self.members.iter();
        members.find(|member| member.key == key && member.weight > 0)
    }

    /// One of the groups by weight: an empty group does not fail over to another (parity 1.4). `None`
    /// when all weights are 0.
    pub(crate) fn member_by_weight(&self, random: impl FnOnce() -> u64) -> Option<&Member> {
        if let [member @ Member { weight: 1.., .. }] = &self.members[..] {
            return Some(member);
        }
        let weights = self.members.iter().map(|member| member.weight);
        self.members.get(choose_weighted(weights, random())?)
    }
}

impl Member {
    pub(crate) fn new(
        group: Arc<Group>,
        weight: u32,
        account: &Account,
        metrics: Arc<GroupMetrics>,
    ) -> Self {
        Self {
            arn: group.config.arn(account).into(),
            key: key_of(&group.config.name),
            sticky: Sticky::of_group(&group),
            group,
            weight,
            metrics,
        }
    }
}

#[cfg(test)]
mod tests;
