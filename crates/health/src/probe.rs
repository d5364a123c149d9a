use std::net::{IpAddr, SocketAddr};

use elbow_model::{HealthCheck, HealthCheckProtocol};
use elbow_net::{Connect, ConnectError, ConnectErrorKind, Lack};

use crate::http;

#[cfg(test)]
mod tests;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Pass {
        /// The status code, for HTTP and HTTPS.
        code: Option<u16>,
    },
    /// The answer had a code that the matcher does not want.
    Mismatch(u16),
    /// It did not end in time.
    Timeout,
    /// No connection, a reset, or an answer that is not HTTP; the text is for people.
    Failed(String),
    /// elbow lacked a resource of its own, so the target was not asked.
    Skipped(Lack),
}

impl Outcome {
    /// Whether the target passed.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Pass { .. })
    }
}

impl From<ConnectError> for Outcome {
    fn from(error: ConnectError) -> Self {
        match error.kind {
            ConnectErrorKind::Timeout | ConnectErrorKind::TlsTimeout => Self::Timeout,
            ConnectErrorKind::Exhausted(lack) => Self::Skipped(lack),
            kind => Self::Failed(match error.source {
                Some(source) => format!("{kind}: {source}"),
                None => kind.to_string(),
            }),
        }
    }
}

/// Who asks a target for its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The Host header of an HTTP check: [`host`] of the target for an ALB and a CLB, of the load
    /// balancer's address and listener port for an NLB.
    pub host: String,
    /// [`USER_AGENT`] or [`CLASSIC_USER_AGENT`].
    pub user_agent: &'static str,
    /// What the target gets first ([`elbow_net::proxy`]).
    pub preface: Vec<u8>,
}

/// Of ALB and NLB.
pub const USER_AGENT: &str = "ELB-HealthChecker/2.0";
/// Of CLB.
pub const CLASSIC_USER_AGENT: &str = "ELB-HealthChecker/1.0";

/// One check of `target`, bounded by the check's timeout.
pub async fn probe<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    asker: &Asker,
) -> Outcome {
    elbow_net::timeout(check.timeout, ask(connector, check, target, asker))
        .await
        .unwrap_or(Outcome::Timeout)
}

async fn ask<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    asker: &Asker,
) -> Outcome {
    let tls = match check.protocol {
        HealthCheckProtocol::Tcp | HealthCheckProtocol::Http => false,
        HealthCheckProtocol::Ssl | HealthCheckProtocol::Https => true,
    };
    let io = match connector.connect_with(target, tls, &asker.preface).await {
        Ok(io) => io,
        Err(e) => return e.into(),
    };
    match check.protocol {
        HealthCheckProtocol::Tcp | HealthCheckProtocol::Ssl => Outcome::Pass { code: None },
        HealthCheckProtocol::Http | HealthCheckProtocol::Https => {
            match http::status(io, &check.path, asker).await {
                Ok(code) if check.matcher.matches(code) => Outcome::Pass { code: Some(code) },
                Ok(code) => Outcome::Mismatch(code),
                Err(e) => Outcome::Failed(e.to_string()),
            }
        }
    }
}

/// The Host header for `ip` and `port`, without the default port of the check's protocol (ALB guide:
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
