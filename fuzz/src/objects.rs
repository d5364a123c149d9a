//! Generates Kubernetes objects of all kinds that elbow reads, with some odd values. They refer to one another often enough
//! to become load balancers.

use elbow_manifest::Object;
use serde_json::{Map, Value, json};

use crate::feed::Feed;

/// Maximum number of objects of one input.
const OBJECTS: usize = 14;

/// The annotations of Ingresses without their prefix. A name follows those that end in a dot.
const OF_INGRESSES: &str = include_str!("objects/ingress.txt");
/// The annotations of Services without their prefix and `aws-load-balancer-`.
const OF_SERVICES: &str = include_str!("objects/service.txt");

const NAMES: &[&str] = &[
    "web",
    "api",
    "minio",
    "a",
    "b",
    "",
    "very-long-name-very-long-name-very-long-name-very-long-name-x",
];

/// Values that some annotation or field takes, and values that none does.
const VALUES: &[&str] = &[
    "true",
    "false",
    "ip",
    "instance",
    "alb",
    "nlb",
    "nlb-ip",
    "external",
    "internet-facing",
    "internal",
    "80",
    "443",
    "0",
    "-1",
    "1",
    "99999999999999999999",
    "65536",
    "2147483648",
    "HTTP",
    "HTTPS",
    "tcp",
    "TCP",
    "ssl",
    "TLS",
    "http",
    "GRPC",
    "HTTP2",
    "[]",
    "{}",
    "null",
    "[null]",
    "\"",
    "a=b,c=d",
    "a=b",
    "=",
    "a\\,b=c",
    "*",
    "traffic-port",
    "/",
    "/health?a=b",
    "200",
    "200-399",
    "200,201-202",
    "999999999999-1",
    "1-",
    "-",
    "5-1",
    "0-99999999999",
    "sg-1",
    "sg-1,sg-2",
    "subnet-2663a4da7eb098b7b",
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/999",
    "10.0.0.0/8,x",
    "forward",
    "grp",
    "1000",
    "1001",
    "ipv4",
    "dualstack",
    "dualstack-without-public-ipv4",
    "clientID",
    "oidc",
    "cognito",
    "\u{0}",
    "é",
    "",
    "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "arn:aws:acm:us-west-2:123456789012:certificate/a",
    "idle_timeout.timeout_seconds=60",
    "stickiness.enabled=true,stickiness.type=lb_cookie,stickiness.lb_cookie.duration_seconds=99999999999",
    "load_balancing.algorithm.type=least_outstanding_requests",
    "deregistration_delay.timeout_seconds=3601",
    "proxy_protocol_v2.enabled=true",
    "preserve_client_ip.enabled=true",
    r#"[{"HTTP": 80}]"#,
    r#"[{"HTTPS": 443}]"#,
    r#"[{"HTTP": 80}, {"HTTPS":443}]"#,
    r#"[{"HTTP": 0}]"#,
    r#"[{"HTTP": 1e9}]"#,
    r#"{"type":"redirect","redirectConfig":{"port":"443","protocol":"HTTPS","statusCode":"HTTP_301"}}"#,
    r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503","contentType":"text/plain","messageBody":"x"}}"#,
    r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":"http","weight":999}]}}"#,
    r#"{"type":"forward","targetGroupARN":"arn:x"}"#,
    r#"[{"field":"host-header","hostHeaderConfig":{"values":["a*"]}}]"#,
    r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X","values":["v"]}}]"#,
    r#"[{"field":"query-string","queryStringConfig":{"values":[{"key":"a","value":"b"}]}}]"#,
    r#"[{"field":"source-ip","sourceIpConfig":{"values":["10.0.0.0/8"]}}]"#,
    r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":"^/a","replace":"/b"}]}}]"#,
];

/// Generates the objects of an input. They always include an IngressClass `alb`.
pub fn objects(input: &[u8]) -> Vec<Object> {
    let mut feed = Feed::new(input);
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"}});
    let mut objects: Vec<Object> = Object::from_json(class).into_iter().collect();
    while !feed.is_empty() && objects.len() < OBJECTS {
        objects.extend(Object::from_json(object(&mut feed)));
    }
    objects
}

fn object(feed: &mut Feed<'_>) -> Value {
    match feed.byte() % 14 {
        0..=2 => service(feed),
        3..=5 => ingress(feed),
        6 => ingress_class(feed),
        7 => class_params(feed),
        8 => binding(feed),
        9 => node(feed),
        10 => endpoint_slice(feed),
        11 => pod(feed),
        12 => secret(feed),
        _ => tenant(feed),
    }
}

fn value(feed: &mut Feed<'_>) -> String {
    match feed.byte() {
        0..200 => feed.pick(VALUES).to_owned(),
        200..230 => feed.text(),
        230..240 => format!("{},{}", feed.pick(VALUES), feed.pick(VALUES)),
        _ => feed.number().cast_signed().to_string(),
    }
}

/// Returns `usual`, or rarely a value of another type.
fn odd(feed: &mut Feed<'_>, usual: Value) -> Value {
    match feed.byte() {
        0..240 => usual,
        240 => Value::Null,
        241 => json!([]),
        242 => json!({}),
        243 => json!("x"),
        244 => json!(-1),
        245 => json!(1e300),
        246 => json!(u64::MAX),
        247 => json!([[[]]]),
        248 => json!(true),
        _ => value(feed).into(),
    }
}

fn name(feed: &mut Feed<'_>) -> &'static str {
    feed.pick(NAMES)
}

fn namespace(feed: &mut Feed<'_>) -> &'static str {
    feed.pick(&["default", "n", ""])
}

/// Generates annotations of an Ingress or of a Service. One in eight belongs to the other kind.
fn annotations(feed: &mut Feed<'_>, of_service: bool) -> Value {
    let mut annotations = Map::new();
    for _ in 0..feed.byte() % 6 {
        let key = if of_service == feed.one_in(8) {
            let known: Vec<&str> = OF_INGRESSES.lines().collect();
            let mut key = format!("alb.ingress.kubernetes.io/{}", feed.pick(&known));
            if key.ends_with('.') {
                key += feed.pick(&[
                    "web",
                    "api",
                    "HTTP-80",
                    "HTTPS-443",
                    "ssl-redirect",
                    "9000",
                    "http",
                    "",
                ]);
            }
            key
        } else {
            let known: Vec<&str> = OF_SERVICES.lines().collect();
            let mut key = format!(
                "service.beta.kubernetes.io/aws-load-balancer-{}",
                feed.pick(&known)
            );
            if feed.one_in(16) {
                key += feed.pick(&[".TCP-80", ".80", ".http", ".TLS-443", "."]);
            }
            key
        };
        annotations.insert(key, value(feed).into());
    }
    annotations.into()
}

fn metadata(feed: &mut Feed<'_>, of_service: bool) -> Value {
    let annotations = annotations(feed, of_service);
    let mut metadata = json!({"name": name(feed), "namespace": namespace(feed), "uid": "u",
        "annotations": odd(feed, annotations), "labels": {"v1.min.io/tenant": "minio", "app": "minio"}});
    if feed.one_in(16) {
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        metadata["finalizers"] = json!(["service.k8s.aws/resources", "ingress.k8s.aws/resources"]);
    }
    if feed.one_in(5) {
        metadata["creationTimestamp"] =
            json!(feed.pick(&["2026-01-01T00:00:00Z", "x", "9999-99-99"]));
    }
    metadata
}

fn service(feed: &mut Feed<'_>) -> Value {
    let port = json!({"name": feed.pick(&["http", "https", ""]), "port": feed.pick(&[80, 443, 0, 70_000, 9_000]),
        "targetPort": feed.pick(&["http", "9000", "0", "99999"]), "nodePort": feed.pick(&[30_080, 0, 99_999]),
        "protocol": feed.pick(&["TCP", "UDP", "TCP_UDP", "SCTP", "QUIC"])});
    let ports = json!([odd(feed, port), {"port": 443, "targetPort": 9000, "name": "https", "nodePort": 30443}]);
    let kind = feed.pick(&["LoadBalancer", "NodePort", "ClusterIP", "ExternalName", "x"]);
    let mut spec = json!({"type": kind, "selector": {"app": "minio"}, "ports": ports});
    if !feed.one_in(3) {
        spec["loadBalancerClass"] = json!(feed.pick(&["service.k8s.aws/nlb", "x", ""]));
    }
    if feed.one_in(4) {
        spec["loadBalancerSourceRanges"] = json!([value(feed)]);
    }
    if feed.one_in(4) {
        spec["externalTrafficPolicy"] = json!("Local");
        spec["healthCheckNodePort"] = json!(feed.pick(&[32_000, 0, 99_999]));
    }
    if feed.one_in(4) {
        spec["ipFamilies"] = json!(["IPv6", value(feed)]);
        spec["ipFamilyPolicy"] = json!("PreferDualStack");
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(feed, true), "spec": spec})
}

fn backend(feed: &mut Feed<'_>) -> Value {
    let number = feed.pick(&[80, 443, 9_000, 0, 65_535, 65_536, u64::MAX]);
    let port = match feed.byte() % 5 {
        0 => json!({"number": number}),
        1 => json!({"name": feed.pick(&["http", "https", "use-annotation", "", "x"])}),
        _ => json!({"number": 80}),
    };
    let backend = json!({"service": {"name": name(feed), "port": port}});
    odd(feed, backend)
}

fn ingress(feed: &mut Feed<'_>) -> Value {
    let path = json!({"path": feed.pick(&["/", "/a", "/*", "", "a", "/a*", "^/x"]),
        "pathType": feed.pick(&["Prefix", "Exact", "ImplementationSpecific", "x"]), "backend": backend(feed)});
    let host = feed.pick(&["a.example.com", "*.b.com", "", "*", "x y"]);
    let rule = json!({"host": host, "http": {"paths": [odd(feed, path)]}});
    let mut spec = json!({"ingressClassName": feed.pick(&["alb", "alb", "x", ""]), "rules": [odd(feed, rule)]});
    if feed.one_in(3) {
        spec["defaultBackend"] = backend(feed);
    }
    if feed.one_in(3) {
        let host = feed.pick(&["a.example.com", "*.b.com", "", "x"]);
        spec["tls"] = json!([{"hosts": [host], "secretName": name(feed)}]);
    }
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata(feed, false), "spec": spec})
}

fn ingress_class(feed: &mut Feed<'_>) -> Value {
    let parameters =
        json!({"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": name(feed)});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": feed.pick(&["alb", "x"])},
        "spec": {"controller": "ingress.k8s.aws/alb", "parameters": parameters}})
}

fn class_params(feed: &mut Feed<'_>) -> Value {
    let group = json!({"name": value(feed)});
    let listener = json!({"port": feed.number() % 70_000, "protocol": value(feed),
        "listenerAttributes": [{"key": value(feed), "value": value(feed)}]});
    let expression =
        json!({"key": "a", "operator": feed.pick(&["In", "Exists", "x"]), "values": [value(feed)]});
    json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams", "metadata": {"name": name(feed)}, "spec": {
        "group": odd(feed, group), "scheme": value(feed), "ipAddressType": value(feed), "sslPolicy": value(feed),
        "inboundCIDRs": [value(feed)], "certificateArn": [value(feed)], "targetType": value(feed),
        "loadBalancerName": value(feed), "tags": [{"key": value(feed), "value": value(feed)}], "listeners": [listener],
        "loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": value(feed)}],
        "subnets": {"ids": [value(feed)], "tags": {"a": [value(feed)]}},
        "namespaceSelector": {"matchLabels": {"a": value(feed)}, "matchExpressions": [expression]}}})
}

fn binding(feed: &mut Feed<'_>) -> Value {
    let rule = json!({"from": [{"ipBlock": {"cidr": value(feed)}}], "ports": [{"port": value(feed), "protocol": "TCP"}]});
    json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {"name": name(feed), "namespace": namespace(feed)},
        "spec": {"targetGroupARN": value(feed), "targetGroupName": value(feed), "targetType": value(feed),
            "serviceRef": {"name": name(feed), "port": odd(feed, json!(80))}, "networking": {"ingress": [rule]},
            "nodeSelector": {"matchLabels": {"a": value(feed)}}}})
}

fn node(feed: &mut Feed<'_>) -> Value {
    let address = feed.pick(&["10.9.0.1", "::1", "x", ""]);
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name(feed), "labels": {"topology.kubernetes.io/zone": "us-west-2a"}},
        "spec": {"providerID": value(feed)},
        "status": {"addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": feed.pick(&["True", "False", "x"])}]}})
}

fn endpoint_slice(feed: &mut Feed<'_>) -> Value {
    let namespace = namespace(feed);
    let conditions =
        json!({"ready": odd(feed, json!(true)), "terminating": odd(feed, json!(false))});
    let endpoint = json!({"addresses": [feed.pick(&["10.1.0.1", "10.1.0.2", "::1", "x"])], "conditions": conditions,
        "nodeName": name(feed), "targetRef": {"kind": "Pod", "namespace": namespace, "name": name(feed)}});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name(feed), "namespace": namespace, "labels": {"kubernetes.io/service-name": name(feed)}},
        "addressType": feed.pick(&["IPv4", "IPv6", "FQDN", "x"]),
        "ports": [{"name": feed.pick(&["http", "https", ""]), "port": odd(feed, json!(9000))}],
        "endpoints": [odd(feed, endpoint)]})
}

fn pod(feed: &mut Feed<'_>) -> Value {
    let container =
        json!({"name": "c", "ports": [{"name": "http", "containerPort": odd(feed, json!(9000))}]});
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name(feed), "namespace": namespace(feed), "labels": {"app": "minio", "v1.min.io/tenant": "minio"}},
        "spec": {"nodeName": name(feed), "readinessGates": [{"conditionType": value(feed)}], "containers": [container]},
        "status": {"podIP": feed.pick(&["10.1.0.1", "x"]), "phase": value(feed),
            "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn secret(feed: &mut Feed<'_>) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name(feed), "namespace": namespace(feed)},
        "type": "kubernetes.io/tls", "data": {"tls.crt": value(feed), "tls.key": value(feed)}})
}

fn tenant(feed: &mut Feed<'_>) -> Value {
    let spec = json!({"exposeServices": {"minio": true, "console": true}, "requestAutoCert": false,
        "pools": [{"servers": 4}], "serviceMetadata": {"minioServiceAnnotations": annotations(feed, true)}});
    json!({"apiVersion": "minio.min.io/v2", "kind": "Tenant", "metadata": {"name": "minio", "namespace": namespace(feed)},
        "spec": odd(feed, spec)})
}
