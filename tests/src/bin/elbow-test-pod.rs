//! The program in pods of the cluster tests. It answers every request with the name of its pod, its version and the number of received bytes,
//! as `web-7d9f-x2x4 1 65536`. It answers `/slow` after half a second.
//!
//! It handles no signals, so the pod's spec decides how it ends: as the first process of its container it serves until it is killed; beside
//! another first process it dies of the first signal.
#![allow(
    clippy::unwrap_used,
    reason = "in a program for tests a panic is how a test fails"
)]

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;
use std::{env, thread};

use elbow_tests::cluster::replicas::{PORT, SLOW};
use elbow_tests::message::Reader;

fn main() {
    let word = |name: &str| env::var(name).unwrap();
    let name = format!("{} {}", word("HOSTNAME"), word("VERSION"));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
    for stream in listener.incoming() {
        let name = name.clone();
        thread::spawn(move || serve(stream?, &name));
    }
}

fn serve(mut stream: TcpStream, name: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::default();
    while let Some(request) = reader.request(&mut stream)? {
        if request.line().contains(SLOW) {
            thread::sleep(Duration::from_millis(500));
        }
        let body = format!("{name} {}", request.body.len());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes())?;
    }
    Ok(())
}
