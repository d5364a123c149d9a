use std::sync::Arc;

use elbow_model::{LoadBalancerAttributes, Protocol};
use elbow_net::TlsMeta;

use super::*;
use crate::head::Header;
use crate::test_kit::{field, get, listener, meta};

const TRACE: &str = "X-Amzn-Trace-Id: Root=1-00000001-000000000000000000000000\r\n";

/// A request and what surrounds it; `lines` gives what the target gets.
struct Case {
    listener: Listener,
    meta: ConnMeta,
    version: Version,
    target: &'static str,
    upgrade: bool,
    host: Option<&'static [u8]>,
}

impl Case {
    fn on(protocol: Protocol, port: u16) -> Self {
        Self {
            listener: listener(protocol, port, Vec::new()),
            meta: meta("127.0.0.1:4711"),
            version: Version::Http11,
            target: "/",
            upgrade: false,
            host: None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut LoadBalancerAttributes)) -> Self {
        change(Arc::make_mut(&mut self.listener.attributes));
        self
    }

    fn write(&self, fields: &[Header<'_>]) -> Result<(String, Written), Error> {
        let head = RequestHead {
            version: self.version,
            ..get(self.target, fields)
        };
        let origin = Origin {
            listener: &self.listener,
            meta: &self.meta,
            upgrade: self.upgrade,
            host: self.host,
            now: 1,
        };
        let mut out = Vec::new();
        let written = write_fields(&mut out, &head, &origin, || 0)?;
        Ok((String::from_utf8(out).unwrap(), written))
    }

    fn lines(&self, fields: &[(&str, &str)]) -> String {
        let fields: Vec<_> = fields.iter().map(|(n, v)| field(n, v)).collect();
        self.write(&fields).unwrap().0
    }

    /// The values that the target gets for `name`.
    fn values(&self, name: &str, fields: &[(&str, &str)]) -> Vec<String> {
        let lines = self.lines(fields);
        let values = lines.lines().filter_map(|line| {
            let (n, value) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then(|| value.to_owned())
        });
        values.collect()
    }
}

#[test]
fn a_plain_request_gets_the_standard_fields() {
    let lines = Case::on(Protocol::Http, 80).lines(&[
        ("User-Agent", "curl"),
        ("HOST", "h.example"),
        ("x-Mixed-CASE", "Kept"),
    ]);
    let expected = [
        "Host: h.example\r\n",
        "User-Agent: curl\r\n",
        "x-Mixed-CASE: Kept\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Port: 80\r\n",
        TRACE,
    ];
    assert_eq!(lines, expected.concat());
}

// Parity check 11.
#[test]
fn x_forwarded_for_is_appended_preserved_or_removed() {
    use XffHeaderProcessingMode::{Append, Preserve, Remove};
    let one = [("X-Forwarded-For", "127.0.0.4")];
    let two = [
        ("x-forwarded-for", "10.0.0.1"),
        ("X-Forwarded-For", "10.0.0.2, 10.0.0.3"),
    ];
    let empty = [("X-Forwarded-For", " ")];
    type Row<'a> = (
        XffHeaderProcessingMode,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
    );
    let table: &[Row<'_>] = &[
        (Append, &[], &["127.0.0.1"]),
        (Append, &one, &["127.0.0.4, 127.0.0.1"]),
        (Append, &two, &["10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1"]),
        (Append, &empty, &["127.0.0.1"]),
        (Preserve, &[], &[]),
        (Preserve, &one, &["127.0.0.4"]),
        (Preserve, &two, &["10.0.0.1", "10.0.0.2, 10.0.0.3"]),
        (Remove, &[], &[]),
        (Remove, &one, &[]),
    ];
    for (mode, fields, expected) in table {
        let case = Case::on(Protocol::Http, 80).with(|a| a.xff_header_processing_mode = *mode);
        assert_eq!(
            case.values("x-forwarded-for", fields),
            *expected,
            "{mode:?} {fields:?}"
        );
    }
}

// Parity check 12 and 1.11.
#[test]
fn the_client_port_is_added_when_asked_for_and_ipv6_gets_brackets() {
    let inbound = [("X-Forwarded-For", "10.0.0.1")];
    let table = [
        ("127.0.0.1:4711", false, "127.0.0.1", "10.0.0.1, 127.0.0.1"),
        (
            "127.0.0.1:4711",
            true,
            "127.0.0.1:4711",
            "10.0.0.1, 127.0.0.1:4711",
        ),
        (
            "[2001:db8::1]:9",
            false,
            "2001:db8::1",
            "10.0.0.1, [2001:db8::1]",
        ),
        (
            "[2001:db8::1]:9",
            true,
            "[2001:db8::1]:9",
            "10.0.0.1, [2001:db8::1]:9",
        ),
        (
            "[::ffff:192.0.2.255]:9",
            true,
            "192.0.2.255:9",
            "10.0.0.1, 192.0.2.255:9",
        ),
    ];
    for (client, port, created, appended) in table {
        let mut case = Case::on(Protocol::Http, 80).with(|a| a.xff_client_port = port);
        case.meta = meta(client);
        assert_eq!(case.values("x-forwarded-for", &[]), [created]);
        assert_eq!(case.values("x-forwarded-for", &inbound), [appended]);
    }
    let preserve = Case::on(Protocol::Http, 80).with(|a| {
        a.xff_client_port = true;
        a.xff_header_processing_mode = XffHeaderProcessingMode::Preserve;
    });
    assert_eq!(preserve.values("x-forwarded-for", &inbound), ["10.0.0.1"]);
}

// Parity check 13.
#[test]
fn more_than_30_forwarded_addresses_are_463() {
    let list = |n: usize| vec!["10.0.0.1"; n].join(", ");
    let case = Case::on(Protocol::Http, 80);
    let (ten, twenty, thirty, more) = (list(10), list(20), list(30), list(31));
    assert!(case.write(&[field("X-Forwarded-For", &thirty)]).is_ok());
    let split = [
        field("X-Forwarded-For", &ten),
        field("X-Forwarded-For", &twenty),
    ];
    assert!(case.write(&split).is_ok());
    let error = case.write(&[field("X-Forwarded-For", &more)]).unwrap_err();
    assert_eq!(error.status(), 463);
    let three = [split[0], split[1], field("x-forwarded-for", "10.0.0.9")];
    assert_eq!(case.write(&three).unwrap_err().status(), 463);
}

// Parity check 14 and the Host rows of 1.11.
#[test]
fn host_follows_the_port_of_the_listener() {
    use Protocol::{Http, Https};
    let table = [
        (Http, 8080, "Example.com", "example.com:8080"),
        (Http, 8080, "example.com:8080", "example.com:8080"),
        (Http, 8080, "example.com:9", "example.com:9"),
        (Http, 80, "example.com:80", "example.com"),
        (Http, 80, "Example.com", "example.com"),
        (Https, 443, "example.com:443", "example.com"),
        (Https, 443, "example.com:", "example.com"),
        (Http, 80, "[2001:DB8::1]:80", "[2001:db8::1]"),
        (Http, 8080, "[2001:DB8::1]", "[2001:db8::1]:8080"),
        // A signature covers the port that a port mapping in front of us makes the client use.
        (Https, 443, "localhost:10443", "localhost:10443"),
    ];
    for (protocol, port, host, expected) in table {
        let case = Case::on(protocol, port);
        assert_eq!(
            case.values("host", &[("Host", host)]),
            [expected],
            "{host} on {port}"
        );
        let case = case.with(|a| a.preserve_host_header = true);
        assert_eq!(case.values("host", &[("Host", host)]), [host]);
    }
}

// Parity 1.11: absolute form; 1.1: HTTP/1.0 without Host. Of several Host fields the target gets the
// one that the rules saw, preserved or not (RFC 9112, 3.2 and 3.2.2).
#[test]
fn one_host_is_sent_and_it_is_the_one_of_the_rules() {
    let two = [("Host", "example.com"), ("host", "Second")];
    let mut case = Case::on(Protocol::Https, 443);
    assert_eq!(case.values("host", &two), ["example.com"]);
    case.target = "https://DNS_name/x";
    assert_eq!(case.values("host", &two), ["dns_name"]);
    case.target = "/";
    case.version = Version::Http10;
    let dns_name = case.listener.dns_name.to_string();
    assert_eq!(case.values("host", &[]), [&*dns_name]);
    assert_eq!(case.values("host", &[("Host", "")]), [&*dns_name]);
    let mut case = case.with(|a| a.preserve_host_header = true);
    assert_eq!(case.values("host", &two), ["example.com"]);
    let empty_first = [("Host", ""), ("Host", "Second")];
    assert_eq!(case.values("host", &empty_first), [&*dns_name]);
    assert_eq!(case.values("host", &[]), [&*dns_name]);
    case.target = "http://User@X:81/y";
    for fields in [&two[..], &two[1..], &[("Host", "")], &[]] {
        assert_eq!(
            case.values("host", fields),
            ["X:81"].map(|host| match fields {
                [] => host.to_lowercase(),
                _ => host.to_owned(),
            })
        );
    }
    let other_port = Case::on(Protocol::Http, 8080);
    assert_eq!(other_port.values("host", &[]), [format!("{dns_name}:8080")]);
}

// Parity 1.11: replaced, not appended; client copies of what we vouch for are stripped.
#[test]
fn what_the_load_balancer_vouches_for_cannot_be_forged() {
    let mut case = Case::on(Protocol::Https, 8443);
    case.meta.tls = Some(Arc::new(TlsMeta {
        version: "TLSv1.2",
        cipher: "ECDHE-RSA-AES128-GCM-SHA256",
        ..TlsMeta::default()
    }));
    let forged = [
        ("Host", "h"),
        ("X-Forwarded-Proto", "gopher"),
        ("x-forwarded-port", "1"),
        ("X-Amzn-Tls-Version", "SSLv2"),
        ("x-amzn-tls-cipher-suite", "NULL"),
        ("X-Amzn-Mtls-Clientcert-Subject", "CN=root"),
        ("x-amzn-oidc-data", "e30="),
        ("x-amzn-other", "kept"),
    ];
    let expected = [
        "Host: h:8443\r\n",
        "x-amzn-other: kept\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Port: 8443\r\n",
        TRACE,
    ];
    assert_eq!(case.lines(&forged), expected.concat());
    let case = case.with(|a| a.tls_version_and_cipher_headers = true);
    assert_eq!(case.values("x-amzn-tls-version", &forged), ["TLSv1.2"]);
    assert_eq!(
        case.values("x-amzn-tls-cipher-suite", &forged),
        ["ECDHE-RSA-AES128-GCM-SHA256"]
    );
}

// Parity check 16 and 1.11, hop by hop.
#[test]
fn hop_by_hop_fields_and_framing_stay_here() {
    let lines = Case::on(Protocol::Http, 80).lines(&[
        ("Host", "h"),
        (
            "Connection",
            "Keep-Alive, X-Nominated ,host, x-forwarded-for",
        ),
        ("connection", "Upgrade,TE"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("Upgrade", "websocket"),
        ("Expect", "100-continue"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("x-nominated", "gone"),
        ("X-Forwarded-For", "10.9.9.9"),
        ("X-Other", "kept"),
    ]);
    let expected = [
        "Host: h\r\n",
        "X-Other: kept\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Port: 80\r\n",
        TRACE,
    ];
    assert_eq!(lines, expected.concat());
}

#[test]
fn too_many_connection_options_are_refused() {
    let case = Case::on(Protocol::Http, 80);
    let options = |n: usize| vec!["x"; n].join(",");
    assert!(case.write(&[field("Connection", &options(64))]).is_ok());
    let error = case
        .write(&[field("Connection", &options(65))])
        .unwrap_err();
    assert_eq!(error.status(), 400);
}

// Parity 1.1: WebSocket by HTTP/1.1 Upgrade.
#[test]
fn an_upgrade_is_passed_on_when_it_is_wanted() {
    let mut case = Case::on(Protocol::Http, 80);
    case.upgrade = true;
    let lines = case.lines(&[
        ("Host", "h"),
        ("connection", "keep-alive, upgrade"),
        ("upgrade", "websocket"),
        ("Sec-WebSocket-Key", "k"),
    ]);
    let expected = [
        "Host: h\r\n",
        "Sec-WebSocket-Key: k\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Port: 80\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        TRACE,
    ];
    assert_eq!(lines, expected.concat());
}

// Parity check 22 and 1.11.
#[test]
fn invalid_names_are_counted_and_dropped_when_asked() {
    let case = Case::on(Protocol::Http, 80);
    let fields = [
        field("my_header", "1"),
        field("X-9", "2"),
        field("a.b", "3"),
    ];
    let (lines, written) = case.write(&fields).unwrap();
    assert!(
        lines.contains("my_header: 1\r\nX-9: 2\r\na.b: 3\r\n"),
        "{lines}"
    );
    assert_eq!(written.invalid_names, 2);
    let case = case.with(|a| a.drop_invalid_header_fields = true);
    let (lines, written) = case.write(&fields).unwrap();
    assert!(
        !lines.contains("my_header") && !lines.contains("a.b"),
        "{lines}"
    );
    assert!(lines.contains("X-9: 2\r\n"));
    assert_eq!(written.invalid_names, 2);
}

// Parity check 15 and 1.12; the log shows the value that was sent.
#[test]
fn the_trace_id_is_sent_once_and_found_again() {
    let case = Case::on(Protocol::Http, 80);
    let fields = [
        field("x-amzn-trace-id", "Root=R;X=1"),
        field("X-Amzn-Trace-Id", "Root=other"),
    ];
    let (lines, written) = case.write(&fields).unwrap();
    let expected = "Self=1-00000001-000000000000000000000000;Root=R;X=1";
    assert_eq!(&lines[written.trace_id], expected);
    assert_eq!(lines.matches("X-Amzn-Trace-Id: ").count(), 1);
    let large = "x".repeat(7 * 1024);
    let fields = [fields[0], field("x-large", &large)];
    let (lines, written) = case.write(&fields).unwrap();
    assert_eq!(
        &lines[written.trace_id],
        "Root=1-00000001-000000000000000000000000"
    );
}

// Parity 1.11, name case: h2 client to HTTP/1.1 target.
#[test]
fn names_from_http2_stay_lower_case_but_for_the_special_ones() {
    let mut case = Case::on(Protocol::Https, 443);
    case.version = Version::H2;
    let fields = [
        ("host", "h.example"),
        ("user-agent", "u"),
        ("cookie", "a=1"),
        ("x-amz-date", "d"),
        ("cookie", "b=2"),
        ("x-forwarded-for", "10.0.0.1"),
        ("te", "trailers"),
        ("x-amzn-trace-id", "Root=R"),
    ];
    let expected = [
        "Host: h.example\r\n",
        "user-agent: u\r\n",
        "cookie: a=1; b=2\r\n",
        "x-amz-date: d\r\n",
        "X-Forwarded-For: 10.0.0.1, 127.0.0.1\r\n",
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Port: 443\r\n",
        "X-Amzn-Trace-Id: Self=1-00000001-000000000000000000000000;Root=R\r\n",
    ];
    assert_eq!(case.lines(&fields), expected.concat());
    let case = case.with(|a| a.xff_header_processing_mode = XffHeaderProcessingMode::Preserve);
    assert!(
        case.lines(&fields)
            .contains("X-Forwarded-For: 10.0.0.1\r\n")
    );
}

// An S3 signature covers Host and the signed fields as the client sent them.
#[test]
fn what_a_signature_covers_arrives_unchanged() {
    let signed = [
        ("Host", "minio.example.localhost"),
        ("x-amz-date", "20260101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=a/b, Signature=00",
        ),
        ("x-amz-meta-note", "two  spaces,\tkept"),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ];
    let lines = Case::on(Protocol::Https, 443).lines(&signed);
    for (name, value) in signed {
        assert!(lines.contains(&format!("{name}: {value}\r\n")), "{name}");
    }
}

// Parity section 4: a Classic load balancer adds who, how and where, and nothing else.
#[test]
fn a_classic_load_balancer_knows_no_trace_and_no_limit_of_addresses() {
    let mut case = Case::on(Protocol::Http, 8080).with(|a| a.preserve_host_header = true);
    case.listener.classic = true;
    let list = vec!["10.0.0.1"; MAX_FORWARDED_ADDRESSES + 1].join(", ");
    let fields = [
        field("Host", "Example.com"),
        field("X-Forwarded-For", &list),
        field("X-Amzn-Trace-Id", "Root=1"),
    ];
    let (text, written) = case.write(&fields).unwrap();
    assert_eq!(
        text,
        format!(
            "Host: Example.com\r\nX-Forwarded-For: {list}, 127.0.0.1\r\nX-Amzn-Trace-Id: Root=1\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n"
        )
    );
    assert!(written.trace_id.is_empty());
}

// Parity 1.4, transforms: the port of the client stays, unless the rule put another one there.
#[test]
fn a_transformed_host_is_written_like_any_other() {
    for (port, preserve, new, expected) in [
        (80, false, "New.internal", "new.internal"),
        (80, true, "new.internal", "new.internal"),
        (8080, false, "new.internal", "new.internal:8080"),
        (8080, false, "new.internal:9", "new.internal:9"),
    ] {
        let mut case = Case::on(Protocol::Http, port).with(|a| a.preserve_host_header = preserve);
        case.host = Some(new.as_bytes());
        let (lines, _) = case.write(&[field("Host", "old.example.com")]).unwrap();
        let start = format!("Host: {expected}\r\nX-Forwarded-For:");
        assert!(lines.starts_with(&start), "{lines}");
    }
}

// ALB guide, header modification: the names are the operator's, and only we write them.
#[test]
fn tls_headers_have_the_names_of_the_listener() {
    let mut case = Case::on(Protocol::Https, 443).with(|a| a.tls_version_and_cipher_headers = true);
    case.listener.tls_version_header = Some("X-Tls".into());
    case.meta.tls = Some(Arc::new(TlsMeta {
        version: "TLSv1.2",
        cipher: "ECDHE-RSA-AES128-GCM-SHA256",
        ..TlsMeta::default()
    }));
    let fields = [
        field("Host", "h.example"),
        field("x-tls", "forged"),
        field("x-amzn-tls-version", "forged"),
    ];
    let (lines, _) = case.write(&fields).unwrap();
    assert!(lines.contains("X-Tls: TLSv1.2\r\n"), "{lines}");
    assert!(lines.contains("x-amzn-tls-cipher-suite: "), "{lines}");
    assert!(
        !lines.contains("forged") && !lines.contains("x-amzn-tls-version"),
        "{lines}"
    );
}
