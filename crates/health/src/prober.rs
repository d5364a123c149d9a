use std::net::{IpAddr, SocketAddr};

use elbow_model::HealthCheckProtocol;

/// How a health check identifies its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prober {
    /// The Host header of an HTTP check: [`host`] of the target for an ALB and a CLB, or the address of the
    /// load balancer and the listener port for an NLB.
    pub host: String,
    /// The User-Agent header of an HTTP check.
    pub user_agent: &'static str,
    /// The first bytes sent to the target: a PROXY protocol header ([`elbow_net::proxy`]) or nothing.
    pub preface: Vec<u8>,
}

/// The Host header for `ip` and `port`, which omits the default port of the protocol (ALB guide:
/// troubleshooting).
pub fn host(protocol: HealthCheckProtocol, ip: IpAddr, port: u16) -> String {
    let default = match protocol {
        HealthCheckProtocol::Https | HealthCheckProtocol::Ssl => 443,
        HealthCheckProtocol::Http | HealthCheckProtocol::Tcp => 80,
    };
    match (ip, port == default) {
        (IpAddr::V4(ip), true) => ip.to_string(),
        (IpAddr::V6(ip), true) => format!("[{ip}]"),
        (ip, false) => SocketAddr::new(ip, port).to_string(),
    }
}
