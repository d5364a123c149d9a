//! A pause of the process is not mistaken for silence of its peers.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use elbow_tests::config::{alb, file, forward, group, listener, with_attribute};
use elbow_tests::target::{Peer, ok};
use elbow_tests::{Client, Elbow, Target, address, client, wait};
use rustix::process::Signal;
use serde_json::json;

/// Longer than every timeout in these tests.
const PAUSE: Duration = Duration::from_secs(4);

/// A target that answers each request on command, and reports each answer.
fn on_command() -> (Target, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (done, answered) = mpsc::channel();
    let target = Target::start(move |peer: &mut Peer| {
        while peer.request()?.is_some() {
            let _ = wait.lock().map(|wait| wait.recv_timeout(wait::TIMEOUT));
            peer.send(ok("late"))?;
            let _ = done.send(());
        }
        Ok(())
    });
    (target, go, answered)
}

/// Whether every thread of process `id` is stopped.
fn are_stopped(id: u32) -> bool {
    let mut threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    threads.all(|thread| {
        // A thread may end meanwhile.
        let status = fs::read_to_string(thread.unwrap().path().join("status"));
        status.is_ok_and(|status| status.contains("State:\tT"))
    })
}

/// Stops elbow, lets the target answer meanwhile, and continues elbow after [`PAUSE`].
fn pause(elbow: &mut Elbow, go: &mpsc::Sender<()>, answered: &mpsc::Receiver<()>) {
    elbow.process().signal(Signal::STOP);
    let id = elbow.process().id();
    wait::until("every thread to stop", || are_stopped(id).then_some(()));
    go.send(()).unwrap();
    answered.recv_timeout(wait::TIMEOUT).unwrap();
    thread::sleep(PAUSE);
    elbow.process().signal(Signal::CONT);
}

#[test]
fn response_during_a_pause_is_no_504() {
    let (target, go, answered) = on_command();
    let ip = address();
    let lb = alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]);
    let lb = with_attribute(lb, "idle_timeout.timeout_seconds", "2");
    let mut elbow = Elbow::run(&file(&[lb], &[group("web", "HTTP", &[target.addr()])]));
    elbow.wait_for_state("web", target.addr(), "healthy");
    // Repeated, to use a pooled connection and other points of the worker's tick.
    let mut client = Client::plain((ip, 8080));
    for n in 1..=3 {
        client.send(client::get("a.example", "/"));
        target.wait_for_requests(n);
        pause(&mut elbow, &go, &answered);
        let response = client.response();
        assert_eq!((response.status, response.text()), (200, "late".to_owned()));
    }
}

#[test]
fn health_check_answered_during_a_pause_passes() {
    let (target, go, answered) = on_command();
    let ip = address();
    let lb = alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]);
    let mut config = file(&[lb], &[group("web", "HTTP", &[target.addr()])]);
    let check = &mut config["targetGroups"][0]["healthCheckConfig"];
    check["port"] = json!("traffic-port");
    check["timeoutSeconds"] = json!(2);
    let mut elbow = Elbow::run(&config);
    for n in 1..=3 {
        wait::until("a health check to arrive", || {
            (target.health_checks().len() >= n).then_some(())
        });
        pause(&mut elbow, &go, &answered);
        elbow.wait_for_state("web", target.addr(), "healthy");
        let failed = elbow.metric("elbow_health_checks_total", &["result=\"failed\""]);
        assert_eq!(failed.unwrap_or_default(), 0.0);
    }
}
