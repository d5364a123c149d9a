use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The timeout of one probe.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether a server that `tls` trusts answers `GET path` under TLS with 200.
pub(crate) async fn is_ok(address: SocketAddr, tls: &Arc<ClientConfig>, path: &str) -> bool {
    let status = tokio::time::timeout(TIMEOUT, status_line(address, tls, path)).await;
    matches!(status, Ok(Ok(line)) if line == *b"HTTP/1.1 200")
}

async fn status_line(
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
    path: &str,
) -> io::Result<[u8; 12]> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::IpAddress(address.ip().into());
    let mut stream = TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = [0; 12];
    stream.read_exact(&mut line).await?;
    Ok(line)
}
