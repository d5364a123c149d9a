//! A worker thread and its commands.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc as sync_mpsc};
use std::thread;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tracing::error;

use crate::listener_key::ListenerKey;
use crate::message::{Command, Copied};
use crate::shared::Shared;
use accept::Socket;
use context::WorkerContext;

mod accept;
mod context;
mod end;
mod open;

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
    // A listener may have several sockets here: those of a process with more workers.
    let mut accepting: FxHashMap<ListenerKey, Vec<Socket>> = FxHashMap::default();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen { key, socket } => match TcpListener::from_std(socket) {
                Ok(listener) => {
                    let socket = Socket::new(&context, key, Rc::new(listener));
                    accepting.entry(key).or_default().push(socket);
                }
                Err(error) => error!(address = %key, %error, "cannot register a listening socket"),
            },
            Command::HandOver(key) => {
                if let Some(sockets) = accepting.remove(&key) {
                    let sockets = sockets.into_iter();
                    let again = sockets.map(|one| Socket::new(&context, key, one.stop()));
                    accepting.insert(key, again.collect());
                }
            }
            Command::Unlisten(key) => {
                for socket in accepting.remove(&key).into_iter().flatten() {
                    socket.stop();
                }
            }
            // Who asked may have stopped waiting.
            Command::Answer(to) => drop(to.send(())),
            Command::Copy(copies) => {
                let copied = accepting.iter().flat_map(|(key, sockets)| {
                    sockets.iter().map(|socket| Copied {
                        key: *key,
                        worker: id,
                        socket: socket.copy(),
                    })
                });
                // Who asked may have stopped waiting.
                let _ = copies.send(copied.collect());
            }
            Command::Wake => context.worker.timers.wake_all(),
            Command::Drain { has_successor } => {
                if has_successor {
                    context.worker.drain_keeping_idle();
                } else {
                    context.worker.drain();
                }
                for socket in accepting.drain().flat_map(|(_, sockets)| sockets) {
                    socket.drain().await;
                }
                end::drain(&context, &mut commands).await;
                break;
            }
            Command::Stop => break,
        }
    }
    end::stop(&context).await;
    context.logs.flush();
}
