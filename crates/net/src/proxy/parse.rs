//! Reads the header with which a proxy in front of a listener names its client. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{
    CRC_LENGTH, FIXED, LOCAL, PP2_TYPE_CRC32C, PROXY, SIGNATURE, TCP_OVER_IPV4, TCP_OVER_IPV6,
    TLV_HEAD, crc32c,
};

#[cfg(test)]
mod tests;

/// Longest header of version 1 in bytes, with CR LF (section 2.1).
pub const MAX_V1: usize = 107;
/// Longest header of version 2 in bytes. The format allows 65,551; certificates of clients in TLVs fit in this.
pub const MAX_V2: usize = 4096;

/// How a header of version 1 begins.
const V1: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

const NOT_A_HEADER: Malformed = Malformed("expected a PROXY protocol header");
const NO_ADDRESSES: Malformed = Malformed("version 1: expected addresses and ports");
const BAD_LINE: Malformed = Malformed("version 1: expected a line of at most 107 bytes");
const BAD_COMMAND: Malformed = Malformed("version 2: expected command LOCAL or PROXY");
const TOO_LONG: Malformed = Malformed("version 2: longer than 4,096 bytes");
const BAD_FAMILY: Malformed = Malformed("version 2: address family not assigned");
const TOO_SHORT: Malformed = Malformed("version 2: too short for its addresses");
const BAD_TLV: Malformed = Malformed("version 2: a TLV is longer than the header");
const BAD_CHECKSUM: Malformed = Malformed("version 2: wrong CRC32C");

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The ends of the connection that the proxy has accepted, as IPv4 where IPv6 maps it.
    Proxied {
        /// The client of the proxy.
        client: SocketAddr,
        /// The address that the client connected to.
        server: SocketAddr,
    },
    /// Nothing: the connection is the proxy's own, or not one of TCP.
    Local,
}

/// The result of reading the bytes that have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header goes on after these bytes.
    Incomplete,
    /// The header is complete.
    Complete {
        /// What it says.
        header: Header,
        /// Its length in bytes.
        length: usize,
    },
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Reads the header at the start of `bytes`. Looks at no byte behind it.
///
/// # Errors
/// `bytes` cannot be the start of a header, or it is longer than [`MAX_V1`] or [`MAX_V2`].
///
/// ```
/// use elbow_net::proxy::{Header, Parsed, parse};
///
/// let Parsed::Complete { header, length } = parse(b"PROXY TCP4 192.0.2.7 127.0.10.1 5001 80\r\nGET /").unwrap() else {
///     panic!()
/// };
/// let (client, server) = ("192.0.2.7:5001".parse().unwrap(), "127.0.10.1:80".parse().unwrap());
/// assert_eq!((header, length), (Header::Proxied { client, server }, 41));
/// ```
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    if begins(bytes, &SIGNATURE) {
        v2(bytes)
    } else if begins(bytes, V1) {
        v1(bytes)
    } else {
        Err(NOT_A_HEADER)
    }
}

/// Whether `bytes` begin with `start`, as far as they go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes
        .iter()
        .zip(start)
        .all(|(byte, expected)| byte == expected)
}

fn v1(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some(end) = bytes.iter().take(MAX_V1).position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_V1 {
            Ok(Parsed::Incomplete)
        } else {
            Err(BAD_LINE)
        };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let header = header_of(line.ok_or(BAD_LINE)?)?;
    let length = end + 1;
    Ok(Parsed::Complete { header, length })
}

fn header_of(line: &[u8]) -> Result<Header, Malformed> {
    // What follows UNKNOWN does not count.
    if let Some(rest) = line.strip_prefix(UNKNOWN)
        && (rest.is_empty() || rest.starts_with(b" "))
    {
        return Ok(Header::Local);
    }
    let text = std::str::from_utf8(line).map_err(|_| NO_ADDRESSES)?;
    let fields: Vec<&str> = text.split(' ').collect();
    let [_, family, client, server, client_port, server_port] = fields[..] else {
        return Err(NO_ADDRESSES);
    };
    let address = match family {
        "TCP4" => address::<Ipv4Addr>,
        "TCP6" => address::<Ipv6Addr>,
        _ => return Err(NO_ADDRESSES),
    };
    let end = |ip, text| Some(SocketAddr::new(address(ip)?, port(text)?));
    let ends = end(client, client_port).zip(end(server, server_port));
    let (client, server) = ends.ok_or(NO_ADDRESSES)?;
    Ok(Header::Proxied { client, server })
}

fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse::<A>().ok()?.into();
    Some(ip.to_canonical())
}

/// A decimal number without leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || text.starts_with(|c: char| matches!(c, '1'..='9'));
    text.parse().ok().filter(|_| is_plain)
}

fn v2(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let command = bytes.get(SIGNATURE.len()).copied();
    if command.is_some_and(|command| command != LOCAL && command != PROXY) {
        return Err(BAD_COMMAND);
    }
    let Some((&[.., family, high, low], rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Incomplete);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_V2 {
        return Err(TOO_LONG);
    }
    let Some(payload) = rest.get(..length - FIXED) else {
        return Ok(Parsed::Incomplete);
    };
    // Family and addresses of LOCAL do not count.
    let header = if command == Some(LOCAL) {
        Header::Local
    } else {
        let (header, tlvs) = addresses(family, payload)?;
        check_tlvs(bytes, length - tlvs.len(), tlvs)?;
        header
    };
    Ok(Parsed::Complete { header, length })
}

/// What the addresses of `family` say, and what follows them. Only connections over TCP have clients that count here.
fn addresses(family: u8, payload: &[u8]) -> Result<(Header, &[u8]), Malformed> {
    match family {
        TCP_OVER_IPV4 => {
            let (ends, tlvs) = payload.split_first_chunk::<12>().ok_or(TOO_SHORT)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *ends;
            Ok((ends_of([a, b, c, d], [e, f, g, h], ports), tlvs))
        }
        TCP_OVER_IPV6 => {
            let (client, rest) = payload.split_first_chunk::<16>().ok_or(TOO_SHORT)?;
            let (server, rest) = rest.split_first_chunk::<16>().ok_or(TOO_SHORT)?;
            let (ports, tlvs) = rest.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
            Ok((ends_of(*client, *server, *ports), tlvs))
        }
        // The rest of an unspecified family does not count.
        _ if family >> 4 == 0 && family & 0xf <= 2 => Ok((Header::Local, &[])),
        // Datagrams, and sockets of UNIX.
        _ if family >> 4 <= 3 && family & 0xf <= 2 => {
            let length = [12, 36, 216][usize::from(family >> 4) - 1];
            let tlvs = payload.get(length..).ok_or(TOO_SHORT)?;
            Ok((Header::Local, tlvs))
        }
        _ => Err(BAD_FAMILY),
    }
}

fn ends_of<A: Into<IpAddr>>(client: A, server: A, [a, b, c, d]: [u8; 4]) -> Header {
    let end = |ip: A, port| SocketAddr::new(ip.into().to_canonical(), u16::from_be_bytes(port));
    Header::Proxied {
        client: end(client, [a, b]),
        server: end(server, [c, d]),
    }
}

/// Checks that the TLVs fill the header, and its checksum if it has one. `tlvs` begin at `start` of `bytes`.
fn check_tlvs(bytes: &[u8], start: usize, mut tlvs: &[u8]) -> Result<(), Malformed> {
    let end = start + tlvs.len();
    let mut checksum = None;
    while !tlvs.is_empty() {
        let (&[kind, high, low], rest) = tlvs.split_first_chunk::<TLV_HEAD>().ok_or(BAD_TLV)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(BAD_TLV)?;
        if kind == PP2_TYPE_CRC32C && checksum.is_none() {
            let expected = <[u8; CRC_LENGTH]>::try_from(value).map_err(|_| BAD_CHECKSUM)?;
            checksum = Some((end - rest.len() - CRC_LENGTH, expected));
        }
        tlvs = rest;
    }
    let Some((at, expected)) = checksum else {
        return Ok(());
    };
    // The sum is that of the header with zeros in its place (section 2.2.3).
    let (before, after) = (
        bytes.iter().take(at),
        bytes.iter().take(end).skip(at + CRC_LENGTH),
    );
    let sum = crc32c(before.chain(&[0; CRC_LENGTH]).chain(after));
    if sum == u32::from_be_bytes(expected) {
        Ok(())
    } else {
        Err(BAD_CHECKSUM)
    }
}
