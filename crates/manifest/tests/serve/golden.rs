//! Every recorded input that makes a plan serves too: nothing in it is a fault that nobody knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use elbow_manifest::{Context, plan, read, translate};
use elbow_model::diagnostic::Diagnostic;

/// What may be said of the recordings. The errors are what the API of AWS refuses, which the controllers do not
/// check: a redirect to itself, a policy that does not exist, more condition values in a rule than its quota. And a load
/// balancer for UDP alone, which elbow does not serve.
const KNOWN: &[(&str, &str)] = &[
    ("error", "no-listeners"),
    ("error", "redirect-loop"),
    ("error", "too-many"),
    ("error", "unknown-ssl-policy"),
    ("other", "certificate-not-found"),
    ("other", "ignored-annotation"),
    ("other", "no-effect"),
    ("other", "no-endpoints"),
    ("other", "not-supported"),
    ("other", "unknown-security-group"),
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
