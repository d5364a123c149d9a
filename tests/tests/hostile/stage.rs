//! One elbow with all kinds of listeners, and unhelpful targets.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use elbow_tests::config::{alb, file, forward, group, listener, nlb, rule};
use elbow_tests::target::Peer;
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, frames};
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::endless;
use crate::source::Source;

/// How long a write of a client may block.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connect that takes this long meets a full queue.
const QUEUE_IS_FULL: Duration = Duration::from_millis(500);
/// The total size of interim responses before the final one.
const INTERIM: usize = 256 * 1024;

/// Addresses of the listeners, and the targets behind them.
pub(crate) struct Stage {
    /// Listeners of an ALB.
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// Listeners of an NLB in front of `source`.
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: SocketAddr,
    /// Answers `/source` with an endless body.
    pub(crate) source: Source,
    h2: Arc<ClientConfig>,
    h1: Arc<ClientConfig>,
    /// Answers `/web`.
    _web: Target,
    /// Answers `/interim` after many interim responses.
    _interim: Target,
    /// Accepts no connection; for `/mute`.
    _mute: (Target, OwnedFd, Vec<TcpStream>),
}

impl Stage {
    /// Starts elbow and its targets.
    pub(crate) fn new() -> (Elbow, Self) {
        let source = Source::start();
        let (web, interim) = (Target::ok("hi"), Target::start(many_interim));
        let mute = mute();
        let endless = endless::start();
        let (alb_ip, nlb_ip) = (address(), address());
        let (dir, ca) = (TempDir::new(), Ca::new());
        ca.leaf(&["a.example"]).write(&dir, "main");
        let mut config = file(
            &[
                alb(
                    "alb",
                    alb_ip,
                    &[with_rules(8080, "HTTP"), with_rules(8443, "HTTPS")],
                ),
                nlb(
                    "nlb",
                    nlb_ip,
                    &[
                        with_tls(listener(8080, "TCP", &forward("raw"))),
                        with_tls(listener(8443, "TLS", &forward("raw"))),
                    ],
                ),
            ],
            &[
                group("source", "HTTP", &[source.addr()]),
                group("raw", "TCP", &[source.addr()]),
                group("web", "HTTP", &[web.addr()]),
                group("interim", "HTTP", &[interim.addr()]),
                group("mute", "HTTP", &[mute.0.addr()]),
                endless_group(endless),
            ],
        );
        config["certificates"] =
            json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
        let elbow = Elbow::run_in(dir, &config, &[]);
        for (name, target) in [
            ("source", &source.health),
            ("raw", &source.health),
            ("web", &web),
            ("interim", &interim),
            ("mute", &mute.0),
        ] {
            elbow.wait_for_state(name, target.addr(), "healthy");
        }
        elbow.wait_for_state("endless", endless, "healthy");
        let stage = Self {
            http: (alb_ip, 8080).into(),
            https: (alb_ip, 8443).into(),
            tcp: (nlb_ip, 8080).into(),
            tls: (nlb_ip, 8443).into(),
            source,
            h2: ca.client(&["h2"]),
            h1: ca.client(&[]),
            _web: web,
            _interim: interim,
            _mute: mute,
        };
        (elbow, stage)
    }

    /// Asserts that other clients are served.
    pub(crate) fn assert_serves(&self) {
        let get = client::get("a.example", "/web");
        assert_eq!(Client::plain(self.http).ask(&get).text(), "hi");
        assert_eq!(self.over_tls(self.https).ask(&get).text(), "hi");
        let mut client = self.over_h2(frames::WINDOW_MAX);
        client.send(frames::get(1, "/web"));
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"hi") {
            let mut more = [0; 1024];
            let n = client.read(&mut more).unwrap();
            assert!(n > 0, "closed after {bytes:?}");
            bytes.extend_from_slice(&more[..n]);
        }
    }

    /// A TLS connection without ALPN.
    pub(crate) fn over_tls(&self, to: SocketAddr) -> Client {
        with_write_timeout(Client::tls(to, "a.example", &self.h1).unwrap())
    }

    /// An HTTP/2 connection with windows of `window` bytes.
    pub(crate) fn over_h2(&self, window: u32) -> Client {
        let mut client =
            with_write_timeout(Client::tls(self.https, "a.example", &self.h2).unwrap());
        client.send(frames::preface(window, window));
        client
    }
}

fn with_write_timeout(client: Client) -> Client {
    client
        .socket()
        .set_write_timeout(Some(WRITE_TIMEOUT))
        .unwrap();
    client
}

fn with_tls(mut listener: Value) -> Value {
    if matches!(listener["protocol"].as_str(), Some("TLS" | "HTTPS")) {
        listener["certificates"] = json!(["main"]);
        listener["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    }
    listener
}

fn with_rules(port: u16, protocol: &str) -> Value {
    let mut listener = with_tls(listener(port, protocol, &forward("source")));
    let mut names = vec!["web", "interim", "mute"];
    // Only a listener of HTTPS forwards to targets of HTTP/2.
    names.extend((protocol == "HTTPS").then_some("endless"));
    let rules = (1..).zip(names).map(|(priority, name)| {
        rule(
            priority,
            "path-pattern",
            &format!("/{name}*"),
            &forward(name),
        )
    });
    listener["rules"] = rules.collect();
    listener
}

fn endless_group(target: SocketAddr) -> Value {
    let mut group = group("endless", "HTTP", &[target]);
    group["protocolVersion"] = json!("HTTP2");
    group["healthCheckConfig"]["port"] = json!("traffic-port");
    group
}

fn many_interim(peer: &mut Peer) -> io::Result<()> {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    // Also answers further requests on the connection.
    while peer.read(&mut [0; 4096])? > 0 {
        peer.send(early.repeat(INTERIM / early.len()))?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")?;
    }
    Ok(())
}

/// A target with passing health checks and a full accept queue: further SYNs get no
/// answer, so that elbow has to hold the requests for it.
fn mute() -> (Target, OwnedFd, Vec<TcpStream>) {
    let target = Target::refusing();
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    rustix::net::bind(&socket, &target.addr()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&target.addr(), QUEUE_IS_FULL) {
        queue.push(stream);
        assert!(queue.len() < 10, "the queue has no end");
    }
    (target, socket, queue)
}
