//! QUIC server IDs of targets, from their pods. As with the AWS Load Balancer Controller, a pod without one is not registered with a
//! group of QUIC or TCP_QUIC.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use elbow_model::QuicServerId;
use elbow_model::diagnostic::Diagnostic;

use super::Surroundings;
use super::targets::Target;
use crate::objects::{Endpoint, Pod, QUIC_ENABLED_CONTAINERS};
use crate::scope::Scope;

/// How many pods a warning names.
const NAMED: usize = 3;

/// Gives each target of a group of QUIC the server ID of its pod, and removes targets without. An endpoint whose pod is not among
/// the objects stays without one.
pub(super) fn assign(
    targets: &mut Vec<Target<'_>>,
    surroundings: &Surroundings<'_>,
) -> Vec<Diagnostic> {
    let Surroundings { context, scope, .. } = *surroundings;
    let variable = &context.defaults.quic_environment_variable_name;
    let mut found = Vec::new();
    let mut without: Vec<&Pod> = Vec::new();
    let mut owners: BTreeMap<QuicServerId, String> = BTreeMap::new();
    targets.retain_mut(|target| {
        let Some(pod) = target.endpoint.and_then(|endpoint| pod(endpoint, scope)) else {
            return true;
        };
        match pod.server_ids.as_ref().and_then(|ids| ids.of(target.port)) {
            None => without.push(pod),
            Some(Err(origin)) => found.push(origin.place(invalid(pod, variable))),
            Some(Ok(id)) => match owners.entry(id) {
                Entry::Occupied(owner) => found.push(taken(pod, id, owner.get(), variable)),
                Entry::Vacant(free) => {
                    free.insert(pod.meta.key());
                    target.server_id = Some(id);
                    return true;
                }
            },
        }
        false
    });
    found.extend(missing(&without, variable));
    found
}

fn pod<'a>(endpoint: &Endpoint, scope: Scope<'a>) -> Option<&'a Pod> {
    let (_, namespace, name) = endpoint.target.as_ref()?;
    scope.pod(&(namespace.clone(), name.clone()))
}

fn missing(pods: &[&Pod], variable: &str) -> Option<Diagnostic> {
    let first = pods.first()?;
    let mut names: Vec<String> = pods.iter().take(NAMED).map(|pod| pod.meta.key()).collect();
    if pods.len() > NAMED {
        names.push(format!("{} more", pods.len() - NAMED));
    }
    let names = names.join(", ");
    let message = match pods.len() {
        1 => format!("Pod {names} has no QUIC server ID: it is not registered"),
        _ => format!("Pods {names} have no QUIC server ID: they are not registered"),
    };
    let hint = format!(
        "label the namespace elbv2.k8s.aws/quic-server-id-inject=enabled, list the container in the pod's annotation \
         {QUIC_ENABLED_CONTAINERS}, and create the pod again; or set {variable} yourself"
    );
    let found = Diagnostic::warning("no-quic-server-id", message).hint(hint);
    Some(first.meta.found(found))
}

fn invalid(pod: &Pod, variable: &str) -> Diagnostic {
    let message = format!(
        "{variable} of Pod {} is not 8 octets in base64: the pod is not registered",
        pod.meta.key()
    );
    let hint = "remove the variable, and the webhook sets it; or take the output of: head -c 8 /dev/urandom | base64";
    Diagnostic::warning("no-quic-server-id", message).hint(hint)
}

fn taken(pod: &Pod, id: QuicServerId, owner: &str, variable: &str) -> Diagnostic {
    let message = format!(
        "Pod {} has the QUIC server ID {id} of Pod {owner}: it is not registered",
        pod.meta.key()
    );
    let hint = format!(
        "remove {variable} from the template of the pods, and the webhook gives each its own"
    );
    let found = Diagnostic::warning("duplicate-quic-server-id", message).hint(hint);
    pod.meta.found(found)
}
