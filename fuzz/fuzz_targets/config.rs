//! The native file: no panic, and a model or a mistake for every text.
#![no_main]

use elbow_model::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (model, diagnostics) = file::parse(input, "elbow.yaml");
    assert!(model.is_some() || !diagnostics.is_empty());
});
