//! Good manifests.

use std::fs;
use std::path::Path;

use elbow_tests::tools::repository;

use crate::faults::Variant;
use crate::tree::{Step, Tree};

/// Manifests with many fields, of every kind that elbow reads.
pub(crate) fn originals() -> Vec<Tree> {
    let texts = [
        include_str!("originals/service.yaml"),
        include_str!("originals/ingress.yaml"),
        include_str!("originals/secret.yaml"),
        include_str!("originals/cluster.yaml"),
        include_str!("originals/custom.yaml"),
    ];
    texts.iter().flat_map(|text| Tree::read(text)).collect()
}

/// The originals, and what the golden folders hold. Those are in one namespace, as the API server has only that one.
pub(crate) fn manifests() -> Vec<Variant> {
    let mut found: Vec<Variant> = originals().iter().map(Variant::good).collect();
    let mut files = Vec::new();
    collect(&repository().join("tests/golden"), &mut files);
    files.sort();
    for file in files {
        for mut tree in Tree::read(&fs::read_to_string(&file).unwrap()) {
            let api_version = tree
                .get("apiVersion")
                .and_then(Tree::text)
                .unwrap_or_default();
            if !READ.contains(&api_version) {
                continue;
            }
            if let Some(Tree::Map(metadata)) = tree.at_mut(&[Step::Field("metadata".into())]) {
                metadata.retain(|(key, _)| {
                    !["namespace", "resourceVersion", "managedFields"].contains(&&**key)
                });
            }
            leave_addresses(&mut tree);
            found.push(Variant::good(&tree));
        }
    }
    found
}

/// Removes the addresses of Services, which are of other clusters.
fn leave_addresses(tree: &mut Tree) {
    if let Some(Tree::Map(spec)) = tree.at_mut(&[Step::Field("spec".into())]) {
        let is_none = |value: &Tree| {
            let texts = match value {
                Tree::List(items) => items.as_slice(),
                other => std::slice::from_ref(other),
            };
            texts.iter().all(|text| text.text() == Some("None"))
        };
        spec.retain(|(key, value)| {
            !["clusterIP", "clusterIPs"].contains(&&**key) || is_none(value)
        });
    }
}

/// The API versions that elbow reads.
const READ: &[&str] = &[
    "v1",
    "networking.k8s.io/v1",
    "discovery.k8s.io/v1",
    "elbv2.k8s.aws/v1beta1",
    "minio.min.io/v2",
];

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
}
