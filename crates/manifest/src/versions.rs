//! The API versions of the kinds that are read, and what to write instead of old ones.

use elbow_model::diagnostic::Diagnostic;
use elbow_yaml::{Node, Value};

use crate::object::Object;

/// The versions that a cluster serves of a kind.
struct Kind {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    old: &'static [Old],
}

/// A version that no cluster serves any more.
struct Old {
    /// `group/version`.
    name: &'static str,
    /// Since when, for a person.
    gone: &'static str,
    /// Fields of it, each with what replaces it.
    changes: &'static [Change],
}

/// A field, and what to write instead of it. The field is a path in which `[]` stands for each item. The change applies
/// if the field is there, or, for a field that is new, if what holds it is there and the field is not.
struct Change {
    field: &'static str,
    is_new: bool,
    instead: &'static str,
}

const fn renamed(field: &'static str, instead: &'static str) -> Change {
    Change {
        field,
        is_new: false,
        instead,
    }
}

const fn required(field: &'static str, instead: &'static str) -> Change {
    Change {
        field,
        is_new: true,
        instead,
    }
}

/// Source: Kubernetes' deprecation guide (Ingress v1, EndpointSlice v1).
const INGRESS: &[Change] = &[
    renamed(
        "spec.backend",
        "spec.defaultBackend instead of spec.backend",
    ),
    renamed(
        "spec.backend.serviceName",
        "defaultBackend.service.name instead of backend.serviceName",
    ),
    renamed(
        "spec.backend.servicePort",
        "defaultBackend.service.port.number (or .name) instead of backend.servicePort",
    ),
    renamed(
        "spec.rules[].http.paths[].backend.serviceName",
        "backend.service.name instead of backend.serviceName",
    ),
    renamed(
        "spec.rules[].http.paths[].backend.servicePort",
        "backend.service.port.number (or .name, also for use-annotation) instead of backend.servicePort",
    ),
    required(
        "spec.rules[].http.paths[].pathType",
        "a pathType for each path (ImplementationSpecific reads a path as before)",
    ),
];

const SLICE: &[Change] = &[renamed(
    "endpoints[].topology",
    "endpoints[].nodeName and endpoints[].zone instead of endpoints[].topology",
)];

/// Source: the Tenant CRD v2 of MinIO's operator.
const TENANT: &[Change] = &[
    renamed("spec.zones", "spec.pools instead of spec.zones"),
    renamed(
        "spec.credsSecret",
        "spec.configuration.name, a Secret with config.env, instead of spec.credsSecret",
    ),
    renamed(
        "spec.metadata",
        "labels and annotations of each of spec.pools instead of spec.metadata",
    ),
    renamed(
        "spec.console",
        "nothing instead of spec.console: MinIO contains the console",
    ),
    required("spec.pools[].name", "a name for each of spec.pools"),
];

const KINDS: &[Kind] = &[
    Kind {
        name: "Ingress",
        group: "networking.k8s.io",
        version: "networking.k8s.io/v1",
        old: &[
            Old {
                name: "extensions/v1beta1",
                gone: "since Kubernetes 1.22",
                changes: INGRESS,
            },
            Old {
                name: "networking.k8s.io/v1beta1",
                gone: "since Kubernetes 1.22",
                changes: INGRESS,
            },
        ],
    },
    Kind {
        name: "IngressClass",
        group: "networking.k8s.io",
        version: "networking.k8s.io/v1",
        old: &[Old {
            name: "networking.k8s.io/v1beta1",
            gone: "since Kubernetes 1.22",
            changes: &[],
        }],
    },
    Kind {
        name: "EndpointSlice",
        group: "discovery.k8s.io",
        version: "discovery.k8s.io/v1",
        old: &[
            Old {
                name: "discovery.k8s.io/v1beta1",
                gone: "since Kubernetes 1.25",
                changes: SLICE,
            },
            Old {
                name: "discovery.k8s.io/v1alpha1",
                gone: "since Kubernetes 1.21",
                changes: SLICE,
            },
        ],
    },
    Kind {
        name: "TargetGroupBinding",
        group: "elbv2.k8s.aws",
        version: "elbv2.k8s.aws/v1beta1",
        old: &[Old {
            name: "elbv2.k8s.aws/v1alpha1",
            gone: "since AWS Load Balancer Controller 2.0",
            changes: &[],
        }],
    },
    Kind {
        name: "IngressClassParams",
        group: "elbv2.k8s.aws",
        version: "elbv2.k8s.aws/v1beta1",
        old: &[],
    },
    Kind {
        name: "Tenant",
        group: "minio.min.io",
        version: "minio.min.io/v2",
        old: &[Old {
            name: "minio.min.io/v1",
            gone: "since MinIO Operator 5",
            changes: TENANT,
        }],
    },
    core("Service"),
    core("Secret"),
    core("Namespace"),
    core("Node"),
    core("Pod"),
    core("Endpoints"),
];

const fn core(name: &'static str) -> Kind {
    Kind {
        name,
        group: "",
        version: "v1",
        old: &[],
    }
}

/// The error of an object that no cluster takes because of its API version.
pub(crate) fn refuse(object: &Object) -> Option<Diagnostic> {
    let kind = KINDS.iter().find(|kind| kind.name == object.kind)?;
    let version = &*object.api_version;
    if version == kind.version {
        return None;
    }
    let place = object.place().at;
    let at = value(&object.node, "apiVersion").map_or(place, |node| node.at);
    let found = |diagnostic: Diagnostic| {
        let found = diagnostic.at(&*object.file, at.line, at.column);
        found.object(object.path()).field("apiVersion")
    };
    if let Some(old) = kind.old.iter().find(|old| old.name == version) {
        let message = format!(
            "no cluster serves {} of {version} {}; use {}",
            kind.name, old.gone, kind.version
        );
        let applying = old
            .changes
            .iter()
            .filter(|change| change.applies(&object.node));
        let mut hint = format!("write apiVersion: {}", kind.version);
        for change in applying {
            hint.push_str("; ");
            hint.push_str(change.instead);
        }
        let error = Diagnostic::error("old-api-version", message);
        return Some(found(error).hint(hint));
    }
    // Other groups have kinds of the same names: serving.knative.dev/v1 Service.
    let is_own = object.group() == kind.group || is_built_in(object.group());
    let message = format!("Kubernetes has no {} of {version}", kind.name);
    let hint = format!("write apiVersion: {}", kind.version);
    is_own.then(|| found(Diagnostic::error("unknown-api-version", message)).hint(hint))
}

/// Whether a group is one of Kubernetes itself.
fn is_built_in(group: &str) -> bool {
    matches!(
        group,
        "" | "apps"
            | "autoscaling"
            | "batch"
            | "extensions"
            | "networking.k8s.io"
            | "discovery.k8s.io"
            | "policy"
    )
}

impl Change {
    fn applies(&self, object: &Node) -> bool {
        let (holder, name) = match self.field.rsplit_once('.') {
            Some((holder, name)) => (holder, name),
            None => ("", self.field),
        };
        any(object, holder, &|node| {
            matches!(node.value, Value::Mapping(_)) && value(node, name).is_none() == self.is_new
        })
    }
}

/// Whether any node at a path meets a condition.
fn any(node: &Node, path: &str, is_met: &impl Fn(&Node) -> bool) -> bool {
    if path.is_empty() {
        return is_met(node);
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    match name.strip_suffix("[]") {
        Some(name) => {
            let items = value(node, name).map(|list| &list.value);
            let Some(Value::Sequence(items)) = items else {
                return false;
            };
            items.iter().any(|item| any(item, rest, is_met))
        }
        None => value(node, name).is_some_and(|field| any(field, rest, is_met)),
    }
}

fn value<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Mapping(fields) = &node.value else {
        return None;
    };
    let mut fields = fields.iter();
    fields.find_map(|(key, field)| (key.name == name).then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<(String, String)> {
        let (objects, found) = crate::read(text, "a.yaml");
        assert!(found.is_empty(), "{found:?}");
        let found = refuse(&objects[0])?;
        assert!(found.is_error());
        Some((found.code.to_owned(), found.hint.unwrap_or_default()))
    }

    #[test]
    fn hint_names_the_fields_that_the_object_has() {
        let old = "
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: a}
spec: {rules: [{http: {paths: [{path: /, backend: {serviceName: web, servicePort: 80}}]}}]}
";
        let (code, hint) = refused(old).unwrap();
        assert_eq!(code, "old-api-version");
        assert_eq!(
            hint,
            "write apiVersion: networking.k8s.io/v1; backend.service.name instead of backend.serviceName; \
             backend.service.port.number (or .name, also for use-annotation) instead of backend.servicePort; a pathType \
             for each path (ImplementationSpecific reads a path as before)"
        );
        let tenant = "
apiVersion: minio.min.io/v1
kind: Tenant
metadata: {name: a}
spec: {zones: [{servers: 4}], pools: [{name: a}]}
";
        let (code, hint) = refused(tenant).unwrap();
        assert_eq!(code, "old-api-version");
        assert_eq!(
            hint,
            "write apiVersion: minio.min.io/v2; spec.pools instead of spec.zones"
        );
    }

    #[test]
    fn each_version_is_told_apart() {
        let code = |version: &str, kind: &str| {
            let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
            refused(&text).map(|(code, _)| code)
        };
        for (version, kind, expected) in [
            ("networking.k8s.io/v1", "Ingress", None),
            (
                "networking.k8s.io/v1beta1",
                "Ingress",
                Some("old-api-version"),
            ),
            (
                "networking.k8s.io/v1beta1",
                "IngressClass",
                Some("old-api-version"),
            ),
            (
                "discovery.k8s.io/v1beta1",
                "EndpointSlice",
                Some("old-api-version"),
            ),
            (
                "elbv2.k8s.aws/v1alpha1",
                "TargetGroupBinding",
                Some("old-api-version"),
            ),
            (
                "elbv2.k8s.aws/v1beta2",
                "IngressClassParams",
                Some("unknown-api-version"),
            ),
            (
                "networking.k8s.io/v2",
                "Ingress",
                Some("unknown-api-version"),
            ),
            ("apps/v1", "Service", Some("unknown-api-version")),
            ("v1", "Ingress", Some("unknown-api-version")),
            ("serving.knative.dev/v1", "Service", None),
            ("config.openshift.io/v1", "Ingress", None),
            ("eks.amazonaws.com/v1", "IngressClassParams", None),
            ("apps/v1", "Deployment", None),
        ] {
            assert_eq!(code(version, kind).as_deref(), expected, "{version} {kind}");
        }
    }
}
