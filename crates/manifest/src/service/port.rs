//! The ports of a Network Load Balancer (control-plane.md 3.2).

use std::collections::BTreeSet;

use crate::annotations::service as keys;
use crate::objects::ServicePort;

use crate::lookup::service::{Reader, Refused};

/// A protocol of listeners and target groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Plain TCP.
    Tcp,
    /// TLS, terminated by the load balancer.
    Tls,
    /// UDP.
    Udp,
    /// TCP and UDP on one port.
    TcpUdp,
    /// QUIC, passed through.
    Quic,
    /// TCP and QUIC on one port.
    TcpQuic,
    /// SCTP, which the controller plans and AWS refuses.
    Sctp,
}

impl Protocol {
    /// As AWS spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
            Self::TcpUdp => "TCP_UDP",
            Self::Quic => "QUIC",
            Self::TcpQuic => "TCP_QUIC",
            Self::Sctp => "SCTP",
        }
    }

    /// Whether it carries datagrams.
    pub const fn datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp | Self::Quic | Self::TcpQuic)
    }
}

/// The annotations that concern all ports.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The first is the default; the others are chosen by SNI.
    pub certificates: Vec<String>,
    tls_ports: BTreeSet<String>,
    quic_ports: BTreeSet<String>,
    tls_targets: bool,
    merges: bool,
}

impl Listening {
    /// Reads them; `merges` is the default for merging TCP and UDP on one port. `read` keeps the errors.
    pub fn read(read: &Reader<'_>, ports: &[ServicePort], merges: bool) -> Self {
        let key = keys::SSL_PORTS;
        let tls_ports: BTreeSet<String> = read.list(key).into_iter().collect();
        let names = ports
            .iter()
            .flat_map(|port| [port.name.clone(), port.port.to_string()]);
        let names: BTreeSet<String> = names.collect();
        let unused: Vec<&str> = tls_ports.difference(&names).map(String::as_str).collect();
        if !unused.is_empty() {
            let message = format!("Unused port in ssl-ports annotation {unused:?}");
            let error = Refused::annotation(key, message);
            read.refused
                .add(error.hint("numbers or names of the Service's ports"));
        }
        Self {
            certificates: read.list(keys::SSL_CERT),
            tls_ports,
            quic_ports: read.list(keys::QUIC_ENABLED_PORTS).into_iter().collect(),
            tls_targets: read.text(keys::BACKEND_PROTOCOL) == Some("ssl"),
            // The controller ignores an invalid value.
            merges: read
                .bool(keys::ENABLE_TCP_UDP_LISTENER)
                .ok()
                .flatten()
                .unwrap_or(merges),
        }
    }

    /// The ports, each with whether TCP and UDP are merged on it. Without merging, two ports may have the same number,
    /// and the listener of the first one counts.
    pub fn ports<'p>(
        &self,
        ports: &'p [ServicePort],
    ) -> Result<Vec<(&'p ServicePort, bool)>, Refused> {
        let mut chosen: Vec<(&ServicePort, bool)> = Vec::new();
        for port in ports {
            let twin = chosen.iter_mut().find(|(other, _)| other.port == port.port);
            let Some((first, merged)) = twin.filter(|_| self.merges) else {
                chosen.push((port, false));
                continue;
            };
            if *merged
                || first.protocol == port.protocol
                || ![&first.protocol, &port.protocol]
                    .iter()
                    .all(|p| matches!(p.as_str(), "TCP" | "UDP"))
            {
                let message = format!(
                    "port {}: only one TCP and one UDP port can share a number",
                    port.port
                );
                return Err(Refused::field("spec.ports", message));
            }
            *merged = true;
        }
        Ok(chosen)
    }

    /// The protocols of a port's listener and of its target group.
    pub fn protocols(
        &self,
        port: &ServicePort,
        merged: bool,
    ) -> Result<(Protocol, Protocol), Refused> {
        let plain = match (merged, port.protocol.as_str()) {
            (true, _) => Protocol::TcpUdp,
            (false, "UDP") => Protocol::Udp,
            (false, "TCP") => Protocol::Tcp,
            (false, "SCTP") => Protocol::Sctp,
            (false, other) => {
                return Err(Refused::field(
                    "spec.ports",
                    format!("port {}: expected TCP or UDP, found {other}", port.port),
                ));
            }
        };
        let number = port.port.to_string();
        let listed = |set: &BTreeSet<String>| set.contains(&port.name) || set.contains(&number);
        let tls = matches!(plain, Protocol::Tcp | Protocol::Sctp)
            && !self.certificates.is_empty()
            && (self.tls_ports.is_empty() || listed(&self.tls_ports));
        let (listener, group) = match (tls, self.tls_targets) {
            (true, true) => (Protocol::Tls, Protocol::Tls),
            (true, false) => (Protocol::Tls, plain),
            (false, _) => (plain, plain),
        };
        match (listed(&self.quic_ports), listener) {
            (false, _) => Ok((listener, group)),
            (true, Protocol::Udp) => Ok((Protocol::Quic, Protocol::Quic)),
            (true, Protocol::TcpUdp) => Ok((Protocol::TcpQuic, Protocol::TcpQuic)),
            (true, other) => Err(Refused::annotation(
                keys::QUIC_ENABLED_PORTS,
                format!(
                    "port {} has the protocol {}, which cannot become QUIC",
                    port.port,
                    other.as_str()
                ),
            )
            .hint("only UDP and TCP_UDP ports can become QUIC")),
        }
    }
}

/// The ALPN policy of a TLS listener.
pub fn alpn_policy(read: &Reader<'_>, listener: Protocol) -> Result<Option<String>, Refused> {
    const POLICIES: [&str; 5] = [
        "None",
        "HTTP1Only",
        "HTTP2Only",
        "HTTP2Optional",
        "HTTP2Preferred",
    ];
    let key = keys::ALPN_POLICY;
    let Some(written) = read.text(key).filter(|_| listener == Protocol::Tls) else {
        return Ok(None);
    };
    if POLICIES.contains(&written) {
        return Ok(Some(written.to_owned()));
    }
    Err(
        Refused::annotation(key, format!("invalid ALPN policy {written}"))
            .hint(format!("one of {}", POLICIES.join(", "))),
    )
}
