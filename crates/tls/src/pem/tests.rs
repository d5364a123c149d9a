use super::*;
use crate::testkit::{Folder, Key, pem};

#[test]
fn chain_keeps_its_order() {
    let folder = Folder::new();
    let (leaf, key) = pem(&["leaf.example"], Key::P256, 2099);
    let (issuer, _) = pem(&["issuer.example"], Key::P256, 2099);
    // A key between the certificates, as in a combined file, is ignored.
    let file = folder.write("chain.pem", &format!("{leaf}{key}{issuer}"));

    let chain = Pem::open(&file).unwrap().chain().unwrap();

    let only = |pem: &str| Pem::text("one", pem).unwrap().chain().unwrap().remove(0);
    assert_eq!(chain, [only(&leaf), only(&issuer)]);
    assert!(Pem::open(&file).unwrap().key().is_ok());
}

#[test]
fn unusable_file_is_explained() {
    let folder = Folder::new();
    let (leaf, key) = pem(&["leaf.example"], Key::P256, 2099);
    let file = folder.path().join("file.pem");
    let name = file.display();
    let long = leaf.repeat(MAX_CHAIN + 1);
    let huge = "#".repeat(MAX_BYTES + 1);
    let chains = [
        (
            "",
            format!("{name}: contains no certificate; expected a chain"),
        ),
        (
            &key,
            format!("{name}: contains no certificate; expected a chain"),
        ),
        (&long, format!("{name}: contains more than 32 certificates")),
        (&huge, format!("{name}: is larger than 2097152 bytes")),
        (
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            format!("{name}: is not valid PEM; "),
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            format!("{name}: is not valid PEM; "),
        ),
    ];
    for (content, want) in chains {
        folder.write("file.pem", content);
        let message = Pem::open(&file)
            .and_then(|pem| pem.chain())
            .unwrap_err()
            .to_string();
        assert!(message.starts_with(&want), "{message}");
    }
    let two = format!("{key}{key}");
    let keys = [
        (leaf.as_str(), format!("{name}: contains no private key")),
        (&two, format!("{name}: contains 2 private keys")),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            format!("{name}: contains an encrypted private key; decrypt it"),
        ),
    ];
    for (content, want) in keys {
        folder.write("file.pem", content);
        let message = Pem::open(&file)
            .and_then(|pem| pem.key())
            .unwrap_err()
            .to_string();
        assert!(message.starts_with(&want), "{message}");
    }
}

#[test]
fn missing_file_is_named() {
    let folder = Folder::new();
    let file = folder.path().join("absent.pem");
    let message = Pem::open(&file).err().unwrap().to_string();
    assert!(
        message.starts_with(&format!("{}: cannot be read: No such file", file.display())),
        "{message}"
    );
}

/// A folded YAML scalar puts the whole text on one line.
#[test]
fn key_on_one_line_is_not_shown() {
    let (_, key) = pem(&["leaf.example"], Key::P256, 2099);
    let secret = key.lines().nth(1).unwrap();
    for folded in [key.replace('\n', " "), key.replacen('\n', " ", 1)] {
        let error = Pem::text("the key", &folded)
            .and_then(|pem| pem.key())
            .unwrap_err();
        assert!(matches!(error, PemError::Malformed { .. }), "{error}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
