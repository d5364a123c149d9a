//! Hashes that select the targets of layer 4 flows.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use elbow_model::Transport;
use siphasher::sip::SipHasher13;

/// The hash that selects the target of a flow: protocol, source, destination, and for TCP `random` in place of
/// the sequence number, which a socket does not expose. Thus the next connection with the same client
/// address and port may go to another target (NLB guide: introduction).
pub fn hash(transport: Transport, source: SocketAddr, destination: SocketAddr, random: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(random, !random);
    // IANA's numbers.
    hasher.write_u8(match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    });
    for end in [source, destination] {
        match end.ip() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.write_u16(end.port());
    }
    hasher.finish()
}

/// The hash for sticky groups: the same for all flows of one client address (NLB guide: target groups,
/// sticky sessions), in every process.
pub fn source_hash(source: IpAddr) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x656c_626f_7720_736f, 0);
    match source.to_canonical() {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::SocketAddr;

    use elbow_model::Transport::{Tcp, Udp};

    use super::{hash, source_hash};

    // Parity 3.2: protocol, addresses, ports, and the sequence number.
    #[test]
    fn hash_depends_on_all_properties_of_a_flow() {
        let ends: [SocketAddr; 4] = [
            "10.0.0.1:1000".parse().unwrap(),
            "10.0.0.1:1001".parse().unwrap(),
            "10.0.0.2:1000".parse().unwrap(),
            "[::ffff:10.0.0.1]:1000".parse().unwrap(),
        ];
        let mut seen = HashSet::new();
        for source in ends {
            for destination in ends {
                for (transport, random) in [(Tcp, 1), (Tcp, 2), (Udp, 1)] {
                    assert!(seen.insert(hash(transport, source, destination, random)));
                    let again = hash(transport, source, destination, random);
                    assert!(seen.contains(&again));
                }
            }
        }
        assert_eq!(seen.len(), 48);
    }
    // Parity 3.4: stickiness.type source_ip.
    #[test]
    fn source_hash_depends_only_on_the_address() {
        let hash = |ip: &str| source_hash(ip.parse().unwrap());
        assert_eq!(hash("10.0.0.1"), hash("::ffff:10.0.0.1"));
        assert_ne!(hash("10.0.0.1"), hash("10.0.0.2"));
        assert_ne!(hash("2001:db8::1"), hash("2001:db8::2"));
    }
}
