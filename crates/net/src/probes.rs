//! TCP keep-alive probes.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Interval of the keep-alive probes of a flow that answers them (NLB guide: listeners, TLS).
const PROBE_INTERVAL: Duration = Duration::from_secs(20);

/// Sends TCP keep-alive probes from now on. Best effort: without them, the flow expires when both peers are silent.
pub(crate) fn send_probes(socket: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(PROBE_INTERVAL)
        .with_interval(PROBE_INTERVAL);
    let _ = SockRef::from(socket).set_tcp_keepalive(&probes);
}
