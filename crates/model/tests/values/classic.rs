//! Classic load balancers (ELB API 2012-06-01).

use std::collections::BTreeMap;

use elbow_model::*;

use crate::kit::{balancer, faults, scope, texts};

pub(crate) fn listener(
    port: u32,
    protocol: &str,
    instance_protocol: Option<&str>,
    instance_port: u32,
) -> ListenerSpec {
    ListenerSpec {
        port: Some(port),
        protocol: Some(protocol.to_owned()),
        instance_protocol: instance_protocol.map(str::to_owned),
        instance_port: Some(instance_port),
        ..ListenerSpec::default()
    }
}

pub(crate) fn classic(change: impl FnOnce(&mut LoadBalancerSpec)) -> Checked<LoadBalancer> {
    let mut spec = balancer(
        "classic",
        vec![
            listener(80, "HTTP", None, 30080),
            listener(90, "TCP", None, 30090),
        ],
    );
    change(&mut spec);
    LoadBalancer::new(&spec, &scope())
}

fn refused(change: impl FnOnce(&mut LoadBalancerSpec)) -> Vec<String> {
    faults(classic(change))
}

#[test]
fn listeners_have_an_instances_end() {
    let of = |spec: ListenerSpec| classic(|lb| lb.listeners = vec![spec]);
    let end = |spec| of(spec).value.unwrap().listeners[0].instance.unwrap();
    for (front, given, back) in [
        ("HTTP", None, Protocol::Http),
        ("HTTP", Some("HTTPS"), Protocol::Https),
        ("TCP", None, Protocol::Tcp),
        ("TCP", Some("SSL"), Protocol::Ssl),
    ] {
        assert_eq!(
            end(listener(80, front, given, 1)),
            InstanceEnd {
                protocol: back,
                port: 1
            }
        );
    }
    for (front, back) in [
        ("TCP", "HTTP"),
        ("HTTP", "SSL"),
        ("HTTP", "TCP"),
        ("TCP", "HTTPS"),
    ] {
        assert_eq!(
            faults(of(listener(80, front, Some(back), 1))),
            ["listeners[0].instanceProtocol invalid-combination"]
        );
    }
    assert_eq!(
        faults(of(listener(80, "TCP", Some("TLS"), 1))),
        ["listeners[0].instanceProtocol unknown-value"]
    );
    for port in [0, 65_536] {
        assert_eq!(
            faults(of(listener(80, "TCP", None, port))),
            ["listeners[0].instancePort out-of-range"]
        );
    }
    let bare = ListenerSpec {
        instance_port: None,
        ..listener(80, "TCP", None, 1)
    };
    assert_eq!(
        faults(of(bare)),
        ["listeners[0].instancePort missing-field"]
    );
    let built = classic(|_| {}).value.unwrap();
    assert_eq!(built.target_groups(), ["web/HTTP:30080", "web/TCP:30090"]);
    assert_eq!(built.resource_id(), "web");
}

#[test]
fn listeners_have_nothing_of_the_other_kinds() {
    let found = refused(|lb| {
        lb.listeners[0] = ListenerSpec {
            rules: Some(Vec::new()),
            default_actions: Some(Vec::new()),
            attributes: Some(AttributesSpec::new()),
            alpn_policy: Some("None".into()),
            ..listener(80, "HTTP", None, 1)
        };
    });
    let expected = ["rules", "defaultActions", "attributes", "alpnPolicy"];
    assert_eq!(
        found,
        expected.map(|name| format!("listeners[0].{name} invalid-combination"))
    );
    let secure = |names: &[&str], policy: &str| {
        refused(|lb| {
            lb.listeners = vec![ListenerSpec {
                certificates: Some(texts(names)),
                ssl_policy: Some(policy.to_owned()),
                ..listener(443, "HTTPS", None, 1)
            }];
        })
    };
    assert_eq!(
        secure(&["demo", "other"], "ELBSecurityPolicy-2015-03"),
        [
            "listeners[0].certificates[1] too-many",
            "listeners[0].certificates[1] unknown-certificate"
        ]
    );
    assert_eq!(
        secure(&["demo"], "ELBSecurityPolicy-TLS13-1-3-2021-06"),
        ["listeners[0].sslPolicy unknown-ssl-policy"]
    );
}

/// `Listener`, InstanceProtocol: instance ports are secure or they are not.
#[test]
fn listeners_of_an_instance_port_are_alike() {
    let found = refused(|lb| {
        lb.listeners = vec![
            listener(80, "HTTP", None, 1),
            listener(81, "HTTP", Some("HTTPS"), 1),
        ]
    });
    assert_eq!(found, ["listeners[1] invalid-combination"]);
    let alike = classic(|lb| {
        lb.listeners = vec![listener(80, "HTTP", None, 1), listener(81, "TCP", None, 1)]
    });
    assert_eq!(alike.value.unwrap().instance_ends().len(), 2);
    let apart = classic(|lb| {
        lb.listeners = vec![
            listener(80, "HTTP", None, 1),
            listener(81, "HTTP", Some("HTTPS"), 2),
            listener(82, "HTTP", None, 1),
        ]
    });
    assert_eq!(apart.value.unwrap().instance_ends().len(), 2);
}

fn check(target: &str) -> ClassicHealthCheckSpec {
    ClassicHealthCheckSpec {
        target: Some(target.to_owned()),
        ..ClassicHealthCheckSpec::default()
    }
}

/// `ConfigureHealthCheck`.
#[test]
fn health_checks() {
    let of = |spec: Option<ClassicHealthCheckSpec>| classic(|lb| lb.health_check = spec);
    let built = |spec| of(spec).value.unwrap().classic.unwrap().health_check;
    let default = built(None);
    assert_eq!(default.classic_target(), "TCP:30080");
    assert_eq!(
        (default.interval.as_secs(), default.timeout.as_secs()),
        (30, 5)
    );
    assert_eq!(
        (default.healthy_threshold, default.unhealthy_threshold),
        (10, 2)
    );
    assert_eq!(default.matcher.to_string(), "200");
    let alone = classic(|lb| lb.listeners.clear())
        .value
        .unwrap()
        .classic
        .unwrap();
    assert_eq!(alone.health_check.classic_target(), "TCP:80");
    let longest = format!("HTTP:80/{}", "x".repeat(1016));
    for target in [
        "TCP:1",
        "SSL:65535",
        "HTTP:80/",
        "HTTPS:9000/minio/health/live?a=b",
        &longest,
    ] {
        assert_eq!(built(Some(check(target))).classic_target(), target);
    }
    for target in [
        "HTTP:80",
        "HTTPS:80",
        "TCP:80/x",
        "SSL:80/",
        "UDP:80",
        "HTTP:0/",
        "TCP:+80",
        "TCP:65536",
        "TCP:",
        "80",
        "tcp:80",
        "HTTP:80/a b",
        &format!("{longest}x"),
    ] {
        assert_eq!(
            faults(of(Some(check(target)))),
            ["healthCheck.target invalid-target"],
            "{target}"
        );
    }
    let bad = |change: fn(&mut ClassicHealthCheckSpec)| {
        let mut spec = check("TCP:1");
        change(&mut spec);
        faults(of(Some(spec)))
    };
    assert_eq!(
        bad(|c| c.target = None),
        ["healthCheck.target missing-field"]
    );
    assert_eq!(
        bad(|c| c.interval = Some(4)),
        ["healthCheck.interval out-of-range"]
    );
    assert_eq!(
        bad(|c| c.interval = Some(301)),
        ["healthCheck.interval out-of-range"]
    );
    assert_eq!(
        bad(|c| c.timeout = Some(1)),
        ["healthCheck.timeout out-of-range"]
    );
    assert_eq!(
        bad(|c| c.timeout = Some(61)),
        ["healthCheck.timeout out-of-range"]
    );
    assert_eq!(
        bad(|c| (c.interval, c.timeout) = (Some(10), Some(10))),
        ["healthCheck.timeout invalid-combination"]
    );
    assert_eq!(
        bad(|c| c.healthy_threshold = Some(1)),
        ["healthCheck.healthyThreshold out-of-range"]
    );
    assert_eq!(
        bad(|c| c.healthy_threshold = Some(11)),
        ["healthCheck.healthyThreshold out-of-range"]
    );
    assert_eq!(
        bad(|c| c.unhealthy_threshold = Some(1)),
        ["healthCheck.unhealthyThreshold out-of-range"]
    );
    let good = built(Some(ClassicHealthCheckSpec {
        interval: Some(300),
        timeout: Some(60),
        healthy_threshold: Some(3),
        unhealthy_threshold: Some(4),
        ..check("TCP:1")
    }));
    assert_eq!((good.interval.as_secs(), good.timeout.as_secs()), (300, 60));
    assert_eq!((good.healthy_threshold, good.unhealthy_threshold), (3, 4));
    let short = built(Some(ClassicHealthCheckSpec {
        interval: Some(5),
        ..check("TCP:1")
    }));
    assert_eq!(short.timeout.as_secs(), 4);
}

#[test]
fn tls_listeners_may_have_a_security_policy_of_their_own() {
    let attributes = |names: &[&str]| {
        let all = names.iter().map(|name| ((*name).to_owned(), true));
        Some(all.collect::<BTreeMap<_, _>>())
    };
    let with = |protocol: &str, names: &[&str], change: fn(&mut ListenerSpec)| {
        classic(|spec| {
            let mut own = ListenerSpec {
                certificates: protocol.contains('S').then(|| texts(&["demo"])),
                ssl_negotiation_policy: attributes(names),
                ..listener(443, protocol, None, 1)
            };
            change(&mut own);
            spec.listeners = vec![own];
        })
    };
    let (tls12, gcm) = ("Protocol-TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256");
    let given = ["AES256-SHA", gcm, tls12, "Protocol-TLSv1"];
    let made = with("SSL", &given, |own| {
        let off = own.ssl_negotiation_policy.as_mut().unwrap();
        off.insert("AES128-SHA".to_owned(), false);
    });
    let made = made.value.unwrap().listeners[0].clone();
    assert_eq!(made.ssl_policy, None);
    let policy = made.ssl_negotiation_policy.unwrap();
    assert_eq!(policy.versions, [TlsVersion::Tls12, TlsVersion::Tls10]);
    assert_eq!(policy.suites, [gcm, "AES256-SHA"]);
    assert!(!policy.is_server_order);
    assert_eq!(Some(policy.attributes()), attributes(&given));

    let at = |code| vec![format!("listeners[0].sslNegotiationPolicy {code}")];
    for names in [&[][..], &[tls12], &[gcm], &[tls12, "AES128-SHA"]] {
        let made = with("HTTPS", names, |_| {});
        assert_eq!(faults(made), at("unknown-ssl-policy"), "{names:?}");
    }
    let made = with("HTTPS", &[tls12, gcm], |own| {
        own.ssl_policy = Some("ELBSecurityPolicy-2016-08".to_owned());
    });
    assert_eq!(faults(made), at("invalid-combination"));
    let made = with("TCP", &[tls12, gcm], |_| {});
    assert_eq!(faults(made), at("invalid-combination"));
    let made = with("SSL", &[tls12, gcm, "Protocol-TLSv1.3"], |_| {});
    let fault = "listeners[0].sslNegotiationPolicy[Protocol-TLSv1.3] unknown-attribute";
    assert_eq!(faults(made), [fault]);
}

// CLB guide: sticky sessions.
#[test]
fn listeners_of_http_have_one_stickiness_policy() {
    let by_balancer = |period| {
        Some(LbCookieStickinessPolicySpec {
            cookie_expiration_period: period,
        })
    };
    let by_application = |name: &str| {
        Some(AppCookieStickinessPolicySpec {
            cookie_name: Some(name.to_owned()),
        })
    };
    let policy = |lb, app| {
        let made = classic(|spec| {
            spec.listeners[0].lb_cookie_stickiness_policy = lb;
            spec.listeners[0].app_cookie_stickiness_policy = app;
        });
        made.value.unwrap().listeners[0].cookie_stickiness.clone()
    };
    let expiration = |expiration| Some(CookieStickiness::LoadBalancer { expiration });
    assert_eq!(policy(None, None), None);
    assert_eq!(policy(by_balancer(None), None), expiration(None));
    assert_eq!(policy(by_balancer(Some(0)), None), expiration(None));
    let minute = std::time::Duration::from_secs(60);
    assert_eq!(
        policy(by_balancer(Some(60)), None),
        expiration(Some(minute))
    );
    let name = "JSESSIONID".into();
    assert_eq!(
        policy(None, by_application("JSESSIONID")),
        Some(CookieStickiness::Application { name })
    );

    let faults_of = |listener: usize, lb, app| {
        refused(|spec| {
            spec.listeners[listener].lb_cookie_stickiness_policy = lb;
            spec.listeners[listener].app_cookie_stickiness_policy = app;
        })
    };
    let of_application = "listeners[0].appCookieStickinessPolicy";
    assert_eq!(
        faults_of(0, by_balancer(None), by_application("a")),
        [format!("{of_application} invalid-combination")]
    );
    assert_eq!(
        faults_of(1, by_balancer(None), None),
        ["listeners[1].lbCookieStickinessPolicy invalid-combination"]
    );
    for name in ["", "a b", "a;b", "a=b", "a\\b", "ü"] {
        assert_eq!(
            faults_of(0, None, by_application(name)),
            [format!("{of_application}.cookieName invalid-value")],
            "{name}"
        );
    }
    assert_eq!(
        faults_of(0, None, Some(AppCookieStickinessPolicySpec::default())),
        [format!("{of_application}.cookieName missing-field")]
    );
}

#[test]
fn other_kinds_have_none_of_it() {
    let mut spec = balancer(
        "network",
        vec![ListenerSpec {
            instance_port: Some(1),
            instance_protocol: Some("TCP".into()),
            lb_cookie_stickiness_policy: Some(LbCookieStickinessPolicySpec::default()),
            app_cookie_stickiness_policy: Some(AppCookieStickinessPolicySpec::default()),
            ..crate::kit::listener(80, "TCP", ActionSpec::forward("tcp"))
        }],
    );
    spec.health_check = Some(ClassicHealthCheckSpec::default());
    spec.instances = Some(Vec::new());
    spec.backend_server_policies = Some(BTreeMap::new());
    spec.backend_server_authentication = Some(BTreeMap::new());
    assert_eq!(
        faults(LoadBalancer::new(&spec, &scope())),
        [
            "listeners[0].instancePort invalid-combination",
            "listeners[0].instanceProtocol invalid-combination",
            "listeners[0].lbCookieStickinessPolicy invalid-combination",
            "listeners[0].appCookieStickinessPolicy invalid-combination",
            "healthCheck invalid-combination",
            "instances invalid-combination",
            "backendServerPolicies invalid-combination",
            "backendServerAuthentication invalid-combination"
        ]
    );
    let plain = LoadBalancer::new(&balancer("network", Vec::new()), &scope())
        .value
        .unwrap();
    assert!(plain.instance_groups().is_empty() && plain.classic.is_none());
}
