//! Client side of TLS: connections to targets.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use elbow_net::{ConnectError, ConnectErrorKind, Transport};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, UnbufferedClientConnection,
};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, Error};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use crate::backend::BackendPolicy;
use crate::danger::DangerousAnyCertificate;
use crate::error::tls_error;
use crate::policy::policy;
use crate::public_keys::{PublicKey, PublicKeyVerifier};
use crate::stream::ClientTls;

#[cfg(test)]
mod tests;

/// Size of the session cache.
const SESSIONS: usize = 1024;

/// Opens TLS connections to targets: without SNI, with session resumption, and without verification unless targets have to
/// authenticate. Cheap to clone; clones share their sessions, others do not.
#[derive(Clone, Debug)]
pub struct Originator {
    /// Without ALPN.
    config: Arc<ClientConfig>,
    /// With ALPN for HTTP/2.
    h2: Arc<ClientConfig>,
    sessions: Arc<ClientSessionMemoryCache>,
    id: u64,
}

impl Originator {
    /// Creates an originator that offers targets what `backend` has.
    ///
    /// # Errors
    /// rustls cannot use the policy.
    pub fn new(backend: BackendPolicy) -> Result<Self, Error> {
        Self::verifying(backend, |_| Arc::new(DangerousAnyCertificate))
    }

    /// Creates an originator that offers targets what `backend` has, and connects only to those with one of `keys`.
    ///
    /// # Errors
    /// rustls cannot use the policy.
    pub fn authenticating(backend: BackendPolicy, keys: Arc<[PublicKey]>) -> Result<Self, Error> {
        Self::verifying(backend, |provider| {
            let algorithms = provider.signature_verification_algorithms;
            Arc::new(PublicKeyVerifier::new(keys, algorithms))
        })
    }

    fn verifying(
        backend: BackendPolicy,
        verifier: impl FnOnce(&CryptoProvider) -> Arc<dyn ServerCertVerifier>,
    ) -> Result<Self, Error> {
        let policy = policy(backend.name()).map_err(|e| Error::General(e.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(policy.provider().clone())
            .with_protocol_versions(policy.versions())?
            .dangerous()
            .with_custom_certificate_verifier(verifier(policy.provider()))
            .with_no_client_auth();
        config.enable_sni = false;
        let sessions = Arc::new(ClientSessionMemoryCache::new(SESSIONS));
        config.resumption = Resumption::store(sessions.clone());
        let mut h2 = config.clone();
        h2.alpn_protocols = vec![b"h2".to_vec()];
        static IDS: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            config: Arc::new(config),
            h2: Arc::new(h2),
            sessions,
            id: IDS.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The transport of its connections; clones have the same one.
    pub fn transport(&self) -> Transport {
        Transport::tls(self.id)
    }

    /// Performs the handshake on a new connection to `target`. An ALB uses a timeout of 10 s.
    pub async fn connect(
        &self,
        stream: TcpStream,
        target: SocketAddr,
        timeout: Duration,
    ) -> Result<ClientTls, ConnectError> {
        self.handshake(&self.config, stream, target, timeout).await
    }

    /// Like [`Self::connect`], and offers `h2` with ALPN. A target without ALPN is expected to speak HTTP/2 all the
    /// same.
    pub async fn connect_h2(
        &self,
        stream: TcpStream,
        target: SocketAddr,
        timeout: Duration,
    ) -> Result<ClientTls, ConnectError> {
        self.handshake(&self.h2, stream, target, timeout).await
    }

    async fn handshake(
        &self,
        config: &Arc<ClientConfig>,
        socket: TcpStream,
        target: SocketAddr,
        timeout: Duration,
    ) -> Result<ClientTls, ConnectError> {
        let name = session_name(target);
        // Boxed, so that the memory of the handshake is freed after it.
        let handshake = Box::pin(connect(Arc::clone(config), name.clone(), socket));
        match elbow_net::timeout(timeout, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(e)) => Err(ConnectError {
                kind: match tls_error(&e) {
                    Some(Error::InvalidCertificate(
                        CertificateError::ApplicationVerificationFailure,
                    )) => ConnectErrorKind::TlsPublicKey,
                    Some(Error::DecryptError) => {
                        // A target that resumes a session with other keys must not be asked for it again. rustls sees to that
                        // itself only if a connection has buffers.
                        self.sessions.remove_tls12_session(&name);
                        ConnectErrorKind::TlsHandshake
                    }
                    _ => ConnectErrorKind::TlsHandshake,
                },
                source: Some(e),
            }),
            Err(_) => Err(ConnectError {
                kind: ConnectErrorKind::TlsTimeout,
                source: None,
            }),
        }
    }
}

async fn connect(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    socket: TcpStream,
) -> io::Result<ClientTls> {
    let connection = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = ClientTls::new(socket, connection, Vec::new());
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

/// The key of the session cache: a name per address and port, never sent to the target.
fn session_name(target: SocketAddr) -> ServerName<'static> {
    let address = match target.ip() {
        IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("{:032x}", ip.to_bits()),
    };
    ServerName::try_from(format!("{address}-{}.target", target.port()))
        .unwrap_or_else(|_| ServerName::from(target.ip()))
}
