//! Compares the plan of every folder of `config/eks` with `golden/eks`; UPDATE_SNAPSHOTS=1 updates the snapshots. Endpoints
//! do not affect a plan.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use elbow_tests::plan::{balancer, plan, plan_of};
use elbow_tests::{TempDir, eks};
use serde_json::Value;

fn golden(row: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/eks/{row}.json"))
}

#[test]
fn every_row_has_a_folder() {
    let numbers: Vec<String> = eks::rows().iter().map(|row| row[..4].to_owned()).collect();
    let expected: Vec<String> = (1..=19).map(|n| format!("s{n:02}-")).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn plans_match_their_snapshots() {
    let update = env::var_os("UPDATE_SNAPSHOTS").is_some();
    for row in eks::rows() {
        let found = plan(&row).printed;
        if update {
            let text = serde_json::to_string_pretty(&found).unwrap();
            fs::create_dir_all(golden("x").parent().unwrap()).unwrap();
            fs::write(golden(&row), text + "\n").unwrap();
        }
        let expected = fs::read_to_string(golden(&row)).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(
            found, expected,
            "{row} is out of date; run UPDATE_SNAPSHOTS=1"
        );
    }
}

/// Objects in Kubernetes have no order.
#[test]
fn order_of_documents_does_not_matter() {
    for row in eks::rows() {
        let mut documents: Vec<String> = eks::manifests(&row)
            .iter()
            .flat_map(|(_, text)| text.split("\n---\n").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        documents.reverse();
        let dir = TempDir::new();
        dir.write("all.yaml", documents.join("\n---\n"));
        let environment = eks::folder(&row).join("environment.yaml");
        fs::copy(environment, dir.join("environment.yaml")).unwrap();
        assert_eq!(plan_of(dir.path()).printed, plan(&row).printed, "{row}");
    }
}

/// Section 0.3: names with hashes, computed independently of elbow from the UIDs in the files.
#[test]
fn names_follow_the_formulas() {
    let plan = plan("s18-nlb-target-type");
    assert_eq!(
        balancer(&plan, "tenant-ns/minio-instance")["name"],
        "k8s-tenantns-minioins-50c3376ddc"
    );
    assert_eq!(
        balancer(&plan, "tenant-ns/minio-ip")["name"],
        "k8s-tenantns-minioip-0d9a4b0cc9"
    );
    let alb = self::plan("s12-alb-operator-console");
    assert_eq!(
        balancer(&alb, "minio-operator/operator-ingress")["name"],
        "k8s-minioope-operator-cd53b70d55"
    );
}
