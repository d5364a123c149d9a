use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::field::{number, quoted, seconds, token};
use crate::stamp::Timestamps;

/// One connection of a client with an ALB, written as a line of its connection log with the fields in AWS's
/// order (ALB guide: connection logs). `None` is written as `-`.
#[derive(Clone, Debug)]
pub struct ConnectionRecord<'a> {
    /// 1: when the connection was ready, or had failed.
    pub time: SystemTime,
    /// 2 and 3: the peer.
    pub client: SocketAddr,
    /// 4: the port of the listener.
    pub listener_port: u16,
    /// 5: `TLSv1.2` or `TLSv1.3`.
    pub tls_protocol: Option<&'a str>,
    /// 6: OpenSSL's name of the cipher suite.
    pub tls_cipher: Option<&'a str>,
    /// 7: from accept to the end of the handshake; `None` if it failed.
    pub tls_handshake_latency: Option<Duration>,
    /// 8: the subject of the client's certificate (RFC 2253).
    pub leaf_client_cert_subject: Option<&'a str>,
    /// 9: `NotBefore=…;NotAfter=…`.
    pub leaf_client_cert_validity: Option<&'a str>,
    /// 10: in hexadecimal digits.
    pub leaf_client_cert_serial_number: Option<&'a str>,
    /// 11: whether the TLS handshake succeeded; `None` without TLS.
    pub tls_verify_status: Option<VerifyStatus>,
    /// 12: as in the access log.
    pub conn_trace_id: &'a str,
    /// 13: the group of the key exchange.
    pub tls_keyexchange: Option<&'a str>,
}

/// Field 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyStatus {
    /// The handshake is complete.
    Success,
    /// It failed, with AWS's code.
    Failed(&'static str),
}

impl ConnectionRecord<'_> {
    /// Appends the line, including the line feed.
    pub(crate) fn write_with(&self, timestamps: &mut Timestamps, out: &mut Vec<u8>) {
        timestamps.write(self.time, out);
        out.push(b' ');
        out.extend_from_slice(self.client.ip().to_string().as_bytes());
        for port in [self.client.port(), self.listener_port] {
            out.push(b' ');
            number(out, port.into());
        }
        for text in [self.tls_protocol, self.tls_cipher] {
            out.push(b' ');
            token(out, text.unwrap_or_default().as_bytes());
        }
        out.push(b' ');
        match self.tls_handshake_latency {
            Some(latency) => seconds(out, Some(latency)),
            None => out.push(b'-'),
        }
        out.push(b' ');
        quoted(out, self.leaf_client_cert_subject.map(str::as_bytes));
        for text in [
            self.leaf_client_cert_validity,
            self.leaf_client_cert_serial_number,
        ] {
            out.push(b' ');
            token(out, text.unwrap_or_default().as_bytes());
        }
        out.push(b' ');
        match self.tls_verify_status {
            Some(VerifyStatus::Success) => out.extend_from_slice(b"Success"),
            Some(VerifyStatus::Failed(code)) => {
                out.extend_from_slice(b"Failed:");
                token(out, code.as_bytes());
            }
            None => out.push(b'-'),
        }
        out.push(b' ');
        token(out, self.conn_trace_id.as_bytes());
        out.push(b' ');
        token(out, self.tls_keyexchange.unwrap_or_default().as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn line(record: &ConnectionRecord<'_>) -> String {
        let mut out = Vec::new();
        record.write_with(&mut Timestamps::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The successful example of the guide.
    fn example() -> ConnectionRecord<'static> {
        ConnectionRecord {
            time: UNIX_EPOCH + Duration::from_micros(1_696_439_115_514_108),
            client: "203.0.113.1:36280".parse().unwrap(),
            listener_port: 443,
            tls_protocol: Some("TLSv1.2"),
            tls_cipher: Some("ECDHE-RSA-AES128-GCM-SHA256"),
            tls_handshake_latency: Some(Duration::from_millis(4_036)),
            leaf_client_cert_subject: Some(
                "CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US",
            ),
            leaf_client_cert_validity: Some(
                "NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z",
            ),
            leaf_client_cert_serial_number: Some("FEF257372D5C14D4"),
            tls_verify_status: Some(VerifyStatus::Success),
            conn_trace_id: "TID_3180a73013c8ca4bac2f731159d4b0fe",
            tls_keyexchange: Some("X25519"),
        }
    }

    // ALB guide, connection logs: 13 fields.
    #[test]
    fn line_matches_the_guide() {
        assert_eq!(
            line(&example()),
            "2023-10-04T17:05:15.514108Z 203.0.113.1 36280 443 TLSv1.2 \
             ECDHE-RSA-AES128-GCM-SHA256 4.036 \
             \"CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US\" \
             NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z FEF257372D5C14D4 Success \
             TID_3180a73013c8ca4bac2f731159d4b0fe X25519\n"
        );
    }

    #[test]
    fn absent_fields_have_placeholders() {
        let plain = ConnectionRecord {
            client: "[2001:db8::1]:1".parse().unwrap(),
            listener_port: 80,
            tls_protocol: None,
            tls_cipher: None,
            tls_handshake_latency: None,
            leaf_client_cert_subject: None,
            leaf_client_cert_validity: None,
            leaf_client_cert_serial_number: None,
            tls_verify_status: None,
            tls_keyexchange: None,
            conn_trace_id: "TID_1",
            ..example()
        };
        let rest = " 2001:db8::1 1 80 - - - \"-\" - - - TID_1 -\n";
        assert!(line(&plain).ends_with(rest), "{}", line(&plain));
        let failed = ConnectionRecord {
            tls_verify_status: Some(VerifyStatus::Failed("ClientCertUntrusted")),
            ..plain
        };
        assert!(line(&failed).contains(" - Failed:ClientCertUntrusted TID_1 "));
    }

    #[test]
    fn subject_cannot_end_its_field() {
        let evil = ConnectionRecord {
            leaf_client_cert_subject: Some("CN=a\"b\nc"),
            ..example()
        };
        assert!(line(&evil).contains(" \"CN=a\\x22b\\x0Ac\" "));
    }
}
