//! Bundles of authorities and revocation lists: see `certificates::trust_store`.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../certificates.rs"]
mod certificates;

use std::path::PathBuf;
use std::sync::LazyLock;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("elbow-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
});

fuzz_target!(|input: &[u8]| certificates::trust_store(input, &FOLDER));
