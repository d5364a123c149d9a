//! The PROXY protocol of network load balancers (NLB guide: proxy protocol; parity 3.5, check 38). The tests of
//! Classic load balancers cover theirs.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::sync::{Arc, Mutex};

use elbow_tests::config::{file, forward, group, listener, nlb, with_attribute};
use elbow_tests::target::Peer;
use elbow_tests::{Client, Elbow, Target, address, wait};
use serde_json::json;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

#[test]
fn version_2_header_precedes_connections_and_health_checks() {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let log = Arc::clone(&seen);
    let target = Target::start(move |peer: &mut Peer| {
        let bytes = peer.rest()?;
        log.lock().unwrap().push(bytes);
        Ok(())
    });
    let ip = address();
    let mut group = group("pods", "TCP", &[target.addr()]);
    group["healthCheckConfig"] =
        json!({"protocol": "TCP", "intervalSeconds": 5, "timeoutSeconds": 2});
    let group = with_attribute(group, "proxy_protocol_v2.enabled", "true");
    let endpoint = "vpce-0123456789abcdef0";
    let group = with_attribute(group, "elbow.proxy_protocol_v2.vpc_endpoint_id", endpoint);
    let listener = listener(8000, "TCP", &forward("pods"));
    let elbow = Elbow::run(&file(&[nlb("nlb", ip, &[listener])], &[group]));
    elbow.wait_for_state("pods", target.addr(), "healthy");
    let find = |command: u8| {
        wait::until("a header", || {
            let seen = seen.lock().unwrap();
            let found = seen.iter().find(|bytes| bytes.get(12) == Some(&command));
            found.cloned()
        })
    };
    let check = find(0x20);
    assert_eq!(check[..12], *SIGNATURE);
    assert_eq!(
        check.len(),
        16 + usize::from(check[15]),
        "expected no data after the header"
    );

    let mut client = Client::plain((ip, 8000));
    client.send("hello").finish();
    let bytes = find(0x21);
    let mut expected = [SIGNATURE, &[0x21, 0x11, 0, 84]].concat();
    let from = client.local_addr();
    let std::net::IpAddr::V4(source) = from.ip() else {
        panic!("{from}")
    };
    expected.extend(source.octets());
    expected.extend(ip.octets());
    expected.extend(from.port().to_be_bytes());
    expected.extend(8000_u16.to_be_bytes());
    assert_eq!(bytes[..28], expected);
    assert_eq!(&bytes[39..61], endpoint.as_bytes());
    assert_eq!(&bytes[100..], b"hello");
}
