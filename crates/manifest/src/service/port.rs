//! The ports of a Network Load Balancer: section 3.2.

use std::collections::BTreeSet;

use crate::objects::ServicePort;

use super::read::{Reader, Refused};

/// A protocol of listeners and target groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Plain TCP.
    Tcp,
    /// TLS, ended here.
    Tls,
    /// UDP.
    Udp,
    /// TCP and UDP on one port.
    TcpUdp,
    /// QUIC, passed through.
    Quic,
    /// TCP and QUIC on one port.
    TcpQuic,
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
        }
    }

    /// Whether datagrams are among what it carries.
    pub const fn datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp | Self::Quic | Self::TcpQuic)
    }
}

/// What the annotations say of all ports.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The first is the default, the others go by SNI.
    pub certificates: Vec<String>,
    tls_ports: BTreeSet<String>,
    quic_ports: BTreeSet<String>,
    tls_targets: bool,
    merges: bool,
}

impl Listening {
    /// Reads them; `merges` is the feature gate's word on TCP and UDP on one port.
    pub fn read(read: &Reader<'_>, ports: &[ServicePort], merges: bool) -> Result<Self, Refused> {
        let key = "aws-load-balancer-ssl-ports";
        let tls_ports: BTreeSet<String> = read.list(key).into_iter().collect();
        let names = ports
            .iter()
            .flat_map(|port| [port.name.clone(), port.port.to_string()]);
        let names: BTreeSet<String> = names.collect();
        let unused: Vec<&str> = tls_ports.difference(&names).map(String::as_str).collect();
        if !unused.is_empty() {
            return Err(Refused::annotation(
                key,
                format!("Unused port in ssl-ports annotation {unused:?}"),
            )
            .hint("numbers or names of the Service's ports"));
        }
        Ok(Self {
            certificates: read.list("aws-load-balancer-ssl-cert"),
            tls_ports,
            quic_ports: read
                .list("aws-load-balancer-quic-enabled-ports")
                .into_iter()
                .collect(),
            tls_targets: read.text("aws-load-balancer-backend-protocol") == Some("ssl"),
            // The controller takes what is no truth value for silence.
            merges: read
                .bool("aws-load-balancer-enable-tcp-udp-listener")
                .ok()
                .flatten()
                .unwrap_or(merges),
        })
    }

    /// The ports, and whether TCP and UDP are merged on it. Without merging, two ports may have the
    /// same number; the listener of the first stays then.
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
                    "port {} can be shared by one TCP and one UDP port only",
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
            (false, other) => {
                return Err(Refused::field(
                    "spec.ports",
                    format!("port {}: a load balancer does not speak {other}", port.port),
                ));
            }
        };
        let number = port.port.to_string();
        let listed = |set: &BTreeSet<String>| set.contains(&port.name) || set.contains(&number);
        let tls = plain == Protocol::Tcp
            && !self.certificates.is_empty()
            && (self.tls_ports.is_empty() || listed(&self.tls_ports));
        let (listener, group) = match (tls, self.tls_targets) {
            (true, true) => (Protocol::Tls, Protocol::Tls),
            (true, false) => (Protocol::Tls, Protocol::Tcp),
            (false, _) => (plain, plain),
        };
        match (listed(&self.quic_ports), listener) {
            (false, _) => Ok((listener, group)),
            (true, Protocol::Udp) => Ok((Protocol::Quic, Protocol::Quic)),
            (true, Protocol::TcpUdp) => Ok((Protocol::TcpQuic, Protocol::TcpQuic)),
            (true, other) => Err(Refused::annotation(
                "aws-load-balancer-quic-enabled-ports",
                format!(
                    "port {} speaks {}, which QUIC cannot replace",
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
    let key = "aws-load-balancer-alpn-policy";
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
