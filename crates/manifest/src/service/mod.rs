//! Service to load balancer: whose it is, and the Network Load Balancer that the AWS Load Balancer
//! Controller makes of it (section 3).

pub mod addresses;
mod advice;
pub mod firewall;
mod load_balancer;
mod ownership;
pub mod plan;
pub mod port;
pub(crate) mod provider;
pub mod read;
mod subnets;
pub mod target_group;
mod weighted;
mod written;

use elbow_model::diagnostic::Diagnostic;

use crate::inventory::Inventory;
use crate::object::Object;
use crate::objects::Service;
use crate::scope::Scope;
use crate::{Context, Stack, Translation, bounds, classic};

pub use ownership::{Claim, Owner, owner};
use read::{Reader, Refused};

/// Adds a stack for every Service that a controller answers for.
pub(crate) fn translate(
    objects: &[Object],
    inventory: &Inventory,
    scope: Scope<'_>,
    context: &Context,
    translation: &mut Translation,
) {
    for service in inventory.services.values() {
        if service.meta.deleting {
            continue;
        }
        let found = &mut translation.diagnostics;
        match plan(service, scope, context, found) {
            Ok(stack) => translation.stacks.extend(stack),
            Err(refused) => {
                let meta = &service.meta;
                let key = Stack::key_of_service(&meta.key());
                translation.refused.insert(key);
                let read_from = objects.iter().find(|object| {
                    object.kind == meta.kind
                        && object.namespace == meta.namespace
                        && object.name == meta.name
                });
                let refusal = refused.diagnose(meta, read_from);
                translation.diagnostics.push(refusal);
            }
        }
    }
}

/// The stack of one Service, with what is worth saying about it; `None` if nobody answers for it.
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
            let plan = provider::plan(service, context)?;
            Some(written::stack(service, &plan, context))
        }
        Owner::Classic => {
            let spec = classic::build(service, context)?;
            Some(classic::stack(service, spec))
        }
        Owner::Lbc => {
            let plan = plan::plan(service, scope, context)?;
            Some(written::stack(service, &plan, context))
        }
    };
    let advice = advice::advise(service, owner, stack.as_ref(), scope, context);
    found.extend(advice);
    Ok(stack)
}

/// Who answers for the Service, with the controllers that the context says there are.
pub fn owner_of(service: &Service, context: &Context) -> Owner {
    let read = Reader::new(&service.meta.annotations);
    let claim = Claim {
        service_type: service.kind,
        class: service
            .load_balancer_class
            .as_deref()
            .filter(|class| !class.is_empty()),
        load_balancer_type: read.text("aws-load-balancer-type"),
        target_type: read.text("aws-load-balancer-nlb-target-type"),
        own_class: &context.defaults.load_balancer_class,
        load_balancers_only: context.gate("ServiceTypeLoadBalancerOnly", false),
    };
    owner(context.personality, &claim)
}
