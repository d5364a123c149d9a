//! Replays the seeds of the fuzz targets `client_certificate` and `trust_store`, and what becomes of them when a byte changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::path::Path;
use std::{env, fs, process};

#[path = "../../../fuzz/certificates.rs"]
mod certificates;
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

/// What a byte becomes: its bits, its neighbours, and what lengths and tags often are.
const CHANGES: [fn(u8) -> u8; 8] = [
    |byte| byte ^ 1,
    |byte| byte ^ 0x20,
    |byte| byte ^ 0x80,
    |byte| byte.wrapping_add(1),
    |byte| byte.wrapping_sub(1),
    |_| 0,
    |_| 0x1e,
    |_| 0xff,
];

/// Checks each seed as it is, cut anywhere, and with changes, at each `step` of its bytes.
fn replay(target: &str, step: usize, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        check(&bytes);
        for at in (0..bytes.len()).step_by(step) {
            check(&bytes[..at]);
            for change in CHANGES {
                let mut changed = bytes.clone();
                changed[at] = change(changed[at]);
                check(&changed);
            }
        }
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

#[test]
fn certificates_of_clients() {
    replay("client_certificate", 1, certificates::client_certificate);
}

#[test]
fn trust_stores() {
    let folder = env::temp_dir().join(format!("elbow-trust-stores-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    replay("trust_store", 11, |input| {
        certificates::trust_store(input, &folder);
    });
    fs::remove_dir_all(&folder).unwrap();
}
