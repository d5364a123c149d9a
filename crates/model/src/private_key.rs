use std::fmt;
use std::sync::Arc;

/// A private key in PEM, which neither `Debug` nor the rendered native file shows.
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
