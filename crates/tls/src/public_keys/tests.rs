use std::net::SocketAddr;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elbow_net::{ConnectError, ConnectErrorKind};
use rcgen::{KeyPair, PublicKeyData};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::stream::ClientTls;
use crate::testkit::pki::Authority;
use crate::testkit::{Folder, Key, LONG, acceptor, loaded, pem, sockets};
use crate::{BackendPolicy, Originator};

/// A certificate and its key, as PEM.
type Pair = (String, String);

fn expired(key: Key) -> Pair {
    pem(&["elsewhere.example"], key, 2010)
}

/// The public key of a private one, as `openssl pkey -pubout` writes it.
fn public(private: &str) -> String {
    KeyPair::from_pem(private).unwrap().public_key_pem()
}

/// The public key in a file with this text.
fn load(text: &str) -> Result<PublicKey, PublicKeyError> {
    let folder = Folder::new();
    load_public_key(&folder.write("key.pem", text))
}

/// CLB guide, HTTPS load balancers: the key as openssl shows it, without the first and the last line.
#[test]
fn public_key_is_read_from_pem_from_base64_and_from_a_certificate() {
    for key in [Key::P256, Key::P384, Key::Rsa2048, Key::Ed25519] {
        let (certificate, private) = expired(key);
        let whole = public(&private);
        let expected = load(&whole).unwrap();
        let spki = KeyPair::from_pem(&private)
            .unwrap()
            .subject_public_key_info();
        assert_eq!(*expected.spki, *spki);
        let lines: Vec<&str> = whole.lines().collect();
        let [_, inner @ .., _] = &lines[..] else {
            panic!("{whole}");
        };
        let chain = certificate.clone() + &Authority::new("issuer").pem;
        let combined = private + &certificate;
        let crlf = inner.join("\r\n") + "\r\n";
        for text in [&inner.concat(), &crlf, &certificate, &chain, &combined] {
            assert_eq!(load(text).unwrap(), expected, "{key:?} {text}");
        }
    }
}

#[test]
fn unusable_public_key_is_explained() {
    let (certificate, private) = expired(Key::P256);
    let key = public(&private);
    let small = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCpXF5rgE/FEi6152w4R0abwmfz
r7FE+rbCTWkyANEHzgUDDuIDGPlmmdjDVoQ3cnMzAT4DXmW032acTihOrEZlaJgO
ZQlXhojJK1Qrb5RIMXkcRmsrWcBl+hjb6QW1oJbG2T91JfKj8SXbGv/7SL8cBbYC
fUB2Xn9b16p+3bPUlwIDAQAB
-----END PUBLIC KEY-----
";
    let secp256k1 = "-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEgnzLhh1sh7dfjp4EuZa1G+b4L7LGcOac
ZoRT7LrRkFApObS8VqnS9w7uQi4oA2rshDr/WIvDGngapUBppjIFUg==
-----END PUBLIC KEY-----
";
    let none = "contains no public key; expected a certificate";
    let several = "contains several public keys; put each into a file of its own";
    let damaged = "the public key cannot be used: it cannot be parsed";
    for (text, message) in [
        ("", none),
        (&private, none),
        ("no key at all", none),
        (&format!("{key}{key}"), several),
        (&format!("{key}{certificate}"), several),
        ("bm8gRExS", damaged),
        (&key.lines().nth(1).unwrap()[..60], damaged),
        (
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
            damaged,
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
            "is not valid PEM; put BEGIN and END on lines of their own",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "the public key cannot be used: the certificate cannot be parsed",
        ),
        (
            small,
            "the public key cannot be used: an RSA key has 2048 to 8192 bits",
        ),
        (
            secp256k1,
            "the public key cannot be used: its type is not supported; use RSA",
        ),
    ] {
        let told = load(text).unwrap_err().to_string();
        let (file, told) = told.split_once(": ").unwrap();
        assert!(file.ends_with("key.pem"), "{file}");
        assert!(told.starts_with(message), "{text}: {told}");
    }
    let absent = load_public_key(Path::new("/absent.pem")).unwrap_err();
    assert!(
        absent
            .to_string()
            .starts_with("/absent.pem: cannot be read: No such file")
    );
}

#[test]
fn key_and_certificate_end_where_their_encoding_ends() {
    let (certificate, private) = expired(Key::P256);
    let spki = KeyPair::from_pem(&private)
        .unwrap()
        .subject_public_key_info();
    let der = Pem::text("chain", &certificate).unwrap().chain().unwrap();
    let last = spki.len() - 1;
    // The count of bits of the last byte that are unused, in front of the point of 65 bytes.
    let unused_bits = spki.len() - 66;
    let changed = |at: usize, value: u8| {
        let mut changed = spki.clone();
        changed[at] = value;
        changed
    };
    let longer = |der: &[u8]| [der, &[0]].concat();
    assert!(load(&pem_of("PUBLIC KEY", &changed(last, 0))).is_ok());
    let mut unused = changed(last, 0);
    unused[unused_bits] = 1;
    for (name, der) in [
        ("PUBLIC KEY", longer(&spki)),
        ("PUBLIC KEY", unused),
        ("CERTIFICATE", longer(&der[0])),
    ] {
        let told = load(&pem_of(name, &der)).unwrap_err().to_string();
        assert!(told.contains("cannot be parsed"), "{told}");
    }
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    for (bytes, is_accepted) in [(255, false), (256, true), (1024, true), (1025, false)] {
        let loaded = load(&pem_of("PUBLIC KEY", &rsa_spki(bytes)));
        assert_eq!(loaded.is_ok(), is_accepted, "{bytes}: {loaded:?}");
    }
}

fn pem_of(name: &str, der: &[u8]) -> String {
    let content = STANDARD.encode(der);
    format!("-----BEGIN {name}-----\n{content}\n-----END {name}-----\n")
}

/// The SubjectPublicKeyInfo of an RSA key with a modulus of `bytes` bytes (RFC 3279, 2.3.1).
fn rsa_spki(bytes: usize) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let length = (content.len() as u16).to_be_bytes();
        [&[tag, 0x82][..], &length, content].concat()
    };
    let modulus = [&[0][..], &vec![0xff; bytes]].concat();
    let exponent = [2, 3, 1, 0, 1];
    let key = element(0x30, &[&element(2, &modulus)[..], &exponent].concat());
    let algorithm = [
        0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0,
    ];
    let bits = element(3, &[&[0][..], &key].concat());
    element(0x30, &[&algorithm[..], &bits].concat())
}

/// A target that presents the certificate of one pair and signs with the key of another.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl Presents {
    fn new((certificate, _): &Pair, (_, private): &Pair) -> Self {
        let chain = Pem::text("chain", certificate).unwrap().chain().unwrap();
        let key: PrivateKeyDer<'static> = Pem::text("key", private).unwrap().key().unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }
}

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Connects to a target that presents the certificate of `presented` and signs with the key of `signing`.
async fn connect(
    originator: &Originator,
    version: &'static SupportedProtocolVersion,
    presented: &Pair,
    signing: &Pair,
) -> Result<ClientTls, ConnectError> {
    let mut server = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Presents::new(presented, signing)));
    server.send_tls13_tickets = 0;
    let (accepted, connected) = sockets().await;
    let target = SocketAddr::from(([127, 0, 0, 1], 443));
    let (server, client) = tokio::join!(
        TlsAcceptor::from(Arc::new(server)).accept(accepted),
        originator.connect(connected, target, LONG),
    );
    assert_eq!(server.is_ok(), client.is_ok());
    client
}

fn authenticating(texts: &[&str]) -> Originator {
    let keys = texts.iter().map(|text| load(text).unwrap()).collect();
    Originator::authenticating(BackendPolicy::Tls13, keys).unwrap()
}

/// CLB guide, HTTPS load balancers: the load balancer communicates with an instance only if its public key matches.
#[tokio::test]
async fn target_is_accepted_only_with_a_listed_key() {
    for version in [&TLS12, &TLS13] {
        for key in [Key::P256, Key::P384, Key::Rsa2048, Key::Ed25519] {
            let (listed, other) = (expired(key), expired(key));
            let second = expired(Key::P256);
            let both = authenticating(&[&public(&second.1), &listed.0]);
            for pair in [&listed, &second] {
                connect(&both, version, pair, pair).await.unwrap();
            }
            let refused = connect(&both, version, &other, &other).await.unwrap_err();
            assert_eq!(refused.kind, ConnectErrorKind::TlsPublicKey, "{key:?}");
            assert_eq!(
                refused.to_string(),
                "the target's public key is not in the policy"
            );
        }
    }
}

/// Anybody can present a certificate, which is public.
#[tokio::test]
async fn target_with_the_listed_certificate_has_to_sign_with_its_key() {
    for version in [&TLS12, &TLS13] {
        for key in [Key::P256, Key::P384, Key::Rsa2048, Key::Ed25519] {
            let (listed, thief) = (expired(key), expired(key));
            let originator = authenticating(&[&listed.0]);
            let refused = connect(&originator, version, &listed, &thief).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind, ConnectErrorKind::TlsHandshake, "{key:?}");
            let cause = refused.source.unwrap().to_string();
            assert_eq!(cause, "invalid peer certificate: BadSignature", "{key:?}");
        }
    }
}

/// As `openssl x509 -req` issues them: other verifiers refuse certificates of version 1.
#[tokio::test]
async fn certificate_of_version_1_is_accepted() {
    let certificate = "-----BEGIN CERTIFICATE-----
MIIBITCByQIUL1yqTfQ1hTOBBmk+6XDSKtFK61wwCgYIKoZIzj0EAwIwEzERMA8G
A1UEAwwIaW5zdGFuY2UwIBcNMjYxMTMwMTIzNzQxWhgPMjEyNjExMDYxMjM3NDFa
MBMxETAPBgNVBAMMCGluc3RhbmNlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
2w05Ipk4pHYKSjacBPGiXCMDgGf/NN/ZL2yuZkuUNxSwm7tY1gqxLVnDHkln1inw
BnfK5gWI7MvbQxwqAK7okjAKBggqhkjOPQQDAgNHADBEAiA6Bu8wHVnK4sBNg87x
TwUyZxhPyi/IkyTSGlXbcPfd3gIgckAlrplPNRbMQPQHlxSoOIRDq9iBkHk9wVYi
9a2hL7c=
-----END CERTIFICATE-----
";
    let private = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguen362LYSMMcd76H
+OW467A7A3BEmihzx7WmO09CbfehRANCAATbDTkimTikdgpKNpwE8aJcIwOAZ/80
39kvbK5mS5Q3FLCbu1jWCrEtWcMeSWfWKfAGd8rmBYjsy9tDHCoAruiS
-----END PRIVATE KEY-----
";
    let pair = (certificate.to_owned(), private.to_owned());
    let originator = authenticating(&[certificate]);
    for version in [&TLS12, &TLS13] {
        connect(&originator, version, &pair, &pair).await.unwrap();
        let thief = expired(Key::P256);
        let refused = connect(&originator, version, &pair, &thief).await;
        assert!(refused.is_err());
    }
}

/// A session stands for the key of the handshake that began it: another list of keys does not resume it.
#[tokio::test]
async fn session_is_resumed_only_with_the_keys_that_began_it() {
    let policy = "ELBSecurityPolicy-TLS13-1-2-2021-06";
    let target = acceptor(policy, vec![loaded("a", &["a.example"], Key::P256)]);
    let address = SocketAddr::from(([127, 0, 0, 1], 443));
    let reach = async |originator: &Originator| {
        let (accepted, connected) = sockets().await;
        let (server, client) = tokio::join!(
            target.accept(accepted, LONG, Instant::now()),
            originator.connect(connected, address, LONG),
        );
        let mut client = client?;
        let (mut server, meta) = server.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut server, b"s")
            .await
            .unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b's');
        Ok::<bool, ConnectError>(meta.resumed)
    };
    let unverified = Originator::new(BackendPolicy::Tls13).unwrap();
    assert!(!reach(&unverified).await.unwrap());
    assert!(reach(&unverified).await.unwrap());
    let (_, other) = expired(Key::P256);
    let refused = reach(&authenticating(&[&public(&other)])).await;
    assert_eq!(refused.unwrap_err().kind, ConnectErrorKind::TlsPublicKey);
}
