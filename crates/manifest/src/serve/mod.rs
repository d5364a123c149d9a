//! Stacks to the model that serves: each stack becomes a native document, and the native file's reader
//! makes the model of it, so that what a native file can say is what manifests can have.

mod bindings;
mod catalog;
mod certificates;
mod classic;
mod draft;
mod groups;
mod merge;
mod native;
mod rules;
mod security_groups;
mod serving;
mod support;
mod targets;
mod trail;

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::{Origin, read_document};

use crate::inventory::Inventory;
use crate::scope::{Reads, Scope};
use crate::stack::Stack;
use crate::{Context, Object, Translation};

pub(crate) use bindings::{bound_targets, misbound};
pub(crate) use catalog::Catalog;
pub(crate) use certificates::{OWN, SECRET};
use draft::{Cuts, to_json};
use groups::Groups;
pub(crate) use merge::Merged;
use native::Writer;
pub use serving::Serving;
use support::Once;
use trail::Trail;

/// What the documents of all stacks are written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) context: &'a Context,
    pub(crate) scope: Scope<'a>,
    pub(crate) catalog: &'a Catalog,
}

/// The load balancers of `objects` with their targets and certificates, as the data plane takes them. A load
/// balancer in which something is wrong is left out, the others are there; what is not served yet
/// is left out with a warning, so that nobody gets in who was to stay out.
///
/// ```
/// let text = "
/// apiVersion: v1
/// kind: Service
/// metadata:
///   name: minio
///   annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
/// spec:
///   type: LoadBalancer
///   loadBalancerClass: service.k8s.aws/nlb
///   ports: [{name: s3, port: 443, targetPort: 9000}]
/// ---
/// apiVersion: discovery.k8s.io/v1
/// kind: EndpointSlice
/// metadata: {name: minio, labels: {kubernetes.io/service-name: minio}}
/// addressType: IPv4
/// ports: [{name: s3, port: 9000}]
/// endpoints: [{addresses: [10.0.0.7]}]
/// ";
/// let (objects, found) = elbow_manifest::read(text, "minio.yaml");
/// assert!(found.is_empty());
/// let (model, found) = elbow_manifest::translate(&objects, &elbow_manifest::Context::default());
/// assert!(found.is_empty(), "{found:?}");
/// assert_eq!(model.load_balancers[0].listeners[0].port, 443);
/// assert_eq!(model.target_groups[0].targets[0].id.to_string(), "10.0.0.7");
/// ```
pub fn translate(objects: &[Object], context: &Context) -> (Model, Vec<Diagnostic>) {
    serve(objects, context).into_model()
}

/// As [`translate`], stack by stack, for those who serve one state of the objects after another.
pub fn serve(objects: &[Object], context: &Context) -> Serving {
    with_stacks(objects, context, |inventory, surroundings, mut serving| {
        let mut found = std::mem::take(&mut serving.found);
        for binding in inventory.bindings.values() {
            let scope = surroundings.scope;
            let known = surroundings.catalog.has_group(&binding.group, scope);
            found.extend(misbound(binding, known, scope));
        }
        support::stray_endpoints(inventory, &mut found);
        for (key, stack) in surroundings.catalog.stacks() {
            match model_of(stack, surroundings, &mut found) {
                Modelled::Model(model, origin) => {
                    serving.models.insert(key.clone(), (model, origin));
                }
                Modelled::Nothing => {}
                Modelled::Refused => {
                    serving.refused.insert(key.clone());
                }
            }
        }
        serving.found = found;
        serving
    })
}

/// The native file that each stack becomes, by the stack's key, as JSON; what cannot be served is still in it, and
/// private keys are not.
pub fn native(objects: &[Object], context: &Context) -> BTreeMap<String, serde_json::Value> {
    with_stacks(objects, context, |_, surroundings, _| {
        let document = |(key, stack): (&String, &Arc<Stack>)| {
            let groups = Groups::new(stack, surroundings).ok()?;
            let writer = Writer::new(stack, &groups, surroundings, Cuts::new());
            let (document, _) = writer.document(&mut Vec::new()).ok()??;
            let mut native = to_json(&document.root);
            hide_keys(&mut native);
            Some((key.clone(), native))
        };
        let stacks = surroundings.catalog.stacks().iter();
        stacks.filter_map(document).collect()
    })
}

/// Has `make` work on the stacks of `objects`. The serving has what was found on the way to them, and no models yet.
fn with_stacks<T>(
    objects: &[Object],
    context: &Context,
    make: impl FnOnce(&Inventory, &Surroundings<'_>, Serving) -> T,
) -> T {
    let mut translation = Translation::default();
    let mut inventory = Inventory::new(objects, &mut translation.diagnostics);
    let rejected = std::mem::take(&mut inventory.rejected);
    inventory.serving = true;
    crate::fill(objects, &mut inventory, context, &mut translation);
    let serving = Serving {
        rejected,
        refused: translation.refused,
        found: translation.diagnostics,
        ..Serving::default()
    };
    let reads = Reads::default();
    let scope = Scope::new(&inventory, &reads);
    let catalog = Catalog::new(translation.stacks, scope, context);
    let surroundings = Surroundings {
        context,
        scope,
        catalog: &catalog,
    };
    make(&inventory, &surroundings, serving)
}

/// Leaves the private keys out of a native file.
fn hide_keys(native: &mut serde_json::Value) {
    let certificates = native.get_mut("certificates");
    let certificates = certificates.and_then(serde_json::Value::as_array_mut);
    for certificate in certificates.into_iter().flatten() {
        if let Some(key) = certificate.get_mut("privateKey") {
            *key = "not shown".into();
        }
    }
}

/// How often a document is written again without what was found not to be served. Each time shows
/// everything at once, unless a part hides another.
const ROUNDS: usize = 8;

/// What a stack becomes.
pub(crate) enum Modelled {
    /// With the place where its load balancer comes from.
    Model(Model, Origin),
    /// It has no load balancer.
    Nothing,
    /// Something in it is wrong.
    Refused,
}

/// Whether any listener of the stack is left.
fn listens(stack: &Stack, model: &Model) -> bool {
    let mut balancers = model.load_balancers.iter();
    stack.listeners.is_empty() || balancers.any(|balancer| !balancer.listeners.is_empty())
}

/// The error about a load balancer of which nothing is left to serve. It gets no address: clients would be sent to
/// where nobody answers.
fn deaf() -> Diagnostic {
    Diagnostic::error(
        "no-listeners",
        "none of its listeners is supported; it gets no address",
    )
}

/// The model of one stack.
pub(crate) fn model_of(
    stack: &Stack,
    surroundings: &Surroundings<'_>,
    found: &mut Vec<Diagnostic>,
) -> Modelled {
    support::unserved(stack, surroundings.scope, surroundings.context, found);
    let trail = Trail::of_stack(stack, surroundings.scope);
    let groups = match Groups::new(stack, surroundings) {
        Ok(groups) => groups,
        Err(bound) => {
            let error = Diagnostic::error(bound.code, bound.message).hint(bound.hint);
            found.push(trail.object().place(error));
            return Modelled::Refused;
        }
    };
    let mut cuts = Cuts::new();
    let mut warnings = Once::default();
    for _ in 0..ROUNDS {
        let writer = Writer::new(stack, &groups, surroundings, cuts.clone());
        let origin = writer.origin();
        let mut notes = Vec::new();
        let (document, roles) = match writer.document(&mut notes) {
            Ok(Some(written)) => written,
            Ok(None) => return Modelled::Nothing,
            Err(refusal) => {
                found.push(*refusal);
                return Modelled::Refused;
            }
        };
        let (model, findings) = read_document(&document);
        let (cut, rest) = support::split(findings, &roles);
        if cut.is_empty() {
            warnings.extend(notes.into_iter().chain(rest));
            found.extend(warnings.into_list());
            let Some(model) = model else {
                return Modelled::Refused;
            };
            if listens(stack, &model) {
                return Modelled::Model(model, origin);
            }
            found.push(origin.place(deaf()));
            return Modelled::Refused;
        }
        for (role, warning) in cut {
            cuts.insert(role);
            warnings.push(warning);
        }
    }
    Modelled::Refused
}

#[cfg(test)]
mod tests;
