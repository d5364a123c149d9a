//! The AWS Load Balancer Controller.

use elbow_manifest::{Context, plan, read};
use serde_json::{Value, json};

use super::{BALANCER, GROUP, HTTP, LISTENER, Planned, Refused, field, planned, refusal};

const IP: (&str, &str) = ("aws-load-balancer-nlb-target-type", "ip");
const DUAL: (&str, &str) = ("aws-load-balancer-ip-address-type", "dualstack");
const NAT: (&str, &str) = ("aws-load-balancer-enable-prefix-for-ipv6-source-nat", "on");
const INGRESS: &str = "/AWS::EC2::SecurityGroup/ManagedLBSecurityGroup/spec/ingress";
const EXISTING: &str = "
existingLoadBalancers:
- arn: arn:one
  scheme: internal
  subnets: [subnet-a1]
  securityGroups: [sg-1]
  tags: {elbv2.k8s.aws/cluster: elbow, service.k8s.aws/stack: default/web}
";

#[test]
fn the_controller_refuses() {
    let gate = format!("{EXISTING}featureGates: {{NLBSecurityGroup: false}}\n");
    let cases: &[Refused<'_>] = &[
        (
            "ResolveViaNameOrIDSlice",
            &[("aws-load-balancer-subnets", "")],
            HTTP,
            "",
            "unable to resolve at least one subnet: the list is empty",
        ),
        (
            "ResolveViaNameOrIDSlice",
            &[("aws-load-balancer-subnets", "a,a")],
            HTTP,
            "",
            "a is named 2 times, and the account has 1 such subnets",
        ),
        (
            "validateSubnetsAZExclusivity",
            &[("aws-load-balancer-subnets", "b,b")],
            HTTP,
            "",
            "in the same zone us-east-1b",
        ),
        (
            "validateSubnetsIPv6CIDR",
            &[DUAL, ("aws-load-balancer-subnets", "subnet-b0")],
            HTTP,
            "",
            "subnets subnet-b0 do not have an associated IPv6 CIDR block",
        ),
        (
            "chooseAndValidateSubnetsPerAZ",
            &[DUAL, ("aws-load-balancer-scheme", "internet-facing")],
            HTTP,
            "",
            "1 have no IPv6 range",
        ),
        (
            "ValidateEnablePrefixForIpv6SourceNat",
            &[NAT],
            HTTP,
            "",
            "only a dualstack load balancer",
        ),
        (
            "ValidateSourceNatPrefixes",
            &[
                DUAL,
                (
                    "aws-load-balancer-source-nat-ipv6-prefixes",
                    "auto_assigned,auto_assigned",
                ),
            ],
            HTTP,
            "",
            "enable-prefix-for-ipv6-source-nat: on",
        ),
        (
            "ValidateSourceNatPrefixes",
            &[
                DUAL,
                NAT,
                (
                    "aws-load-balancer-source-nat-ipv6-prefixes",
                    "auto_assigned",
                ),
            ],
            HTTP,
            "",
            "found 1 values for 2 subnets",
        ),
        (
            "ValidateSourceNatPrefixForSubnetPair",
            &[
                DUAL,
                NAT,
                (
                    "aws-load-balancer-source-nat-ipv6-prefixes",
                    "auto_assigned,2001:db8:0:b::/64",
                ),
            ],
            HTTP,
            "",
            "its length must be 80",
        ),
        (
            "ValidateSourceNatPrefixForSubnetPair",
            &[
                DUAL,
                NAT,
                (
                    "aws-load-balancer-source-nat-ipv6-prefixes",
                    "2001:db8:0:b::/80,auto_assigned",
                ),
            ],
            HTTP,
            "",
            "outside of subnet subnet-a1",
        ),
        (
            "buildLoadBalancerSubnetMappings",
            &[(
                "aws-load-balancer-private-ipv4-addresses",
                "10.0.0.4,10.0.0.5",
            )],
            HTTP,
            "",
            "expected one address in subnet subnet-a1, found several",
        ),
        (
            "buildLoadBalancerSubnetMappings",
            &[(
                "aws-load-balancer-private-ipv4-addresses",
                "10.0.0.4,2001:db8::1",
            )],
            HTTP,
            "",
            "expected an IPv4 address",
        ),
        (
            "buildLoadBalancerSubnetMappings",
            &[("aws-load-balancer-eip-allocations", "eipalloc-1,eipalloc-2")],
            HTTP,
            "",
            "internet facing",
        ),
        (
            "buildLoadBalancerSecurityGroups",
            &[],
            HTTP,
            &gate,
            "conflicting security groups configuration",
        ),
        (
            "buildLoadBalancerSecurityGroups",
            &[("aws-load-balancer-disable-nlb-sg", "true")],
            HTTP,
            EXISTING,
            "conflicting security groups configuration",
        ),
        (
            "buildManageSecurityGroupRulesFlagLegacy",
            &[
                ("aws-load-balancer-disable-nlb-sg", "true"),
                ("aws-load-balancer-manage-backend-security-group-rules", "x"),
            ],
            HTTP,
            "",
            "expected true or false",
        ),
        (
            "buildLoadBalancerName",
            &[("aws-load-balancer-name", "äääääääääääääääää")],
            HTTP,
            "",
            "longer than 32 characters",
        ),
        (
            "buildTargetGroupAttributes",
            &[("aws-load-balancer-proxy-protocol-per-target-group", "80,x")],
            HTTP,
            "",
            "invalid port number \"x\"",
        ),
        (
            "TargetGroupTuple.validate",
            &[(
                "actions.TCP-80",
                r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":"80"}]}}"#,
            )],
            HTTP,
            "",
            "unable to find port 80",
        ),
    ];
    for (function, annotations, spec, environment, expected) in cases {
        let message = refusal(&planned(annotations, spec, environment));
        assert!(message.contains(expected), "{function}: {message}");
    }
}

#[test]
fn the_controller_plans() {
    let of = |path: &str, rest: &str| format!("{path}{rest}");
    let advanced = "featureGates: {NLBHealthCheckAdvancedConfig: false}\n";
    let check = [
        ("aws-load-balancer-healthcheck-protocol", "http"),
        ("aws-load-balancer-healthcheck-timeout", "x"),
    ];
    let cases: &[Planned<'_>] = &[
        (
            "listSubnetsByNameOrIDs",
            &[("aws-load-balancer-subnets", "b,subnet-a1")],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping/0/subnetID"),
            json!("subnet-b0"),
        ),
        (
            "chooseSubnetsPerAZ",
            &[DUAL],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping/1/subnetID"),
            json!("subnet-b1"),
        ),
        (
            "buildLoadBalancerSubnetMappings",
            &[DUAL, NAT],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping/0/sourceNatIpv6Prefix"),
            Value::Null,
        ),
        (
            "buildLoadBalancerSubnetMappings",
            &[
                DUAL,
                (
                    "aws-load-balancer-ipv6-addresses",
                    "2001:db8:0:b:0::9,2001:0db8:0:a::9",
                ),
            ],
            HTTP,
            "",
            of(BALANCER, "/subnetMapping/0/ipv6Address"),
            json!("2001:db8:0:a::9"),
        ),
        (
            "buildLoadBalancerSecurityGroups",
            &[("aws-load-balancer-disable-nlb-sg", "true")],
            HTTP,
            "",
            of(BALANCER, "/securityGroups"),
            Value::Null,
        ),
        (
            "buildLoadBalancerMinimumCapacity",
            &[("aws-load-balancer-minimum-load-balancer-capacity", "x")],
            HTTP,
            "featureGates: {LBCapacityReservation: false}\n",
            of(BALANCER, "/minimumLoadBalancerCapacity"),
            Value::Null,
        ),
        (
            "buildAdditionalResourceTags",
            &[("aws-load-balancer-additional-resource-tags", "team=a")],
            HTTP,
            "featureGates: {EnableDefaultTagsLowPriority: true}\ndefaults: {tags: {team: b}}\n",
            of(BALANCER, "/tags/team"),
            json!("a"),
        ),
        (
            "buildAdditionalResourceTags",
            &[("aws-load-balancer-additional-resource-tags", "team=a")],
            HTTP,
            "defaults: {tags: {team: b}}\n",
            of(BALANCER, "/tags/team"),
            json!("b"),
        ),
        (
            "buildCIDRsFromSourceRanges",
            &[("aws-load-balancer-security-group-prefix-lists", "")],
            HTTP,
            "",
            INGRESS.to_owned(),
            Value::Null,
        ),
        (
            "buildCIDRsFromSourceRanges",
            &[("load-balancer-source-ranges", "anybody")],
            HTTP,
            "",
            of(INGRESS, "/0/ipRanges/0/cidrIP"),
            json!("anybody"),
        ),
        (
            "buildManagedSecurityGroupIngressPermissions",
            &[("aws-load-balancer-enable-icmp-for-path-mtu-discovery", "On")],
            HTTP,
            "",
            of(INGRESS, "/1"),
            Value::Null,
        ),
        (
            "buildManagedSecurityGroupIngressPermissions",
            &[
                ("aws-load-balancer-enable-icmp-for-path-mtu-discovery", "on"),
                ("aws-load-balancer-security-group-prefix-lists", "pl-1"),
            ],
            HTTP,
            "",
            of(INGRESS, "/1"),
            Value::Null,
        ),
        (
            "buildListenerSpec",
            &[IP],
            "  ports: [{name: s, port: 80, protocol: SCTP}]",
            "",
            of(LISTENER, "/protocol"),
            json!("SCTP"),
        ),
        (
            "buildListenerSpec",
            &[IP, ("aws-load-balancer-ssl-cert", "arn:x")],
            "  ports: [{name: s, port: 80, protocol: SCTP}]",
            "",
            of(LISTENER, "/protocol"),
            json!("TLS"),
        ),
        (
            "ForwardActionConfig.validate",
            &[(
                "actions.TCP-80",
                r#"{"type":"forward","forwardConfig":{"baseServiceWeight":1000,"targetGroupStickinessConfig":{}}}"#,
            )],
            HTTP,
            "",
            of(
                LISTENER,
                "/defaultActions/0/forwardConfig/targetGroups/0/weight",
            ),
            json!(1000),
        ),
        (
            "buildTargetGroupHealthCheckPort",
            &[("aws-load-balancer-healthcheck-port", "99999")],
            HTTP,
            "",
            of(GROUP, "/healthCheckConfig/port"),
            json!(99999),
        ),
        (
            "buildTargetGroupHealthCheckPort",
            &[("aws-load-balancer-healthcheck-port", "http")],
            HTTP,
            "",
            of(GROUP, "/healthCheckConfig/port"),
            json!(30080),
        ),
        (
            "buildTargetGroupHealthCheckTimeoutSeconds",
            &check,
            HTTP,
            advanced,
            of(GROUP, "/healthCheckConfig/timeoutSeconds"),
            json!(10),
        ),
        (
            "buildTargetGroupHealthCheckMatcher",
            &check,
            HTTP,
            advanced,
            of(GROUP, "/healthCheckConfig/matcher"),
            Value::Null,
        ),
        (
            "buildTargetGroupAttributes",
            &[(
                "aws-load-balancer-proxy-protocol-per-target-group",
                "080,70000",
            )],
            HTTP,
            "",
            of(GROUP, "/targetGroupAttributes/0/value"),
            json!("false"),
        ),
    ];
    for (function, annotations, spec, environment, pointer, expected) in cases {
        let made = planned(annotations, spec, environment);
        assert_eq!(&field(&made, pointer), expected, "{function}");
    }
}

/// `buildTargetGroupHealthCheckConfigForInstanceModeLocal` uses the port of the Service that owns the load balancer.
#[test]
fn a_backend_is_checked_on_the_port_of_the_owner() {
    let text = r#"
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/actions.TCP-80: '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"other","servicePort":80,"weight":1}]}}'
spec:
  type: LoadBalancer
  ports: [{port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec:
  type: LoadBalancer
  loadBalancerClass: example.com/other
  externalTrafficPolicy: Local
  healthCheckNodePort: 31000
  ports: [{port: 80, nodePort: 30081}]
"#;
    let (objects, found) = read(text, "input.yaml");
    assert_eq!(found, []);
    let made = plan(&objects, &Context::default());
    let group = "/AWS::ElasticLoadBalancingV2::TargetGroup/default~1other:80/spec";
    let check = field(&made, &format!("{group}/healthCheckConfig"));
    assert_eq!(
        (&check["protocol"], &check["port"]),
        (&json!("HTTP"), &json!(0))
    );
}
