//! What clients prove themselves with: no panic, and nobody gets in without a key of the issuer.
#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use elbow_auth::{Credentials, Gate, Now, Providers, Verdict};
use elbow_fuzz::peak;
use elbow_model::{Action, ActionSpec, JwtValidationSpec};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes.
const HEAP: usize = 64 * 1024;

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let spec = ActionSpec::jwt_validation(JwtValidationSpec {
        jwks_endpoint: Some("https://issuer.example/keys".to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        ..JwtValidationSpec::default()
    });
    let action = Action::new(&spec).value.expect("the action is valid");
    Providers::default().gate(&action).expect("the action authenticates")
});

fuzz_target!(|input: &[u8]| {
    LazyLock::force(&GATE);
    peak::within(HEAP + 64 * input.len(), || {
        let credentials = Credentials {
            authorization: Some(input),
        };
        let now = Now {
            unix: 1_800_000_000,
            instant: Instant::now(),
        };
        // Without keys, a token that can be read makes the gate ask for them.
        let verdict = GATE.check(credentials, None, now);
        assert!(!matches!(verdict, Verdict::Admitted), "{verdict:?}");
    });
});
