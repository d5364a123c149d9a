//! Starts the new process and hands over to it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use elbow_plane::{Plane, UdpFlow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::control::{Client, Control, Order};
use super::program::Program;
use super::{GO, READY, READY_FOR_FLOWS, flows, message};
use crate::process::Failure;
use crate::sockets::Sockets;
use crate::{pipes, systemd};

/// How long a new process may take to be ready, unless `elbow upgrade --timeout` says otherwise.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a process hands over.
#[derive(Clone)]
pub(crate) struct Handing {
    pub(crate) plane: Arc<Plane>,
    pub(crate) sockets: Arc<Sockets>,
}

/// Requests to hand over: SIGUSR2 and `elbow upgrade`.
pub(crate) struct Upgrades {
    signal: Signal,
    control: Control,
    program: Program,
}

impl Upgrades {
    /// Replaces the default action of SIGUSR2, which ends the process, and opens the control socket.
    ///
    /// # Errors
    /// The signal cannot be handled.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signal = signal(SignalKind::user_defined2())
            .map_err(|e| Failure::environment(e, "raise the limit of open files (ulimit -n)"))?;
        Ok(Self {
            signal,
            control: Control::open(),
            program: Program::current(),
        })
    }

    /// Waits until another process has taken over from this one, and accepts connections on the sockets of `handing`. A
    /// failed upgrade changes nothing.
    pub(crate) async fn handed_over(&mut self, handing: &Handing) {
        loop {
            let (order, client) = tokio::select! {
                _ = self.signal.recv() => (Order::default(), None),
                (order, client) = self.control.next() => (order, Some(client)),
            };
            let result = upgrade(self.program.clone(), handing.clone(), order).await;
            match &result {
                Ok(process) => {
                    handing.sockets.release();
                    systemd::notify(&format!("MAINPID={process}\n"));
                    info!(process, "another process has taken over");
                }
                Err(reason) => warn!("not upgraded, this process goes on serving: {reason}"),
            }
            let is_over = result.is_ok();
            if let Some(client) = client {
                Client::answer(client, result).await;
            }
            if is_over {
                return;
            }
        }
    }
}

/// Hands over on a thread of its own, where it may block; returns the id of the new process.
async fn upgrade(program: Program, handing: Handing, order: Order) -> Result<u32, String> {
    let (sender, result) = oneshot::channel();
    let run = move || {
        let generation = || handing.plane.view().generation();
        let before = generation();
        let mut result = hand_over(&program, &handing, &order);
        if result.is_err() && generation() != before {
            // Both processes may have tried to open the same new listener.
            info!("the configuration has changed meanwhile; trying again");
            result = hand_over(&program, &handing, &order);
        }
        // Without a receiver this process is ending.
        let _ = sender.send(result);
    };
    let thread = thread::Builder::new().name("upgrade".into()).spawn(run);
    thread.map_err(|error| error.to_string())?;
    let panicked = |_| Err("handing over panicked".to_owned());
    result.await.unwrap_or_else(panicked)
}

fn hand_over(program: &Program, handing: &Handing, order: &Order) -> Result<u32, String> {
    let own = std::process::id();
    if own == 1 {
        return Err(
            "elbow is process 1 of its container, which would end with it; replace the container instead".to_owned(),
        );
    }
    info!("starting another process to take over");
    let mut sockets = handing.plane.copies().map_err(|e| e.to_string())?;
    sockets.extend(handing.sockets.copies().map_err(|e| e.to_string())?);
    let (stream, other) = UnixStream::pair().map_err(|e| e.to_string())?;
    let child = program.start(order.binary.as_deref(), other.into())?;
    let mut successor = Successor {
        stream,
        child: Some(child),
    };
    let timeout = order.timeout.unwrap_or(READY_TIMEOUT);
    let ready = successor.prepare(&sockets, handing, timeout);
    let takes_flows = ready.map_err(|error| successor.failure(&error, timeout))?;
    if !takes_flows {
        let gone = successor.go();
        return gone.map_err(|error| successor.failure(&error, timeout));
    }
    let plane = &handing.plane;
    let mut taken = plane.take_flows().map_err(|error| error.to_string())?;
    let result = successor.take_over(&mut taken);
    // Flows that have arrived are served elsewhere now, and the others go on here until they are quiet.
    plane.return_flows(taken, result.is_ok());
    result.map_err(|error| successor.failure(&error, flows::TIME))
}

/// The new process. It is killed unless it takes over.
struct Successor {
    stream: UnixStream,
    child: Option<Child>,
}

impl Successor {
    /// Sends `sockets` and what else it has to know, and waits until it is ready; returns whether it takes UDP flows over.
    fn prepare(
        &mut self,
        sockets: &[(String, std::os::fd::OwnedFd)],
        handing: &Handing,
        timeout: Duration,
    ) -> io::Result<bool> {
        self.stream.set_write_timeout(Some(timeout))?;
        self.stream.set_read_timeout(Some(timeout))?;
        message::send(
            &self.stream,
            sockets,
            handing.plane.heritage(),
            pipes::texts(),
        )?;
        let mut answer = [0];
        self.stream.read_exact(&mut answer)?;
        match answer {
            [READY] => Ok(false),
            [READY_FOR_FLOWS] => Ok(true),
            _ => Err(io::Error::other("it is not an elbow that can take over")),
        }
    }

    /// Passes the flows of each worker, removes those that have arrived, and lets it accept connections; returns its process id.
    fn take_over(&mut self, taken: &mut [Vec<UdpFlow>]) -> io::Result<u32> {
        self.stream.set_write_timeout(Some(flows::TIME))?;
        self.stream.set_read_timeout(Some(flows::TIME))?;
        let mut arrived = flows::send(&self.stream, taken)?;
        let process = self.go()?;
        for of_worker in taken {
            let kept = of_worker.len().saturating_sub(arrived);
            arrived -= of_worker.len() - kept;
            of_worker.truncate(kept);
        }
        Ok(process)
    }

    /// Lets it accept connections; returns its process id.
    fn go(&mut self) -> io::Result<u32> {
        self.stream.write_all(&[GO])?;
        // It survives this process.
        let child = self.child.take();
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        Ok(child.ok_or_else(ended)?.id())
    }

    /// Ends it; returns why it cannot take over.
    fn failure(&mut self, error: &io::Error, timeout: Duration) -> String {
        let is_late = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        );
        if is_late {
            return format!("the new process was not ready within {timeout:?}");
        }
        let is_gone = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
        );
        let status = self.child.as_mut().filter(|_| is_gone);
        // It has closed its end, which it does only when it ends.
        match status.and_then(|child| child.wait().ok()) {
            Some(status) => format!("the new process ended with {status}; its log says why"),
            None => format!("the new process failed: {error}"),
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
