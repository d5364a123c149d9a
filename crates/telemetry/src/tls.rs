use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::field::{address, number, token};
use crate::stamp::Timestamps;

/// One TLS connection of an NLB, written as a line of its access log with the fields in AWS's order (NLB
/// guide: access logs). `None` and empty text are written as `-`.
///
/// Always `-`: 12 `incoming_tls_alert`, 20 `alpn_be_protocol` and 21 `alpn_client_preference_list`, which
/// are not available here, and 14 `chosen_cert_serial` and 17 `tls_named_group`, which AWS leaves empty too.
#[derive(Clone, Debug)]
pub struct TlsRecord<'a> {
    /// 3: when the connection ended.
    pub time: SystemTime,
    /// 4: `net/name/id`.
    pub elb: &'a str,
    /// 5: the ID of the listener.
    pub listener: &'a str,
    /// 6: the peer.
    pub client: SocketAddr,
    /// 7: the address that the client connected to.
    pub destination: SocketAddr,
    /// 8: time from accept to the end.
    pub connection_time: Duration,
    /// 9: time from accept to the end of the handshake; `None` (`-`) if it failed.
    pub handshake_time: Option<Duration>,
    /// 10: bytes from the client, after decryption.
    pub received_bytes: u64,
    /// 11: bytes to the client, before encryption.
    pub sent_bytes: u64,
    /// 13: the certificate served.
    pub chosen_cert_arn: Option<&'a str>,
    /// 15: OpenSSL's name of the cipher suite.
    pub cipher: Option<&'a str>,
    /// 16: `TLSv1.2` or `TLSv1.3`, written as `tlsv12` and `tlsv13`.
    pub protocol_version: Option<&'a str>,
    /// 18: SNI.
    pub domain_name: Option<&'a str>,
    /// 19: the negotiated ALPN protocol.
    pub alpn: Option<&'a [u8]>,
    /// 22: when the connection was accepted.
    pub connection_creation_time: SystemTime,
}

impl TlsRecord<'_> {
    /// Appends the line, including the line feed.
    pub(crate) fn write_with(&self, timestamps: &mut Timestamps, out: &mut Vec<u8>) {
        out.extend_from_slice(b"tls 2.0 ");
        timestamps.write_seconds(self.time, out);
        for text in [self.elb, self.listener] {
            out.push(b' ');
            token(out, text.as_bytes());
        }
        for end in [self.client, self.destination] {
            out.push(b' ');
            address(out, end);
        }
        out.push(b' ');
        number(out, millis(self.connection_time));
        out.push(b' ');
        match self.handshake_time {
            Some(time) => number(out, millis(time)),
            None => out.push(b'-'),
        }
        for bytes in [self.received_bytes, self.sent_bytes] {
            out.push(b' ');
            number(out, bytes);
        }
        for text in [
            b"",
            self.chosen_cert_arn.unwrap_or_default().as_bytes(),
            b"",
            self.cipher.unwrap_or_default().as_bytes(),
            version(self.protocol_version),
            b"",
            self.domain_name.unwrap_or_default().as_bytes(),
            self.alpn.unwrap_or_default(),
            b"",
            b"",
        ] {
            out.push(b' ');
            token(out, text);
        }
        out.push(b' ');
        timestamps.write_seconds(self.connection_creation_time, out);
        out.push(b'\n');
    }
}

fn version(name: Option<&str>) -> &'static [u8] {
    match name {
        Some("TLSv1.2") => b"tlsv12",
        Some("TLSv1.3") => b"tlsv13",
        _ => b"",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn line(record: &TlsRecord<'_>) -> String {
        let mut out = Vec::new();
        record.write_with(&mut Timestamps::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The example of the guide.
    fn example() -> TlsRecord<'static> {
        TlsRecord {
            time: UNIX_EPOCH + Duration::from_millis(1_545_274_780_999),
            elb: "net/my-network-loadbalancer/c6e77e28c25b2234",
            listener: "g3d4b5e8bb8464cd",
            client: "72.21.218.154:51341".parse().unwrap(),
            destination: "172.100.100.185:443".parse().unwrap(),
            connection_time: Duration::from_millis(5),
            handshake_time: Some(Duration::from_micros(2_999)),
            received_bytes: 98,
            sent_bytes: 246,
            chosen_cert_arn: Some("arn:aws:acm:us-east-2:671290407336:certificate/2a108f19"),
            cipher: Some("ECDHE-RSA-AES128-GCM-SHA256"),
            protocol_version: Some("TLSv1.2"),
            domain_name: Some(
                "my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com",
            ),
            alpn: None,
            connection_creation_time: UNIX_EPOCH + Duration::from_secs(1_545_274_770),
        }
    }

    // NLB guide, access logs: 22 fields, times without a fraction or a zone.
    #[test]
    fn line_matches_the_guide() {
        assert_eq!(
            line(&example()),
            "tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 \
             g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - \
             arn:aws:acm:us-east-2:671290407336:certificate/2a108f19 - ECDHE-RSA-AES128-GCM-SHA256 \
             tlsv12 - my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com \
             - - - 2018-12-20T02:59:30\n"
        );
    }

    #[test]
    fn failed_handshake_has_no_time_and_no_parameters() {
        let record = TlsRecord {
            handshake_time: None,
            received_bytes: 0,
            sent_bytes: 0,
            chosen_cert_arn: None,
            cipher: None,
            protocol_version: None,
            domain_name: None,
            ..example()
        };
        let line = line(&record);
        assert!(
            line.contains(" 5 - 0 0 - - - - - - - - - - 2018-"),
            "{line}"
        );
        assert_eq!(line.split(' ').count(), 22);
    }

    #[test]
    fn alpn_is_escaped() {
        let record = TlsRecord {
            alpn: Some(b"h2 \n"),
            ..example()
        };
        assert!(line(&record).contains(r" h2\x20\x0A - - "));
    }
}
