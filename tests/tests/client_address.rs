//! `preserve_client_ip.enabled` in network namespaces: a client, elbow, and a target behind it.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use elbow_tests::command::{Running, output, stdout, texts};
use elbow_tests::config::{
    alb, classic, file, forward, group, listener, nlb, to_instances, with_attribute,
};
use elbow_tests::target::{Peer, ok, serve};
use elbow_tests::{Client, Elbow, Target, TempDir, address, client, elbow, need, tools, wait};
use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};

/// Client 10.99.0.2 and fd99::2, elbow 10.99.0.1, 10.99.1.1, 10.99.1.2, fd99::1 and fd99:1::1, target 10.99.1.11 and fd99:1::11, which
/// sends everything through elbow's machine.
const LAB: &str = "
set -e
for n in $1-c $1-b $1-t; do ip netns add $n; ip -n $n link set lo up; done
ip link add eth0 netns $1-c type veth peer name front netns $1-b
ip link add back netns $1-b type veth peer name eth0 netns $1-t
ip -n $1-c addr add 10.99.0.2/24 dev eth0
ip -n $1-b addr add 10.99.0.1/24 dev front
ip -n $1-b addr add 10.99.1.1/24 dev back
ip -n $1-b addr add 10.99.1.2/24 dev back
ip -n $1-t addr add 10.99.1.11/24 dev eth0
ip -n $1-c addr add fd99::2/64 dev eth0 nodad
ip -n $1-b addr add fd99::1/64 dev front nodad
ip -n $1-b addr add fd99:1::1/64 dev back nodad
ip -n $1-t addr add fd99:1::11/64 dev eth0 nodad
for one in c:eth0 t:eth0 b:front b:back; do ip -n $1-${one%:*} link set ${one#*:} up; done
ip -n $1-b route add unreachable 10.99.9.0/24
ip -n $1-c route add default via 10.99.0.1
ip -n $1-t route add default via 10.99.1.1
ip -n $1-c -6 route add default via fd99::1
ip -n $1-t -6 route add default via fd99:1::1
";

/// Tells each client the address that it sees, by TCP and UDP.
const TARGET: &str = "
import socket, sys, threading
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
datagrams = socket.socket(family, socket.SOCK_DGRAM)
datagrams.bind((sys.argv[1], 9000))
def answer():
    while True:
        address = datagrams.recvfrom(100)[1]
        datagrams.sendto(('%s %d' % address[:2]).encode(), address)
threading.Thread(target=answer, daemon=True).start()
with socket.create_server((sys.argv[1], 9000), family=family) as server:
    print('ready', flush=True)
    while True:
        client, address = server.accept()
        client.sendall(('%s %d' % address[:2]).encode())
        client.close()
";

/// Prints its own address and the one that the target sees.
const CLIENT: &str = "
import socket, sys
to = (sys.argv[1], int(sys.argv[2]))
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
with socket.socket(family, getattr(socket, sys.argv[3])) as server:
    server.settimeout(20)
    server.connect(to)
    if sys.argv[3] == 'SOCK_DGRAM':
        server.send(b'?')
    print('%s %d' % server.getsockname()[:2])
    print(server.recv(100).decode())
";

/// Answers requests with the addresses that they came from so far.
const HTTP_TARGET: &str = "
import http.server, sys
seen = set()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.add(self.client_address[0])
        body = ' '.join(seen).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 8000), Handler)
print('ready', flush=True)
server.serve_forever()
";

/// The listener of UDP.
const UDP: &str = "84";

struct Lab {
    name: String,
    python: std::path::PathBuf,
    dir: TempDir,
}

impl Lab {
    /// `None` if this machine or user cannot have namespaces.
    fn new(python: std::path::PathBuf) -> Option<Self> {
        static LABS: AtomicUsize = AtomicUsize::new(0);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let name = format!("elb{}{number}", std::process::id());
        let lab = Self {
            name,
            python,
            dir: TempDir::new(),
        };
        let made = output(Command::new("sh").args(["-c", LAB, "sh", &lab.name]));
        made.status.success().then_some(lab)
    }

    /// A command in the namespace of the client (`c`), elbow (`b`) or the target (`t`).
    fn within(&self, place: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{place}", self.name)]);
        command
    }

    fn python(&self, place: &str, program: &str, args: &[&str]) -> Command {
        let mut command = self.within(place);
        command.arg(&self.python).args(["-c", program]).args(args);
        command
    }

    fn elbow(&self, args: &[&str]) -> Command {
        let mut command = self.within("b");
        command
            .arg(elbow::binary())
            .args(args)
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1");
        command
    }

    fn target(&self, place: &str, address: &str) -> Running {
        let target = Running::start(&mut self.python(place, TARGET, &[address]));
        assert_eq!(target.line(), "ready");
        target
    }

    /// The client's address and the one that the target sees, by the listener at `port`.
    fn ask(&self, port: &str) -> (String, String) {
        self.ask_at("10.99.0.1", port)
    }

    /// The same by the load balancer at `address`.
    fn ask_at(&self, address: &str, port: &str) -> (String, String) {
        let kind = if port == UDP {
            "SOCK_DGRAM"
        } else {
            "SOCK_STREAM"
        };
        let told = stdout(&mut self.python("c", CLIENT, &[address, port, kind]));
        let (own, seen) = told.trim().split_once('\n').unwrap();
        (own.to_owned(), seen.to_owned())
    }

    /// elbow, once it has said `line` about each of `groups`.
    fn run(&self, config: &str, line: &str, groups: &[&str]) -> Running {
        let running = Running::start(&mut self.elbow(&["run", "--config", config]));
        for group in groups {
            let group = format!("target_group={group} ");
            wait::until("the probe of a target", || {
                let log = running.stderr();
                let mut lines = log.lines();
                lines
                    .find(|one| one.contains(line) && one.contains(&group))
                    .map(|_| ())
            });
        }
        running
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for place in ["c", "b", "t"] {
            let name = format!("{}-{place}", self.name);
            drop(output(Command::new("ip").args(["netns", "del", &name])));
        }
    }
}

fn preserving(name: &str, target: &str) -> Value {
    let group = json!({"name": name, "protocol": "TCP", "port": 9000, "targetType": "ip",
        "healthCheckConfig": {"protocol": "TCP", "intervalSeconds": 300},
        "targets": [{"id": target, "port": 9000}]});
    with_attribute(group, "preserve_client_ip.enabled", "true")
}

/// Requests, connections, datagrams and health checks come from the node where the target is in its network, although the
/// kernel would choose another address there.
#[test]
fn targets_in_the_network_of_a_node_see_it() {
    need!("ip");
    let python = need!("python3");
    let lab = geteuid().is_root().then(|| Lab::new(python)).flatten();
    let Some(lab) = lab else {
        return tools::skipped("root and network namespaces");
    };
    let off = |name: &str, protocol: &str| {
        let mut group = preserving(name, "10.99.1.11");
        group["protocol"] = json!(protocol);
        with_attribute(group, "preserve_client_ip.enabled", "false")
    };
    let web = json!({"name": "web", "protocol": "HTTP", "port": 8000, "targetType": "ip",
        "healthCheckConfig": {"intervalSeconds": 5, "timeoutSeconds": 2},
        "targets": [{"id": "10.99.1.11", "port": 8000}]});
    // Without the rules, targets of UDP see the load balancer.
    let mut datagrams = preserving("datagrams", "10.99.1.11");
    datagrams["protocol"] = json!("UDP");
    let balancers = [
        nlb(
            "nlb",
            [10, 99, 1, 2],
            &[
                listener(83, "TCP", &forward("flows")),
                listener(84, "UDP", &forward("datagrams")),
            ],
        ),
        alb(
            "alb",
            [10, 99, 1, 2],
            &[listener(85, "HTTP", &forward("web"))],
        ),
        nlb(
            "elsewhere",
            [10, 99, 0, 1],
            &[listener(83, "TCP", &forward("others"))],
        ),
    ];
    let groups = [off("flows", "TCP"), off("others", "TCP"), datagrams, web];
    let config = lab
        .dir
        .write("elbow.yaml", file(&balancers, &groups).to_string());
    let _target = lab.target("t", "10.99.1.11");
    let web = Running::start(&mut lab.python("t", HTTP_TARGET, &["10.99.1.11"]));
    assert_eq!(web.line(), "ready");
    let without = "preserve_client_ip.enabled has no effect";
    let mut running = lab.run(config.to_str().unwrap(), without, &["datagrams"]);
    for (node, port, expected) in [
        ("10.99.1.2", "83", "10.99.1.2"),
        ("10.99.1.2", UDP, "10.99.1.2"),
        // The kernel knows which address the target can answer.
        ("10.99.0.1", "83", "10.99.1.1"),
    ] {
        let seen = lab.ask_at(node, port).1;
        assert_eq!(
            seen.split_once(' ').unwrap().0,
            expected,
            "{node} port {port}"
        );
    }
    let get =
        "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1]).read().decode())";
    let told = stdout(&mut lab.python("c", get, &["http://10.99.1.2:85/"]));
    assert_eq!(told.trim(), "10.99.1.2");
    running.end(Signal::TERM);
}

#[test]
fn targets_at_loopback_addresses_see_the_load_balancer() {
    let seen: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let log = Arc::clone(&seen);
    let target = Target::start(move |peer: &mut Peer| {
        log.lock().unwrap().push(peer.socket().peer_addr()?.ip());
        serve(|_| ok("hi"))(peer)
    });
    let traffic = |protocol: &str| {
        let mut group = group("pods", protocol, &[target.addr()]);
        group["healthCheckConfig"]["port"] = json!("traffic-port");
        group
    };
    let ip = address();
    let to_alb = alb("alb", ip, &[listener(8000, "HTTP", &forward("pods"))]);
    let to_nlb = nlb("nlb", ip, &[listener(8000, "TCP", &forward("pods"))]);
    let mut to_clb = classic(
        "clb",
        ip,
        &[to_instances(8000, "HTTP", "HTTP")],
        &[target.addr()],
    );
    to_clb["healthCheck"]["target"] = json!("HTTP:9000/");
    let of_kinds = [
        (file(&[to_alb], &[traffic("HTTP")]), "pods", "healthy"),
        (file(&[to_nlb], &[traffic("TCP")]), "pods", "healthy"),
        (file(&[to_clb], &[]), "clb/HTTP:9000", "InService"),
    ];
    for (config, group, state) in of_kinds {
        let elbow = Elbow::run(&config);
        elbow.wait_for_state(group, target.addr(), state);
        Client::plain((ip, 8000)).ask(client::get("a.example", "/"));
        drop(elbow);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert!(seen.len() >= 2, "expected a check and a request");
        assert!(seen.iter().all(|peer| *peer == ip), "{group}: {seen:?}");
    }
}

/// A load balancer at an IPv6 address: targets behind elbow and beside it, by TCP and UDP, and one of IPv4.
#[test]
fn targets_of_ipv6_see_clients() {
    need!("ip");
    need!("nft");
    let python = need!("python3");
    let lab = geteuid().is_root().then(|| Lab::new(python)).flatten();
    let Some(lab) = lab else {
        return tools::skipped("root and network namespaces");
    };
    let listeners = [
        listener(81, "TCP", &forward("behind")),
        listener(82, "TCP", &forward("beside")),
        listener(83, "TCP", &forward("other")),
        listener(84, "UDP", &forward("datagrams")),
    ];
    let mut datagrams = preserving("datagrams", "fd99:1::11");
    datagrams["protocol"] = json!("UDP");
    let groups = [
        preserving("behind", "fd99:1::11"),
        preserving("beside", "::1"),
        preserving("other", "10.99.1.11"),
        datagrams,
    ];
    let address: Ipv6Addr = "fd99::1".parse().unwrap();
    let mut balancer = nlb("nlb", address, &listeners);
    balancer["ipAddressType"] = json!("dualstack");
    let config = file(&[balancer], &groups);
    let config = lab.dir.write("elbow.yaml", config.to_string());
    let config = config.to_str().unwrap();
    let _targets = [
        lab.target("t", "fd99:1::11"),
        lab.target("t", "10.99.1.11"),
        lab.target("b", "::1"),
    ];
    let seen = |port: &str| lab.ask_at("fd99::1", port);

    let all = ["behind", "beside", "datagrams"];
    let without = "preserve_client_ip.enabled has no effect, targets see the load balancer: the target's answers";
    let mut running = lab.run(config, without, &all);
    for (port, expected) in [("81", "fd99:1::1"), ("82", "::1"), (UDP, "fd99:1::1")] {
        assert_eq!(seen(port).1.split_once(' ').unwrap().0, expected, "{port}");
    }
    running.end(Signal::TERM);

    stdout(&mut lab.elbow(&["netsetup", "apply"]));
    let mut running = lab.run(config, "targets see the addresses of clients", &all);
    for port in ["81", "82", UDP] {
        let (own, seen) = seen(port);
        assert_eq!(own, seen, "by listener {port}");
        assert!(own.starts_with("fd99::2 "), "{own}");
    }
    // A target of the other family sees the load balancer.
    assert_eq!(seen("83").1.split_once(' ').unwrap().0, "10.99.1.1");
    running.end(Signal::TERM);

    stdout(&mut lab.elbow(&["netsetup", "remove"]));
    let rules = stdout(lab.within("b").args(["ip", "-6", "rule"]));
    assert!(!rules.contains("810"), "{rules}");
}

#[test]
fn targets_see_clients_as_soon_as_the_rules_are_there() {
    need!("ip");
    need!("nft");
    let python = need!("python3");
    let lab = geteuid().is_root().then(|| Lab::new(python)).flatten();
    let Some(lab) = lab else {
        return tools::skipped("root and network namespaces");
    };
    let listeners = [
        listener(81, "TCP", &forward("behind")),
        listener(82, "TCP", &forward("beside")),
        listener(83, "TCP", &forward("off")),
        listener(84, "UDP", &forward("datagrams")),
        listener(86, "TCP", &forward("dead")),
    ];
    let off = with_attribute(
        preserving("off", "10.99.1.11"),
        "preserve_client_ip.enabled",
        "false",
    );
    let mut datagrams = preserving("datagrams", "10.99.1.11");
    datagrams["protocol"] = json!("UDP");
    let groups = [
        preserving("behind", "10.99.1.11"),
        preserving("beside", "127.0.0.1"),
        preserving("dead", "10.99.9.1"),
        off,
        datagrams,
    ];
    let config = file(&[nlb("nlb", [10, 99, 0, 1], &listeners)], &groups);
    let config = lab.dir.write("elbow.yaml", config.to_string());
    let config = config.to_str().unwrap();
    let _targets = [lab.target("t", "10.99.1.11"), lab.target("b", "127.0.0.1")];

    let check = || texts(&output(&mut lab.elbow(&["check", "--config", config]))).1;
    let found = check();
    let has_none = |group: &str, why: &str| {
        let expected = format!(
            "warning[client-address-unavailable]: target group \"{group}\": preserve_client_ip.enabled has no effect here: {why}"
        );
        assert!(found.lines().any(|line| line == expected), "{found}");
    };
    has_none(
        "beside",
        "answers of targets at loopback addresses do not come back",
    );
    for group in ["behind", "datagrams"] {
        has_none(
            group,
            "10.99.1.11:9000 answers this machine, but its answers to other addresses do not come back",
        );
    }
    assert_eq!(found.matches("warning").count(), 3, "{found}");
    assert!(
        found.contains("ip -4 rule add from 127.0.0.0/8 iif lo lookup 8102 pref 8102"),
        "{found}"
    );

    let all = ["behind", "beside", "datagrams"];
    let without = "preserve_client_ip.enabled has no effect, targets see the load balancer: the target's answers";
    let mut running = lab.run(config, without, &all);
    for (port, seen) in [
        ("81", "10.99.1.1"),
        ("82", "127.0.0.1"),
        ("83", "10.99.1.1"),
        (UDP, "10.99.1.1"),
    ] {
        assert_eq!(lab.ask(port).1.split_once(' ').unwrap().0, seen);
    }
    running.end(Signal::TERM);

    // The commands of the hint are all that is missing.
    let hints = found
        .lines()
        .filter_map(|line| line.trim().split_once(" as root, or: "));
    for (_, commands) in hints {
        output(lab.within("b").args(["sh", "-c", commands]));
    }
    assert!(!check().contains("warning"), "{}", check());
    stdout(&mut lab.elbow(&["netsetup", "apply"]));
    // Again, it changes nothing.
    stdout(&mut lab.elbow(&["netsetup", "apply"]));
    let rules = stdout(lab.within("b").args(["ip", "rule"]));
    assert_eq!(rules.matches("lookup 8100").count(), 1, "{rules}");
    let found = check();
    let note = "note[hairpin]: target group \"behind\": clients in 10.99.1.0/24, the network of 10.99.1.11, time out, and so do \
        clients on a target: answers to them pass this machine by";
    assert_eq!(found.lines().next(), Some(note), "{found}");
    assert_eq!(found.matches("[").count(), 2, "{found}");
    let mut running = lab.run(config, "targets see the addresses of clients", &all);
    for port in ["81", "82", UDP] {
        let (own, seen) = lab.ask(port);
        assert_eq!(own, seen, "by listener {port}");
    }
    assert_eq!(lab.ask("83").1.split_once(' ').unwrap().0, "10.99.1.1");
    running.end(Signal::TERM);

    stdout(&mut lab.elbow(&["netsetup", "remove"]));
    let rules = stdout(lab.within("b").args(["ip", "rule"]));
    assert!(!rules.contains("810"), "{rules}");
    assert_eq!(stdout(lab.within("b").args(["nft", "list", "tables"])), "");
}
