//! Instances of Classic load balancers, and what is declared for them (ELB API 2012-06-01).

use std::collections::BTreeMap;

use elbow_model::*;

use crate::classic::{classic, listener};
use crate::kit::{attributes, faults, texts};

#[test]
fn instances() {
    let instance = |id: &str, ports: &[(&str, u32)]| InstanceSpec {
        id: Some(id.to_owned()),
        availability_zone: None,
        ports: ports
            .iter()
            .map(|(from, to)| ((*from).to_owned(), *to))
            .collect(),
    };
    let of = |list: Vec<InstanceSpec>| classic(|lb| lb.instances = Some(list));
    let built = of(vec![
        instance("10.0.0.1", &[("30080", 9000)]),
        instance("10.0.0.1", &[("30090", 9001), ("5", 6)]),
    ]);
    let classic = built.value.unwrap().classic.unwrap();
    let ports: Vec<_> = classic
        .instances
        .iter()
        .map(|i| (i.port(30080), i.port(30090), i.port(5)))
        .collect();
    assert_eq!(ports, [(9000, 30090, 5), (30080, 9001, 6)]);
    for (list, expected) in [
        (
            vec![InstanceSpec::default()],
            "instances[0].id missing-field",
        ),
        (
            vec![instance("a:80", &[])],
            "instances[0].id invalid-target",
        ),
        (
            vec![instance("a", &[("http", 80)])],
            "instances[0].ports.http out-of-range",
        ),
        (
            vec![instance("a", &[("0", 80)])],
            "instances[0].ports.0 out-of-range",
        ),
        (
            vec![instance("a", &[("80", 0)])],
            "instances[0].ports.80 out-of-range",
        ),
        (
            vec![instance("a", &[]), instance("a", &[])],
            "instances[1] duplicate-instance",
        ),
        // The same port of the same host twice, whatever else differs.
        (
            vec![
                instance("a", &[("30080", 1), ("5", 5)]),
                instance("a", &[("30080", 1)]),
            ],
            "instances[1] duplicate-instance",
        ),
    ] {
        assert_eq!(faults(of(list)), [expected]);
    }
    let twice = self::classic(|lb| {
        lb.listeners.clear();
        lb.instances = Some(vec![instance("a", &[]), instance("a", &[("1", 2)])]);
    });
    assert_eq!(faults(twice), ["instances[1] duplicate-instance"]);
}

#[test]
fn policies_towards_instances() {
    let of = |port: &str, names: &[&str]| {
        classic(|lb| {
            lb.backend_server_policies = Some(BTreeMap::from([(port.to_owned(), texts(names))]))
        })
    };
    for name in ["k8s-proxyprotocol-enabled", "ProxyProtocolPolicyType"] {
        let built = of("30090", &[name]).value.unwrap();
        let policies = &built.classic.as_ref().unwrap().backend_server_policies;
        assert_eq!(policies[&30090], [BackendServerPolicy::ProxyProtocol]);
        let proxied: Vec<_> = built
            .instance_groups()
            .iter()
            .map(|g| g.attributes.proxy_protocol)
            .collect();
        assert_eq!(proxied, [None, Some(ProxyProtocol::V1)]);
    }
    assert_eq!(
        faults(of("30090", &["a"])),
        ["backendServerPolicies.30090[0] unknown-value"]
    );
    assert_eq!(
        faults(of("30091", &[])),
        ["backendServerPolicies.30091 unknown-instance-port"]
    );
    assert_eq!(
        faults(of("x", &[])),
        ["backendServerPolicies.x out-of-range"]
    );
    let checked = of("30080", &["ProxyProtocolPolicyType"]);
    assert_eq!(checked.warnings[0].code, "no-effect");
    let built = checked.value.unwrap();
    assert!(
        built
            .instance_groups()
            .iter()
            .all(|g| g.attributes.proxy_protocol.is_none())
    );
    assert!(of("30080", &[]).warnings.is_empty());
}

/// CLB guide: listeners, connection draining.
#[test]
fn instances_form_a_group_for_each_way_to_reach_them() {
    let built = classic(|lb| {
        lb.attributes = attributes(&[
            ("connection_draining.enabled", "true"),
            ("connection_draining.timeout_seconds", "30"),
        ]);
        lb.instances = Some(vec![InstanceSpec {
            id: Some("10.0.0.1".into()),
            ..InstanceSpec::default()
        }]);
    });
    let built = built.value.unwrap();
    let groups = built.instance_groups();
    let shown: Vec<_> = groups
        .iter()
        .map(|g| {
            (
                &*g.name,
                g.protocol,
                g.attributes.algorithm,
                g.targets[0].port,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "web/HTTP:30080",
                Protocol::Http,
                Algorithm::LeastOutstandingRequests,
                30080
            ),
            ("web/TCP:30090", Protocol::Tcp, Algorithm::RoundRobin, 30090)
        ]
    );
    for group in &groups {
        assert_eq!(group.attributes.deregistration_delay.as_secs(), 30);
        assert!(group.attributes.deregistration_connection_termination);
        assert!(!group.attributes.unhealthy_connection_termination);
    }
    let plain = classic(|_| {}).value.unwrap().instance_groups();
    assert!(
        plain
            .iter()
            .all(|group| group.attributes.deregistration_delay.is_zero())
    );
}

// CLB guide: SSL negotiation configurations.

/// CLB guide, HTTPS load balancers: authentication of instances, set on an instance port.
#[test]
fn instances_authenticate_by_public_keys() {
    let key = |file: &str| PublicKeyFile {
        file: file.into(),
        declared: None,
    };
    let of = |port: &str, files: Option<&[&str]>| {
        classic(|lb| {
            lb.listeners = vec![
                listener(80, "HTTP", Some("HTTPS"), 30080),
                listener(90, "TCP", Some("SSL"), 30090),
                listener(91, "TCP", None, 30091),
                listener(92, "HTTP", None, 30092),
            ];
            let keys = files.map(|files| files.iter().map(|file| key(file)).collect());
            let policy = BackendServerAuthenticationSpec {
                public_key_files: keys,
            };
            lb.backend_server_authentication = Some(BTreeMap::from([(port.to_owned(), policy)]));
        })
    };
    for (port, place) in [("30080", 0), ("30090", 1)] {
        let built = of(port, Some(&["b.pem", "a.pem"])).value.unwrap();
        let policies = built.listeners.iter();
        let policies = policies.map(|one| built.backend_server_authentication(one));
        let mut expected = [None; 4];
        let policy = BackendServerAuthentication {
            public_keys: vec![key("b.pem"), key("a.pem")],
        };
        expected[place] = Some(&policy);
        assert_eq!(policies.collect::<Vec<_>>(), expected);
    }
    let files = Some(&["a.pem"][..]);
    for (port, files, fault) in [
        ("30091", files, "30091 invalid-combination"),
        ("30092", files, "30092 invalid-combination"),
        ("30093", files, "30093 unknown-instance-port"),
        ("https", files, "https out-of-range"),
        ("30080", None, "30080.publicKeyFiles missing-field"),
        ("30080", Some(&[]), "30080.publicKeyFiles missing-field"),
        (
            "30080",
            Some(&["a", ""]),
            "30080.publicKeyFiles[1] missing-field",
        ),
    ] {
        let expected = format!("backendServerAuthentication.{fault}");
        assert_eq!(faults(of(port, files)), [expected]);
    }
}
