//! Trust stores.

use std::path::PathBuf;

use elbow_model::{self as model, TrustStoreSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::Item;

/// The authorities that issue certificates of clients, and their revocation lists.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct TrustStore {
    /// Unique.
    pub(super) name: String,
    /// PEM file of the certificates of the authorities; relative to the folder of this file.
    pub(super) ca_certificates_bundle_file: String,
    /// PEM files of revocation lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) revocation_files: Vec<String>,
}

/// What a file says of a trust store.
pub(super) fn read(item: &Item<'_>) -> TrustStoreSpec {
    item.mapping(|fields| TrustStoreSpec {
        name: fields.text("name"),
        ca_certificates_bundle_file: fields.file("caCertificatesBundleFile"),
        revocation_files: fields.files("revocationFiles"),
        declared: Some(item.place()),
    })
}

/// A trust store as a file has it.
pub(super) fn render(from: &model::TrustStore) -> TrustStore {
    let text = |path: &PathBuf| path.display().to_string();
    TrustStore {
        name: from.name.to_string(),
        ca_certificates_bundle_file: text(&from.ca_certificates_bundle),
        revocation_files: from.revocations.iter().map(text).collect(),
    }
}
