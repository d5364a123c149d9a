use std::rc::Rc;

use elbow_model::{Account, Personality, Protocol, ProtocolVersion};
use elbow_net::TlsMeta;
use elbow_telemetry::{AccessRecord, Counter, GroupCells, ListenerCells};

use super::*;
use crate::decide::reasons::{GroupReason, TransformStatus};
use crate::error::ErrorKind;
use crate::header::head::{RequestHead, Version};
use crate::spare::Spares;
use crate::test_kit::{self, field, get, listener};

const MS: Duration = Duration::from_millis(1);

/// A request of `head` to a target, 7 ms old.
fn record(head: &RequestHead<'_>, listener: &Listener) -> Record {
    let started = Instant::now();
    let mut record = Record::new(started, 150);
    let mut notes = Notes::take(Rc::new(Spares::default()).take(), head, &listener.endpoint);
    notes.trace(b"Root=1");
    record.notes = Some(notes);
    record.dispatched = Some(started + MS);
    record.answered = Some(started + 3 * MS);
    record.target = Some("10.0.0.1:80".parse().unwrap());
    let config = test_kit::group("pods", ProtocolVersion::Http1);
    record.group_arn = Some(config.arn(&Account::default()).into());
    record.target_status = Some(201);
    record.status = Some(200);
    record.received += 50;
    record.sent = 300;
    record.sent_heads = 100;
    record
}

fn facts<'r>(record: &'r Record, listener: &'r Listener, meta: &'r ConnMeta) -> Facts<'r> {
    Facts {
        record,
        listener,
        meta,
        connection: 42,
        now: record.started + 7 * MS,
    }
}

/// The line of an ALB, without the two moments in it.
fn alb_line(facts: &Facts<'_>) -> String {
    let mut out = Vec::new();
    facts.application(|line| {
        let age = line.time.duration_since(line.request_creation_time);
        assert_eq!(age.unwrap(), 7 * MS);
        let line = AccessRecord {
            time: std::time::UNIX_EPOCH,
            request_creation_time: std::time::UNIX_EPOCH,
            ..line.clone()
        };
        line.write_to(&mut out);
    });
    let line = String::from_utf8(out).unwrap();
    line.replace(" 1970-01-01T00:00:00.000000Z", "")
}

const FIELDS: [(&str, &str); 2] = [("Host", "h.example:80"), ("User-Agent", "curl")];

// ALB guide, access logs: the fields.
#[test]
fn alb_line_has_all_that_is_known() {
    let listener = listener(Protocol::Http, 80, Vec::new());
    let fields = FIELDS.map(|(name, value)| field(name, value));
    let mut record = record(&get("/a?b", &fields), &listener);
    record.reasons = Reasons {
        priority: Some(7),
        action: Some(ActionKind::Forward),
        transform: Some(TransformStatus::Success),
        ..Reasons::default()
    };
    record.transformed = Some(Box::new(Transformed {
        host: Some(b"new".to_vec()),
        uri: Some("/new".into()),
    }));
    let meta = test_kit::meta("192.0.2.7:1000");
    let arn = record.group_arn.clone().unwrap();
    let expected = format!(
        "http {} 192.0.2.7:1000 10.0.0.1:80 0.001 0.002 0.004 200 201 200 300 \
         \"GET http://h.example:80/a?b HTTP/1.1\" \"curl\" - - {arn} \"Root=1\" \"-\" \"-\" 7 \
         \"rewrite,forward\" \"-\" \"-\" \"10.0.0.1:80\" \"201\" \"-\" \"-\" \
         TID_000000000000002a \"new\" \"/new\" \"TransformSuccess\"\n",
        listener.load_balancer_id
    );
    assert_eq!(alb_line(&facts(&record, &listener, &meta)), expected);
}

// Parity 1.15: fields 1 and 13.
#[test]
fn request_types_and_schemes_follow_the_connection() {
    for (https, websocket, version, kind, scheme) in [
        (false, false, Version::Http09, "http", "http"),
        (false, false, Version::Http10, "http", "http"),
        (true, false, Version::Http11, "https", "https"),
        (false, true, Version::Http11, "ws", "ws"),
        (true, true, Version::Http11, "wss", "wss"),
        (true, false, Version::H2, "h2", "https"),
    ] {
        let protocol = if https {
            Protocol::Https
        } else {
            Protocol::Http
        };
        let listener = listener(protocol, 443, Vec::new());
        let head = RequestHead {
            version,
            ..get("/", &[])
        };
        let mut record = record(&head, &listener);
        record.websocket = websocket;
        let meta = test_kit::meta("192.0.2.7:1000");
        let line = alb_line(&facts(&record, &listener, &meta));
        assert!(line.starts_with(&format!("{kind} app/")), "{line}");
        let version = match version {
            Version::Http09 => "HTTP/0.9",
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::H2 => "HTTP/2.0",
        };
        let host = &listener.endpoint.dns_name;
        let request = format!("\"GET {scheme}://{host}:443/ {version}\" \"-\"");
        assert!(line.contains(&request), "{line}");
    }
}

// Parity 1.15: fields 15, 16, 19 and 20.
#[test]
fn tls_facts_are_in_the_line() {
    let listener = listener(Protocol::Https, 443, Vec::new());
    let record = record(&get("/", &[]), &listener);
    for (sni_matched, resumed, expected) in [
        (true, false, "\"h.example\" \"arn:cert\""),
        (false, true, "\"-\" \"session-reused\""),
    ] {
        let mut meta = test_kit::meta("192.0.2.7:1000");
        meta.tls = Some(Arc::new(TlsMeta {
            sni: Some("h.example".into()),
            sni_matched,
            resumed,
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            certificate_arn: Some("arn:cert".into()),
            ..TlsMeta::default()
        }));
        let facts = facts(&record, &listener, &meta);
        let line = alb_line(&facts);
        assert!(line.contains(expected), "{line}");
        assert!(line.contains(" TLS_AES_128_GCM_SHA256 TLSv1.3 "), "{line}");
        let classic = facts.classic();
        assert_eq!(classic.ssl_cipher, Some("TLS_AES_128_GCM_SHA256"));
        assert_eq!(classic.ssl_protocol, Some("TLSv1.3"));
    }
}

// CLB guide, access logs: the fields; bytes are those of bodies.
#[test]
fn clb_line_has_all_that_is_known() {
    let listener = Listener {
        personality: &Personality::CLASSIC,
        ..listener(Protocol::Http, 80, Vec::new())
    };
    let fields = FIELDS.map(|(name, value)| field(name, value));
    let record = record(&get("/a?b", &fields), &listener);
    let meta = test_kit::meta("192.0.2.7:1000");
    let facts = facts(&record, &listener, &meta);
    let mut line = facts.classic();
    let age = std::time::SystemTime::now().duration_since(line.time);
    assert!(age.unwrap() >= 7 * MS);
    line.time = std::time::UNIX_EPOCH;
    let mut out = Vec::new();
    line.write_to(&mut out);
    let expected = format!(
        "1970-01-01T00:00:00.000000Z {} 192.0.2.7:1000 10.0.0.1:80 0.001000 0.002000 0.004000 \
         200 201 50 200 \"GET http://h.example:80/a?b HTTP/1.1\" \"curl\" - -\n",
        listener.load_balancer_id
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

// Parity 1.10: a head that cannot be read.
#[test]
fn line_without_notes_shows_what_is_left() {
    let listener = listener(Protocol::Http, 80, Vec::new());
    let mut record = Record::new(Instant::now(), 9);
    let status = record.fail(ErrorKind::UriTooLarge.into(), &listener);
    assert_eq!(status, 414);
    let meta = test_kit::meta("192.0.2.7:1000");
    let line = alb_line(&facts(&record, &listener, &meta));
    let expected = "192.0.2.7:1000 - -1 -1 -1 414 - 9 0 \"- http://demo-1.us-east-1.elb.localhost:80- -\" \
                    \"-\" - - - \"-\" \"-\" \"-\" - \"-\"";
    assert!(line.contains(expected), "{line}");
}

// Parity 1.15: no times and no target status beside an error of the load balancer.
#[test]
fn failed_request_has_the_status_of_its_kind_of_load_balancer() {
    let alb = listener(Protocol::Http, 80, Vec::new());
    let clb = Listener {
        personality: &Personality::CLASSIC,
        ..alb.clone()
    };
    for (listener, expected) in [(&alb, 502), (&clb, 503)] {
        let mut record = record(&get("/", &[]), listener);
        let status = record.fail(ErrorKind::ConnectFailed.into(), listener);
        assert_eq!((status, record.status), (expected, Some(expected)));
        assert_eq!(record.target_status, None);
        assert_eq!(record.target_time(), None);
        assert_eq!((record.dispatched, record.answered), (None, None));
    }
}

#[test]
fn log_reason_is_that_of_the_error_else_of_the_decision() {
    let listener = listener(Protocol::Http, 80, Vec::new());
    let mut record = record(&get("/", &[]), &listener);
    record.reasons.group = Some(GroupReason::InvalidCookie);
    assert_eq!(record.log_reason(), Some("AWSALBTGCookieInvalid"));
    record.cut(ErrorKind::Stopping.into());
    assert_eq!(record.log_reason(), Some("AWSALBTGCookieInvalid"));
    assert!(record.error.is_some(), "kept for whoever asks");
    record.fail(ErrorKind::Stopping.into(), &listener);
    assert_eq!(record.log_reason(), Some("ElbowStopping"));
    record.reasons.group = None;
    record.fail(ErrorKind::NoTargets.into(), &listener);
    assert_eq!(record.log_reason(), None);
}

#[test]
fn decisions_are_counted_by_their_reasons() {
    let decided = |reasons| {
        let cells = ListenerCells::default();
        Record::new(Instant::now(), 0).decided(reasons, &cells);
        let counters = [
            &cells.redirects,
            &cells.fixed_responses,
            &cells.non_sticky,
            &cells.fail_open,
        ];
        counters.map(|counter| counter.get())
    };
    let of = |action, target, fail_open| Reasons {
        action: Some(action),
        target,
        fail_open,
        ..Reasons::default()
    };
    let forward = ActionKind::Forward;
    assert_eq!(decided(Reasons::default()), [0; 4]);
    assert_eq!(decided(of(ActionKind::Redirect, None, false)), [1, 0, 0, 0]);
    assert_eq!(
        decided(of(ActionKind::FixedResponse, None, false)),
        [0, 1, 0, 0]
    );
    let session = Some(TargetReason::NewSession);
    assert_eq!(decided(of(forward, session, false)), [0, 0, 1, 0]);
    let algorithm = Some(TargetReason::Algorithm);
    assert_eq!(decided(of(forward, algorithm, true)), [0, 0, 0, 1]);
    assert_eq!(
        decided(of(forward, Some(TargetReason::Cookie), false)),
        [0; 4]
    );
}

#[test]
fn requests_are_counted_by_who_answered() {
    let listener = listener(Protocol::Http, 80, Vec::new());
    let mut record = record(&get("/", &[]), &listener);
    record.verdict = Verdict(Some(crate::h1::desync::Reason::SpaceInUri));
    let cells = ListenerCells::default();
    record.count(&cells, false, record.started + 7 * MS);
    assert_eq!(
        (cells.received_bytes.get(), cells.sent_bytes.get()),
        (200, 300)
    );
    assert_eq!(cells.desync_non_compliant.get(), 1);
    assert_eq!(cells.target_responses.get(201), 1);
    assert_eq!(
        (cells.latency.count(), cells.target_response_time.count()),
        (1, 1)
    );
    record.fail(ErrorKind::NoTargets.into(), &listener);
    let cells = ListenerCells::default();
    record.count(&cells, false, record.started);
    assert_eq!(cells.target_responses.get(201), 0);
    assert_eq!(cells.elb_responses.get(503), 1);
    assert_eq!(
        (cells.latency.count(), cells.target_response_time.count()),
        (1, 0)
    );
    let cells = ListenerCells::default();
    Record::new(Instant::now(), 0).count(&cells, false, Instant::now());
    assert_eq!(cells.desync_non_compliant.get(), 0);
}

fn kinds(cells: &ListenerCells) -> Vec<(&'static str, &'static str)> {
    let counted = cells.request_errors.get().filter(|(_, count)| *count == 1);
    counted.map(|(kind, _)| (kind.kind, kind.side)).collect()
}

// ALB guide: CloudWatch metrics. A request counts in its group once a target was chosen.
#[test]
fn requests_are_counted_in_their_group_and_by_what_failed() {
    let listener = listener(Protocol::Http, 80, Vec::new());
    let mut record = record(&get("/", &[]), &listener);
    let group = Arc::new(GroupCells::default());
    let cells = ListenerCells::default();
    record.count(&cells, false, record.started);
    assert_eq!(group.requests.get(), 0);
    assert_eq!(kinds(&cells), []);
    record.group = Some(Arc::clone(&group));
    record.count(&cells, false, record.started);
    assert_eq!((group.requests.get(), group.response_time.count()), (1, 1));
    for kind in [
        ErrorKind::TargetClosed,
        ErrorKind::RedirectTooLong,
        ErrorKind::ClientGone,
    ] {
        record.fail(kind.into(), &listener);
        record.count(&cells, false, record.started);
    }
    assert_eq!((group.requests.get(), group.response_time.count()), (4, 1));
    assert_eq!(
        kinds(&cells),
        [
            ("client_gone", "client"),
            ("redirect_too_long", "elb"),
            ("target_closed", "target"),
        ]
    );
}

// ALB guide: CloudWatch metrics, RuleEvaluations, IPv6RequestCount and IPv6ProcessedBytes.
#[test]
fn evaluations_and_ipv6_clients_are_counted() {
    let listener = listener(Protocol::Http, 80, Vec::new());
    let mut record = record(&get("/", &[]), &listener);
    let cells = ListenerCells::default();
    let counted = || {
        [
            &cells.rule_evaluations,
            &cells.charged_rule_evaluations,
            &cells.ipv6_requests,
            &cells.ipv6_bytes,
        ]
        .map(Counter::get)
    };
    record.reasons.evaluations = 10;
    record.count(&cells, false, record.started);
    assert_eq!(counted(), [10, 0, 0, 0]);
    record.reasons.evaluations = 13;
    record.count(&cells, true, record.started);
    assert_eq!(counted(), [23, 3, 1, 500]);
}
