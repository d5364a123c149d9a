//! The attack kinds.

use std::{env, thread};

use elbow_tests::frames::{self, WINDOW_MAX, frame};
use elbow_tests::{Client, wait};

use crate::Kind;
use crate::stage::Stage;

/// Every kind with its bound; the names are those of docs/limits.md.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "HTTP/2: 100 downloads, window 2^31-1, nothing read",
        bound: 2560,
        attack: hoarded_windows,
    },
    Kind {
        name: "HTTP/2: 100 uploads to a silent target",
        bound: 2048,
        attack: unread_uploads,
    },
    Kind {
        name: "HTTP/2: 100 heads of 30 KB for a silent target",
        bound: 6144,
        attack: large_heads,
    },
    Kind {
        name: "HTTP/2: rapid reset",
        bound: 192,
        attack: rapid_reset,
    },
    Kind {
        name: "HTTP/2: endless CONTINUATION",
        bound: 512,
        attack: continuation,
    },
    Kind {
        name: "HTTP/2: SETTINGS, answers not read",
        bound: 224,
        attack: settings,
    },
    Kind {
        name: "HTTP/2: PING, answers not read",
        bound: 224,
        attack: ping,
    },
    Kind {
        name: "HTTP/2: idle",
        bound: 80,
        attack: idle,
    },
    Kind {
        name: "endless interim responses from a target",
        bound: 96,
        attack: interim,
    },
    Kind {
        name: "HTTP/1: head of 20 KB without an end",
        bound: 64,
        attack: slow_head,
    },
    Kind {
        name: "HTTP/1: head of 60 KB without an end",
        bound: 320,
        attack: slow_large_head,
    },
    Kind {
        name: "HTTP/1: body that stalls",
        bound: 96,
        attack: slow_body,
    },
    Kind {
        name: "HTTP/1: download that is not read",
        bound: 320,
        attack: slow_reader,
    },
    Kind {
        name: "HTTP/1 over TLS: download that is not read",
        bound: 512,
        attack: slow_reader_https,
    },
    Kind {
        name: "TCP: download that is not read",
        bound: 320,
        attack: slow_reader_layer_4,
    },
    Kind {
        name: "TLS: download that is not read",
        bound: 512,
        attack: slow_reader_tls,
    },
    Kind {
        name: "TLS: half a handshake",
        bound: 64,
        attack: half_open,
    },
];

/// The streams per connection.
const STREAMS: u32 = 100;
/// The connections of a flood. What the allocator and the workers keep for all of them is little for each.
const FLOODERS: usize = 24;
/// The frames of a flood: far more than the sockets on the way hold.
const FLOOD: usize = 20_000;

/// `n` clients that run `attack` at the same time.
fn at_once(n: usize, attack: impl Fn() -> Client + Sync) -> Vec<Client> {
    thread::scope(|scope| {
        let attacking: Vec<_> = (0..n).map(|_| scope.spawn(&attack)).collect();
        attacking.into_iter().map(|a| a.join().unwrap()).collect()
    })
}

fn streams() -> impl Iterator<Item = u32> {
    (0..STREAMS).map(|n| 2 * n + 1)
}

/// The number of connections of [`hoarded_windows`]; their memory exceeds what may remain.
fn hoarders() -> usize {
    env::var("ELBOW_TEST_HOARDERS").map_or(24, |n| n.parse().unwrap())
}

fn hoarded_windows(stage: &Stage) -> Vec<Client> {
    let n = hoarders();
    let clients = at_once(n, || {
        let mut client = stage.over_h2(WINDOW_MAX);
        let requests: Vec<u8> = streams()
            .flat_map(|id| frames::get(id, "/source"))
            .collect();
        client.send(requests);
        client
    });
    wait::until("all streams at their target", || {
        (stage.source.connections() >= n * STREAMS as usize).then_some(())
    });
    clients
}

fn unread_uploads(stage: &Stage) -> Vec<Client> {
    at_once(8, || {
        let mut client = stage.over_h2(WINDOW_MAX);
        for id in streams() {
            client.send(frames::request(id, "POST", "/mute", &[], false));
        }
        // All of the connection's window, one piece per stream.
        for id in streams() {
            let _ = client.try_send(frame(frames::DATA, 0, id, &[0; 10_000]));
        }
        client
    })
}

fn large_heads(stage: &Stage) -> Vec<Client> {
    let value = "v".repeat(10_000);
    let more: Vec<_> = ["x-a", "x-b", "x-c"]
        .map(|name| (name, value.as_str()))
        .into();
    at_once(8, || {
        let mut client = stage.over_h2(WINDOW_MAX);
        for id in streams() {
            let _ = client.try_send(frames::request(id, "GET", "/mute", &more, true));
        }
        client
    })
}

fn rapid_reset(stage: &Stage) -> Vec<Client> {
    at_once(FLOODERS, || reset_rapidly(stage))
}

pub(crate) fn reset_rapidly(stage: &Stage) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    let pairs = (0..).map(|n| 2 * n + 1).take(FLOOD / 4);
    let bytes: Vec<u8> = pairs
        .flat_map(|id| {
            let mut pair = frames::get(id, "/mute");
            pair.extend(frame(frames::RST_STREAM, 0, id, &8_u32.to_be_bytes()));
            pair
        })
        .collect();
    let _ = client.try_send(bytes);
    client
}

fn continuation(stage: &Stage) -> Vec<Client> {
    at_once(FLOODERS, || continue_endlessly(stage))
}

pub(crate) fn continue_endlessly(stage: &Stage) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    let value = "v".repeat(4000);
    let piece = frames::block(&[("x-a", &value), ("x-b", &value), ("x-c", &value)]);
    let mut bytes = frame(frames::HEADERS, 0, 1, &piece);
    for _ in 0..64 {
        bytes.extend(frame(frames::CONTINUATION, 0, 1, &piece));
    }
    let _ = client.try_send(bytes);
    client
}

/// Sends `bytes` repeatedly.
fn flood(stage: &Stage, bytes: &[u8]) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    let _ = client.try_send(bytes.repeat(FLOOD));
    client
}

fn settings(stage: &Stage) -> Vec<Client> {
    at_once(FLOODERS, || flood_settings(stage))
}

pub(crate) fn flood_settings(stage: &Stage) -> Client {
    flood(stage, &frames::settings(&[(1, 4096), (2, 0), (5, 16_384)]))
}

fn ping(stage: &Stage) -> Vec<Client> {
    at_once(FLOODERS, || {
        flood(stage, &frame(frames::PING, 0, 0, b"elbow???"))
    })
}

fn idle(stage: &Stage) -> Vec<Client> {
    at_once(32, || stage.over_h2(WINDOW_MAX))
}

fn interim(stage: &Stage) -> Vec<Client> {
    let mut clients = at_once(8, || {
        let mut client = Client::plain(stage.http);
        assert_eq!(
            client
                .ask(elbow_tests::client::get("a.example", "/interim"))
                .text(),
            "hi"
        );
        client
    });
    clients.extend(at_once(8, || {
        let mut client = stage.over_h2(WINDOW_MAX);
        client.send(frames::get(1, "/interim"));
        client
    }));
    clients
}

/// `n` clients of the HTTP listener that send `bytes` and then stall.
fn stopped(stage: &Stage, n: usize, bytes: &str) -> Vec<Client> {
    let send = |_| {
        let mut client = Client::plain(stage.http);
        client.send(bytes);
        client
    };
    (0..n).map(send).collect()
}

fn head_of(length: usize) -> String {
    let mut head = "GET /web HTTP/1.1\r\nHost: a.example\r\n".to_owned();
    let line = format!("X-Long: {}\r\n", "v".repeat(990));
    while head.len() < length {
        head.push_str(&line);
    }
    head
}

fn slow_head(stage: &Stage) -> Vec<Client> {
    stopped(stage, 200, &head_of(20_000))
}

fn slow_large_head(stage: &Stage) -> Vec<Client> {
    stopped(stage, 64, &head_of(60_000))
}

fn slow_body(stage: &Stage) -> Vec<Client> {
    let head = "POST /mute HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000000\r\n\r\nsome";
    stopped(stage, 200, head)
}

fn slow_reader(stage: &Stage) -> Vec<Client> {
    stopped(stage, 64, &elbow_tests::client::get("a.example", "/source"))
}

fn slow_reader_https(stage: &Stage) -> Vec<Client> {
    at_once(32, || {
        let mut client = stage.over_tls(stage.https);
        client.send(elbow_tests::client::get("a.example", "/source"));
        client
    })
}

fn slow_reader_layer_4(stage: &Stage) -> Vec<Client> {
    let send = |_| {
        let mut client = Client::plain(stage.tcp);
        client.send("anything");
        client
    };
    (0..64).map(send).collect()
}

fn slow_reader_tls(stage: &Stage) -> Vec<Client> {
    at_once(32, || {
        let mut client = stage.over_tls(stage.tls);
        client.send("anything");
        client
    })
}

fn half_open(stage: &Stage) -> Vec<Client> {
    // The first half of a 16 KiB record with a ClientHello.
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    record.resize(8 * 1024, 0);
    let send = |_| {
        let mut client = Client::plain(stage.https);
        client.send(&record);
        client
    };
    (0..200).map(send).collect()
}
