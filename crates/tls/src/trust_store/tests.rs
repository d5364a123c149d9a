use crate::testkit::pki::{Authority, LeafSpec, trust_store};

fn pem_of(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn bundle_has_authorities_and_comments() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let bundle = format!("# the first\r\n{}#the second\n{}", one.pem, two.pem);
    let list = one.revocation_list(1) + &two.revocation_list(2);
    let store = trust_store(&bundle, &[&list, &list]).unwrap();
    assert_eq!(store.subjects.len(), 2);
}

/// ALB guide, mutual authentication: what a bundle may have; quotas.
#[test]
fn unusable_trust_store_is_explained() {
    let root = Authority::new("root");
    let leaf = root.leaf(&LeafSpec::default(), &[]);
    let list = root.revocation_list(1);
    let damaged = list.replacen("MI", "AA", 1);
    let long = Authority::new(&"x".repeat(5_100)).pem.repeat(2);
    let bundle = &root.pem;
    let cases: &[(String, &[&str], &str)] = &[
        ("".into(), &[], "bundle.pem: contains no certificate"),
        (
            format!("{bundle}\n{bundle}"),
            &[],
            &format!("bundle.pem:{}: a bundle has", bundle.lines().count() + 1),
        ),
        (
            format!("subject=root\n{bundle}"),
            &[],
            "bundle.pem:1: a bundle has certificates, and comments",
        ),
        (
            format!("# a-b\n{bundle}"),
            &[],
            "bundle.pem:1: a bundle has certificates, and comments",
        ),
        (
            bundle.repeat(26),
            &[],
            "bundle.pem: contains 26 certificates; a trust store has at most 25",
        ),
        (
            bundle.clone() + &pem_of(&leaf.chain[0]),
            &[],
            "bundle.pem: certificate 2: \"CN=client,O=Acme\\, Inc.\" is not an authority",
        ),
        (
            long,
            &[],
            "bundle.pem: the subjects of the certificates have 102",
        ),
        (
            pem_of(&[0; 17 << 10]),
            &[],
            "certificate 1: has 17408 bytes",
        ),
        (pem_of(b"x"), &[], "certificate 1: cannot be parsed"),
        (
            bundle.clone(),
            &[&list, bundle],
            "1.crl: contains no revocation list",
        ),
        (
            bundle.clone(),
            &[&damaged],
            "0.crl: the revocation list cannot be used",
        ),
        (
            bundle.clone(),
            &[&list.repeat(31)],
            "0.crl: is revocation list 31; a trust store has at most 30",
        ),
    ];
    for (bundle, lists, expected) in cases {
        let message = trust_store(bundle, lists).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nnot {expected}");
    }
}
