use super::*;
use crate::proxy;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn proxied(client: &str, server: &str, length: usize) -> Result<Parsed, Malformed> {
    let header = Header::Proxied {
        client: at(client),
        server: at(server),
    };
    Ok(Parsed::Complete { header, length })
}

fn local(length: usize) -> Result<Parsed, Malformed> {
    let header = Header::Local;
    Ok(Parsed::Complete { header, length })
}

/// A header of version 2 with this command, family and content.
fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, content].concat()
}

#[test]
fn version_1_names_both_ends() {
    for (line, client, server) in [
        (
            "PROXY TCP4 192.0.2.7 127.0.10.1 5001 80\r\n",
            "192.0.2.7:5001",
            "127.0.10.1:80",
        ),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            "0.0.0.0:0",
            "255.255.255.255:65535",
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:DB8:0::2 1 443\r\n",
            "[2001:db8::1]:1",
            "[2001:db8::2]:443",
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 443\r\n",
            "192.0.2.7:1",
            "[::1]:443",
        ),
    ] {
        let bytes = [line, "\r\n more"].concat();
        assert_eq!(
            parse(bytes.as_bytes()),
            proxied(client, server, line.len()),
            "{line}"
        );
    }
}

#[test]
fn unknown_and_local_name_nobody() {
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 \u{e9} x\r\n"] {
        assert_eq!(parse(line.as_bytes()), local(line.len()), "{line}");
    }
    let udp = binary(PROXY, 0x12, &[0; 12]);
    let unix = binary(PROXY, 0x31, &[0; 216]);
    for header in [
        binary(LOCAL, TCP_OVER_IPV4, &[]),
        binary(LOCAL, 0xff, b"anything"),
        binary(PROXY, 0, b"anything"),
        proxy::v2_local(),
        udp,
        unix,
    ] {
        assert_eq!(parse(&header), local(header.len()), "{header:?}");
    }
}

#[test]
fn version_2_names_both_ends() {
    for (client, server) in [
        ("192.0.2.1:5001", "198.51.100.2:443"),
        ("[2001:db8::1]:5001", "[2001:db8::2]:443"),
        ("192.0.2.1:5001", "[2001:db8::2]:443"),
    ] {
        for endpoint in [None, Some("vpce-0123456789abcdef0")] {
            let header = proxy::v2(at(client), at(server), endpoint);
            assert_eq!(parse(&header), proxied(client, server, header.len()));
        }
    }
    // Without TLVs, and with TLVs that elbow does not know.
    let ends = [192, 0, 2, 1, 198, 51, 100, 2, 0x13, 0x89, 0x01, 0xbb];
    for tlvs in [&[][..], &[0x01, 0, 2, b'h', b'2', 0x21, 0, 0]] {
        let header = binary(PROXY, TCP_OVER_IPV4, &[&ends, tlvs].concat());
        assert_eq!(
            parse(&header),
            proxied("192.0.2.1:5001", "198.51.100.2:443", header.len())
        );
    }
}

#[test]
fn every_part_of_a_header_is_incomplete() {
    let client = at("192.0.2.1:5001");
    for header in [
        proxy::v1(client, at("198.51.100.2:443")),
        b"PROXY UNKNOWN\r\n".to_vec(),
        proxy::v2(client, at("198.51.100.2:443"), None),
        proxy::v2_local(),
    ] {
        for end in 0..header.len() {
            assert_eq!(
                parse(&header[..end]),
                Ok(Parsed::Incomplete),
                "{end} of {header:?}"
            );
        }
    }
}

#[test]
fn garbage_is_refused_as_soon_as_it_is_seen() {
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 93]].concat();
    assert_eq!(long.len(), MAX_V1);
    for (bytes, expected) in [
        (&b"G"[..], NOT_A_HEADER),
        (b"\x16\x03\x01", NOT_A_HEADER),
        (b"PROXX", NOT_A_HEADER),
        (b"\r\n\r\n\0\r\nQUIX", NOT_A_HEADER),
        (b"PROXY TCP4 192.0.2.7 127.0.10.1 5001 80\n", BAD_LINE),
        (&long, BAD_LINE),
        (b"PROXY TCP4 192.0.2.7 127.0.10.1 5001\r\n", NO_ADDRESSES),
        (
            b"PROXY TCP4 192.0.2.7 127.0.10.1 5001 80 1\r\n",
            NO_ADDRESSES,
        ),
        (
            b"PROXY  TCP4 192.0.2.7 127.0.10.1 5001 80\r\n",
            NO_ADDRESSES,
        ),
        (
            b"PROXY TCP4 192.0.2.07 127.0.10.1 5001 80\r\n",
            NO_ADDRESSES,
        ),
        (
            b"PROXY TCP4 192.0.2.7 127.0.10.1 +5001 80\r\n",
            NO_ADDRESSES,
        ),
        (
            b"PROXY TCP4 192.0.2.7 127.0.10.1 05001 80\r\n",
            NO_ADDRESSES,
        ),
        (
            b"PROXY TCP4 192.0.2.7 127.0.10.1 65536 80\r\n",
            NO_ADDRESSES,
        ),
        (b"PROXY TCP4 ::1 ::1 5001 80\r\n", NO_ADDRESSES),
        (b"PROXY TCP6 192.0.2.7 127.0.10.1 5001 80\r\n", NO_ADDRESSES),
        (b"PROXY UDP4 192.0.2.7 127.0.10.1 5001 80\r\n", NO_ADDRESSES),
        (b"PROXY UNKNOWNS\r\n", NO_ADDRESSES),
        (b"PROXY \xff\r\n", NO_ADDRESSES),
        (b"\r\n\r\n\0\r\nQUIT\n\x11", BAD_COMMAND),
        (b"\r\n\r\n\0\r\nQUIT\n\x22", BAD_COMMAND),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xf1", TOO_LONG),
        (&binary(PROXY, 0x13, &[0; 12]), BAD_FAMILY),
        (&binary(PROXY, 0x41, &[0; 216]), BAD_FAMILY),
        (&binary(PROXY, TCP_OVER_IPV4, &[0; 11]), TOO_SHORT),
        (&binary(PROXY, TCP_OVER_IPV6, &[0; 35]), TOO_SHORT),
        (&binary(PROXY, 0x31, &[0; 215]), TOO_SHORT),
        (&binary(PROXY, TCP_OVER_IPV4, &[0; 14]), BAD_TLV),
        (
            &binary(
                PROXY,
                TCP_OVER_IPV4,
                &[0; 15][..12]
                    .iter()
                    .chain(&[4, 0, 1])
                    .copied()
                    .collect::<Vec<u8>>(),
            ),
            BAD_TLV,
        ),
        (
            &binary(
                PROXY,
                TCP_OVER_IPV4,
                &[&[0; 12][..], &[3, 0, 3, 0, 0, 0]].concat(),
            ),
            BAD_CHECKSUM,
        ),
    ] {
        assert_eq!(
            parse(bytes),
            Err(expected),
            "{:?}",
            bytes.escape_ascii().to_string()
        );
    }
    let longest = binary(LOCAL, 0, &vec![0; MAX_V2 - FIXED]);
    assert_eq!(parse(&longest), local(MAX_V2));
}

#[test]
fn wrong_checksum_is_refused() {
    let header = proxy::v2(at("192.0.2.1:5001"), at("198.51.100.2:443"), Some("vpce-1"));
    for place in 16..header.len() {
        let mut wrong = header.clone();
        wrong[place] ^= 1;
        let found = parse(&wrong);
        // A changed type or length of the checksum makes it another TLV, or none.
        if (28..31).contains(&place) {
            continue;
        }
        assert!(
            matches!(found, Err(BAD_CHECKSUM | BAD_TLV)),
            "{place}: {found:?}"
        );
    }
}
