//! What clients prove themselves with: no panic, and nobody gets in without a key of the issuer.
#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use elbow_auth::{Callbacks, Gate, Now, Providers, Request, Verdict};
use elbow_fuzz::peak;
use elbow_model::{
    Action, ActionSpec, AuthenticateOidcSpec, JwtValidationSpec, LoadBalancerAttributes,
};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes.
const HEAP: usize = 64 * 1024;

static GATES: LazyLock<(Gate, Gate, Callbacks)> = LazyLock::new(|| {
    let text = |text: &str| Some(text.to_owned());
    let providers = Providers::default();
    let gate = |spec: ActionSpec| {
        let action = Action::new(&spec).value.expect("the action is valid");
        let settings = LoadBalancerAttributes::default().authentication;
        let gate = providers.gate(&action, &"arn".into(), settings);
        gate.expect("the action authenticates")
    };
    let jwt = gate(ActionSpec::jwt_validation(JwtValidationSpec {
        jwks_endpoint: text("https://issuer.example/keys"),
        issuer: text("https://issuer.example"),
        ..JwtValidationSpec::default()
    }));
    let oidc = gate(ActionSpec::authenticate_oidc(AuthenticateOidcSpec {
        issuer: text("https://issuer.example"),
        authorization_endpoint: text("https://issuer.example/auth"),
        token_endpoint: text("https://issuer.example/token"),
        user_info_endpoint: text("https://issuer.example/me"),
        client_id: text("client"),
        client_secret: text("secret"),
        ..AuthenticateOidcSpec::default()
    }));
    let mut callbacks = Callbacks::default();
    if let Gate::Oidc(gate) = &oidc {
        callbacks.add(1, gate.clone());
    }
    (jwt, oidc, callbacks)
});

fuzz_target!(|input: &[u8]| {
    let (jwt, oidc, callbacks) = LazyLock::force(&GATES);
    let text = String::from_utf8_lossy(input);
    let uri = format!("/oauth2/idpresponse?{text}");
    peak::within(HEAP + 64 * input.len(), || {
        let request = Request {
            authorization: Some(input),
            cookies: vec![input],
            host: Some(input),
            uri: &uri,
        };
        let now = Now {
            unix: 1_800_000_000,
            instant: Instant::now(),
        };
        // Without keys, a token that can be read makes the gate ask for them.
        let verdict = jwt.check(&request, None, now);
        assert!(matches!(verdict, Verdict::Refused(_) | Verdict::Consult(_)), "{verdict:?}");
        let verdict = oidc.check(&request, None, now);
        assert!(matches!(verdict, Verdict::Refused(_) | Verdict::Reply(_)), "{verdict:?}");
        let (_, verdict) = callbacks.check(&request, None, now);
        assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
    });
});
