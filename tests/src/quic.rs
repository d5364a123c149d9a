//! QUIC servers whose connection IDs name them, and clients whose address changes.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig,
    Incoming, ServerConfig, TokioRuntime, VarInt,
};
use tokio::runtime::Runtime;

use crate::certificates::{Ca, Leaf};

/// The name in the certificate of the servers.
pub const NAME: &str = "a.example";

/// The application protocol: a client sends text on a stream, and the server answers with its name and the client's address that
/// it sees.
pub const ALPN: &str = "who";

/// The longest question.
const MOST: usize = 64;

/// Endpoints run here, also while a test does something else.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

/// A QUIC server; it closes its connections when dropped.
pub struct QuicServer {
    endpoint: Endpoint,
}

impl QuicServer {
    /// A server called `name` at `addr` with the server ID `id` in its connection IDs.
    pub fn at(addr: SocketAddr, name: &'static str, id: u64, certificate: &Leaf) -> Self {
        let mut own = EndpointConfig::default();
        own.cid_generator(move || Box::new(ServerIds { id, next: 0 }));
        let tls = QuicServerConfig::try_from(certificate.server(&[ALPN])).unwrap();
        let config = ServerConfig::with_crypto(Arc::new(tls));
        let _entered = RUNTIME.enter();
        let socket = UdpSocket::bind(addr).unwrap();
        let endpoint = Endpoint::new(own, Some(config), socket, Arc::new(TokioRuntime)).unwrap();
        let accepting = endpoint.clone();
        RUNTIME.spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(serve(incoming, name));
            }
        });
        Self { endpoint }
    }

    /// The number of handshakes with clients so far.
    pub fn handshakes(&self) -> u64 {
        self.endpoint.stats().accepted_handshakes
    }
}

impl Drop for QuicServer {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

/// Answers the questions of a client until it ends.
async fn serve(incoming: Incoming, name: &'static str) {
    let Ok(connection) = incoming.await else {
        return;
    };
    while let Ok((mut answer, mut question)) = connection.accept_bi().await {
        let connection = connection.clone();
        tokio::spawn(async move {
            question.read_to_end(MOST).await.ok()?;
            let text = format!("{name} {}", connection.remote_address());
            answer.write_all(text.as_bytes()).await.ok()?;
            answer.finish().ok()
        });
    }
}

/// Connection IDs as QUIC-LB lays them out in plaintext: an octet with the length of the rest, 8 with the server ID, and 8 that
/// differ.
struct ServerIds {
    id: u64,
    next: u64,
}

impl ConnectionIdGenerator for ServerIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.next += 1;
        let mut octets = [0; 17];
        octets[0] = 16;
        octets[1..9].copy_from_slice(&self.id.to_be_bytes());
        octets[9..].copy_from_slice(&self.next.to_be_bytes());
        ConnectionId::new(&octets)
    }

    fn cid_len(&self) -> usize {
        17
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its name.
    pub server: String,
    /// The client's address that it sees.
    pub client: SocketAddr,
}

impl Who {
    /// Reads an answer.
    pub fn read(answer: &str) -> Self {
        let (server, client) = answer.split_once(' ').unwrap();
        Self {
            server: server.to_owned(),
            client: client.parse().unwrap(),
        }
    }
}

/// A QUIC client with one connection.
pub struct QuicClient {
    endpoint: Endpoint,
    connection: Connection,
}

impl QuicClient {
    /// A client at `ip` that has connected to `to`.
    pub fn connect(ip: IpAddr, to: SocketAddr, ca: &Ca) -> Self {
        let tls = QuicClientConfig::try_from(ca.client(&[ALPN])).unwrap();
        let config = ClientConfig::new(Arc::new(tls));
        let _entered = RUNTIME.enter();
        let endpoint = Endpoint::client((ip, 0).into()).unwrap();
        let connecting = endpoint.connect_with(config, to, NAME).unwrap();
        Self {
            connection: RUNTIME.block_on(connecting).unwrap(),
            endpoint,
        }
    }

    /// Asks the server who it is, on a stream of its own.
    ///
    /// # Panics
    /// If the connection is lost.
    pub fn ask(&self) -> Who {
        let answer = async {
            let (mut question, mut answer) = self.connection.open_bi().await?;
            question.write_all(b"who?").await?;
            question.finish()?;
            let answer = answer.read_to_end(MOST).await?;
            Ok::<_, Box<dyn std::error::Error>>(String::from_utf8(answer)?)
        };
        Who::read(&RUNTIME.block_on(answer).unwrap())
    }

    /// Goes on from `ip` and another port.
    pub fn migrate(&self, ip: IpAddr) {
        let _entered = RUNTIME.enter();
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        self.endpoint.rebind(socket).unwrap();
    }
}

impl Drop for QuicClient {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}
