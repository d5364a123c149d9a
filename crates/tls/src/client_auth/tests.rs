use elbow_model::{IdentityField, MatchType, Personality};
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::AsyncReadExt;

use super::*;
use crate::testkit::pki::{Authority, Issued, LeafSpec, trust_store, verify};
use crate::testkit::{Key, client, connect, handshake, loaded};
use crate::{AcceptError, Acceptor, Tickets, policy};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn acceptor(auth: ClientAuth) -> Acceptor {
    Acceptor::new(
        "alb",
        &Personality::APPLICATION,
        &policy("ELBSecurityPolicy-TLS13-1-2-2021-06").unwrap(),
        vec![loaded("a", &["a.example"], Key::P256)],
        Vec::new(),
        Some(auth),
        &Tickets::new(),
    )
    .unwrap()
}

/// A client that sends `issued`, whoever the server trusts.
fn client_with(issued: &Issued, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut config = client(&[version]);
    let key = PrivatePkcs8KeyDer::from(issued.key.clone()).into();
    let signing = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(issued.chain.clone(), signing);
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    Arc::new(config)
}

/// The certificate that the acceptor verified, or its error and the alert that the client got.
async fn meet(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
) -> Result<Option<ClientCertificate>, (AcceptError, Option<AlertDescription>)> {
    let (server, peer) = handshake(acceptor, client, "a.example").await;
    match server {
        Ok((_, meta)) => Ok(meta.client_certificate.map(|one| *one)),
        Err(error) => {
            // With TLS 1.3 a client is done before the server has verified its certificate.
            let told = match peer {
                Ok(mut peer) => peer.read(&mut [0]).await.map(|_| ()),
                Err(error) => Err(error),
            };
            let told = told.err().and_then(|e| e.downcast::<TlsError>().ok());
            let alert = told.and_then(|error| match error {
                TlsError::AlertReceived(alert) => Some(alert),
                _ => None,
            });
            Err((error, alert))
        }
    }
}

/// ALB guide, connection logs: the codes of client certificates.
#[tokio::test]
async fn each_bad_certificate_has_its_code() {
    use AlertDescription as A;
    use HandshakeFailure as F;
    let root = Authority::new("root");
    let mut chain = vec![root.intermediate("0")];
    for name in ["1", "2", "3"] {
        chain.push(chain[chain.len() - 1].intermediate(name));
    }
    let spec = LeafSpec::default();
    // Above a leaf of the last authority of `chain[..=n]`.
    let below = |n: usize| {
        let above: Vec<&Authority> = chain[..=n].iter().rev().collect();
        chain[n].leaf(&spec, &above)
    };
    let revoked = LeafSpec { serial: 99, ..spec };
    let stranger = Authority::new("stranger");
    let impostor = Authority::new("root");
    let list = root.revocation_list(99);
    let store = trust_store(&root.pem, &[&list]).unwrap();
    let acceptor = acceptor(verify(store));
    let (years, servers) = (spec.years, &[ExtendedKeyUsagePurpose::ServerAuth]);
    let of = |spec: LeafSpec| root.leaf(&spec, &[]);
    let table = [
        ("without a chain", of(spec), None),
        (
            "RSA",
            of(LeafSpec {
                key: Key::Rsa2048,
                ..spec
            }),
            None,
        ),
        (
            "any purpose",
            of(LeafSpec {
                purpose: &[],
                ..spec
            }),
            None,
        ),
        ("depth 4", below(2), None),
        (
            "depth 5",
            below(3),
            Some((F::ClientCertMaxChainDepthExceeded, A::AccessDenied)),
        ),
        (
            "revoked",
            of(revoked),
            Some((F::ClientCertCrlHit, A::CertificateRevoked)),
        ),
        (
            "expired",
            of(LeafSpec {
                years: (years.0, 2002),
                ..spec
            }),
            Some((F::ClientCertExpired, A::CertificateExpired)),
        ),
        (
            "not valid yet",
            of(LeafSpec {
                years: (2098, years.1),
                ..spec
            }),
            Some((F::ClientCertNotYetValid, A::CertificateExpired)),
        ),
        (
            "for servers",
            of(LeafSpec {
                purpose: servers,
                ..spec
            }),
            Some((F::ClientCertPurposeInvalid, A::UnsupportedCertificate)),
        ),
        (
            "of a stranger",
            stranger.leaf(&spec, &[]),
            Some((F::ClientCertUntrusted, A::UnknownCA)),
        ),
        (
            "of a stranger with the name of the authority",
            impostor.leaf(&spec, &[]),
            Some((F::ClientCertUntrusted, A::DecryptError)),
        ),
    ];
    for (what, issued, expected) in table {
        for version in VERSIONS {
            let client = client_with(&issued, version);
            let got = meet(&acceptor, &client).await;
            match (got, expected) {
                (Ok(certificate), None) => {
                    let certificate = certificate.unwrap();
                    assert!(certificate.is_verified, "{what}");
                    assert!(certificate.pem.starts_with("-----BEGIN%20"), "{what}");
                }
                (Err((error, alert)), Some((kind, told))) => {
                    assert_eq!((error.kind, alert), (kind, Some(told)), "{what}");
                    let tls = error.tls.unwrap();
                    let name = tls.client_certificate.unwrap().subject;
                    assert_eq!(name, "CN=client,O=Acme\\, Inc.", "{what}");
                    assert!(tls.cipher.contains("AES"), "{what}");
                }
                (got, _) => panic!("{what}: {got:?}"),
            }
        }
    }
}

/// ALB guide, mutual authentication: verify needs a certificate.
#[tokio::test]
async fn client_without_a_certificate_is_refused_by_verify_alone() {
    let root = Authority::new("root");
    for version in VERSIONS {
        let silent = Arc::new(client(&[version]));
        let strict = acceptor(verify(trust_store(&root.pem, &[]).unwrap()));
        let (error, alert) = meet(&strict, &silent).await.unwrap_err();
        assert_eq!(error.kind, HandshakeFailure::NoClientCert);
        assert!(alert.is_some());
        assert_eq!(error.log_code(), "UnmappedConnectionError");
        let open = acceptor(ClientAuth::Passthrough);
        assert_eq!(meet(&open, &silent).await.unwrap(), None);
    }
}

#[tokio::test]
async fn passthrough_takes_any_chain_whose_key_the_client_has() {
    let spec = LeafSpec {
        years: (2001, 2002),
        ..LeafSpec::default()
    };
    let authorities: Vec<Authority> = (0..20).map(|n| Authority::new(&n.to_string())).collect();
    let above: Vec<&Authority> = authorities.iter().collect();
    let issued = Authority::new("root").leaf(&spec, &above);
    let open = acceptor(ClientAuth::Passthrough);
    for version in VERSIONS {
        let certificate = meet(&open, &client_with(&issued, version)).await.unwrap();
        let certificate = certificate.unwrap();
        assert!(!certificate.is_verified);
        assert_eq!(certificate.pem.matches("BEGIN").count(), 21);
    }
    let other = Authority::new("root").leaf(&spec, &[]);
    let stolen = Issued {
        chain: issued.chain,
        key: other.key,
    };
    for version in VERSIONS {
        let (error, _) = meet(&open, &client_with(&stolen, version))
            .await
            .unwrap_err();
        assert_eq!(error.kind, HandshakeFailure::ClientCertInvalid);
    }
}

/// API, IgnoreClientCertificateExpiry.
#[tokio::test]
async fn expired_certificate_may_be_accepted() {
    let root = Authority::new("root");
    let store = trust_store(&root.pem, &[&root.revocation_list(99)]).unwrap();
    let ignoring = acceptor(ClientAuth::Verify {
        store,
        ignores_expiry: true,
        advertises_names: false,
        filters: Arc::default(),
    });
    let expired = LeafSpec {
        years: (2001, 2002),
        ..LeafSpec::default()
    };
    let revoked = LeafSpec {
        serial: 99,
        ..expired
    };
    let early = LeafSpec {
        years: (2098, 2099),
        ..expired
    };
    for version in VERSIONS {
        let ask = async |authority: &Authority, spec| {
            let client = client_with(&authority.leaf(spec, &[]), version);
            let result = meet(&ignoring, &client).await;
            result.err().map(|(error, _)| error.kind)
        };
        assert_eq!(ask(&root, &expired).await, None);
        let kind = ask(&root, &revoked).await;
        assert_eq!(kind, Some(HandshakeFailure::ClientCertCrlHit));
        let kind = ask(&root, &early).await;
        assert_eq!(kind, Some(HandshakeFailure::ClientCertNotYetValid));
        let kind = ask(&Authority::new("stranger"), &expired).await;
        assert_eq!(kind, Some(HandshakeFailure::ClientCertUntrusted));
    }
}

/// API, AdvertiseTrustStoreCaNames.
#[test]
fn names_of_authorities_are_told_if_advertised() {
    let root = Authority::new("root");
    let store = trust_store(&root.pem, &[]).unwrap();
    for advertises_names in [false, true] {
        let attempt = Attempt::new(&ClientAuth::Verify {
            store: Arc::clone(&store),
            ignores_expiry: false,
            advertises_names,
            filters: Arc::default(),
        });
        let told = attempt.root_hint_subjects().len();
        assert_eq!(told, usize::from(advertises_names));
        assert!(
            !attempt
                .supported_verify_schemes()
                .contains(&SignatureScheme::ED25519)
        );
    }
}

/// Parity 2.3: no resumption, which would skip the verification.
#[tokio::test]
async fn no_session_resumes_where_clients_need_certificates() {
    let root = Authority::new("root");
    let store = trust_store(&root.pem, &[]).unwrap();
    for auth in [verify(store), ClientAuth::Passthrough] {
        let acceptor = acceptor(auth);
        for version in VERSIONS {
            let client = client_with(&root.leaf(&LeafSpec::default(), &[]), version);
            for _ in 0..2 {
                let (meta, _) = connect(&acceptor, &client, "a.example").await;
                assert!(!meta.resumed && meta.client_certificate.is_some());
            }
        }
    }
}

/// NLB guide, mutual authentication: chain, then filters, then revocation. One filter has to match one value of its field.
#[tokio::test]
async fn only_identities_that_a_filter_names_are_admitted() {
    use HandshakeFailure as F;
    use IdentityField::{SanDns, SanUri, SubjectCn, SubjectOu};
    let root = Authority::new("root");
    let store = trust_store(&root.pem, &[&root.revocation_list(99)]).unwrap();
    let named = LeafSpec {
        name_more: |params| {
            let units = ["ops", "dev"].map(str::to_owned);
            for unit in units {
                let name = &mut params.distinguished_name;
                name.push(DnType::CustomDnType(vec![2, 5, 4, 11]), unit);
            }
            params.subject_alt_names = vec![
                SanType::DnsName("a.example".try_into().unwrap()),
                SanType::DnsName("b.example".try_into().unwrap()),
                SanType::URI("spiffe://a.example/ns/web".try_into().unwrap()),
            ];
        },
        ..LeafSpec::default()
    };
    let revoked = LeafSpec {
        serial: 99,
        ..named
    };
    let ask = async |fields: &[(IdentityField, &str)], leaf: &Issued| {
        let filter = |(field, value): &(IdentityField, &str)| IdentityFilter {
            field: *field,
            match_type: MatchType::Exact,
            value: (*value).into(),
        };
        let acceptor = acceptor(ClientAuth::Verify {
            store: Arc::clone(&store),
            ignores_expiry: false,
            advertises_names: false,
            filters: fields.iter().map(filter).collect(),
        });
        let result = meet(&acceptor, &client_with(leaf, &TLS13)).await;
        result.err().map(|(error, alert)| (error.kind, alert))
    };
    let rejected = Some((F::ClientCertRejected, Some(AlertDescription::AccessDenied)));
    let leaf = root.leaf(&named, &[]);
    for field in [
        (SubjectCn, "client"),
        (SubjectOu, "dev"),
        (SanDns, "B.example"),
        (SanUri, "spiffe://a.example/ns/web"),
    ] {
        assert_eq!(ask(&[(SubjectCn, "other"), field], &leaf).await, None);
        assert_eq!(ask(&[(field.0, "x:")], &leaf).await, rejected, "{field:?}");
        // Certificates without the field have no value of it.
        let bare = root.leaf(
            &LeafSpec {
                name: "x",
                ..LeafSpec::default()
            },
            &[],
        );
        assert_eq!(ask(&[field], &bare).await, rejected, "{field:?}");
    }
    let (wanted, other) = ([(SubjectCn, "client")], [(SubjectCn, "other")]);
    let revoked = root.leaf(&revoked, &[]);
    let kind = async |fields, leaf: &Issued| ask(fields, leaf).await.map(|(kind, _)| kind);
    assert_eq!(kind(&wanted, &revoked).await, Some(F::ClientCertCrlHit));
    assert_eq!(kind(&other, &revoked).await, Some(F::ClientCertRejected));
    let stranger = Authority::new("stranger").leaf(&named, &[]);
    assert_eq!(kind(&other, &stranger).await, Some(F::ClientCertUntrusted));
}
