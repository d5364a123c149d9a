//! The certificates that an authority has issued, as a table or JSON.

use elbow_tls::Loaded;
use serde_json::{Value, json};

use crate::args::TableOrJson;
use crate::authority::{Authority, Error};
use crate::table::table;
use crate::unix_time::{date, now};

const DAY: i64 = 24 * 60 * 60;

/// The authority, followed by its certificates.
pub(super) fn list(authority: &Authority, output: TableOrJson) -> Result<String, Error> {
    let now = now();
    let mut own = entry(
        authority.certificate().display().to_string(),
        &[],
        authority.loaded(),
        now,
    );
    let issued: Vec<Value> = authority
        .leaves()?
        .iter()
        .map(|leaf| {
            entry(
                leaf.file.display().to_string(),
                &leaf.hosts,
                &leaf.loaded,
                now,
            )
        })
        .collect();
    Ok(match output {
        TableOrJson::Json => {
            let all = json!({"authority": own, "certificates": issued});
            format!("{all:#}")
        }
        TableOrJson::Table => {
            // It has no hosts; show its name instead.
            own["hosts"] = json!([authority.loaded().issuer()]);
            let head = ["HOSTS", "EXPIRES", "DAYS LEFT", "FILE"].map(str::to_owned);
            let rows = std::iter::once(&own).chain(&issued).map(row);
            let rows: Vec<_> = std::iter::once(head.into()).chain(rows).collect();
            table(&rows)
        }
    })
}

fn row(entry: &Value) -> Vec<String> {
    let hosts = entry["hosts"].as_array().into_iter().flatten();
    let hosts: Vec<&str> = hosts.filter_map(Value::as_str).collect();
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    vec![
        hosts.join(", "),
        text("expires"),
        entry["daysLeft"].to_string(),
        text("file"),
    ]
}

fn entry(file: String, hosts: &[String], certificate: &Loaded, now: i64) -> Value {
    let end = certificate.not_after();
    json!({
        "hosts": hosts,
        "issuer": certificate.issuer(),
        "notAfter": end,
        "expires": date(end),
        "daysLeft": end.saturating_sub(now).div_euclid(DAY),
        "file": file,
    })
}
