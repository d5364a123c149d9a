//! kubectl's answers to a few manifests.

use std::fs;
use std::thread;

use elbow_tests::TempDir;
use elbow_tests::cluster::Access;
use elbow_tests::command::{output, texts};

use crate::faults::Variant;

/// Whether `kubectl apply --dry-run=server` refuses each manifest, and what it says.
pub(crate) fn answers(access: &Access, variants: &[&Variant]) -> Vec<(bool, String)> {
    let dir = TempDir::new();
    // The first call reads what kinds there are, for all.
    access.ask(&["api-resources"]);
    thread::scope(|scope| {
        let apply = |(index, variant): (usize, &&Variant)| {
            let file = dir.join(format!("{index}.yaml"));
            fs::write(&file, &variant.yaml).unwrap();
            let mut command = access.kubectl();
            command
                .args(["apply", "--dry-run=server", "--filename"])
                .arg(&file);
            scope.spawn(move || {
                let output = output(&mut command);
                (!output.status.success(), texts(&output).1)
            })
        };
        let running: Vec<_> = variants.iter().enumerate().map(apply).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}
