use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::RequestLine;
use crate::field::{endpoints, micros, number, quoted, token};
use crate::record::MAX_USER_AGENT;
use crate::stamp::Timestamps;

/// One request or connection of a Classic load balancer, written as a line of its access log with the
/// fields in AWS's order (CLB guide: access logs).
#[derive(Clone, Debug)]
pub struct ClassicRecord<'a> {
    /// 1: when the request was received.
    pub time: SystemTime,
    /// 2: the name of the load balancer.
    pub elb: &'a str,
    /// 3: the peer.
    pub client: SocketAddr,
    /// 4: the instance that the request was sent to.
    pub backend: Option<SocketAddr>,
    /// 5: from request received, or connection accepted, to sending it; `None` (-1) if it was not sent.
    pub request_processing_time: Option<Duration>,
    /// 6: from request sent to the head of the response, or the time of the connect; `None` (-1) without
    /// either.
    pub backend_processing_time: Option<Duration>,
    /// 7: from head of the response to sending it to the client; `None` (-1) if it was not sent.
    pub response_processing_time: Option<Duration>,
    /// 8 and 9: status sent to the client, and status of the instance or 0; `None` for TCP and SSL listeners.
    pub status_codes: Option<(u16, u16)>,
    /// 10: bytes from the client, excluding headers.
    pub received_bytes: u64,
    /// 11: bytes to the client, excluding headers.
    pub sent_bytes: u64,
    /// 12: the request line; `None` for TCP and SSL listeners.
    pub request: Option<RequestLine<'a>>,
    /// 13: `User-Agent`, truncated to 8 KiB.
    pub user_agent: Option<&'a [u8]>,
    /// 14: OpenSSL's name of the cipher suite.
    pub ssl_cipher: Option<&'a str>,
    /// 15: `TLSv1.2`.
    pub ssl_protocol: Option<&'a str>,
}

impl ClassicRecord<'_> {
    /// Appends the line, including the line feed.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_with(&mut Timestamps::default(), out);
    }

    /// Like [`Self::write_to`], but writes times with the cache of `timestamps`.
    pub(crate) fn write_with(&self, timestamps: &mut Timestamps, out: &mut Vec<u8>) {
        timestamps.write(self.time, out);
        endpoints(out, self.elb, self.client, self.backend);
        for duration in [
            self.request_processing_time,
            self.backend_processing_time,
            self.response_processing_time,
        ] {
            out.push(b' ');
            micros(out, duration);
        }
        match self.status_codes {
            Some((elb, backend)) => {
                for code in [elb, backend] {
                    out.push(b' ');
                    number(out, code.into());
                }
            }
            None => out.extend_from_slice(b" - -"),
        }
        for bytes in [self.received_bytes, self.sent_bytes] {
            out.push(b' ');
            number(out, bytes);
        }
        out.push(b' ');
        match &self.request {
            Some(request) => request.write_to(out),
            None => out.extend_from_slice(b"\"- - - \""),
        }
        out.push(b' ');
        quoted(
            out,
            self.user_agent.map(|u| &u[..u.len().min(MAX_USER_AGENT)]),
        );
        for text in [self.ssl_cipher, self.ssl_protocol] {
            out.push(b' ');
            token(out, text.unwrap_or_default().as_bytes());
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn line(record: &ClassicRecord<'_>) -> String {
        let mut out = Vec::new();
        record.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The request of the first example in the guide.
    fn http() -> ClassicRecord<'static> {
        ClassicRecord {
            time: UNIX_EPOCH + Duration::from_micros(1_431_560_383_945_958),
            elb: "my-loadbalancer",
            client: "192.168.131.39:2817".parse().unwrap(),
            backend: Some("10.0.0.1:80".parse().unwrap()),
            request_processing_time: Some(Duration::from_micros(73)),
            backend_processing_time: Some(Duration::from_micros(1_048)),
            response_processing_time: Some(Duration::from_micros(57)),
            status_codes: Some((200, 200)),
            received_bytes: 0,
            sent_bytes: 29,
            request: Some(RequestLine {
                method: b"GET",
                scheme: "http",
                host: b"www.example.com:80",
                port: 80,
                uri: b"/",
                version: "HTTP/1.1",
            }),
            user_agent: Some(b"curl/7.38.0"),
            ssl_cipher: None,
            ssl_protocol: None,
        }
    }

    // CLB guide, access logs: the fields, an HTTP listener.
    #[test]
    fn request_line_matches_the_guide() {
        assert_eq!(
            line(&http()),
            "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 \
             0.001048 0.000057 200 200 0 29 \"GET http://www.example.com:80/ HTTP/1.1\" \
             \"curl/7.38.0\" - -\n"
        );
    }

    // CLB guide, access logs: the fields, a TCP or SSL listener.
    #[test]
    fn connection_line_matches_the_guide() {
        let connection = ClassicRecord {
            status_codes: None,
            received_bytes: 82,
            sent_bytes: 305,
            request: None,
            user_agent: None,
            ssl_cipher: Some("ECDHE-ECDSA-AES128-GCM-SHA256"),
            ssl_protocol: Some("TLSv1.2"),
            ..http()
        };
        assert_eq!(
            line(&connection),
            "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 \
             0.001048 0.000057 - - 82 305 \"- - - \" \"-\" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2\n"
        );
    }

    // Without an instance, times are -1 and the status of the instance is 0.
    #[test]
    fn request_without_an_instance_has_placeholders() {
        let failed = ClassicRecord {
            backend: None,
            request_processing_time: None,
            backend_processing_time: None,
            response_processing_time: None,
            status_codes: Some((503, 0)),
            sent_bytes: 0,
            ..http()
        };
        assert!(line(&failed).contains(" 192.168.131.39:2817 - -1 -1 -1 503 0 0 0 \"GET "));
    }

    proptest! {
        /// No client can end a field or the line, whatever it sends.
        #[test]
        fn any_bytes_make_15_fields_on_one_line(texts in vec(vec(any::<u8>(), 0..40), 4)) {
            let record = ClassicRecord {
                request: Some(RequestLine {
                    method: &texts[0],
                    host: &texts[1],
                    uri: &texts[2],
                    ..http().request.unwrap()
                }),
                user_agent: Some(&texts[3]),
                ..http()
            };
            let line = line(&record);
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')));
            let quotes: Vec<&str> = line.split('"').collect();
            prop_assert_eq!(quotes.len(), 5, "two quoted fields");
            let outside = [quotes[0], quotes[2], quotes[4]].map(|part| part.split(' ').count() - 1);
            prop_assert_eq!(outside, [11, 1, 2]);
        }
    }
}
