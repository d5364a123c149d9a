//! The instances' end of a Classic listener, and what is declared for its port.

use std::sync::Arc;

use crate::action::{Action, Forward};
use crate::invalid::Place;
use crate::kinds::Protocol;
use crate::suggest::did_you_mean;

/// The instances' end of a Classic listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceEnd {
    /// What is spoken to instances.
    pub protocol: Protocol,
    /// On every instance.
    pub port: u16,
}

impl InstanceEnd {
    /// What requests and connections are forwarded to: the group that the instances of
    /// `load_balancer` form here. No declared target group can have its name.
    pub fn action(self, load_balancer: &str) -> Action {
        Action::Forward(Forward::to(self.group_name(load_balancer)))
    }

    /// E.g. `web/HTTP:30080`.
    pub fn group_name(self, load_balancer: &str) -> Arc<str> {
        format!("{load_balancer}/{}:{}", self.protocol.as_str(), self.port).into()
    }
}

/// An instance port that is the key of a map, and that a listener has.
pub(crate) fn instance_port(key: &str, ends: &[InstanceEnd], at: &Place<'_>) -> Option<u16> {
    let port = port_key(key, at)?;
    let is_known = ends.iter().any(|end| end.port == port);
    if !is_known {
        let known: Vec<String> = ends.iter().map(|end| end.port.to_string()).collect();
        at.wrong_name(
            "unknown-instance-port",
            format!("no listener has the instance port {port}"),
            did_you_mean(key, known.iter().map(String::as_str)),
        );
    }
    is_known.then_some(port)
}

/// A port that is the key of a map.
pub(crate) fn port_key(key: &str, at: &Place<'_>) -> Option<u16> {
    let port = key.parse::<u16>().ok().filter(|port| *port > 0);
    if port.is_none() {
        let reason = format!("{key:?} is not a port from 1 to 65535");
        at.wrong_name("out-of-range", reason, None);
    }
    port
}
