//! The server ID in the connection IDs of QUIC, by which a connection keeps its target when the client's address changes.

/// Bytes of a server ID.
const LEN: usize = 8;

/// The server ID that the destination connection ID of `datagram` may have: the 8 octets behind its first octet, as QUIC-LB lays
/// them out in plaintext. Before a client knows an ID of the server, it sends a random one, whose octets name no target.
pub fn server_id(datagram: &[u8]) -> Option<u64> {
    let first = *datagram.first()?;
    let id = if first & 0x80 == 0 {
        // Short header: the connection ID follows at once. Its length is known to the server alone.
        datagram.get(1..)?
    } else {
        // Long header: version and length of the connection ID come first (RFC 8999).
        let len = usize::from(*datagram.get(5)?);
        datagram.get(6..6 + len)?
    };
    let octets = id.get(1..=LEN)?.first_chunk::<LEN>()?;
    Some(u64::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::server_id;

    const ID: [u8; 17] = [0x10, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8];

    fn long(id: &[u8]) -> Vec<u8> {
        let head = [0xc0, 0, 0, 0, 1, id.len() as u8];
        [&head, id, &[0; 30]].concat()
    }

    #[test]
    fn server_id_is_read_from_both_kinds_of_headers() {
        let short = [&[0x40], &ID[..], b"data"].concat();
        assert_eq!(server_id(&short), Some(7));
        assert_eq!(server_id(&long(&ID)), Some(7));
    }

    #[test]
    fn short_connection_ids_and_datagrams_have_none() {
        assert_eq!(server_id(&long(&ID[..8])), None);
        assert_eq!(server_id(&long(&ID[..9])), Some(7));
        let short = [&[0x40], &ID[..]].concat();
        for len in 0..10 {
            assert_eq!(server_id(&short[..len]), None, "{len}");
        }
        // The connection ID is longer than the datagram.
        assert_eq!(server_id(&[0xc0, 0, 0, 0, 1, 20, 1, 2, 3]), None);
    }
}
