//! What must hold for any objects: what is served can be shown as a native file and read again, and a cluster makes of
//! them what files make. Shared by the fuzz target and the replay of its seeds.

use std::collections::BTreeSet;

use elbow_manifest::cluster::{Change, Cluster, Outcome};
use elbow_manifest::{Context, Object, native, plan, serve};
use elbow_model::{CertificateSource, Model, file};

/// The surroundings of the recorded answers of the real controller.
pub fn surroundings() -> Context {
    let text = include_str!("../../tests/golden/lbc/environment.yaml");
    Context::parse(text, "environment.yaml").0
}

/// Checks all of it.
pub fn check(objects: &[Object], context: &Context) {
    let planned = plan(objects, context);
    for stack in &planned.stacks {
        stack.to_json();
    }
    native(objects, context);
    let serving = serve(objects, context);
    // What is refused serves in a cluster as it did before, which files never do.
    let mut refused = !serving.refused().is_empty() || !serving.rejected().is_empty();
    let (model, found) = serving.into_model();
    for diagnostic in planned.diagnostics.iter().chain(&found) {
        let _ = diagnostic.to_string();
    }
    shows(&model);

    // One after the other from the last to the first, with looks between.
    let mut cluster = Cluster::new(context.clone());
    for (index, object) in objects.iter().rev().enumerate() {
        cluster.take(Change::Set(object.clone()));
        if index % 3 == 0 {
            cluster.reconcile();
        }
    }
    cluster.reconcile();
    cluster.model();

    let mut fresh = Cluster::new(context.clone());
    for object in objects {
        fresh.take(Change::Set(object.clone()));
    }
    let told = fresh.reconcile();
    refused |= told
        .iter()
        .any(|one| matches!(one.outcome, Outcome::Refused(_)));
    let identities = objects
        .iter()
        .map(|object| format!("{}/{}", object.api_version, object.path()));
    let identities: BTreeSet<String> = identities.collect();
    if !refused && identities.len() == objects.len() {
        assert_eq!(
            parts(&fresh.model()),
            parts(&model),
            "a cluster differs from files"
        );
    }
}

/// The model can be written as a native file that is read as the same. Private keys are not written.
fn shows(model: &Model) {
    let mut certificates = model.certificates.iter();
    if certificates.any(|one| matches!(one.source, CertificateSource::Pem { .. })) {
        return;
    }
    let shown = file::render(model);
    let (again, found) = file::parse(&shown.to_string(), "elbow.yaml");
    let again = again.unwrap_or_else(|| panic!("what was written is refused: {found:?}\n{shown}"));
    assert_eq!(file::render(&again), shown);
}

/// The load balancers and target groups in any order.
fn parts(model: &Model) -> BTreeSet<String> {
    let balancers = model.load_balancers.iter().map(|one| format!("{one:?}"));
    let groups = model.target_groups.iter().map(|one| format!("{one:?}"));
    balancers.chain(groups).collect()
}
