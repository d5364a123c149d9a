//! Ingresses to ALBs, as the AWS Load Balancer Controller does it.

use crate::inventory::Inventory;
use crate::{Context, Translation};

/// Adds a stack for every IngressGroup.
pub fn translate(inventory: &Inventory<'_>, context: &Context, translation: &mut Translation) {
    let _ = (inventory, context, translation);
}
