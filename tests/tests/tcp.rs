//! NLB passthrough: bytes, half-closes and resets arrive unchanged (NLB guide: listeners).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;

use elbow_tests::config::{file, forward, group, listener, nlb};
use elbow_tests::{Client, Elbow, Scene, Target, address, wait};

/// Echoes data until the end, and then sends "bye".
fn echo() -> Target {
    Target::start(|peer| {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match peer.read(&mut buffer)? {
                0 => return peer.send("bye"),
                n => peer.send(&buffer[..n])?,
            }
        }
    })
}

#[test]
fn bytes_and_half_close_pass_both_ways() {
    let target = echo();
    let scene = Scene::tcp(&[&target]);
    let mut client = scene.connect();
    client.send("hello");
    assert_eq!(client.exactly(5), b"hello");
    client.finish();
    assert_eq!(client.rest().unwrap(), b"bye");
}

#[test]
fn half_closed_target_still_receives() {
    let (sender, received) = mpsc::channel();
    let target = Target::start(move |peer| {
        peer.send("all I have")?;
        peer.finish()?;
        drop(sender.send(peer.rest()?));
        Ok(())
    });
    let scene = Scene::tcp(&[&target]);
    let mut client = scene.connect();
    assert_eq!(client.rest().unwrap(), b"all I have");
    client.send("thank you").finish();
    assert_eq!(received.recv_timeout(wait::TIMEOUT).unwrap(), b"thank you");
}

#[test]
fn single_bytes_are_not_delayed() {
    let target = echo();
    let scene = Scene::tcp(&[&target]);
    let mut client = scene.connect();
    for byte in b"one at a time" {
        client.send([*byte]);
        assert_eq!(client.exactly(1), [*byte]);
    }
}

#[test]
fn bulk_is_complete_in_both_directions() {
    let target = echo();
    let scene = Scene::tcp(&[&target]);
    bulk(scene.lb, 64 << 20);
}

#[test]
fn bulk_is_complete_without_splice() {
    let target = echo();
    let ip = address();
    let lb = nlb("nlb", ip, &[listener(8080, "TCP", &forward("web"))]);
    let config = file(&[lb], &[group("web", "TCP", &[target.addr()])]);
    let elbow = Elbow::run_with(&config, &["--data-path", "portable"]);
    elbow.wait_for_state("web", target.addr(), "healthy");
    bulk((ip, 8080).into(), 16 << 20);
}

/// Sends `size` bytes and reads them back at the same time.
fn bulk(lb: SocketAddr, size: usize) {
    let byte = |i: usize| u8::try_from((i / 7) % 251).unwrap_or(0);
    let mut client = TcpStream::connect(lb).unwrap();
    client.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        let bytes: Vec<u8> = (0..size).map(byte).collect();
        writer.write_all(&bytes).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::with_capacity(size + 3);
    client.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert_eq!(back.len(), size + 3);
    assert!(back[..size].iter().enumerate().all(|(i, b)| *b == byte(i)));
    assert_eq!(&back[size..], b"bye");
}

#[test]
fn clients_reset_reaches_the_target() {
    let (ended, end) = mpsc::channel();
    let target = Target::start(move |peer| {
        let mut byte = [0; 1];
        peer.read_exact(&mut byte)?;
        peer.send(byte)?;
        let _ = ended.send(peer.read(&mut byte).map_err(|e| e.kind()));
        Ok(())
    });
    let scene = Scene::tcp(&[&target]);
    let mut client = scene.connect();
    client.send("x");
    client.exactly(1);
    client.reset();
    let end = end.recv_timeout(wait::TIMEOUT).unwrap();
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn targets_reset_reaches_the_client() {
    let target = Target::start(|peer| {
        peer.read_exact(&mut [0; 1])?;
        peer.reset();
        Ok(())
    });
    let scene = Scene::tcp(&[&target]);
    let mut client = scene.connect();
    client.send("x");
    client.expect_reset();
}

#[test]
fn connection_without_a_reachable_target_is_reset() {
    let mut target = echo();
    let scene = Scene::tcp(&[&target]);
    target.stop();
    Client::assert_reset_by(scene.lb);
}

#[test]
fn empty_group_resets_connections() {
    let scene = Scene::tcp(&[]);
    Client::assert_reset_by(scene.lb);
}

#[test]
fn connections_spread_over_targets_and_stay() {
    let targets = [echo(), echo(), echo()];
    let scene = Scene::tcp(&targets.each_ref());
    let mut clients: Vec<_> = (0..60).map(|_| scene.connect()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send("ping");
            assert_eq!(client.exactly(4), b"ping");
        }
    }
    let taken: Vec<usize> = targets.iter().map(Target::connections).collect();
    assert_eq!(taken.iter().sum::<usize>(), 60);
    // With a fair hash, the chance that one of three gets fewer than 4 of 60 is below one in a million.
    assert!(taken.iter().all(|n| *n >= 4), "{taken:?}");
}

#[test]
fn new_connections_avoid_an_unhealthy_target() {
    let targets = [echo(), echo()];
    let scene = Scene::tcp(&targets.each_ref());
    targets[0].set_health(500);
    scene
        .elbow
        .wait_for_state("web", targets[0].addr(), "unhealthy");
    let before = targets[0].connections();
    for _ in 0..10 {
        let mut client = scene.connect();
        client.send("x");
        client.exactly(1);
    }
    assert_eq!(targets[0].connections(), before);
}

#[test]
fn connections_and_bytes_are_counted() {
    let target = echo();
    let scene = Scene::tcp(&[&target]);
    let mut client = scene.connect();
    client.send("0123456789").finish();
    assert_eq!(client.rest().unwrap(), b"0123456789bye");
    wait::until("the connection to be counted", || {
        let metric = |name| scene.elbow.metric(name, &["nlb"]);
        let open = metric("elbow_active_connections");
        let counted = (
            metric("elbow_received_bytes_total"),
            metric("elbow_sent_bytes_total"),
        );
        (open == Some(0.0) && counted == (Some(10.0), Some(13.0))).then_some(())
    });
    assert_eq!(
        scene.elbow.metric("elbow_connections_total", &["nlb"]),
        Some(1.0)
    );
}
