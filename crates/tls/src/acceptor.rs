//! Server side of TLS: connections from clients.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use elbow_model::Personality;
use elbow_model::personality::Resumption;
use elbow_net::TlsMeta;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::{CommonState, HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::net::TcpStream;

use crate::certificate::Loaded;
use crate::client_auth::{Attempt, ClientAuth};
use crate::error::AcceptError;
use crate::failure::HandshakeFailure;
use crate::hello;
use crate::plain::PlainClient;
use crate::policy::{Policy, group_name, openssl_name};
use crate::store::{Choice, Hello, Store};
use crate::stream::ServerTls;
use crate::tickets::{Binding, Tickets};

#[cfg(test)]
mod tests;

/// Tickets sent to a TLS 1.3 client per handshake, including resumed ones.
const TICKETS: usize = 1;

/// Terminates TLS for one listener. Immutable and cheap to clone. A change of certificates or policy
/// creates a new acceptor, which new handshakes use.
#[derive(Clone, Debug)]
pub struct Acceptor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    /// One for each certificate of the store, in the same order.
    configs: Vec<Configs>,
    alpn: Vec<Vec<u8>>,
    policy: Policy,
    client_auth: Option<ClientAuth>,
}

/// The rustls configurations of one certificate.
#[derive(Debug)]
struct Configs {
    /// With the ALPN protocols of the listener.
    alpn: Arc<ServerConfig>,
    /// Without ALPN, for clients that offer none of the protocols: rustls would refuse them, but they
    /// must be able to connect without ALPN (NLB guide: listeners).
    plain: Arc<ServerConfig>,
}

impl Acceptor {
    /// Creates the acceptor of a listener of `load_balancer`. The first of `certificates` is the default one. `alpn` is
    /// in order of preference ([`crate::alpn`]).
    ///
    /// A session can be resumed on any listener of the same load balancer that has the same policy and protocols and
    /// chooses the same certificate (parity 2.3). No session is resumed where clients are asked for certificates.
    ///
    /// # Errors
    /// If there is no certificate, or rustls cannot use one.
    pub fn new(
        load_balancer: &str,
        personality: &Personality,
        policy: &Policy,
        certificates: Vec<Arc<Loaded>>,
        alpn: Vec<Vec<u8>>,
        client_auth: Option<ClientAuth>,
        tickets: &Tickets,
    ) -> Result<Self, rustls::Error> {
        if certificates.is_empty() {
            return Err(rustls::Error::NoCertificatesPresented);
        }
        let mut base = ServerConfig::builder_with_provider(policy.provider().clone())
            .with_protocol_versions(policy.versions())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(NoCertificate));
        base.ignore_client_order = policy.is_server_order();
        base.session_storage = Arc::new(NoServerSessionStorage {});
        base.send_tls13_tickets = 0;
        let resumption = personality.resumption;
        let resumes = client_auth.is_none()
            && (resumption == Resumption::TicketsAndIds || certificates.len() == 1);
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
                if resumption == Resumption::TicketsAndIds {
                    own.session_storage = sessions;
                }
            }
            configs.push(Configs::new(own, &alpn));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store: Store::new(certificates, personality.prefers_unexpired_certificates),
                configs,
                alpn,
                policy: policy.clone(),
                client_auth,
            }),
        })
    }

    /// The certificates of the listener, the default one first.
    pub fn certificates(&self) -> &[Arc<Loaded>] {
        self.inner.store.certificates()
    }

    /// Performs the handshake with a client that was accepted at `accepted`.
    pub async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
        accepted: Instant,
    ) -> Result<(ServerTls, TlsMeta), AcceptError> {
        // Boxed, so that the memory of the handshake is freed after it.
        match elbow_net::timeout(timeout, Box::pin(self.handshake(stream))).await {
            Ok(Ok((stream, mut meta))) => {
                meta.handshake = accepted.elapsed();
                Ok((stream, meta))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(AcceptError::new(HandshakeFailure::Timeout)),
        }
    }

    async fn handshake(&self, mut socket: TcpStream) -> Result<(ServerTls, TlsMeta), AcceptError> {
        let inner = &self.inner;
        let (accepted, received) = match hello::read(&mut socket).await? {
            hello::Hello::Tls(accepted, received) => (accepted, received),
            hello::Hello::Plain(received) => {
                let plain = PlainClient::new(socket, received);
                return Err(AcceptError {
                    plain: Some(Box::new(plain)),
                    ..AcceptError::new(HandshakeFailure::NotTls)
                });
            }
        };
        let client_hello = accepted.client_hello();
        let sni = client_hello.server_name().map(Into::into);
        let (choice, config) = inner.choose(&client_hello)?;
        let attempt = inner.client_auth.as_ref().map(Attempt::new);
        let config = match &attempt {
            Some(attempt) => attempt
                .config(&config, &inner.policy)
                .map_err(io::Error::other)?,
            None => config,
        };
        let mut stream = hello::answer(accepted, config, socket, received).await?;
        let ended = poll_fn(|cx| stream.poll_handshake(cx)).await;
        let asks = attempt.is_some();
        let found = attempt.map(|attempt| attempt.take_found());
        let found = found.unwrap_or_default();
        let mut meta = inner.meta(choice, sni, stream.connection());
        meta.client_certificate = found.certificate;
        match ended {
            Ok(()) => Ok((stream, meta)),
            Err(error) => {
                let mut error = AcceptError::from(error);
                if let Some(failure) = found.failure {
                    error.kind = failure;
                } else if asks && error.is_too_large() {
                    error.kind = HandshakeFailure::ClientCertMaxSizeExceeded;
                }
                let is_negotiated = stream.connection().negotiated_cipher_suite().is_some();
                error.tls = is_negotiated.then(|| Box::new(meta));
                Err(error)
            }
        }
    }
}

impl Inner {
    /// The certificate for a client, and the configuration that serves it.
    fn choose(&self, hello: &ClientHello<'_>) -> io::Result<(Choice, Arc<ServerConfig>)> {
        let known = Hello::new(hello, self.policy.tls13(), unix_now());
        let choice = self.store.choose(&known);
        let config = self.config(choice, hello);
        Ok((choice, config.ok_or(io::ErrorKind::NotFound)?))
    }

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

    fn meta(&self, choice: Choice, sni: Option<Box<str>>, connection: &CommonState) -> TlsMeta {
        let certificate = self.store.certificates().get(choice.index);
        TlsMeta {
            sni,
            sni_matched: choice.sni_matched,
            alpn: connection.alpn_protocol().map(Into::into),
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map_or("-", openssl_name),
            key_exchange: connection
                .negotiated_key_exchange_group()
                .and_then(|group| group_name(group.name())),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate_arn: certificate.map(|c| c.arn().clone()),
            handshake: Duration::ZERO,
            client_certificate: None,
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

/// Placeholder in the configuration that the others are cloned from.
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
