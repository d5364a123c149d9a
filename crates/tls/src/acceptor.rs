//! TLS from clients.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use elbow_model::LoadBalancerType;
use elbow_net::TlsMeta;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use crate::certificate::Loaded;
use crate::error::AcceptError;
use crate::policy::{Policy, openssl_name};
use crate::store::{Choice, Hello, Store};
use crate::stream::ServerTls;
use crate::tickets::{Binding, Tickets};

#[cfg(test)]
mod tests;

/// Tickets that a TLS 1.3 client gets; it gets another one whenever it resumes.
const TICKETS: usize = 1;

/// Terminates TLS for one listener. Immutable and cheap to clone: a change of certificates or policy
/// makes another one, which new handshakes use.
#[derive(Clone, Debug)]
pub struct Acceptor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    /// One for each certificate of the store.
    configs: Vec<Configs>,
    alpn: Vec<Vec<u8>>,
    tls13: bool,
}

/// What to serve one certificate with.
#[derive(Debug)]
struct Configs {
    /// With the listener's protocols.
    alpn: Arc<ServerConfig>,
    /// For clients whose protocols do not overlap: they get no answer and may go on (NLB guide:
    /// listeners), where rustls would refuse them.
    plain: Arc<ServerConfig>,
}

impl Acceptor {
    /// For a listener of `load_balancer`, which is of `kind`. The first of `certificates` is the default. `alpn` is in order of preference ([`crate::alpn`]).
    ///
    /// Sessions resume at the listeners of the same load balancer that would choose the same certificate under the
    /// same policy and protocols (parity 2.3).
    ///
    /// # Errors
    /// When there is no certificate, or none that rustls can use.
    pub fn new(
        load_balancer: &str,
        kind: LoadBalancerType,
        policy: &Policy,
        certificates: Vec<Arc<Loaded>>,
        alpn: Vec<Vec<u8>>,
        tickets: &Tickets,
    ) -> Result<Self, rustls::Error> {
        if certificates.is_empty() {
            return Err(rustls::Error::NoCertificatesPresented);
        }
        let network = kind == LoadBalancerType::Network;
        let mut base = ServerConfig::builder_with_provider(policy.provider().clone())
            .with_protocol_versions(policy.versions())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(NoCertificate));
        base.ignore_client_order = true;
        base.session_storage = Arc::new(NoServerSessionStorage {});
        base.send_tls13_tickets = 0;
        // An NLB resumes nothing on a listener with several certificates (NLB guide: listeners).
        let resumes = !network || certificates.len() == 1;
        let mut configs = Vec::with_capacity(certificates.len());
        for certificate in &certificates {
            let mut own = base.clone();
            own.cert_resolver = Arc::new(SingleCertAndKey::from(certificate.certified.clone()));
            if resumes {
                let leaf = certificate.certified.end_entity_cert()?;
                let binding = Binding::new(load_balancer, policy.name(), leaf, &alpn);
                let sessions = tickets.sessions(binding)?;
                own.ticketer = sessions.clone();
                own.send_tls13_tickets = TICKETS;
                if !network {
                    own.session_storage = sessions;
                }
            }
            configs.push(Configs::new(own, &alpn));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store: Store::new(certificates, !network),
                configs,
                alpn,
                tls13: policy.tls13(),
            }),
        })
    }

    /// The certificates that it serves, the default one first.
    pub fn certificates(&self) -> &[Arc<Loaded>] {
        self.inner.store.certificates()
    }

    /// The handshake with a client that was accepted at `accepted`.
    pub async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
        accepted: Instant,
    ) -> Result<(ServerTls, TlsMeta), AcceptError> {
        // Boxed, so that what only the handshake needs is gone after it.
        match elbow_net::timeout(timeout, Box::pin(self.handshake(stream))).await {
            Ok(Ok((stream, mut meta))) => {
                meta.handshake = accepted.elapsed();
                Ok((stream, meta))
            }
            Ok(Err(e)) => Err(e.into()),
            Err(_) => Err(AcceptError::timeout()),
        }
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<(ServerTls, TlsMeta)> {
        let start = LazyConfigAcceptor::new(Default::default(), stream).await?;
        let hello = start.client_hello();
        let choice = self
            .inner
            .store
            .choose(&Hello::new(&hello, self.inner.tls13, unix_now()));
        let config = self
            .inner
            .config(choice, &hello)
            .ok_or(io::ErrorKind::NotFound)?;
        let (socket, connection) = start.into_stream(config).await?.into_inner();
        let meta = self.inner.meta(choice, &connection);
        Ok((ServerTls::new(socket, connection), meta))
    }
}

impl Inner {
    fn config(&self, choice: Choice, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let configs = self.configs.get(choice.index)?;
        let overlap = hello
            .alpn()
            .is_some_and(|mut offered| offered.any(|o| self.alpn.iter().any(|ours| ours == o)));
        Some(if overlap {
            configs.alpn.clone()
        } else {
            configs.plain.clone()
        })
    }

    fn meta(&self, choice: Choice, connection: &ServerConnection) -> TlsMeta {
        let certificate = self.store.certificates().get(choice.index);
        TlsMeta {
            sni: connection.server_name().map(Into::into),
            sni_matched: choice.sni_matched,
            alpn: connection.alpn_protocol().map(Into::into),
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map_or("-", openssl_name),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate_arn: certificate.map(|c| c.arn().clone()),
            handshake: Duration::ZERO,
        }
    }
}

impl Configs {
    fn new(plain: ServerConfig, alpn: &[Vec<u8>]) -> Self {
        let mut with_alpn = plain.clone();
        with_alpn.alpn_protocols = alpn.to_vec();
        Self {
            alpn: Arc::new(with_alpn),
            plain: Arc::new(plain),
        }
    }
}

/// Stands in the configuration that all others are made of.
#[derive(Debug)]
struct NoCertificate;

impl rustls::server::ResolvesServerCert for NoCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}
