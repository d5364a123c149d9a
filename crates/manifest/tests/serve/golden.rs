//! Every recorded input that has a plan also serves, without any unexpected diagnostic.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use elbow_manifest::{Context, plan, read, translate};
use elbow_model::diagnostic::Diagnostic;

/// Diagnostics that recordings may have. The errors are what AWS's API refuses and the controllers do not check: a
/// redirect to itself, an unknown security policy, more condition values in a rule than the quota, an access log without
/// a bucket, a listener of HTTP for a group of GRPC, codes of HTTP in a matcher of gRPC.
const KNOWN: &[(&str, &str)] = &[
    ("error", "invalid-combination"),
    ("error", "invalid-matcher"),
    ("error", "missing-field"),
    ("error", "redirect-loop"),
    ("error", "too-many"),
    ("error", "unknown-ssl-policy"),
    ("other", "certificate-not-found"),
    ("other", "failing-health-check"),
    ("other", "grpc-over-http"),
    ("other", "hairpin"),
    ("other", "hidden-rule"),
    ("other", "ignored-annotation"),
    ("other", "no-effect"),
    ("other", "no-endpoints"),
    ("other", "not-supported"),
    ("other", "redirect-loop"),
    ("other", "unknown-security-group"),
    ("other", "unknown-user-pool"),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

#[test]
fn every_plan_serves() {
    let mut codes = BTreeSet::new();
    let mut served = 0;
    for name in ["lbc", "clb", "tenant"] {
        let environment = folder(name).join("environment.yaml");
        let context = match fs::read_to_string(&environment) {
            Ok(text) => Context::parse(&text, &environment.display().to_string()).0,
            Err(_) => Context::default(),
        };
        for entry in fs::read_dir(folder(name)).unwrap() {
            let case = entry.unwrap().path();
            let Ok(text) = fs::read_to_string(case.join("input.yaml")) else {
                continue;
            };
            let (objects, _) = read(&text, &case.display().to_string());
            let planned = plan(&objects, &context);
            if planned.diagnostics.iter().any(Diagnostic::is_error) {
                continue;
            }
            let (model, found) = translate(&objects, &context);
            let mut turned = objects.clone();
            turned.reverse();
            assert!(
                model == translate(&turned, &context).0,
                "{}: the order matters",
                case.display()
            );
            served += model.load_balancers.len();
            for one in &found {
                assert!(one.line > 0 && one.column > 0, "{one}");
                let kind = if one.is_error() { "error" } else { "other" };
                codes.insert((kind, one.code));
            }
        }
    }
    assert!(served > 100, "{served} load balancers serve");
    let unknown: Vec<_> = codes.iter().filter(|key| !KNOWN.contains(key)).collect();
    assert_eq!(unknown, Vec::<&(&str, &str)>::new());
}
