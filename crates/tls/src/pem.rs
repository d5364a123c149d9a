//! Certificates and keys out of PEM; the only user of `rustls-pemfile`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls_pemfile::Item;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

#[cfg(test)]
mod tests;

/// A file may be this large: ACM takes a chain of 2 MB.
const MAX_FILE: u64 = 2 << 20;

/// A chain may have this many certificates; real ones have less than five.
const MAX_CHAIN: usize = 32;

/// Why a PEM file cannot be used; every variant names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be opened or read.
    #[error("{}: cannot be read: {source}; check the path and its permissions", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is too large to be what it is meant to be.
    #[error("{}: is larger than {MAX_FILE} bytes; expected PEM", file.display())]
    TooLarge {
        /// Which file.
        file: PathBuf,
    },
    /// Something between BEGIN and END is broken.
    #[error("{}: is not valid PEM: {reason}; export it again", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No certificate in it.
    #[error(
        "{}: holds no certificate; expected a chain of \"-----BEGIN CERTIFICATE-----\", leaf first",
        file.display()
    )]
    NoCertificate {
        /// Which file.
        file: PathBuf,
    },
    /// More certificates than a chain can have.
    #[error(
        "{}: holds more than {MAX_CHAIN} certificates; keep the leaf and its intermediates",
        file.display()
    )]
    ChainTooLong {
        /// Which file.
        file: PathBuf,
    },
    /// No private key in it.
    #[error(
        "{}: holds no private key; expected \"-----BEGIN PRIVATE KEY-----\" (PKCS#8), RSA or EC",
        file.display()
    )]
    NoKey {
        /// Which file.
        file: PathBuf,
    },
    /// The key needs a passphrase.
    #[error(
        "{}: holds an encrypted private key; decrypt it, e.g. with openssl pkey",
        file.display()
    )]
    EncryptedKey {
        /// Which file.
        file: PathBuf,
    },
    /// More than one private key in it.
    #[error("{}: holds {count} private keys; keep the one of the certificate", file.display())]
    SeveralKeys {
        /// Which file.
        file: PathBuf,
        /// How many.
        count: usize,
    },
}

/// The chain in `file`, in the file's order; a key beside it is passed over.
pub fn load_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let chain: Vec<_> = items(file, &read(file)?)?
        .into_iter()
        .filter_map(|item| match item {
            Item::X509Certificate(der) => Some(der),
            _ => None,
        })
        .collect();
    let file = || file.to_owned();
    match chain.len() {
        0 => Err(PemError::NoCertificate { file: file() }),
        n if n > MAX_CHAIN => Err(PemError::ChainTooLong { file: file() }),
        _ => Ok(chain),
    }
}

/// The one private key in `file` (PKCS#8, PKCS#1 or SEC1); certificates beside it are passed over.
pub fn load_key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = read(file)?;
    let mut keys: Vec<PrivateKeyDer<'static>> = items(file, &bytes)?
        .into_iter()
        .filter_map(|item| match item {
            Item::Pkcs8Key(der) => Some(der.into()),
            Item::Pkcs1Key(der) => Some(der.into()),
            Item::Sec1Key(der) => Some(der.into()),
            _ => None,
        })
        .collect();
    let count = keys.len();
    match keys.pop() {
        Some(key) if count == 1 => Ok(key),
        Some(_) => Err(PemError::SeveralKeys {
            file: file.to_owned(),
            count,
        }),
        None if is_encrypted(&bytes) => Err(PemError::EncryptedKey {
            file: file.to_owned(),
        }),
        None => Err(PemError::NoKey {
            file: file.to_owned(),
        }),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, PemError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|source| PemError::Read {
            file: file.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(PemError::TooLarge {
            file: file.to_owned(),
        });
    }
    Ok(bytes)
}

fn items(file: &Path, mut bytes: &[u8]) -> Result<Vec<Item>, PemError> {
    rustls_pemfile::read_all(&mut bytes)
        .collect::<Result<_, _>>()
        .map_err(|e| PemError::Malformed {
            file: file.to_owned(),
            reason: e.to_string(),
        })
}

/// Such a section is skipped by the parser, which would call the file empty.
fn is_encrypted(bytes: &[u8]) -> bool {
    let marker = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    bytes.windows(marker.len()).any(|window| window == marker)
}
