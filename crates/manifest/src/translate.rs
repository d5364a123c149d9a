//! All objects at once: what AWS would make of them, and the model that serves.

use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;

use crate::cluster::Files;
use crate::nothing::Seen;
use crate::translation::Translation;
use crate::{Context, Object};

/// The load balancers of `objects`, as AWS would make them.
pub fn plan(objects: &[Object], context: &Context) -> Translation {
    let files = Files::of(objects, context, false);
    let cluster = files.cluster();
    let mut stacks = cluster.tenant_stacks();
    let planned = cluster.stacks_by_key();
    // A Service and an Ingress may have one name: the stack of the Service is first then.
    let (groups, services): (Vec<_>, Vec<_>) = planned.partition(|stack| !stack.members.is_empty());
    stacks.extend(services.into_iter().chain(groups).cloned());
    stacks.sort_by(|a, b| a.id.cmp(&b.id));
    Translation {
        stacks,
        refused: cluster.refused(),
        diagnostics: files.diagnostics(),
    }
}

/// The load balancers of `objects` with their targets and certificates, as the data plane takes them. A load
/// balancer in which something is wrong is left out, the others are there; what is not served yet
/// is left out with a warning, so that nobody gets in who was to stay out.
///
/// ```
/// let text = "
/// apiVersion: v1
/// kind: Service
/// metadata:
///   name: minio
///   annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
/// spec:
///   type: LoadBalancer
///   loadBalancerClass: service.k8s.aws/nlb
///   ports: [{name: s3, port: 443, targetPort: 9000}]
/// ---
/// apiVersion: discovery.k8s.io/v1
/// kind: EndpointSlice
/// metadata: {name: minio, labels: {kubernetes.io/service-name: minio}}
/// addressType: IPv4
/// ports: [{name: s3, port: 9000}]
/// endpoints: [{addresses: [10.0.0.7]}]
/// ";
/// let (objects, found) = elbow_manifest::read(text, "minio.yaml");
/// assert!(found.is_empty());
/// let (model, found) = elbow_manifest::translate(&objects, &elbow_manifest::Context::default());
/// assert!(found.is_empty(), "{found:?}");
/// assert_eq!(model.load_balancers[0].listeners[0].port, 443);
/// assert_eq!(model.target_groups[0].targets[0].id.to_string(), "10.0.0.7");
/// ```
pub fn translate(objects: &[Object], context: &Context) -> (Model, Vec<Diagnostic>) {
    let files = Files::of(objects, context, true);
    (files.cluster().model(), files.diagnostics())
}

/// Which objects there are, for the warning that nothing of them is served.
///
/// ```
/// let text = "{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a}, spec: {ports: [{port: 80}]}}]}";
/// let (objects, _) = elbow_manifest::read(text, "a.yaml");
/// let warning = elbow_manifest::seen(&objects).nothing_to_serve();
/// assert!(warning.message.ends_with("seen: 1 Service of type ClusterIP"));
/// let warning = elbow_manifest::seen(&[]).nothing_to_serve();
/// assert_eq!(warning.message, "nothing to serve: the input has no objects");
/// ```
pub fn seen(objects: &[Object]) -> Seen {
    Files::of(objects, &Context::default(), false).seen()
}
