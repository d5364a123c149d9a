//! The environment file: no panic, and memory in proportion to the text.
#![no_main]

use elbow_fuzz::peak;
use elbow_manifest::Context;
use libfuzzer_sys::fuzz_target;

/// Peak heap of the reader in bytes, in addition to a multiple of the text: copies by aliases, and their parsing.
const HEAP: usize = 32 << 20;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        let (_, found) = peak::within(HEAP + 64 * text.len(), || {
            Context::parse(text, "environment.yaml")
        });
        for diagnostic in found {
            let _ = diagnostic.to_string();
        }
    }
});
