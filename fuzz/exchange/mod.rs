//! The HTTP/1 exchange in memory, under a paused clock. A client and targets send arbitrary bytes in
//! pieces of any size, and stop, close or fail at any time.
//!
//! For every exchange: targets receive, in order, the requests that an independent strict reader finds in
//! the bytes of the client, each with exactly one Host, the one it is routed by. The client receives
//! well-formed responses, at most one for each request. Everything ends within its timeouts and releases
//! all buffers and counts.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::{Group, Target};
use elbow_http::{Context, Listener, Pools};
use elbow_model::{Account, LoadBalancer, TargetState};
use elbow_net::{ConnMeta, Worker};
use elbow_telemetry::Telemetry;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use input::Setup;
use memory::{Memory, Seen, Targets, follow, silent_socket};
use strict::{End, Extras, Request};

mod input;
mod memory;
#[path = "../strict/mod.rs"]
mod strict;

/// The drain timeout of the worker.
const DRAIN: Duration = Duration::from_secs(30);

const BALANCER: &str = "
loadBalancers:
- name: web
  type: application
  listeners:
  - port: 80
    protocol: HTTP
    defaultActions:
    - {type: forward, forwardConfig: {targetGroups: [{targetGroup: pods}]}}
targetGroups:
- {name: pods, protocol: HTTP, port: 80, targets: [{id: 192.0.2.2}]}
";

/// Runs the exchange of `input` and checks its outcome.
pub(crate) fn check(input: &[u8]) {
    let setup = Setup::read(input);
    let sent = setup.sent();
    // Each wait takes at most the timeout of a head, 60 s.
    let waits = u32::try_from(2 + setup.steps.len() + setup.scripts.len()).unwrap();
    let bound = setup.pauses() + Duration::from_secs(60) * waits;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let outcome = LocalSet::new().block_on(&runtime, run(setup, bound));
    let (asked, end) = strict::requests(&sent, Extras::Taken);
    check_targets(&outcome, &asked, end);
    check_client(&outcome, &asked, end);
}

/// The outcome of an exchange.
struct Outcome {
    to_client: Vec<u8>,
    at_targets: Vec<Rc<RefCell<Seen>>>,
}

/// Runs `setup`. Panics when it takes longer than `bound` by the paused clock.
async fn run(setup: Setup, bound: Duration) -> Outcome {
    let (socket, _peer) = silent_socket().await;
    let (listener, target) = listener(&setup);
    let worker = Worker::new(0);
    let targets = Rc::new(Targets {
        scripts: RefCell::new(setup.scripts.into()),
        seen: RefCell::default(),
        refuse: Cell::new(setup.refuse),
        shape: setup.target,
        socket: Rc::clone(&socket),
        count: Rc::default(),
    });
    let context = Rc::new(Context {
        worker: Rc::clone(&worker),
        connector: Rc::clone(&targets),
        pools: Pools::new(),
        listener: Rc::new(move || Arc::clone(&listener)),
        http09: false,
        metrics: Telemetry::new(1).listener("web", "application", 80, "HTTP"),
        logs: Rc::default(),
    });
    let ticks = spawn_local(Rc::clone(&worker).run_ticks(|| {}));
    let (near, far) = Memory::pair(setup.client, &socket);
    let client = Rc::new(RefCell::new(Seen::default()));
    let script = Some(setup.steps);
    let follows = spawn_local(follow(far, script, Rc::clone(&client), Rc::default()));
    if let Some(after) = setup.cut_after.map(Duration::from_millis) {
        let (target, worker) = (Arc::clone(&target), Rc::clone(&worker));
        spawn_local(async move {
            sleep(after).await;
            target.terminate_connections();
            worker.timers.wake_all();
        });
    }
    let meta = ConnMeta {
        client: SocketAddr::from(([192, 0, 2, 1], 5000)),
        server: SocketAddr::from(([192, 0, 2, 3], 80)),
        accepted: Instant::now(),
        tls: None,
    };
    let drain = async {
        match setup.drain_after.map(Duration::from_millis) {
            None => std::future::pending().await,
            Some(after) => {
                sleep(after).await;
                worker.drain();
                sleep(DRAIN).await;
            }
        }
    };
    tokio::select! {
        biased;
        () = elbow_http::serve(context, near, meta, ()) => {}
        () = drain => {}
        () = sleep(bound) => panic!("the exchange has not ended after {bound:?}"),
    }
    // The client reads the rest, and connections close.
    let is_over = || worker.buffers.in_use() == 0 && target.in_flight() == 0;
    let ends = timeout(Duration::from_secs(100), async {
        sleep(Duration::from_secs(1)).await;
        while !is_over() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(
        ends.await.is_ok(),
        "leaked {} buffers and {} requests",
        worker.buffers.in_use(),
        target.in_flight()
    );
    follows.abort();
    ticks.abort();
    Outcome {
        to_client: client.borrow().bytes.clone(),
        at_targets: targets.seen.borrow().clone(),
    }
}

fn listener(setup: &Setup) -> (Arc<Listener>, Arc<Target>) {
    let (model, diagnostics) = elbow_native::parse(BALANCER, "web.yaml");
    let model = model.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let config = &model.target_groups[0];
    let address = SocketAddr::from(([192, 0, 2, 2], 80));
    let target = Arc::new(Target::new(config.targets[0].clone(), address));
    target.set_state(TargetState::Healthy);
    let group = Group::new(Arc::clone(config), vec![Arc::clone(&target)], 1);
    let group = Arc::new(group);
    let mut balancer = LoadBalancer::clone(&model.load_balancers[0]);
    balancer.attributes = setup.attributes.clone();
    let listener = Listener::new(
        &balancer,
        &balancer.listeners[0],
        "web.example".into(),
        &Account::default(),
        &elbow_http::Providers::default(),
        &Telemetry::new(1),
        |_| Some(Arc::clone(&group)),
    );
    (Arc::new(listener), target)
}

/// Checks that targets receive only the requests of the client, in order.
fn check_targets(outcome: &Outcome, asked: &[Request], end: End) {
    let mut got = Vec::new();
    for seen in &outcome.at_targets {
        let seen = seen.borrow();
        let (requests, end) = strict::requests(&seen.bytes, Extras::Refused);
        if let End::Unread(error) = end {
            panic!("a target received {error}: {}", seen.bytes.escape_ascii());
        }
        for request in requests {
            let mut pieces = seen.pieces.iter().rev();
            let came = pieces
                .find(|(at, _)| *at <= request.at)
                .map(|(_, came)| *came);
            got.push((came, request));
        }
    }
    got.sort_by_key(|(came, _)| *came);
    let mut asked = asked.iter();
    for (_, request) in got {
        let found = asked.any(|one| is_of(&request, one));
        let is_unread = matches!(end, End::Unread(_));
        assert!(found || is_unread, "the client never sent {request:?}");
        if !found {
            return;
        }
    }
}

/// Whether `got` at a target is the request `asked` of the client.
fn is_of(got: &Request, asked: &Request) -> bool {
    let (authority, target) = origin_form(&asked.target);
    let host = authority.unwrap_or(&asked.host);
    let same_host = host.is_empty() || got.host.to_ascii_lowercase().starts_with(&host_of(host));
    got.method == asked.method
        && got.target == target
        && same_host
        && if got.is_whole {
            asked.is_whole && got.body == asked.body
        } else {
            asked.body.starts_with(&got.body)
        }
}

/// Returns the host of `authority` in lower case, without user and port.
fn host_of(authority: &[u8]) -> Vec<u8> {
    let host = authority.rsplit(|b| *b == b'@').next().unwrap_or(authority);
    let digits = host.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let host = match &host[..host.len() - digits] {
        [host @ .., b':'] => host,
        _ => host,
    };
    host.to_ascii_lowercase()
}

/// Returns the authority of an absolute `target`, and its origin form.
fn origin_form(target: &[u8]) -> (Option<&[u8]>, Vec<u8>) {
    let is = |scheme: &&[u8]| {
        let start = target.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(is);
    let (authority, rest) = match scheme {
        None => (None, target),
        Some(scheme) => {
            let rest = &target[scheme.len()..];
            let end = rest
                .iter()
                .position(|b| b"/?#".contains(b))
                .unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
    };
    let rest = rest.split(|b| *b == b'#').next().unwrap_or_default();
    let slash: &[u8] = match rest.first() {
        None | Some(b'?') => b"/",
        Some(_) => b"",
    };
    (authority, [slash, rest].concat())
}

/// Checks that the client receives well-formed responses, at most one for each request.
fn check_client(outcome: &Outcome, asked: &[Request], end: End) {
    let to_head = |n: usize| {
        asked
            .get(n)
            .is_some_and(|request| request.method == b"HEAD")
    };
    match strict::responses(&outcome.to_client, to_head) {
        // An incomplete request may be answered, and a missing one with 408.
        Ok((_, answers, _)) => assert!(
            answers <= asked.len() + 1 || matches!(end, End::Unread(_)),
            "{answers} responses to {} requests",
            asked.len()
        ),
        // After the part that the reader understands, a response may answer HEAD.
        Err(error) => assert!(
            matches!(end, End::Unread(_)),
            "the client received {error}: {}",
            outcome.to_client.escape_ascii()
        ),
    }
}
