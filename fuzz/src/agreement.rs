//! Checks that hold for any objects: the served model renders to a native file that parses to the same model, and a cluster
//! yields the same model as files. The fuzz target and the replay of its seeds share them.

use std::collections::BTreeSet;

use elbow_manifest::cluster::{Change, Cluster, Outcome};
use elbow_manifest::{Context, Object, plan, translate};
use elbow_model::{CertificateSource, Model};

/// The environment of the recorded results of the real controller.
pub fn surroundings() -> Context {
    let text = include_str!("../../tests/golden/lbc/environment.yaml");
    Context::parse(text, "environment.yaml").0
}

/// Runs all checks.
pub fn check(objects: &[Object], context: &Context) {
    let planned = plan(objects, context);
    for stack in &planned.stacks {
        stack.to_json();
    }
    let (model, found) = translate(objects, context);
    for diagnostic in planned.diagnostics.iter().chain(&found) {
        let _ = diagnostic.to_string();
    }
    check_rendered(&model);

    // Sets the objects one by one in reverse order, and reconciles in between.
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
    let reconciled = fresh.reconcile();
    let refused = reconciled
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
            "the cluster and the files yield different models"
        );
    }
}

/// Checks that the model renders to a native file that renders to itself. Private keys are not rendered.
fn check_rendered(model: &Model) {
    let mut certificates = model.certificates.iter();
    if certificates.any(|one| matches!(one.source, CertificateSource::Pem { .. })) {
        return;
    }
    let shown = elbow_native::render(model);
    let (again, found) = elbow_native::parse(&shown.to_string(), "elbow.yaml");
    let again =
        again.unwrap_or_else(|| panic!("the rendered file is rejected: {found:?}\n{shown}"));
    assert_eq!(elbow_native::render(&again), shown);
}

/// The load balancers and target groups regardless of order.
fn parts(model: &Model) -> BTreeSet<String> {
    let balancers = model.load_balancers.iter().map(|one| format!("{one:?}"));
    let groups = model.target_groups.iter().map(|one| format!("{one:?}"));
    balancers.chain(groups).collect()
}
