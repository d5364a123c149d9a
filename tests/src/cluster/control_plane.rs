//! A control plane without a node.

use std::net::TcpListener;
use std::ops::Deref;

use super::{Access, bring_down, missing_program, script};
use crate::TempDir;
use crate::command::stdout;

/// etcd, an API server and its controllers, with ports of their own: for what needs no pod that runs. Several may run. It ends
/// when dropped.
pub struct ControlPlane {
    access: Access,
    dir: TempDir,
}

impl ControlPlane {
    /// Starts one; otherwise what is missing for that.
    pub fn start() -> Result<Self, String> {
        if let Some(missing) = missing_program() {
            return Err(missing);
        }
        let dir = TempDir::new();
        let control_plane = Self {
            access: Access::new(dir.join("cluster")),
            dir,
        };
        let mut up = script("up.sh");
        up.arg(super::programs())
            .arg(control_plane.dir.join("cluster"))
            .env("UP_NODE", "0")
            .env("ETCD_PORT", free_ports(2).to_string())
            .env("API_PORT", free_ports(1).to_string());
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

/// The first of `count` ports in a row that nothing listens on.
fn free_ports(count: u16) -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (1..count).all(|next| port.checked_add(next).is_some_and(free)) {
            return port;
        }
    }
}
