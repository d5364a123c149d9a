//! QUIC listeners and groups (NLB guide: listeners, target groups).

use std::fmt;

use crate::invalid::Place;
use crate::kinds::{IpAddressType, Protocol};

/// `QuicServerId` of a target: the connection IDs that the target gives to clients contain it, so that a connection keeps its
/// target when the client's address changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuicServerId(
    /// Its 8 octets as a number, the first octet highest.
    pub u64,
);

impl QuicServerId {
    pub(crate) fn build(text: &str, at: &Place<'_>) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let digits = text.strip_prefix("0x");
        let digits = digits.filter(|digits| digits.len() == 16 && digits.bytes().all(is_digit));
        let id = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if id.is_none() {
            at.error_with(
                "out-of-range",
                format!("{text:?} is not a QUIC server ID"),
                "write 0x and 16 lower-case hexadecimal digits, for example 0x00000000000000a1"
                    .to_owned(),
            );
        }
        id.map(Self)
    }
}

impl fmt::Display for QuicServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// Checks the server IDs of the targets of a group.
pub(crate) fn check(protocol: Protocol, ids: &[Option<QuicServerId>], at: &Place<'_>) {
    for (i, id) in ids.iter().enumerate() {
        let at = at.index(i);
        let at = at.field("quicServerId");
        let Some(id) = id else {
            continue;
        };
        if !protocol.is_quic() {
            at.error(
                "invalid-combination",
                "quicServerId belongs to groups of protocol QUIC and TCP_QUIC",
            );
        } else if ids[..i].contains(&Some(*id)) {
            at.error(
                "duplicate-target",
                format!("another target has the QUIC server ID {id}"),
            );
        }
    }
    if protocol.is_quic() && ids.contains(&None) {
        at.warn(
            "not-supported",
            "targets without quicServerId are found by the client's address alone: their connections end when it changes",
        );
    }
}

/// Checks what a load balancer with a QUIC listener cannot have.
pub(crate) fn check_listeners(
    listeners: &[Protocol],
    family: Option<IpAddressType>,
    has_security_groups: bool,
    at: &Place<'_>,
) {
    let of_quic = listeners.iter().filter(|one| one.is_quic()).count();
    if of_quic == 0 {
        return;
    }
    let refuse = |reason: &str| at.field("listeners").error("invalid-combination", reason);
    if of_quic > 1 {
        refuse("a network load balancer has one listener of QUIC or TCP_QUIC");
    }
    if listeners
        .iter()
        .any(|one| one.has_datagrams() && !one.is_quic())
    {
        refuse("a load balancer has listeners of UDP and TCP_UDP, or one of QUIC or TCP_QUIC");
    }
    if family == Some(IpAddressType::Dualstack) {
        refuse("a dualstack load balancer cannot have a listener of QUIC or TCP_QUIC");
    }
    if has_security_groups {
        refuse("a load balancer with security groups cannot have a listener of QUIC or TCP_QUIC");
    }
}
