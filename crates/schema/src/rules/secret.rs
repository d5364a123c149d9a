//! Secrets: `ValidateSecret`.

use super::message::Report;
use super::rule::Check::Fields;
use super::rule::Rule;
use super::{base64, name};
use crate::{Cursor, Faults};

const KIND: &str = "Secret";
/// Of all values, decoded.
const BYTES: usize = 1 << 20;

pub(super) const RULES: &[Rule] = &[
    Rule::new(KIND, "", Fields(keys), "IsConfigMapKey"),
    Rule::new(KIND, "", Fields(size), "MaxSecretSize"),
    Rule::new(KIND, "", Fields(of_type), "ValidateSecret"),
];

/// A value, decoded. `stringData` overwrites `data`.
fn value(root: &Cursor<'_>, key: &str) -> Option<Vec<u8>> {
    let (plain, encoded) = (root.get("stringData"), root.get("data"));
    let (plain, encoded) = (plain.key(key), encoded.key(key));
    if let Some(text) = plain.text() {
        return Some(text.as_bytes().to_vec());
    }
    match encoded.text() {
        Some(text) => base64::decoded(text),
        // A null is an empty value.
        None => encoded.node().or_else(|| plain.node()).map(|_| Vec::new()),
    }
}

fn keys(root: &Cursor<'_>, faults: &mut Faults) {
    for field in ["data", "stringData"] {
        let values = root.get(field);
        for (key, value) in values.keys() {
            for problem in name::config_key(&key.name) {
                let message = format!("data[{0}]: Invalid value: {0:?}: {problem}", key.name);
                faults.add_at(&value, key.at, "invalid-value", message, None);
            }
        }
    }
}

fn size(root: &Cursor<'_>, faults: &mut Faults) {
    let (plain, encoded) = (root.get("stringData"), root.get("data"));
    let plain_bytes = plain
        .keys()
        .filter_map(|(_, value)| value.text())
        .map(str::len);
    let overwritten = |key: &str| !plain.key(key).is_absent();
    let encoded_bytes = encoded.keys().filter(|(key, _)| !overwritten(&key.name));
    let encoded_bytes = encoded_bytes.filter_map(|(_, value)| base64::decoded(value.text()?));
    let total = plain_bytes.sum::<usize>() + encoded_bytes.map(|bytes| bytes.len()).sum::<usize>();
    if total > BYTES {
        faults.too_long(&encoded, BYTES);
    }
}

fn of_type(root: &Cursor<'_>, faults: &mut Faults) {
    let data = root.get("data");
    let missing = |key: &str| value(root, key).is_none() && data.key(key).is_absent();
    let mut required = |key: &str| {
        if missing(key) {
            faults.required(&data.key(key), "");
        }
    };
    match root.get("type").text().unwrap_or_default() {
        "kubernetes.io/tls" => {
            required("tls.crt");
            required("tls.key");
        }
        "kubernetes.io/basic-auth" if missing("username") && missing("password") => {
            required("username");
            required("password");
        }
        "kubernetes.io/ssh-auth" => {
            let key = "ssh-privatekey";
            if missing(key) || value(root, key).is_some_and(|bytes| bytes.is_empty()) {
                faults.required(&data.key(key), "");
            }
        }
        "kubernetes.io/dockercfg" => json(root, ".dockercfg", faults),
        "kubernetes.io/dockerconfigjson" => json(root, ".dockerconfigjson", faults),
        "kubernetes.io/service-account-token" => {
            let metadata = root.get("metadata");
            let annotations = metadata.get("annotations");
            let account = annotations.key("kubernetes.io/service-account.name");
            if account.is_absent() || account.text() == Some("") {
                faults.required(&account, "");
            }
        }
        _ => {}
    }
}

fn json(root: &Cursor<'_>, key: &str, faults: &mut Faults) {
    let data = root.get("data");
    let place = data.key(key);
    match value(root, key) {
        None if place.is_absent() => faults.required(&place, ""),
        None => {}
        Some(bytes) => {
            let parsed = serde_json::from_slice::<serde_json::Value>(&bytes);
            if !parsed.is_ok_and(|value| value.is_object() || value.is_null()) {
                let message = format!(
                    "{}: Invalid value: \"<secret contents redacted>\": must be a JSON object",
                    place.path()
                );
                faults.add(&place, "invalid-value", message);
            }
        }
    }
}
