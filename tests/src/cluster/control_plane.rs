//! A control plane without a node.

use std::ops::Deref;

use super::{Access, bring_down, missing_program, script};
use crate::TempDir;
use crate::address::Ports;
use crate::command::stdout;

/// etcd, an API server and its controllers, with ports of their own: for what needs no pod that runs. Several may run. It ends
/// when dropped.
pub struct ControlPlane {
    access: Access,
    dir: TempDir,
    /// Held as long as its programs may run.
    _ports: Ports,
}

impl ControlPlane {
    /// Starts one; otherwise what is missing for that.
    pub fn start() -> Result<Self, String> {
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
