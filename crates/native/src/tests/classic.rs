//! Classic load balancers: parity section 4, the native file's part.

use std::collections::BTreeMap;

use super::*;
use elbow_model::{
    Algorithm, BackendServerAuthentication, BackendServerPolicy, CookieStickiness, DnsZone,
    InstanceEnd, LoadBalancerType, ProxyProtocol, PublicKeyFile, Scheme,
};

const FILE: &str = include_str!("../../../../config/native/classic.yaml");

#[test]
fn every_field_is_read() {
    let model = accepted(FILE);
    let lb = &model.load_balancers[0];
    assert_eq!(
        (lb.kind, lb.scheme),
        (LoadBalancerType::Classic, Scheme::Internal)
    );
    assert_eq!(
        lb.attributes.connection_draining,
        Some(Duration::from_secs(30))
    );
    let https = &lb.listeners[0];
    let end = InstanceEnd {
        protocol: Protocol::Https,
        port: 30443,
    };
    assert_eq!(https.instance, Some(end));
    assert_eq!(
        https.ssl_policy.as_deref(),
        Some("ELBSecurityPolicy-TLS-1-2-2017-01")
    );
    assert_eq!(&*https.certificates[0].name, "files");
    let expiration = Some(Duration::from_secs(3_600));
    let policy = CookieStickiness::LoadBalancer { expiration };
    assert_eq!(https.cookie_stickiness, Some(policy));

    let classic = lb.classic.as_ref().unwrap();
    let check = &classic.health_check;
    assert_eq!(check.classic_target(), "HTTPS:30443/minio/health/live");
    assert_eq!(check.port, HealthCheckPort::Port(30443));
    assert_eq!(check.matcher.0, [200..=200]);
    assert_eq!(
        (check.interval, check.timeout),
        (Duration::from_secs(10), Duration::from_secs(5))
    );
    assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (2, 6));
    let second = &classic.instances[1];
    assert_eq!(second.availability_zone.as_deref(), Some("us-east-1b"));
    assert_eq!((second.port(30443), second.port(1)), (9002, 1));
    let proxied = vec![BackendServerPolicy::ProxyProtocol];
    assert_eq!(
        classic.backend_server_policies,
        BTreeMap::from([(30900, proxied)])
    );
    let public_keys = vec![PublicKeyFile {
        file: "conf/instance.pem".into(),
        declared: Some(("conf/a.yaml".into(), 36, 30)),
    }];
    let policy = BackendServerAuthentication { public_keys };
    assert_eq!(
        classic.backend_server_authentication,
        BTreeMap::from([(30443, policy)])
    );
}

#[test]
fn instances_form_a_group_per_instance_protocol_and_port() {
    let model = accepted(FILE);
    let groups = model.load_balancers[0].instance_groups();
    let shown: Vec<_> = groups
        .iter()
        .map(|g| {
            let ports: Vec<u16> = g.targets.iter().map(|t| t.port).collect();
            let a = &g.attributes;
            (&*g.name, g.protocol, ports, a.algorithm, a.proxy_protocol)
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "files/HTTPS:30443",
                Protocol::Https,
                vec![9000, 9002],
                Algorithm::LeastOutstandingRequests,
                None
            ),
            (
                "files/TCP:30900",
                Protocol::Tcp,
                vec![9001, 9003],
                Algorithm::RoundRobin,
                Some(ProxyProtocol::V1)
            ),
        ]
    );
    for group in &groups {
        let attributes = &group.attributes;
        assert_eq!(attributes.deregistration_delay, Duration::from_secs(30));
        assert!(attributes.deregistration_connection_termination);
    }
    let forwarded = model.load_balancers[0].target_groups();
    assert_eq!(forwarded, ["files/HTTPS:30443", "files/TCP:30900"]);
}

/// ELB API: defaults.
#[test]
fn defaults_are_those_of_the_api() {
    let text = "
loadBalancers:
- name: a
  type: classic
  listeners:
  - {port: 80, protocol: HTTP, instancePort: 30080}
  - {port: 90, protocol: TCP, instancePort: 30080}
  - {port: 443, protocol: HTTPS, instancePort: 30081, certificates: [c]}
certificates: [{name: c, certificateFile: c, privateKeyFile: k}]
";
    let model = accepted(text);
    let lb = &model.load_balancers[0];
    let ends: Vec<_> = lb
        .listeners
        .iter()
        .filter_map(|l| l.instance)
        .map(|end| (end.protocol, end.port))
        .collect();
    assert_eq!(
        ends,
        [
            (Protocol::Http, 30080),
            (Protocol::Tcp, 30080),
            (Protocol::Http, 30081)
        ]
    );
    assert_eq!(
        lb.listeners[2].ssl_policy.as_deref(),
        Some("ELBSecurityPolicy-2016-08")
    );
    let check = &lb.classic.as_ref().unwrap().health_check;
    assert_eq!(check.classic_target(), "TCP:30080");
    let times = (check.interval.as_secs(), check.timeout.as_secs());
    assert_eq!(times, (30, 5));
    assert_eq!(
        (check.healthy_threshold, check.unhealthy_threshold),
        (10, 2)
    );
    assert_eq!(lb.attributes.idle_timeout, Duration::from_secs(60));
    // Off by default: connections are closed at once.
    assert_eq!(lb.attributes.connection_draining, None);
    let delays = lb
        .instance_groups()
        .iter()
        .map(|g| g.attributes.deregistration_delay)
        .collect::<Vec<_>>();
    assert_eq!(delays, [Duration::ZERO; 3]);
}

/// Control plane, 0.3: DNS names. An internal load balancer has a prefix, unless it is an NLB.
#[test]
fn the_dns_name_of_an_internal_load_balancer_has_a_prefix() {
    let name = |kind: &str, scheme: &str| {
        let text = format!("loadBalancers: [{{name: Web, type: {kind}, scheme: {scheme}}}]");
        accepted(&text).load_balancers[0].dns_name(&DnsZone::default())
    };
    let id = accepted("loadBalancers: [{name: Web, type: classic}]").load_balancers[0].id();
    for kind in ["classic", "application"] {
        let host = name(kind, "internet-facing");
        let digits = host.strip_prefix("web-").unwrap();
        let digits = digits.strip_suffix(".us-east-1.elb.localhost").unwrap();
        assert_eq!(digits.len(), 10);
        assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{host}");
        assert_eq!(name(kind, "internal"), format!("internal-{host}"));
    }
    assert_eq!(
        name("network", "internal"),
        format!("web-{id}.elb.us-east-1.localhost")
    );
}

#[test]
fn changes_of_instances_and_policies_are_listed() {
    let change = |from: &str, to: &str| {
        assert!(FILE.contains(from), "{from}");
        let (old, new) = (accepted(FILE), accepted(&FILE.replacen(from, to, 1)));
        let changes = diff(&old, &new);
        let lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    assert_eq!(
        change(
            "  - {id: 127.0.0.1, availabilityZone: us-east-1b, ports: {30443: 9002, 30900: 9003}}\n",
            ""
        ),
        "instance files/127.0.0.1 {\"30443\":9002,\"30900\":9003} removed"
    );
    assert_eq!(
        change("us-east-1b", "us-east-1c"),
        "instance files/127.0.0.1 {\"30443\":9002,\"30900\":9003}: availabilityZone changed from \
         us-east-1b to us-east-1c"
    );
    assert_eq!(
        change("interval: 10", "interval: 20"),
        "load balancer files: healthCheck.interval changed from 10 to 20"
    );
    assert_eq!(
        change("30900: [k8s-proxyprotocol-enabled]", "{}"),
        "load balancer files: backendServerPolicies.30900 unset from \
         [\"k8s-proxyprotocol-enabled\"]"
    );
    assert_eq!(
        change("[instance.pem]", "[instance.pem, next.pem]"),
        "load balancer files: backendServerAuthentication.30443 changed from \
         {\"publicKeyFiles\":[\"conf/instance.pem\"]} to \
         {\"publicKeyFiles\":[\"conf/instance.pem\",\"conf/next.pem\"]}"
    );
    assert_eq!(
        change("instanceProtocol: TCP", "instanceProtocol: SSL"),
        "listener files:9000: instanceProtocol changed from TCP to SSL"
    );
}

proptest! {
    #[test]
    fn a_damaged_file_never_panics(from in 0..FILE.len(), length in 0_usize..80, with in "\\PC{0,4}") {
        let mut text = FILE.to_owned();
        let to = (from + length).min(text.len());
        if text.is_char_boundary(from) && text.is_char_boundary(to) {
            text.replace_range(from..to, &with);
        }
        let (model, diagnostics) = parse(&text, "a.yaml");
        prop_assert_eq!(model.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    }
}

#[test]
fn security_policy_of_a_listener_s_own_is_read_and_written_back() {
    let given = "sslNegotiationPolicy: {Protocol-TLSv1.2: true, AES128-SHA: false, ECDHE-RSA-AES256-GCM-SHA384: true}";
    let model = accepted(&FILE.replace("sslPolicy: ELBSecurityPolicy-TLS-1-2-2017-01", given));
    let policy = |model: &Model| {
        let listener = &model.load_balancers[0].listeners[0];
        (
            listener.ssl_policy.clone(),
            listener.ssl_negotiation_policy.clone(),
        )
    };
    let (named, own) = policy(&model);
    assert_eq!(named, None);
    assert_eq!(own.unwrap().suites, ["ECDHE-RSA-AES256-GCM-SHA384"]);
    let again = accepted(&render(&model).to_string());
    assert_eq!(policy(&again), policy(&model));
}

#[test]
fn stickiness_by_the_cookie_of_the_application_is_read_and_written_back() {
    let by_balancer = "lbCookieStickinessPolicy: {cookieExpirationPeriod: 3600}";
    let by_application = "appCookieStickinessPolicy: {cookieName: JSESSIONID}";
    let file = FILE.replace(by_balancer, by_application);
    let model = accepted(&file);
    let name = "JSESSIONID".into();
    let policy = |model: &Model| {
        model.load_balancers[0].listeners[0]
            .cookie_stickiness
            .clone()
    };
    assert_eq!(policy(&model), Some(CookieStickiness::Application { name }));
    for model in [model, accepted(FILE)] {
        let again = accepted(&render(&model).to_string());
        assert_eq!(policy(&again), policy(&model));
    }
}
