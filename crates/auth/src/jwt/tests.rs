use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use elbow_model::{Action, ActionSpec, AdditionalClaimSpec, JwtValidationSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::client::Client;

/// The clock of these tests.
const NOW: u64 = 1_800_000_000;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());
static LARGE: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa3072).unwrap());

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(id: &str, key: &KeyPair) -> Value {
    let public = key.public_key();
    let part = |bytes: &[u8]| base64(bytes);
    json!({
        "kty": "RSA", "kid": id, "use": "sig", "alg": "RS256",
        "n": part(public.modulus().big_endian_without_leading_zero()),
        "e": part(public.exponent().big_endian_without_leading_zero()),
    })
}

fn signed(header: &Value, claims: &Value, key: &KeyPair, how: &'static dyn RsaEncoding) -> String {
    let text = format!(
        "{}.{}",
        base64(header.to_string()),
        base64(claims.to_string())
    );
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(how, &random, text.as_bytes(), &mut signature)
        .unwrap();
    format!("{text}.{}", base64(signature))
}

fn token_of(claims: &Value) -> String {
    let header = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
    signed(&header, claims, &KEY, &signature::RSA_PKCS1_SHA256)
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "exp": NOW + 60, "sub": "alice"})
}

fn with(more: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// A gate that requires `additional` claims.
fn gate_with(additional: Vec<AdditionalClaimSpec>) -> JwtGate {
    gate_that_allows(Duration::from_secs(30), additional)
}

/// A gate of an issuer whose clock may differ by `skew`.
fn gate_that_allows(skew: Duration, additional: Vec<AdditionalClaimSpec>) -> JwtGate {
    let spec = ActionSpec::jwt_validation(JwtValidationSpec {
        jwks_endpoint: Some("https://issuer.example/keys".to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        additional_claims: additional,
    });
    let Action::JwtValidation(config) = Action::new(&spec).value.unwrap() else {
        panic!("another action");
    };
    let url = Arc::clone(&config.jwks_endpoint);
    JwtGate::new(
        config,
        Arc::new(KeyCache::new(url, Arc::new(Client::new()))),
        skew,
    )
}

fn keys(set: &Value) -> FetchedKeys {
    FetchedKeys(Keys::parse(set.to_string().as_bytes()).map(Arc::new))
}

fn our_keys() -> FetchedKeys {
    keys(&json!({"keys": [jwk("k0", &OTHER), jwk("k1", &KEY)]}))
}

fn now() -> Now {
    Now {
        unix: NOW,
        instant: Instant::now(),
    }
}

/// What a gate with our keys does with this value of Authorization.
fn checked(gate: &JwtGate, authorization: Option<&str>) -> Checked {
    let authorization = authorization.map(str::as_bytes);
    gate.check(authorization, Some(&our_keys()), now())
}

fn with_claims(gate: &JwtGate, claims: &Value) -> Checked {
    checked(gate, Some(&format!("Bearer {}", token_of(claims))))
}

// Parity 1.4: valid tokens are let through.
#[test]
fn valid_token_is_let_through() {
    let gate = gate_with(Vec::new());
    assert_eq!(with_claims(&gate, &claims()), Checked::Valid);
    let early = json!({"nbf": NOW - 1, "iat": NOW - 1});
    assert_eq!(with_claims(&gate, &with(&early)), Checked::Valid);
    let fraction = json!({"exp": NOW as f64 + 0.5});
    assert_eq!(with_claims(&gate, &with(&fraction)), Checked::Valid);
    let lower = format!("bearer {}", token_of(&claims()));
    assert_eq!(checked(&gate, Some(&lower)), Checked::Valid);
}

// Parity 1.15: JWTHeaderNotPresent, JWTRequestFormatInvalid.
#[test]
fn authorization_without_a_token_is_refused() {
    let gate = gate_with(Vec::new());
    assert_eq!(
        checked(&gate, None),
        Checked::Refused(Reason::JwtHeaderNotPresent)
    );
    let token = token_of(&claims());
    let unsigned = base64(json!({"alg": "none"}).to_string());
    let critical = signed(
        &json!({"alg": "RS256", "kid": "k1", "crit": ["x"], "x": 1}),
        &claims(),
        &KEY,
        &signature::RSA_PKCS1_SHA256,
    );
    let pss = signed(
        &json!({"alg": "PS256", "kid": "k1"}),
        &claims(),
        &KEY,
        &signature::RSA_PSS_SHA256,
    );
    let parts: Vec<&str> = token.split('.').collect();
    for value in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Basic YTpi".to_owned(),
        format!("Token {token}"),
        format!("Bearer {}", parts[..2].join(".")),
        format!("Bearer {token}.x"),
        format!("Bearer {unsigned}.{}.", parts[1]),
        format!("Bearer {}.!.{}", parts[0], parts[2]),
        format!("Bearer {0}.{0}x.{0}", parts[2]),
        format!("Bearer {critical}"),
        format!("Bearer {pss}"),
    ] {
        let expected = Checked::Refused(Reason::JwtRequestFormatInvalid);
        assert_eq!(checked(&gate, Some(&value)), expected, "{value}");
    }
}

// Parity 1.15: JWTSignatureValidationError. Parity 1.4: RSA keys of 2,048 bits alone.
#[test]
fn signature_of_another_key_is_refused() {
    let gate = gate_with(Vec::new());
    let refused = Checked::Refused(Reason::JwtSignatureValidationError);
    let header = |id: &str| json!({"alg": "RS256", "kid": id});
    let by = |id: &str, key: &KeyPair| {
        let token = signed(&header(id), &claims(), key, &signature::RSA_PKCS1_SHA256);
        format!("Bearer {token}")
    };
    assert_eq!(checked(&gate, Some(&by("k1", &OTHER))), refused);
    assert_eq!(checked(&gate, Some(&by("k0", &OTHER))), Checked::Valid);
    assert_eq!(checked(&gate, Some(&by("k2", &KEY))), refused);
    let mut changed: Vec<String> = token_of(&claims()).split('.').map(str::to_owned).collect();
    changed[1] = base64(with(&json!({"sub": "root"})).to_string());
    let changed = format!("Bearer {}", changed.join("."));
    assert_eq!(checked(&gate, Some(&changed)), refused);
    let large = keys(&json!({"keys": [jwk("k3", &LARGE)]}));
    let token = by("k3", &LARGE);
    assert_eq!(
        gate.check(Some(token.as_bytes()), Some(&large), now()),
        refused
    );
}

#[test]
fn token_without_a_key_id_is_tried_with_every_key() {
    let token = signed(
        &json!({"alg": "RS256"}),
        &claims(),
        &KEY,
        &signature::RSA_PKCS1_SHA256,
    );
    let gate = gate_with(Vec::new());
    assert_eq!(
        checked(&gate, Some(&format!("Bearer {token}"))),
        Checked::Valid
    );
}

// Parity 1.4: iss and exp are mandatory, nbf and iat are checked if present. A clock that is off by ten minutes shows
// in all three.
#[test]
fn standard_claims_are_checked() {
    let gate = gate_with(Vec::new());
    let table = [
        (json!({"iss": null}), Reason::JwtClaimFormatInvalid),
        (json!({"iss": "https://b"}), Reason::JwtClaimValueInvalid),
        (json!({"exp": "soon"}), Reason::JwtClaimFormatInvalid),
        (json!({"exp": NOW - 600}), Reason::JwtClaimValueInvalid),
        (json!({"nbf": NOW + 600}), Reason::JwtClaimValueInvalid),
        (json!({"nbf": "now"}), Reason::JwtClaimFormatInvalid),
        (json!({"iat": NOW + 600}), Reason::JwtClaimValueInvalid),
    ];
    for (more, reason) in table {
        let found = with_claims(&gate, &with(&more));
        assert_eq!(found, Checked::Refused(reason), "{more}");
    }
    let leeway = json!({"exp": NOW - 29, "nbf": NOW + 30, "iat": NOW + 30});
    assert_eq!(with_claims(&gate, &with(&leeway)), Checked::Valid);
    let late = json!({"exp": NOW - 30});
    assert_eq!(
        with_claims(&gate, &with(&late)),
        Checked::Refused(Reason::JwtClaimValueInvalid)
    );
    for missing in ["iss", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        let expected = Checked::Refused(Reason::JwtClaimNotPresent);
        assert_eq!(with_claims(&gate, &claims), expected, "{missing}");
    }
}

// The switch `elbow.authentication.clock_skew.seconds`.
#[test]
fn clocks_differ_as_much_as_the_attribute_says() {
    let late = Checked::Refused(Reason::JwtClaimValueInvalid);
    for (skew, off, expected) in [
        (0, 1, &late),
        (0, 0, &Checked::Valid),
        (600, 600, &Checked::Valid),
        (600, 601, &late),
    ] {
        let gate = gate_that_allows(Duration::from_secs(skew), Vec::new());
        let claims = with(&json!({"iat": NOW + off, "nbf": NOW + off}));
        assert_eq!(with_claims(&gate, &claims), *expected, "{skew} {off}");
    }
}

// Parity 1.4: claims of three formats.
#[test]
fn additional_claims_are_checked_by_their_format() {
    let gate = |format: &str| {
        gate_with(vec![AdditionalClaimSpec {
            name: Some("scope".to_owned()),
            format: Some(format.to_owned()),
            values: vec!["read".to_owned(), "write".to_owned()],
        }])
    };
    let valid = [
        ("single-string", json!("write")),
        ("string-array", json!(["other", "read"])),
        ("space-separated-values", json!("other write")),
    ];
    for (format, value) in &valid {
        let found = with_claims(&gate(format), &with(&json!({"scope": value})));
        assert_eq!(found, Checked::Valid, "{format}");
        let missing = with_claims(&gate(format), &claims());
        assert_eq!(missing, Checked::Refused(Reason::JwtClaimNotPresent));
        let number = with_claims(&gate(format), &with(&json!({"scope": 1})));
        assert_eq!(number, Checked::Refused(Reason::JwtClaimFormatInvalid));
    }
    let wrong = [
        ("single-string", json!("read write")),
        ("string-array", json!(["reading"])),
        ("space-separated-values", json!("reading")),
    ];
    for (format, value) in &wrong {
        let found = with_claims(&gate(format), &with(&json!({"scope": value})));
        assert_eq!(
            found,
            Checked::Refused(Reason::JwtClaimValueInvalid),
            "{format}"
        );
    }
    let mixed = with_claims(&gate("string-array"), &with(&json!({"scope": ["read", 1]})));
    assert_eq!(mixed, Checked::Refused(Reason::JwtClaimFormatInvalid));
}

// Parity 1.4: at most 10 keys; 1.15: JWKSResponseInvalid, JWKSResponseSizeExceeded.
#[test]
fn sets_of_keys_are_limited() {
    let parsed = |set: &Value| Keys::parse(set.to_string().as_bytes());
    let ten = json!({"keys": vec![jwk("k", &KEY); 10]});
    assert!(parsed(&ten).is_ok());
    let eleven = json!({"keys": vec![jwk("k", &KEY); 11]});
    assert_eq!(parsed(&eleven), Err(Reason::JwksResponseSizeExceeded));
    for invalid in [json!({}), json!([]), json!({"keys": {}})] {
        assert_eq!(parsed(&invalid), Err(Reason::JwksResponseInvalid));
    }
    assert_eq!(Keys::parse(b"{"), Err(Reason::JwksResponseInvalid));
}

#[test]
fn keys_for_other_purposes_are_left_out() {
    let key = jwk("k1", &KEY);
    let other = |name: &str, value: &str| {
        let mut key = key.clone();
        key[name] = json!(value);
        key
    };
    let set = json!({"keys": [
        other("kty", "EC"), other("use", "enc"), other("alg", "RS512"), other("n", "AQAB"), other("e", "!"), 1, key,
    ]});
    let only = json!({"keys": [key]});
    let parsed = |set: &Value| Keys::parse(set.to_string().as_bytes()).unwrap();
    assert_eq!(parsed(&set), parsed(&only));
}

// Parity 1.10: 500 when the keys cannot be had, 562 when their server answers with an error.
#[test]
fn keys_that_cannot_be_had_refuse_every_token() {
    let gate = gate_with(Vec::new());
    let token = format!("Bearer {}", token_of(&claims()));
    for reason in [Reason::JwksRequestTimeout, Reason::JwksRequestFailed] {
        let fetched = FetchedKeys(Err(reason));
        let found = gate.check(Some(token.as_bytes()), Some(&fetched), now());
        assert_eq!(found, Checked::Refused(reason));
    }
}

#[test]
fn only_a_token_makes_us_ask_for_keys() {
    let gate = gate_with(Vec::new());
    let token = format!("Bearer {}", token_of(&claims()));
    let found = gate.check(Some(token.as_bytes()), None, now());
    assert_eq!(found, Checked::NeedsKeys);
    let found = gate.check(Some(b"Bearer x"), None, now());
    assert_eq!(found, Checked::Refused(Reason::JwtRequestFormatInvalid));
}

proptest! {
    #[test]
    fn no_text_is_a_valid_token(text in "[ -~]{0,80}", parts in prop::collection::vec("[A-Za-z0-9_=-]{0,20}", 0..5)) {
        let gate = gate_with(Vec::new());
        for value in [text, format!("Bearer {}", parts.join("."))] {
            prop_assert!(matches!(checked(&gate, Some(&value)), Checked::Refused(_)));
        }
    }
}
