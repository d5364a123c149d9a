//! `elbow upgrade` and SIGUSR2: a new process takes over, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::command::Running;
use elbow_tests::config::{alb, file, forward, group, listener, nlb};
use elbow_tests::target::Peer;
use elbow_tests::upgrade::{Successor, refusal};
use elbow_tests::{Ca, Client, Elbow, Scene, Target, TempDir, address, client, elbow, wait};
use rustix::process::Signal;
use rustls::version::TLS13;
use serde_json::{Value, json};

/// The pause between two requests of a client.
const PACE: Duration = Duration::from_millis(5);

/// Clients at a steady rate, each with an address and whether it keeps its connection.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(clients: &[(SocketAddr, bool)]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let start = |&(to, keeps): &(SocketAddr, bool)| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            thread::spawn(move || {
                let mut kept = None;
                while !over.load(Ordering::Relaxed) {
                    let due = Instant::now() + PACE;
                    kept = ask(to, kept, keeps);
                    answered.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            })
        };
        let clients = clients.iter().map(start).collect();
        Self {
            over,
            answered,
            clients,
        }
    }

    /// Waits for `more` responses.
    fn wait_for(&self, more: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        wait::until("more responses", || {
            assert!(self.clients.iter().all(|client| !client.is_finished()));
            (self.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    /// Panics if a client has lost a request.
    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
    }
}

/// Sends a request; returns the connection if it can be kept.
fn ask(to: SocketAddr, kept: Option<Client>, keeps: bool) -> Option<Client> {
    let mut connection = kept.unwrap_or_else(|| Client::plain(to));
    let response = connection.ask(client::get("a.example", "/"));
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    let is_last = response.header("connection") == Some("close");
    (keeps && !is_last).then_some(connection)
}

/// An ALB and an NLB at the address; waits until the target is healthy.
fn run(target: &Target, ip: Ipv4Addr, args: &[&str]) -> Elbow {
    let balancers = [
        alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]),
        nlb("nlb", ip, &[listener(8081, "TCP", &forward("raw"))]),
    ];
    let targets = [target.addr()];
    let groups = [
        group("web", "HTTP", &targets),
        group("raw", "TCP", &targets),
    ];
    let elbow = Elbow::run_with(&file(&balancers, &groups), args);
    for group in ["web", "raw"] {
        elbow.wait_for_state(group, target.addr(), "healthy");
    }
    elbow
}

#[test]
fn no_connection_and_no_request_is_lost_over_several_upgrades() {
    let target = Target::ok("ok");
    let ip = address();
    let mut elbow = run(&target, ip, &[]);
    let (alb, nlb) = ((ip, 8080).into(), (ip, 8081).into());
    let load = Load::start(&[(alb, true), (alb, false), (nlb, true), (nlb, false)]);
    load.wait_for(100);
    let mut successor = Successor::of(elbow.process().id(), &[]);
    for _ in 0..4 {
        load.wait_for(100);
        successor = successor.next();
    }
    load.wait_for(100);
    load.end();
    assert!(!elbow.log().contains("ERROR"), "{}", elbow.log());
    successor.terminate();
}

/// Echoes lines.
fn echo() -> Target {
    Target::start(|peer: &mut Peer| {
        let mut socket = peer.socket();
        let mut byte = [0];
        while socket.read(&mut byte)? > 0 {
            socket.write_all(&byte)?;
        }
        Ok(())
    })
}

#[test]
fn old_process_serves_its_flows_and_ends_after_them() {
    let target = echo();
    let mut scene = Scene::tcp(&[&target]);
    let mut flow = scene.connect();
    assert_eq!(flow.send("a").exactly(1), b"a");
    let successor = Successor::of(scene.elbow.process().id(), &[]);
    // The old process may accept one more.
    let mut new = wait::until("the new process to accept", || {
        let mut new = scene.connect();
        assert_eq!(new.send("b").exactly(1), b"b");
        // The admin address is that of the new process.
        let flows = scene.elbow.metric("elbow_connections_total", &[]);
        (flows == Some(1.0)).then_some(new)
    });
    assert_eq!(flow.send("c").exactly(1), b"c");
    assert!(scene.elbow.process().ended().is_none());
    drop(flow);
    assert!(scene.elbow.process().wait().success());
    assert_eq!(new.send("d").exactly(1), b"d");
    drop(new);
    successor.terminate();
}

#[test]
fn signal_upgrades_and_moves_pid_file_and_dns() {
    let target = Target::ok("ok");
    let (ip, dns) = (address(), SocketAddr::from((address(), 5353)));
    let files = TempDir::new();
    let pid_file = files.join("pid");
    let path = pid_file.to_str().unwrap();
    let args = ["--pid-file", path, "--dns", &dns.to_string()];
    let mut elbow = run(&target, ip, &args);
    let id = || fs::read_to_string(&pid_file).unwrap_or_default();
    assert_eq!(id(), format!("{}\n", elbow.process().id()));
    elbow.process().signal(Signal::USR2);
    assert!(elbow.process().wait().success());
    let successor = Successor::at(wait::until("the new process id", || {
        id().trim()
            .parse()
            .ok()
            .filter(|id| *id != elbow.process().id())
    }));
    ask((ip, 8080).into(), None, false);
    let socket = UdpSocket::bind((dns.ip(), 0)).unwrap();
    socket.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    // A query without a question.
    socket.send_to(&[7; 12], dns).unwrap();
    socket.send_to(b"\0\x07\0\0\0\0\0\0\0\0\0\0", dns).unwrap();
    let mut answer = [0; 12];
    socket.recv(&mut answer).unwrap();
    assert_eq!(answer[..2], [0, 7]);
    successor.terminate();
    assert!(!pid_file.exists());
}

#[test]
fn new_process_knows_the_health_of_targets() {
    let (good, bad) = (Target::ok("ok"), Target::ok("bad"));
    bad.set_health(500);
    let slow = |group: &mut Value| group["healthCheckConfig"]["intervalSeconds"] = json!(300);
    let mut scene = Scene::http_with(&[&good], &[], slow);
    let config = |interval: u32| {
        let targets = [good.addr(), bad.addr()];
        let mut group = group("web", "HTTP", &targets);
        group["healthCheckConfig"]["intervalSeconds"] = json!(interval);
        let ip = scene.lb.ip();
        file(
            &[alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))])],
            &[group],
        )
    };
    scene.elbow.reload(&config(5));
    scene.elbow.wait_for_state("web", bad.addr(), "unhealthy");
    scene.elbow.reload(&config(300));
    let process = scene.elbow.process().id();
    let successor = Successor::of(process, &[]);
    // The next check of the bad target is the first of two that the new process needs.
    let rows = scene.elbow.json("/targets");
    let row = elbow::target_row(&rows, "web", bad.addr()).unwrap();
    assert_eq!(row["state"], "unhealthy");
    assert_eq!(row["reason"], "Target.ResponseCodeMismatch");
    for _ in 0..10 {
        ask(scene.lb, None, false);
    }
    successor.terminate();
}

/// A program that ignores its arguments and runs `script`.
fn program(dir: &TempDir, script: &str) -> String {
    let path = dir.write("program", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn failed_upgrade_changes_nothing() {
    let target = Target::ok("ok");
    let ip = address();
    let mut elbow = run(&target, ip, &[]);
    let process = elbow.process().id();
    let mut kept = Client::plain((ip, 8080));
    let dir = TempDir::new();
    let ends = program(&dir, "exit 7");
    let error = refusal(process, &["--binary", &ends]);
    let expected = format!(
        "error: process {process} goes on serving: the new process ended with exit status: 7; its log says why"
    );
    assert_eq!(error.lines().next(), Some(expected.as_str()));

    let hangs = program(&dir, "exec sleep 1000");
    let error = refusal(process, &["--binary", &hangs, "--timeout", "300ms"]);
    assert!(
        error.contains("the new process was not ready within 300ms"),
        "{error}"
    );

    let babbles = program(&dir, "printf x >&0; exec sleep 1000");
    let error = refusal(process, &["--binary", &babbles]);
    assert!(
        error.contains("it is not an elbow that can take over"),
        "{error}"
    );

    let error = refusal(process, &["--binary", "/no/such/elbow"]);
    assert!(
        error.contains("cannot start /no/such/elbow: No such file"),
        "{error}"
    );

    elbow.write_config("loadBalancers: nonsense\n");
    elbow.log_with(&["not reloaded"]);
    let error = refusal(process, &[]);
    assert!(
        error.contains("the new process ended with exit status: 1"),
        "{error}"
    );

    let response = kept.ask(client::get("a.example", "/"));
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    ask((ip, 8081).into(), None, false);
    assert!(elbow.process().ended().is_none());
    assert_eq!(elbow.page("/ready").status, 200);
}

#[test]
fn listeners_of_a_changed_configuration_are_opened_and_closed() {
    let target = Target::ok("ok");
    let ip = address();
    let config = |ports: &[u16]| {
        let listeners: Vec<Value> = ports
            .iter()
            .map(|port| listener(*port, "HTTP", &forward("web")))
            .collect();
        file(
            &[alb("alb", ip, &listeners)],
            &[group("web", "HTTP", &[target.addr()])],
        )
    };
    // The old process sees the change, too, and may be about to open the new listener.
    let dir = TempDir::new();
    let path = dir.write("one.yaml", config(&[8080, 8081]).to_string());
    let link = dir.join("elbow.yaml");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let admin = SocketAddr::from((address(), 9901)).to_string();
    let mut command = elbow::command(&["run", "--admin", &admin, "--workers", "3", "--config"]);
    let mut running = Running::start(command.arg(&link));
    let admin: SocketAddr = admin.parse().unwrap();
    wait::until("both listeners", || {
        elbow::admin_get(admin, "/health").filter(|page| page.status == 200)
    });
    let next = dir.write("two.yaml", config(&[8080, 8082]).to_string());
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(next, &link).unwrap();
    let successor = Successor::of(running.id(), &[]);
    assert!(running.wait().success());
    for port in [8080, 8082] {
        ask((ip, port).into(), None, false);
    }
    let is_closed = |port| Client::try_plain((ip, port).into()).is_err();
    assert!(is_closed(8081));
    // A listener removed later closes its sockets in the new process as well.
    let last = dir.write("last.yaml", config(&[8083]).to_string());
    fs::rename(last, dir.join("two.yaml")).unwrap();
    wait::until("the sockets to close", || {
        (is_closed(8080) && is_closed(8082)).then_some(())
    });
    ask((ip, 8083).into(), None, false);
    successor.terminate();
}

#[test]
fn manifests_from_stdin_are_handed_over() {
    let dir = TempDir::new();
    let manifest = dir.write(
        "web.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
         spec: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{port: 8080, nodePort: 30080}]}\n",
    );
    let stdin = Stdio::from(fs::File::open(manifest).unwrap());
    let mut elbow = Elbow::run_piped(stdin, &[]);
    let names = |elbow: &Elbow| elbow.json("/status")["loadBalancers"].clone();
    let before = names(&elbow);
    assert_eq!(before.as_array().unwrap().len(), 1, "{before}");
    let successor = Successor::of(elbow.process().id(), &[]);
    assert!(elbow.process().wait().success());
    // With the same address, of the pool.
    assert_eq!(names(&elbow), before);
    successor.terminate();
}

#[test]
fn demo_is_upgraded() {
    let mut running = Running::start(&mut elbow::demo(&[
        "--minio", "never", "--pods", "1", "-o", "json",
    ]));
    let facts = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let before = facts(&running.line_within(Duration::from_secs(60)));
    let successor = Successor::of(running.id(), &[]);
    let after = facts(&running.line_within(Duration::from_secs(60)));
    assert_eq!(before["loadBalancers"], after["loadBalancers"]);
    assert_eq!(before["admin"], after["admin"]);
    assert!(running.wait().success());
    let nlb = &after["loadBalancers"][0]["listeners"][0]["bound"];
    let nlb: SocketAddr = nlb.as_str().unwrap().parse().unwrap();
    let tls = client_that_trusts_all(&[&TLS13], &[]);
    Client::tls(nlb, "a.example", &tls).unwrap();
    assert!(Path::new(after["caFile"].as_str().unwrap()).exists());
    successor.terminate();
}

#[test]
fn tls_sessions_are_resumed_by_the_new_process() {
    let target = Target::ok("ok");
    let dir = TempDir::new();
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let ip: IpAddr = address().into();
    let mut secure = listener(8443, "HTTPS", &forward("web"));
    secure["certificates"] = json!(["main"]);
    secure["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    let mut config = file(
        &[alb("alb", ip, &[secure])],
        &[group("web", "HTTP", &[target.addr()])],
    );
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let mut elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("web", target.addr(), "healthy");
    let tls = client_that_trusts_all(&[&TLS13], &[]);
    let handshake = || {
        let mut client = Client::tls((ip, 8443), "a.example", &tls).unwrap();
        // The tickets come after the handshake.
        assert_eq!(client.ask(client::get("a.example", "/")).status, 200);
        client.tls_state().unwrap().handshake_kind().unwrap()
    };
    assert_eq!(handshake(), rustls::HandshakeKind::Full);
    assert_eq!(handshake(), rustls::HandshakeKind::Resumed);
    let successor = Successor::of(elbow.process().id(), &[]);
    assert!(elbow.process().wait().success());
    assert_eq!(handshake(), rustls::HandshakeKind::Resumed);
    successor.terminate();
}
