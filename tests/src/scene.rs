//! The common setup: one elbow, one load balancer, and healthy targets.

use std::net::SocketAddr;

use serde_json::Value;

use crate::config::{self, file, forward, group, listener};
use crate::{Client, Elbow, Response, Target, address, client};

/// The target group of a scene.
pub const GROUP: &str = "web";
/// The port of the listener of a scene.
pub const LISTENER: u16 = 8080;

/// An elbow with one load balancer.
pub struct Scene {
    /// The program.
    pub elbow: Elbow,
    /// The address of its listener.
    pub lb: SocketAddr,
}

impl Scene {
    /// An ALB with these targets; waits until they are healthy.
    pub fn http(targets: &[&Target]) -> Self {
        Self::http_with(targets, &[], |_| {})
    }

    /// Like [`Self::http`], with attributes of the load balancer and a change to the group.
    pub fn http_with(
        targets: &[&Target],
        attributes: &[(&str, &str)],
        change_group: impl FnOnce(&mut Value),
    ) -> Self {
        let ip = address();
        let mut lb = config::alb("alb", ip, &[listener(LISTENER, "HTTP", &forward(GROUP))]);
        for (key, value) in attributes {
            lb = config::with_attribute(lb, key, value);
        }
        Self::start(lb, "HTTP", (ip, LISTENER).into(), targets, change_group)
    }

    /// An NLB that passes TCP through to these targets; waits until they are healthy.
    pub fn tcp(targets: &[&Target]) -> Self {
        let ip = address();
        let lb = config::nlb("nlb", ip, &[listener(LISTENER, "TCP", &forward(GROUP))]);
        Self::start(lb, "TCP", (ip, LISTENER).into(), targets, |_| {})
    }

    fn start(
        lb: Value,
        protocol: &str,
        addr: SocketAddr,
        targets: &[&Target],
        change_group: impl FnOnce(&mut Value),
    ) -> Self {
        let addrs: Vec<SocketAddr> = targets.iter().map(|t| t.addr()).collect();
        let mut group = group(GROUP, protocol, &addrs);
        change_group(&mut group);
        let scene = Self {
            elbow: Elbow::run(&file(&[lb], &[group])),
            lb: addr,
        };
        scene.wait_until_healthy(targets);
        scene
    }

    /// Waits until all `targets` are healthy.
    pub fn wait_until_healthy(&self, targets: &[&Target]) {
        for target in targets {
            self.elbow.wait_for_state(GROUP, target.addr(), "healthy");
        }
    }

    /// Opens a new connection to the load balancer.
    pub fn connect(&self) -> Client {
        Client::plain(self.lb)
    }

    /// The response to `request` on a new connection.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        self.connect().ask(request)
    }

    /// The response to a GET for `path`.
    pub fn get(&self, path: &str) -> Response {
        self.ask(client::get("example.com", path))
    }
}
