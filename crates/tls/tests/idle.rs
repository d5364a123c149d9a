//! What an idle connection holds. A program of its own, because it counts the heap of the whole process.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_model::{Account, Certificate, CertificateSpec, Personality};
use elbow_net::memory::heap_in_use;
use elbow_tls::{Acceptor, ServerTls, Tickets, load, policy};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// Enough that the memory which the allocator keeps for reuse does not count.
const CONNECTIONS: u32 = 200;

/// The state of rustls, a list of messages that it keeps room for, the keys of both directions, the secrets of the session, and
/// what the runtime knows of the socket. There is no buffer.
const HEAP: u32 = 4_200;

/// In the task of the connection.
const INLINE: usize = 64;

#[tokio::test]
async fn idle_connection_holds_little_memory() {
    assert!(
        size_of::<ServerTls>() <= INLINE,
        "{}",
        size_of::<ServerTls>()
    );
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let acceptor = acceptor(&certificate.pem(), &key.serialize_pem());
    let client = TlsConnector::from(client(&certificate));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = ServerName::try_from("a.example").unwrap();
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let connect = async {
            let stream = TcpStream::connect(address).await.unwrap();
            client.connect(name.clone(), stream).await.unwrap()
        };
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            let long = Duration::from_secs(10);
            acceptor
                .accept(stream, long, Instant::now())
                .await
                .unwrap()
                .0
        };
        let (mut client, mut server) = tokio::join!(connect, accept);
        // Large records make buffers grow, and idleness makes them shrink again.
        let (sent, mut received) = (vec![7; 50_000], vec![0; 50_000]);
        let send = async {
            client.write_all(&sent).await.unwrap();
            client.flush().await.unwrap();
        };
        tokio::join!(send, async {
            server.read_exact(&mut received).await.unwrap()
        });
        server.write_all(b"ok").await.unwrap();
        client.read_exact(&mut received[..2]).await.unwrap();
        let idle = tokio::time::timeout(Duration::from_millis(1), server.read_u8());
        assert!(idle.await.is_err());
        servers.push(server);
        clients.push(client);
    }
    let Some(before) = heap_in_use() else {
        return eprintln!("skipped: needs glibc");
    };
    servers.clear();
    let after = heap_in_use().unwrap();
    let each = before.wrapping_sub(after) / CONNECTIONS;
    assert!((1_000..HEAP).contains(&each), "{each} bytes");
}

fn acceptor(chain: &str, key: &str) -> Acceptor {
    let folder = std::env::temp_dir().join(format!("elbow-tls-idle-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (chain_file, key_file) = (folder.join("chain.pem"), folder.join("key.pem"));
    fs::write(&chain_file, chain).unwrap();
    fs::write(&key_file, key).unwrap();
    let spec = CertificateSpec::files("a", &chain_file, &key_file);
    let certificate = Certificate::new(&spec).value.unwrap();
    let loaded = load(&certificate, &Account::default()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    Acceptor::new(
        "nlb",
        &Personality::NETWORK,
        &policy("ELBSecurityPolicy-TLS13-1-2-2021-06").unwrap(),
        vec![loaded],
        Vec::new(),
        None,
        &Tickets::new(),
    )
    .unwrap()
}

/// A client that trusts `certificate`.
fn client(certificate: &rcgen::Certificate) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
