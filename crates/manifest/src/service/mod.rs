//! Service to load balancer: whose it is, and the Network Load Balancer that the AWS Load Balancer
//! Controller makes of it (section 3).

pub mod addresses;
mod advice;
pub mod firewall;
mod load_balancer;
mod ownership;
pub mod plan;
pub mod port;
mod provider;
pub mod read;
mod subnets;
pub mod target_group;
mod weighted;
mod written;

use crate::ingress::Backends;
use crate::inventory::Inventory;
use crate::object::Object;
use crate::objects::Service;
use crate::{Context, Stack, Translation, classic};

pub use ownership::{Claim, Owner, owner};
use read::{Reader, Refused};

/// Adds a stack for every Service that a controller answers for.
pub fn translate(
    objects: &[Object],
    inventory: &Inventory,
    context: &Context,
    translation: &mut Translation,
) {
    let behind = Backends::of(inventory);
    for service in inventory.services.values() {
        if service.meta.deleting {
            continue;
        }
        match build(service, inventory, context) {
            Ok(stack) => {
                let owner = owner_of(service, context);
                let found = advice::advise(service, owner, stack.as_ref(), &behind, context);
                translation.stacks.extend(stack);
                translation.diagnostics.extend(found);
            }
            Err(refused) => {
                let meta = &service.meta;
                translation
                    .refused
                    .insert(Stack::key_of_service(&meta.key()));
                let read_from = objects.iter().find(|object| {
                    object.kind == meta.kind
                        && object.namespace == meta.namespace
                        && object.name == meta.name
                });
                translation
                    .diagnostics
                    .push(refused.diagnose(meta, read_from));
            }
        }
    }
}

/// The stack of one Service; `None` if nobody answers for it.
pub fn build(
    service: &Service,
    inventory: &Inventory,
    context: &Context,
) -> Result<Option<Stack>, Refused> {
    match owner_of(service, context) {
        Owner::Nobody => Ok(None),
        Owner::ProviderNlb => {
            let plan = provider::plan(service, context)?;
            Ok(Some(written::stack(service, &plan, context)))
        }
        Owner::Classic => {
            let spec = classic::build(service, context)?;
            Ok(Some(classic::stack(service, spec)))
        }
        Owner::Lbc => {
            let plan = plan::plan(service, inventory, context)?;
            Ok(Some(written::stack(service, &plan, context)))
        }
    }
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
