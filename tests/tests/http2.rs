//! HTTP/2 clients of an ALB, with curl, nghttp2 and Chromium (ALB guide: listeners).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Command;

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::chromium::Chromium;
use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule};
use elbow_tests::elbow::{log_fields, target_row};
use elbow_tests::frames::{self, frame};
use elbow_tests::target::ok;
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, command, need, wait};
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

#[test]
fn chromium_loads_a_hundred_resources_over_one_connection() {
    const ALL: usize = 100;
    let chromium = need!("chromium");
    let target = Target::http(|request| match request.line() {
        "GET / HTTP/1.1" => {
            let scripts: String = (0..ALL)
                .map(|n| format!("<script async src=/{n}.js></script>"))
                .collect();
            let page = format!("<title>all</title><script>let sum = 0</script>{scripts}");
            with_type("text/html", &page)
        }
        line => {
            let number = line.split(['/', '.']).nth(1).unwrap_or_default();
            let padding = "/".repeat(20_000);
            with_type("text/javascript", &format!("sum += {number} //{padding}"))
        }
    });
    let (elbow, url) = https(&target);
    let mut browser = Chromium::start(&chromium);
    browser.open(&format!("{url}/"));
    // The page is complete when each script has run or failed.
    browser.wait_for("document.title === 'all'");
    let loaded = browser.evaluate(
        "performance.getEntriesByType('resource')
            .filter(entry => entry.name.endsWith('.js'))
            .map(entry => entry.nextHopProtocol + ' ' + entry.responseStatus)",
    );
    assert_eq!(loaded, json!(["h2 200"; ALL].to_vec()));
    assert_eq!(browser.evaluate("sum"), json!(4950));
    // The page, the scripts, and maybe an icon.
    let clients: HashSet<String> = elbow
        .access_log(1 + ALL)
        .iter()
        .map(|line| log_fields(line).remove(3))
        .collect();
    assert_eq!(clients.len(), 1, "{clients:?}");
}

fn with_type(content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

// Clients that reset streams, and clients that read slowly or not at all, beside one that reads all.
#[test]
fn nothing_is_left_of_resets_and_slow_readers() {
    let h2load = need!("h2load");
    let target = Target::http(|request| match request.line() {
        "GET /large HTTP/1.1" => with_type("text/plain", &"x".repeat(300_000)),
        _ => ok("hi"),
    });
    let (elbow, url) = https(&target);
    let address: SocketAddr = url.strip_prefix("https://").unwrap().parse().unwrap();
    let tls = client_that_trusts_all(rustls::ALL_VERSIONS, &["h2"]);
    let connect = |window| {
        let mut client = Client::tls(address, "a.example", &tls).unwrap();
        client.send(frames::preface(window, window));
        client
    };
    let streams = || (0..20_u32).map(|n| 2 * n + 1);
    let stalled: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = connect(1000);
            client.send(
                streams()
                    .flat_map(|id| frames::get(id, "/large"))
                    .collect::<Vec<_>>(),
            );
            client
        })
        .collect();
    let resetting: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = connect(frames::WINDOW_MAX);
            for id in streams() {
                let reset = frame(frames::RST_STREAM, 0, id, &8_u32.to_be_bytes());
                client.send([frames::get(id, "/large"), reset].concat());
            }
            client
        })
        .collect();
    let out = command::stdout(Command::new(h2load).args([
        "-n",
        "2000",
        "-c",
        "4",
        "-m",
        "50",
        &url,
        &format!("{url}/large"),
    ]));
    assert!(out.contains("2000 succeeded, 0 failed"), "{out}");
    drop((stalled, resetting));
    let all = 2000 + 8 * 20;
    assert_eq!(elbow.access_log(all).len(), all);
    wait::until("nothing to be left", || {
        let active = elbow.metric("elbow_active_connections", &[])?;
        let targets = elbow.json("/targets");
        let row = target_row(&targets, "web", target.addr())?;
        (active == 0.0 && row["inFlight"] == 0).then_some(())
    });
}
