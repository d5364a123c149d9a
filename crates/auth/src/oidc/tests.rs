use std::time::Duration;

use elbow_model::{Action, ActionSpec, AuthenticateOidcSpec, LoadBalancerAttributes};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::client::Response;
use crate::encoding::encode;
use crate::oidc::response::Tokens;
use crate::request::Identity;

/// The clock of these tests.
const NOW: u64 = 1_800_000_000;

fn spec() -> AuthenticateOidcSpec {
    let text = |text: &str| Some(text.to_owned());
    AuthenticateOidcSpec {
        issuer: text("https://id.example"),
        authorization_endpoint: text("https://id.example/auth"),
        token_endpoint: text("https://id.example/token"),
        user_info_endpoint: text("https://id.example/me"),
        client_id: text("client"),
        client_secret: text("a secret"),
        ..AuthenticateOidcSpec::default()
    }
}

fn config(change: impl FnOnce(&mut AuthenticateOidcSpec)) -> AuthenticateOidc {
    let mut spec = spec();
    change(&mut spec);
    let action = Action::new(&ActionSpec::authenticate_oidc(spec));
    match action.value.unwrap() {
        Action::AuthenticateOidc(config) => *config,
        other => panic!("{other}"),
    }
}

fn gate_with(change: impl FnOnce(&mut AuthenticateOidcSpec)) -> Arc<OidcGate> {
    let shared = Shared {
        client: Arc::new(Client::new()),
        refreshes: Arc::default(),
        signer: Signer::new().map(Arc::new),
    };
    let settings = LoadBalancerAttributes::default().authentication;
    Arc::new(OidcGate::new(
        config(change),
        settings,
        &shared,
        "arn:lb".into(),
    ))
}

fn gate() -> Arc<OidcGate> {
    gate_with(|_| {})
}

/// A request of a browser with these cookies.
fn request<'a>(uri: &'a str, cookies: &[&'a str]) -> Request<'a> {
    Request {
        authorization: None,
        cookies: cookies.iter().map(|cookie| cookie.as_bytes()).collect(),
        host: Some(b"App.example:8443"),
        uri,
    }
}

fn reply(verdict: Verdict) -> Reply {
    match verdict {
        Verdict::Reply(reply) => reply,
        other => panic!("expected a redirect, found {other:?}"),
    }
}

fn refused(verdict: &Verdict) -> Option<Reason> {
    match verdict {
        Verdict::Refused(reason) => Some(*reason),
        _ => None,
    }
}

/// The pair of a value of Set-Cookie.
fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

fn session(expires: Option<u64>, refresh: Option<&str>) -> Session {
    let claims = json!({"sub": "alice", "email": "alice@example.test"});
    Session {
        since: NOW,
        claims: claims.as_object().unwrap().clone(),
        access_token: "access".to_owned(),
        expires,
        refresh_token: refresh.map(str::to_owned),
    }
}

fn answer(session: Result<Session, Reason>) -> Answer {
    Answer {
        session,
        took: Duration::ZERO,
        is_own: true,
    }
}

/// Begins a login for `uri`: the state that the provider gets, and the cookie of the browser.
fn begin(gate: &Arc<OidcGate>, uri: &str) -> (String, String) {
    let challenge = reply(gate.check(&request(uri, &[]), None, NOW));
    let state = query::value(query_of(&challenge.location), "state").unwrap();
    (state, pair(&challenge.cookies[0]))
}

fn callbacks(gates: &[(u32, &Arc<OidcGate>)]) -> Callbacks {
    let mut callbacks = Callbacks::default();
    for (priority, gate) in gates {
        callbacks.add(*priority, Arc::clone(gate));
    }
    callbacks
}

// Parity 1.4: the request for a login.
#[test]
fn request_without_a_session_leads_to_the_provider() {
    let gate = gate_with(|spec| {
        spec.authorization_endpoint = Some("https://id.example/auth?tenant=1".to_owned());
        spec.login.scope = Some("openid email".to_owned());
        spec.login
            .extra_params
            .insert("prompt".to_owned(), "login now".to_owned());
    });
    let challenge = reply(gate.check(&request("/a?b", &[]), None, NOW));
    let start = "https://id.example/auth?tenant=1&client_id=client&redirect_uri=https%3A%2F%2Fapp.example%3A8443\
                 %2Foauth2%2Fidpresponse&response_type=code&scope=openid%20email&state=";
    assert!(
        challenge.location.starts_with(start),
        "{}",
        challenge.location
    );
    assert!(challenge.location.ends_with("&prompt=login%20now"));
    let nonce = query::value(query_of(&challenge.location), "nonce").unwrap();
    assert_eq!(nonce.len(), 43);
    assert!(challenge.cookies[0].starts_with("AWSALBAuthNonce="));
    let end = "; Expires=Fri, 15 Jan 2027 08:15:00 GMT; Path=/; SameSite=None; Secure; HttpOnly";
    assert!(
        challenge.cookies[0].ends_with(end),
        "{}",
        challenge.cookies[0]
    );

    // Two tabs log in at the same time: the second keeps the secret of the first.
    let cookie = pair(&challenge.cookies[0]);
    let again = reply(gate.check(&request("/c", &[&cookie]), None, NOW));
    assert_eq!(pair(&again.cookies[0]), cookie);
}

#[test]
fn request_without_a_session_is_denied_or_let_through_if_the_action_says_so() {
    let with = |what: &str| {
        gate_with(|spec| spec.login.on_unauthenticated_request = Some(what.to_owned()))
    };
    let denied = with("deny").check(&request("/", &[]), None, NOW);
    assert_eq!(refused(&denied), Some(Reason::AuthDenied));
    let allowed = with("allow").check(&request("/", &[]), None, NOW);
    assert!(matches!(
        allowed,
        Verdict::Admitted(Admission { identity: None, .. })
    ));
}

#[test]
fn host_that_no_url_can_hold_is_refused() {
    for host in [
        None,
        Some(&b""[..]),
        Some(b"a/b"),
        Some(b"a\xff"),
        Some(b"a b"),
    ] {
        let request = Request {
            host,
            ..request("/", &[])
        };
        let verdict = gate().check(&request, None, NOW);
        assert_eq!(
            refused(&verdict),
            Some(Reason::AuthMissingHostHeader),
            "{host:?}"
        );
    }
}

// Parity 1.4: the end of a login.
#[test]
fn login_ends_where_it_began_and_with_a_session() {
    let gate = gate();
    let callbacks = callbacks(&[(7, &gate)]);
    let (state, cookie) = begin(&gate, "/a?b=c%20d");
    let uri = format!("/oauth2/idpresponse?code=x&state={state}");
    let request = request(&uri, &[&cookie]);
    let (priority, verdict) = callbacks.end_login(&request, None, NOW);
    assert!(matches!(verdict, Verdict::Ask(_)), "{verdict:?}");
    assert_eq!(priority, Some(7));
    let got = answer(Ok(session(None, None)));
    let (_, verdict) = callbacks.end_login(&request, Some(&got), NOW);
    let done = reply(verdict);
    assert_eq!(done.location, "https://app.example:8443/a?b=c%20d");
    assert!(done.is_login);
    let [cookie] = &done.cookies[..] else {
        panic!("{:?}", done.cookies);
    };
    assert!(cookie.starts_with("AWSELBAuthSessionCookie-0="));
    let end = "; Expires=Fri, 22 Jan 2027 08:00:00 GMT; Path=/; SameSite=None; Secure; HttpOnly";
    assert!(cookie.ends_with(end), "{cookie}");
    assert_eq!(
        admitted(&gate, &pair(cookie), NOW).unwrap().subject,
        "alice"
    );
    let failed = answer(Err(Reason::AuthInvalidGrantError));
    let (_, verdict) = callbacks.end_login(&request, Some(&failed), NOW);
    assert_eq!(refused(&verdict), Some(Reason::AuthInvalidGrantError));
}

/// What a target is told when the request has this cookie.
fn admitted(gate: &Arc<OidcGate>, cookie: &str, now: u64) -> Option<Identity> {
    match gate.check(&request("/", &[cookie]), None, now) {
        Verdict::Admitted(admission) => admission.identity.map(|identity| *identity),
        _ => None,
    }
}

// Parity 1.4: 15 minutes; 1.15: AuthMissing…, AuthInvalidStateParam. A stolen state is of no use in another browser.
#[test]
fn callback_that_no_login_belongs_to_is_refused() {
    let gate = gate();
    let (first, other) = (
        callbacks(&[(1, &gate)]),
        callbacks(&[(
            1,
            &gate_with(|spec| {
                spec.client_secret = Some("another".to_owned());
            }),
        )]),
    );
    let (state, cookie) = begin(&gate, "/");
    let (_, stranger) = begin(&gate, "/");
    let table = [
        (
            "code=x".to_owned(),
            &cookie,
            NOW,
            Reason::AuthMissingStateParam,
        ),
        (
            "code=x&state=x".to_owned(),
            &cookie,
            NOW,
            Reason::AuthInvalidStateParam,
        ),
        (
            format!("code=x&state={state}"),
            &stranger,
            NOW,
            Reason::AuthInvalidStateParam,
        ),
        (
            format!("code=x&state={state}"),
            &cookie,
            NOW + 901,
            Reason::AuthInvalidStateParam,
        ),
        (
            format!("state={state}"),
            &cookie,
            NOW + 900,
            Reason::AuthMissingCodeParam,
        ),
        (
            format!("error=access_denied&state={state}"),
            &cookie,
            NOW,
            Reason::AuthDenied,
        ),
        (
            format!("error=invalid_scope&state={state}"),
            &cookie,
            NOW,
            Reason::AuthProviderError,
        ),
    ];
    for (query, cookie, now, reason) in table {
        let uri = format!("/oauth2/idpresponse?{query}");
        let (_, verdict) = first.end_login(&request(&uri, &[cookie]), None, now);
        assert_eq!(refused(&verdict), Some(reason), "{query}");
    }
    let uri = format!("/oauth2/idpresponse?code=x&state={state}");
    let without = first.end_login(&request(&uri, &[]), None, NOW).1;
    assert_eq!(refused(&without), Some(Reason::AuthInvalidStateParam));
    let foreign = other.end_login(&request(&uri, &[&cookie]), None, NOW).1;
    assert_eq!(refused(&foreign), Some(Reason::AuthInvalidStateParam));
    assert!(first.takes("/oauth2/idpresponse") && !first.takes("/oauth2/idpresponse/"));
    assert!(!Callbacks::default().takes("/oauth2/idpresponse"));
}

#[test]
fn login_for_a_long_uri_ends_at_the_root() {
    let gate = gate();
    let (state, cookie) = begin(&gate, &format!("/{}", "a".repeat(5000)));
    let uri = format!("/oauth2/idpresponse?code=x&state={state}");
    let got = answer(Ok(session(None, None)));
    let callbacks = callbacks(&[(1, &gate)]);
    let (_, verdict) = callbacks.end_login(&request(&uri, &[&cookie]), Some(&got), NOW);
    assert_eq!(reply(verdict).location, "https://app.example:8443/");
}

/// The only session cookie of `session`.
fn cookie_of(gate: &Arc<OidcGate>, session: &Session) -> String {
    pair(&gate.cookies(session, 0, NOW).unwrap()[0])
}

// Parity 1.15: AuthInvalidCookie. Cookies serve until the session timeout, and nobody but us makes them.
#[test]
fn session_serves_until_its_timeout_and_only_unchanged() {
    let gate = gate_with(|spec| spec.login.session_timeout = Some(60));
    let cookie = cookie_of(&gate, &session(None, None));
    assert!(admitted(&gate, &cookie, NOW + 59).is_some());
    assert!(admitted(&gate, &cookie, NOW + 60).is_none());
    let same = gate_with(|spec| spec.login.session_timeout = Some(60));
    assert!(admitted(&same, &cookie, NOW).is_some(), "another process");
    for other in [
        gate_with(|spec| spec.client_secret = Some("another".to_owned())),
        gate_with(|spec| spec.client_id = Some("another".to_owned())),
        gate_with(|spec| spec.issuer = Some("https://other.example".to_owned())),
    ] {
        assert!(admitted(&other, &cookie, NOW).is_none());
    }
    let at = cookie.len() / 2;
    let letter = if cookie.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    let damaged = format!("{}{letter}{}", &cookie[..at], &cookie[at + 1..]);
    let challenge = reply(gate.check(&request("/", &[&damaged]), None, NOW));
    assert_eq!(challenge.reason, Some(Reason::AuthInvalidCookie));
    // A state is no session, although the same key seals both.
    let (state, _) = begin(&gate, "/");
    let state = format!("AWSELBAuthSessionCookie-0={state}");
    assert!(admitted(&gate, &state, NOW).is_none());
}

// ALB guide, authenticate users: the session is refreshed when the access token expires.
#[test]
fn stale_session_is_refreshed_if_it_can_be() {
    let gate = gate();
    let stale = cookie_of(&gate, &session(Some(NOW), Some("refresh")));
    let request = request("/", &[&stale]);
    assert!(matches!(
        gate.check(&request, None, NOW - 1),
        Verdict::Admitted(_)
    ));
    assert!(matches!(gate.check(&request, None, NOW), Verdict::Ask(_)));
    let fresh = answer(Ok(session(Some(NOW + 60), Some("refresh 2"))));
    let Verdict::Admitted(admission) = gate.check(&request, Some(&fresh), NOW) else {
        panic!("expected the request to be let through");
    };
    assert!(admission.is_refreshed);
    assert!(admitted(&gate, &pair(&admission.cookies[0]), NOW + 59).is_some());
    let failed = answer(Err(Reason::AuthInvalidGrantError));
    let challenge = reply(gate.check(&request, Some(&failed), NOW));
    assert_eq!(challenge.reason, Some(Reason::AuthInvalidGrantError));
    let lasting = cookie_of(&gate, &session(Some(NOW), None));
    assert!(
        admitted(&gate, &lasting, NOW + 3600).is_some(),
        "there is no refresh token"
    );
}

// Parity 1.4: cookies are sharded; more than 11 K of claims is too large.
#[test]
fn large_sessions_are_sharded() {
    let gate = gate();
    let large = |size: usize| {
        let mut session = session(None, None);
        session
            .claims
            .insert("padding".to_owned(), "x".repeat(size).into());
        session
    };
    let cookies = gate.cookies(&large(11_000), 0, NOW).unwrap();
    assert_eq!(cookies.len(), 4);
    let pairs: Vec<String> = cookies.iter().map(|cookie| pair(cookie)).collect();
    assert!(pairs.iter().all(|pair| pair.len() <= 4096));
    let field = pairs.join("; ");
    assert!(admitted(&gate, &field, NOW).is_some());
    let missing = [&pairs[0][..], &pairs[1], &pairs[3]].join("; ");
    assert!(admitted(&gate, &missing, NOW).is_none());
    // A smaller session takes back what is left of the larger one.
    let cookies = gate.cookies(&session(None, None), 4, NOW).unwrap();
    assert_eq!(cookies.len(), 4);
    assert!(
        cookies[1..]
            .iter()
            .all(|cookie| cookie.contains("=; Expires=Thu, 01 Jan 1970 00:00:00 GMT;"))
    );
    let too_large = gate.cookies(&large(11 * 1024), 0, NOW);
    assert_eq!(too_large, Err(Reason::AuthUserinfoResponseSizeExceeded));
}

// ALB guide, user claims encoding.
#[test]
fn target_gets_claims_signed_with_a_key_that_is_published() {
    let gate = gate();
    let identity = admitted(&gate, &cookie_of(&gate, &session(None, None)), NOW).unwrap();
    assert_eq!(identity.access_token, "access");
    let parts: Vec<&str> = identity.data.split('.').collect();
    assert!(
        parts.iter().all(|part| part.len() % 4 == 0),
        "padded: {}",
        identity.data
    );
    let json = |part: &str| -> Value {
        serde_json::from_slice(&crate::encoding::decode(part).unwrap()).unwrap()
    };
    let header = json(parts[0]);
    let id = header["kid"].as_str().unwrap();
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["signer"], "arn:lb");
    assert_eq!(header["client"], "client");
    assert_eq!(header["iss"], "https://id.example");
    assert_eq!(header["exp"], NOW + 120);
    let claims = json(parts[1]);
    assert_eq!(claims["email"], "alice@example.test");
    assert_eq!(claims["exp"], NOW + 120);
    let pem = gate.signer.as_ref().unwrap().public_key(id).unwrap();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
    assert!(gate.signer.as_ref().unwrap().public_key("other").is_none());
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
        &der[der.len() - 65..],
    );
    let signed = format!("{}.{}", parts[0], parts[1]);
    let signature = crate::encoding::decode(parts[2]).unwrap();
    key.verify(signed.as_bytes(), &signature).unwrap();
}

fn response(status: u16, body: &Value) -> Response {
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        body: body.to_string().into(),
    }
}

// Parity 1.15: AuthInvalidGrantError, AuthTokenEpRequestFailed, AuthInvalidTokenResponse.
#[test]
fn answers_of_the_token_endpoint_have_reasons() {
    let good =
        json!({"access_token": "a", "token_type": "bearer", "expires_in": "60", "id_token": "i"});
    let tokens = Tokens::read(&response(200, &good)).unwrap();
    assert_eq!((tokens.expires_in, tokens.refresh_token), (Some(60), None));
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let table = [
        (
            400,
            json!({"error": "invalid_grant"}),
            Reason::AuthInvalidGrantError,
        ),
        (
            401,
            json!({"error": "invalid_client"}),
            Reason::AuthTokenEpRequestFailed,
        ),
        (503, json!("x"), Reason::AuthTokenEpRequestFailed),
        (200, json!([]), Reason::AuthInvalidTokenResponse),
        (
            200,
            with("access_token", json!("a\r\nb: c")),
            Reason::AuthInvalidTokenResponse,
        ),
        (
            200,
            with("access_token", json!("")),
            Reason::AuthInvalidTokenResponse,
        ),
        (
            200,
            with("token_type", json!("mac")),
            Reason::AuthInvalidTokenResponse,
        ),
    ];
    for (status, body, reason) in table {
        assert_eq!(
            Tokens::read(&response(status, &body)),
            Err(reason),
            "{body}"
        );
    }
}

fn id_token(claims: &Value) -> String {
    let header = json!({"alg": "RS256"}).to_string();
    format!("{}.{}.AA", encode(header), encode(claims.to_string()))
}

// Parity 1.15: AuthInvalidIdToken; a clock that is off by ten minutes shows in it.
#[test]
fn id_token_must_be_for_this_login() {
    let good = json!({"iss": "https://id.example", "aud": "client", "sub": "alice", "nonce": "n",
        "iat": NOW, "exp": NOW + 60});
    let config = config(|_| {});
    let now = (NOW, Duration::from_secs(30));
    let subject = |claims: &Value| response::subject(&config, &id_token(claims), "n", now);
    assert_eq!(subject(&good).as_deref(), Ok("alice"));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let mut shared = with("aud", json!(["client", "other"]));
    assert!(subject(&shared).is_err());
    shared["azp"] = json!("client");
    assert!(subject(&shared).is_ok());
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("aud", json!("other")),
        ("azp", json!("other")),
        ("sub", json!("")),
        ("sub", json!("a\nb")),
        ("nonce", json!("m")),
        ("nonce", json!(null)),
        ("exp", json!(NOW - 600)),
        ("iat", json!(NOW + 600)),
        ("iat", json!(null)),
    ] {
        let found = subject(&with(name, value.clone()));
        assert_eq!(found, Err(Reason::AuthInvalidIdToken), "{name} {value}");
    }
    let rubbish = response::subject(&config, "a.b", "n", now);
    assert_eq!(rubbish, Err(Reason::AuthInvalidIdToken));
}

// Parity 1.15: AuthUserinfoEpRequestFailed, AuthInvalidUserinfoResponse.
#[test]
fn claims_must_be_those_of_the_user() {
    let claims = json!({"sub": "alice", "name": "Alice"});
    let found = response::user_info(&response(200, &claims), "alice").unwrap();
    assert_eq!(found["name"], "Alice");
    let other = response::user_info(&response(200, &claims), "bob");
    assert_eq!(other, Err(Reason::AuthInvalidUserinfoResponse));
    let jwt = response::user_info(&response(200, &json!("a.b.c")), "alice");
    assert_eq!(jwt, Err(Reason::AuthInvalidUserinfoResponse));
    let failed = response::user_info(&response(403, &claims), "alice");
    assert_eq!(failed, Err(Reason::AuthUserinfoEpRequestFailed));
}

proptest! {
    /// No cookie and no callback gets anybody in.
    #[test]
    fn nothing_but_our_own_cookies_is_a_session(value in "[A-Za-z0-9_=-]{0,120}", query in "[ -~]{0,80}") {
        let gate = gate();
        let cookie = format!("AWSELBAuthSessionCookie-0={value}; AWSALBAuthNonce={value}");
        prop_assert!(admitted(&gate, &cookie, NOW).is_none());
        let uri = format!("/oauth2/idpresponse?{query}");
        let (_, verdict) = callbacks(&[(1, &gate)]).end_login(&request(&uri, &[&cookie]), None, NOW);
        prop_assert!(matches!(verdict, Verdict::Refused(_)), "{:?}", verdict);
    }
}
