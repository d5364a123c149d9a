//! Crates only depend on the crates below them in CONTRIBUTING.md.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The allowed dependencies of each crate, without those of tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("elbow-model", &[]),
    ("elbow-advice", &["elbow-model"]),
    ("elbow-yaml", &["elbow-model"]),
    ("elbow-schema", &["elbow-model", "elbow-yaml"]),
    ("elbow-native", &["elbow-model", "elbow-yaml"]),
    ("elbow-desired", &["elbow-model"]),
    (
        "elbow-manifest",
        &["elbow-desired", "elbow-model", "elbow-schema", "elbow-yaml"],
    ),
    (
        "elbow-kube",
        &[
            "elbow-advice",
            "elbow-desired",
            "elbow-manifest",
            "elbow-model",
        ],
    ),
    ("elbow-auth", &["elbow-model", "elbow-net"]),
    ("elbow-balance", &["elbow-model"]),
    ("elbow-h2", &[]),
    ("elbow-net", &[]),
    ("elbow-telemetry", &["elbow-model"]),
    ("elbow-logs", &["elbow-telemetry", "elbow-tls"]),
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
        "elbow-udp",
        &[
            "elbow-balance",
            "elbow-model",
            "elbow-net",
            "elbow-telemetry",
        ],
    ),
    (
        "elbow-http",
        &[
            "elbow-auth",
            "elbow-balance",
            "elbow-h2",
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
            "elbow-logs",
            "elbow-model",
            "elbow-net",
            "elbow-tcp",
            "elbow-telemetry",
            "elbow-tls",
            "elbow-udp",
        ],
    ),
    (
        "elbow-admin",
        &["elbow-native", "elbow-plane", "elbow-telemetry"],
    ),
    ("elbow-pods", &[]),
    ("elbow-dns", &[]),
    ("elbow-launch", &[]),
    (
        "elbow",
        &[
            "elbow-admin",
            "elbow-advice",
            "elbow-desired",
            "elbow-dns",
            "elbow-kube",
            "elbow-logs",
            "elbow-manifest",
            "elbow-model",
            "elbow-native",
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

/// The dependencies between the crates of the workspace.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let crates = packages
        .iter()
        .filter(|p| p["manifest_path"].as_str().unwrap().contains("/crates/"));
    crates
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let internal = dependencies
                .filter(|d| d["kind"].is_null())
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .filter(|name| name.starts_with("elbow"))
                .collect();
            (package["name"].as_str().unwrap().to_owned(), internal)
        })
        .collect()
}

#[test]
fn crates_depend_only_on_crates_below() {
    let found = dependencies(&metadata());
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for (name, dependencies) in &found {
        let allowed = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is missing in ALLOWED"));
        for dependency in dependencies {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
    assert_eq!(found.len(), ALLOWED.len(), "ALLOWED has an unknown crate");
}
