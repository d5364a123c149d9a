//! `elbow get`: what a running elbow serves.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Failure;
use crate::cli::{GetArgs, GetKind, GetOutput};

/// For the whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Prints the objects asked for.
pub(crate) fn get(args: &GetArgs) -> Result<(), Failure> {
    let status = crate::runtime()?
        .block_on(async { tokio::time::timeout(TIMEOUT, fetch(args.admin)).await })
        .map_err(|_| "no answer in time".to_owned())
        .and_then(|answer| answer)
        .map_err(|e| {
            let what = format!("no elbow answers on the admin address {}: {e}", args.admin);
            Failure::environment(what, "is it running? --admin names another address")
        })?;
    let objects = select(&status, args.kind, args.name.as_deref());
    if objects.is_empty()
        && let Some(name) = &args.name
    {
        let kinds = "try it without a name to see what there is";
        return Err(Failure::environment(
            format!("nothing is called \"{name}\""),
            kinds,
        ));
    }
    let text = match args.output {
        GetOutput::Json => serde_json::to_string_pretty(&objects).map_err(|e| e.to_string()),
        GetOutput::Yaml => serde_saphyr::to_string(&objects).map_err(|e| e.to_string()),
        GetOutput::Table | GetOutput::Wide => Ok(table(
            &objects,
            columns(args.kind, args.output == GetOutput::Wide),
        )),
    };
    text.and_then(|text| writeln!(io::stdout(), "{}", text.trim_end()).map_err(|e| e.to_string()))
        .map_err(|e| Failure::environment(e, "is the reader of the output still there?"))
}

async fn fetch(admin: SocketAddr) -> Result<Value, String> {
    let stream = TcpStream::connect(admin).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // It ends with the answer, which says what went wrong.
    tokio::spawn(connection);
    let request = Request::get("/status")
        .header("host", admin.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())?;
    let body = Limited::new(response.into_body(), MAX_BYTES)
        .collect()
        .await;
    let body = body.map_err(|e| e.to_string())?.to_bytes();
    serde_json::from_slice(&body).map_err(|e| format!("not an answer of elbow: {e}"))
}

/// The objects of `kind`, each with the name of what it is part of.
fn select(status: &Value, kind: GetKind, name: Option<&str>) -> Vec<Value> {
    let (all, keys): (Vec<Value>, &[&str]) = match kind {
        GetKind::LoadBalancers => (
            members(status, "loadBalancers").cloned().collect(),
            &["name"],
        ),
        GetKind::Listeners => (listeners(status), &["loadBalancer"]),
        GetKind::Rules => (rules(status), &["loadBalancer"]),
        GetKind::TargetGroups => (
            members(status, "targetGroups").cloned().collect(),
            &["name"],
        ),
        GetKind::Targets => {
            let targets = members(status, "targetGroups").flat_map(|g| members(g, "targets"));
            (targets.cloned().collect(), &["targetGroup", "id"])
        }
        GetKind::Certificates => (members(status, "certificates").cloned().collect(), &["arn"]),
    };
    let is_called = |object: &Value, name: &str| {
        let mut values = keys.iter().filter_map(|key| object[*key].as_str());
        // A certificate's ARN ends in its name.
        values.any(|value| value == name || value.ends_with(&format!("certificate/{name}")))
    };
    all.into_iter()
        .filter(|object| name.is_none_or(|name| is_called(object, name)))
        .collect()
}

fn listeners(status: &Value) -> Vec<Value> {
    let of = |balancer: &Value, listener: &Value| {
        let mut listener = listener.clone();
        listener["loadBalancer"] = balancer["name"].clone();
        listener
    };
    members(status, "loadBalancers")
        .flat_map(|balancer| members(balancer, "listeners").map(move |l| of(balancer, l)))
        .collect()
}

fn rules(status: &Value) -> Vec<Value> {
    let mut rules = Vec::new();
    for listener in listeners(status) {
        let name = format!(
            "{}:{}",
            cell(&listener, "loadBalancer"),
            cell(&listener, "port")
        );
        for rule in members(&listener, "rules") {
            let mut rule = rule.clone();
            rule["listener"] = name.clone().into();
            rule["loadBalancer"] = listener["loadBalancer"].clone();
            rules.push(rule);
        }
    }
    rules
}

/// The members of the list called `key`.
fn members<'a>(parent: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    parent[key].as_array().into_iter().flatten()
}

/// Headings and keys.
fn columns(kind: GetKind, wide: bool) -> Vec<(&'static str, &'static str)> {
    let (narrow, more): (&[_], &[_]) = match kind {
        GetKind::LoadBalancers => (
            &[("NAME", "name"), ("TYPE", "type"), ("ADDRESS", "address")],
            &[("SCHEME", "scheme"), ("DNS NAME", "dnsName")],
        ),
        GetKind::Listeners => (
            &[
                ("LOAD BALANCER", "loadBalancer"),
                ("PORT", "port"),
                ("PROTOCOL", "protocol"),
                ("BOUND", "bound"),
            ],
            &[
                ("POLICY", "sslPolicy"),
                ("CERTIFICATES", "certificates"),
                ("SERVING", "serving"),
            ],
        ),
        GetKind::Rules => (
            &[
                ("LISTENER", "listener"),
                ("PRIORITY", "priority"),
                ("CONDITIONS", "conditions"),
                ("ACTIONS", "actions"),
            ],
            &[],
        ),
        GetKind::TargetGroups => (
            &[
                ("NAME", "name"),
                ("PROTOCOL", "protocol"),
                ("PORT", "port"),
                ("HEALTHY", "healthy"),
            ],
            &[],
        ),
        GetKind::Targets => (
            &[
                ("TARGET GROUP", "targetGroup"),
                ("ID", "id"),
                ("PORT", "port"),
                ("STATE", "state"),
                ("REASON", "reason"),
                ("IN FLIGHT", "inFlight"),
                ("REQUESTS", "requests"),
            ],
            &[
                ("ADDRESS", "address"),
                ("ZONE", "availabilityZone"),
                ("DESCRIPTION", "description"),
            ],
        ),
        GetKind::Certificates => (
            &[("ARN", "arn"), ("NAMES", "names")],
            &[("NOT AFTER (EPOCH)", "notAfter")],
        ),
    };
    let more = if wide { more } else { &[] };
    narrow.iter().chain(more).copied().collect()
}

fn cell(object: &Value, key: &str) -> String {
    match &object[key] {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".into(),
        Value::Array(list) => {
            let words = list
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), Into::into));
            words.collect::<Vec<String>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn table(objects: &[Value], columns: Vec<(&str, &str)>) -> String {
    let head = columns
        .iter()
        .map(|(heading, _)| (*heading).to_owned())
        .collect();
    let body = objects
        .iter()
        .map(|o| columns.iter().map(|(_, key)| cell(o, key)).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |i: usize| {
        rows.iter()
            .map(|row| row[i].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Value {
        json!({
            "loadBalancers": [{"name": "a", "type": "network", "address": "127.0.10.1", "listeners": [
                {"port": 443, "protocol": "TCP", "bound": "127.0.10.1:443", "certificates": [],
                 "rules": [{"priority": "default", "conditions": [], "actions": ["forward to g"]}]}]}],
            "targetGroups": [{"name": "g", "targets": [
                {"targetGroup": "g", "id": "127.0.0.1", "port": 9000, "state": "healthy",
                 "inFlight": 0, "requests": 7}]}],
            "certificates": [{"arn": "arn:aws:acm:r:1:certificate/demo", "names": ["x", "y"]}],
        })
    }

    fn printed(kind: GetKind, name: Option<&str>) -> String {
        table(&select(&status(), kind, name), columns(kind, false))
    }

    #[test]
    fn tables_align_their_columns() {
        assert_eq!(
            printed(GetKind::Targets, None),
            "TARGET GROUP  ID         PORT  STATE    REASON  IN FLIGHT  REQUESTS\n\
             g             127.0.0.1  9000  healthy  -       0          7"
        );
        assert_eq!(
            printed(GetKind::Rules, Some("a")),
            "LISTENER  PRIORITY  CONDITIONS  ACTIONS\na:443     default   -           forward to g"
        );
    }

    #[test]
    fn a_name_selects() {
        assert!(select(&status(), GetKind::Listeners, Some("b")).is_empty());
        assert_eq!(
            select(&status(), GetKind::Certificates, Some("demo")).len(),
            1
        );
        assert_eq!(
            select(&status(), GetKind::Targets, Some("127.0.0.1")).len(),
            1
        );
    }
}
