//! Asks an elbow in a cluster through the API server, so that its admin address need not be reachable from here.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, Request};
use kube::Client;
use serde_json::Value;

use crate::Error;
use crate::client::{ANSWER_TIMEOUT, Server, reasons};
use crate::token::KEY;

/// The label of elbow's pods, as config/kube and the chart set it.
const LABEL: &str = "app.kubernetes.io%2Fname%3Delbow";
/// The port names with the admin pages: all of them, or all of them with a token.
const PORTS: [&str; 2] = ["admin", "probes"];

/// Asks a ready elbow pod in the cluster for `path` of its admin address, with `headers`. Returns the pod and its answer,
/// or `None` if no elbow is ready.
///
/// API servers pass on the header fields except `Authorization`, and send their own host name. If `headers` lack
/// `token_header`, the request carries the token from the Secret that the pod's arguments name, if they name one.
///
/// # Errors
/// The API server does not answer, or denies the request.
pub async fn ask(
    server: &Server,
    path: &str,
    headers: &[(HeaderName, &str)],
    token_header: &HeaderName,
) -> Result<Option<(String, Value)>, Error> {
    let unreachable = |what: String| Error::Unreachable {
        server: server.url.clone(),
        what,
    };
    let list = format!("/api/v1/pods?labelSelector={LABEL}");
    let pods = get(&server.client, &list, &[]).await;
    let pods = pods.map_err(|why| unreachable(format!("cannot list pods: {why}")))?;
    let mut pods = pods["items"].as_array().into_iter().flatten();
    let Some((pod, (namespace, name, port))) = pods.find_map(|pod| Some((pod, ready(pod)?))) else {
        return Ok(None);
    };
    let has_token = headers.iter().any(|(name, _)| name == token_header);
    let token = match secret(pod).filter(|_| !has_token) {
        Some(secret) => {
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{secret}");
            let found = get(&server.client, &path, &[]).await;
            let what =
                |why| unreachable(format!("admin token, Secret {namespace}/{secret}: {why}"));
            Some(found.and_then(|secret| token(&secret)).map_err(what)?)
        }
        None => None,
    };
    let mut headers = headers.to_vec();
    headers.extend(
        token
            .iter()
            .map(|token| (token_header.clone(), token.as_str())),
    );
    // Through the pod: a Service would have to exist only for this.
    let proxy = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}");
    let pod = format!("{namespace}/{name}");
    let answer = get(&server.client, &proxy, &headers).await;
    let answer = answer.map_err(|why| unreachable(format!("elbow in pod {pod}: {why}")))?;
    Ok(Some((pod, answer)))
}

/// Namespace, name and admin port of a ready pod.
fn ready(pod: &Value) -> Option<(&str, &str, u64)> {
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    conditions.find(|one| one["type"] == "Ready" && one["status"] == "True")?;
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let ports = containers.flat_map(|one| one["ports"].as_array().into_iter().flatten());
    let ports: Vec<&Value> = ports.collect();
    let by_name = |name: &&str| ports.iter().find(|port| port["name"] == **name);
    let port = PORTS.iter().find_map(by_name)?;
    let metadata = &pod["metadata"];
    Some((
        metadata["namespace"].as_str()?,
        metadata["name"].as_str()?,
        port["containerPort"].as_u64()?,
    ))
}

/// The name of the Secret with the admin token, from the pod's arguments.
fn secret(pod: &Value) -> Option<&str> {
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let mut args = containers.flat_map(|one| one["args"].as_array().into_iter().flatten());
    args.find_map(|arg| arg.as_str()?.strip_prefix("--admin-token-secret="))
}

/// The admin token in a Secret.
fn token(secret: &Value) -> Result<String, String> {
    let text = secret["data"][KEY].as_str();
    let bytes = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
    let token = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let token = token.ok_or_else(|| format!("the Secret has no key `{KEY}`"))?;
    Ok(token.trim().to_owned())
}

async fn get(client: &Client, path: &str, headers: &[(HeaderName, &str)]) -> Result<Value, String> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?;
    answer.map_err(|error| reasons(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ready, secret, token};

    #[test]
    fn token_comes_from_the_secret_that_the_pod_names() {
        let pod = |args: &[&str]| json!({"spec": {"containers": [{"args": args}, {}]}});
        let named = pod(&["controller", "--admin-token-secret=elbow-admin"]);
        assert_eq!(secret(&named), Some("elbow-admin"));
        assert_eq!(secret(&pod(&["controller"])), None);
        let kept = json!({"data": {"token": "czNjcmV0Cg=="}});
        assert_eq!(token(&kept), Ok("s3cret".to_owned()));
        for other in [json!({}), json!({"data": {"token": "!"}})] {
            assert!(token(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn only_a_ready_pod_with_an_admin_port_is_asked() {
        let pod = |is_ready: &str, port: &str| {
            json!({"metadata": {"namespace": "elbow-system", "name": "elbow-1"},
                "spec": {"containers": [{"ports": [{"name": port, "containerPort": 9901}]}]},
                "status": {"conditions": [{"type": "Ready", "status": is_ready}]}})
        };
        let found = pod("True", "admin");
        assert_eq!(ready(&found), Some(("elbow-system", "elbow-1", 9901)));
        assert!(ready(&pod("True", "probes")).is_some());
        assert_eq!(ready(&pod("False", "admin")), None);
        assert_eq!(ready(&pod("True", "web")), None);
        assert_eq!(ready(&json!({})), None);
    }
}
