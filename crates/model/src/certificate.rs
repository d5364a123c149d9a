//! Certificates and where they come from.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::identity::Account;
use crate::invalid::{Checked, Findings, Place};
use crate::private_key::PrivateKey;
use crate::read::is_label;
use crate::spec::CertificateSpec;

/// A certificate that listeners present, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Unique in the model.
    pub name: Arc<str>,
    /// Where the certificate and its key come from.
    pub source: CertificateSource,
    /// Where it is declared, for messages: file, line, column (1-based).
    pub declared: Option<(Arc<str>, u32, u32)>,
}

/// Where a certificate and its key come from. A chain has the leaf first; a key is PKCS#8, PKCS#1 or
/// SEC1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// PEM files.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// The key of its leaf.
        private_key: PathBuf,
    },
    /// PEM texts.
    Pem {
        /// The chain.
        certificate: Arc<str>,
        /// The key of its leaf.
        private_key: PrivateKey,
    },
    /// Issued by a local authority before the model is served.
    SelfSigned {
        /// DNS names and addresses; see [`is_certificate_host`].
        hosts: Vec<Arc<str>>,
    },
}

/// Hosts of one certificate at most (ACM quotas: domain names per certificate).
pub const MAX_CERTIFICATE_HOSTS: usize = 100;

impl Certificate {
    /// The sets of fields of a [`CertificateSpec`] that describe its source: exactly one of them is given.
    pub const FORMS: &'static [&'static [&'static str]] = &[
        &["certificateFile", "privateKeyFile"],
        &["certificate", "privateKey"],
        &["selfSigned"],
    ];

    /// The certificate that `spec` describes. Nothing is read or decoded: files may be missing, PEM may be invalid.
    ///
    /// ```
    /// use elbow_model::{Certificate, CertificateSpec};
    ///
    /// let spec = CertificateSpec::self_signed("demo", ["minio.example.localhost"]);
    /// assert_eq!(&*Certificate::new(&spec).value.unwrap().name, "demo");
    /// ```
    pub fn new(spec: &CertificateSpec) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, at))
    }

    pub(crate) fn build(spec: &CertificateSpec, at: &Place<'_>) -> Option<Self> {
        let source = CertificateSource::build(spec, at);
        let name = match &spec.name {
            Some(name) => certificate_name("certificate", name, &at.field("name")),
            None => {
                at.missing("name");
                None
            }
        };
        Some(Self {
            name: name?,
            source: source?,
            declared: spec.declared.clone(),
        })
    }

    /// The name as an ARN, for access logs.
    pub fn arn(&self, account: &Account) -> String {
        if self.name.starts_with("arn:") {
            return self.name.to_string();
        }
        account.arn("acm", &format!("certificate/{}", self.name))
    }
}

/// A name that is safe in an access log and an ARN, of a thing that messages call `what`.
pub(crate) fn certificate_name(what: &str, text: &str, at: &Place<'_>) -> Option<Arc<str>> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/*".contains(&b);
    let is_valid = (1..=256).contains(&text.len()) && text.bytes().all(is_allowed);
    if !is_valid {
        at.error_with(
            "invalid-name",
            format!("{text:?} is not a valid name of a {what}"),
            "use 1 to 256 letters, digits and - _ . : / *".to_owned(),
        );
    }
    is_valid.then(|| text.into())
}

impl CertificateSource {
    fn build(spec: &CertificateSpec, at: &Place<'_>) -> Option<Self> {
        let is_given = [
            ("certificateFile", spec.certificate_file.is_some()),
            ("privateKeyFile", spec.private_key_file.is_some()),
            ("certificate", spec.certificate.is_some()),
            ("privateKey", spec.private_key.is_some()),
            ("selfSigned", spec.self_signed.is_some()),
        ];
        let is_given = |name: &&&str| is_given.iter().any(|(n, given)| n == *name && *given);
        let mut given = Certificate::FORMS
            .iter()
            .enumerate()
            .filter(|(_, form)| form.iter().any(|name| is_given(&name)));
        let Some((form, names)) = given.next() else {
            at.field("certificateFile").error_with(
                "missing-field",
                "the certificate has no source",
                "give certificateFile and privateKeyFile, certificate and privateKey, or selfSigned"
                    .to_owned(),
            );
            return None;
        };
        let mut others = given.flat_map(|(_, form)| form.iter());
        if let Some(name) = others.find(is_given) {
            at.field(name).error_with(
                "invalid-combination",
                "a certificate has exactly one source",
                format!("keep this or {}", names.join(" and ")),
            );
            return None;
        }
        match form {
            0 => Self::files(spec, at),
            1 => Self::texts(spec, at),
            _ => Self::self_signed(spec, &at.field("selfSigned")),
        }
    }

    fn files(spec: &CertificateSpec, at: &Place<'_>) -> Option<Self> {
        let file = |given: &Option<PathBuf>, name| {
            let Some(path) = given else {
                at.missing(name);
                return None;
            };
            if path.as_os_str().is_empty() {
                let reason = format!("{name} is empty");
                at.field(name).error("missing-field", reason);
            }
            Some(path.clone())
        };
        let certificate = file(&spec.certificate_file, "certificateFile");
        let private_key = file(&spec.private_key_file, "privateKeyFile");
        Some(Self::Files {
            certificate: certificate?,
            private_key: private_key?,
        })
    }

    fn texts(spec: &CertificateSpec, at: &Place<'_>) -> Option<Self> {
        if spec.certificate.is_none() {
            at.missing("certificate");
        }
        if spec.private_key.is_none() {
            at.missing("privateKey");
        }
        Some(Self::Pem {
            certificate: spec.certificate.as_deref()?.into(),
            private_key: spec.private_key.clone()?,
        })
    }

    fn self_signed(spec: &CertificateSpec, at: &Place<'_>) -> Option<Self> {
        let given = spec.self_signed.as_ref()?;
        if !(1..=MAX_CERTIFICATE_HOSTS).contains(&given.len()) {
            let count = given.len();
            let reason = format!("expected 1 to {MAX_CERTIFICATE_HOSTS} hosts, found {count}");
            at.error("out-of-range", reason);
        }
        let mut hosts: Vec<Arc<str>> = Vec::new();
        for (i, text) in given.iter().enumerate() {
            if !is_certificate_host(text) {
                at.index(i).error_with(
                    "invalid-host",
                    format!("{text:?} is not a host that a certificate can be issued for"),
                    "use a DNS name, a DNS name with * as its first label, or an IP address"
                        .to_owned(),
                );
            }
            let host = text.to_ascii_lowercase().into();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Some(Self::SelfSigned { hosts })
    }
}

/// Whether a certificate can be issued for `host`: a DNS name, whose first label may be `*`, or an IP
/// address.
///
/// ```
/// use elbow_model::is_certificate_host;
///
/// for host in ["minio.example.localhost", "*.example.com", "localhost", "10.0.0.1", "::1"] {
///     assert!(is_certificate_host(host), "{host}");
/// }
/// for host in ["", "*", "a..b", "a.*.b", "-a.b", "a b", "https://a", "a:443"] {
///     assert!(!is_certificate_host(host), "{host}");
/// }
/// ```
pub fn is_certificate_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    host.len() <= 253 && name.split('.').all(is_label)
}
