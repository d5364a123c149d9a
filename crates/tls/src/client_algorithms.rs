//! The signature algorithms of certificates of clients.

use std::sync::LazyLock;

use rustls::SignatureScheme;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls_pki_types::{SignatureVerificationAlgorithm, alg_id};

/// The signature algorithms that AWS accepts of clients: rustls' own without Ed25519.
pub(crate) fn algorithms() -> WebPkiSupportedAlgorithms {
    type Algorithm = &'static dyn SignatureVerificationAlgorithm;
    static ALL: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
        let own = aws_lc_rs::default_provider().signature_verification_algorithms;
        let is_accepted = |one: &Algorithm| one.public_key_alg_id() != alg_id::ED25519;
        own.all.iter().copied().filter(is_accepted).collect()
    });
    static MAPPING: LazyLock<Vec<(SignatureScheme, &'static [Algorithm])>> = LazyLock::new(|| {
        let own = aws_lc_rs::default_provider().signature_verification_algorithms;
        let is_accepted = |(scheme, _): &(SignatureScheme, _)| *scheme != SignatureScheme::ED25519;
        own.mapping.iter().copied().filter(is_accepted).collect()
    });
    WebPkiSupportedAlgorithms {
        all: &ALL,
        mapping: &MAPPING,
    }
}
