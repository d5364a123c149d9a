//! The start of a process that gets sockets from the previous one, or from systemd.

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use elbow_net::inherited::Inherited;
use elbow_plane::{Heritage, Plane, UdpFlow};
use rustix::process::getppid;
use tracing::{info, warn};

use super::{GO, READY, READY_FOR_FLOWS, UPGRADE, flows, message};
use crate::process::Failure;
use crate::{pipes, systemd};

/// How long the old process may take to send its sockets, and to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long targets without a known health may take to get one. A target that fails stays without one for several intervals.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two looks at the targets.
const POLL: Duration = Duration::from_millis(20);

/// What a process that serves was started with.
#[derive(Default)]
pub(crate) struct Start {
    sockets: Arc<Inherited>,
    heritage: Heritage,
    /// The previous process, which waits for READY.
    predecessor: Option<Predecessor>,
}

/// The previous process of an upgrade.
struct Predecessor {
    stream: UnixStream,
    /// Whether it passes its UDP flows.
    offers_flows: bool,
}

impl Start {
    /// Takes the sockets that the previous process or systemd passes. Call it before anything reads stdin.
    ///
    /// # Errors
    /// They cannot be received, or elbow cannot use them.
    pub(crate) fn find() -> Result<Self, Failure> {
        let refused = |error: io::Error| {
            Failure::environment(
                format!("cannot use the sockets of the previous process: {error}"),
                "stop it, then start elbow again",
            )
        };
        if is_upgrade() {
            return Self::from_predecessor().map_err(refused);
        }
        let sockets = systemd::activated().and_then(Inherited::new);
        let sockets = sockets.map_err(|error| {
            Failure::environment(
                format!("cannot use the sockets of systemd: {error}"),
                "check the socket unit; docs/upgrade.md has an example",
            )
        })?;
        Ok(Self {
            sockets: Arc::new(sockets),
            ..Self::default()
        })
    }

    fn from_predecessor() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let (message, sockets) = message::receive(&stream)?;
        pipes::restore(message.pipes);
        Ok(Self {
            sockets: Arc::new(Inherited::new(sockets)?),
            heritage: message.heritage,
            predecessor: Some(Predecessor {
                stream,
                offers_flows: message.offers_flows,
            }),
        })
    }

    /// Whether another process serves until this one is ready. Then this one has to serve all of it, or nothing.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.predecessor.is_some()
    }

    /// The sockets.
    pub(crate) fn sockets(&self) -> &Arc<Inherited> {
        &self.sockets
    }

    /// Lets `plane`, which serves nothing yet, use the sockets. If there are any, it accepts no connection until
    /// [`Self::accept`].
    pub(crate) fn inherit(&self, plane: &Plane) {
        if self.sockets.is_empty() && !self.is_upgrade() {
            return;
        }
        plane.inherit(Arc::clone(&self.sockets), &self.heritage);
    }

    /// Accepts connections; in an upgrade as soon as the previous process says so.
    ///
    /// # Errors
    /// The previous process has ended or given up.
    pub(crate) async fn accept(self, plane: &Plane) -> Result<(), Failure> {
        let mut flows = Vec::new();
        if let Some(predecessor) = &self.predecessor {
            let settled = async {
                while !plane.is_settled() {
                    tokio::time::sleep(POLL).await;
                }
            };
            // Targets that are silent for longer are not healthy.
            let _ = tokio::time::timeout(SETTLE_TIMEOUT, settled).await;
            flows = predecessor.agree().map_err(|error| {
                Failure::environment(
                    format!("the previous process does not hand over: {error}"),
                    "check whether it still serves",
                )
            })?;
        }
        plane.accept(flows);
        for socket in self.sockets.close() {
            if self.predecessor.is_some() {
                info!(
                    "closing socket {socket} of the previous process: no listener uses it any more"
                );
            } else {
                warn!("closing socket {socket} of systemd: no listener has this address");
            }
        }
        Ok(())
    }
}

impl Predecessor {
    /// Says READY, receives UDP flows and waits for GO.
    fn agree(&self) -> io::Result<Vec<UdpFlow>> {
        let mut stream = &self.stream;
        let flows = if self.offers_flows {
            stream.write_all(&[READY_FOR_FLOWS])?;
            flows::receive(stream)?
        } else {
            stream.write_all(&[READY])?;
            Vec::new()
        };
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        match answer {
            [GO] => Ok(flows),
            _ => Err(io::Error::other("unexpected answer")),
        }
    }
}

/// Whether the parent of this process is an elbow that hands over. Further descendants have the variable, too.
fn is_upgrade() -> bool {
    let parent = env::var(UPGRADE).ok().and_then(|id| id.parse().ok());
    parent.is_some() && parent == getppid().map(|id| id.as_raw_nonzero().get())
}
