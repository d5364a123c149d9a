//! Trust stores, validated when loaded: the authorities that issue certificates of clients, and their revocation lists
//! (ALB guide: mutual authentication, quotas).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use elbow_model as model;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{DistinguishedName, RootCertStore};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer, X509Version};

use crate::client_algorithms::algorithms;
use crate::distinguished_name::rfc2253;
use crate::pem::{Origin, Pem, PemError};

#[cfg(test)]
mod tests;

/// Certificates of one trust store at most.
const MAX_AUTHORITIES: usize = 25;

/// Largest certificate of an authority, in bytes.
const MAX_AUTHORITY: usize = 16 << 10;

/// Size of all subjects of a trust store at most, in bytes.
const MAX_SUBJECTS: usize = 10_000;

/// Revocation lists of one trust store at most.
const MAX_REVOCATION_LISTS: usize = 30;

/// Largest file of revocation lists, in bytes.
pub const MAX_REVOCATION_BYTES: usize = 50 << 20;

/// A trust store that can verify certificates of clients.
pub struct TrustStore {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// The subjects of its authorities.
    pub(crate) subjects: Vec<DistinguishedName>,
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("authorities", &self.subjects.len())
            .finish_non_exhaustive()
    }
}

/// Why a trust store cannot be used. Each message says where the fault is and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrustStoreError {
    /// One of the files is unusable.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A line of the bundle belongs to no certificate and is no comment.
    #[error(
        "{origin}:{line}: a bundle has certificates, and comments that start with # and contain no -; remove this line"
    )]
    Line {
        /// The bundle.
        origin: Origin,
        /// From 1.
        line: usize,
    },
    /// The bundle has more certificates than AWS allows.
    #[error("{origin}: contains {count} certificates; a trust store has at most {MAX_AUTHORITIES}")]
    TooManyAuthorities {
        /// The bundle.
        origin: Origin,
        /// Their number.
        count: usize,
    },
    /// A certificate of the bundle cannot be used.
    #[error("{origin}: certificate {number}: {reason}")]
    Authority {
        /// The bundle.
        origin: Origin,
        /// Its place in the bundle, from 1.
        number: usize,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The subjects together are larger than AWS allows.
    #[error(
        "{origin}: the subjects of the certificates have {size} bytes; {MAX_SUBJECTS} are allowed"
    )]
    Subjects {
        /// The bundle.
        origin: Origin,
        /// Their size.
        size: usize,
    },
    /// A file has no revocation list.
    #[error("{origin}: contains no revocation list; expected \"-----BEGIN X509 CRL-----\"")]
    NoRevocationList {
        /// The file.
        origin: Origin,
    },
    /// The files have more revocation lists than AWS allows.
    #[error(
        "{origin}: is revocation list {count}; a trust store has at most {MAX_REVOCATION_LISTS}"
    )]
    TooManyRevocationLists {
        /// The first file that is too much.
        origin: Origin,
        /// How many there are up to it.
        count: usize,
    },
    /// A revocation list cannot be used.
    #[error("{origin}: the revocation list cannot be used: {reason}; issue it again")]
    RevocationList {
        /// The file.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
}

/// Reads and validates `store`. Blocks.
pub fn load_trust_store(store: &model::TrustStore) -> Result<Arc<TrustStore>, TrustStoreError> {
    let roots = Arc::new(authorities(&store.ca_certificates_bundle)?);
    let mut lists = Vec::new();
    for file in &store.revocations {
        for list in revocation_lists(file, &roots)? {
            lists.push(list);
            if lists.len() > MAX_REVOCATION_LISTS {
                return Err(TrustStoreError::TooManyRevocationLists {
                    origin: Origin::File(file.clone()),
                    count: lists.len(),
                });
            }
        }
    }
    let subjects = roots.subjects();
    let origin = Origin::File(store.ca_certificates_bundle.clone());
    let verifier = verifier(&roots, lists)
        .map_err(|reason| TrustStoreError::RevocationList { origin, reason })?;
    Ok(Arc::new(TrustStore { verifier, subjects }))
}

/// A certificate whose status no list knows is not revoked: AWS's lists need not be of every authority.
fn verifier(
    roots: &Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let provider = CryptoProvider {
        signature_verification_algorithms: algorithms(),
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::new(provider))
        .with_crls(lists)
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| error.to_string())
}

fn authorities(file: &Path) -> Result<RootCertStore, TrustStoreError> {
    let pem = Pem::open(file)?;
    let bundle = pem.certificates()?;
    if let Some(line) = pem.stray_line() {
        return Err(TrustStoreError::Line {
            origin: pem.origin(),
            line,
        });
    }
    let origin = || pem.origin();
    if bundle.len() > MAX_AUTHORITIES {
        return Err(TrustStoreError::TooManyAuthorities {
            origin: origin(),
            count: bundle.len(),
        });
    }
    let mut roots = RootCertStore::empty();
    for (i, certificate) in bundle.into_iter().enumerate() {
        let authority = |reason| TrustStoreError::Authority {
            origin: origin(),
            number: i + 1,
            reason,
        };
        check_authority(&certificate).map_err(authority)?;
        let added = roots.add(certificate);
        added.map_err(|error| authority(format!("cannot be used: {error}; issue it again")))?;
    }
    let size: usize = roots
        .subjects()
        .iter()
        .map(|name| name.as_ref().len())
        .sum();
    if size > MAX_SUBJECTS {
        return Err(TrustStoreError::Subjects {
            origin: origin(),
            size,
        });
    }
    Ok(roots)
}

/// Whether `certificate` is one that issues others.
fn check_authority(certificate: &CertificateDer<'_>) -> Result<(), String> {
    if certificate.len() > MAX_AUTHORITY {
        return Err(format!(
            "has {} bytes; {MAX_AUTHORITY} are allowed",
            certificate.len()
        ));
    }
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("cannot be parsed: {error}; issue it again"))?;
    let constraints = parsed.basic_constraints().ok().flatten();
    let is_authority = parsed.version() == X509Version::V3
        && constraints.is_some_and(|constraints| constraints.value.ca);
    if !is_authority {
        let subject = rfc2253(parsed.subject());
        return Err(format!(
            "\"{subject}\" is not an authority; a bundle has the certificates of those that issue certificates to clients"
        ));
    }
    Ok(())
}

/// The revocation lists in `file`, each of which a verifier takes.
fn revocation_lists(
    file: &Path,
    roots: &Arc<RootCertStore>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TrustStoreError> {
    let pem = Pem::open_up_to(file, MAX_REVOCATION_BYTES)?;
    let lists = pem.revocation_lists()?;
    let origin = pem.origin();
    if lists.is_empty() {
        return Err(TrustStoreError::NoRevocationList { origin });
    }
    // The error of a verifier of all lists would not say which one is at fault.
    match verifier(roots, lists.clone()) {
        Ok(_) => Ok(lists),
        Err(reason) => Err(TrustStoreError::RevocationList { origin, reason }),
    }
}
