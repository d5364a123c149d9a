//! The setup of UDP tests: one elbow, one UDP listener, and pods.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use crate::config::{file, forward, group, listener, nlb};
use crate::datagram::{Echo, UdpClient};
use crate::{Elbow, Target, address, wait};

/// The port of the listeners.
pub const PORT: u16 = 5300;

/// How long a test waits for an answer that may be missing, before it asks again.
pub const MOMENT: Duration = Duration::from_millis(200);

/// A UDP target with a health check.
pub struct Pod {
    echo: Option<Echo>,
    name: &'static str,
    /// Its health check.
    pub health: Target,
}

impl Pod {
    /// A pod called `name` at an unused address.
    pub fn start(name: &'static str) -> Self {
        let health = Target::refusing();
        Self {
            echo: Some(Echo::at(name, health.addr())),
            name,
            health,
        }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.health.addr()
    }

    /// Closes its UDP socket.
    pub fn stop(&mut self) {
        self.echo = None;
    }

    /// Opens it again.
    pub fn restart(&mut self) {
        self.echo = Some(Echo::at(self.name, self.addr()));
    }

    /// Where its datagrams came from.
    pub fn sources(&self) -> Vec<SocketAddr> {
        self.echo.as_ref().map_or_else(Vec::new, Echo::sources)
    }
}

/// A group of the pods.
pub fn pods_group(protocol: &str, pods: &[&Pod]) -> Value {
    let addrs: Vec<SocketAddr> = pods.iter().map(|pod| pod.addr()).collect();
    group("pods", protocol, &addrs)
}

/// A load balancer with a UDP listener for the group.
pub fn config(ip: Ipv4Addr, group: Value) -> Value {
    let lb = nlb("nlb", ip, &[listener(PORT, "UDP", &forward("pods"))]);
    file(&[lb], &[group])
}

/// An elbow with a UDP listener for these pods, once they are healthy.
pub struct Scene {
    /// The program.
    pub elbow: Elbow,
    /// The address of its listener.
    pub lb: SocketAddr,
}

impl Scene {
    /// With the defaults of a group.
    pub fn start(pods: &[&Pod]) -> Self {
        Self::with(pods, |_| {})
    }

    /// With changes to the group.
    pub fn with(pods: &[&Pod], change: impl FnOnce(&mut Value)) -> Self {
        let ip = address();
        let mut group = pods_group("UDP", pods);
        change(&mut group);
        let scene = Self {
            elbow: Elbow::run(&config(ip, group)),
            lb: (ip, PORT).into(),
        };
        for pod in pods {
            scene.elbow.wait_for_state("pods", pod.addr(), "healthy");
        }
        scene
    }

    /// Replaces the group.
    pub fn reload(&self, group: Value) {
        let ip = match self.lb.ip() {
            std::net::IpAddr::V4(ip) => ip,
            std::net::IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
        };
        self.elbow.reload(&config(ip, group));
    }

    /// A metric of the load balancer; 0 without a sample.
    pub fn metric(&self, name: &str) -> f64 {
        let labels = ["load_balancer=\"nlb\""];
        self.elbow.metric(name, &labels).unwrap_or_default()
    }
}

/// Asks until the answer comes from `pod`.
pub fn wait_for_answer_of(client: &UdpClient, pod: &str) {
    wait::until(&format!("an answer of {pod}"), || {
        let answer = client.try_ask("?", MOMENT)?;
        (answer == format!("{pod}:?")).then_some(())
    });
}
