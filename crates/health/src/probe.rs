use std::net::SocketAddr;

use elbow_model::{HealthCheck, HealthCheckProtocol, ProtocolVersion};
use elbow_net::{Connect, ConnectError, ConnectErrorKind, Resource};

use crate::prober::Prober;
use crate::{http, http2};

#[cfg(test)]
mod tests;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The check passed.
    Pass {
        /// The status code with HTTP and HTTPS, or the code of gRPC.
        code: Option<u16>,
    },
    /// The response had a status code, or a code of gRPC, that the matcher does not allow.
    Mismatch(u16),
    /// The check timed out.
    Timeout,
    /// The connection failed or was reset, or the response is not HTTP; with a description.
    Failed(String),
    /// The target was not checked because elbow is out of a local resource.
    Skipped(Resource),
}

impl From<ConnectError> for Outcome {
    fn from(error: ConnectError) -> Self {
        match error.kind {
            ConnectErrorKind::Timeout | ConnectErrorKind::TlsTimeout => Self::Timeout,
            ConnectErrorKind::Exhausted(resource) => Self::Skipped(resource),
            kind => Self::Failed(match error.source {
                Some(source) => format!("{kind}: {source}"),
                None => kind.to_string(),
            }),
        }
    }
}

/// Performs one check of `target`, limited by the timeout of the check.
pub async fn probe<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    prober: &Prober,
) -> Outcome {
    elbow_net::timeout(check.timeout, ask(connector, check, target, prober))
        .await
        .unwrap_or(Outcome::Timeout)
}

async fn ask<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    prober: &Prober,
) -> Outcome {
    let tls = match check.protocol {
        HealthCheckProtocol::Tcp | HealthCheckProtocol::Http => false,
        HealthCheckProtocol::Ssl | HealthCheckProtocol::Https => true,
    };
    let connected = match check.version {
        ProtocolVersion::Http1 => connector.connect_with(target, tls, &prober.preface).await,
        ProtocolVersion::Http2 | ProtocolVersion::Grpc => connector.connect_h2(target, tls).await,
    };
    let io = match connected {
        Ok(io) => io,
        Err(e) => return e.into(),
    };
    if matches!(
        check.protocol,
        HealthCheckProtocol::Tcp | HealthCheckProtocol::Ssl
    ) {
        return Outcome::Pass { code: None };
    }
    let answer = match check.version {
        ProtocolVersion::Http1 => {
            let status = http::status(io, &check.path, prober).await;
            status.map_err(|e| e.to_string())
        }
        version => {
            let request = http2::Request {
                path: &check.path,
                tls,
                is_grpc: version == ProtocolVersion::Grpc,
            };
            let code = http2::code(io, request, prober).await;
            code.map_err(|e| e.to_string())
        }
    };
    match answer {
        Ok(code) if check.matcher.matches(code) => Outcome::Pass { code: Some(code) },
        Ok(code) => Outcome::Mismatch(code),
        Err(e) => Outcome::Failed(e),
    }
}
