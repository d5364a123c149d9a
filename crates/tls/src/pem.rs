//! Reads certificates and keys from PEM. The only user of `rustls-pemfile`.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pemfile::Item;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, SubjectPublicKeyInfoDer,
};

#[cfg(test)]
mod tests;

/// Limit of a PEM text in bytes: ACM accepts a chain of 2 MB.
pub const MAX_BYTES: usize = 2 << 20;

/// Limit of certificates in a chain; real chains have fewer than five.
const MAX_CHAIN: usize = 32;

/// Where a PEM text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// The configuration itself; names the field.
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

/// Why a PEM text cannot be used. Each message says where the text comes from and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file cannot be opened or read.
    #[error("{origin}: cannot be read: {source}; check the path and its permissions")]
    Read {
        /// The text.
        origin: Origin,
        /// The cause.
        source: io::Error,
    },
    /// The text is larger than the limit.
    #[error("{origin}: is larger than {max} bytes; expected PEM")]
    TooLarge {
        /// The text.
        origin: Origin,
        /// The limit in bytes.
        max: usize,
    },
    /// The text between BEGIN and END is invalid.
    // The parser's error is not shown: it would contain a key that is on the same line as BEGIN.
    #[error(
        "{origin}: is not valid PEM; put BEGIN and END on lines of their own, with base64 between them"
    )]
    Malformed {
        /// The text.
        origin: Origin,
    },
    /// The text contains no certificate.
    #[error(
        "{origin}: contains no certificate; expected a chain of \"-----BEGIN CERTIFICATE-----\", leaf first"
    )]
    NoCertificate {
        /// The text.
        origin: Origin,
    },
    /// The text contains more certificates than a chain may have.
    #[error(
        "{origin}: contains more than {MAX_CHAIN} certificates; keep the leaf and its intermediates"
    )]
    ChainTooLong {
        /// The text.
        origin: Origin,
    },
    /// The text contains no public key.
    #[error(
        "{origin}: contains no public key; expected a certificate, \"-----BEGIN PUBLIC KEY-----\", or the base64 after it"
    )]
    NoPublicKey {
        /// The text.
        origin: Origin,
    },
    /// The text contains more than one public key, or a public key and a certificate.
    #[error("{origin}: contains several public keys; put each into a file of its own")]
    SeveralPublicKeys {
        /// The text.
        origin: Origin,
    },
    /// The text contains no private key.
    #[error(
        "{origin}: contains no private key; expected \"-----BEGIN PRIVATE KEY-----\" (PKCS#8), RSA or EC"
    )]
    NoKey {
        /// The text.
        origin: Origin,
    },
    /// The key needs a passphrase.
    #[error(
        "{origin}: contains an encrypted private key; decrypt it, for example with openssl pkey"
    )]
    EncryptedKey {
        /// The text.
        origin: Origin,
    },
    /// The text contains more than one private key.
    #[error(
        "{origin}: contains {count} private keys; keep the one that belongs to the certificate"
    )]
    SeveralKeys {
        /// The text.
        origin: Origin,
        /// The number of keys.
        count: usize,
    },
}

/// What has a public key.
pub(crate) enum KeyHolder {
    /// A SubjectPublicKeyInfo.
    PublicKey(SubjectPublicKeyInfoDer<'static>),
    /// A certificate.
    Certificate(CertificateDer<'static>),
}

/// A PEM text that is not parsed yet.
pub struct Pem<'a> {
    origin: Origin,
    text: Cow<'a, [u8]>,
}

impl<'a> Pem<'a> {
    /// Reads `file`.
    pub fn open(file: &Path) -> Result<Self, PemError> {
        Self::open_up_to(file, MAX_BYTES)
    }

    /// Reads `file` of at most `max` bytes.
    pub(crate) fn open_up_to(file: &Path, max: usize) -> Result<Self, PemError> {
        let origin = Origin::File(file.to_owned());
        match elbow_net::file::read(file, max) {
            Ok(text) => Ok(Self {
                origin,
                text: text.into(),
            }),
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => {
                Err(PemError::TooLarge { origin, max })
            }
            Err(source) => Err(PemError::Read { origin, source }),
        }
    }

    /// Takes `text` from the configuration; `what` names its field.
    pub fn text(what: &'static str, text: &'a str) -> Result<Self, PemError> {
        let origin = Origin::Text(what);
        if text.len() > MAX_BYTES {
            let max = MAX_BYTES;
            return Err(PemError::TooLarge { origin, max });
        }
        Ok(Self {
            origin,
            text: text.as_bytes().into(),
        })
    }

    /// Where the text comes from.
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Parses the certificate chain, in order; ignores keys.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let chain = self.certificates()?;
        if chain.len() > MAX_CHAIN {
            let origin = self.origin();
            return Err(PemError::ChainTooLong { origin });
        }
        Ok(chain)
    }

    /// Parses the certificates, at least one, in order; ignores keys.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let certificates: Vec<_> = self
            .items()?
            .into_iter()
            .filter_map(|item| match item {
                Item::X509Certificate(der) => Some(der),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            let origin = self.origin();
            return Err(PemError::NoCertificate { origin });
        }
        Ok(certificates)
    }

    /// Parses the only public key, or the first certificate of a chain; ignores private keys. A text without any line of PEM
    /// is the base64 of a public key, as AWS takes one.
    pub(crate) fn public_key(&self) -> Result<KeyHolder, PemError> {
        let (mut keys, mut certificates) = (Vec::new(), Vec::new());
        for item in self.items()? {
            match item {
                Item::SubjectPublicKeyInfo(der) => keys.push(der),
                Item::X509Certificate(der) => certificates.push(der),
                _ => {}
            }
        }
        let origin = self.origin();
        match (keys.pop(), certificates.into_iter().next()) {
            (Some(key), None) if keys.is_empty() => Ok(KeyHolder::PublicKey(key)),
            (Some(_), _) => Err(PemError::SeveralPublicKeys { origin }),
            (None, Some(first)) => Ok(KeyHolder::Certificate(first)),
            (None, None) => match self.base64() {
                Some(der) => Ok(KeyHolder::PublicKey(der.into())),
                None => Err(PemError::NoPublicKey { origin }),
            },
        }
    }

    /// The bytes whose base64 the whole text is.
    fn base64(&self) -> Option<Vec<u8>> {
        let digits = self.text.iter().filter(|byte| !byte.is_ascii_whitespace());
        let digits: Vec<u8> = digits.copied().collect();
        STANDARD.decode(digits).ok().filter(|der| !der.is_empty())
    }

    /// Parses the revocation lists.
    pub(crate) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
        let lists = self.items()?.into_iter().filter_map(|item| match item {
            Item::Crl(der) => Some(der),
            _ => None,
        });
        Ok(lists.collect())
    }

    /// The number of the first line, from 1, that is neither of a PEM block nor a comment as AWS's bundles have them: `#`
    /// without `-` after it.
    pub(crate) fn stray_line(&self) -> Option<usize> {
        let mut in_block = false;
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let is_stray = |line: &[u8]| {
            let line = line.trim_ascii_end();
            if line.starts_with(b"-----BEGIN ") {
                in_block = true;
            } else if line.starts_with(b"-----END ") {
                in_block = false;
            } else {
                let is_comment = line.starts_with(b"#") && !line.contains(&b'-');
                return line.is_empty() || !(in_block || is_comment);
            }
            false
        };
        let stray = text.split(|&byte| byte == b'\n').position(is_stray);
        stray.map(|index| index + 1)
    }

    /// Parses the only private key (PKCS#8, PKCS#1 or SEC1); ignores certificates.
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

/// Whether the text contains an encrypted key, which the parser skips silently.
fn is_encrypted(bytes: &[u8]) -> bool {
    let marker = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    bytes.windows(marker.len()).any(|window| window == marker)
}
