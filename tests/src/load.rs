//! Clients that keep sending requests while a test changes something behind the load balancer.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cluster::replicas::SLOW;
use crate::{Client, wait};

/// The size of an upload; it exceeds the buffers on the way.
const UPLOAD: usize = 200_000;
/// The pause between requests of a client, to leave the machine some CPU.
const PAUSE: Duration = Duration::from_millis(10);

/// The clients: method, path, and whether the client keeps its connection.
const CLIENTS: [(&str, &str, bool); 6] = [
    ("GET", "/", true),
    ("GET", "/", false),
    ("PUT", "/upload", true),
    ("PUT", "/upload", false),
    // Slow requests, so that some are in progress at any time.
    ("GET", SLOW, true),
    ("PUT", SLOW, true),
];

/// The results of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Responses per pod, by name.
    pub pods: BTreeMap<String, usize>,
    /// Responses per version.
    pub versions: BTreeMap<String, usize>,
    /// The error of every failed request.
    pub lost: Vec<String>,
    /// The number of opened connections.
    pub connections: usize,
}

impl Tally {
    /// The number of correct responses.
    pub fn answered(&self) -> usize {
        self.pods.values().sum()
    }
}

/// Running clients of pods with `elbow-test-pod`.
pub struct Load {
    over: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts clients that send requests for `host` to `to` until [`Load::end`].
    pub fn start(to: SocketAddr, host: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let start = |(method, path, keeps)| {
            let mut client = LoadClient {
                to,
                request: request(method, path, host),
                method,
                keeps,
                connection: None,
                tally: Arc::clone(&tally),
            };
            let over = Arc::clone(&over);
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    client.ask();
                    thread::sleep(PAUSE);
                }
            })
        };
        let clients = CLIENTS.into_iter().map(start).collect();
        let load = Self {
            over,
            tally,
            clients,
        };
        load.wait_for("the first responses", |tally| tally.answered() > 20);
        load
    }

    /// The results so far.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Waits until `enough` holds.
    pub fn wait_for(&self, what: &str, enough: impl Fn(&Tally) -> bool) {
        wait::until(what, || enough(&lock(&self.tally)).then_some(()));
    }

    /// Waits for `count` more responses.
    pub fn wait_for_more(&self, count: usize) {
        let before = lock(&self.tally).answered();
        self.wait_for("more responses", |tally| tally.answered() >= before + count);
    }

    /// Lets every client finish its request; returns the results.
    pub fn end(mut self) -> Tally {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A client.
struct LoadClient {
    to: SocketAddr,
    request: Vec<u8>,
    method: &'static str,
    keeps: bool,
    connection: Option<Client>,
    tally: Arc<Mutex<Tally>>,
}

impl LoadClient {
    fn ask(&mut self) {
        let answer = self.answer();
        let mut tally = lock(&self.tally);
        match answer {
            Ok((pod, version)) => {
                *tally.pods.entry(pod).or_default() += 1;
                *tally.versions.entry(version).or_default() += 1;
            }
            Err(error) => {
                let line = String::from_utf8_lossy(&self.request[..24]).into_owned();
                let kept = if self.keeps { "a kept" } else { "a new" };
                tally
                    .lost
                    .push(format!("{kept} connection, {line:?}…: {error}"));
                self.connection = None;
            }
        }
    }

    fn answer(&mut self) -> io::Result<(String, String)> {
        let mut client = match self.connection.take() {
            Some(client) => client,
            None => {
                lock(&self.tally).connections += 1;
                Client::try_plain(self.to)?
            }
        };
        client.try_send(&self.request)?;
        let answer = client.try_response(self.method)?;
        let text = answer.text();
        let words: Vec<&str> = text.split(' ').collect();
        let expected = if self.method == "PUT" { UPLOAD } else { 0 };
        let &[pod, version, bytes] = words.as_slice() else {
            return Err(io::Error::other(format!("{} {text}", answer.head)));
        };
        if answer.status != 200 || bytes != expected.to_string() {
            return Err(io::Error::other(format!("{} {text}", answer.head)));
        }
        if self.keeps && answer.header("connection") != Some("close") {
            self.connection = Some(client);
        }
        Ok((pod.to_owned(), version.to_owned()))
    }
}

fn request(method: &str, path: &str, host: &str) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    match method {
        "PUT" => {
            let mut request = format!("{head}Content-Length: {UPLOAD}\r\n\r\n").into_bytes();
            request.resize(request.len() + UPLOAD, b'u');
            request
        }
        _ => format!("{head}\r\n").into_bytes(),
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
