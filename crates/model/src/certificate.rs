use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A certificate that listeners present, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Unique in the model.
    pub name: Arc<str>,
    /// Where both come from.
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
    /// A local authority issues one. Whoever serves the model puts it in this one's place.
    SelfSigned {
        /// Names and addresses that it is for; see [`is_certificate_host`].
        hosts: Vec<Arc<str>>,
    },
}

impl Certificate {
    /// The name that access logs show: an ARN as it is, any other in the shape of one.
    pub fn arn(&self) -> String {
        if self.name.starts_with("arn:") {
            return self.name.to_string();
        }
        format!(
            "arn:aws:acm:us-east-1:000000000000:certificate/{}",
            self.name
        )
    }
}

/// A private key in PEM, which neither `Debug` nor [`file::render`](crate::file::render) shows.
///
/// ```
/// let key = elbow_model::PrivateKey::new("-----BEGIN PRIVATE KEY-----");
/// assert_eq!(key.pem(), "-----BEGIN PRIVATE KEY-----");
/// assert_eq!(format!("{key:?}"), "PrivateKey(not shown)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Arc<str>);

impl PrivateKey {
    /// From a PEM text.
    pub fn new(pem: impl Into<Arc<str>>) -> Self {
        Self(pem.into())
    }

    /// The text; nothing that is printed may have it.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(not shown)")
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
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && name.split('.').all(label)
}
