//! The arrows of CONTRIBUTING.md, held by `cargo metadata`.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of the house may depend on, tests aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("elbow-model", &[]),
    ("elbow-manifest", &["elbow-model"]),
    ("elbow-kube", &["elbow-manifest", "elbow-model"]),
    ("elbow-balance", &["elbow-model"]),
    ("elbow-net", &[]),
    ("elbow-telemetry", &["elbow-model"]),
    (
        "elbow-tcp",
        &[
            "elbow-balance",
            "elbow-model",
            "elbow-net",
            "elbow-telemetry",
        ],
    ),
    ("elbow-tls", &["elbow-model", "elbow-net"]),
    (
        "elbow-http",
        &[
            "elbow-balance",
            "elbow-model",
            "elbow-net",
            "elbow-telemetry",
        ],
    ),
    ("elbow-health", &["elbow-model", "elbow-net"]),
    (
        "elbow-plane",
        &[
            "elbow-balance",
            "elbow-health",
            "elbow-http",
            "elbow-model",
            "elbow-net",
            "elbow-tcp",
            "elbow-telemetry",
            "elbow-tls",
        ],
    ),
    (
        "elbow-admin",
        &["elbow-model", "elbow-plane", "elbow-telemetry"],
    ),
    ("elbow-pods", &[]),
    ("elbow-dns", &[]),
    ("elbow-launch", &[]),
    (
        "elbow",
        &[
            "elbow-admin",
            "elbow-dns",
            "elbow-kube",
            "elbow-manifest",
            "elbow-model",
            "elbow-net",
            "elbow-plane",
            "elbow-pods",
            "elbow-telemetry",
            "elbow-tls",
        ],
    ),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The crates of the house that each one depends on.
fn arrows(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let crates = packages
        .iter()
        .filter(|p| p["manifest_path"].as_str().unwrap().contains("/crates/"));
    crates
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let inside = dependencies
                .filter(|d| d["kind"].is_null())
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .filter(|name| name.starts_with("elbow"))
                .collect();
            (package["name"].as_str().unwrap().to_owned(), inside)
        })
        .collect()
}

#[test]
fn arrows_go_down_only() {
    let arrows = arrows(&metadata());
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (name, dependencies) in &arrows {
        let allowed = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no place in the house"));
        for dependency in dependencies {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} may not depend on {dependency}"
            );
        }
    }
    assert_eq!(
        arrows.len(),
        ARROWS.len(),
        "every crate of the house is there"
    );
}
