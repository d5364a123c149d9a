//! `preserve_client_ip.enabled` in network namespaces: a client, elbow, and a target behind it.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::Ipv6Addr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use elbow_tests::command::{Running, output, stdout, texts};
use elbow_tests::config::{file, forward, listener, nlb, with_attribute};
use elbow_tests::{TempDir, elbow, need, tools, wait};
use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};

/// Client 10.99.0.2 and fd99::2, elbow 10.99.0.1, 10.99.1.1, fd99::1 and fd99:1::1, target 10.99.1.11 and fd99:1::11, which
/// sends everything through elbow's machine.
const LAB: &str = "
set -e
for n in $1-c $1-b $1-t; do ip netns add $n; ip -n $n link set lo up; done
ip link add eth0 netns $1-c type veth peer name front netns $1-b
ip link add back netns $1-b type veth peer name eth0 netns $1-t
ip -n $1-c addr add 10.99.0.2/24 dev eth0
ip -n $1-b addr add 10.99.0.1/24 dev front
ip -n $1-b addr add 10.99.1.1/24 dev back
ip -n $1-t addr add 10.99.1.11/24 dev eth0
ip -n $1-c addr add fd99::2/64 dev eth0 nodad
ip -n $1-b addr add fd99::1/64 dev front nodad
ip -n $1-b addr add fd99:1::1/64 dev back nodad
ip -n $1-t addr add fd99:1::11/64 dev eth0 nodad
for one in c:eth0 t:eth0 b:front b:back; do ip -n $1-${one%:*} link set ${one#*:} up; done
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
        off,
        datagrams,
    ];
    let config = file(&[nlb("nlb", [10, 99, 0, 1], &listeners)], &groups);
    let config = lab.dir.write("elbow.yaml", config.to_string());
    let config = config.to_str().unwrap();
    let _targets = [lab.target("t", "10.99.1.11"), lab.target("b", "127.0.0.1")];

    let check = || texts(&output(&mut lab.elbow(&["check", "--config", config]))).1;
    let found = check();
    let expected = "warning[client-address-unavailable]: target group \"beside\": preserve_client_ip.enabled has no effect \
        here: answers of targets at loopback addresses do not come back";
    assert_eq!(found.lines().next(), Some(expected), "{found}");
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

    stdout(&mut lab.elbow(&["netsetup", "apply"]));
    // Again, it changes nothing.
    stdout(&mut lab.elbow(&["netsetup", "apply"]));
    let rules = stdout(lab.within("b").args(["ip", "rule"]));
    assert_eq!(rules.matches("lookup 8100").count(), 1, "{rules}");
    assert_eq!(check(), "");
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
