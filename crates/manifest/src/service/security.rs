//! The security groups of a Network Load Balancer (`buildLoadBalancerSecurityGroups` in
//! `pkg/service/model_build_load_balancer.go` of the AWS Load Balancer Controller).

use elbow_model::diagnostic::Diagnostic;

use crate::annotations::service as keys;
use crate::context::{Context, ExistingLoadBalancer};
use crate::lookup::service::{Reader, Refused};
use crate::names;
use crate::objects::Service;

use super::firewall::{Permission, permissions};

/// The security groups of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// The load balancer has none.
    Open,
    /// The controller makes one.
    Managed {
        /// Its name.
        name: String,
        /// Its permissions.
        permissions: Vec<Permission>,
        /// The shared group that targets let in, if any.
        backend: Option<String>,
    },
    /// The user names them.
    Named {
        /// Their ids.
        ids: Vec<String>,
        /// The shared group that targets let in, if the controller manages their rules.
        backend: Option<String>,
    },
}

/// The security groups: a load balancer keeps for ever whether it has some. Warnings about stand-ins go to `found`.
pub(super) fn security(
    read: &Reader<'_>,
    service: &Service,
    context: &Context,
    existing: Option<&ExistingLoadBalancer>,
    dualstack: bool,
    found: &mut Vec<Diagnostic>,
) -> Result<Security, Refused> {
    let refused = &read.refused;
    let disabled = refused.or_default(read.bool(keys::DISABLE_NLB_SG)) == Some(true);
    if existing.is_some_and(|found| found.security_groups.is_empty()) {
        return Ok(Security::Open);
    }
    if disabled || !context.gate("NLBSecurityGroup", true) {
        return match existing {
            None => Ok(Security::Open),
            Some(found) => Err(conflicting_groups(disabled, &found.arn)),
        };
    }
    let shared = &context.backend_security_group;
    let backend = shared.enabled.then(|| shared.id.clone());
    let named = read.list(keys::SECURITY_GROUPS);
    if named.is_empty() {
        let meta = &service.meta;
        let hashed = [
            &context.cluster_name,
            &meta.name,
            &meta.namespace,
            &meta.uid,
        ];
        return Ok(Security::Managed {
            name: names::namespaced(&meta.namespace, &meta.name, &hashed.map(String::as_str)),
            permissions: permissions(read, service, dualstack)?,
            backend,
        });
    }
    let key = keys::MANAGE_BACKEND_SECURITY_GROUP_RULES;
    let manages = refused.or_default(read.bool(key)) == Some(true);
    let ids = super::subnets::security_groups(read, context, &named, found)?;
    if manages && backend.is_none() {
        let message = "managing the rules of targets needs the shared backend security group";
        return Err(Refused::annotation(key, message)
            .hint("set backendSecurityGroup.enabled in the environment file"));
    }
    Ok(Security::Named {
        ids,
        backend: backend.filter(|_| manages),
    })
}

/// The refusal to take the security groups from a load balancer that exists.
fn conflicting_groups(disabled: bool, arn: &str) -> Refused {
    let message = format!("conflicting security groups configuration: {arn} has security groups");
    if disabled {
        Refused::annotation(keys::DISABLE_NLB_SG, message)
            .hint("remove the annotation, or delete the load balancer first")
    } else {
        Refused::field("spec", message)
            .hint("turn the feature gate NLBSecurityGroup on, or delete the load balancer first")
    }
}
