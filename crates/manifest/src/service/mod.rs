//! From Services to load balancers: which controller serves a Service, and the Network Load Balancer that it makes
//! (control-plane.md 3).

pub mod addresses;
mod advice;
pub mod firewall;
mod load_balancer;
mod ownership;
pub mod plan;
pub mod port;
pub(crate) mod provider;
mod security;
mod subnets;
pub mod target_group;
mod weighted;
mod written;

use elbow_model::diagnostic::Diagnostic;

use crate::annotations::service as keys;
use crate::auto_mode;
use crate::objects::Service;
use crate::scope::Scope;
use crate::{Context, Stack, bounds, classic};

use crate::lookup::service::{Reader, Refused};
pub use ownership::{Claim, Owner, owner};

/// The stack of one Service; `None` if no controller serves it. Warnings and notes go to `found`.
pub(crate) fn plan(
    service: &Service,
    scope: Scope<'_>,
    context: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<Option<Stack>, Refused> {
    let owner = owner_of(service, context);
    if owner != Owner::Nobody {
        bounds::listeners(service.ports.len()).map_err(Refused::too_much)?;
    }
    let stack = match owner {
        Owner::Nobody => None,
        Owner::ProviderNlb => {
            let plan = provider::plan(service, context, found)?;
            Some(written::stack(service, &plan, context))
        }
        Owner::Classic => {
            let spec = classic::build(service, context, found)?;
            Some(classic::stack(service, spec))
        }
        Owner::Lbc => {
            if auto_mode::owns(service, context.personality) {
                auto_mode::report_service(&service.meta, found);
            }
            let plan = plan::plan(service, scope, context, found)?;
            Some(written::stack(service, &plan, context))
        }
    };
    found.extend(advice::advise(
        service,
        owner,
        stack.as_ref(),
        scope,
        context,
    ));
    if let Some(stack) = &stack {
        found.extend(crate::advice::of_service(service, stack, scope, context));
    }
    Ok(stack)
}

/// The controller that serves the Service, of those that run in `context`.
pub fn owner_of(service: &Service, context: &Context) -> Owner {
    if service.load_balancer_class.as_deref() == Some(auto_mode::LOAD_BALANCER_CLASS)
        && !auto_mode::is_served(context)
    {
        return Owner::Nobody;
    }
    let read = Reader::new(&service.meta);
    let names = &context.defaults.ownership;
    let class = service.load_balancer_class.as_deref();
    let class = class.filter(|class| !class.is_empty());
    let claim = Claim {
        service_type: service.kind,
        class,
        load_balancer_type: read.text(keys::TYPE),
        target_type: read.text(keys::NLB_TARGET_TYPE),
        is_own_class: class.is_some_and(|class| names.owns_load_balancer_class(class)),
        only_by_class: names.only_by_class(),
        is_on_eks: names.neighbours.eks,
        load_balancers_only: context.gate("ServiceTypeLoadBalancerOnly", false),
    };
    match owner(context.personality, &claim) {
        // The webhook of the controller claims the Service all the same.
        Owner::Lbc if !runs_for(service, context) => Owner::Nobody,
        owner => owner,
    }
}

/// Whether the controller of Services runs: EKS Auto Mode has no feature gates.
fn runs_for(service: &Service, context: &Context) -> bool {
    context.gate("EnableServiceController", true) || auto_mode::owns(service, context.personality)
}
