//! Kubernetes manifests: no panic for any objects.
#![no_main]

use elbow_fuzz::peak;
use elbow_manifest::cluster::{Change, Cluster};
use elbow_manifest::{Context, plan, read, translate};
use libfuzzer_sys::fuzz_target;

/// Peak heap of all readers in bytes.
const HEAP: usize = 100 << 20;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        peak::within(HEAP, || check(text));
    }
});

fn check(text: &str) {
    let (objects, _) = read(text, "fuzz.yaml");
    let context = Context::default();
    for stack in plan(&objects, &context).stacks {
        stack.to_json();
    }
    translate(&objects, &context);
    let mut cluster = Cluster::new(context);
    for object in objects {
        cluster.take(Change::Set(object));
    }
    cluster.reconcile();
    cluster.model();
}
