//! Manifests with faults.

/// A kind, what a good manifest of it has besides, and the faults: `field code`.
pub(super) const EXAMPLES: &[(&str, &str, &[&str])] = &[
    // Every object.
    (
        "v1 Service",
        "metadata: {name: Web}, spec: {ports: [{port: 80}]}",
        &["metadata.name invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, generateName: -x-}, spec: {ports: [{port: 80}]}",
        &["metadata.generateName invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, namespace: a.b}, spec: {ports: [{port: 80}]}",
        &["metadata.namespace invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, generation: -1}, spec: {ports: [{port: 80}]}",
        &["metadata.generation invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, labels: {a/b/c: d, e: f g}}, spec: {ports: [{port: 80}]}",
        &[
            "metadata.labels invalid-value",
            "metadata.labels invalid-value",
        ],
    ),
    (
        "v1 Service",
        "metadata: {name: a, annotations: {a b: c, A/B: c}}, spec: {ports: [{port: 80}]}",
        &["metadata.annotations invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, ownerReferences: [{apiVersion: v1, kind: A, name: b}]}, spec: {ports: [{port: 80}]}",
        &["metadata.ownerReferences[0].uid missing-field"],
    ),
    (
        "minio.min.io/v2 Tenant",
        "metadata: {name: a, finalizers: [a b, orphan, foregroundDeletion]}",
        &[
            "metadata.finalizers invalid-value",
            "metadata.finalizers[0] invalid-value",
        ],
    ),
    (
        "minio.min.io/v2 Tenant",
        "metadata: {name: a_b}",
        &["metadata.name invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, finalizers: [mine]}, spec: {ports: [{port: 80}]}",
        &["metadata.finalizers[0] invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, managedFields: [{manager: b}]}, spec: {ports: [{port: 80}]}",
        &["metadata.managedFields[0].operation invalid-value"],
    ),
    // Services.
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: loadbalancer, ports: [{port: 80}]}",
        &["spec.type unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {}",
        &["spec.ports missing-field"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {clusterIP: None}",
        &[],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: LoadBalancer, clusterIP: None, ports: [{port: 80}]}",
        &["spec.clusterIPs[0] invalid-combination"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: ExternalName}",
        &["spec.externalName missing-field"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, name: b}, {port: 81, name: b}, {port: 82}]}",
        &[
            "spec.ports[1].name duplicate-value",
            "spec.ports[2].name missing-field",
        ],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 0}]}",
        &["spec.ports[0].port invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, protocol: tcp}]}",
        &["spec.ports[0].protocol unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, targetPort: a_b}]}",
        &["spec.ports[0].targetPort invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, targetPort: 65536}]}",
        &["spec.ports[0].targetPort invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, appProtocol: a b}]}",
        &["spec.ports[0].appProtocol invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, name: A}]}",
        &["spec.ports[0].name invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, name: b}, {port: 80, name: c}, {port: 80, name: d, protocol: UDP}]}",
        &["spec.ports[1] duplicate-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ports: [{port: 80, nodePort: 30000}]}",
        &["spec.ports[0].nodePort forbidden-field"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}",
        &["spec.ports[0].nodePort invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: NodePort, ports: [{name: a, port: 53, nodePort: 30053}, {name: b, port: 53, protocol: UDP, nodePort: 30053}]}",
        &[],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: NodePort, ports: [{name: a, port: 53, nodePort: 30053}, {name: b, port: 54, protocol: UDP, nodePort: 30053}]}",
        &["spec.ports[1].nodePort invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {selector: {a: -b}, ports: [{port: 80}]}",
        &["spec.selector invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {sessionAffinity: Cookie, ports: [{port: 80}]}",
        &["spec.sessionAffinity unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}, ports: [{port: 80}]}",
        &["spec.sessionAffinityConfig.clientIP.timeoutSeconds invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv5, IPv4], ports: [{port: 80}]}",
        &[
            "spec.ipFamilies[1] unknown-value",
            "spec.ipFamilies[2] duplicate-value",
        ],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ipFamilyPolicy: Dual, ports: [{port: 80}]}",
        &["spec.ipFamilyPolicy unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {ipFamilies: [IPv4, IPv6], ports: [{port: 80}]}",
        &["spec.ipFamilyPolicy invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {clusterIPs: [10.0.0.1], ports: [{port: 80}]}",
        &["spec.clusterIPs invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {clusterIP: 010.0.0.1, ports: [{port: 80}]}",
        &["spec.clusterIPs[0] invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {externalIPs: [127.0.0.1], ports: [{port: 80}]}",
        &["spec.externalIPs[0] invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1/8, 10.0.0.0/8], ports: [{port: 80}]}",
        &["spec.loadBalancerSourceRanges[0] invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {loadBalancerClass: a/b, ports: [{port: 80}]}",
        &["spec.loadBalancerClass forbidden-field"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: LoadBalancer, loadBalancerClass: a b, ports: [{port: 80}]}",
        &["spec.loadBalancerClass invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {externalTrafficPolicy: Local, ports: [{port: 80}]}",
        &["spec.externalTrafficPolicy invalid-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {type: NodePort, externalTrafficPolicy: local, ports: [{port: 80}]}",
        &["spec.externalTrafficPolicy unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {internalTrafficPolicy: Global, ports: [{port: 80}]}",
        &["spec.internalTrafficPolicy unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a}, spec: {trafficDistribution: Near, ports: [{port: 80}]}",
        &["spec.trafficDistribution unknown-value"],
    ),
    (
        "v1 Service",
        "metadata: {name: a, annotations: {service.kubernetes.io/topology-mode: Auto, service.kubernetes.io/topology-aware-hints: auto}}, spec: {ports: [{port: 80}]}",
        &["metadata.annotations[service.kubernetes.io/topology-mode] invalid-value"],
    ),
    // Ingresses and their classes.
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}",
        &["spec missing-field"],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a, annotations: {kubernetes.io/ingress.class: b}}, spec: {ingressClassName: c, rules: [{}]}",
        &["metadata.annotations[kubernetes.io/ingress.class] invalid-value"],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}, spec: {ingressClassName: A, rules: [{}]}",
        &["spec.ingressClassName invalid-value"],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}, spec: {defaultBackend: {}}",
        &["spec.defaultBackend missing-field"],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}, spec: {rules: [{host: 10.0.0.1}, {host: a.*.b}, {host: \"*.a\"}]}",
        &[
            "spec.rules[0].host invalid-value",
            "spec.rules[1].host invalid-value",
        ],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}, spec: {rules: [{http: {}}]}",
        &["spec.rules[0].http.paths missing-field"],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}, spec: {rules: [{http: {paths: [{path: a//b, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}}]}",
        &[
            "spec.rules[0].http.paths[0].path invalid-value",
            "spec.rules[0].http.paths[0].path invalid-value",
        ],
    ),
    (
        "networking.k8s.io/v1 Ingress",
        "metadata: {name: a}, spec: {rules: [{}], tls: [{hosts: [a_b], secretName: A}]}",
        &[
            "spec.tls[0].hosts[0] invalid-value",
            "spec.tls[0].secretName invalid-value",
        ],
    ),
    (
        "networking.k8s.io/v1 IngressClass",
        "metadata: {name: a}",
        &["spec.controller missing-field"],
    ),
    (
        "networking.k8s.io/v1 IngressClass",
        "metadata: {name: a}, spec: {controller: alb}",
        &["spec.controller invalid-value"],
    ),
    (
        "networking.k8s.io/v1 IngressClass",
        "metadata: {name: a}, spec: {controller: a.b/c, parameters: {apiGroup: A, kind: b/c, name: d%e, scope: Namespace}}",
        &[
            "spec.parameters.namespace missing-field",
            "spec.parameters.apiGroup invalid-value",
            "spec.parameters.kind invalid-value",
            "spec.parameters.name invalid-value",
        ],
    ),
    (
        "networking.k8s.io/v1 IngressClass",
        "metadata: {name: a}, spec: {controller: a.b/c, parameters: {kind: b}}",
        &["spec.parameters.name missing-field"],
    ),
    // Secrets.
    (
        "v1 Secret",
        "metadata: {name: a}, data: {a/b: YQ==}",
        &["data[a/b] invalid-value"],
    ),
    (
        "v1 Secret",
        "metadata: {name: a}, type: kubernetes.io/tls, stringData: {tls.crt: a}",
        &["data[tls.key] missing-field"],
    ),
    // Endpoints.
    (
        "discovery.k8s.io/v1 EndpointSlice",
        "metadata: {name: a}, endpoints: []",
        &["addressType missing-field"],
    ),
    (
        "discovery.k8s.io/v1 EndpointSlice",
        "metadata: {name: a}, addressType: IPv4, endpoints: [], ports: [{name: A, protocol: tcp, appProtocol: a b}, {name: A}]",
        &[
            "ports[0].name invalid-value",
            "ports[0].protocol unknown-value",
            "ports[0].appProtocol invalid-value",
            "ports[1].name duplicate-value",
            "ports[1].name invalid-value",
        ],
    ),
    (
        "discovery.k8s.io/v1 EndpointSlice",
        "metadata: {name: a}, addressType: IPv4, endpoints: [{addresses: [\"fe80::1\"], nodeName: A, hostname: A, deprecatedTopology: {a: \"-\"}}]",
        &[
            "endpoints[0].addresses invalid-value",
            "endpoints[0].addresses[0] invalid-value",
            "endpoints[0].nodeName invalid-value",
            "endpoints[0].hostname invalid-value",
            "endpoints[0].deprecatedTopology invalid-value",
        ],
    ),
    (
        "discovery.k8s.io/v1 EndpointSlice",
        "metadata: {name: a}, addressType: FQDN, endpoints: [{addresses: [a_], hints: {forZones: [{name: a b}, {name: a b}], forNodes: [{}, {}]}}]",
        &[
            "endpoints[0].addresses[0] invalid-value",
            "endpoints[0].hints.forZones[0].name invalid-value",
            "endpoints[0].hints.forZones[1].name duplicate-value",
            "endpoints[0].hints.forZones[1].name invalid-value",
            "endpoints[0].hints.forNodes[0].name invalid-value",
            "endpoints[0].hints.forNodes[1].name duplicate-value",
            "endpoints[0].hints.forNodes[1].name invalid-value",
        ],
    ),
    (
        "v1 Endpoints",
        "metadata: {name: a}, subsets: [{ports: [{port: 80}]}]",
        &["subsets[0] missing-field"],
    ),
    (
        "v1 Endpoints",
        "metadata: {name: a}, subsets: [{addresses: [{ip: 0.0.0.0, hostname: A, nodeName: A}], notReadyAddresses: [{ip: x, hostname: A, nodeName: A}]}]",
        &[
            "subsets[0].addresses[0].ip invalid-value",
            "subsets[0].addresses[0].hostname invalid-value",
            "subsets[0].addresses[0].nodeName invalid-value",
            "subsets[0].notReadyAddresses[0].ip invalid-value",
            "subsets[0].notReadyAddresses[0].hostname invalid-value",
            "subsets[0].notReadyAddresses[0].nodeName invalid-value",
        ],
    ),
    (
        "v1 Endpoints",
        "metadata: {name: a}, subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 0, protocol: a, appProtocol: a b}, {port: 1, name: A}]}]",
        &[
            "subsets[0].ports[0].name missing-field",
            "subsets[0].ports[0].port invalid-value",
            "subsets[0].ports[0].protocol unknown-value",
            "subsets[0].ports[0].appProtocol invalid-value",
            "subsets[0].ports[1].name invalid-value",
        ],
    ),
    // Namespaces, Nodes, Pods.
    (
        "v1 Namespace",
        "metadata: {name: a.b, finalizers: [a]}, spec: {finalizers: [b]}",
        &[
            "metadata.name invalid-value",
            "metadata.finalizers[0] invalid-value",
            "spec.finalizers[0] invalid-value",
        ],
    ),
    (
        "v1 Node",
        "metadata: {name: A, finalizers: [a]}, spec: {taints: [{key: a b, effect: x}], podCIDRs: [10.0.0.0]}",
        &[
            "metadata.name invalid-value",
            "metadata.finalizers[0] invalid-value",
            "spec.taints[0].key invalid-value",
            "spec.taints[0].effect unknown-value",
            "spec.podCIDRs[0] invalid-value",
        ],
    ),
    (
        "v1 Pod",
        "metadata: {name: A, finalizers: [a]}",
        &[
            "spec.containers missing-field",
            "metadata.name invalid-value",
            "metadata.finalizers[0] invalid-value",
        ],
    ),
    (
        "v1 Pod",
        "metadata: {name: a}, spec: {restartPolicy: a, nodeSelector: {a: \"-\"}, readinessGates: [{}], serviceAccountName: A, nodeName: A, hostname: A, subdomain: A, containers: [{name: A, image: a, imagePullPolicy: a}]}",
        &[
            "spec.restartPolicy unknown-value",
            "spec.nodeSelector invalid-value",
            "spec.readinessGates[0].conditionType invalid-value",
            "spec.serviceAccountName invalid-value",
            "spec.nodeName invalid-value",
            "spec.hostname invalid-value",
            "spec.subdomain invalid-value",
            "spec.containers[0].name invalid-value",
            "spec.containers[0].imagePullPolicy unknown-value",
        ],
    ),
    (
        "v1 Pod",
        "metadata: {name: a}, spec: {containers: [{name: a, ports: [{containerPort: 0, hostPort: -1, protocol: a}], readinessProbe: {httpGet: {port: 80, httpHeaders: [{name: a b}]}, timeoutSeconds: -1}, livenessProbe: {}, startupProbe: {tcpSocket: {}}}]}",
        &[
            "spec.containers[0].image missing-field",
            "spec.containers[0].ports[0].containerPort missing-field",
            "spec.containers[0].ports[0].hostPort invalid-value",
            "spec.containers[0].ports[0].protocol unknown-value",
            "spec.containers[0].readinessProbe.httpGet.httpHeaders[0].name invalid-value",
            "spec.containers[0].readinessProbe.timeoutSeconds invalid-value",
            "spec.containers[0].livenessProbe missing-field",
            "spec.containers[0].startupProbe.tcpSocket.port invalid-value",
        ],
    ),
    // Custom resources.
    (
        "elbv2.k8s.aws/v1beta1 IngressClassParams",
        "metadata: {name: A}, spec: {prefixListsIDs: [], PrefixListsIDs: [], subnets: {}, inboundCIDRs: [10.0.0.1/8]}",
        &[
            "metadata.name invalid-value",
            "spec invalid-value",
            "spec.subnets invalid-value",
            "spec.inboundCIDRs[0] refused-by-webhook",
        ],
    ),
    (
        "elbv2.k8s.aws/v1beta1 IngressClassParams",
        "metadata: {name: a}, spec: {subnets: {ids: [a, a]}}",
        &["spec.subnets.ids[1] refused-by-webhook"],
    ),
    (
        "elbv2.k8s.aws/v1beta1 IngressClassParams",
        "metadata: {name: a}, spec: {subnets: {tags: {k: [a, a]}}}",
        &["spec.subnets.tags[k][1] refused-by-webhook"],
    ),
    (
        "elbv2.k8s.aws/v1beta1 TargetGroupBinding",
        "metadata: {name: A}, spec: {targetType: ip, nodeSelector: {}, vpcID: vpc-1}",
        &[
            "metadata.name invalid-value",
            "spec invalid-value",
            "spec.nodeSelector refused-by-webhook",
            "spec.vpcID refused-by-webhook",
        ],
    ),
    (
        "elbv2.k8s.aws/v1beta1 TargetGroupBinding",
        "metadata: {name: a}, spec: {targetGroupName: a, targetType: instance, iamRoleArnToAssume: arn}",
        &["spec.iamRoleArnToAssume refused-by-webhook"],
    ),
];

/// Kinds whose names are DNS subdomains and whose finalizers are Kubernetes' own or qualified.
pub(super) const NAMED: &[&str] = &[
    "v1 Secret",
    "v1 Endpoints",
    "discovery.k8s.io/v1 EndpointSlice",
    "networking.k8s.io/v1 Ingress",
    "networking.k8s.io/v1 IngressClass",
    "eks.amazonaws.com/v1 IngressClassParams",
    "eks.amazonaws.com/v1 TargetGroupBinding",
];

/// A wrong name, and a finalizer that only custom resources may have.
pub(super) const NAMED_WRONGLY: &str = "metadata: {name: A_b, finalizers: [mine]}";
