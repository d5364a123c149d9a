//! A worker thread and its commands.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc as sync_mpsc};
use std::thread;
use std::time::Duration;

use elbow_model::Transport;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tracing::error;

use crate::message::{Command, Copied};
use crate::shared::Shared;
use context::WorkerContext;
use datagrams::UdpSockets;
use sockets::TcpSockets;

mod accept;
mod context;
mod datagrams;
mod end;
mod open;
mod proxy_header;
mod sockets;

/// The plane's handle to a worker.
pub(crate) struct WorkerHandle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    running: Mutex<Option<Running>>,
}

/// Its thread.
pub(crate) struct Running {
    ended: sync_mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl WorkerHandle {
    pub(crate) fn send(&self, command: Command) {
        // A worker that has ended does not need it.
        let _ = self.commands.send(command);
    }

    /// The thread of the worker, to wait for; `None` after the first call.
    pub(crate) fn running(&self) -> Option<Running> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Running {
    /// Waits for the thread to end, for at most `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        // A worker that panicked has ended as well.
        let _ = self.ended.recv_timeout(timeout);
    }

    /// Waits for the thread to end.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            error!("a worker panicked");
        }
    }
}

/// Starts worker `id`.
pub(crate) fn spawn(id: usize, shared: Arc<Shared>) -> io::Result<WorkerHandle> {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (end, ended) = sync_mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name(format!("worker-{id}"))
        .spawn(move || {
            LocalSet::new().block_on(&runtime, run(id, shared, receiver));
            // Without a receiver the process is ending anyway.
            let _ = end.send(());
        })?;
    Ok(WorkerHandle {
        commands,
        running: Mutex::new(Some(Running { ended, thread })),
    })
}

async fn run(id: usize, shared: Arc<Shared>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let context = Rc::new(WorkerContext::new(id, shared));
    let logs = Rc::clone(&context.logs);
    spawn_local(Rc::clone(&context.worker).run_ticks(move || logs.flush()));
    spawn_local(Rc::clone(&context.worker).run_trims());
    let mut tcp = TcpSockets::new(&context);
    let mut udp = UdpSockets::new(&context);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen { key, socket, flows } => {
                let opened = match key.transport {
                    Transport::Tcp => tcp.listen(key, socket.into()),
                    Transport::Udp => udp.listen(key, socket.into(), flows),
                };
                if let Err(error) = opened {
                    error!(address = %key, %error, "cannot register a listening socket");
                }
            }
            Command::HandOver(key) => match key.transport {
                Transport::Tcp => tcp.hand_over(key),
                Transport::Udp => udp.hand_over(key),
            },
            Command::Unlisten(key) => match key.transport {
                Transport::Tcp => tcp.close(key),
                Transport::Udp => udp.close(key),
            },
            // Who asked may have stopped waiting.
            Command::Answer(to) => drop(to.send(())),
            Command::Copy(copies) => {
                let copied = tcp.copies().chain(udp.copies());
                let copied = copied.map(|(key, socket)| Copied {
                    key,
                    worker: id,
                    socket,
                });
                // Who asked may have stopped waiting.
                let _ = copies.send(copied.collect());
            }
            Command::TakeFlows(to) => {
                // Who asked may have stopped waiting.
                if let Err(flows) = to.send(udp.take_flows()) {
                    udp.return_flows(flows.0, false);
                }
            }
            Command::ReturnFlows {
                flows,
                has_successor,
            } => udp.return_flows(flows, has_successor),
            Command::Wake => {
                context.worker.timers.wake_all();
                udp.end_terminated();
            }
            Command::Drain { has_successor } => {
                if has_successor {
                    context.worker.drain_keeping_idle();
                    udp.stop_receiving();
                } else {
                    context.worker.drain();
                }
                tcp.drain().await;
                end::drain(&context, &mut commands, &udp).await;
                break;
            }
            Command::Stop => break,
        }
    }
    end::stop(&context).await;
    context.logs.flush();
}
