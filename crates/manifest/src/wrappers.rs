//! Kinds that stand for load balancers which elbow does not see: some other program renders or makes them.

/// What a kind is about, for the note that it is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrapper {
    /// The code of the note.
    pub(crate) code: &'static str,
    /// What follows the name of the kind.
    pub(crate) message: &'static str,
    /// What to do.
    pub(crate) hint: &'static str,
}

const RENDERED: &str = "renders manifests elsewhere";
const RENDER: &str = "render them and give the result to elbow";

const fn rendered(hint: &'static str) -> Wrapper {
    Wrapper {
        code: "rendered-elsewhere",
        message: RENDERED,
        hint,
    }
}

const ARGO: Wrapper = rendered(
    "render them and give the result to elbow: argocd app manifests NAME | elbow check -f -",
);
const FLUX_HELM: Wrapper = rendered(
    "render them and give the result to elbow: helm template, or kubectl get the objects that Flux made",
);
const FLUX: Wrapper = rendered(
    "render them and give the result to elbow: flux build kustomization NAME --path DIR | elbow check -f -",
);
const HELM: Wrapper =
    rendered("render them and give the result to elbow: elbow check --helm CHART");
const OTHER: Wrapper = rendered(RENDER);

/// Kinds whose controllers make AWS load balancers through AWS's API, not from Services or Ingresses.
const ACCOUNT: Wrapper = Wrapper {
    code: "made-elsewhere",
    message: "describes resources of an AWS account that another controller makes",
    hint: "describe the load balancer as a Service, an Ingress or in elbow's own file to serve it",
};

const GATEWAY: Wrapper = Wrapper {
    code: "not-supported",
    message: "belongs to the Gateway API, which elbow does not serve yet",
    hint: "use an Ingress or a Service of type LoadBalancer",
};

const ROUTES: Wrapper = Wrapper {
    code: "other-proxy",
    message: "configures another proxy: its routes and restrictions are not served",
    hint: "elbow serves the load balancer in front of that proxy, if its Service has one",
};

/// Groups, each with the kinds of it; no kinds: all of them.
const WRAPPERS: &[(&str, &[&str], Wrapper)] = &[
    (
        "argoproj.io",
        &["Application", "ApplicationSet", "AppProject"],
        ARGO,
    ),
    ("helm.toolkit.fluxcd.io", &["HelmRelease"], FLUX_HELM),
    ("helm.fluxcd.io", &["HelmRelease"], FLUX_HELM),
    ("kustomize.toolkit.fluxcd.io", &["Kustomization"], FLUX),
    ("helm.cattle.io", &["HelmChart", "HelmChartConfig"], HELM),
    ("helm.crossplane.io", &["Release"], HELM),
    ("kubernetes.crossplane.io", &["Object"], OTHER),
    ("fleet.cattle.io", &["Bundle", "GitRepo"], OTHER),
    (
        "apps.open-cluster-management.io",
        &["Subscription", "Channel"],
        OTHER,
    ),
    ("work.open-cluster-management.io", &["ManifestWork"], OTHER),
    (
        "addons.cluster.x-k8s.io",
        &["ClusterResourceSet", "HelmChartProxy"],
        OTHER,
    ),
    ("template.openshift.io", &["Template"], OTHER),
    ("kro.run", &[], OTHER),
    ("elbv2.services.k8s.aws", &[], ACCOUNT),
    ("elbv2.aws.upbound.io", &[], ACCOUNT),
    ("elbv2.aws.crossplane.io", &[], ACCOUNT),
    ("elb.aws.upbound.io", &[], ACCOUNT),
    ("elb.aws.crossplane.io", &[], ACCOUNT),
    ("elasticloadbalancing.aws.crossplane.io", &[], ACCOUNT),
    ("infra.contrib.fluxcd.io", &["Terraform"], ACCOUNT),
    ("app.terraform.io", &[], ACCOUNT),
    ("gateway.networking.k8s.io", &[], GATEWAY),
    ("gateway.networking.x-k8s.io", &[], GATEWAY),
    ("gateway.k8s.aws", &[], GATEWAY),
    (
        "networking.istio.io",
        &["Gateway", "VirtualService"],
        ROUTES,
    ),
    ("traefik.io", &[], ROUTES),
    ("traefik.containo.us", &[], ROUTES),
    ("k8s.nginx.org", &[], ROUTES),
    ("projectcontour.io", &["HTTPProxy"], ROUTES),
    (
        "getambassador.io",
        &["Host", "Listener", "Mapping", "TCPMapping"],
        ROUTES,
    ),
    ("configuration.konghq.com", &[], ROUTES),
    ("route.openshift.io", &["Route"], ROUTES),
    ("serving.knative.dev", &["Service"], ROUTES),
];

/// What is known about a kind that is not read.
pub(crate) fn find(group: &str, kind: &str) -> Option<Wrapper> {
    let mut wrappers = WRAPPERS.iter();
    let of_kind = |(of, kinds, _): &&(&str, &[&str], Wrapper)| {
        *of == group && (kinds.is_empty() || kinds.contains(&kind))
    };
    wrappers.find(of_kind).map(|(_, _, wrapper)| *wrapper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_one_name_are_told_apart_by_their_group() {
        let code = |group, kind| find(group, kind).map(|one| one.code);
        assert_eq!(
            code("argoproj.io", "Application"),
            Some("rendered-elsewhere")
        );
        assert_eq!(code("argoproj.io", "Workflow"), None);
        assert_eq!(code("app.k8s.io", "Application"), None);
        assert_eq!(
            code("kustomize.toolkit.fluxcd.io", "Kustomization"),
            Some("rendered-elsewhere")
        );
        assert_eq!(
            code("elbv2.services.k8s.aws", "LoadBalancer"),
            Some("made-elsewhere")
        );
        assert_eq!(
            code("gateway.networking.k8s.io", "HTTPRoute"),
            Some("not-supported")
        );
        assert_eq!(code("networking.istio.io", "Gateway"), Some("other-proxy"));
        assert_eq!(code("networking.istio.io", "Sidecar"), None);
    }
}
