//! Listeners and their rules.

use elbow_model::*;

use crate::kit::{
    attributes, balancer, built, faults, listener, listener_faults, scope, texts, tls_listener,
};

fn fixed() -> ActionSpec {
    ActionSpec::fixed_response(404)
}

fn rule(priority: Option<u32>) -> RuleSpec {
    RuleSpec {
        priority,
        conditions: Some(vec![ConditionSpec::path_pattern(["/a"])]),
        actions: Some(vec![fixed()]),
        ..RuleSpec::default()
    }
}

#[test]
fn ports_and_protocols() {
    for port in [0, 65_536] {
        assert_eq!(
            listener_faults("application", listener(port, "HTTP", fixed())),
            ["port out-of-range"]
        );
    }
    for port in [1, 65_535] {
        assert_eq!(
            u32::from(built("application", listener(port, "HTTP", fixed())).port),
            port
        );
    }
    assert_eq!(
        listener_faults("application", ListenerSpec::default()),
        [
            "port missing-field",
            "protocol missing-field",
            "defaultActions missing-field"
        ]
    );
    let two = vec![listener(80, "HTTP", fixed()), listener(80, "HTTP", fixed())];
    let checked = LoadBalancer::new(&balancer("application", two), &scope());
    let fault = checked.value.unwrap_err().remove(0);
    assert_eq!(
        fault.to_string(),
        "listeners[1].port: port 80 is already given by listeners[0].port"
    );
    assert_eq!(fault.code, "duplicate-port");
    for (kind, speaks) in [
        ("application", &["HTTP", "HTTPS"][..]),
        (
            "network",
            &["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"],
        ),
        ("classic", &["TCP", "SSL", "HTTP", "HTTPS"]),
    ] {
        for (protocol, _) in Protocol::NAMES {
            let spec = listener(80, protocol, fixed());
            let found = listener_faults(kind, spec);
            let is_refused = found.contains(&"protocol invalid-combination".to_owned());
            assert_eq!(
                is_refused,
                !speaks.contains(protocol),
                "{kind} {protocol}: {found:?}"
            );
        }
        assert!(
            listener_faults(kind, listener(80, "http", fixed()))
                .contains(&"protocol unknown-value".to_owned())
        );
    }
}

/// API, `MutualAuthenticationAttributes`; NLB guide, mutual authentication: verify only.
#[test]
fn mutual_authentication_belongs_to_tls() {
    let spec = |mode: &str| MutualAuthenticationSpec {
        mode: Some(mode.to_owned()),
        ..MutualAuthenticationSpec::default()
    };
    let found = |kind, protocol: &str, mutual: MutualAuthenticationSpec| {
        let asked = ListenerSpec {
            mutual_authentication: Some(mutual),
            ..listener(443, protocol, fixed())
        };
        let of_it = |fault: &String| fault.starts_with("mutualAuthentication");
        let faults = listener_faults(kind, asked).into_iter();
        faults.filter(of_it).collect::<Vec<_>>()
    };
    let at = |field: &str, code: &str| vec![format!("mutualAuthentication{field} {code}")];
    assert_eq!(found("application", "HTTPS", spec("passthrough")), [""; 0]);
    assert_eq!(found("application", "HTTP", spec("off")), [""; 0]);
    for (kind, protocol) in [
        ("application", "HTTP"),
        ("network", "TCP"),
        ("classic", "SSL"),
    ] {
        let refused = found(kind, protocol, spec("passthrough"));
        assert_eq!(refused, at("", "invalid-combination"), "{kind} {protocol}");
    }
    let refused = found("network", "TLS", spec("passthrough"));
    assert_eq!(refused, at(".mode", "invalid-combination"));
    let refused = found("application", "HTTPS", spec("on"));
    assert_eq!(refused, at(".mode", "unknown-value"));
    let refused = found("application", "HTTPS", MutualAuthenticationSpec::default());
    assert_eq!(refused, at(".mode", "missing-field"));
    let refused = found("application", "HTTPS", spec("verify"));
    assert_eq!(refused, at(".trustStore", "missing-field"));
    let verify = MutualAuthenticationSpec {
        trust_store: Some("clients".to_owned()),
        advertise_trust_store_ca_names: Some("true".to_owned()),
        ..spec("verify")
    };
    let refused = found("network", "TLS", verify.clone());
    let mut expected = at(".advertiseTrustStoreCaNames", "unknown-value");
    expected.extend(at(".trustStore", "unknown-trust-store"));
    assert_eq!(refused, expected);
    let filters = MutualAuthenticationSpec {
        client_certificate_identity_filters: Some(vec![IdentityFilterSpec::default()]),
        ..spec("verify")
    };
    let in_it = "clientCertificateIdentityFilters";
    let refused = found("application", "HTTPS", filters.clone());
    assert_eq!(
        refused[0],
        format!("mutualAuthentication.{in_it} invalid-combination")
    );
    let mut expected: Vec<String> = ["field", "action", "matchType", "value"]
        .map(|field| format!("mutualAuthentication.{in_it}[0].{field} missing-field"))
        .into();
    expected.extend(at(".trustStore", "missing-field"));
    assert_eq!(found("network", "TLS", filters), expected);
    let many = MutualAuthenticationSpec {
        client_certificate_identity_filters: Some(vec![
            IdentityFilterSpec {
                field: Some("san-uri".to_owned()),
                action: Some("accept".to_owned()),
                match_type: Some("exact".to_owned()),
                value: Some("no-uri".to_owned()),
            };
            101
        ]),
        ..spec("verify")
    };
    let refused = found("network", "TLS", many);
    assert_eq!(
        refused[0],
        format!("mutualAuthentication.{in_it}[100] too-many")
    );
    assert_eq!(
        refused[1],
        format!("mutualAuthentication.{in_it}[0].value invalid-pattern")
    );
    let off = MutualAuthenticationSpec {
        mode: Some("off".to_owned()),
        client_certificate_identity_filters: Some(Vec::new()),
        ..verify
    };
    let mut expected = at(".trustStore", "invalid-combination");
    expected.extend(at(".advertiseTrustStoreCaNames", "invalid-combination"));
    expected.extend(at(
        ".clientCertificateIdentityFilters",
        "invalid-combination",
    ));
    assert_eq!(found("network", "TLS", off), expected);
}

/// API, `CreateTrustStore`.
#[test]
fn trust_store_of_a_listener_is_part_of_it() {
    let store = TrustStoreSpec {
        name: Some("clients".to_owned()),
        ca_certificates_bundle_file: Some("clients.pem".into()),
        revocation_files: Some(vec!["revoked.pem".into()]),
        ..TrustStoreSpec::default()
    };
    let mut scope = Scope::default();
    scope.add_trust_store(&TrustStore::new(&store).value.unwrap().into());
    scope.add_certificate(
        &Certificate::new(&CertificateSpec::files("web", "web.pem", "web.key"))
            .value
            .unwrap()
            .into(),
    );
    let spec = ListenerSpec {
        certificates: Some(vec!["web".to_owned()]),
        mutual_authentication: Some(MutualAuthenticationSpec {
            mode: Some("verify".to_owned()),
            trust_store: Some("clients".to_owned()),
            ignore_client_certificate_expiry: Some(true),
            ..MutualAuthenticationSpec::default()
        }),
        ..listener(443, "HTTPS", fixed())
    };
    let kind = LoadBalancerType::Application;
    let built = Listener::new(&spec, kind, "web", &scope).value.unwrap();
    let MutualAuthentication::Verify(verification) = &built.mutual_authentication else {
        panic!("{:?}", built.mutual_authentication);
    };
    assert!(verification.ignores_expiry && !verification.advertises_ca_names);
    let files: Vec<_> = verification.trust_store.files().collect();
    assert_eq!(files.len(), 2);

    let faults = TrustStore::new(&TrustStoreSpec::default())
        .value
        .unwrap_err();
    let faults: Vec<_> = faults
        .iter()
        .map(|one| (one.field.to_string(), one.code))
        .collect();
    assert_eq!(
        faults,
        [
            ("name".to_owned(), "missing-field"),
            ("caCertificatesBundleFile".to_owned(), "missing-field")
        ]
    );
}

#[test]
fn tcp_and_udp_have_ports_of_their_own() {
    for (first, second, is_duplicate) in [
        ("TCP", "TCP", true),
        ("TCP", "TLS", true),
        ("TCP", "UDP", false),
        ("UDP", "UDP", true),
        ("UDP", "TCP_UDP", true),
        ("TCP_UDP", "TLS", true),
    ] {
        let forward = || ActionSpec::forward("both");
        let two = vec![
            listener(53, first, forward()),
            listener(53, second, forward()),
        ];
        let found = faults(LoadBalancer::new(&balancer("network", two), &scope()));
        assert_eq!(
            found.contains(&"listeners[1].port duplicate-port".to_owned()),
            is_duplicate,
            "{first} {second}: {found:?}"
        );
    }
}

#[test]
fn certificates_and_policies_belong_to_tls() {
    let https = tls_listener("HTTPS", fixed());
    let built_https = built("application", https.clone());
    assert_eq!(
        built_https.ssl_policy.as_deref(),
        Some("ELBSecurityPolicy-2016-08")
    );
    assert_eq!(&*built_https.certificates[0].name, "demo");
    assert_eq!(
        built("application", listener(80, "HTTP", fixed())).ssl_policy,
        None
    );
    for missing in [None, Some(Vec::new())] {
        let spec = ListenerSpec {
            certificates: missing,
            ..https.clone()
        };
        assert_eq!(
            listener_faults("application", spec),
            ["certificates missing-certificate"]
        );
    }
    let with = |names: &[&str]| {
        let spec = ListenerSpec {
            certificates: Some(texts(names)),
            ..https.clone()
        };
        listener_faults("application", spec)
    };
    assert_eq!(
        with(&["demo", "demo"]),
        ["certificates[1] duplicate-certificate"]
    );
    assert_eq!(with(&["dem"]), ["certificates[0] unknown-certificate"]);
    let clear = ListenerSpec {
        certificates: Some(texts(&["demo"])),
        ssl_policy: Some("ELBSecurityPolicy-2016-08".into()),
        ..listener(80, "HTTP", fixed())
    };
    assert_eq!(
        listener_faults("application", clear),
        [
            "certificates invalid-combination",
            "sslPolicy invalid-combination"
        ]
    );
    let policy = |name: &str| {
        let spec = ListenerSpec {
            ssl_policy: Some(name.to_owned()),
            ..https.clone()
        };
        listener_faults("application", spec)
    };
    for known in ssl_policies() {
        assert!(policy(known.name).is_empty(), "{}", known.name);
    }
    assert_eq!(
        policy("ELBSecurityPolicy-2015-03"),
        ["sslPolicy unknown-ssl-policy"],
        "a Classic one"
    );
    for (name, of_tls) in [("a TLS", "TLS"), ("an HTTPS", "HTTPS")] {
        let kind = if of_tls == "TLS" {
            LoadBalancerType::Network
        } else {
            LoadBalancerType::Application
        };
        let action = if of_tls == "TLS" {
            ActionSpec::forward("tls")
        } else {
            fixed()
        };
        let spec = listener(443, of_tls, action);
        let fault = Listener::new(&spec, kind, "web", &scope())
            .value
            .unwrap_err()
            .remove(0);
        assert_eq!(fault.reason, format!("{name} listener needs a certificate"));
    }
}

#[test]
fn a_listener_has_up_to_26_certificates() {
    let mut scope = scope();
    let names: Vec<String> = (0..27).map(|i| format!("c{i}")).collect();
    for name in &names {
        let certificate = Certificate::new(&crate::kit::certificate(name))
            .value
            .unwrap();
        scope.add_certificate(&std::sync::Arc::new(certificate));
    }
    let of = |count: usize| {
        let spec = ListenerSpec {
            certificates: Some(names[..count].to_vec()),
            ..tls_listener("HTTPS", fixed())
        };
        Listener::new(&spec, LoadBalancerType::Application, "web", &scope)
    };
    assert_eq!(of(26).value.unwrap().certificates.len(), 26);
    assert_eq!(faults(of(27)), ["certificates[26] too-many"]);
}

#[test]
fn alpn_policies_belong_to_tls_listeners_of_an_nlb() {
    let tls = |name: &str| ListenerSpec {
        alpn_policy: Some(name.to_owned()),
        ..tls_listener("TLS", ActionSpec::forward("tls"))
    };
    for (name, policy) in AlpnPolicy::NAMES {
        assert_eq!(built("network", tls(name)).alpn_policy, *policy);
    }
    assert_eq!(
        listener_faults("network", tls("none")),
        ["alpnPolicy unknown-value"]
    );
    let http = |name: &str| ListenerSpec {
        alpn_policy: Some(name.to_owned()),
        ..listener(80, "HTTP", fixed())
    };
    assert_eq!(
        listener_faults("application", http("HTTP2Only")),
        ["alpnPolicy invalid-combination"]
    );
    assert!(listener_faults("application", http("None")).is_empty());
}

#[test]
fn rules_have_priorities() {
    let with = |rules: Vec<RuleSpec>| ListenerSpec {
        rules: Some(rules),
        ..listener(80, "HTTP", fixed())
    };
    let sorted = built(
        "application",
        with(vec![rule(Some(50_000)), rule(Some(1)), rule(Some(7))]),
    );
    assert_eq!(
        sorted.rules.iter().map(|r| r.priority).collect::<Vec<_>>(),
        [1, 7, 50_000]
    );
    for priority in [0, 50_001] {
        assert_eq!(
            listener_faults("application", with(vec![rule(Some(priority))])),
            ["rules[0].priority out-of-range"]
        );
    }
    assert_eq!(
        listener_faults("application", with(vec![rule(None)])),
        ["rules[0].priority missing-field"]
    );
    assert_eq!(
        listener_faults("application", with(vec![rule(Some(1)), rule(Some(1))])),
        ["rules[1].priority duplicate-priority"]
    );
    let bare = RuleSpec {
        priority: Some(1),
        ..RuleSpec::default()
    };
    assert_eq!(
        listener_faults("application", with(vec![bare])),
        [
            "rules[0].conditions missing-field",
            "rules[0].actions missing-field"
        ]
    );
}

#[test]
fn attributes_depend_on_the_protocol() {
    let idle = attributes(&[("tcp.idle_timeout.seconds", "60")]);
    let with = |spec: ListenerSpec| ListenerSpec {
        attributes: Some(idle.clone()),
        ..spec
    };
    let tcp = built(
        "network",
        with(listener(80, "TCP", ActionSpec::forward("tcp"))),
    );
    assert_eq!(
        tcp.attributes.tcp_idle_timeout.map(|time| time.as_secs()),
        Some(60)
    );
    let found = listener_faults("application", with(listener(80, "HTTP", fixed())));
    assert_eq!(
        found,
        ["attributes[tcp.idle_timeout.seconds] attribute-not-applicable"]
    );
}
