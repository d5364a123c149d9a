//! Trust stores, which verify the certificates of clients.

use std::path::PathBuf;
use std::sync::Arc;

use crate::certificate::certificate_name;
use crate::invalid::{Checked, Findings, Place};
use crate::spec::TrustStoreSpec;

/// The authorities that issue certificates of clients, and their revocation lists (`CreateTrustStore`,
/// `AddTrustStoreRevocations`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TrustStore {
    /// Unique in the model.
    pub name: Arc<str>,
    /// The PEM file of the authorities' certificates.
    pub ca_certificates_bundle: PathBuf,
    /// PEM files of revocation lists.
    pub revocations: Vec<PathBuf>,
    /// Where it is declared, for messages: file, line, column (1-based).
    pub declared: Option<(Arc<str>, u32, u32)>,
}

impl TrustStore {
    /// The trust store that `spec` describes. Nothing is read: files may be missing or invalid.
    ///
    /// ```
    /// use elbow_model::{TrustStore, TrustStoreSpec};
    ///
    /// let spec = TrustStoreSpec {
    ///     name: Some("clients".into()),
    ///     ca_certificates_bundle_file: Some("clients.pem".into()),
    ///     ..TrustStoreSpec::default()
    /// };
    /// assert_eq!(&*TrustStore::new(&spec).value.unwrap().name, "clients");
    /// ```
    pub fn new(spec: &TrustStoreSpec) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, at))
    }

    pub(crate) fn build(spec: &TrustStoreSpec, at: &Place<'_>) -> Option<Self> {
        let name = match &spec.name {
            Some(name) => certificate_name("trust store", name, &at.field("name")),
            None => {
                at.missing("name");
                None
            }
        };
        let bundle = match &spec.ca_certificates_bundle_file {
            Some(file) => Some(file.clone()),
            None => {
                at.missing("caCertificatesBundleFile");
                None
            }
        };
        Some(Self {
            name: name?,
            ca_certificates_bundle: bundle?,
            revocations: spec.revocation_files.clone().unwrap_or_default(),
            declared: spec.declared.clone(),
        })
    }

    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.ca_certificates_bundle).chain(&self.revocations)
    }
}
