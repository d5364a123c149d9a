//! An outage of the API server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{output, stdout};
use crate::wait;

/// A killed API server, until it is restarted.
#[must_use]
pub struct Outage {
    folder: PathBuf,
    command: Vec<String>,
}

impl Outage {
    /// Kills the API server that `up.sh` started in `folder`.
    pub(super) fn begin(folder: PathBuf) -> Self {
        let pid = fs::read_to_string(folder.join("apiserver.pid")).unwrap();
        let pid = pid.trim();
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let command = command.split_terminator('\0').map(str::to_owned).collect();
        stdout(Command::new("kill").args(["-s", "KILL", pid]));
        Self { folder, command }
    }

    /// Restarts it as it was, and waits until it is ready.
    pub fn end(self) {
        // Like up.sh, so that down.sh finds it.
        let start = "setsid \"$@\" >>apiserver.log 2>&1 </dev/null & echo $! >apiserver.pid";
        let mut shell = Command::new("bash");
        shell
            .args(["-c", start, "bash"])
            .args(self.command)
            .current_dir(&self.folder);
        stdout(&mut shell);
        wait::until("the API server", || {
            let mut ready = Command::new(super::programs().join("kubectl"));
            ready
                .args(["get", "--raw", "/readyz", "--kubeconfig"])
                .arg(self.folder.join("kubeconfig"));
            output(&mut ready).status.success().then_some(())
        });
    }
}
