//! `elbow get`: the resources of a running elbow.

use std::io::{self, Write};

use serde_json::Value;

use crate::args::{GetArgs, GetKind, GetOutput};
use crate::process::Failure;
use crate::table::table;
use crate::unix_time::date;
use crate::{admin, token};

/// Prints the objects that `args` select.
///
/// # Errors
/// No elbow answers, or no object has the name.
pub(crate) fn get(args: &GetArgs) -> Result<(), Failure> {
    let status = status(args)?;
    let objects = select(&status, args.kind, args.name.as_deref());
    if objects.is_empty()
        && let Some(name) = &args.name
    {
        return Err(Failure::environment(
            format!("no object has the name \"{name}\""),
            "leave out the name to list all objects",
        ));
    }
    let text = match args.output {
        GetOutput::Json => serde_json::to_string_pretty(&objects).map_err(|e| e.to_string()),
        GetOutput::Yaml => serde_saphyr::to_string(&objects).map_err(|e| e.to_string()),
        GetOutput::Table | GetOutput::Wide => Ok(table(&rows(
            &objects,
            &columns(args.kind, args.output == GetOutput::Wide),
        ))),
    };
    text.and_then(|text| writeln!(io::stdout(), "{}", text.trim_end()).map_err(|e| e.to_string()))
        .map_err(|e| Failure::environment(e, "check the reader of the output"))
}

/// The answer of `/status` from the elbow that `args` name.
fn status(args: &GetArgs) -> Result<Value, Failure> {
    let token = token::to_present(&args.token)?;
    #[cfg(feature = "controller")]
    if args.look.cluster {
        let answer = crate::cluster::ask(&args.look.which, "/status", token.as_ref())?;
        return answer.map(|(_, status)| status).ok_or_else(|| {
            Failure::environment(
                "no pod of elbow is ready in the cluster",
                "install elbow with kubectl apply -k config/kube, or name one elsewhere with --admin",
            )
        });
    }
    admin::ask(args.admin, "/status", token.as_ref(), admin::TIMEOUT)
}

/// The objects of `kind`, each with the name of its parent.
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
        GetKind::Certificates => (certificates(status), &["arn"]),
    };
    let has_name = |object: &Value, name: &str| {
        let mut values = keys.iter().filter_map(|key| object[*key].as_str());
        // The ARN of a certificate ends with its name.
        values.any(|value| value == name || value.ends_with(&format!("certificate/{name}")))
    };
    all.into_iter()
        .filter(|object| name.is_none_or(|name| has_name(object, name)))
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

/// The certificates, each with the day when it expires.
fn certificates(status: &Value) -> Vec<Value> {
    let with_expiry = |certificate: &Value| {
        let mut certificate = certificate.clone();
        if let Some(end) = certificate["notAfter"].as_i64() {
            certificate["expires"] = date(end).into();
        }
        certificate
    };
    members(status, "certificates").map(with_expiry).collect()
}

/// The members of the list in the field `key`.
fn members<'a>(parent: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    parent[key].as_array().into_iter().flatten()
}

/// The columns of a table: headings and keys.
fn columns(kind: GetKind, wide: bool) -> Vec<(&'static str, &'static str)> {
    let (narrow, more): (&[_], &[_]) = match kind {
        GetKind::LoadBalancers => (
            &[("NAME", "name"), ("TYPE", "type"), ("ADDRESS", "address")],
            &[
                ("SCHEME", "scheme"),
                ("DNS NAME", "dnsName"),
                ("ZONES", "availabilityZones"),
            ],
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
                ("SHARE %", "requestShare"),
                ("ANOMALY", "anomalyDetection.result"),
                ("MITIGATED", "anomalyDetection.mitigationInEffect"),
                ("OVERRIDE", "administrativeOverride.state"),
                ("DESCRIPTION", "description"),
            ],
        ),
        GetKind::Certificates => (
            &[("ARN", "arn"), ("NAMES", "names"), ("EXPIRES", "expires")],
            &[("ISSUER", "issuer")],
        ),
    };
    let more = if wide { more } else { &[] };
    narrow.iter().chain(more).copied().collect()
}

/// The value at `key`, a field or a path of fields.
fn cell(object: &Value, key: &str) -> String {
    let value = key.split('.').fold(object, |value, field| &value[field]);
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".into(),
        Value::Array(list) => {
            let words: Vec<String> = list.iter().map(word).collect();
            words.join(", ")
        }
        other => other.to_string(),
    }
}

/// A member of a list. Of a zone its name, the addresses of its node, and whether they are left out of DNS.
fn word(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let Some(zone) = value["zoneName"].as_str() else {
        return value.to_string();
    };
    let mut word = zone.to_owned();
    for address in members(value, "loadBalancerAddresses") {
        word.push(' ');
        word.push_str(&cell(address, "ipAddress"));
    }
    if value["healthy"] == false {
        word.push_str(" (unhealthy)");
    }
    word
}

/// A row of headings and a row for each object.
fn rows(objects: &[Value], columns: &[(&str, &str)]) -> Vec<Vec<String>> {
    let head = columns.iter().map(|(heading, _)| (*heading).to_owned());
    let body = objects
        .iter()
        .map(|o| columns.iter().map(|(_, key)| cell(o, key)).collect());
    std::iter::once(head.collect()).chain(body).collect()
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
            "certificates": [{"arn": "arn:aws:acm:r:1:certificate/demo", "names": ["x", "y"],
                              "notAfter": 1_956_441_600}],
        })
    }

    fn printed(kind: GetKind, name: Option<&str>) -> String {
        table(&rows(&select(&status(), kind, name), &columns(kind, false)))
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
    fn zones_are_shown_with_their_addresses() {
        let zone = |name: &str, healthy: bool| {
            json!({"zoneName": name, "healthy": healthy,
                   "loadBalancerAddresses": [{"ipAddress": "127.0.10.1"}]})
        };
        let balancer = json!({"availabilityZones": [zone("a", true), zone("b", false)]});
        assert_eq!(
            cell(&balancer, "availabilityZones"),
            "a 127.0.10.1, b 127.0.10.1 (unhealthy)"
        );
        assert_eq!(cell(&json!({"a": [1, "x"]}), "a"), "1, x");
    }

    #[test]
    fn wide_tables_show_nested_fields() {
        let target = json!({"id": "a", "anomalyDetection": {"result": "normal"}});
        assert_eq!(cell(&target, "anomalyDetection.result"), "normal");
        assert_eq!(cell(&target, "administrativeOverride.state"), "-");
        let columns = columns(GetKind::Targets, true);
        let keys = [
            "anomalyDetection.result",
            "anomalyDetection.mitigationInEffect",
            "administrativeOverride.state",
        ];
        for key in keys {
            assert!(columns.iter().any(|(_, of)| *of == key), "{key}");
        }
    }

    #[test]
    fn certificates_show_when_they_expire() {
        assert_eq!(
            printed(GetKind::Certificates, None),
            "ARN                               NAMES  EXPIRES\n\
             arn:aws:acm:r:1:certificate/demo  x, y   2031-12-31"
        );
    }

    #[test]
    fn objects_are_selected_by_name() {
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
