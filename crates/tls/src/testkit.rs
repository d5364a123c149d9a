//! Test helpers: certificates in a temporary folder, and handshakes over loopback.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elbow_model as model;
use elbow_model::Personality;
use elbow_net::TlsMeta;
use rcgen::{CertificateParams, KeyPair, RsaKeySize};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::danger::DangerousAnyCertificate;
use crate::{AcceptError, Acceptor, Loaded, ServerTls, Tickets, load, policy};

pub(crate) mod pki;
pub(crate) mod raw_hello;
pub(crate) mod records;

pub(crate) const LONG: Duration = Duration::from_secs(10);

/// A temporary folder, removed on drop.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("elbow-tls-{}-{unique}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Ed25519,
}

impl Key {
    pub(crate) fn generate(self) -> KeyPair {
        match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            Self::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        }
        .unwrap()
    }
}

/// A self-signed certificate valid until the end of year `until`, and its key, as PEM.
pub(crate) fn pem(names: &[&str], key: Key, until: i32) -> (String, String) {
    let key = key.generate();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 12, 31);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

pub(crate) fn declare(name: &str, chain: PathBuf, key: PathBuf) -> model::Certificate {
    built(&model::CertificateSpec::files(name, chain, key))
}

pub(crate) fn built(spec: &model::CertificateSpec) -> model::Certificate {
    model::Certificate::new(spec).value.unwrap()
}

/// A loaded certificate called `name`.
pub(crate) fn loaded_until(name: &str, names: &[&str], key: Key, until: i32) -> Arc<Loaded> {
    let folder = Folder::new();
    let (chain, key) = pem(names, key, until);
    let chain = folder.write("chain.pem", &chain);
    let key = folder.write("key.pem", &key);
    load(&declare(name, chain, key), &model::Account::default()).unwrap()
}

pub(crate) fn loaded(name: &str, names: &[&str], key: Key) -> Arc<Loaded> {
    loaded_until(name, names, key, 2099)
}

/// The acceptor of an ALB, without ALPN.
pub(crate) fn acceptor(policy_name: &str, certificates: Vec<Arc<Loaded>>) -> Acceptor {
    Acceptor::new(
        "alb",
        &Personality::APPLICATION,
        &policy(policy_name).unwrap(),
        certificates,
        Vec::new(),
        None,
        &Tickets::new(),
    )
    .unwrap()
}

/// A client that accepts any certificate.
pub(crate) fn client(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    client_with(aws_lc_rs::default_provider(), versions)
}

pub(crate) fn client_with(
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(DangerousAnyCertificate))
        .with_no_client_auth()
}

/// The two ends of a loopback connection: accepted, connected.
pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (accepted.unwrap().0, connected.unwrap())
}

pub(crate) type Handshake = (
    Result<(ServerTls, TlsMeta), AcceptError>,
    io::Result<TlsStream<TcpStream>>,
);

/// Performs a handshake between `acceptor` and `client`, which sends `name` as SNI.
pub(crate) async fn handshake(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Handshake {
    let (accepted, connected) = sockets().await;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio::join!(
        acceptor.accept(accepted, LONG, Instant::now()),
        TlsConnector::from(client.clone()).connect(name, connected),
    )
}

/// Performs a successful handshake and exchanges one byte each way, so that the client gets its tickets.
pub(crate) async fn connect(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (TlsMeta, TlsStream<TcpStream>) {
    let (server, client) = handshake(acceptor, client, name).await;
    let (mut server, meta) = server.unwrap();
    let mut client = client.unwrap();
    server.write_all(b"s").await.unwrap();
    client.write_all(b"c").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b's');
    assert_eq!(server.read_u8().await.unwrap(), b'c');
    (meta, client)
}

/// The output of `future` if it is ready at once.
pub(crate) async fn now<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = tokio::task::unconstrained(future) => Some(output),
        () = std::future::ready(()) => None,
    }
}
