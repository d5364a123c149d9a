//! Validation of decoded objects, as a table.
//!
//! The rows are those of Kubernetes 1.36 with its default feature gates, among them `StrictIPCIDRValidation` and
//! `RelaxedServiceNameValidation`: each names the function of Kubernetes, or of the AWS Load Balancer Controller's webhooks,
//! that it comes from. Defaults that the API server fills in before it validates are part of the rows: an empty `protocol`
//! is TCP. Only creation is validated, not changes.

mod address;
mod base64;
mod class;
mod cluster;
mod custom;
mod endpoints;
mod ingress;
mod message;
mod meta;
mod name;
mod pod;
mod rule;
mod secret;
mod service;

pub use rule::Rule;

use crate::{Cursor, Faults};

/// All rules, one table for each kind.
const TABLES: &[&[Rule]] = &[
    meta::RULES,
    service::RULES,
    ingress::RULES,
    class::RULES,
    secret::RULES,
    endpoints::SLICE,
    endpoints::ENDPOINTS,
    cluster::RULES,
    pod::RULES,
    custom::RULES,
];

/// Every rule, in the order in which objects are checked.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    TABLES.iter().copied().flatten()
}

/// Reports what validation refuses in an object.
pub(crate) fn check(api_version: &str, kind: &str, root: &Cursor<'_>, faults: &mut Faults) {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    for rule in rules().filter(|rule| rule.applies(group, kind)) {
        rule.check(root, faults);
    }
}

#[cfg(test)]
mod tests;
