//! Changes of one manifest that are wrong only together with its other fields.

use crate::tree::{Path, Step, Tree};

/// The manifest, what is set in it, and to what: `-` removes the field.
const TABLE: &[(&str, &str, &str)] = &[
    ("Service/web", "spec.type", "ClusterIP"),
    ("Service/web", "spec.type", "NodePort"),
    ("Service/web", "spec.type", "ExternalName"),
    ("Service/web", "spec.clusterIP", "None"),
    ("Service/web", "spec.clusterIPs", "[None]"),
    ("Service/web", "spec.clusterIP", "\"\""),
    ("Service/web", "spec.clusterIP", "10.100.7.7"),
    ("Service/web", "spec.clusterIP", "not-an-address"),
    ("Service/web", "spec.clusterIP", "010.100.7.7"),
    ("Service/web", "spec.externalTrafficPolicy", "Cluster"),
    ("Service/web", "spec.externalTrafficPolicy", "-"),
    ("Service/web", "spec.healthCheckNodePort", "80"),
    ("Service/web", "spec.healthCheckNodePort", "31080"),
    ("Service/web", "spec.ports[1].name", "http"),
    ("Service/web", "spec.ports[1].port", "80"),
    ("Service/web", "spec.ports[1].nodePort", "31080"),
    ("Service/web", "spec.ports[1].protocol", "UDP"),
    ("Service/web", "spec.ports[1].name", "-"),
    ("Service/web", "spec.sessionAffinity", "None"),
    (
        "Service/web",
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        "0",
    ),
    (
        "Service/web",
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        "86401",
    ),
    ("Service/web", "spec.sessionAffinityConfig", "{}"),
    ("Service/web", "spec.ipFamilies", "[IPv4, IPv6]"),
    ("Service/web", "spec.ipFamilies", "[IPv4, IPv4]"),
    ("Service/web", "spec.ipFamilies", "[IPv6]"),
    ("Service/web", "spec.loadBalancerIP", "192.0.2.1"),
    ("Service/web", "spec.externalName", "example.com"),
    ("Service/web", "spec.externalIPs", "[127.0.0.1]"),
    (
        "Service/web",
        "metadata.annotations",
        "{service.beta.kubernetes.io/load-balancer-source-ranges: all}",
    ),
    (
        "Service/web",
        "metadata.ownerReferences",
        "[{apiVersion: v1, kind: Event, name: a, uid: b}]",
    ),
    (
        "Service/web",
        "metadata.ownerReferences",
        "[{apiVersion: v1, kind: ConfigMap, name: a, uid: b}]",
    ),
    (
        "Service/web",
        "metadata.ownerReferences",
        "[{apiVersion: v1, kind: ConfigMap, name: a}]",
    ),
    (
        "Service/web",
        "metadata.ownerReferences",
        "[{kind: ConfigMap, name: a, uid: b}]",
    ),
    (
        "Service/web",
        "metadata.ownerReferences",
        "[{apiVersion: v1, kind: A, name: a, uid: b, controller: true}, {apiVersion: v1, kind: A, name: c, uid: d, controller: true}]",
    ),
    (
        "Service/web",
        "metadata.finalizers",
        "[orphan, foregroundDeletion]",
    ),
    ("Service/web", "metadata.finalizers", "[orphan]"),
    ("Service/web", "metadata.finalizers", "[mine]"),
    ("Service/web", "metadata.generation", "-1"),
    ("Service/web", "metadata.generation", "3"),
    ("Service/web", "metadata.creationTimestamp", "null"),
    (
        "Service/web",
        "metadata.creationTimestamp",
        "\"2026-01-01T00:00:00Z\"",
    ),
    ("Service/web", "metadata.creationTimestamp", "yesterday"),
    ("Service/web", "metadata.selfLink", "/api/v1"),
    ("Service/web", "metadata.clusterName", "one"),
    ("Service/web", "status", "{loadBalancer: {}}"),
    (
        "Service/web",
        "status",
        "{loadBalancer: {ingress: [{ip: 192.0.2.1}]}}",
    ),
    (
        "Service/web",
        "status",
        "{loadBalancer: {ingress: [{hostname: x, portz: 5}]}}",
    ),
    ("Service/inner", "spec.externalTrafficPolicy", "Local"),
    ("Service/inner", "spec.externalIPs", "-"),
    ("Service/inner", "spec.ports[0].nodePort", "30001"),
    (
        "Service/inner",
        "spec.loadBalancerClass",
        "service.k8s.aws/nlb",
    ),
    (
        "Service/inner",
        "spec.allocateLoadBalancerNodePorts",
        "false",
    ),
    (
        "Service/inner",
        "spec.loadBalancerSourceRanges",
        "[10.0.0.0/8]",
    ),
    ("Service/inner", "spec.healthCheckNodePort", "30001"),
    ("Service/inner", "spec.clusterIPs", "[10.100.7.7]"),
    ("Service/inner", "spec.ports", "[]"),
    ("Service/inner", "spec.ports", "-"),
    ("Service/inner", "spec.ipFamilies", "[IPv4, IPv6]"),
    ("Service/inner", "spec.ipFamilyPolicy", "PreferDualStack"),
    (
        "Service/inner",
        "metadata.annotations",
        "{service.beta.kubernetes.io/load-balancer-source-ranges: 10.0.0.0/8}",
    ),
    (
        "Service/ports",
        "metadata.annotations",
        "{service.kubernetes.io/topology-mode: Auto, service.kubernetes.io/topology-aware-hints: auto}",
    ),
    (
        "Service/ports",
        "metadata.annotations",
        "{service.kubernetes.io/topology-mode: Auto, service.kubernetes.io/topology-aware-hints: Auto}",
    ),
    ("Service/ports", "spec.ports[0].protocol", "TCP"),
    ("Service/ports", "spec.ports[0].nodePort", "30054"),
    ("Service/ports", "spec.externalTrafficPolicy", "Local"),
    ("Service/ports", "spec.healthCheckNodePort", "30055"),
    ("Service/ports", "spec.loadBalancerClass", "a/b"),
    ("Service/headless", "spec.type", "LoadBalancer"),
    ("Service/headless", "spec.type", "NodePort"),
    ("Service/headless", "spec.type", "ClusterIP"),
    ("Service/headless", "spec.ports", "[]"),
    ("Service/headless", "spec.clusterIP", "-"),
    (
        "Service/headless",
        "spec.clusterIPs",
        "[None, \"2001:db8::1\"]",
    ),
    ("Service/headless", "spec.clusterIPs", "[\"\"]"),
    ("Service/headless", "spec.clusterIPs", "[None, None]"),
    ("Service/headless", "spec.ipFamilies", "[IPv4, IPv6]"),
    ("Service/headless", "spec.selector", "-"),
    ("Service/headless", "spec.ports[0].targetPort", "http"),
    ("Service/elsewhere", "spec.externalName", "-"),
    ("Service/elsewhere", "spec.externalName", "db.example.com."),
    ("Service/elsewhere", "spec.clusterIP", "None"),
    ("Service/elsewhere", "spec.clusterIPs", "[None]"),
    ("Service/elsewhere", "spec.ipFamilies", "[IPv4]"),
    ("Service/elsewhere", "spec.ipFamilyPolicy", "SingleStack"),
    ("Service/elsewhere", "spec.ports", "[{port: 80}]"),
    (
        "Service/elsewhere",
        "spec.ports",
        "[{port: 80, nodePort: 30001}]",
    ),
    ("Service/elsewhere", "spec.externalTrafficPolicy", "Cluster"),
    ("Service/elsewhere", "spec.internalTrafficPolicy", "Cluster"),
    ("Service/dual", "spec.ipFamilyPolicy", "SingleStack"),
    ("Service/dual", "spec.ipFamilyPolicy", "-"),
    ("Service/dual", "spec.ipFamilies", "[IPv6, IPv4]"),
    ("Service/dual", "spec.ipFamilies", "[IPv4, IPv6, IPv4]"),
    ("Service/dual", "spec.ipFamilies", "-"),
    ("Service/dual", "spec.ports[1].protocol", "UDP"),
    (
        "Ingress/web",
        "metadata.annotations",
        "{kubernetes.io/ingress.class: nginx}",
    ),
    (
        "Ingress/web",
        "metadata.annotations",
        "{kubernetes.io/ingress.class: alb}",
    ),
    ("Ingress/web", "spec.defaultBackend", "{}"),
    (
        "Ingress/web",
        "spec.defaultBackend.resource",
        "{kind: Bucket, name: b}",
    ),
    (
        "Ingress/web",
        "spec.defaultBackend.service.port",
        "{number: 80, name: http}",
    ),
    ("Ingress/web", "spec.defaultBackend.service.port", "{}"),
    ("Ingress/web", "spec.defaultBackend.service.port", "80"),
    (
        "Ingress/web",
        "spec.defaultBackend.service.port.number",
        "http",
    ),
    (
        "Ingress/web",
        "spec.defaultBackend.service.port.number",
        "0",
    ),
    (
        "Ingress/web",
        "spec.backend",
        "{serviceName: web, servicePort: 80}",
    ),
    (
        "Ingress/web",
        "spec.rules[0].http.paths[0].backend",
        "{serviceName: web, servicePort: 80}",
    ),
    ("Ingress/web", "spec.rules[0].http.paths[0].pathType", "-"),
    ("Ingress/web", "spec.rules[0].http.paths[0].path", "-"),
    ("Ingress/web", "spec.rules[0].http.paths", "[]"),
    ("Ingress/web", "spec.rules[0].http", "-"),
    ("Ingress/web", "spec.rules[0].http", "{}"),
    ("Ingress/web", "spec.rules[0].http", "null"),
    ("Ingress/web", "spec.rules[0]", "{}"),
    ("Ingress/web", "spec.rules", "[]"),
    ("Ingress/web", "spec.rules[1].host", "shop.example.com"),
    ("Ingress/web", "spec.tls", "[{}]"),
    ("Ingress/web", "spec.tls[0].hosts", "[\"*\"]"),
    (
        "Ingress/web",
        "status",
        "{loadBalancer: {ingress: [{hostname: a}]}}",
    ),
    ("Ingress/old", "spec.rules", "-"),
    ("Ingress/old", "spec", "-"),
    ("Ingress/old", "spec", "{}"),
    ("Ingress/old", "spec.ingressClassName", "nginx"),
    ("Ingress/old", "spec.ingressClassName", "\"\""),
    (
        "Ingress/old",
        "spec.rules[0].http.paths[0].backend.resource.kind",
        "-",
    ),
    (
        "Ingress/old",
        "spec.rules[0].http.paths[0].backend.resource.name",
        "\"\"",
    ),
    ("IngressClass/alb", "spec.parameters.namespace", "default"),
    ("IngressClass/alb", "spec.parameters.scope", "Namespace"),
    ("IngressClass/alb", "spec.parameters.apiGroup", "\"\""),
    ("IngressClass/alb", "spec", "-"),
    ("IngressClass/alb", "spec.controller", "\"\""),
    ("IngressClass/alb", "metadata.namespace", "default"),
    ("IngressClass/spaced", "spec.parameters.namespace", "-"),
    (
        "IngressClass/spaced",
        "spec.parameters.namespace",
        "Not_A_Name",
    ),
    ("IngressClass/spaced", "spec.parameters.scope", "Cluster"),
    ("IngressClass/spaced", "spec.parameters.scope", "-"),
    ("Secret/shop-tls", "data", "{tls.crt: YQ==}"),
    ("Secret/shop-tls", "data", "-"),
    ("Secret/shop-tls", "stringData", "{tls.key: plain}"),
    ("Secret/shop-tls", "type", "Opaque"),
    ("Secret/shop-tls", "type", "kubernetes.io/ssh-auth"),
    (
        "Secret/shop-tls",
        "type",
        "kubernetes.io/service-account-token",
    ),
    ("Secret/shop-tls", "type", "kubernetes.io/dockercfg"),
    ("Secret/shop-tls", "type", "kubernetes.io/dockerconfigjson"),
    ("Secret/plain", "data.more", "null"),
    ("Secret/plain", "data.more", "\"\""),
    ("Secret/plain", "immutable", "\"true\""),
    ("Secret/registry", "stringData", "-"),
    ("Secret/basic", "stringData", "{user: admin}"),
    ("Secret/basic", "stringData", "{password: admin}"),
    ("Secret/ssh", "data", "{ssh-privatekey: \"\"}"),
    ("Secret/ssh", "data", "{other: YQ==}"),
    ("EndpointSlice/web-abc", "addressType", "-"),
    ("EndpointSlice/web-abc", "addressType", "IPv6"),
    ("EndpointSlice/web-abc", "addressType", "FQDN"),
    ("EndpointSlice/web-abc", "ports[1].name", "http"),
    ("EndpointSlice/web-abc", "ports[1].port", "8080"),
    ("EndpointSlice/web-abc", "ports[1].port", "-"),
    ("EndpointSlice/web-abc", "ports[0].port", "70000"),
    ("EndpointSlice/web-abc", "endpoints", "[]"),
    ("EndpointSlice/web-abc", "endpoints", "-"),
    ("EndpointSlice/web-abc", "endpoints[0].addresses", "[]"),
    (
        "EndpointSlice/web-abc",
        "endpoints[0].addresses",
        "[10.0.0.1, 10.0.0.2]",
    ),
    (
        "EndpointSlice/web-abc",
        "endpoints[0].addresses",
        "[10.0.0.1, 10.0.0.1]",
    ),
    (
        "EndpointSlice/web-abc",
        "endpoints[0].hints.forZones",
        "[{name: a}, {name: a}]",
    ),
    (
        "EndpointSlice/web-abc",
        "endpoints[0].hints.forNodes",
        "[{name: a}, {name: a}]",
    ),
    (
        "EndpointSlice/web-abc",
        "endpoints[0].deprecatedTopology",
        "{topology.kubernetes.io/zone: a}",
    ),
    (
        "EndpointSlice/web-abc",
        "endpoints[0].deprecatedTopology",
        "{a: b}",
    ),
    ("EndpointSlice/web-v6", "ports", "[{}, {}]"),
    ("EndpointSlice/web-names", "endpoints[0].addresses", "[web]"),
    (
        "EndpointSlice/web-names",
        "endpoints[0].addresses",
        "[\"\"]",
    ),
    ("Endpoints/outside", "subsets[0].addresses", "[]"),
    ("Endpoints/outside", "subsets[0]", "{ports: [{port: 80}]}"),
    ("Endpoints/outside", "subsets[0].ports[1].name", "-"),
    ("Endpoints/outside", "subsets[0].ports[1].name", "http"),
    (
        "Endpoints/outside",
        "subsets[0].addresses[0].nodeName",
        "\"\"",
    ),
    ("Namespace/shop", "spec", "{finalizers: [kubernetes]}"),
    ("Namespace/shop", "spec", "{finalizers: [mine]}"),
    ("Namespace/shop", "metadata.namespace", "default"),
    (
        "Node/ip-10-0-1-5.ec2.internal",
        "spec.taints",
        "[{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]",
    ),
    (
        "Node/ip-10-0-1-5.ec2.internal",
        "spec.taints",
        "[{key: a, effect: NoSchedule}, {key: a, effect: NoExecute}]",
    ),
    (
        "Node/ip-10-0-1-5.ec2.internal",
        "spec.taints",
        "[{effect: NoSchedule}]",
    ),
    ("Node/ip-10-0-1-5.ec2.internal", "spec.taints", "[{key: a}]"),
    (
        "Node/ip-10-0-1-5.ec2.internal",
        "spec.podCIDRs",
        "[10.244.1.0/24, 10.244.2.0/24]",
    ),
    (
        "Node/ip-10-0-1-5.ec2.internal",
        "spec.podCIDRs",
        "[10.244.1.0/24, \"2001:db8::/64\"]",
    ),
    ("Pod/web-0", "spec.containers", "[]"),
    ("Pod/web-0", "spec", "-"),
    ("Pod/web-0", "spec.containers[0].ports[1].name", "http"),
    (
        "Pod/web-0",
        "spec.containers[0].ports[1].containerPort",
        "8080",
    ),
    (
        "Pod/web-0",
        "spec.containers[0].readinessProbe.tcpSocket",
        "{port: 80}",
    ),
    (
        "Pod/web-0",
        "spec.containers[0].readinessProbe.terminationGracePeriodSeconds",
        "5",
    ),
    (
        "Pod/web-0",
        "spec.containers[0].readinessProbe.httpGet",
        "-",
    ),
    (
        "Pod/web-0",
        "spec.containers[0].readinessProbe.httpGet.port",
        "-",
    ),
    ("Pod/web-0", "spec.containers[0].image", "-"),
    ("Pod/web-0", "spec.containers[1]", "{name: web, image: a}"),
    ("Pod/web-0", "spec.containers[1]", "{name: other, image: a}"),
    ("Pod/web-0", "spec.readinessGates", "[{}]"),
    ("IngressClassParams/alb", "spec.subnets", "{}"),
    (
        "IngressClassParams/alb",
        "spec.subnets.tags",
        "{tier: [public]}",
    ),
    ("IngressClassParams/alb", "spec.subnets.ids", "[]"),
    ("IngressClassParams/alb", "spec.group", "{}"),
    ("IngressClassParams/alb", "spec.tags[0]", "{key: team}"),
    (
        "IngressClassParams/alb",
        "spec.minimumLoadBalancerCapacity",
        "{}",
    ),
    ("IngressClassParams/alb", "spec", "-"),
    ("IngressClassParams/alb", "spec", "{}"),
    (
        "IngressClassParams/alb",
        "spec.namespaceSelector.matchExpressions[0].operator",
        "-",
    ),
    (
        "IngressClassParams/tagged",
        "spec.PrefixListsIDs",
        "[pl-22222222]",
    ),
    ("IngressClassParams/tagged", "spec.subnets", "null"),
    ("TargetGroupBinding/web", "spec.targetGroupARN", "-"),
    ("TargetGroupBinding/web", "spec.targetGroupARN", "\"\""),
    ("TargetGroupBinding/web", "spec.targetGroupName", "web"),
    ("TargetGroupBinding/web", "spec.targetType", "-"),
    ("TargetGroupBinding/web", "spec.serviceRef", "-"),
    ("TargetGroupBinding/web", "spec.serviceRef.port", "-"),
    ("TargetGroupBinding/web", "spec.serviceRef.port", "true"),
    ("TargetGroupBinding/web", "spec", "-"),
    (
        "TargetGroupBinding/web",
        "spec.networking.ingress[0].from",
        "-",
    ),
    (
        "TargetGroupBinding/web",
        "spec.networking.ingress[0].ports[0].protocol",
        "HTTP",
    ),
    (
        "TargetGroupBinding/web",
        "status",
        "{observedGeneration: one}",
    ),
    ("TargetGroupBinding/named", "spec.targetGroupName", "-"),
    ("Tenant/store", "spec.pools", "[]"),
    ("Tenant/store", "spec.pools", "-"),
    ("Tenant/store", "spec", "-"),
    ("Tenant/store", "spec.pools[0].servers", "-"),
    ("Tenant/store", "spec.pools[0].volumeClaimTemplate", "-"),
    ("Tenant/store", "spec.exposeServices.minio", "\"true\""),
    (
        "Tenant/store",
        "spec.externalCertSecret",
        "[{type: kubernetes.io/tls}]",
    ),
];

/// The combinations of a manifest.
pub(crate) fn of(original: &Tree) -> Vec<(String, Tree)> {
    let text = |tree: Option<&Tree>| tree.and_then(Tree::text).unwrap_or_default().to_owned();
    let name = original
        .get("metadata")
        .and_then(|metadata| metadata.get("name"));
    let object = format!("{}/{}", text(original.get("kind")), text(name));
    let of_object = TABLE.iter().filter(|(of, ..)| *of == object);
    of_object
        .map(|(_, path, value)| {
            let mut tree = original.clone();
            if *value == "-" {
                assert!(
                    tree.remove(&steps(path)).is_some(),
                    "{object} has no {path}"
                );
            } else {
                let value = Tree::read(&format!("value: {value}")).swap_remove(0);
                tree.set(&steps(path), value.get("value").unwrap().clone());
            }
            (format!("{path} = {value}"), tree)
        })
        .collect()
}

fn steps(path: &str) -> Path {
    let mut steps = Path::new();
    for part in path.split('.') {
        let (name, items) = part.split_once('[').unwrap_or((part, ""));
        steps.push(Step::Field(name.to_owned()));
        for item in items.split('[').filter(|item| !item.is_empty()) {
            steps.push(Step::Item(item.trim_end_matches(']').parse().unwrap()));
        }
    }
    steps
}
