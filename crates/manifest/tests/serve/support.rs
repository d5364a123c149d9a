//! Features that are not served grant no access and are reported once.

use elbow_model::diagnostic::Severity;
use elbow_model::{Action, ClaimFormat, Model, Protocol, Rule};

use super::{WEB, codes, ingress, served};

fn rules(model: &Model) -> &[Rule] {
    &model.load_balancers[0].listeners[0].rules
}

fn answers(rule: &Rule, status: u16) -> bool {
    matches!(&rule.actions[..], [Action::FixedResponse(answer)] if answer.status == status)
}

/// CP 2.2: tokens are validated on HTTPS listeners alone.
#[test]
fn a_rule_with_jwt_validation_is_served() {
    let annotations = "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:r:a:certificate/1
    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 80}, {\"HTTPS\": 443}]'
    alb.ingress.kubernetes.io/jwt-validation: '{\"jwksEndpoint\": \"https://a.example/k\", \"issuer\": \"a\",
      \"additionalClaims\": [{\"name\": \"scope\", \"format\": \"string-array\", \"values\": [\"x\"]}]}'";
    let environment = "certificates: [{arn: '*', certificateFile: a, privateKeyFile: b}]";
    let (context, _) = elbow_manifest::Context::parse(environment, "environment.yaml");
    let (model, found) = super::served_in(&(ingress(annotations) + WEB), &context);
    assert!(found.is_empty(), "{found:?}");
    let listeners = &model.load_balancers[0].listeners;
    assert!(matches!(
        listeners[0].rules[0].actions[..],
        [Action::Forward(..)]
    ));
    let [Action::JwtValidation(jwt), Action::Forward(..)] = &listeners[1].rules[0].actions[..]
    else {
        panic!("{:?}", listeners[1].rules[0].actions);
    };
    assert_eq!(&*jwt.jwks_endpoint, "https://a.example/k");
    assert_eq!(&*jwt.issuer, "a");
    let claim = &jwt.additional_claims[0];
    assert_eq!(
        (&*claim.name, claim.format),
        ("scope", ClaimFormat::StringArray)
    );
    assert_eq!(&*claim.values[0], "x");
}

const COGNITO: &str = "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:r:a:certificate/1
    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 80}, {\"HTTPS\": 443}]'
    alb.ingress.kubernetes.io/auth-idp-cognito: '{\"userPoolARN\": \"arn:aws:cognito-idp:us-east-1:000000000000:userpool/p\",
      \"userPoolClientID\": \"c\", \"userPoolDomain\": \"d\"}'
    alb.ingress.kubernetes.io/auth-type: cognito";

/// The environment says where the users of a user pool log in, and has the secret of the client.
#[test]
fn a_rule_with_authenticate_cognito_is_served_with_its_user_pool() {
    let environment = "certificates: [{arn: '*', certificateFile: a, privateKeyFile: b}]
userPools: [{arn: 'arn:aws:cognito-idp:us-east-1:000000000000:userpool/p', clientID: c, clientSecret: pw1}]";
    let (context, _) = elbow_manifest::Context::parse(environment, "environment.yaml");
    let (model, found) = super::served_in(&(ingress(COGNITO) + WEB), &context);
    assert!(found.is_empty(), "{found:?}");
    let actions = &model.load_balancers[0].listeners[1].rules[0].actions;
    let [Action::AuthenticateCognito(cognito), Action::Forward(..)] = &actions[..] else {
        panic!("{actions:?}");
    };
    let provider = &cognito.provider;
    assert_eq!(&*provider.client_id, "c");
    assert_eq!(provider.client_secret.expose(), "pw1");
    let authorize = "https://d.auth.us-east-1.amazoncognito.com/oauth2/authorize";
    assert_eq!(&*provider.authorization_endpoint, authorize);
    let issuer = "https://cognito-idp.us-east-1.amazonaws.com/p";
    assert_eq!(&*provider.issuer, issuer);
}

/// A rule with authentication that cannot be served forwards nothing.
#[test]
fn a_rule_with_authenticate_cognito_answers_503_without_its_user_pool() {
    let environment = "certificates: [{arn: '*', certificateFile: a, privateKeyFile: b}]";
    let (context, _) = elbow_manifest::Context::parse(environment, "environment.yaml");
    let (model, found) = super::served_in(&(ingress(COGNITO) + WEB), &context);
    assert_eq!(codes(&found), ["unknown-user-pool"]);
    let unserved = &found[0];
    assert_eq!(unserved.severity, Severity::Warning);
    assert_eq!(
        unserved.message,
        "alb.ingress.kubernetes.io/auth-type: nothing says where users of the user pool \
         \"arn:aws:cognito-idp:us-east-1:000000000000:userpool/p\" log in, and with which secret of the client \"c\"; \
         the rule answers 503"
    );
    assert_eq!(
        unserved.hint.as_deref(),
        Some(
            "add to the environment file: userPools: [{arn: \"arn:aws:cognito-idp:us-east-1:000000000000:userpool/p\", \
             clientID: \"c\", clientSecret: …}]"
        )
    );
    assert_eq!((unserved.line, unserved.column), (18, 42));
    let listeners = &model.load_balancers[0].listeners;
    // The controller adds no authentication on HTTP.
    assert!(matches!(
        listeners[0].rules[0].actions[..],
        [Action::Forward(..)]
    ));
    assert!(answers(&listeners[1].rules[0], 503));
}

/// An attribute without effect is kept with a warning; the rest serves.
#[test]
fn an_attribute_without_effect_is_a_warning() {
    let annotation = "alb.ingress.kubernetes.io/target-group-attributes: \
                      lambda.multi_value_headers.enabled=true,stickiness.enabled=true";
    let (model, found) = served(&(ingress(annotation) + WEB));
    assert_eq!(codes(&found), ["no-effect"]);
    assert_eq!(found[0].severity, Severity::Warning);
    let attributes = &model.target_groups[0].attributes;
    assert_eq!(attributes.raw["lambda.multi_value_headers.enabled"], "true");
    assert!(attributes.stickiness.is_some());
}

/// CP 3.2: each listener has the protocol of the Service's port.
#[test]
fn udp_is_served_beside_tcp() {
    let text = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: dns, port: 53, protocol: UDP}
---
";
    let slice = &WEB[WEB.find("---").unwrap()..];
    let (model, found) = served(&format!("{text}{slice}"));
    let listeners: Vec<_> = model.load_balancers[0]
        .listeners
        .iter()
        .map(|one| (one.port, one.protocol))
        .collect();
    assert_eq!(listeners, [(53, Protocol::Udp), (80, Protocol::Tcp)]);
    assert!(!codes(&found).contains(&"not-supported"), "{found:?}");
}

/// CP 3.2: a TCP and a UDP port of one number share a listener only if the annotation says so.
#[test]
fn tcp_and_udp_share_a_listener_when_asked_to() {
    let text = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener: 'true'
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports:
  - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
  - {name: dns-tcp, port: 53, targetPort: 5353, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports:
- {name: dns, port: 5353, protocol: UDP}
- {name: dns-tcp, port: 5353, protocol: TCP}
endpoints: [{addresses: [192.0.2.7]}]
";
    let (model, found) = served(text);
    let [listener] = &model.load_balancers[0].listeners[..] else {
        panic!("{found:?}");
    };
    assert_eq!((listener.port, listener.protocol), (53, Protocol::TcpUdp));
    let targets = model.target_groups[0].targets.iter();
    let targets: Vec<_> = targets.map(|one| (one.id.to_string(), one.port)).collect();
    assert_eq!(targets, [("192.0.2.7".to_owned(), 5353)]);
}

/// Parity S19.
#[test]
fn a_dualstack_load_balancer_is_served() {
    let annotation = "alb.ingress.kubernetes.io/ip-address-type: ";
    let (model, found) = served(&(ingress(&format!("{annotation}dualstack")) + WEB));
    let kinds: Vec<_> = model
        .load_balancers
        .iter()
        .map(|one| one.ip_address_type)
        .collect();
    assert_eq!(kinds, [elbow_model::IpAddressType::Dualstack]);
    assert_eq!(codes(&found), [""; 0]);
    let (model, found) = served(&(ingress(&format!("{annotation}ipv4")) + WEB));
    assert_eq!(
        model.load_balancers[0].ip_address_type,
        elbow_model::IpAddressType::Ipv4
    );
    assert_eq!(codes(&found), [""; 0]);
}

/// A forward action to an unknown target group forwards nothing.
#[test]
fn an_unknown_target_group_is_answered_503() {
    let action = "alb.ingress.kubernetes.io/actions.web: '{\"type\": \"forward\", \"targetGroupARN\": \"nobody\"}'";
    let text = ingress(action).replace("port: {name: http}", "port: {name: use-annotation}") + WEB;
    let (model, found) = served(&text);
    assert!(
        found
            .iter()
            .any(|one| one.code == "unknown-target-group" && (one.line, one.column) == (14, 44))
    );
    assert!(answers(&rules(&model)[0], 503));
}

/// A listener that verifies certificates of clients needs its trust store, so that nobody gets in without one; the
/// environment lists it by ARN, name or pattern.
#[test]
fn a_listener_without_its_trust_store_is_left_out() {
    const ARN: &str = "arn:aws:elasticloadbalancing:r:a:truststore/clients/1";
    let verify = format!("{{\"port\": 443, \"mode\": \"verify\", \"trustStore\": \"{ARN}\"}}");
    let passthrough = "{\"port\": 443, \"mode\": \"passthrough\"}";
    let off = "{\"port\": 443, \"mode\": \"off\"}";
    let listed = |arn: &str| {
        format!("{{arn: '{arn}', caCertificatesBundleFile: ca.pem, revocationFiles: [crl.pem]}}")
    };
    for (mode, stores, served) in [
        (&*verify, String::new(), None),
        (&verify, listed("partners"), None),
        (&verify, listed(ARN), Some("verify")),
        (&verify, listed("clients"), Some("verify")),
        (
            &verify,
            listed("arn:*:truststore/clients/*"),
            Some("verify"),
        ),
        (passthrough, String::new(), Some("passthrough")),
        (off, String::new(), Some("off")),
    ] {
        let environment = format!(
            "certificates: [{{arn: '*', certificateFile: a, privateKeyFile: b}}]\ntrustStores: [{stores}]"
        );
        let (context, found) = elbow_manifest::Context::parse(&environment, "env/environment.yaml");
        assert!(found.is_empty(), "{found:?}");
        let annotations = format!(
            "alb.ingress.kubernetes.io/certificate-arn: arn
    alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTP\": 80}}, {{\"HTTPS\": 443}}]'
    alb.ingress.kubernetes.io/mutual-authentication: '[{mode}]'"
        );
        let (model, found) = super::served_in(&(ingress(&annotations) + WEB), &context);
        let mut listeners = model.load_balancers[0].listeners.iter();
        let listener = listeners.find(|one| one.port == 443);
        let modes = listener.map(|one| one.mutual_authentication.mode());
        assert_eq!(modes, served, "{mode} {stores}");
        let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
        let expected: &[&str] = match served {
            None => &["trust-store-not-found"],
            Some(_) => &[],
        };
        assert_eq!(codes, expected, "{mode} {stores}: {found:?}");
        let store = listener.and_then(|one| one.mutual_authentication.trust_store());
        let files = store.map(|store| store.files().map(|file| file.display().to_string()));
        let files: Vec<String> = files.into_iter().flatten().collect();
        if served == Some("verify") {
            assert_eq!(files, ["env/ca.pem", "env/crl.pem"]);
        }
    }
}

/// `aws-load-balancer-private-ipv4-addresses` sets a fixed address if this machine has it.
#[test]
fn a_local_private_address_is_used() {
    let text = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses: ADDRESS
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{name: http, port: 80, targetPort: 8080}]
---
";
    let slice = &WEB[WEB.find("---").unwrap()..];
    for (range, address, taken, said) in [
        ("127.0.20.0/24", "127.0.20.4", Some("127.0.20.4"), vec![]),
        ("10.0.20.0/24", "10.0.20.4", None, vec!["not-supported"]),
    ] {
        let environment = format!(
            "subnets: [{{id: subnet-a, availabilityZone: us-east-1a, cidrBlock: {range}, scheme: internal, name: a}}]"
        );
        let (context, _) = elbow_manifest::Context::parse(&environment, "environment.yaml");
        let text = text.replace("ADDRESS", address) + slice;
        let (model, found) = super::served_in(&text, &context);
        let addresses = model.load_balancers[0].addresses.iter();
        let addresses: Vec<String> = addresses.map(ToString::to_string).collect();
        assert_eq!(addresses, taken.into_iter().collect::<Vec<_>>());
        assert_eq!(codes(&found), said);
    }
}

/// An Ingress without any listener that can be served gets no load balancer and no address.
#[test]
fn an_ingress_without_a_listener_that_is_served_is_refused() {
    let environment = "certificates: [{arn: arn, certificateFile: a, privateKeyFile: b}]";
    let (context, _) = elbow_manifest::Context::parse(environment, "environment.yaml");
    let annotations = "alb.ingress.kubernetes.io/certificate-arn: arn
    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'
    alb.ingress.kubernetes.io/mutual-authentication: '[{\"port\": 443, \"mode\": \"verify\", \"trustStore\": \"arn:a\"}]'";
    let (model, found) = super::served_in(&(ingress(annotations) + WEB), &context);
    assert!(model.load_balancers.is_empty());
    let errors: Vec<&str> = found
        .iter()
        .filter(|one| one.is_error())
        .map(|one| one.code)
        .collect();
    assert_eq!(errors, ["no-listeners"]);
    assert!(
        codes(&found).contains(&"trust-store-not-found"),
        "{found:?}"
    );
}

const OIDC: &str = "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:r:a:certificate/1
    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'
    alb.ingress.kubernetes.io/auth-type: oidc
    alb.ingress.kubernetes.io/auth-on-unauthenticated-request: deny
    alb.ingress.kubernetes.io/auth-session-timeout: '60'
    alb.ingress.kubernetes.io/auth-idp-oidc: '{\"issuer\": \"https://id.example\",
      \"authorizationEndpoint\": \"https://id.example/auth\", \"tokenEndpoint\": \"https://id.example/token\",
      \"userInfoEndpoint\": \"https://id.example/me\", \"secretName\": \"oidc\",
      \"authenticationRequestExtraParams\": {\"prompt\": \"login\"}}'";

/// CP 2.2: the credentials are in a Secret, and what follows them at their ends is cut off.
#[test]
fn a_rule_with_authenticate_oidc_has_the_credentials_of_its_secret() {
    let environment = "certificates: [{arn: '*', certificateFile: a, privateKeyFile: b}]";
    let (context, _) = elbow_manifest::Context::parse(environment, "environment.yaml");
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: oidc}\n\
                  stringData: {clientId: \"shop \\n\"}\ndata: {clientSecret: cHcxCg==}\n";
    let (model, found) = super::served_in(&(ingress(OIDC) + WEB + secret), &context);
    assert!(found.is_empty(), "{found:?}");
    let rule = &rules(&model)[0];
    let [Action::AuthenticateOidc(oidc), Action::Forward(..)] = &rule.actions[..] else {
        panic!("{:?}", rule.actions);
    };
    assert_eq!(&*oidc.client_id, "shop");
    assert_eq!(oidc.client_secret.expose(), "pw1");
    assert_eq!(oidc.on_unauthenticated.as_str(), "deny");
    assert_eq!(oidc.session_timeout.as_secs(), 60);
    assert_eq!(&*oidc.extra_params[0].0, "prompt");
    assert!(!format!("{oidc:?}").contains("pw1"));
}

/// Without the Secret nobody could log in, so nobody gets in.
#[test]
fn a_rule_with_authenticate_oidc_answers_503_without_its_secret() {
    let environment = "certificates: [{arn: '*', certificateFile: a, privateKeyFile: b}]";
    let (context, _) = elbow_manifest::Context::parse(environment, "environment.yaml");
    let (model, found) = super::served_in(&(ingress(OIDC) + WEB), &context);
    assert!(answers(&rules(&model)[0], 503));
    let message = found.iter().find(|one| one.message.contains("answers 503"));
    assert_eq!(
        message.map(|one| one.code),
        Some("unknown-secret"),
        "{found:?}"
    );
}
