//! Certificates and keys out of PEM; the only user of `rustls-pemfile`.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls_pemfile::Item;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

#[cfg(test)]
mod tests;

/// A text may be this large: ACM takes a chain of 2 MB.
pub const MAX_BYTES: usize = 2 << 20;

/// A chain may have this many certificates; real ones have less than five.
const MAX_CHAIN: usize = 32;

/// Where a PEM text is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// The configuration itself; what it is there.
    Text(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(what) => f.write_str(what),
        }
    }
}

/// Why a PEM text cannot be used; every variant names where it is from and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be opened or read.
    #[error("{origin}: cannot be read: {source}; check the path and its permissions")]
    Read {
        /// Which.
        origin: Origin,
        /// The cause.
        source: io::Error,
    },
    /// It is too large to be what it is meant to be.
    #[error("{origin}: is larger than {MAX_BYTES} bytes; expected PEM")]
    TooLarge {
        /// Which.
        origin: Origin,
    },
    /// Something between BEGIN and END is broken.
    // What the parser says would show a key that stands on the line of its BEGIN.
    #[error(
        "{origin}: is not valid PEM; the lines of BEGIN and END stand alone, with base64 between them"
    )]
    Malformed {
        /// Which.
        origin: Origin,
    },
    /// No certificate in it.
    #[error(
        "{origin}: holds no certificate; expected a chain of \"-----BEGIN CERTIFICATE-----\", leaf first"
    )]
    NoCertificate {
        /// Which.
        origin: Origin,
    },
    /// More certificates than a chain can have.
    #[error(
        "{origin}: holds more than {MAX_CHAIN} certificates; keep the leaf and its intermediates"
    )]
    ChainTooLong {
        /// Which.
        origin: Origin,
    },
    /// No private key in it.
    #[error(
        "{origin}: holds no private key; expected \"-----BEGIN PRIVATE KEY-----\" (PKCS#8), RSA or EC"
    )]
    NoKey {
        /// Which.
        origin: Origin,
    },
    /// The key needs a passphrase.
    #[error("{origin}: holds an encrypted private key; decrypt it, e.g. with openssl pkey")]
    EncryptedKey {
        /// Which.
        origin: Origin,
    },
    /// More than one private key in it.
    #[error("{origin}: holds {count} private keys; keep the one of the certificate")]
    SeveralKeys {
        /// Which.
        origin: Origin,
        /// How many.
        count: usize,
    },
}

/// A PEM text that is not read yet.
pub struct Pem<'a> {
    origin: Origin,
    text: Cow<'a, [u8]>,
}

impl<'a> Pem<'a> {
    /// The content of `file`.
    pub fn open(file: &Path) -> Result<Self, PemError> {
        let origin = Origin::File(file.to_owned());
        match elbow_net::file::read(file, MAX_BYTES) {
            Ok(text) => Self::new(origin, text.into()),
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Err(PemError::TooLarge { origin }),
            Err(source) => Err(PemError::Read { origin, source }),
        }
    }

    /// `text`, which is `what` in the configuration.
    pub fn text(what: &'static str, text: &'a str) -> Result<Self, PemError> {
        Self::new(Origin::Text(what), text.as_bytes().into())
    }

    fn new(origin: Origin, text: Cow<'a, [u8]>) -> Result<Self, PemError> {
        if text.len() > MAX_BYTES {
            return Err(PemError::TooLarge { origin });
        }
        Ok(Self { origin, text })
    }

    /// Where it is from.
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// The chain in it, in its order; a key beside it is passed over.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let chain: Vec<_> = self
            .items()?
            .into_iter()
            .filter_map(|item| match item {
                Item::X509Certificate(der) => Some(der),
                _ => None,
            })
            .collect();
        let origin = || self.origin();
        match chain.len() {
            0 => Err(PemError::NoCertificate { origin: origin() }),
            n if n > MAX_CHAIN => Err(PemError::ChainTooLong { origin: origin() }),
            _ => Ok(chain),
        }
    }

    /// The one private key in it (PKCS#8, PKCS#1 or SEC1); certificates beside it are passed over.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, PemError> {
        let mut keys: Vec<PrivateKeyDer<'static>> = self
            .items()?
            .into_iter()
            .filter_map(|item| match item {
                Item::Pkcs8Key(der) => Some(der.into()),
                Item::Pkcs1Key(der) => Some(der.into()),
                Item::Sec1Key(der) => Some(der.into()),
                _ => None,
            })
            .collect();
        let count = keys.len();
        let origin = self.origin();
        match keys.pop() {
            Some(key) if count == 1 => Ok(key),
            Some(_) => Err(PemError::SeveralKeys { origin, count }),
            None if is_encrypted(&self.text) => Err(PemError::EncryptedKey { origin }),
            None => Err(PemError::NoKey { origin }),
        }
    }

    fn items(&self) -> Result<Vec<Item>, PemError> {
        rustls_pemfile::read_all(&mut &*self.text)
            .collect::<Result<_, _>>()
            .map_err(|_| PemError::Malformed {
                origin: self.origin(),
            })
    }
}

/// Such a section is skipped by the parser, which would call the file empty.
fn is_encrypted(bytes: &[u8]) -> bool {
    let marker = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    bytes.windows(marker.len()).any(|window| window == marker)
}
