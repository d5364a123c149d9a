use std::collections::HashSet;
use std::time::Instant;

use elbow_net::TlsMeta;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS12;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::Acceptor;
use crate::testkit::{Key, LONG, acceptor, loaded, loaded_until, sockets};

const BOTH: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";
const PQ: &str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";

/// Connects `originator` to a target that uses `acceptor`, and exchanges one byte each way.
async fn reach(originator: &Originator, acceptor: &Acceptor, target: SocketAddr) -> TlsMeta {
    let (accepted, connected) = sockets().await;
    let (server, client) = tokio::join!(
        acceptor.accept(accepted, LONG, Instant::now()),
        originator.connect(connected, target, LONG),
    );
    let ((mut server, meta), mut client) = (server.unwrap(), client.unwrap());
    server.write_all(b"s").await.unwrap();
    client.write_all(b"c").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b's');
    assert_eq!(server.read_u8().await.unwrap(), b'c');
    meta
}

fn target(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Parity 1.9 and 2.1: the certificate of a target is never verified, and no SNI is sent.
#[tokio::test]
async fn expired_self_signed_certificate_of_a_target_is_accepted() {
    for key in [Key::P256, Key::Rsa2048] {
        let expired = acceptor(
            BOTH,
            vec![loaded_until("a", &["elsewhere.example"], key, 2010)],
        );
        let meta = reach(
            &Originator::new(BackendPolicy::Tls13).unwrap(),
            &expired,
            target(443),
        )
        .await;
        assert_eq!((meta.version, meta.sni, meta.alpn), ("TLSv1.3", None, None));
    }
}

/// Parity 2.1, backend policy: TLS 1.3 only if the listener's policy has it.
#[tokio::test]
async fn tls13_follows_the_policy_of_the_listener() {
    let modern = acceptor(BOTH, vec![loaded("a", &["a.example"], Key::P256)]);
    let old = Originator::new(BackendPolicy::Tls12).unwrap();
    let meta = reach(&old, &modern, target(443)).await;
    assert_eq!(
        (meta.version, meta.cipher),
        ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    );
}

/// Parity 2.1: behind a policy with PQ in its name, targets are offered hybrid groups; each has the group that it knows.
#[tokio::test]
async fn hybrid_groups_reach_targets_behind_pq_policies_only() {
    let hybrid = acceptor(PQ, vec![loaded("a", &["a.example"], Key::P256)]);
    for (backend, want) in [
        (BackendPolicy::PostQuantum, "X25519MLKEM768"),
        (BackendPolicy::FipsPostQuantum, "X25519MLKEM768"),
        (BackendPolicy::Tls13, "x25519"),
        (BackendPolicy::Tls12, "x25519"),
    ] {
        let originator = Originator::new(backend).unwrap();
        let meta = reach(&originator, &hybrid, target(443)).await;
        assert_eq!(meta.key_exchange, Some(want), "{backend:?}");
    }
}

#[tokio::test]
async fn sessions_are_resumed_per_target() {
    let acceptor = acceptor(BOTH, vec![loaded("a", &["a.example"], Key::P256)]);
    for backend in [BackendPolicy::Tls13, BackendPolicy::Tls12] {
        let originator = Originator::new(backend).unwrap();
        assert!(!reach(&originator, &acceptor, target(1)).await.resumed);
        assert!(!reach(&originator, &acceptor, target(2)).await.resumed);
        assert!(
            reach(&originator.clone(), &acceptor, target(1))
                .await
                .resumed
        );
        let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1));
        assert!(!reach(&originator, &acceptor, v6).await.resumed);
        assert!(reach(&originator, &acceptor, v6).await.resumed);
    }
}

/// Sessions that are resumed with another master secret.
#[derive(Debug)]
struct OtherSecrets(Arc<ServerSessionMemoryCache>);

impl StoresServerSessions for OtherSecrets {
    fn put(&self, key: Vec<u8>, mut value: Vec<u8>) -> bool {
        // The secret follows six bytes.
        value[20] ^= 1;
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn session_that_a_target_resumes_with_other_keys_is_forgotten() {
    let certificate = loaded("a", &["a.example"], Key::P256);
    let mut config = ServerConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(
            certificate.certified.clone(),
        )));
    config.session_storage = Arc::new(OtherSecrets(ServerSessionMemoryCache::new(8)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let originator = Originator::new(BackendPolicy::Tls12).unwrap();
    for is_served in [true, false, true] {
        let (accepted, connected) = sockets().await;
        let (_, client) = tokio::join!(
            acceptor.accept(accepted),
            originator.connect(connected, target(1), LONG),
        );
        assert_eq!(client.is_ok(), is_served);
    }
}

#[tokio::test]
async fn handshake_fails_with_a_target_without_tls() {
    let originator = Originator::new(BackendPolicy::Tls13).unwrap();
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let (mut accepted, connected) = sockets().await;
        accepted.write_all(answer).await.unwrap();
        accepted.shutdown().await.unwrap();
        let error = originator
            .connect(connected, target(443), LONG)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ConnectErrorKind::TlsHandshake);
        assert!(error.source.is_some());
    }
}

/// Parity 2.1: the older backend policy cannot reach a target that only supports TLS 1.3.
#[tokio::test]
async fn handshake_fails_without_a_common_version() {
    let modern = acceptor(
        "ELBSecurityPolicy-TLS13-1-3-2021-06",
        vec![loaded("a", &["a.example"], Key::P256)],
    );
    let old = Originator::new(BackendPolicy::Tls12).unwrap();
    let (accepted, connected) = sockets().await;
    let (server, client) = tokio::join!(
        modern.accept(accepted, LONG, Instant::now()),
        old.connect(connected, target(443), LONG),
    );
    assert!(server.is_err());
    assert_eq!(client.unwrap_err().kind, ConnectErrorKind::TlsHandshake);
}

#[tokio::test(start_paused = true)]
async fn handshake_with_a_silent_target_times_out() {
    let (_accepted, connected) = sockets().await;
    let start = tokio::time::Instant::now();
    let error = Originator::new(BackendPolicy::Tls13)
        .unwrap()
        .connect(connected, target(443), LONG)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::TlsTimeout);
    assert!(start.elapsed() >= LONG);
}

#[test]
#[expect(clippy::redundant_clone, reason = "tests the clone")]
fn originators_have_different_transports() {
    let (one, two) = (
        Originator::new(BackendPolicy::Tls13),
        Originator::new(BackendPolicy::Tls12),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.transport(), one.clone().transport());
    let all = HashSet::from([Transport::CLEAR, one.transport(), two.transport()]);
    assert_eq!(all.len(), 3);
}
