//! Kubernetes objects and annotations to the load balancers that AWS's controllers would make of them.
//!
//! Purely: [`read`] turns text into objects; [`plan`] turns objects into [`Stack`]s, which are what AWS would make, in
//! the surroundings that a [`Context`] describes; [`translate`] goes on to the model that elbow serves,
//! with targets and certificates. What is wrong comes back as diagnostics with file, line and column; a stack
//! whose input is refused is left out, the others are there.
//!
//! ```
//! let text = "
//! apiVersion: networking.k8s.io/v1
//! kind: IngressClass
//! metadata: {name: alb}
//! spec: {controller: ingress.k8s.aws/alb}
//! ---
//! apiVersion: networking.k8s.io/v1
//! kind: Ingress
//! metadata: {name: web}
//! spec: {ingressClassName: alb}
//! ";
//! let (objects, found) = elbow_manifest::read(text, "web.yaml");
//! assert!(found.is_empty());
//! let translation = elbow_manifest::plan(&objects, &elbow_manifest::Context::default());
//! assert_eq!(translation.stacks[0].id, "default/web");
//!
//! let (model, found) = elbow_manifest::translate(&objects, &elbow_manifest::Context::default());
//! assert!(found.is_empty());
//! assert_eq!(model.load_balancers[0].listeners[0].port, 80);
//! ```

pub mod advice;
pub mod annotations;
pub mod bounds;
pub mod classic;
pub mod cluster;
pub mod context;
pub mod ingress;
pub mod inventory;
pub mod names;
pub mod object;
pub mod objects;
pub mod quota;
mod scope;
mod secret;
mod serve;
pub mod service;
pub mod stack;
pub mod tenant;
pub mod view;

use std::collections::BTreeSet;

use elbow_model::diagnostic::Diagnostic;

pub use cluster::Cluster;
pub use context::Context;
pub use object::{Object, read};
pub use serve::{Serving, native, serve, translate};
pub use stack::Stack;

use inventory::Inventory;
use scope::{Reads, Scope};

/// The error that refuses a stack.
pub type Refusal = Box<Diagnostic>;

/// What [`plan`] makes.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// By id.
    pub stacks: Vec<Stack>,
    /// Keys of the stacks that are left out, since something in them is wrong.
    pub refused: BTreeSet<String>,
    /// Everything that is wrong or worth knowing, by file and line.
    pub diagnostics: Vec<Diagnostic>,
}

/// The load balancers of `objects`, as AWS would make them.
pub fn plan(objects: &[Object], context: &Context) -> Translation {
    let mut translation = Translation::default();
    let mut inventory = Inventory::new(objects, &mut translation.diagnostics);
    fill(objects, &mut inventory, context, &mut translation);
    sort(&mut translation.diagnostics);
    translation
}

/// Adds all stacks.
fn fill(
    objects: &[Object],
    inventory: &mut Inventory,
    context: &Context,
    translation: &mut Translation,
) {
    inventory
        .ingress_class
        .clone_from(&context.defaults.ingress_class);
    tenant::translate(inventory, translation);
    let reads = Reads::default();
    let scope = Scope::new(inventory, &reads);
    service::translate(objects, inventory, scope, context, translation);
    ingress::translate(inventory, scope, context, translation);
    translation.stacks.sort_by(|a, b| a.id.cmp(&b.id));
}

fn sort(found: &mut [Diagnostic]) {
    let key = |one: &Diagnostic| (one.line, one.column, one.code);
    found.sort_by(|a, b| {
        let places = (&a.file, key(a)).cmp(&(&b.file, key(b)));
        places.then_with(|| a.message.cmp(&b.message))
    });
}
