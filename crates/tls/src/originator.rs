//! TLS to targets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use elbow_net::{ConnectError, ConnectErrorKind, Transport};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::danger::DangerousAnyCertificate;
use crate::policy::policy;
use crate::stream::ClientTls;

#[cfg(test)]
mod tests;

/// Targets whose sessions are remembered.
const SESSIONS: usize = 1024;

/// The policies towards targets (ALB guide: security policies).
const BACKEND_TLS13: &str = "ELBSecurityPolicy-TLS13-1-0-2021-06";
const BACKEND: &str = "ELBSecurityPolicy-2016-08";

/// Opens TLS to targets: no verification, no SNI, no ALPN, sessions resumed. Cheap to clone; clones
/// share their sessions.
#[derive(Clone, Debug)]
pub struct Originator {
    config: Arc<ClientConfig>,
    id: u64,
}

impl Originator {
    /// `tls13` when the listener's policy has TLS 1.3 ([`crate::Policy::tls13`]); otherwise targets
    /// get TLS 1.2 alone.
    pub fn new(tls13: bool) -> Result<Self, rustls::Error> {
        let policy = policy(if tls13 { BACKEND_TLS13 } else { BACKEND })
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(policy.provider().clone())
            .with_protocol_versions(policy.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(DangerousAnyCertificate))
            .with_no_client_auth();
        config.enable_sni = false;
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        static IDS: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            config: Arc::new(config),
            id: IDS.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// What it makes of a connection; clones make the same.
    pub fn transport(&self) -> Transport {
        Transport::tls(self.id)
    }

    /// The handshake on a fresh connection to `target`; AWS's ALB gives it 10 s.
    pub async fn connect(
        &self,
        stream: TcpStream,
        target: SocketAddr,
        timeout: Duration,
    ) -> Result<ClientTls, ConnectError> {
        let connector = TlsConnector::from(self.config.clone());
        // Boxed, so that what only the handshake needs is gone after it.
        let handshake = Box::pin(connector.connect(session_name(target), stream));
        match elbow_net::timeout(timeout, handshake).await {
            Ok(Ok(stream)) => {
                let (socket, connection) = stream.into_inner();
                Ok(ClientTls::new(socket, connection))
            }
            Ok(Err(e)) => Err(ConnectError {
                kind: ConnectErrorKind::TlsHandshake,
                source: Some(e),
            }),
            Err(_) => Err(ConnectError {
                kind: ConnectErrorKind::TlsTimeout,
                source: None,
            }),
        }
    }
}

/// A name for the session cache alone, which would mix up the targets of one address otherwise.
fn session_name(target: SocketAddr) -> ServerName<'static> {
    let address = match target.ip() {
        IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("{:032x}", ip.to_bits()),
    };
    ServerName::try_from(format!("{address}-{}.target", target.port()))
        .unwrap_or_else(|_| ServerName::from(target.ip()))
}
