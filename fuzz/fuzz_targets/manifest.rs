//! Kubernetes manifests: no panic, whatever the objects say.
#![no_main]

use elbow_manifest::{Context, plan, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        let (objects, _) = read(text, "fuzz.yaml");
        for stack in plan(&objects, &Context::default()).stacks {
            stack.to_json();
        }
    }
});
