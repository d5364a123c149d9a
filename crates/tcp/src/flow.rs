use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher13;

/// The IANA protocol number of TCP.
const TCP: u8 = 6;

/// The hash that selects the target of a flow: protocol, source, destination, and `random` in place of
/// the TCP sequence number, which a socket does not expose. Thus the next flow with the same client
/// address and port may go to another target (NLB guide: introduction).
pub(crate) fn hash(source: SocketAddr, destination: SocketAddr, random: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(random, !random);
    hasher.write_u8(TCP);
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
pub(crate) fn source_hash(source: IpAddr) -> u64 {
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
                for random in [1, 2] {
                    assert!(seen.insert(hash(source, destination, random)));
                    let again = hash(source, destination, random);
                    assert!(seen.contains(&again));
                }
            }
        }
        assert_eq!(seen.len(), 32);
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
