//! HTTP/2 clients of an ALB, with curl and nghttp2 (ALB guide: listeners).

use std::process::Command;

use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule};
use elbow_tests::elbow::log_fields;
use elbow_tests::target::ok;
use elbow_tests::{Ca, Elbow, Target, TempDir, address, command, need};
use serde_json::{Value, json};

/// An HTTPS listener in front of `target`, and its URL.
fn https(target: &Target) -> (Elbow, String) {
    https_with(target, &[])
}

/// The same with rules.
fn https_with(target: &Target, rules: &[Value]) -> (Elbow, String) {
    let dir = TempDir::new();
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let ip = address();
    let mut listener = listener(8443, "HTTPS", &forward("web"));
    listener["certificates"] = json!(["main"]);
    listener["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    listener["rules"] = json!(rules);
    let mut config = file(
        &[alb("alb", ip, &[listener])],
        &[group("web", "HTTP", &[target.addr()])],
    );
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("web", target.addr(), "healthy");
    (elbow, format!("https://{ip}:8443"))
}

#[test]
fn h2_request_reaches_an_http1_target() {
    let curl = need!("curl");
    let target = Target::http(|request| ok(&String::from_utf8_lossy(&request.body)));
    let (elbow, url) = https(&target);
    let out = command::stdout(
        Command::new(curl)
            .args([
                "-sk",
                "--http2",
                "-w",
                "\n%{http_version} %{http_code}",
                "-H",
                "X-Mine: 1",
            ])
            .args(["--data-binary", "some body", &format!("{url}/p?q=1")]),
    );
    assert_eq!(out, "some body\n2 200");
    let request = target.request();
    assert_eq!(request.line(), "POST /p?q=1 HTTP/1.1");
    assert_eq!(request.body, b"some body");
    assert_eq!(request.header("x-mine"), Some("1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    // Names arrive in lower case, except those that the ALB writes.
    assert!(
        request.head.contains("\r\nx-mine: 1\r\n"),
        "{}",
        request.head
    );
    assert!(
        request.head.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"),
        "{}",
        request.head
    );
    let fields = log_fields(&elbow.access_log(1)[0]);
    assert_eq!(fields[0], "h2");
    assert_eq!(fields[12], format!("POST {url}/p?q=1 HTTP/2.0"));
}

#[test]
fn stream_limit_is_128_and_further_streams_wait() {
    let (nghttp, h2load) = (need!("nghttp"), need!("h2load"));
    let target = Target::ok("hi");
    let (_elbow, url) = https(&target);
    let out = command::stdout(Command::new(nghttp).args(["-nv", &url]));
    assert!(
        out.contains("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128"),
        "{out}"
    );
    let out =
        command::stdout(Command::new(h2load).args(["-n", "400", "-c", "1", "-m", "200", &url]));
    assert!(out.contains("400 succeeded, 0 failed"), "{out}");
}

#[test]
fn large_bodies_pass_both_ways_over_h2() {
    let curl = need!("curl");
    let target = Target::http(|request| {
        let mut response = ok("");
        if !request.body.is_empty() {
            response = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                request.body.len()
            )
            .into_bytes();
            response.extend(&request.body);
        }
        response
    });
    let (elbow, url) = https(&target);
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|i| u8::try_from(i / 13 % 251).unwrap())
        .collect();
    let sent = elbow.dir().write("sent", &bytes);
    let back = elbow.dir().join("back");
    command::stdout(
        Command::new(curl)
            .args([
                "-sfk",
                "--http2",
                "-X",
                "PUT",
                "-o",
                back.to_str().unwrap(),
                "-T",
            ])
            .arg(&sent)
            .arg(format!("{url}/big")),
    );
    assert!(std::fs::read(back).unwrap() == bytes, "not the same bytes");
}

// curl 7.88 reports a reset stream as an error, even one of NO_ERROR.
#[test]
fn responses_that_do_not_wait_for_the_body_are_no_error() {
    let curl = need!("curl");
    let target = Target::ok("hi");
    let (elbow, url) = https_with(
        &target,
        &[rule(1, "path-pattern", "/fixed", &fixed(403, "no"))],
    );
    let body = elbow.dir().write("body", vec![b'b'; 200_000]);
    let data = format!("@{}", body.display());
    for _ in 0..40 {
        let out = command::stdout(
            Command::new(&curl)
                .args([
                    "-sk",
                    "--http2",
                    "-w",
                    " %{http_code}",
                    "--data-binary",
                    &data,
                ])
                .arg(format!("{url}/fixed")),
        );
        assert_eq!(out, "no 403");
    }
    assert_eq!(elbow.access_log(40).len(), 40);
}
