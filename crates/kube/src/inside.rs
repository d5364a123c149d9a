//! The elbow that runs in a cluster, asked through the API server: its admin address need not be reached from here.

use http::Request;
use kube::Client;
use serde_json::Value;

use crate::Error;
use crate::client::{ANSWER_TIMEOUT, Server, reasons};

/// What pods of elbow are labelled with, as config/kube and the chart do it.
const LABEL: &str = "app.kubernetes.io%2Fname%3Delbow";
/// The port of the operator's pages.
const PORT: &str = "admin";

/// What `path` of the admin address of an elbow in the cluster answers, and the pod that was asked; none where no elbow is ready.
///
/// # Errors
/// The API server does not answer, or does not let through.
pub async fn ask(server: &Server, path: &str) -> Result<Option<(String, Value)>, Error> {
    let unreachable = |what: String| Error::Unreachable {
        server: server.url.clone(),
        what,
    };
    let list = format!("/api/v1/pods?labelSelector={LABEL}");
    let pods = get(&server.client, &list).await;
    let pods = pods.map_err(|why| unreachable(format!("list of pods: {why}")))?;
    let mut pods = pods["items"].as_array().into_iter().flatten();
    let Some((namespace, name, port)) = pods.find_map(ready) else {
        return Ok(None);
    };
    // Through its pod, since a Service would have to be there for nothing else.
    let proxy = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}");
    let pod = format!("{namespace}/{name}");
    let answer = get(&server.client, &proxy).await;
    let answer = answer.map_err(|why| unreachable(format!("elbow in pod {pod}: {why}")))?;
    Ok(Some((pod, answer)))
}

/// Namespace, name and admin port of a pod that is ready.
fn ready(pod: &Value) -> Option<(&str, &str, u64)> {
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    conditions.find(|one| one["type"] == "Ready" && one["status"] == "True")?;
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let mut ports = containers.flat_map(|one| one["ports"].as_array().into_iter().flatten());
    let port = ports.find(|port| port["name"] == PORT)?;
    let metadata = &pod["metadata"];
    Some((
        metadata["namespace"].as_str()?,
        metadata["name"].as_str()?,
        port["containerPort"].as_u64()?,
    ))
}

async fn get(client: &Client, path: &str) -> Result<Value, String> {
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?;
    answer.map_err(|error| reasons(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ready;

    #[test]
    fn only_a_ready_pod_with_an_admin_port_is_asked() {
        let pod = |is_ready: &str, port: &str| {
            json!({"metadata": {"namespace": "elbow-system", "name": "elbow-1"},
                "spec": {"containers": [{"ports": [{"name": port, "containerPort": 9901}]}]},
                "status": {"conditions": [{"type": "Ready", "status": is_ready}]}})
        };
        let found = pod("True", "admin");
        assert_eq!(ready(&found), Some(("elbow-system", "elbow-1", 9901)));
        assert_eq!(ready(&pod("False", "admin")), None);
        assert_eq!(ready(&pod("True", "web")), None);
        assert_eq!(ready(&json!({})), None);
    }
}
