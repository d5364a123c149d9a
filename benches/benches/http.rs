//! Head parsing and rule matching.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group};
use elbow_balance::Group;
use elbow_http::Listener;
use elbow_http::h1::scan::Scan;
use elbow_http::h1::{REQUEST_LIMITS, request};
use elbow_model::{Account, DesyncMitigationMode, Model};

/// The request head of a browser and that of an S3 client.
const HEADS: [(&str, &str); 2] = [
    (
        "browser",
        "GET /products/list?page=2 HTTP/1.1\r\nHost: host49.example.com\r\nConnection: keep-alive\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\
         Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n",
    ),
    (
        "s3",
        "PUT /bucket/key%20with%20spaces HTTP/1.1\r\nHost: host49.example.com\r\nAccept-Encoding: identity\r\n\
         Content-Length: 1048576\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
         Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543\r\n\r\n",
    ),
];

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    for (name, head) in HEADS {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let head = black_box(head.as_bytes());
                let found = Scan::default().advance(head, &REQUEST_LIMITS);
                let found = found.unwrap().unwrap();
                let head = &head[found.start..found.end];
                let mode = DesyncMitigationMode::Defensive;
                request::parse(head, found.lines, mode, |r| black_box(r.head.fields.len()))
            });
        });
    }
}

/// A listener with `rules` rules. Only the last rule matches [`HEADS`].
fn listener(rules: usize) -> Listener {
    let rule = |n: usize| {
        let host = 49 + rules - n;
        format!(
            "{{priority: {n}, conditions: [{{field: host-header, hostHeaderConfig: {{values: [host{host}.example.com]}}}}, \
             {{field: path-pattern, pathPatternConfig: {{values: ['/none/*', '/*']}}}}], actions: [{FORWARD}]}}"
        )
    };
    const FORWARD: &str =
        "{type: forward, forwardConfig: {targetGroups: [{targetGroup: pods, weight: 1}]}}";
    let rules: Vec<_> = (1..=rules).map(rule).collect();
    let text = format!(
        "loadBalancers: [{{name: web, type: application, listeners: [{{port: 80, protocol: HTTP, \
         rules: [{}], defaultActions: [{FORWARD}]}}]}}]\n\
         targetGroups: [{{name: pods, protocol: HTTP, port: 80, targetType: ip, targets: [{{id: 127.0.0.1, port: 80}}]}}]\n",
        rules.join(", ")
    );
    let (model, diagnostics) = elbow_native::parse(&text, "bench.yaml");
    let model: Model = model.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let group = Arc::new(Group::new(
        Arc::clone(&model.target_groups[0]),
        Vec::new(),
        1,
    ));
    let lb = &model.load_balancers[0];
    Listener::new(
        lb,
        &lb.listeners[0],
        "web.example".into(),
        &Account::default(),
        &elbow_http::Providers::default(),
        &elbow_telemetry::Telemetry::new(1),
        |_| Some(Arc::clone(&group)),
    )
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn rules(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules");
    for count in [1, 10, 100, 1000] {
        let listener = listener(count);
        let last = u32::try_from(count).unwrap();
        let head = HEADS[0].1.as_bytes();
        let found = Scan::default().advance(head, &REQUEST_LIMITS);
        let lines = found.unwrap().unwrap().lines;
        let mode = DesyncMitigationMode::Defensive;
        request::parse(head, lines, mode, |request| {
            assert_eq!(listener.route(&request.head, CLIENT).priority, last);
            group.bench_function(format!("the last of {count}"), |b| {
                b.iter(|| listener.route(black_box(&request.head), CLIENT).priority);
            });
        })
        .unwrap();
    }
}

criterion_group!(benches, heads, rules);
elbow_benches::main!(benches);
