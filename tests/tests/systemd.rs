//! Socket activation and notification, as systemd does them.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::process::{Command, Stdio};

use elbow_tests::command::Running;
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::upgrade::Successor;
use elbow_tests::{Client, Elbow, TempDir, address, client, elbow, wait};
use rustix::process::Signal;
use serde_json::Value;

/// An ALB that answers by itself.
fn config(lb: SocketAddr) -> Value {
    let listeners = [listener(lb.port(), "HTTP", &fixed(200, "here"))];
    file(&[alb("web", lb.ip(), &listeners)], &[])
}

fn assert_serves(lb: SocketAddr) {
    let mut client = Client::plain(lb);
    assert_eq!(client.ask(client::get("a.example", "/")).text(), "here");
}

/// A socket of systemd.
struct Systemd(UnixDatagram);

impl Systemd {
    fn read(&self) -> String {
        self.0.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn expect(&self, message: &str) {
        assert_eq!(self.read(), message);
    }
}

fn start(dir: &TempDir, lb: SocketAddr, variables: &[(&str, &str)]) -> Running {
    let file = dir.write("elbow.yaml", config(lb).to_string());
    let mut command = elbow::command(&["run", "--admin", "off", "--config"]);
    command.arg(file).envs(variables.iter().copied());
    Running::start(&mut command)
}

#[test]
fn systemd_is_notified_of_every_phase() {
    let dir = TempDir::new();
    let path = dir.join("notify");
    let systemd = Systemd(UnixDatagram::bind(&path).unwrap());
    let lb = (address(), 8080).into();
    let mut running = start(&dir, lb, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    systemd.expect("READY=1\n");
    assert_serves(lb);

    running.signal(Signal::HUP);
    let reloading = systemd.read();
    let microseconds = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let microseconds = microseconds.and_then(|rest| rest.strip_suffix('\n'));
    let up: f64 = fs::read_to_string("/proc/uptime")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let at: f64 = microseconds.unwrap().parse::<u64>().unwrap() as f64 / 1e6;
    assert!(at <= up + 1.0 && at > 0.0, "{reloading}: up for {up} s");
    systemd.expect("READY=1\n");

    let successor = Successor::of(running.id(), &[]);
    let mut both = [systemd.read(), systemd.read()];
    both.sort();
    assert_eq!(
        both,
        [
            format!("MAINPID={}\n", successor.id()),
            "READY=1\n".to_owned()
        ]
    );
    assert!(running.wait().success());

    successor.signal(Signal::TERM);
    systemd.expect("STOPPING=1\n");
    successor.terminate();
}

#[test]
fn watchdog_is_told_that_workers_respond() {
    let name = format!("elbow-test-{}", std::process::id());
    let abstract_address = UnixAddr::from_abstract_name(&name).unwrap();
    let systemd = Systemd(UnixDatagram::bind_addr(&abstract_address).unwrap());
    let dir = TempDir::new();
    let socket = format!("@{name}");
    let variables = [
        ("NOTIFY_SOCKET", socket.as_str()),
        ("WATCHDOG_USEC", "100000"),
    ];
    let lb = (address(), 8080).into();
    let running = start(&dir, lb, &variables);
    systemd.expect("READY=1\n");
    for _ in 0..3 {
        systemd.expect("WATCHDOG=1\n");
    }
    drop(running);
    let other = [
        ("NOTIFY_SOCKET", socket.as_str()),
        ("WATCHDOG_USEC", "100000"),
        ("WATCHDOG_PID", "1"),
    ];
    let mut running = start(&dir, lb, &other);
    // Those of the first process may still be there.
    while systemd.read() != "READY=1\n" {}
    running.end(Signal::TERM);
    systemd.expect("STOPPING=1\n");
}

/// A listening socket and its address.
fn bound() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener.into(), address)
}

/// `elbow run` with `first` and `second` as the sockets of a unit.
fn activated(config: &Value, dir: &TempDir, sockets: (OwnedFd, OwnedFd), names: &str) -> Running {
    let file = dir.write("elbow.yaml", config.to_string());
    let script = "exec 3<&0 4>&1 </dev/null >/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(elbow::binary());
    command.args([
        "run",
        "--workers",
        "2",
        "--admin",
        "127.0.0.1:1",
        "--config",
    ]);
    command
        .arg(file)
        .env("LISTEN_FDNAMES", names)
        .env("NO_COLOR", "1");
    let (first, second) = sockets;
    let child = command
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second));
    Running::adopt(child)
}

#[test]
fn sockets_of_systemd_serve_and_are_handed_over() {
    let dir = TempDir::new();
    let ((web, lb), (admin, admin_address)) = (bound(), bound());
    // It waits in the queue of the socket until elbow runs.
    let mut early = Client::plain(lb);
    early.send(client::get("a.example", "/"));
    let mut running = activated(&config(lb), &dir, (web, admin), "web:admin");
    assert_eq!(early.response().text(), "here");
    drop(early);
    let ready = || elbow::admin_get(admin_address, "/ready").filter(|page| page.status == 200);
    wait::until("the admin address", ready);
    let successor = Successor::of(running.id(), &[]);
    assert!(running.wait().success());
    assert_serves(lb);
    ready().unwrap();
    successor.terminate();
    assert!(
        !running.stderr().contains("closing socket"),
        "{}",
        running.stderr()
    );
}

#[test]
fn socket_without_a_listener_is_named() {
    let dir = TempDir::new();
    let ((web, lb), (other, other_address)) = (bound(), bound());
    let running = activated(&config((address(), 8080).into()), &dir, (web, other), "web");
    for (name, address) in [("web", lb), ("descriptor 4", other_address)] {
        let line = format!(
            "closing socket {name} (TCP {address}) of systemd: no listener has this address"
        );
        running.stderr_with(&[&line]);
    }
}

#[test]
fn what_systemd_does_not_pass_is_refused() {
    let mut command = Command::new("sh");
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3</dev/null";
    command.args(["-c", script, "sh"]).arg(elbow::binary());
    command.args(["run", "--config", "/dev/null"]);
    let mut running = Running::start(&mut command);
    assert_eq!(running.wait().code(), Some(3));
    let error = "error: cannot use the sockets of systemd: descriptor 3: ";
    wait::until("the error", || {
        running.stderr().starts_with(error).then_some(())
    });
    // Elsewhere the variables are those of another process.
    let elbow = Elbow::run_with(&config((address(), 8080).into()), &[]);
    assert!(!elbow.log().contains("systemd"));
}
