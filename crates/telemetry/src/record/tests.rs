use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;

fn at(second: u64, micros: u32) -> SystemTime {
    UNIX_EPOCH + Duration::new(second, micros * 1_000)
}

/// A request with only mandatory fields.
fn bare() -> AccessRecord<'static> {
    AccessRecord {
        kind: RequestType::Http,
        time: UNIX_EPOCH,
        elb: "app/lb/50dc6c495c0c9188",
        client: SocketAddr::from(([192, 168, 131, 39], 2817)),
        target: None,
        request_processing_time: None,
        target_processing_time: None,
        response_processing_time: None,
        elb_status_code: None,
        target_status_code: None,
        received_bytes: 0,
        sent_bytes: 0,
        request: RequestLine::default(),
        user_agent: None,
        ssl_cipher: None,
        ssl_protocol: None,
        target_group_arn: None,
        trace_id: None,
        domain_name: None,
        chosen_cert_arn: None,
        matched_rule_priority: None,
        request_creation_time: UNIX_EPOCH,
        actions_executed: None,
        redirect_url: None,
        error_reason: None,
        target_list: &[],
        target_status_code_list: &[],
        classification: None,
        classification_reason: None,
        conn_trace_id: None,
        transformed_host: None,
        transformed_uri: None,
        request_transform_status: None,
    }
}

/// The record of a load balancer with only mandatory fields.
pub(crate) fn record(elb: &str) -> AccessRecord<'_> {
    AccessRecord { elb, ..bare() }
}

fn line(record: &AccessRecord<'_>) -> String {
    let mut out = Vec::new();
    record.write_to(&mut out);
    String::from_utf8(out).unwrap()
}

/// Splits a line at spaces outside quotes, as log parsers do. Keeps the quotes.
fn fields(line: &str) -> Vec<String> {
    let line = line.strip_suffix('\n').expect("a line feed at the end");
    let mut fields = vec![String::new()];
    let mut inside = false;
    for character in line.chars() {
        inside ^= character == '"';
        match fields.last_mut() {
            Some(field) if inside || character != ' ' => field.push(character),
            _ => fields.push(String::new()),
        }
    }
    assert!(!inside, "a quote is open in {line}");
    fields
}

/// The content of a field without quotes and escapes.
fn read(field: &str) -> Vec<u8> {
    let field = field
        .strip_prefix('"')
        .map_or(field, |field| &field[..field.len() - 1]);
    let mut parts = field.split("\\x");
    let mut text = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        text.push(u8::from_str_radix(digits, 16).unwrap());
        text.extend_from_slice(rest.as_bytes());
    }
    text
}

/// `text` as written: empty text is `-`.
fn shown(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        b"-".to_vec()
    } else {
        text.to_vec()
    }
}

/// Parity 1.15: the example of the ALB guide.
#[test]
fn line_matches_the_guide() {
    let target = SocketAddr::from(([10, 0, 0, 1], 80));
    let record = AccessRecord {
        time: at(1_530_570_180, 186_641),
        target: Some(target),
        request_processing_time: Some(Duration::from_micros(40)),
        target_processing_time: Some(Duration::from_millis(1)),
        response_processing_time: Some(Duration::ZERO),
        elb_status_code: Some(200),
        target_status_code: Some(200),
        received_bytes: 34,
        sent_bytes: 366,
        request: RequestLine {
            method: b"GET",
            scheme: "http",
            host: b"www.example.com",
            port: 80,
            uri: b"/",
            version: "HTTP/1.1",
        },
        user_agent: Some(b"curl/7.46.0"),
        target_group_arn: Some("arn:..."),
        trace_id: Some(b"Root=1-58337262-36d228ad5d99923122bbe354"),
        matched_rule_priority: Some(0),
        request_creation_time: at(1_530_570_168, 364_000),
        actions_executed: Some("forward"),
        target_list: &[target],
        target_status_code_list: &[200],
        conn_trace_id: Some("TID_1234abcd5678ef90"),
        ..bare()
    };
    assert_eq!(
        line(&record),
        concat!(
            "http 2018-07-02T22:23:00.186641Z app/lb/50dc6c495c0c9188 192.168.131.39:2817 ",
            "10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 ",
            "\"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.46.0\" - - arn:... ",
            "\"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 ",
            "2018-07-02T22:22:48.364000Z \"forward\" \"-\" \"-\" \"10.0.0.1:80\" \"200\" ",
            "\"-\" \"-\" TID_1234abcd5678ef90 \"-\" \"-\" \"-\"\n"
        )
    );
}

/// Parity 1.15: fields 13, 14, 18, 19, 20, 23-29 and 31-33 are quoted; unknown times are -1.
#[test]
fn absent_fields_have_placeholders() {
    assert_eq!(
        line(&bare()),
        concat!(
            "http 1970-01-01T00:00:00.000000Z app/lb/50dc6c495c0c9188 192.168.131.39:2817 ",
            "- -1 -1 -1 - - 0 0 \"- -://-:0- -\" \"-\" - - - \"-\" \"-\" \"-\" - ",
            "1970-01-01T00:00:00.000000Z \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" - ",
            "\"-\" \"-\" \"-\"\n"
        )
    );
    let quoted = (1..=33).filter(|n| fields(&line(&bare()))[n - 1].starts_with('"'));
    let expected = [13, 14, 18, 19, 20, 23, 24, 25, 26, 27, 28, 29, 31, 32, 33];
    assert_eq!(quoted.collect::<Vec<_>>(), expected);
}

#[test]
fn every_field_is_in_its_place() {
    let client: SocketAddr = "[2001:db8::7]:5".parse().unwrap();
    let targets = ["10.0.0.1:80", "10.0.0.2:81"].map(|t| t.parse().unwrap());
    let record = AccessRecord {
        kind: RequestType::Wss,
        client,
        elb_status_code: Some(502),
        matched_rule_priority: Some(-1),
        user_agent: Some(b"ua"),
        ssl_cipher: Some("cipher"),
        ssl_protocol: Some("TLSv1.3"),
        target_group_arn: Some("group"),
        trace_id: Some(b"trace"),
        domain_name: Some(b"domain"),
        chosen_cert_arn: Some("session-reused"),
        actions_executed: Some("authenticate,forward"),
        redirect_url: Some(b"url"),
        error_reason: Some("reason"),
        target_list: &targets,
        target_status_code_list: &[502, 200],
        classification: Some("Ambiguous"),
        classification_reason: Some("BothTeClPresent"),
        conn_trace_id: Some("TID_1"),
        transformed_host: Some(b"host"),
        transformed_uri: Some(b"/uri"),
        request_transform_status: Some("TransformSuccess"),
        ..bare()
    };
    let fields = fields(&line(&record));
    let expected = [
        (1, "wss"),
        (4, "[2001:db8::7]:5"),
        (9, "502"),
        (14, "\"ua\""),
        (15, "cipher"),
        (16, "TLSv1.3"),
        (17, "group"),
        (18, "\"trace\""),
        (19, "\"domain\""),
        (20, "\"session-reused\""),
        (21, "-1"),
        (23, "\"authenticate,forward\""),
        (24, "\"url\""),
        (25, "\"reason\""),
        (26, "\"10.0.0.1:80 10.0.0.2:81\""),
        (27, "\"502 200\""),
        (28, "\"Ambiguous\""),
        (29, "\"BothTeClPresent\""),
        (30, "TID_1"),
        (31, "\"host\""),
        (32, "\"/uri\""),
        (33, "\"TransformSuccess\""),
    ];
    for (number, text) in expected {
        assert_eq!(fields[number - 1], text, "field {number}");
    }
    assert_eq!(fields.len(), 33);
}

#[test]
fn request_line_has_the_port_of_the_listener() {
    for (host, shown) in [
        ("example.com", "example.com:8443"),
        ("example.com:443", "example.com:8443"),
        ("[2001:db8::1]", "[2001:db8::1]:8443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:8443"),
        ("a:b", "a:b:8443"),
    ] {
        let request = RequestLine {
            method: b"GET",
            scheme: "https",
            host: host.as_bytes(),
            port: 8443,
            uri: b"/a?b=c",
            version: "HTTP/2.0",
        };
        let fields = fields(&line(&AccessRecord { request, ..bare() }));
        assert_eq!(
            fields[12],
            format!("\"GET https://{shown}/a?b=c HTTP/2.0\"")
        );
    }
}

/// Parity 1.15, field 14.
#[test]
fn user_agent_is_truncated_to_8_kib() {
    let user_agent = vec![b'u'; 9_000];
    let record = AccessRecord {
        user_agent: Some(&user_agent),
        ..bare()
    };
    assert_eq!(fields(&line(&record))[13].len(), 8_192 + "\"\"".len());
}

#[test]
fn writing_does_not_allocate_with_enough_capacity() {
    let mut out = Vec::with_capacity(4_096);
    let start = out.as_ptr();
    bare().write_to(&mut out);
    assert_eq!((out.as_ptr(), out.capacity()), (start, 4_096));
}

proptest! {
    /// No client input can end a field or a line, and a parser recovers the input.
    #[test]
    fn any_bytes_make_33_fields_on_one_line(
        texts in vec(of(vec(any::<u8>(), 0..40)), 8),
        names in vec("\\PC*|[ \"\\\\\r\n]*", 3),
        statuses in vec(any::<u16>(), 0..3),
        priority in of(any::<i32>()),
        duration in of(any::<Duration>()),
    ) {
        let text = |n: usize| texts[n].as_deref();
        let bytes = |n: usize| text(n).unwrap_or_default();
        let record = AccessRecord {
            elb: &names[0],
            chosen_cert_arn: Some(&names[1]),
            target_group_arn: Some(&names[2]),
            conn_trace_id: Some(&names[1]),
            request: RequestLine {
                method: bytes(0),
                scheme: "http",
                host: bytes(1),
                port: 80,
                uri: bytes(2),
                version: "HTTP/1.1",
            },
            user_agent: text(3),
            trace_id: text(4),
            domain_name: text(5),
            redirect_url: text(6),
            transformed_host: text(7),
            transformed_uri: text(2),
            target_status_code_list: &statuses,
            matched_rule_priority: priority,
            target_processing_time: duration,
            ..bare()
        };
        let line = line(&record);
        let fields = fields(&line);
        prop_assert_eq!(fields.len(), 33);
        let written = [(13, 3), (17, 4), (18, 5), (23, 6), (30, 7), (31, 2)];
        for (field, n) in written {
            prop_assert_eq!(read(&fields[field]), shown(bytes(n)), "field {}", field + 1);
        }
        for (field, n) in [(2, 0), (16, 2), (19, 1), (29, 1)] {
            prop_assert_eq!(read(&fields[field]), shown(names[n].as_bytes()), "field {}", field + 1);
        }
        prop_assert!(line.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')));
        prop_assert_eq!(line.matches('\n').count(), 1);
    }
}
