use std::path::PathBuf;
use std::sync::Arc;

/// A file with a public key (`PublicKeyPolicyType`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKeyFile {
    /// A certificate, or the key in PEM, with or without its first and last line.
    pub file: PathBuf,
    /// Where it is declared, for messages: file, line, column (1-based).
    pub declared: Option<(Arc<str>, u32, u32)>,
}
