//! A control plane without a node.

use std::ops::Deref;

use super::{Access, bring_down, missing_program, script};
use crate::TempDir;
use crate::address::Ports;
use crate::command::stdout;

/// etcd, an API server and controllers on their own ports, for tests without running pods. Several may run at a time. Dropping it
/// ends it.
pub struct ControlPlane {
    access: Access,
    dir: TempDir,
    /// Held while its programs may run.
    _ports: Ports,
}

impl ControlPlane {
    /// Starts one; `Err` says what is missing.
    pub fn start() -> Result<Self, String> {
        Self::start_with(None)
    }

    /// As [`Self::start`], with IPv4 and IPv6 addresses for Services.
    pub fn start_dual_stack() -> Result<Self, String> {
        Self::start_with(Some("10.100.0.0/16,fd00:10:100::/112"))
    }

    fn start_with(services: Option<&str>) -> Result<Self, String> {
        if let Some(missing) = missing_program() {
            return Err(missing);
        }
        let dir = TempDir::new();
        let ports = Ports::claim();
        let first = ports.first;
        let control_plane = Self {
            access: Access::new(dir.join("cluster")),
            dir,
            _ports: ports,
        };
        let mut up = script("up.sh");
        up.arg(super::programs())
            .arg(control_plane.dir.join("cluster"))
            .env("UP_NODE", "0")
            .env("ETCD_PORT", first.to_string())
            .env("API_PORT", (first + 2).to_string());
        if let Some(services) = services {
            up.env("SERVICE_CIDR", services);
        }
        stdout(&mut up);
        Ok(control_plane)
    }
}

impl Deref for ControlPlane {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        bring_down(&self.dir.join("cluster"));
    }
}
