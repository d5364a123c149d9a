//! Certificates.

use elbow_model::{
    self as model, CertificateSource, CertificateSpec, MAX_CERTIFICATE_HOSTS, PrivateKey,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::Item;
use super::values::one_form;

/// Shown instead of a private key.
const HIDDEN_KEY: &str = "(not shown)";

/// A certificate and its key: from files, as text, or issued by elbow's local authority.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, transform = one_form)]
pub(super) struct Certificate {
    /// Unique.
    pub(super) name: String,
    /// PEM file of the chain, leaf first; relative to the folder of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate_file: Option<String>,
    /// PEM file of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) private_key_file: Option<String>,
    /// The chain in PEM, leaf first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<String>,
    /// The key in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) private_key: Option<String>,
    /// DNS names (the first label may be *) and IP addresses that a certificate is issued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_CERTIFICATE_HOSTS))]
    pub(super) self_signed: Option<Vec<String>>,
}

/// What a file says of a certificate.
pub(super) fn read(item: &Item<'_>) -> CertificateSpec {
    item.mapping(|fields| CertificateSpec {
        name: fields.text("name"),
        certificate_file: fields.file("certificateFile"),
        private_key_file: fields.file("privateKeyFile"),
        certificate: fields.text("certificate"),
        private_key: fields.text("privateKey").map(PrivateKey::new),
        self_signed: fields.texts("selfSigned"),
        declared: Some(item.place()),
    })
}

/// A certificate as a file has it.
pub(super) fn render(from: &model::Certificate) -> Certificate {
    let mut certificate = Certificate {
        name: from.name.to_string(),
        ..Certificate::default()
    };
    match &from.source {
        CertificateSource::Files {
            certificate: chain,
            private_key,
        } => {
            certificate.certificate_file = Some(chain.display().to_string());
            certificate.private_key_file = Some(private_key.display().to_string());
        }
        CertificateSource::Pem {
            certificate: chain, ..
        } => {
            certificate.certificate = Some(chain.to_string());
            certificate.private_key = Some(HIDDEN_KEY.to_owned());
        }
        CertificateSource::SelfSigned { hosts } => {
            certificate.self_signed = Some(hosts.iter().map(ToString::to_string).collect());
        }
    }
    certificate
}
