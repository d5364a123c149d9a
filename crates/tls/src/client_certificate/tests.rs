use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, SerialNumber};
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::testkit::Key;
use crate::testkit::pki::{Authority, LeafSpec};

fn leaf_of(params: CertificateParams, key: Key) -> CertificateDer<'static> {
    let certificate = params.self_signed(&key.generate()).unwrap();
    certificate.der().clone()
}

fn described(der: &CertificateDer<'_>) -> ClientCertificate {
    Leaf::parse(der).unwrap().describe()
}

/// ALB guide, mutual authentication and connection logs: the forms of the examples.
#[test]
fn certificate_is_described_as_in_the_guide() {
    let spec = LeafSpec {
        serial: 0x03_A5_B1,
        years: (2023, 2049),
        ..LeafSpec::default()
    };
    let leaf = Authority::new("root").leaf(&spec, &[]);
    let certificate = described(&leaf.chain[0]);
    assert_eq!(certificate.subject, "CN=client,O=Acme\\, Inc.");
    assert_eq!(certificate.issuer, "CN=root");
    assert_eq!(certificate.serial_number, "03A5B1");
    assert_eq!(
        certificate.validity,
        "NotBefore=2023-01-02T00:00:00Z;NotAfter=2049-03-04T00:00:00Z"
    );
}

/// RFC 2253, as `openssl x509 -nameopt RFC2253` writes it.
#[test]
fn names_are_escaped() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SerialNumber::from(0xFEF2_5737_2D5C_14D4));
    params.distinguished_name = DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::CountryName, "DE");
    name.push(DnType::OrganizationName, " #Ärger; \"<+>\\\r\n ");
    name.push(DnType::CommonName, "#1");
    name.push(
        DnType::CustomDnType(vec![1, 2, 3]),
        DnValue::Utf8String("x".into()),
    );
    let certificate = described(&leaf_of(params, Key::P256));
    assert_eq!(
        certificate.subject,
        "1.2.3=#0C0178,CN=\\#1,O=\\ #\\C3\\84rger\\; \\\"\\<\\+\\>\\\\\\0D\\0A\\ ,C=DE"
    );
    assert_eq!(certificate.serial_number, "FEF257372D5C14D4");
}

#[test]
fn pem_is_percent_encoded_and_whole() {
    let leaf = Authority::new("root").leaf(&LeafSpec::default(), &[]);
    let chain = [&leaf.chain[0], &leaf.chain[0]];
    let text = percent_encoded_pem(chain);
    assert!(text.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"));
    assert!(text.ends_with("%0A-----END%20CERTIFICATE-----%0A"));
    assert!(!text.contains([' ', '\n', '\r']));
    let decoded = text.replace("%20", " ").replace("%0A", "\n");
    assert!(decoded.lines().all(|line| line.len() <= 64));
    let read: Vec<_> = CertificateDer::pem_slice_iter(decoded.as_bytes())
        .map(Result::unwrap)
        .collect();
    assert_eq!(read.iter().collect::<Vec<_>>(), chain);
}

/// ALB guide, mutual authentication: supported keys.
#[test]
fn keys_that_aws_supports() {
    let params = || CertificateParams::new(Vec::new()).unwrap();
    for (key, is_supported) in [
        (Key::P256, true),
        (Key::P384, true),
        (Key::Rsa2048, true),
        (Key::Rsa3072, true),
        (Key::Ed25519, false),
    ] {
        let leaf = leaf_of(params(), key);
        assert_eq!(
            Leaf::parse(&leaf).unwrap().has_supported_key(),
            is_supported,
            "{key:?}"
        );
    }
}

#[test]
fn only_whole_certificates_are_parsed() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let oid = &[1, 3, 6, 1, 4, 1, 1];
    params.custom_extensions = vec![CustomExtension::from_oid_content(oid, vec![5, 0])];
    let leaf = leaf_of(params, Key::P256);
    assert!(Leaf::parse(&leaf).is_some());
    for length in 0..leaf.len() {
        let cut = CertificateDer::from(leaf[..length].to_vec());
        assert!(Leaf::parse(&cut).is_none(), "{length}");
    }
    // Damaged ones are refused, or described in printable ASCII.
    for place in 0..leaf.len() {
        for bit in 0..8 {
            let mut damaged = leaf.to_vec();
            damaged[place] ^= 1 << bit;
            let damaged = CertificateDer::from(damaged);
            if let Some(leaf) = Leaf::parse(&damaged) {
                let certificate = leaf.describe();
                let _ = leaf.has_supported_key();
                let text = certificate.subject + &certificate.issuer + &certificate.validity;
                assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
            }
        }
    }
    let longer = CertificateDer::from([&leaf[..], &[0]].concat());
    assert!(Leaf::parse(&longer).is_none());
}
