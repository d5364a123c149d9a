//! How the connections of a worker end with it.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::{Command, WorkerContext};

/// What connections have to end in order after the drain; what takes longer is dropped.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Until the last connection has ended or the plane has lost patience.
pub(super) async fn drain(
    context: &WorkerContext,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) {
    while context.open.get() > 0 {
        tokio::select! {
            () = context.closed.notified() => {}
            command = commands.recv() => match command {
                None | Some(Command::Stop) => return,
                // A target may be cut while its last connections finish.
                Some(Command::Wake) => context.worker.timers.wake_all(),
                Some(_) => {}
            }
        }
    }
}

/// Ends the connections that are left, so that each is counted and logged.
pub(super) async fn stop(context: &WorkerContext) {
    let open = context.open.get();
    if open == 0 {
        return;
    }
    warn!(
        worker = context.worker.id,
        open, "ending connections that are in progress"
    );
    context.worker.stop();
    let ended = async {
        while context.open.get() > 0 {
            context.closed.notified().await;
        }
    };
    // Those that are left are dropped with the runtime.
    let _ = tokio::time::timeout(STOP_GRACE, ended).await;
}
