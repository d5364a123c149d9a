use super::*;
use crate::testkit::{Folder, Key, built, declare, loaded, loaded_until, pem};
use elbow_model::{Account, CertificateSpec, PrivateKey};

#[test]
fn arn_names_the_account_and_its_region() {
    let (chain, key) = pem(&["a.example"], Key::P256, 2031);
    let certificate = built(&CertificateSpec::pem("web", chain, PrivateKey::new(key)));
    let account = Account {
        region: "eu-central-1".to_owned(),
        id: "111122223333".to_owned(),
    };
    let loaded = load(&certificate, &account).unwrap();
    assert_eq!(
        **loaded.arn(),
        *"arn:aws:acm:eu-central-1:111122223333:certificate/web"
    );
}

#[test]
fn certificate_properties_are_read() {
    let rsa = loaded_until(
        "web",
        &["WWW.Example.com", "*.example.com"],
        Key::Rsa3072,
        2031,
    );
    assert_eq!(
        **rsa.arn(),
        *"arn:aws:acm:us-east-1:000000000000:certificate/web"
    );
    assert_eq!(
        rsa.names(),
        ["www.example.com".into(), "*.example.com".into()]
    );
    assert_eq!(
        (rsa.key_type(), rsa.key_bits(), rsa.digest_bits()),
        (KeyType::Rsa, 3072, 256)
    );
    // 2001-01-01 and 2031-12-31, midnight UTC.
    assert_eq!(
        (rsa.not_before(), rsa.not_after()),
        (978_307_200, 1_956_441_600)
    );
    assert!(rsa.is_valid_at(1_956_441_600));
    assert!(!rsa.is_valid_at(1_956_441_601));
    assert!(!rsa.is_valid_at(978_307_199));

    let p384 = loaded("api", &["api.example.com"], Key::P384);
    assert_eq!(
        (p384.key_type(), p384.key_bits(), p384.digest_bits()),
        (KeyType::Ecdsa, 384, 384)
    );
}

#[test]
fn common_name_counts_without_alternative_names() {
    let folder = Folder::new();
    let key = Key::P256.generate();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Old.Example.com");
    let chain = folder.write("chain.pem", &params.self_signed(&key).unwrap().pem());
    let key = folder.write("key.pem", &key.serialize_pem());
    let certificate = load(&declare("old", chain, key), &Account::default()).unwrap();
    assert_eq!(certificate.names(), ["old.example.com".into()]);
}

#[test]
fn key_of_another_certificate_is_refused() {
    let folder = Folder::new();
    let chain = folder.write("chain.pem", &pem(&["a.example"], Key::P256, 2099).0);
    let key = folder.write("key.pem", &pem(&["b.example"], Key::P256, 2099).1);
    let error = load(
        &declare("a", chain.clone(), key.clone()),
        &Account::default(),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the private key does not belong to the certificate in {}; use the key that the \
             certificate was issued for, and put the leaf first in the chain",
            key.display(),
            chain.display()
        )
    );
}

/// Parity 2.2: Ed25519 is not supported by ALB.
#[test]
fn ed25519_key_is_refused() {
    let folder = Folder::new();
    let (chain, key) = pem(&["a.example"], Key::Ed25519, 2099);
    let chain = folder.write("chain.pem", &chain);
    let key = folder.write("key.pem", &key);
    let error = load(&declare("a", chain, key), &Account::default()).unwrap_err();
    assert!(matches!(error, CertificateError::KeyType { .. }), "{error}");
}

/// Parity 2.2: AWS takes RSA of 1024 bits, elbow's TLS library does not.
#[test]
fn rsa_key_of_1024_bits_is_refused_by_name() {
    let folder = Folder::new();
    let chain = folder.write("chain.pem", include_str!("tests/rsa_1024.pem"));
    let key = folder.write("key.pem", &pem(&["a.example"], Key::P256, 2099).1);
    let error = load(&declare("a", chain.clone(), key), &Account::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the key is RSA of 1024 bits; elbow needs 2048 to 8192, although AWS's load balancers take 1024 as \
             well; issue the certificate for a key of 2048 bits",
            chain.display()
        )
    );
}

#[test]
fn damaged_certificate_or_key_is_named() {
    let folder = Folder::new();
    let (chain, key) = pem(&["a.example"], Key::P256, 2099);
    let good = (
        folder.write("chain.pem", &chain),
        folder.write("key.pem", &key),
    );
    let bad_chain = folder.write(
        "bad-chain.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let bad_key = folder.write(
        "bad-key.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let error = load(
        &declare("a", bad_chain.clone(), good.1),
        &Account::default(),
    )
    .unwrap_err()
    .to_string();
    let want = format!(
        "{}: the first certificate cannot be parsed",
        bad_chain.display()
    );
    assert!(error.starts_with(&want), "{error}");
    let error = load(&declare("a", good.0, bad_key.clone()), &Account::default())
        .unwrap_err()
        .to_string();
    let want = format!("{}: the private key cannot be used", bad_key.display());
    assert!(error.starts_with(&want), "{error}");
}

/// Messages name the fields of inline texts, never their content.
#[test]
fn inline_texts_are_read_like_files() {
    let of = |certificate: &str, key: &str| {
        built(&CertificateSpec::pem(
            "a",
            certificate,
            PrivateKey::new(key),
        ))
    };
    let (chain, key) = pem(&["a.example"], Key::P256, 2031);
    let loaded = load(&of(&chain, &key), &Account::default()).unwrap();
    assert_eq!(loaded.names(), ["a.example".into()]);
    assert_eq!(loaded.not_after(), 1_956_441_600);

    let other = pem(&["b.example"], Key::P256, 2099).1;
    let message = load(&of(&chain, &other), &Account::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "the field privateKey: the private key does not belong to the certificate in the field \
         certificate; use the key that the certificate was issued for, and put the leaf first in \
         the chain"
    );
    let message = load(&of(&chain, "(not shown)"), &Account::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("the field privateKey: contains no private key; expected"),
        "{message}"
    );
}

#[test]
fn certificate_not_issued_yet_cannot_be_loaded() {
    let certificate = built(&CertificateSpec::self_signed("a", ["a.example"]));
    assert!(matches!(
        load(&certificate, &Account::default()),
        Err(CertificateError::NotIssued)
    ));
}
