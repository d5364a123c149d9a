//! Certificates of clients and bundles of authorities: no panic, memory in proportion to the input, and forms that fit into a
//! field of HTTP and a line of a log.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elbow_model::{TrustStore, TrustStoreSpec};
use elbow_tls::client_certificate::{Leaf, percent_encoded_pem};
use elbow_tls::load_trust_store;
use rustls_pki_types::CertificateDer;

use crate::peak;

/// Peak heap of one check in bytes, in addition to a multiple of the input.
const HEAP: usize = 512 * 1024;
/// Bytes of a form for a byte of a certificate: an object identifier has a number of up to three digits and a dot for each.
const GROWTH: usize = 4;

/// Checks what targets and logs get of the certificate that is `der`.
pub(crate) fn client_certificate(der: &[u8]) {
    let der = CertificateDer::from(der);
    let Some(leaf) = peak::within(HEAP + 64 * der.len(), || Leaf::parse(&der)) else {
        return;
    };
    let _ = (leaf.has_supported_key(), leaf.not_after());
    let described = peak::within(HEAP + 64 * der.len(), || leaf.describe());
    for form in [&described.subject, &described.issuer] {
        assert!(
            form.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{form:?}"
        );
        assert!(form.len() <= GROWTH * der.len(), "{form:?}");
        // RFC 2253, 2.4: what ends a value is escaped.
        assert!(!form.starts_with(' '), "{form:?}");
        assert!(form.is_empty() || form.contains('='), "{form:?}");
    }
    let serial = &described.serial_number;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    assert!(
        serial.bytes().all(is_digit) && serial.len() % 2 == 0,
        "{serial}"
    );
    let validity = described
        .validity
        .split(';')
        .map(|date| date.split_once('='));
    let names: Vec<_> = validity.flatten().collect();
    let [("NotBefore", before), ("NotAfter", after)] = names[..] else {
        panic!("{}", described.validity);
    };
    for date in [before, after] {
        assert_eq!(date.len(), "2023-09-21T01:50:17Z".len(), "{date}");
    }

    let encoded = percent_encoded_pem([&der, &der]);
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-%+=/".contains(&byte);
    assert!(encoded.bytes().all(is_kept), "{encoded}");
    let pem = encoded.replace("%20", " ").replace("%0A", "\n");
    let blocks: Vec<_> = pem.split("-----BEGIN CERTIFICATE-----\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let text = block.strip_suffix("-----END CERTIFICATE-----\n").unwrap();
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(STANDARD.decode(text.replace('\n', "")).unwrap(), &*der);
    }
}

/// Reads `input` as the bundle of a trust store, and what follows a line of `%` as its revocation lists. Both are written below
/// `folder`.
pub(crate) fn trust_store(input: &[u8], folder: &Path) {
    let split = input.windows(3).position(|window| window == b"\n%\n");
    let (bundle, lists) = match split {
        Some(at) => (&input[..=at], Some(&input[at + 3..])),
        None => (input, None),
    };
    let bundle_file = folder.join("bundle.pem");
    let lists_file = folder.join("lists.pem");
    std::fs::write(&bundle_file, bundle).unwrap();
    std::fs::write(&lists_file, lists.unwrap_or_default()).unwrap();
    let store = TrustStore::new(&TrustStoreSpec {
        name: Some("store".to_owned()),
        ca_certificates_bundle_file: Some(bundle_file.clone()),
        revocation_files: lists.map(|_| vec![lists_file.clone()]),
        declared: None,
    });
    let store = store.value.expect("a valid trust store");
    match peak::within(HEAP + 128 * input.len(), || load_trust_store(&store)) {
        Err(error) => {
            let told = error.to_string();
            let files = [&bundle_file, &lists_file].map(|file| file.display().to_string());
            assert!(files.iter().any(|file| told.starts_with(file)), "{told}");
            assert!(!told.contains('\n'), "{told}");
        }
        Ok(_) => {
            // ALB guide, mutual authentication: certificates, up to 25, and comments.
            let text = String::from_utf8_lossy(bundle);
            let begins = text.matches("-----BEGIN CERTIFICATE-----").count();
            assert!((1..=25).contains(&begins), "{begins} certificates");
            let lists = lists.map(String::from_utf8_lossy);
            assert!(lists.is_none_or(|lists| lists.contains("-----BEGIN X509 CRL-----")));
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if line.starts_with("-----BEGIN ") {
                    assert!(lines.any(|line| line.starts_with("-----END ")), "{text}");
                } else {
                    assert!(line.starts_with('#'), "{text}");
                }
            }
        }
    }
}
