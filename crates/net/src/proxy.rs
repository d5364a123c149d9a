//! PROXY protocol headers, which tell a target the addresses of the client before the first byte of data
//! (haproxy.org, The PROXY protocol, versions 1 and 2).

use std::net::{IpAddr, SocketAddr};

pub use parse::{Header, MAX_V1, MAX_V2, Malformed, Parsed, parse};
pub use receive::{ReceiveError, receive};

mod parse;
mod receive;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Length of a version 2 header before its addresses.
const FIXED: usize = 16;
/// Version 2, command PROXY.
const PROXY: u8 = 0x21;
/// Version 2, command LOCAL: the load balancer itself opened the connection.
const LOCAL: u8 = 0x20;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
/// Length of the TLVs after the addresses, to which an NLB pads them with a NOOP.
const EXTRA: usize = 72;
const PP2_TYPE_CRC32C: u8 = 0x03;
const PP2_TYPE_NOOP: u8 = 0x04;
/// The VPC endpoint of a client of AWS PrivateLink (NLB guide: proxy protocol).
const PP2_TYPE_AWS: u8 = 0xea;
const PP2_SUBTYPE_AWS_VPCE_ID: u8 = 0x01;
/// The longest name of an endpoint in bytes; AWS's have 22.
const MAX_ENDPOINT: usize = 255;
const CRC_LENGTH: usize = 4;
/// Length of the type and length fields of a TLV.
const TLV_HEAD: usize = 3;

/// The version 1 header line (CLB guide: proxy protocol).
///
/// ```
/// let (client, proxy) = ("192.0.2.7:5001".parse().unwrap(), "127.0.10.1:80".parse().unwrap());
/// assert_eq!(elbow_net::proxy::v1(client, proxy), b"PROXY TCP4 192.0.2.7 127.0.10.1 5001 80\r\n");
/// ```
pub fn v1(client: SocketAddr, proxy: SocketAddr) -> Vec<u8> {
    let (from, to) = (client.ip().to_canonical(), proxy.ip().to_canonical());
    let family = match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
        (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
        // Version 1 cannot mix address families.
        _ => return b"PROXY UNKNOWN\r\n".to_vec(),
    };
    let (client, proxy) = (client.port(), proxy.port());
    format!("PROXY {family} {from} {to} {client} {proxy}\r\n").into_bytes()
}

/// The version 2 header as an NLB sends it: addresses, CRC32C, the VPC endpoint if there is one, NOOP (NLB guide: proxy
/// protocol). Only the first 255 bytes of `endpoint` count.
pub fn v2(client: SocketAddr, proxy: SocketAddr, endpoint: Option<&str>) -> Vec<u8> {
    let (from, to) = (client.ip().to_canonical(), proxy.ip().to_canonical());
    let mut addresses = Vec::with_capacity(36);
    let family = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            addresses.extend_from_slice(&from.octets());
            addresses.extend_from_slice(&to.octets());
            TCP_OVER_IPV4
        }
        (from, to) => {
            addresses.extend_from_slice(&in_ipv6(from));
            addresses.extend_from_slice(&in_ipv6(to));
            TCP_OVER_IPV6
        }
    };
    addresses.extend_from_slice(&client.port().to_be_bytes());
    addresses.extend_from_slice(&proxy.port().to_be_bytes());
    let endpoint = endpoint.unwrap_or_default().as_bytes();
    header(PROXY, family, &addresses, endpoint)
}

/// The version 2 header of a health check.
pub fn v2_local() -> Vec<u8> {
    // Receivers of LOCAL ignore family and addresses.
    header(LOCAL, 0, &[], &[])
}

fn in_ipv6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn header(command: u8, family: u8, addresses: &[u8], endpoint: &[u8]) -> Vec<u8> {
    let mut values = Vec::with_capacity(EXTRA);
    push_tlv(&mut values, PP2_TYPE_CRC32C, &[0; CRC_LENGTH]);
    if !endpoint.is_empty() {
        let id = endpoint.get(..MAX_ENDPOINT).unwrap_or(endpoint);
        let value = [&[PP2_SUBTYPE_AWS_VPCE_ID], id].concat();
        push_tlv(&mut values, PP2_TYPE_AWS, &value);
    }
    if let Some(room) = EXTRA.checked_sub(values.len() + TLV_HEAD) {
        push_tlv(&mut values, PP2_TYPE_NOOP, &vec![0; room]);
    }
    // At most 36 bytes of addresses and 266 of TLVs.
    let length = u16::try_from(addresses.len() + values.len()).unwrap_or_default();
    let mut out = Vec::with_capacity(FIXED + usize::from(length));
    out.extend_from_slice(&SIGNATURE);
    out.extend_from_slice(&[command, family]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(addresses);
    let crc = out.len() + TLV_HEAD;
    out.extend_from_slice(&values);
    let sum = crc32c(out.iter()).to_be_bytes();
    if let Some(field) = out.get_mut(crc..crc + CRC_LENGTH) {
        field.copy_from_slice(&sum);
    }
    out
}

fn push_tlv(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or_default();
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

/// CRC32C (Castagnoli), without a table: it is computed once per connection.
fn crc32c<'b>(bytes: impl Iterator<Item = &'b u8>) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    // Parity section 4: `PROXY TCP4 <client> <proxy> <cport> <pport>\r\n`.
    #[test]
    fn version_1_is_one_line() {
        for (client, proxy, line) in [
            (
                "198.51.100.22:35646",
                "203.0.113.7:80",
                "PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n",
            ),
            (
                "[2001:db8::1]:1",
                "[2001:db8::2]:443",
                "PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n",
            ),
            (
                "[::ffff:127.0.0.1]:1",
                "127.0.0.2:2",
                "PROXY TCP4 127.0.0.1 127.0.0.2 1 2\r\n",
            ),
            ("127.0.0.1:1", "[::1]:2", "PROXY UNKNOWN\r\n"),
        ] {
            assert_eq!(String::from_utf8(v1(at(client), at(proxy))).unwrap(), line);
        }
    }

    // Parity 3.5 and check 38: signature, 21 11, length 84, addresses, CRC32C, NOOP.
    #[test]
    fn version_2_has_the_nlb_layout() {
        let header = v2(at("192.0.2.1:5001"), at("198.51.100.2:443"), None);
        assert_eq!(header.len(), 100);
        let mut expected = Vec::new();
        expected
            .extend_from_slice(b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x54");
        expected.extend_from_slice(&[192, 0, 2, 1, 198, 51, 100, 2, 0x13, 0x89, 0x01, 0xbb]);
        expected.extend_from_slice(&[0x03, 0, 4]);
        assert_eq!(header[..31], expected);
        assert_eq!(header[35..38], [0x04, 0, 62]);
        assert!(header[38..].iter().all(|byte| *byte == 0));
        // The checksum covers the whole header with the checksum field zeroed.
        let sum = u32::from_be_bytes(header[31..35].try_into().unwrap());
        let mut zeroed = header;
        zeroed[31..35].fill(0);
        assert_eq!(crc32c(zeroed.iter()), sum);
    }

    // Parity 3.5: EA 00 17 01 and the 22 characters of the endpoint, then a NOOP of 36 bytes; 100 bytes in all.
    #[test]
    fn version_2_names_the_vpc_endpoint() {
        let (client, proxy) = (at("192.0.2.1:5001"), at("198.51.100.2:443"));
        let id = "vpce-0123456789abcdef0";
        let header = v2(client, proxy, Some(id));
        assert_eq!(header.len(), 100);
        assert_eq!(header[14..16], [0, 84]);
        assert_eq!(header[28..31], [0x03, 0, 4]);
        assert_eq!(header[35..39], [0xea, 0, 23, 0x01]);
        assert_eq!(&header[39..61], id.as_bytes());
        assert_eq!(header[61..64], [0x04, 0, 36]);
        let sum = u32::from_be_bytes(header[31..35].try_into().unwrap());
        let mut zeroed = header;
        zeroed[31..35].fill(0);
        assert_eq!(crc32c(zeroed.iter()), sum);
        // A long name leaves no room for the padding.
        let long = "v".repeat(1000);
        let header = v2(client, proxy, Some(&long));
        assert_eq!(header[35..39], [0xea, 1, 0, 0x01]);
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        assert_eq!(header.len(), 16 + length);
        assert_eq!(length, 12 + 7 + 3 + 256);
    }

    #[test]
    fn version_2_maps_mixed_families_to_ipv6() {
        let header = v2(at("127.0.0.1:1"), at("[::1]:2"), None);
        assert_eq!(header[12..16], [0x21, 0x21, 0, 108]);
        assert_eq!(
            header[16..32],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]
        );
        assert_eq!(header[47..52], [1, 0, 1, 0, 2]);
        assert_eq!(header.len(), 124);
    }

    #[test]
    fn health_check_uses_the_local_command() {
        let header = v2_local();
        assert_eq!(header[12..16], [0x20, 0, 0, 72]);
        assert_eq!(header.len(), 88);
    }

    // RFC 3720, B.4.
    #[test]
    fn checksum_is_crc32c() {
        assert_eq!(crc32c([0; 32].iter()), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
    }
}
