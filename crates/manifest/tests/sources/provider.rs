//! The cloud provider.

use serde_json::{Value, json};

use super::{BALANCER, GROUP, HTTP, LISTENER, Planned, Refused, field, planned, refusal};

const CLASSIC: &str = "/AWS::ElasticLoadBalancing::LoadBalancer/LoadBalancer/spec";
const NLB: (&str, &str) = ("aws-load-balancer-type", "nlb");

#[test]
fn the_provider_refuses() {
    let cases: &[Refused<'_>] = &[
        (
            "checkMixedProtocol",
            &[NLB],
            "  ports: [{name: t, port: 53, protocol: TCP}, {name: u, port: 53, protocol: UDP}]",
            "",
            "mixed protocol is not supported",
        ),
        (
            "checkProtocol",
            &[NLB],
            "  ports: [{port: 53, protocol: SCTP}]",
            "",
            "Protocol SCTP not supported",
        ),
        (
            "checkProtocol",
            &[],
            "  ports: [{port: 53, protocol: UDP}]",
            "",
            "Protocol UDP not supported",
        ),
        (
            "EnsureLoadBalancer",
            &[NLB],
            "  loadBalancerIP: 10.0.0.1\n  ports: [{port: 80}]",
            "",
            "address of a load balancer cannot be chosen",
        ),
        (
            "EnsureLoadBalancer",
            &[NLB],
            "  sessionAffinity: ClientIP\n  ports: [{port: 80}]",
            "",
            "unsupported load balancer affinity",
        ),
        (
            "validateServiceAnnotations",
            &[NLB, ("aws-load-balancer-extra-security-groups", "sg-1")],
            HTTP,
            "",
            "extra security groups",
        ),
        (
            "validateServiceAnnotations",
            &[("aws-load-balancer-target-group-attributes", "")],
            HTTP,
            "",
            "no target groups",
        ),
        (
            "validateServiceAnnotationTargetGroupAttributes",
            &[
                NLB,
                (
                    "aws-load-balancer-target-group-attributes",
                    "preserve_client_ip.enabled",
                ),
            ],
            HTTP,
            "",
            "invalid attribute value",
        ),
        (
            "validateServiceAnnotationTargetGroupAttributes",
            &[
                NLB,
                (
                    "aws-load-balancer-target-group-attributes",
                    "preserve_client_ip.enabled=false",
                ),
            ],
            "  ports: [{port: 53, protocol: UDP}]",
            "",
            "can't be disabled for UDP",
        ),
        (
            "GetLoadBalancerSourceRanges",
            &[("load-balancer-source-ranges", "10.0.0.0/8,")],
            HTTP,
            "",
            "expected an address range, found \"\"",
        ),
        (
            "AuthorizeSecurityGroupIngress",
            &[("load-balancer-source-ranges", "2001:db8::/32")],
            HTTP,
            "",
            "no IPv6 addresses; remove 2001:db8::/32",
        ),
        (
            "resolveSubnetNameOrIDs",
            &[NLB, ("aws-load-balancer-subnets", " ")],
            HTTP,
            "",
            "unable to resolve empty subnet slice",
        ),
        (
            "resolveSubnetNameOrIDs",
            &[("aws-load-balancer-subnets", "subnet-a1,subnet-a1")],
            HTTP,
            "",
            "the subnet subnet-a1 is named twice",
        ),
        (
            "ensureLoadBalancerv2",
            &[NLB, ("aws-load-balancer-eip-allocations", "")],
            "  ports: [{port: 80}]",
            "subnetsOf",
            "found 1 values for 2 subnets",
        ),
        (
            "buildNLBHealthCheckConfiguration",
            &[NLB, ("aws-load-balancer-healthcheck-port", "http")],
            HTTP,
            "",
            "expected a port number or traffic-port",
        ),
        (
            "buildNLBHealthCheckConfiguration",
            &[NLB, ("aws-load-balancer-healthcheck-protocol", "udp")],
            HTTP,
            "",
            "unsupported health check protocol UDP",
        ),
        (
            "parseInt32Annotation",
            &[NLB, ("aws-load-balancer-healthcheck-timeout", "soon")],
            HTTP,
            "",
            "expected a whole number",
        ),
        (
            "reconcileLBAttributes",
            &[
                NLB,
                ("aws-load-balancer-cross-zone-load-balancing-enabled", "on"),
            ],
            HTTP,
            "",
            "expected true or false",
        ),
        (
            "CreateLoadBalancer",
            &[],
            "  allocateLoadBalancerNodePorts: false\n  ports: [{port: 80}]",
            "",
            "needs a listener",
        ),
    ];
    for (function, annotations, spec, environment, expected) in cases {
        let mut annotations = annotations.to_vec();
        // The only case with several subnets.
        if *environment == "subnetsOf" {
            annotations.push(("aws-load-balancer-internal", "true"));
        }
        let message = refusal(&planned(&annotations, spec, "personality: intree\n"));
        assert!(message.contains(expected), "{function}: {message}");
    }
}

#[test]
fn the_provider_plans() {
    let of = |path: &str, rest: &str| format!("{path}{rest}");
    let internal = ("aws-load-balancer-internal", "true");
    let cases: &[Planned<'_>] = &[
        (
            "createSubnetMappings: the order of the zones",
            &[
                NLB,
                internal,
                (
                    "aws-load-balancer-private-ipv4-addresses",
                    "10.0.0.9,10.0.2.9",
                ),
            ],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping"),
            json!([
                {"subnetID": "subnet-a1", "privateIPv4Address": "10.0.0.9"},
                {"subnetID": "subnet-b0", "privateIPv4Address": "10.0.2.9"},
            ]),
        ),
        (
            "createSubnetMappings: the order of the names, ids first",
            &[
                NLB,
                internal,
                ("aws-load-balancer-subnets", "a,subnet-b1"),
                (
                    "aws-load-balancer-private-ipv4-addresses",
                    "10.0.1.9,10.0.0.9",
                ),
            ],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping"),
            json!([
                {"subnetID": "subnet-a1", "privateIPv4Address": "10.0.0.9"},
                {"subnetID": "subnet-b1", "privateIPv4Address": "10.0.1.9"},
            ]),
        ),
        (
            "findELBSubnets",
            &[internal],
            HTTP,
            "",
            of(CLASSIC, "/subnets"),
            json!(["subnet-a1", "subnet-b0"]),
        ),
        (
            "getKeyValuePropertiesFromAnnotation",
            &[(
                "aws-load-balancer-additional-resource-tags",
                "a=b, c = d,e=f=g",
            )],
            HTTP,
            "",
            of(CLASSIC, "/tags/c "),
            json!(" d"),
        ),
        (
            "getKeyValuePropertiesFromAnnotation",
            &[NLB, ("aws-load-balancer-additional-resource-tags", "e=f=g")],
            HTTP,
            "",
            of(GROUP, "/tags/e"),
            json!("f"),
        ),
        (
            "GetLoadBalancerSourceRanges",
            &[("load-balancer-source-ranges", " 10.1.2.3/8 ")],
            HTTP,
            "",
            of(CLASSIC, "/securityGroups/0/ingress/0/ipRanges/0/cidrIp"),
            json!("10.0.0.0/8"),
        ),
        (
            "buildELBSecurityGroupList",
            &[
                ("load-balancer-source-ranges", "2001:db8::/32"),
                ("aws-load-balancer-security-groups", "sg-1"),
            ],
            HTTP,
            "securityGroups: [{id: sg-1, name: one}]\n",
            of(CLASSIC, "/securityGroups/0/groupName"),
            json!("one"),
        ),
        (
            "EnsureLoadBalancer",
            &[("aws-load-balancer-proxy-protocol", "")],
            HTTP,
            "",
            of(CLASSIC, "/backendServerPolicies"),
            json!([]),
        ),
        (
            "EnsureLoadBalancer",
            &[("aws-load-balancer-connection-idle-timeout", "-1")],
            HTTP,
            "",
            of(CLASSIC, "/attributes/connectionSettings/idleTimeout"),
            json!(-1),
        ),
        (
            "ensureLoadBalancerHealthCheck",
            &[("aws-load-balancer-healthcheck-port", "0")],
            HTTP,
            "",
            of(CLASSIC, "/healthCheck/target"),
            json!("TCP:0"),
        ),
        (
            "buildTargetGroupName",
            &[NLB],
            HTTP,
            "clusterName: c\n",
            of(GROUP, "/name"),
            json!("k8s-default-web-943adcbb07"),
        ),
        (
            "createListenerV2",
            &[
                NLB,
                ("aws-load-balancer-ssl-cert", "arn:a,arn:b"),
                ("aws-load-balancer-ssl-negotiation-policy", ""),
            ],
            HTTP,
            "defaults: {sslPolicy: other}\n",
            of(LISTENER, "/sslPolicy"),
            json!("ELBSecurityPolicy-2016-08"),
        ),
        (
            "createListenerV2",
            &[NLB, ("aws-load-balancer-ssl-cert", "arn:a,arn:b")],
            HTTP,
            "",
            of(LISTENER, "/certificates/0/certificateARN"),
            json!("arn:a,arn:b"),
        ),
        (
            "ensureTargetGroup",
            &[NLB, ("aws-load-balancer-healthcheck-timeout", "3")],
            HTTP,
            "",
            of(GROUP, "/healthCheckConfig/timeoutSeconds"),
            json!(10),
        ),
        (
            "reconcileLBAttributes",
            &[
                NLB,
                (
                    "aws-load-balancer-attributes",
                    "load_balancing.cross_zone.enabled=true",
                ),
            ],
            HTTP,
            "",
            of(BALANCER, "/loadBalancerAttributes"),
            Value::Null,
        ),
        (
            "createSubnetMappings",
            &[
                NLB,
                internal,
                (
                    "aws-load-balancer-private-ipv4-addresses",
                    "10.9.9.9,10.8.8.8",
                ),
            ],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping/1/privateIPv4Address"),
            json!("10.8.8.8"),
        ),
    ];
    for (function, annotations, spec, environment, pointer, expected) in cases {
        let environment = format!("personality: intree\n{environment}");
        let made = planned(annotations, spec, &environment);
        assert_eq!(&field(&made, pointer), expected, "{function}");
    }
}

/// `validateServiceAnnotations`: the name in the status says which load balancer there is.
#[test]
fn the_type_of_a_load_balancer_cannot_change() {
    let with_status = |annotations: &[(&str, &str)], name: &str| {
        let spec = format!("{HTTP}\nstatus: {{loadBalancer: {{ingress: [{{hostname: {name}}}]}}}}");
        planned(annotations, &spec, "personality: intree\n")
    };
    let classic = "a-1.us-east-1.elb.amazonaws.com";
    let network = "a-1.elb.us-east-1.amazonaws.com";
    assert!(refusal(&with_status(&[NLB], classic)).contains("has a Classic Load Balancer"));
    assert!(refusal(&with_status(&[], network)).contains("has a Network Load Balancer"));
    // Those of elbow itself, too.
    assert!(refusal(&with_status(&[], "a-1.elb.us-east-1.localhost")).contains("Network"));
    for (annotations, name) in [
        (&[NLB][..], network),
        (&[], classic),
        // Of another cloud.
        (&[], "lb.example.com"),
    ] {
        let made = with_status(annotations, name);
        assert_eq!(made.stacks.len(), 1, "{name}: {:?}", made.diagnostics);
    }
}
