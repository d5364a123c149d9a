//! The watched kinds.

use elbow_manifest::cluster::Identity;
use serde_json::{Map, Value};

use super::trim;

/// A watched kind.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) name: &'static str,
    /// As in paths.
    pub(crate) plural: &'static str,
    /// Whether its objects are in namespaces.
    pub(crate) namespaced: bool,
    /// Whether a cluster may lack the kind because it comes with a CRD.
    pub(crate) optional: bool,
    /// Whether it is a kind of EKS Auto Mode. Its objects are AWS's unless elbow takes the place of its controllers.
    auto_mode: bool,
    /// The field selector for the objects that matter.
    pub(crate) selector: Option<&'static str>,
    /// Removes the fields that elbow does not read.
    pub(super) trim: fn(&mut Map<String, Value>),
    /// What does not work without permission to read the kind.
    pub(crate) without: &'static str,
}

/// Defaults: a kind of the core group.
const CORE: Kind = Kind {
    group: "",
    version: "v1",
    name: "",
    plural: "",
    namespaced: true,
    optional: false,
    auto_mode: false,
    selector: None,
    trim: trim::nothing,
    without: "",
};

/// All watched kinds.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "Service",
        plural: "services",
        trim: trim::service,
        without: "no Service has a load balancer, and no Ingress a backend",
        ..CORE
    },
    Kind {
        group: "networking.k8s.io",
        name: "Ingress",
        plural: "ingresses",
        trim: trim::ingress,
        without: "no Ingress has a load balancer",
        ..CORE
    },
    Kind {
        group: "networking.k8s.io",
        name: "IngressClass",
        plural: "ingressclasses",
        namespaced: false,
        without: "an Ingress is owned only by its annotation kubernetes.io/ingress.class",
        ..CORE
    },
    Kind {
        group: "discovery.k8s.io",
        name: "EndpointSlice",
        plural: "endpointslices",
        trim: trim::slice,
        without: "target groups of pods are empty",
        ..CORE
    },
    Kind {
        name: "Node",
        plural: "nodes",
        namespaced: false,
        trim: trim::node,
        without: "target groups of instances are empty",
        ..CORE
    },
    Kind {
        name: "Namespace",
        plural: "namespaces",
        namespaced: false,
        trim: trim::namespace,
        without: "a namespaceSelector of IngressClassParams selects nothing",
        ..CORE
    },
    Kind {
        name: "Pod",
        plural: "pods",
        selector: Some("status.phase!=Succeeded,status.phase!=Failed"),
        trim: trim::pod,
        without: "readiness gates are not updated, and pods have no QUIC server IDs",
        ..CORE
    },
    Kind {
        name: "Secret",
        plural: "secrets",
        selector: Some("type=kubernetes.io/tls"),
        trim: trim::secret,
        without: "self-signed certificates stand in for those of Secrets",
        ..CORE
    },
    Kind {
        group: "elbv2.k8s.aws",
        version: "v1beta1",
        name: "IngressClassParams",
        plural: "ingressclassparams",
        namespaced: false,
        optional: true,
        without: "an IngressClass with parameters is refused",
        ..CORE
    },
    Kind {
        group: "elbv2.k8s.aws",
        version: "v1beta1",
        name: "TargetGroupBinding",
        plural: "targetgroupbindings",
        optional: true,
        without: "TargetGroupBindings are not served",
        ..CORE
    },
    Kind {
        group: "eks.amazonaws.com",
        version: "v1",
        name: "IngressClassParams",
        plural: "ingressclassparams",
        namespaced: false,
        optional: true,
        auto_mode: true,
        without: "an IngressClass of EKS Auto Mode with parameters is refused",
        ..CORE
    },
    Kind {
        group: "eks.amazonaws.com",
        version: "v1",
        name: "TargetGroupBinding",
        plural: "targetgroupbindings",
        optional: true,
        auto_mode: true,
        without: "TargetGroupBindings of EKS Auto Mode are not served",
        ..CORE
    },
    Kind {
        group: "minio.min.io",
        version: "v2",
        name: "Tenant",
        plural: "tenants",
        optional: true,
        without: "MinIO Tenants are not expanded",
        ..CORE
    },
];

impl Kind {
    /// Whether elbow reads the kind; `auto_mode` says whether it takes the place of EKS Auto Mode's controllers.
    pub(crate) fn is_watched(&self, auto_mode: bool) -> bool {
        auto_mode || !self.auto_mode
    }

    /// `v1`, `networking.k8s.io/v1`.
    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The path to list objects: those of `namespace` if given and if the kind has namespaces.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = match self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// The identity of the object of this kind at `key`.
    pub(crate) fn identity(&self, (namespace, name): (String, String)) -> Identity {
        Identity {
            group: self.group.to_owned(),
            kind: self.name.to_owned(),
            namespace,
            name,
        }
    }

    /// The resource as in a Role: `ingresses.networking.k8s.io`.
    pub(crate) fn resource(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_restricts_only_namespaced_kinds() {
        let path = |name: &str, namespace| {
            let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
            kind.path(namespace)
        };
        assert_eq!(path("Service", None), "/api/v1/services");
        assert_eq!(
            path("Ingress", Some("a")),
            "/apis/networking.k8s.io/v1/namespaces/a/ingresses"
        );
        assert_eq!(path("Node", Some("a")), "/api/v1/nodes");
    }
}
