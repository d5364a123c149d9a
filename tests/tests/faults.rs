//! A minute of mixed load while targets are killed, frozen, slowed and reset, and packets are dropped: every byte that
//! arrives is the right one, errors are those of AWS, and afterwards nothing is left over.
//!
//! `ELBOW_FAULTS_SECONDS=600` makes it longer, `ELBOW_FAULTS_SEED` repeats a run.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::config::{alb, file, forward, group, listener, nlb, with_attribute};
use elbow_tests::target::Peer;
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, wait};
use serde_json::{Value, json};

const TARGETS: usize = 3;
/// The idle timeout of the ALB.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
const CLIENTS_OF_EACH_KIND: usize = 4;
/// The descriptors of the idle pipes that the two workers keep.
const POOLED_PIPES: f64 = 2.0 * 2.0 * 16.0;
/// The longest body and the longest piece of a flow.
const LONGEST: u64 = 40_000;

/// A generator of which the seed is printed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(LONGEST) + 1;
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

const WELL: u8 = 0;
const FROZEN: u8 = 1;
const SLOW: u8 = 2;
const RESETTING: u8 = 3;

/// Does what the target's `state` says before it goes on.
fn suffer(state: &AtomicU8, peer: &Peer) -> io::Result<()> {
    while state.load(Ordering::Relaxed) == FROZEN {
        thread::sleep(Duration::from_millis(20));
    }
    match state.load(Ordering::Relaxed) {
        SLOW => thread::sleep(Duration::from_millis(50)),
        RESETTING => {
            peer.reset();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        _ => {}
    }
    Ok(())
}

/// A target that sends back what it gets, and its state.
fn echo(is_http: bool) -> (Target, Arc<AtomicU8>) {
    let state = Arc::new(AtomicU8::new(WELL));
    let own = Arc::clone(&state);
    let target = Target::start(move |peer: &mut Peer| {
        if is_http {
            while let Some(request) = peer.request()? {
                suffer(&own, peer)?;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                    request.body.len()
                );
                let (first, rest) = request.body.split_at(request.body.len() / 2);
                peer.send([head.as_bytes(), first].concat())?;
                suffer(&own, peer)?;
                peer.send(rest)?;
            }
            return Ok(());
        }
        let mut buffer = vec![0; 8_192];
        loop {
            let n = peer.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            suffer(&own, peer)?;
            peer.send(&buffer[..n])?;
        }
    });
    (target, state)
}

/// The error of [`Client::try_response`] if the connection closes without a byte.
const NO_RESPONSE: &str = "the connection closed before a response";

/// How often each thing happened.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    fn add(&self, what: impl Into<String>) {
        *self.0.lock().unwrap().entry(what.into()).or_default() += 1;
    }

    fn get(&self, what: &str) -> usize {
        self.0.lock().unwrap().get(what).copied().unwrap_or(0)
    }
}

/// Sends pieces and reads them back until the flow ends.
fn flow(to: SocketAddr, random: &mut Random, tally: &Tally) {
    let Ok(mut client) = Client::try_plain(to) else {
        return tally.add("flow refused");
    };
    client
        .socket()
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    for _ in 0..=random.below(8) {
        let piece = random.bytes();
        if client.try_send(&piece).is_err() {
            return tally.add("flow cut");
        }
        let mut back = vec![0; piece.len()];
        let mut got = 0;
        while got < piece.len() {
            match client.read(&mut back[got..]) {
                Ok(n) if n > 0 => got += n,
                _ => break,
            }
        }
        assert_eq!(back[..got], piece[..got], "a byte was changed");
        if got < piece.len() {
            return tally.add("flow cut");
        }
        tally.add("piece");
    }
}

/// Sends requests over one connection, which was begun at `active`; the body of a response is that of its request.
fn requests(mut client: Client, mut active: Instant, random: &mut Random, tally: &Tally) {
    client
        .socket()
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    for n in 0..=random.below(5) {
        let body = random.bytes();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if client
            .write_all(&[head.as_bytes(), &body].concat())
            .is_err()
            || client.flush().is_err()
        {
            // The load balancer answered and closed while the body was under way.
            tally.add("request unsent");
        }
        // A busy machine may keep the client from sending for so long that elbow gives up.
        let is_late = active.elapsed() >= IDLE_TIMEOUT;
        let response = match client.try_response("POST") {
            Ok(response) if is_late && response.status == 408 => return tally.add("408"),
            Ok(response) => response,
            // On a connection that was used before, its idle timeout may have passed.
            Err(error) if n == 0 && !is_late && error.to_string() == NO_RESPONSE => {
                return tally.add(NO_RESPONSE);
            }
            Err(_) => return tally.add("response cut"),
        };
        active = Instant::now();
        tally.add(response.status.to_string());
        match response.status {
            200 => assert!(response.body == body, "another body"),
            502..=504 => {}
            other => panic!("{other} is no answer to a fault of a target"),
        }
        if response.header("connection") == Some("close") {
            return;
        }
    }
}

/// Drops some packets to `targets` while it lives, where this machine allows it.
struct Loss(String);

impl Loss {
    fn start(targets: &[Ipv4Addr]) -> Option<Self> {
        let table = format!("elbow_faults_{}", std::process::id());
        let addresses: Vec<String> = targets.iter().map(Ipv4Addr::to_string).collect();
        let rules = format!(
            "table ip {table} {{ chain lost {{ type filter hook prerouting priority raw; \
             ip daddr {{ {} }} tcp dport 9000 numgen random mod 100 < 2 drop; }}\n}}\n",
            addresses.join(", ")
        );
        let loaded = Command::new("/usr/sbin/nft").arg(rules).output();
        let is_loaded = loaded.is_ok_and(|output| output.status.success());
        is_loaded.then_some(Self(table))
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        let _ = Command::new("/usr/sbin/nft")
            .args(["delete", "table", "ip", &self.0])
            .output();
    }
}

/// One thing after another befalls one target after another.
fn trouble(targets: &mut [(Target, Arc<AtomicU8>)], random: &mut Random, until: Instant) {
    while Instant::now() < until {
        let at = usize::try_from(random.below(targets.len() as u64)).unwrap();
        let (target, state) = &mut targets[at];
        let kind = random.below(4);
        match kind {
            0 => target.stop(),
            1 => state.store(FROZEN, Ordering::Relaxed),
            2 => state.store(SLOW, Ordering::Relaxed),
            _ => state.store(RESETTING, Ordering::Relaxed),
        }
        thread::sleep(Duration::from_millis(200 + random.below(1_300)));
        state.store(WELL, Ordering::Relaxed);
        if kind == 0 {
            target.restart();
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn open_files(elbow: &Elbow) -> f64 {
    elbow.metric("process_open_fds", &[]).unwrap()
}

fn config(alb_ip: Ipv4Addr, nlb_ip: Ipv4Addr, http: &[SocketAddr], tcp: &[SocketAddr]) -> Value {
    let mut https = listener(8443, "HTTPS", &forward("http"));
    https["certificates"] = json!(["main"]);
    let listeners = [listener(8080, "HTTP", &forward("http")), https];
    let alb = with_attribute(
        alb("alb", alb_ip, &listeners),
        "idle_timeout.timeout_seconds",
        &IDLE_TIMEOUT.as_secs().to_string(),
    );
    let nlb = nlb("nlb", nlb_ip, &[listener(9000, "TCP", &forward("tcp"))]);
    let mut config = file(
        &[alb, nlb],
        &[group("http", "HTTP", http), group("tcp", "TCP", tcp)],
    );
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    config
}

#[test]
fn faults_of_targets_lose_no_byte_and_leave_nothing_behind() {
    let seed = number("ELBOW_FAULTS_SEED", u64::from(std::process::id()));
    let seconds = number("ELBOW_FAULTS_SECONDS", 60);
    println!("ELBOW_FAULTS_SEED={seed}");
    let mut http: Vec<_> = (0..TARGETS).map(|_| echo(true)).collect();
    let mut tcp: Vec<_> = (0..TARGETS).map(|_| echo(false)).collect();
    let addrs = |targets: &[(Target, _)]| targets.iter().map(|t| t.0.addr()).collect::<Vec<_>>();
    let (http_at, tcp_at) = (addrs(&http), addrs(&tcp));
    let (alb_ip, nlb_ip) = (address(), address());
    let dir = TempDir::new();
    let ca = Ca::new();
    ca.leaf(&[&alb_ip.to_string()]).write(&dir, "main");
    let elbow = Elbow::run_in(dir, &config(alb_ip, nlb_ip, &http_at, &tcp_at), &[]);
    for (name, targets) in [("http", &http_at), ("tcp", &tcp_at)] {
        for target in targets {
            elbow.wait_for_state(name, *target, "healthy");
        }
    }
    let files_before = open_files(&elbow);
    let ips: Vec<Ipv4Addr> = (http_at.iter().chain(&tcp_at))
        .filter_map(|at| match at {
            SocketAddr::V4(at) => Some(*at.ip()),
            SocketAddr::V6(_) => None,
        })
        .collect();
    let loss = Loss::start(&ips);
    if loss.is_none() {
        println!("without lost packets: needs root and nft");
    }
    let (tally, is_over) = (Tally::default(), AtomicBool::new(false));
    let end = Instant::now() + Duration::from_secs(seconds);
    let tls = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    thread::scope(|scope| {
        for n in 0..CLIENTS_OF_EACH_KIND as u64 {
            let (tally, is_over, tls) = (&tally, &is_over, &tls);
            let go = move |kind: u64, act: &dyn Fn(&mut Random)| {
                let mut random = Random(seed ^ (kind * 1_000 + n + 1));
                while !is_over.load(Ordering::Relaxed) {
                    act(&mut random);
                    thread::sleep(Duration::from_millis(5));
                }
            };
            scope.spawn(move || {
                go(1, &|random| flow((nlb_ip, 9000).into(), random, tally));
            });
            scope.spawn(move || {
                go(2, &|random| {
                    let start = Instant::now();
                    requests(Client::plain((alb_ip, 8080)), start, random, tally);
                });
            });
            scope.spawn(move || {
                go(3, &|random| {
                    let start = Instant::now();
                    let client = Client::tls((alb_ip, 8443), "a", tls).unwrap();
                    requests(client, start, random, tally);
                });
            });
        }
        let (http, tcp) = (&mut http, &mut tcp);
        let of_http = scope.spawn(move || trouble(http, &mut Random(seed ^ 7), end));
        trouble(tcp, &mut Random(seed ^ 8), end);
        of_http.join().unwrap();
        is_over.store(true, Ordering::Relaxed);
    });
    drop(loss);
    println!("{:?}", tally.0.lock().unwrap());
    for expected in ["piece", "200"] {
        assert!(tally.get(expected) > 100, "{expected}");
    }
    assert_eq!(tally.get(NO_RESPONSE), 0);
    wait::until("all connections of clients to be closed", || {
        (elbow.metric("elbow_active_connections", &[])? == 0.0).then_some(())
    });
    wait::until("nothing to be in progress at a target", || {
        (elbow.metric("elbow_target_in_flight", &[])? == 0.0).then_some(())
    });
    // Idle connections to targets may stay in the pools for as long as the idle timeout.
    wait::until("the descriptors to be as before", || {
        (open_files(&elbow) <= files_before + POOLED_PIPES).then_some(())
    });
    assert!(!elbow.log().contains("panicked"));
}
