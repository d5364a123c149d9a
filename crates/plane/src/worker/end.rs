//! Ends the connections of a worker.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::context::WorkerContext;
use super::datagrams::UdpSockets;
use crate::message::Command;

/// How long connections may take to end after the drain, before they are dropped.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Waits until the last connection has ended, or for the command to stop.
pub(super) async fn drain(
    context: &WorkerContext,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    datagrams: &UdpSockets,
) {
    while context.open.get() > 0 {
        tokio::select! {
            () = context.closed.notified() => {}
            command = commands.recv() => match command {
                None | Some(Command::Stop) => return,
                // Connections to a target may be terminated while the last ones finish.
                Some(Command::Wake) => {
                    context.worker.timers.wake_all();
                    datagrams.end_terminated();
                }
                Some(_) => {}
            }
        }
    }
}

/// Ends the remaining connections, so that each is counted and logged.
pub(super) async fn stop(context: &WorkerContext) {
    let open = context.open.get();
    if open == 0 {
        return;
    }
    warn!(worker = context.worker.id, open, "ending open connections");
    context.worker.stop();
    let ended = async {
        while context.open.get() > 0 {
            context.closed.notified().await;
        }
    };
    // The runtime drops the rest.
    let _ = tokio::time::timeout(STOP_GRACE, ended).await;
}
