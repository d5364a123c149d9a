//! `jwt-validation` of an ALB (ALB guide: verify JWTs).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule};
use elbow_tests::elbow::log_fields;
use elbow_tests::identity::{OidcProvider, Signer, now};
use elbow_tests::target::ok;
use elbow_tests::{Ca, Client, Elbow, Response, Target, TempDir, address, client, command, need};
use serde_json::{Value, json};

const HOST: &str = "api.example";
const ISSUER: &str = "https://issuer.example";
/// How long elbow waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// An HTTPS listener with rules that validate tokens, and a provider's authority that it trusts.
struct Api {
    elbow: Elbow,
    ip: Ipv4Addr,
    ca: Ca,
    target: Target,
}

impl Api {
    /// A rule for `/NAME*` for each pair of a name and a configuration; `providers` signed the certificates of the
    /// providers.
    fn new(providers: &Ca, gates: &[(&str, Value)]) -> Self {
        let target = Target::http(|request| ok(request.header("authorization").unwrap_or("none")));
        let (ip, ca, dir) = (address(), Ca::new(), TempDir::new());
        ca.leaf(&[HOST]).write(&dir, "main");
        let rules = (1..).zip(gates).map(|(priority, (name, config))| {
            let gate = json!({"type": "jwt-validation", "jwtValidationConfig": config});
            let mut rule = rule(
                priority,
                "path-pattern",
                &format!("/{name}*"),
                &forward("web"),
            );
            rule["actions"] = json!([gate, forward("web")]);
            rule
        });
        let mut listener = listener(8443, "HTTPS", &fixed(404, "default"));
        listener["rules"] = rules.collect();
        listener["certificates"] = json!(["main"]);
        listener["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
        let mut config = file(
            &[alb("alb", ip, &[listener])],
            &[group("web", "HTTP", &[target.addr()])],
        );
        config["certificates"] =
            json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
        let elbow = Elbow::run_trusting(dir, &config, providers, &[]);
        elbow.wait_for_state("web", target.addr(), "healthy");
        Self {
            elbow,
            ip,
            ca,
            target,
        }
    }

    fn get(&self, path: &str, authorization: Option<&str>) -> Response {
        get(self.ip, &self.ca, path, authorization)
    }

    /// Status, `actions_executed` and `error_reason` of the requests in the access log.
    fn log(&self, n: usize) -> Vec<(String, String, String)> {
        let log = self.elbow.access_log(n);
        let fields = log.iter().map(|line| log_fields(line));
        fields
            .map(|f| (f[8].clone(), f[22].clone(), f[24].clone()))
            .collect()
    }
}

fn get(ip: Ipv4Addr, ca: &Ca, path: &str, authorization: Option<&str>) -> Response {
    let mut request = client::get(HOST, path);
    if let Some(value) = authorization {
        let line = format!("\r\nAuthorization: {value}\r\n\r\n");
        request = request.replace("\r\n\r\n", &line);
    }
    let client = Client::tls((ip, 8443), HOST, &ca.client(&[]));
    client.unwrap().ask(request)
}

fn config(url: &str, issuer: &str) -> Value {
    json!({"jwksEndpoint": url, "issuer": issuer})
}

fn row(status: &str, actions: &str, reason: &str) -> (String, String, String) {
    (status.to_owned(), actions.to_owned(), reason.to_owned())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A provider whose paths misbehave in different ways, and the authority of its certificate.
fn faulty_provider(signer: &Signer) -> (Target, Ca) {
    let ca = Ca::new();
    let keys = signer.keys("k1").to_string();
    let script = move |request: &elbow_tests::Request| match request.line().split(' ').nth(1) {
        Some("/unavailable") => b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Some("/rubbish") => ok("<html>"),
        Some("/empty") => ok("{}"),
        Some("/huge") => ok(&format!(
            "{{\"keys\": [], \"x\": \"{}\"}}",
            "x".repeat(1 << 20)
        )),
        Some("/no-http") => b"SSH-2.0-x\r\n\r\n".to_vec(),
        Some("/slow") => {
            thread::sleep(2 * PATIENCE);
            ok(&keys)
        }
        _ => ok(&keys),
    };
    (Target::http_tls(&ca, script), ca)
}

// Parity 1.4, 1.10 and 1.15: 401, 500 and 562 with their reasons.
#[test]
fn valid_tokens_pass_and_others_get_the_status_and_reason_of_aws() {
    let signer = Signer::new();
    let (provider, ca) = faulty_provider(&signer);
    let url = |path: &str| format!("https://{}{path}", provider.addr());
    let away = Target::refusing();
    let scope = json!([{"name": "scope", "format": "space-separated-values", "values": ["read"]}]);
    let mut scoped = config(&url("/keys"), ISSUER);
    scoped["additionalClaims"] = scope;
    let api = Api::new(
        &ca,
        &[
            ("good", config(&url("/keys"), ISSUER)),
            ("scoped", scoped),
            ("away", config(&format!("https://{}/", away.addr()), ISSUER)),
            ("unavailable", config(&url("/unavailable"), ISSUER)),
            ("rubbish", config(&url("/rubbish"), ISSUER)),
            ("empty", config(&url("/empty"), ISSUER)),
            ("huge", config(&url("/huge"), ISSUER)),
            ("no-http", config(&url("/no-http"), ISSUER)),
        ],
    );
    let now = now();
    let claims = json!({"iss": ISSUER, "exp": now + 600, "scope": "read write"});
    let token = bearer(&signer.token("k1", &claims));
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        bearer(&signer.token("k1", &claims))
    };
    let response = api.get("/good", Some(&token));
    assert_eq!((response.status, response.text()), (200, token.clone()));
    assert_eq!(api.get("/scoped", Some(&token)).status, 200);
    let forged = bearer(&Signer::new().token("k1", &claims));
    let late = with("exp", json!(now - 600));
    let narrow = with("scope", json!("write"));
    let table = [
        ("/good", None, 401, "JWTHeaderNotPresent"),
        ("/good", Some("Bearer x"), 401, "JWTRequestFormatInvalid"),
        ("/good", Some(&*forged), 401, "JWTSignatureValidationError"),
        ("/good", Some(&*late), 401, "JWTClaimValueInvalid"),
        ("/scoped", Some(&*narrow), 401, "JWTClaimValueInvalid"),
        ("/away", Some(&*token), 500, "JWKSRequestTimeout"),
        ("/unavailable", Some(&*token), 562, "JWKSRequestFailed"),
        ("/rubbish", Some(&*token), 562, "JWKSResponseInvalid"),
        ("/empty", Some(&*token), 562, "JWKSResponseInvalid"),
        ("/huge", Some(&*token), 500, "JWKSResponseSizeExceeded"),
        ("/no-http", Some(&*token), 562, "JWKSResponseInvalid"),
    ];
    let mut expected = vec![row("200", "authenticate,forward", "-"); 2];
    for (path, authorization, status, reason) in table {
        let response = api.get(path, authorization);
        assert_eq!(response.status, status, "{path} {reason}");
        assert_eq!(response.header("server"), Some("awselb/2.0"));
        expected.push(row(&status.to_string(), "authenticate", reason));
    }
    let mut log = api.log(expected.len());
    log.sort();
    expected.sort();
    assert_eq!(log, expected);
    let asked = provider.requests();
    let keys = asked.iter().filter(|r| r.line().starts_with("GET /keys "));
    assert_eq!(
        keys.count(),
        1,
        "the keys are kept for all rules and workers"
    );
    for (result, count) in [("success", 2.0), ("failure", 11.0)] {
        let label = format!("result=\"{result}\"");
        let name = "elbow_jwt_validations_total";
        api.elbow.wait_for_metric(name, &[&label], count);
    }
    assert_eq!(api.target.requests().len(), 2);
}

// Parity 1.4: the keys have five seconds.
#[test]
fn slow_keys_are_given_up_while_other_requests_are_served() {
    let signer = Signer::new();
    let (provider, ca) = faulty_provider(&signer);
    let url = |path: &str| format!("https://{}{path}", provider.addr());
    let api = Api::new(
        &ca,
        &[
            ("slow", config(&url("/slow"), ISSUER)),
            ("good", config(&url("/keys"), ISSUER)),
        ],
    );
    let token = bearer(&signer.token("k1", &json!({"iss": ISSUER, "exp": now() + 600})));
    thread::scope(|scope| {
        let (ip, ca) = (api.ip, &api.ca);
        let token = &token;
        let start = Instant::now();
        let slow = scope.spawn(move || get(ip, ca, "/slow", Some(token)).status);
        provider.wait_for_requests(1);
        // Both workers serve others meanwhile.
        for _ in 0..8 {
            assert_eq!(api.get("/good", Some(token)).status, 200);
        }
        assert!(!slow.is_finished() || start.elapsed() >= PATIENCE);
        assert_eq!(slow.join().unwrap(), 500);
    });
}

#[test]
fn requests_of_http2_wait_for_the_keys_too() {
    let curl = need!("curl");
    let signer = Signer::new();
    let (provider, ca) = faulty_provider(&signer);
    let url = format!("https://{}/keys", provider.addr());
    let api = Api::new(&ca, &[("good", config(&url, ISSUER))]);
    let token = bearer(&signer.token("k1", &json!({"iss": ISSUER, "exp": now() + 600})));
    let ask = |more: &[&str]| {
        let mut curl = std::process::Command::new(&curl);
        curl.args([
            "-sk",
            "--http2",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
        ])
        .args(more)
        .arg(format!("https://{}:8443/good", api.ip));
        command::stdout(&mut curl)
    };
    let field = format!("Authorization: {token}");
    let with_body = ask(&["--data-binary", "some body", "-H", &field]);
    assert_eq!(with_body, "2 200");
    assert_eq!(api.target.request().body, b"some body");
    // Without a body: curl 7.88 calls an answer that does not wait for one an error.
    assert_eq!(ask(&[]), "2 401");
}

/// With a real provider: tokens of `client_credentials`, and a change of its keys.
#[test]
fn tokens_of_oidc_provider_pass_also_after_its_keys_changed() {
    let Some(provider) = OidcProvider::start(Ca::new(), &[], &[]) else {
        return;
    };
    let issuer = provider.url();
    let api = Api::new(
        provider.ca(),
        &[("api", config(&format!("{issuer}/jwks"), &issuer))],
    );
    let token = |client: &str| {
        let form = "grant_type=client_credentials&resource=https%3A%2F%2Fapi.test&scope=read";
        let answer = provider.post("/token", &format!("{client}:alb-secret"), form);
        bearer(answer["access_token"].as_str().unwrap())
    };
    assert_eq!(api.get("/api", Some(&token("machine-rs256"))).status, 200);
    // Parity 1.4: RS256 alone.
    let es256 = api.get("/api", Some(&token("machine-es256")));
    assert_eq!(es256.status, 401);
    provider.rotate();
    let next = token("machine-rs256");
    // Keys that are not known are asked for again after a while.
    elbow_tests::wait::until("the new keys to be known", || {
        (api.get("/api", Some(&next)).status == 200).then_some(())
    });
}
