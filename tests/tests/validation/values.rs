//! Values of single fields, by the name of the field: some good, some not.

use crate::tree::{Tree, plain, quoted};

/// What a field of this name is tried with.
pub(crate) fn of(field: &str) -> Vec<Tree> {
    let (numbers, texts) = match field {
        "name" | "generateName" | "secretName" | "ingressClassName" | "nodeName" | "hostname"
        | "subdomain" => ([].as_slice(), NAMES),
        "namespace" => (
            [].as_slice(),
            ["Shop", "shop_one", "-shop", "a.b", "shop/one"].as_slice(),
        ),
        "port" | "containerPort" | "targetPort" | "number" => (PORTS, PORT_NAMES),
        "nodePort" | "healthCheckNodePort" | "hostPort" => (NODE_PORTS, [].as_slice()),
        "timeoutSeconds" | "periodSeconds" | "initialDelaySeconds" | "failureThreshold" => {
            (SECONDS, [].as_slice())
        }
        "protocol" => (
            [].as_slice(),
            ["tcp", "HTTP", "SCTP", "UDP", "TCP_UDP", "QUIC", " TCP"].as_slice(),
        ),
        "type" => ([].as_slice(), TYPES),
        "host" | "hosts" | "externalName" => ([].as_slice(), HOSTS),
        "path" => ([].as_slice(), PATHS),
        "pathType" => (
            [].as_slice(),
            [
                "prefix",
                "Regex",
                "PREFIX",
                "ImplementationSpecific",
                "Exact",
                "Prefix",
            ]
            .as_slice(),
        ),
        "addresses" | "ip" | "externalIPs" | "clusterIPs" => ([].as_slice(), ADDRESSES),
        "loadBalancerSourceRanges" | "podCIDRs" | "inboundCIDRs" => ([].as_slice(), RANGES),
        "appProtocol" | "loadBalancerClass" | "conditionType" | "finalizers" => {
            ([].as_slice(), QUALIFIED)
        }
        "labels" | "annotations" | "selector" | "matchLabels" => return labels(),
        "app" | "team" | "value" | "role" => ([].as_slice(), LABEL_VALUES),
        "key" => ([].as_slice(), QUALIFIED),
        "controller" => ([].as_slice(), CONTROLLERS),
        "scope" => (
            [].as_slice(),
            ["cluster", "Namespaced", "Cluster", "Namespace"].as_slice(),
        ),
        "kind" => (
            [].as_slice(),
            ["Some%Kind", "a/b", "..", "Other"].as_slice(),
        ),
        "apiGroup" => (
            [].as_slice(),
            ["Elbv2.k8s.aws", "elbv2.k8s.aws.", "a_b", "example.com"].as_slice(),
        ),
        "apiVersion" => ([].as_slice(), ["v2", "extensions/v1beta1", "V1"].as_slice()),
        "externalTrafficPolicy" | "internalTrafficPolicy" => (
            [].as_slice(),
            ["local", "Global", "Local", "Cluster", "None"].as_slice(),
        ),
        "sessionAffinity" => (
            [].as_slice(),
            ["clientIP", "ClientIP", "None", "Cookie"].as_slice(),
        ),
        "ipFamilies" => ([].as_slice(), ["ipv4", "IPv5", "IPv6", "IPv4"].as_slice()),
        "ipFamilyPolicy" => (
            [].as_slice(),
            [
                "DualStack",
                "SingleStack",
                "PreferDualStack",
                "RequireDualStack",
                "singleStack",
            ]
            .as_slice(),
        ),
        "trafficDistribution" => (
            [].as_slice(),
            ["PreferSameZone", "PreferSameNode", "preferClose", "Local"].as_slice(),
        ),
        "addressType" => (
            [].as_slice(),
            ["IPv4", "IPv6", "FQDN", "ipv4", "IP"].as_slice(),
        ),
        "effect" => (
            [].as_slice(),
            ["NoSchedule", "noSchedule", "NoExecute", "Never"].as_slice(),
        ),
        "operator" => ([].as_slice(), ["in", "NotIn", "Exists", "Gt"].as_slice()),
        "scheme" => (
            [].as_slice(),
            ["HTTPS", "https", "internal", "external", "internet-facing"].as_slice(),
        ),
        "targetType" => ([].as_slice(), ["instance", "ip", "alb", "IP"].as_slice()),
        "ipAddressType" => (
            [].as_slice(),
            [
                "ipv4",
                "ipv6",
                "dualstack",
                "IPv4",
                "dualstack-without-public-ipv4",
            ]
            .as_slice(),
        ),
        "restartPolicy" => (
            [].as_slice(),
            ["Never", "OnFailure", "always", "Sometimes"].as_slice(),
        ),
        "ids" => (
            [].as_slice(),
            ["subnet-XYZ", "subnet-1", "vpc-1", "my subnet-0a"].as_slice(),
        ),
        "data" | "stringData" => return keys(),
        "tls.crt" | "tls.key" | "more" | "ssh-privatekey" => (
            [].as_slice(),
            ["not base64!", "YQ", "YQ==", "YR==", "YQ=="].as_slice(),
        ),
        ".dockerconfigjson" => (
            [].as_slice(),
            ["{", "[]", "null", "{\"auths\": 1}", "5"].as_slice(),
        ),
        "storage" => (
            ["10", "-1", "1.5"].as_slice(),
            ["1Ti", "1TB", "10 Gi", "-1Gi", "1e3", "Gi"].as_slice(),
        ),
        "servers" | "volumesPerServer" | "capacityUnits" => (
            ["0", "-1", "3", "2147483648", "4.5"].as_slice(),
            ["4"].as_slice(),
        ),
        _ => return Vec::new(),
    };
    numbers
        .iter()
        .map(|number| plain(number))
        .chain(texts.iter().map(|text| quoted(text)))
        .chain(long(field))
        .collect()
}

const NAMES: &[&str] = &[
    "Web", "web_1", "-web", "web-", "1web", "web.one", "web one", "wéb", "web/one", "web..one",
    ".", "a", "123",
];
const PORTS: &[&str] = &["0", "-1", "1", "65535", "65536", "2147483648"];
const PORT_NAMES: &[&str] = &[
    "http",
    "HTTP",
    "80",
    "a--b",
    "-http",
    "http-",
    "sixteen-letters-",
    "a_b",
];
const NODE_PORTS: &[&str] = &["0", "1", "29999", "30000", "32767", "32768", "65536", "-5"];
const SECONDS: &[&str] = &["0", "-1", "1", "86400", "86401"];
const TYPES: &[&str] = &[
    "clusterIP",
    "loadbalancer",
    "Loadbalancer",
    "Ingress",
    "Opaque",
    "kubernetes.io/tls",
    "kubernetes.io/basic-auth",
    "example.com/own",
];
const HOSTS: &[&str] = &[
    "*",
    "*.com",
    "*.*.example.com",
    "a.*.example.com",
    "*example.com",
    "Shop.example.com",
    "shop.example.com:80",
    "10.0.0.1",
    "2001:db8::1",
    "shop_1.example.com",
    "shop..example.com",
    ".example.com",
    "shop.example.com.",
    "https://shop.example.com",
    "a",
    "shop example",
    "xn--bcher-kva.example",
    "bücher.example",
];
const PATHS: &[&str] = &[
    "api",
    "/",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/a/.",
    "/a/..",
    "/a%2Fb",
    "/a%2fb",
    "/a b",
    "/*",
    "/a?b=c",
    "//",
    "/.",
    "/..a",
    "*",
    "/ä",
    "/a/b/",
    "http://x/",
];
const ADDRESSES: &[&str] = &[
    "10.0.0.256",
    "10.0.0",
    "010.0.0.1",
    "10.0.0.1",
    "127.0.0.1",
    "0.0.0.0",
    "169.254.1.1",
    "224.0.0.1",
    "239.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "ff02::1",
    "2001:db8::1",
    "2001:DB8::1",
    "2001:db8:0:0:0:0:0:1",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "10.0.0.1/32",
    "localhost",
    "None",
    "255.255.255.255",
    " 10.0.0.1",
    "1.2.3.4.5",
    "web.example.com",
    "web.example.com.",
    "Web.example.com",
];
const RANGES: &[&str] = &[
    "10.0.0.0",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "010.0.0.0/8",
    "10.0.0.0/08",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/129",
    "2001:db8::1/32",
    "::ffff:10.0.0.0/104",
    " 10.0.0.0/8 ",
    "10.0.0.0/8,192.168.0.0/16",
    "10.0.0.0/-1",
    "10.0.0.0/+8",
    "all",
    "10.0.0.0/255.0.0.0",
];
const QUALIFIED: &[&str] = &[
    "a/b/c",
    "/a",
    "a/",
    "Example.com/a",
    "example.com/A_b.c",
    "-a",
    "a-",
    "a b",
    "kubernetes.io/h2c",
    "a_b/c",
    "kubernetes",
    "orphan",
];
const LABEL_VALUES: &[&str] = &["a b", "-a", "a-", "a/b", "A_b.c-d", "a.", "ä", "5", "a:b"];
const CONTROLLERS: &[&str] = &[
    "alb",
    "Example.com/a",
    "example.com/",
    "/a",
    "example.com/a b",
    "example.com/a/b",
    "a/ä",
    "example.com/a?b",
];

/// Texts at and over the bounds of names.
fn long(field: &str) -> Vec<Tree> {
    let lengths: &[usize] = match field {
        "name" | "secretName" | "hostname" | "host" | "nodeName" | "externalName" => {
            &[63, 64, 253, 254]
        }
        "app" | "team" | "appProtocol" | "key" => &[63, 64],
        "controller" => &[240, 251],
        "port" | "targetPort" => &[15, 16],
        _ => &[],
    };
    let text = |length: &usize| match field {
        "controller" => format!("example.com/{}", "a".repeat(length - 11)),
        _ => "a".repeat(*length),
    };
    lengths.iter().map(|length| quoted(&text(length))).collect()
}

fn labels() -> Vec<Tree> {
    let keys = [
        "a b",
        "/a",
        "a/b/c",
        "Example.com/a",
        "example.com/",
        "-a",
        "a",
        "example.com/a",
        "ä",
        "",
    ];
    let mut found: Vec<Tree> = keys
        .iter()
        .map(|key| Tree::Map(vec![((*key).to_owned(), quoted("one"))]))
        .collect();
    let long = Tree::Map(vec![("a".repeat(64), quoted("one"))]);
    let large = Tree::Map(vec![(
        "example.com/a".to_owned(),
        quoted(&"x".repeat(256 << 10)),
    )]);
    let number = Tree::Map(vec![("a".to_owned(), plain("5"))]);
    found.extend([long, large, number]);
    found
}

fn keys() -> Vec<Tree> {
    let keys = ["a b", "..", ".", "..a", "a/b", "", "A_b-c.d", "ä"];
    keys.iter()
        .map(|key| Tree::Map(vec![((*key).to_owned(), quoted("YQ=="))]))
        .collect()
}
