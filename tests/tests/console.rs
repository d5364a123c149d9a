//! MinIO's console through an ALB: its page in a browser, and its WebSocket.

use std::process::Command;

use elbow_tests::command::stdout;
use elbow_tests::s3::{ACCESS_KEY, CONSOLE_HOST, S3, SECRET_KEY};
use elbow_tests::{Client, TempDir, need};
use serde_json::json;

#[test]
fn console_page_and_websocket_work_through_an_alb() {
    let (minio, chromium) = (need!("minio"), need!("chromium"));
    let s3 = S3::minio(minio);
    let profile = TempDir::new();
    let dom = stdout(
        Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--ignore-certificate-errors",
                "--virtual-time-budget=20000",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!(
                "--host-resolver-rules=MAP {CONSOLE_HOST} {}",
                s3.alb
            ))
            .arg("--dump-dom")
            .arg(format!("https://{CONSOLE_HOST}:8443/login")),
    );
    assert!(dom.contains("MinIO Console"), "{dom}");
    // The page's script draws it, so the script was loaded through the ALB too.
    assert!(dom.contains("id=\"accessKey\""), "{dom}");

    let connect = || Client::tls((s3.alb, 8443), CONSOLE_HOST, &s3.ca.client(&[])).unwrap();
    let keys = json!({"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}).to_string();
    let login = connect().ask(format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: {CONSOLE_HOST}:8443\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{keys}",
        keys.len()
    ));
    assert_eq!(login.status, 204, "{}{}", login.head, login.text());
    let cookie = login
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let mut socket = connect();
    let opened = socket.ask(format!(
        "GET /ws/objectManager HTTP/1.1\r\nHost: {CONSOLE_HOST}:8443\r\nOrigin: https://{CONSOLE_HOST}:8443\r\nCookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    assert_eq!(opened.status, 101, "{}", opened.head);
    // The accept key matches the request key (RFC 6455), so the console itself answered.
    assert_eq!(
        opened.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    // A masked ping without a body; the console answers with a pong.
    socket.send([0x89, 0x80, 0, 0, 0, 0]);
    assert_eq!(socket.exactly(2), [0x8a, 0]);
}
