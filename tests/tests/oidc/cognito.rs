//! `authenticate-cognito` with a provider that stands in for Amazon Cognito: its issuer and its paths.

use std::net::{Ipv4Addr, SocketAddr};

use elbow_tests::address::network;
use elbow_tests::browser::Browser;
use elbow_tests::identity::{OidcProvider, claims, header};
use elbow_tests::{Ca, Elbow, Target, TempDir, wait};
use serde_json::{Value, json};

use crate::site::{Site, echo};

const ARN: &str = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Shop";
const ISSUER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Shop";

/// The environment file that maps the user pool to the provider at `url`.
fn environment(url: &str) -> Value {
    let pool = json!({
        "arn": ARN,
        "clientID": "alb-basic",
        "clientSecret": "alb-secret",
        "issuer": ISSUER,
        "authorizationEndpoint": format!("{url}/oauth2/authorize"),
        "tokenEndpoint": format!("{url}/oauth2/token"),
        "userInfoEndpoint": format!("{url}/oauth2/userInfo"),
    });
    json!({"userPools": [pool]})
}

const COGNITO: &[(&str, &str)] = &[("COGNITO", "1"), ("ISSUER", ISSUER)];

fn action(on_unauthenticated: &str) -> Value {
    json!({"type": "authenticate-cognito", "authenticateCognitoConfig": {
        "userPoolARN": ARN,
        "userPoolClientID": "alb-basic",
        "userPoolDomain": "shop-login",
        "scope": "openid email",
        "onUnauthenticatedRequest": on_unauthenticated,
    }})
}

/// Logs in and checks what the target learns.
fn check_login(browser: &mut Browser, url: &str) {
    let page = browser.log_in(url, "alice");
    assert_eq!((page.response.status, &*page.url), (200, url));
    let told: Value = serde_json::from_slice(&page.response.body).unwrap();
    assert_eq!(told["identity"], "alice");
    let token = told["data"].as_str().unwrap();
    assert_eq!(header(token)["iss"], ISSUER);
    assert_eq!(header(token)["client"], "alb-basic");
    assert_eq!(claims(token)["email"], "alice@example.test");
}

// Parity 1.4: authenticate-cognito is the same login as authenticate-oidc.
#[test]
fn user_of_a_user_pool_logs_in() {
    let action = |_: &str, name: &str| action(name);
    let Some(site) = Site::start_in(&action, COGNITO, &environment) else {
        return;
    };
    let mut alice = site.browser();
    assert_eq!(alice.get(&site.url("/deny")).status, 401);
    let challenge = alice.get(&site.url("/authenticate"));
    let location = challenge.header("location").unwrap();
    let start = format!(
        "{}/oauth2/authorize?client_id=alb-basic&",
        site.provider.url()
    );
    assert!(location.starts_with(&start), "{location}");
    check_login(&mut alice, &site.url("/authenticate?a=b"));
    assert_eq!(alice.get(&site.url("/deny")).status, 200);
    let log = site.log(6);
    let row = |row: &(String, String, String)| row.1 == "authenticate,forward" && row.0 == "200";
    assert_eq!(log.iter().filter(|one| row(one)).count(), 2, "{log:#?}");
}

// Parity CP 2.2: `auth-type: cognito` of an Ingress.
#[test]
fn ingress_authenticates_users_of_a_user_pool() {
    let pool = network();
    let (first, _) = pool.split_once('/').unwrap();
    let first: Ipv4Addr = first.parse().unwrap();
    // The load balancer has one of these.
    let addresses = (1..15).map(|n| Ipv4Addr::from_bits(first.to_bits() + n).to_string());
    let addresses: Vec<String> = addresses.collect();
    let back = |ip: &String| format!("https://{ip}:8443/oauth2/idpresponse");
    let redirects: Vec<String> = addresses.iter().map(back).collect();
    let Some(provider) = OidcProvider::start(Ca::new(), &redirects, COGNITO) else {
        return;
    };
    let target = Target::http(echo);
    let dir = TempDir::new();
    let names: Vec<&str> = addresses.iter().map(String::as_str).collect();
    provider.ca().leaf(&names).write(&dir, "shop");
    dir.write("shop.yaml", manifests(target.addr()));
    let mut described = environment(&provider.url());
    let files =
        json!({"arn": CERTIFICATE, "certificateFile": "shop.pem", "privateKeyFile": "shop.key"});
    described["certificates"] = json!([files]);
    dir.write("environment.yaml", described.to_string());
    let elbow = Elbow::run_manifests_trusting(dir, &pool, provider.ca());
    let at = wait::until("the load balancer to listen", || elbow.bound("shop", 8443));
    wait::until("the target to be healthy", || {
        let targets = elbow.json("/targets");
        (targets[0]["state"] == "healthy").then_some(())
    });
    check_login(&mut Browser::new(provider.ca()), &format!("https://{at}/a"));
}

const CERTIFICATE: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/shop";

/// An Ingress that authenticates users of the user pool, in front of `target`.
fn manifests(target: SocketAddr) -> String {
    let pool = json!({"userPoolARN": ARN, "userPoolClientID": "alb-basic", "userPoolDomain": "shop-login"});
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/load-balancer-name: shop
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/healthcheck-interval-seconds: '5'
    alb.ingress.kubernetes.io/healthcheck-timeout-seconds: '2'
    alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTPS\": 8443}}]'
    alb.ingress.kubernetes.io/certificate-arn: {CERTIFICATE}
    alb.ingress.kubernetes.io/auth-type: cognito
    alb.ingress.kubernetes.io/auth-scope: openid email
    alb.ingress.kubernetes.io/auth-idp-cognito: '{pool}'
spec:
  rules:
  - http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: {}}}]
endpoints: [{{addresses: [{}]}}]
",
        target.port(),
        target.ip()
    )
}
