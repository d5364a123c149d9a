//! Limits of descriptors, connections and handshakes: clients beyond them are reset and counted, and nobody
//! else is affected (docs/limits.md).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use elbow_tests::config::{alb, file, fixed, forward, group, listener, nlb, with_attribute};
use elbow_tests::elbow::{log_fields, rows};
use elbow_tests::target::ok;
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, wait};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};
use serde_json::{Value, json};

/// A target that echoes what it receives.
fn echo() -> Target {
    Target::start(|peer| {
        let mut buffer = [0; 1024];
        loop {
            match peer.read(&mut buffer)? {
                0 => return Ok(()),
                n => peer.send(&buffer[..n])?,
            }
        }
    })
}

/// Connects to `to` and expects an echo; `None` if the connection was reset.
fn greet(to: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    let mut answer = [0; 5];
    let greeted = stream
        .write_all(b"hello")
        .and_then(|()| stream.read_exact(&mut answer));
    match greeted {
        Ok(()) => Some(stream),
        Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
        Err(e) => panic!("{to} neither answers nor resets: {e}"),
    }
}

fn shed(elbow: &Elbow, reason: &str) -> f64 {
    let reason = format!("reason=\"{reason}\"");
    elbow.metric("elbow_shed_total", &[&reason]).unwrap()
}

fn checks(elbow: &Elbow, result: &str) -> f64 {
    let result = format!("result=\"{result}\"");
    elbow
        .metric("elbow_health_checks_total", &[&result])
        .unwrap()
}

/// An NLB and an ALB, each with one target.
struct Pair {
    nlb: SocketAddr,
    alb: SocketAddr,
    layer_4: Target,
    layer_7: Target,
}

impl Pair {
    fn new() -> Self {
        Self {
            nlb: (address(), 8080).into(),
            alb: (address(), 8080).into(),
            layer_4: echo(),
            layer_7: Target::http(|_| ok("hi")),
        }
    }

    fn config(&self) -> Value {
        let tcp = listener(8080, "TCP", &forward("four"));
        let http = listener(8080, "HTTP", &forward("seven"));
        file(
            &[
                nlb("nlb", self.nlb.ip(), &[tcp]),
                alb("alb", self.alb.ip(), &[http]),
            ],
            &[
                group("four", "TCP", &[self.layer_4.addr()]),
                group("seven", "HTTP", &[self.layer_7.addr()]),
            ],
        )
    }

    fn wait_for_health(&self, elbow: &Elbow) {
        elbow.wait_for_state("four", self.layer_4.addr(), "healthy");
        elbow.wait_for_state("seven", self.layer_7.addr(), "healthy");
    }

    fn assert_healthy(&self, elbow: &Elbow) {
        let rows = rows(&elbow.json("/targets"));
        let states: Vec<&str> = rows
            .iter()
            .filter_map(|row| row["state"].as_str())
            .collect();
        assert_eq!(states, ["healthy", "healthy"]);
    }
}

#[test]
fn clients_beyond_the_open_files_are_reset_and_others_unaffected() {
    let pair = Pair::new();
    let elbow = Elbow::run_with_open_files(&pair.config(), 256);
    pair.wait_for_health(&elbow);
    let most = elbow.metric("elbow_max_connections", &[]).unwrap();
    assert_eq!(elbow.metric("process_max_fds", &[]), Some(256.0));
    // 256 minus 32 for the process, 8 for two workers, 4 listeners, 64 in reserve, and 2 for targets.
    assert_eq!(most, f64::from((256 - 32 - 8 - 4 - 64 - 2) / 2));

    let mut flow = greet(pair.nlb).expect("the first client is served");
    let mut browser = Client::plain(pair.alb);
    assert_eq!(browser.ask(client::get("a.example", "/")).text(), "hi");
    let (before, passed) = (shed(&elbow, "open_files"), checks(&elbow, "passed"));
    let served: Vec<TcpStream> = (0..300).filter_map(|_| greet(pair.nlb)).collect();
    assert_eq!(served.len() as f64, most - 2.0);
    assert_eq!(
        shed(&elbow, "open_files") - before,
        300.0 - served.len() as f64
    );
    let rejected = elbow.metric("elbow_rejected_connections_total", &["listener=\"8080\""]);
    assert_eq!(rejected, Some(300.0 - served.len() as f64));

    // Both targets are checked again, a new listener opens, and existing connections continue.
    wait::until("more health checks", || {
        (checks(&elbow, "passed") >= passed + 4.0).then_some(())
    });
    pair.assert_healthy(&elbow);
    assert_eq!(
        (checks(&elbow, "failed"), checks(&elbow, "skipped")),
        (0.0, 0.0)
    );
    let mut config = pair.config();
    let third: SocketAddr = (address(), 8080).into();
    let fixed = listener(8080, "HTTP", &fixed(200, "third"));
    let balancers = config["loadBalancers"].as_array_mut().unwrap();
    balancers.push(alb("third", third.ip(), &[fixed]));
    elbow.reload(&config);
    flow.write_all(b"still").unwrap();
    let mut answer = [0; 5];
    flow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"still");
    assert_eq!(browser.ask(client::get("a.example", "/")).text(), "hi");

    drop(served);
    wait::until("the descriptors to be released", || {
        let used = elbow.metric("elbow_traffic_fds", &[]).unwrap();
        (used <= 8.0).then_some(())
    });
    assert!(greet(pair.nlb).is_some());
    let mut client = Client::plain(third);
    assert_eq!(client.ask(client::get("a.example", "/")).text(), "third");
    elbow.log_with(&["rejecting clients"]);
}

/// Even the reserve can be lost, here to a lowered limit: then nothing new can be opened.
#[test]
fn without_descriptors_targets_stay_healthy_and_clients_wait() {
    let pair = Pair::new();
    let mut elbow = Elbow::run_with_open_files(&pair.config(), 256);
    pair.wait_for_health(&elbow);
    let pid = Pid::from_raw(i32::try_from(elbow.process().id()).unwrap()).unwrap();
    let elbow = elbow;
    let mut flow = greet(pair.nlb).expect("the first client is served");
    let passed = checks(&elbow, "passed");
    let mut operator = Client::plain(elbow.admin());
    let mut skipped = || {
        let page = operator.ask(client::get(&elbow.admin().to_string(), "/metrics"));
        let text = page.text();
        let mut lines = text.lines().filter(|l| l.contains("result=\"skipped\""));
        lines.try_fold(0, |sum, l| {
            Some(sum + l.rsplit(' ').next()?.parse::<u32>().ok()?)
        })
    };
    assert_eq!(skipped(), Some(0));
    // A client without a request, so that no connection to a target is open for it.
    let mut idle = Client::plain(pair.alb);
    let of_alb = ["load_balancer=\"alb\""];
    wait::until("the client to be accepted", || {
        (elbow.metric("elbow_active_connections", &of_alb) == Some(1.0)).then_some(())
    });
    let limit = |files: u64| {
        let limit = Rlimit {
            current: Some(files),
            maximum: Some(256),
        };
        prlimit(Some(pid), Resource::Nofile, limit).unwrap()
    };
    limit(8);
    kill_process(pid, Signal::HUP).unwrap();
    elbow.log_with(&["not reloaded"]);
    assert_eq!(idle.ask(client::get("a.example", "/")).status, 503);
    let line = &elbow.access_log(1)[0];
    assert_eq!(log_fields(line)[24], "ElbowNoDescriptor", "{line}");
    // Others wait in the accept queues.
    let mut waiting = TcpStream::connect(pair.nlb).unwrap();
    waiting.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    waiting.write_all(b"hello").unwrap();
    let mut browser = Client::plain(pair.alb);
    browser.send(client::get("a.example", "/"));
    flow.write_all(b"flows").unwrap();
    let mut answer = [0; 5];
    flow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"flows");
    elbow.log_with(&["accept failed"]);
    // Two failed checks per target would make it unhealthy.
    wait::until("health checks to be skipped", || {
        skipped().filter(|n| *n >= 4)
    });
    limit(256);
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    assert_eq!(browser.response().text(), "hi");
    assert_eq!(idle.ask(client::get("a.example", "/")).text(), "hi");
    pair.assert_healthy(&elbow);
    assert_eq!(checks(&elbow, "failed"), 0.0);
    assert_eq!(shed(&elbow, "open_files"), 1.0);
    assert_eq!(
        elbow.metric("elbow_target_connect_errors_total", &[]),
        Some(0.0)
    );
    wait::until("health checks to continue", || {
        (checks(&elbow, "passed") >= passed + 2.0).then_some(())
    });
    let mut config = pair.config();
    config["loadBalancers"][1]["attributes"]["idle_timeout.timeout_seconds"] = "90".into();
    elbow.reload(&config);
}

/// RejectedConnectionCount (ALB guide: CloudWatch metrics).
#[test]
fn clients_beyond_max_connections_are_reset() {
    let pair = Pair::new();
    let mut config = pair.config();
    let limited = config["loadBalancers"][0].take();
    config["loadBalancers"][0] = with_attribute(limited, "elbow.max_connections", "2");
    let elbow = Elbow::run_with(&config, &["--max-connections", "3"]);
    pair.wait_for_health(&elbow);
    assert_eq!(elbow.metric("elbow_max_connections", &[]), Some(3.0));
    let one = greet(pair.nlb).unwrap();
    let _two = greet(pair.nlb).unwrap();
    assert!(greet(pair.nlb).is_none());
    assert_eq!(shed(&elbow, "load_balancer_max_connections"), 1.0);
    let mut browser = Client::plain(pair.alb);
    assert_eq!(browser.ask(client::get("a.example", "/")).text(), "hi");
    let mut rejected = Client::plain(pair.alb);
    // The reset may come before or after the request is sent.
    let sent = rejected.try_send(client::get("a.example", "/"));
    assert!(sent.is_err() || rejected.try_response("GET").is_err());
    assert_eq!(shed(&elbow, "max_connections"), 1.0);
    assert_eq!(shed(&elbow, "open_files"), 0.0);
    drop(one);
    wait::until("the place of the client that left", || greet(pair.nlb));
}

#[test]
fn slow_admin_clients_do_not_block_others() {
    let pair = Pair::new();
    let elbow = Elbow::run(&pair.config());
    let slow: Vec<Client> = (0..200)
        .map(|_| {
            let mut client = Client::plain(elbow.admin());
            client.send("GET /metrics HTTP/1.1\r\nHost:");
            client
        })
        .collect();
    assert_eq!(elbow.page("/health").status, 200);
    assert!(shed(&elbow, "admin_connections") >= 168.0);
    drop(slow);
}

/// The limit is 1,024 for each of the two workers.
#[test]
fn oldest_stuck_handshake_makes_room() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
    if maximum.is_some_and(|files| files < 4096) {
        return println!("skipped: the limit of open files is {maximum:?}");
    }
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["a.example"]).write(&dir, "main");
    let ip = address();
    let mut https = listener(8443, "HTTPS", &fixed(200, "hi"));
    https["certificates"] = json!(["main"]);
    let mut config = file(&[alb("alb", ip, &[https])], &[]);
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    let mut half_open = Vec::new();
    while shed(&elbow, "handshakes") < 1.0 {
        assert!(half_open.len() <= 2 * 1024 + 64, "{}", half_open.len());
        half_open.extend((0..64).map(|_| Client::plain((ip, 8443))));
    }
    assert!(half_open.len() > 1024);
    let mut client = Client::tls((ip, 8443), "a.example", &ca.client(&[])).unwrap();
    assert_eq!(client.ask(client::get("a.example", "/")).text(), "hi");
}
