use std::io::Write;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedCipherSuite};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_blocking;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::hybrid::Secp384r1MlKem1024;
use crate::testkit::{
    Key, LONG, acceptor, client, client_with, connect, handshake, loaded, loaded_until, sockets,
};
use crate::{alpn, policy};

const PQ: &str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";
const V13: &str = "ELBSecurityPolicy-TLS13-1-3-2021-06";
const V12_13: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";
const RES: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";
const V12: &str = "ELBSecurityPolicy-2016-08";
const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];

fn with_suites(suites: &[SupportedCipherSuite]) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: suites.to_vec(),
        ..aws_lc_rs::default_provider()
    }
}

/// Parity 2.1: version and suite follow the server's order; with 2016-08 a modern client gets TLS 1.2.
/// The client prefers AES-256.
#[tokio::test]
async fn policy_decides_version_and_suite() {
    let ecdsa = loaded("ecdsa", &["a.example"], Key::P256);
    let rsa = loaded("rsa", &["a.example"], Key::Rsa2048);
    let modern = Arc::new(client(BOTH));
    let old = Arc::new(client(&[&TLS12]));
    let t13 = ("TLSv1.3", "TLS_AES_128_GCM_SHA256");
    let ecdsa12 = ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256");
    let rsa12 = ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256");
    let table = [
        (V13, &ecdsa, &modern, t13),
        (V13, &rsa, &modern, t13),
        (RES, &ecdsa, &modern, t13),
        (RES, &rsa, &old, rsa12),
        (V12_13, &ecdsa, &modern, t13),
        (V12_13, &ecdsa, &old, ecdsa12),
        (V12, &ecdsa, &modern, ecdsa12),
        (V12, &rsa, &modern, rsa12),
        (V12, &ecdsa, &old, ecdsa12),
        (PQ, &ecdsa, &modern, t13),
    ];
    for (policy, certificate, client, want) in table {
        let acceptor = acceptor(policy, vec![certificate.clone()]);
        let (meta, _) = connect(&acceptor, client, "a.example").await;
        assert_eq!((meta.version, meta.cipher), want, "{policy}");
        assert!(!meta.resumed);
    }
}

/// Parity 2.1: only PQ policies support hybrid key exchange.
#[tokio::test]
async fn only_pq_policies_use_hybrid_groups() {
    for (policy, want) in [
        (PQ, rustls::NamedGroup::X25519MLKEM768),
        (V12_13, rustls::NamedGroup::X25519),
    ] {
        let acceptor = acceptor(policy, vec![loaded("a", &["a.example"], Key::P256)]);
        let (_, client) = connect(&acceptor, &Arc::new(client(BOTH)), "a.example").await;
        let group = client.get_ref().1.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), want, "{policy}");
    }
}

/// Parity 2.1: each hybrid group of a PQ policy is served to a client that has no other, also after a retry.
#[tokio::test]
async fn each_hybrid_group_is_served() {
    let acceptor = acceptor(PQ, vec![loaded("a", &["a.example"], Key::P256)]);
    for (group, name) in [
        (kx_group::X25519MLKEM768, "X25519MLKEM768"),
        (kx_group::SECP256R1MLKEM768, "SecP256r1MLKEM768"),
        (&Secp384r1MlKem1024 as _, "SecP384r1MLKEM1024"),
    ] {
        // The client sends a share of its first group, which the policy does not have.
        for kx_groups in [vec![group], vec![kx_group::MLKEM768, group]] {
            let provider = CryptoProvider {
                kx_groups,
                ..aws_lc_rs::default_provider()
            };
            let client = Arc::new(client_with(provider, BOTH));
            let (meta, _) = connect(&acceptor, &client, "a.example").await;
            assert_eq!(meta.key_exchange, Some(name));
        }
    }
}

/// Parity 2.1: every suite of a policy is served, and no other.
#[tokio::test]
async fn policy_serves_exactly_its_suites() {
    let acceptor12 = acceptor(
        V12,
        vec![
            loaded("ecdsa", &["a.example"], Key::P256),
            loaded("rsa", &["a.example"], Key::Rsa2048),
        ],
    );
    for suite in aws_lc_rs::ALL_CIPHER_SUITES {
        let Some(version) = [&TLS12, &TLS13]
            .into_iter()
            .find(|v| v.version == suite.version().version)
        else {
            continue;
        };
        let one = Arc::new(client_with(with_suites(&[*suite]), &[version]));
        let (server, _) = handshake(&acceptor12, &one, "a.example").await;
        let name = openssl_name(*suite);
        match server {
            Ok((_, meta)) => {
                assert_eq!(meta.cipher, name);
                assert!(
                    name.starts_with("ECDHE-") && name.contains("-GCM-"),
                    "{name}"
                );
            }
            Err(e) if version.version == ProtocolVersion::TLSv1_3 => {
                assert_eq!(e.kind, HandshakeFailure::NoSharedVersion, "{name}");
            }
            // ChaCha20 with TLS 1.2.
            Err(e) => assert_eq!((e.kind, name), (HandshakeFailure::NoSharedSuite, "-")),
        }
    }
}

/// Parity 2.1: refused cleanly.
#[tokio::test]
async fn client_without_a_common_version_is_refused() {
    let certificate = loaded("a", &["a.example"], Key::P256);
    for (policy, version) in [(V12, &TLS13), (V13, &TLS12)] {
        let acceptor = acceptor(policy, vec![certificate.clone()]);
        let (server, client) =
            handshake(&acceptor, &Arc::new(client(&[version])), "a.example").await;
        assert_eq!(
            server.unwrap_err().kind,
            HandshakeFailure::NoSharedVersion,
            "{policy}"
        );
        // The client gets an alert, not just a closed connection.
        let told = client.unwrap_err();
        let told = told.get_ref().unwrap().downcast_ref::<rustls::Error>();
        assert!(
            matches!(told, Some(rustls::Error::AlertReceived(_))),
            "{told:?}"
        );
    }
}

/// Parity 1.15, fields 19 and 20: the name is logged only if it selected the certificate.
#[tokio::test]
async fn sni_selects_the_served_certificate() {
    let acceptor = acceptor(
        V12_13,
        vec![
            loaded("default", &["default.example"], Key::P256),
            loaded("wild", &["*.example.com"], Key::Rsa2048),
        ],
    );
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let client = Arc::new(client(versions));
        for (name, index, matched) in [
            ("a.example.com", 1, true),
            ("default.example", 0, true),
            ("other.test", 0, false),
        ] {
            let (meta, stream) = connect(&acceptor, &client, name).await;
            let served = &acceptor.certificates()[index];
            let sent = stream.get_ref().1.peer_certificates().unwrap();
            assert_eq!(sent, served.certified.cert, "{name}");
            assert_eq!(meta.certificate_arn.as_ref(), Some(served.arn()));
            assert_eq!(
                (meta.sni.as_deref(), meta.sni_matched),
                (Some(name), matched)
            );
        }
        // A client that connects by address sends no SNI.
        let (meta, _) = connect(&acceptor, &client, "127.0.0.1").await;
        assert_eq!((meta.sni, meta.sni_matched), (None, false));
    }
}

/// Parity 3.7 and 2.3: the server's preference; without overlap no ALPN, and the connection continues.
#[tokio::test]
async fn alpn_follows_the_policy() {
    use elbow_model::AlpnPolicy::{
        Http1Only, Http2Only, Http2Optional, Http2Preferred, None as Never,
    };
    let certificate = loaded("a", &["a.example"], Key::P256);
    let both = &["h2", "http/1.1"][..];
    let odd = &["spdy/3"][..];
    let table = [
        (alpn::application(true), &["http/1.1", "h2"][..], Some("h2")),
        (alpn::application(true), &["http/1.1"], Some("http/1.1")),
        (alpn::application(true), odd, None),
        (alpn::application(true), &[], None),
        (alpn::application(false), both, Some("http/1.1")),
        (alpn::application(false), &["h2"], None),
        (alpn::network(Http1Only), both, Some("http/1.1")),
        (alpn::network(Http1Only), &["http/1.0"], Some("http/1.0")),
        (alpn::network(Http1Only), &["h2"], None),
        (alpn::network(Http2Only), both, Some("h2")),
        (alpn::network(Http2Only), &["http/1.1"], None),
        (alpn::network(Http2Optional), both, Some("http/1.1")),
        (alpn::network(Http2Optional), &["h2"], Some("h2")),
        (
            alpn::network(Http2Preferred),
            &["http/1.0", "http/1.1", "h2"],
            Some("h2"),
        ),
        (alpn::network(Http2Preferred), odd, None),
        (alpn::network(Never), both, None),
    ];
    for (ours, theirs, want) in table {
        let acceptor = Acceptor::new(
            "nlb",
            &Personality::NETWORK,
            &policy(V12_13).unwrap(),
            vec![certificate.clone()],
            ours.clone(),
            None,
            &Tickets::new(),
        )
        .unwrap();
        let mut config = client(BOTH);
        config.alpn_protocols = theirs.iter().map(|p| p.as_bytes().to_vec()).collect();
        let (meta, stream) = connect(&acceptor, &Arc::new(config), "a.example").await;
        let want = want.map(str::as_bytes);
        assert_eq!(meta.alpn.as_deref(), want, "{ours:?} {theirs:?}");
        assert_eq!(stream.get_ref().1.alpn_protocol(), want);
    }
}

fn alb(certificates: Vec<Arc<Loaded>>, tickets: &Tickets) -> Acceptor {
    with_personality(&Personality::APPLICATION, certificates, tickets)
}

fn with_personality(
    personality: &Personality,
    list: Vec<Arc<Loaded>>,
    tickets: &Tickets,
) -> Acceptor {
    called("one", personality, V12_13, list, &[], tickets)
}

fn called(
    name: &str,
    personality: &Personality,
    policy_name: &str,
    list: Vec<Arc<Loaded>>,
    alpn: &[&[u8]],
    tickets: &Tickets,
) -> Acceptor {
    let policy = policy(policy_name).unwrap();
    let alpn = alpn.iter().map(|p| p.to_vec()).collect();
    Acceptor::new(name, personality, &policy, list, alpn, None, tickets).unwrap()
}

async fn resumes(first: &Acceptor, then: &Acceptor, config: ClientConfig) -> bool {
    let client = Arc::new(config);
    assert!(!connect(first, &client, "a.example").await.0.resumed);
    connect(then, &client, "a.example").await.0.resumed
}

/// Parity 2.3: by PSK with TLS 1.3 and by ticket with TLS 1.2, on any worker, also after a hot swap.
#[tokio::test]
async fn session_resumes_with_the_same_certificate() {
    let own = loaded("a", &["a.example"], Key::P256);
    let other = loaded("b", &["b.example"], Key::P256);
    for version in [&TLS13, &TLS12] {
        let tickets = Tickets::new();
        // As the default certificate, and as one selected by name.
        for (first, then) in [
            (vec![own.clone()], vec![own.clone(), other.clone()]),
            (vec![other.clone(), own.clone()], vec![own.clone()]),
        ] {
            let (first, then) = (alb(first, &tickets), alb(then, &tickets));
            assert!(resumes(&first, &then, client(&[version])).await);
        }
        let foreign = alb(vec![own.clone()], &Tickets::new());
        let first = alb(vec![own.clone()], &tickets);
        assert!(!resumes(&first, &foreign, client(&[version])).await);
    }
}

/// A resumed handshake selects no certificate, so it must not succeed where a full one would select another.
#[tokio::test]
async fn session_does_not_resume_elsewhere() {
    let default = loaded("default", &["default.example"], Key::P256);
    let own = loaded("a", &["a.example"], Key::P256);
    let renewed = loaded("a", &["a.example"], Key::P256);
    let personality = &Personality::APPLICATION;
    let both = || vec![default.clone(), own.clone()];
    for version in [&TLS13, &TLS12] {
        let tickets = Tickets::new();
        let first = called("one", personality, V12_13, both(), &[b"http/1.1"], &tickets);
        let then = |name, policy, list, alpn: &[&[u8]]| {
            called(name, personality, policy, list, alpn, &tickets)
        };
        let table = [
            (
                "the same",
                then("one", V12_13, both(), &[b"http/1.1"]),
                true,
            ),
            (
                "another load balancer",
                then("two", V12_13, both(), &[b"http/1.1"]),
                false,
            ),
            (
                "without the certificate",
                then("one", V12_13, vec![default.clone()], &[b"http/1.1"]),
                false,
            ),
            (
                "with a renewed certificate",
                then(
                    "one",
                    V12_13,
                    vec![default.clone(), renewed.clone()],
                    &[b"http/1.1"],
                ),
                false,
            ),
            (
                "another policy",
                then("one", PQ, both(), &[b"http/1.1"]),
                false,
            ),
            (
                "other protocols",
                then("one", V12_13, both(), &[b"h2"]),
                false,
            ),
        ];
        for (what, then, want) in table {
            let got = resumes(&first, &then, client(&[version])).await;
            assert_eq!(got, want, "{what}, {:?}", version.version);
        }
    }
}

/// Parity 2.3: an NLB resumes no sessions on a listener with several certificates.
#[tokio::test]
async fn network_listener_with_several_certificates_resumes_nothing() {
    let default = loaded("a", &["a.example"], Key::P256);
    let other = loaded("b", &["b.example"], Key::P256);
    for version in [&TLS13, &TLS12] {
        let tickets = Tickets::new();
        let single = with_personality(&Personality::NETWORK, vec![default.clone()], &tickets);
        assert!(resumes(&single, &single, client(&[version])).await);
        let list = vec![default.clone(), other.clone()];
        let several = with_personality(&Personality::NETWORK, list, &tickets);
        assert!(!resumes(&several, &several, client(&[version])).await);
    }
}

/// Parity 2.3: elbow offers no early data. A client that sends some all the same, with a ticket of another server, is served
/// without it (RFC 8446, 4.2.10), also after a HelloRetryRequest.
#[tokio::test]
async fn unexpected_early_data_is_skipped() {
    let certificate = loaded("a", &["a.example"], Key::P256);
    let acceptor = acceptor(V12_13, vec![certificate.clone()]);
    // The client begins with a share of the group that the other server had.
    for group in [kx_group::X25519, kx_group::MLKEM768] {
        let with_groups = |kx_groups| CryptoProvider {
            kx_groups,
            // After a HelloRetryRequest with another hash, rustls would withdraw the ticket.
            ..with_suites(&[TLS13_AES_128_GCM_SHA256])
        };
        let resolver = SingleCertAndKey::from(certificate.certified.clone());
        let mut other = ServerConfig::builder_with_provider(with_groups(vec![group]).into())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        other.max_early_data_size = 16 << 10;
        let provider = with_groups(vec![group, kx_group::X25519]);
        let mut config = client_with(provider, &[&TLS13]);
        config.enable_early_data = true;
        let config = Arc::new(config);
        let name = ServerName::try_from("a.example").unwrap();

        let (accepted, connected) = sockets().await;
        let (server, client) = tokio::join!(
            TlsAcceptor::from(Arc::new(other)).accept(accepted),
            TlsConnector::from(config.clone()).connect(name.clone(), connected),
        );
        server.unwrap().write_all(b"s").await.unwrap();
        assert_eq!(client.unwrap().read_u8().await.unwrap(), b's');

        let (accepted, connected) = sockets().await;
        let connect = spawn_blocking(move || {
            let mut socket = connected.into_std().unwrap();
            socket.set_nonblocking(false).unwrap();
            let mut connection = ClientConnection::new(config, name).unwrap();
            let written = connection.early_data().unwrap().write(b"lost!");
            assert_eq!(written.unwrap(), 5);
            let mut client = rustls::Stream::new(&mut connection, &mut socket);
            client.write_all(b"found").unwrap();
            client.flush().unwrap();
            assert!(!connection.is_early_data_accepted());
            socket
        });
        let (server, client) =
            tokio::join!(acceptor.accept(accepted, LONG, Instant::now()), connect);
        let _socket = client.unwrap();
        let (mut server, meta) = server.unwrap();
        assert!(!meta.resumed);
        let mut read = [0; 5];
        server.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"found");
    }
}

/// Parity 2.2: a change of certificates affects only new handshakes.
#[tokio::test]
async fn hot_swap_keeps_connections() {
    let tickets = Tickets::new();
    let old = alb(
        vec![loaded_until("old", &["a.example"], Key::P256, 2020)],
        &tickets,
    );
    let client = Arc::new(client(BOTH));
    let (server, peer) = handshake(&old, &client, "a.example").await;
    let ((mut server, _), mut peer) = (server.unwrap(), peer.unwrap());

    let new = alb(vec![loaded("new", &["a.example"], Key::P256)], &tickets);
    drop(old);
    let (meta, _) = connect(&new, &client, "a.example").await;
    assert!(meta.certificate_arn.unwrap().ends_with("/new"));
    assert!(!meta.resumed);

    server.write_all(b"still here").await.unwrap();
    let mut read = [0; 10];
    peer.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still here");
}

#[tokio::test]
async fn listener_needs_a_certificate() {
    let policy = policy(V12).unwrap();
    let none = Acceptor::new(
        "alb",
        &Personality::APPLICATION,
        &policy,
        Vec::new(),
        Vec::new(),
        None,
        &Tickets::new(),
    );
    assert_eq!(none.unwrap_err(), rustls::Error::NoCertificatesPresented);
}

/// The error when a client sends `bytes` instead of a ClientHello and then optionally closes.
async fn answer_to(bytes: &[u8], close: bool) -> AcceptError {
    let acceptor = acceptor(V12_13, vec![loaded("a", &["a.example"], Key::P256)]);
    let (accepted, mut peer) = sockets().await;
    peer.write_all(bytes).await.unwrap();
    if close {
        peer.shutdown().await.unwrap();
    }
    acceptor
        .accept(accepted, LONG, Instant::now())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn invalid_client_hellos_have_their_error_kinds() {
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let table: [(&[u8], bool, HandshakeFailure); 5] = [
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            false,
            HandshakeFailure::NotTls,
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", false, HandshakeFailure::NotTls),
        (b"", true, HandshakeFailure::ClientClosed),
        (&hello, true, HandshakeFailure::ClientClosed),
        (&[0x17, 3, 3, 0, 1, 0], false, HandshakeFailure::Protocol),
    ];
    for (bytes, close, want) in table {
        let error = answer_to(bytes, close).await;
        assert_eq!(error.kind, want, "{bytes:?} {error:?}");
    }
}

#[tokio::test]
async fn refused_certificate_is_a_client_alert() {
    let acceptor = acceptor(V12_13, vec![loaded("a", &["a.example"], Key::P256)]);
    let suspicious = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_protocol_versions(BOTH)
        .unwrap()
        .with_root_certificates(RootCertStore { roots: vec![] })
        .with_no_client_auth();
    let (server, client) = handshake(&acceptor, &Arc::new(suspicious), "a.example").await;
    assert!(client.is_err());
    assert_eq!(server.unwrap_err().kind, HandshakeFailure::ClientAlert);
}

/// Every wait for a peer has a timeout. The paused clock advances only when all tasks are idle.
#[tokio::test(start_paused = true)]
async fn handshake_has_a_timeout() {
    let acceptor = acceptor(V12_13, vec![loaded("a", &["a.example"], Key::P256)]);
    for bytes in [&[][..], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let (accepted, mut peer) = sockets().await;
        peer.write_all(bytes).await.unwrap();
        let start = tokio::time::Instant::now();
        let error = acceptor
            .accept(accepted, LONG, Instant::now())
            .await
            .unwrap_err();
        assert_eq!(error.kind, HandshakeFailure::Timeout);
        assert!(
            (LONG..LONG * 2).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
        // The socket is closed as well.
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}
