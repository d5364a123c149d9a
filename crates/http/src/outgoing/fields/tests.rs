use std::sync::Arc;

use elbow_model::{LoadBalancerAttributes, Personality, Protocol};
use elbow_net::TlsMeta;

use super::*;
use crate::header::head::Header;
use crate::test_kit::{field, get, listener, meta};

const TRACE: &str = "X-Amzn-Trace-Id: Root=1-00000001-000000000000000000000000\r\n";

mod forwarded;

/// A request and what surrounds it; `lines` gives what the target gets.
struct Case {
    listener: Listener,
    meta: ConnMeta,
    version: Version,
    target: &'static str,
    upgrade: bool,
    host: Option<&'static [u8]>,
    identity: Option<Identity>,
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
            identity: None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut LoadBalancerAttributes)) -> Self {
        change(Arc::make_mut(&mut self.listener.attributes));
        self
    }

    fn write(&self, fields: &[Header<'_>]) -> Result<(String, Written), ErrorKind> {
        let head = RequestHead {
            version: self.version,
            ..get(self.target, fields)
        };
        let origin = Origin {
            listener: &self.listener,
            meta: &self.meta,
            upgrade: self.upgrade,
            host: self.host,
            identity: self.identity.as_ref(),
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
fn plain_request_gets_the_standard_fields() {
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
// Parity check 12 and 1.11.
// Parity check 13.
// Parity check 14 and the Host rows of 1.11.
// Parity 1.11: absolute form; 1.1: HTTP/1.0 without Host. Of several Host fields the target gets the
// one that the rules saw, preserved or not (RFC 9112, 3.2 and 3.2.2).
// Parity 1.11: replaced, not appended; a client's own copies are stripped.
#[test]
fn fields_of_the_load_balancer_cannot_be_forged() {
    let mut case = Case::on(Protocol::Https, 8443);
    case.meta.tls = Some(Arc::new(TlsMeta {
        version: "TLSv1.2",
        cipher: "ECDHE-RSA-AES128-GCM-SHA256",
        key_exchange: Some("X25519MLKEM768"),
        ..TlsMeta::default()
    }));
    let forged = [
        ("Host", "h"),
        ("X-Forwarded-Proto", "gopher"),
        ("x-forwarded-port", "1"),
        ("X-Amzn-Tls-Version", "SSLv2"),
        ("x-amzn-tls-cipher-suite", "NULL"),
        ("X-Amzn-Tls-Kx", "ffdhe2048"),
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
    assert!(case.values("x-amzn-tls-kx", &forged).is_empty());
    assert_eq!(
        case.values("x-amzn-tls-cipher-suite", &forged),
        ["ECDHE-RSA-AES128-GCM-SHA256"]
    );
}

// ELBv2 API, LoadBalancerAttribute: IANA's name of the group. A resumed session of TLS 1.2 has none.
#[test]
fn target_is_told_the_group_of_the_key_exchange() {
    let mut case = Case::on(Protocol::Https, 443).with(|a| a.tls_key_exchange_header = true);
    for (key_exchange, expected) in [(Some("secp256r1"), &["secp256r1"][..]), (None, &[])] {
        case.meta.tls = Some(Arc::new(TlsMeta {
            key_exchange,
            ..TlsMeta::default()
        }));
        let forged = [("Host", "h"), ("x-amzn-tls-kx", "forged")];
        assert_eq!(case.values("x-amzn-tls-kx", &forged), expected);
        assert!(case.values("x-amzn-tls-version", &forged).is_empty());
    }
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
fn trace_id_is_sent_once_and_found_for_the_log() {
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
fn signed_fields_arrive_unchanged() {
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
fn clb_has_no_trace_id_and_no_limit_of_addresses() {
    let mut case = Case::on(Protocol::Http, 8080).with(|a| a.preserve_host_header = true);
    case.listener.personality = &Personality::CLASSIC;
    let list = vec!["10.0.0.1"; 31].join(", ");
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

// ALB guide, authenticate users: the user is told by the load balancer alone.
#[test]
fn target_is_told_of_the_user_by_nobody_else() {
    let mut case = Case::on(Protocol::Https, 443);
    let forged = [("X-Amzn-Oidc-Identity", "root"), ("x-amzn-oidc-data", "x")];
    assert!(
        !case
            .lines(&forged)
            .to_ascii_lowercase()
            .contains("x-amzn-oidc-")
    );
    case.identity = Some(Identity {
        access_token: "token".to_owned(),
        subject: "alice".to_owned(),
        data: "a.b.c".to_owned(),
    });
    let lines = case.lines(&forged);
    let told = "x-amzn-oidc-accesstoken: token\r\nx-amzn-oidc-identity: alice\r\nx-amzn-oidc-data: a.b.c\r\n";
    assert!(lines.contains(told), "{lines}");
    assert!(!lines.contains("root"), "{lines}");
}

// Parity 1.4, transforms: the port of the client stays, unless the rule put another one there.
#[test]
fn transformed_host_is_written_like_any_other() {
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

// ALB guide, header modification: the operator chooses the names, and a client's copies go.
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
