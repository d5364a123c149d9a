//! Services and Tenants as users write them, each with the line of the specification that it follows.

use elbow_manifest::{Context, Translation, plan, read};
use serde_json::{Value, json};

const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// The plan of `text` in the environment file `environment`.
fn planned(text: &str, environment: &str) -> Translation {
    let (context, found) = Context::parse(environment, "environment.yaml");
    assert_eq!(found, []);
    let (objects, found) = read(&text.replace("$P", PREFIX), "input.yaml");
    assert_eq!(found, []);
    plan(&objects, &context)
}

fn resource(made: &Translation, stack: &str, kind: &str, id: &str) -> Value {
    let stack = made.stacks.iter().find(|one| one.id == stack);
    stack.map_or(Value::Null, |stack| {
        stack.to_json()["resources"][kind][id].clone()
    })
}

fn found(made: &Translation) -> Vec<String> {
    made.diagnostics
        .iter()
        .map(|found| format!("{} {}:{}", found.code, found.line, found.column))
        .collect()
}

const CLASSIC: &str = "AWS::ElasticLoadBalancing::LoadBalancer";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";

/// control-plane.md 1, S1: a Tenant with TLS becomes two Classic load balancers.
#[test]
fn tenant_with_tls_gets_two_classic_load_balancers() {
    let tenant = "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: store, namespace: shop}
spec: {exposeServices: {console: true, minio: true}, pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]}
";
    let made = planned(tenant, "personality: intree");
    assert_eq!(found(&made), [] as [String; 0]);
    for (stack, port) in [("shop/minio", 443), ("shop/store-console", 9443)] {
        let spec = &resource(&made, stack, CLASSIC, "LoadBalancer")["spec"];
        assert_eq!(spec["scheme"], "internet-facing");
        let listener = &spec["listeners"][0];
        assert_eq!(
            (&listener["protocol"], &listener["loadBalancerPort"]),
            (&json!("TCP"), &json!(port))
        );
        let target = format!("TCP:{}", listener["instancePort"]);
        assert_eq!(
            spec["healthCheck"],
            json!({"healthyThreshold": 2, "unhealthyThreshold": 6, "interval": 10, "timeout": 5, "target": target})
        );
    }
    assert_ne!(
        resource(&made, "shop/store", "K8S::Service", "store-hl"),
        Value::Null
    );
}

/// control-plane.md 1, S3: annotations of the Tenant reach its Services, and keep their places.
#[test]
fn annotations_of_a_tenant_reach_its_services() {
    let tenant = "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: store, namespace: shop}
spec:
  exposeServices: {minio: true}
  serviceMetadata:
    minioServiceAnnotations:
      $P-internal: 'true'
      $P-proxy-protocol: 'yes'
  pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]
";
    let made = planned(tenant, "personality: intree");
    assert_eq!(found(&made), ["invalid-annotation 10:68"]);
}

/// control-plane.md 1, S3 and S5: anything but `false` makes a Classic load balancer internal.
#[test]
fn any_text_but_false_makes_a_classic_load_balancer_internal() {
    for (value, scheme) in [
        ("true", "internal"),
        ("no", "internal"),
        ("false", "internet-facing"),
    ] {
        let service = "
apiVersion: v1
kind: Service
metadata: {name: a, annotations: {$P-internal: 'VALUE'}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
";
        let made = planned(&service.replace("VALUE", value), "personality: intree");
        let balancer = resource(&made, "default/a", CLASSIC, "LoadBalancer");
        assert_eq!(balancer["spec"]["scheme"], scheme, "{value}");
    }
}

const CONSOLE: &str = "
apiVersion: v1
kind: Service
metadata:
  name: console
  namespace: minio-operator
  annotations:
    $P-backend-protocol: BACKEND
    $P-ssl-cert: arn:aws:acm:us-east-1:000000000000:certificate/a
    $P-ssl-ports: '9090'
    $P-type: TYPE
    $P-nlb-target-type: instance
spec:
  type: LoadBalancer
  ports:
  - {name: http, port: 9090, nodePort: 30090}
  - {name: https, port: 9443, nodePort: 30443}
";

/// control-plane.md 1, S4: TLS ends on 9090, and 9443 becomes plain HTTP, with a warning.
#[test]
fn classic_port_outside_ssl_ports_becomes_plain_http() {
    let console = CONSOLE.replace("BACKEND", "http").replace("TYPE", "''");
    let made = planned(&console, "personality: intree");
    let spec = &resource(&made, "minio-operator/console", CLASSIC, "LoadBalancer")["spec"];
    let protocols = |index: usize| {
        let listener = &spec["listeners"][index];
        [&listener["protocol"], &listener["instanceProtocol"]]
            .map(|text| text.as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(
        [protocols(0), protocols(1)],
        [["HTTPS", "HTTP"], ["HTTP", "HTTP"]]
    );
    assert_eq!(spec["healthCheck"]["target"], "TCP:30090");
    // A Classic load balancer has no target type.
    assert_eq!(
        found(&made),
        ["plain-listener 8:68", "ignored-annotation 12:5"]
    );
}

/// control-plane.md 1, S14: TLS ends on 9090 of an NLB, 9443 is passed through.
#[test]
fn nlb_passes_tls_through_on_a_port_outside_ssl_ports() {
    let console = CONSOLE
        .replace("BACKEND", "tcp")
        .replace("TYPE", "external");
    let made = planned(&console, "personality: lbc");
    assert_eq!(found(&made), [] as [String; 0]);
    let listener =
        |port: &str| resource(&made, "minio-operator/console", LISTENER, port)["spec"].clone();
    assert_eq!(listener("9090")["protocol"], "TLS");
    assert_eq!(listener("9090")["sslPolicy"], "ELBSecurityPolicy-2016-08");
    assert_eq!(listener("9443")["protocol"], "TCP");
    let group = resource(
        &made,
        "minio-operator/console",
        TARGET_GROUP,
        "minio-operator/console:9090",
    );
    assert_eq!(
        (&group["spec"]["protocol"], &group["spec"]["port"]),
        (&json!("TCP"), &json!(30090))
    );
}

/// control-plane.md 3.1: a misspelt annotation gets a hint with the right one.
#[test]
fn misspelt_annotation_gets_a_hint() {
    let service = "
apiVersion: v1
kind: Service
metadata:
  name: a
  annotations:
    $P-schema: internal
spec: {type: LoadBalancer, ports: [{port: 80}]}
";
    let made = planned(service, "");
    assert_eq!(found(&made), ["unknown-annotation 7:5"]);
    let hint = made.diagnostics[0].hint.clone().unwrap_or_default();
    assert!(hint.contains("aws-load-balancer-scheme"), "{hint}");
}

/// control-plane.md 1, S19: IPv6 needs a dualstack load balancer; the error points at the field.
#[test]
fn ipv6_needs_dualstack() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  type: LoadBalancer
  ipFamilies: [IPv6]
  ports: [{port: 80}]
";
    assert_eq!(found(&planned(service, "")), ["invalid-service 7:15"]);
}

/// control-plane.md 0.2: type `nlb` is the provider's, with its own health check (3.3).
#[test]
fn type_nlb_gets_the_load_balancer_of_the_provider() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: a, uid: d824df76-48d7-4e20-9bb9-60970b55be53, annotations: {$P-type: nlb}}
spec: {type: LoadBalancer, ports: [{port: 80, nodePort: 30080}]}
";
    let made = planned(service, "personality: intree");
    let balancer = resource(
        &made,
        "default/a",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "LoadBalancer",
    );
    assert_eq!(balancer["spec"]["name"], "ad824df7648d74e209bb960970b55be5");
    assert_eq!(balancer["spec"]["scheme"], "internet-facing");
    let group = resource(&made, "default/a", TARGET_GROUP, "default/a:80");
    let expected = json!({"healthyThresholdCount": 3, "intervalSeconds": 30, "port": "traffic-port",
        "protocol": "TCP", "timeoutSeconds": 10, "unhealthyThresholdCount": 3});
    assert_eq!(group["spec"]["healthCheckConfig"], expected);
}

/// control-plane.md 3.1: a listener shares its connections with another Service of the namespace.
#[test]
fn listener_forwards_to_weighted_backends() {
    let services = r#"
apiVersion: v1
kind: Service
metadata:
  name: a
  annotations:
    service.beta.kubernetes.io/actions.TCP-80: '{"type":"forward","forwardConfig":{"baseServiceWeight":90,"targetGroups":[{"serviceName":"b","servicePort":8080,"weight":10}]}}'
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {type: NodePort, ports: [{port: 8080}]}
"#;
    let made = planned(services, "");
    let listener = resource(&made, "default/a", LISTENER, "80");
    let groups = &listener["spec"]["defaultActions"][0]["forwardConfig"]["targetGroups"];
    assert_eq!([&groups[0]["weight"], &groups[1]["weight"]], [90, 10]);
    let id =
        "#/resources/AWS::ElasticLoadBalancingV2::TargetGroup/default/b:8080/status/targetGroupARN";
    assert_eq!(groups[1]["targetGroupARN"]["$ref"], id);
}

/// control-plane.md 3.1 and 4: an invalid value is refused at its own line.
#[test]
fn invalid_annotations_are_refused() {
    const NETWORK: &[(&str, &str)] = &[
        ("scheme", "public"),
        ("internal", "yes"),
        ("ip-address-type", "ipv6"),
        ("name", "a-name-that-is-longer-than-32-chars"),
        ("attributes", "dns_record.client_routing_policy=near"),
        ("attributes", "novalue"),
        ("subnets", "subnet-nope"),
        ("eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3"),
        ("private-ipv4-addresses", "10.0.0.1"),
        ("ssl-ports", "'*'"),
        ("quic-enabled-ports", "'80'"),
        ("proxy-protocol", "'true'"),
        ("proxy-protocol-per-target-group", "http"),
        (
            "target-group-attributes",
            "preserve_client_ip.enabled=maybe",
        ),
        ("healthcheck-protocol", "udp"),
        ("healthcheck-port", "nope"),
        ("healthcheck-interval", "abc"),
        ("minimum-load-balancer-capacity", "CapacityUnits=many"),
        ("inbound-sg-rules-on-private-link-traffic", "'true'"),
    ];
    const CLASSIC_ONLY: &[(&str, &str)] = &[
        ("proxy-protocol", "'true'"),
        ("access-log-enabled", "maybe"),
        ("connection-draining-timeout", "soon"),
        ("connection-idle-timeout", "x"),
        ("healthcheck-interval", "x"),
        ("healthcheck-interval", "'1'"),
        ("healthcheck-port", "http"),
        ("healthcheck-protocol", "grpc"),
        ("subnets", "subnet-nope"),
        ("target-group-attributes", "proxy_protocol_v2.enabled=true"),
    ];
    for (personality, table) in [("lbc-default", NETWORK), ("intree", CLASSIC_ONLY)] {
        for (key, value) in table {
            let service = format!(
                "
apiVersion: v1
kind: Service
metadata:
  name: a
  annotations:
    $P-{key}: {value}
spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}
"
            );
            let made = planned(
                &service,
                &format!("personality: {personality}\nunknownResources: controller"),
            );
            assert!(made.stacks.is_empty(), "{personality} {key}: {value}");
            let place = made
                .diagnostics
                .first()
                .map(|found| (found.code, found.line));
            let code = match *key {
                "subnets" => "unknown-subnet",
                // Without quotes, a truth value of YAML 1.1.
                _ if *value == "yes" => "wrong-type",
                _ => "invalid-annotation",
            };
            assert_eq!(place, Some((code, 7)), "{key}: {value}");
        }
    }
}
