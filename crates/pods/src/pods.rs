use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::certificate::Identity;
use crate::options::{Kind, Options};
use crate::plan::Plan;
use crate::port::Port;
use crate::{Error, embedded, minio};

/// How long pending file system work may take at shutdown.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// A pod and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `minio-0`, `minio-1`, ...
    pub name: String,
    /// The S3 endpoint, under TLS.
    pub s3: SocketAddr,
    /// The console.
    pub console: SocketAddr,
    /// Whether the console uses TLS, with the same certificate.
    pub console_tls: bool,
    /// The pod's self-signed certificate.
    pub certificate_pem: String,
}

/// Running pods; dropping it ends them.
#[derive(Debug)]
pub struct Pods {
    pods: Vec<Pod>,
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Command {
    pod: usize,
    change: Change,
    done: oneshot::Sender<Result<(), Error>>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Start,
    Stop,
}

impl Pods {
    /// Starts pods and waits until all of them serve. Dropping the future ends them.
    pub async fn launch(options: Options) -> Result<Self, Error> {
        let (commands, queue) = mpsc::unbounded_channel();
        let (ready, launched) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("pods".into())
            .spawn(move || run(&options, queue, ready))
            .map_err(|e| Error::Thread(Some(e)))?;
        let mut pods = Self {
            pods: Vec::new(),
            commands: Some(commands),
            thread: Some(thread),
        };
        // If this future is dropped, `launched` is dropped first, which tells the thread.
        pods.pods = launched.await.map_err(|_| Error::Thread(None))??;
        Ok(pods)
    }

    /// All pods, including stopped ones.
    pub fn list(&self) -> &[Pod] {
        &self.pods
    }

    /// Starts the pod `name` on its ports and waits until it serves; does nothing if it runs.
    pub async fn start(&self, name: &str) -> Result<(), Error> {
        self.change(name, Change::Start).await
    }

    /// Stops the pod `name` as if it had been killed: connections are cut, new ones refused. The pod keeps
    /// its ports. Does nothing if it does not run.
    pub async fn stop(&self, name: &str) -> Result<(), Error> {
        self.change(name, Change::Stop).await
    }

    async fn change(&self, name: &str, change: Change) -> Result<(), Error> {
        let pod = self.pods.iter().position(|p| p.name == name);
        let pod = pod.ok_or_else(|| Error::UnknownPod(name.to_owned()))?;
        let (done, result) = oneshot::channel();
        let command = Command { pod, change, done };
        let sent = self.commands.as_ref().map(|c| c.send(command));
        match sent {
            Some(Ok(())) => result.await.map_err(|_| Error::Thread(None))?,
            _ => Err(Error::Thread(None)),
        }
    }

    /// Ends all pods and waits until they are gone; their folder stays.
    pub fn shutdown(self) {}
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

type Ready = oneshot::Sender<Result<Vec<Pod>, Error>>;

/// The pods' thread.
fn run(options: &Options, queue: mpsc::UnboundedReceiver<Command>, ready: Ready) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // The receiver may be gone.
            let _ = ready.send(Err(Error::Thread(Some(error))));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, serve(options, queue, ready));
    runtime.shutdown_timeout(END_TIMEOUT);
}

async fn serve(options: &Options, mut queue: mpsc::UnboundedReceiver<Command>, mut ready: Ready) {
    let launched = tokio::select! {
        launched = launch(options) => launched,
        () = ready.closed() => return,
    };
    let backends = match launched {
        Ok((pods, backends)) => {
            if ready.send(Ok(pods)).is_err() {
                return;
            }
            Rc::new(backends)
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    while let Some(command) = queue.recv().await {
        let backends = Rc::clone(&backends);
        // A slow start does not delay the stop of other pods.
        tokio::task::spawn_local(async move {
            let result = match (backends.get(command.pod), command.change) {
                (Some(backend), Change::Start) => backend.start().await,
                (Some(backend), Change::Stop) => {
                    backend.stop().await;
                    Ok(())
                }
                (None, _) => Err(Error::Thread(None)),
            };
            // The caller may be gone.
            let _ = command.done.send(result);
        });
    }
    for backend in backends.iter() {
        backend.stop().await;
    }
}

enum Backend {
    Embedded(embedded::Server),
    Minio(Box<minio::Process>),
}

impl Backend {
    async fn start(&self) -> Result<(), Error> {
        match self {
            Self::Embedded(server) => server.start(),
            Self::Minio(process) => {
                process.spawn()?;
                process.is_live().await
            }
        }
    }

    async fn stop(&self) {
        match self {
            Self::Embedded(server) => server.stop().await,
            Self::Minio(process) => process.stop().await,
        }
    }
}

async fn launch(options: &Options) -> Result<(Vec<Pod>, Vec<Backend>), Error> {
    fs::create_dir_all(&options.folder).map_err(Error::write(&options.folder))?;
    let mut pods = Vec::with_capacity(options.count);
    let mut plans = Vec::with_capacity(options.count);
    for number in 0..options.count {
        let name = format!("minio-{number}");
        let plan = Plan {
            identity: Identity::new(&name, &options.names)?,
            s3: Port::reserve().map_err(Error::Listen)?,
            console: Port::reserve().map_err(Error::Listen)?,
            name: name.clone(),
        };
        pods.push(Pod {
            name,
            s3: plan.s3.address(),
            console: plan.console.address(),
            console_tls: !matches!(options.kind, Kind::Embedded { lenient: false, .. }),
            certificate_pem: plan.identity.certificate_pem.clone(),
        });
        plans.push(plan);
    }
    let backends = match &options.kind {
        Kind::Embedded { shared, lenient } => launch_embedded(options, *shared, *lenient, plans)?,
        Kind::Minio { program } => launch_minio(options, program, plans).await?,
    };
    Ok((pods, backends))
}

fn launch_embedded(
    options: &Options,
    shared: bool,
    lenient: bool,
    plans: Vec<Plan>,
) -> Result<Vec<Backend>, Error> {
    let service = |folder: PathBuf| {
        fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
        embedded::service(&folder, &options.access_key, &options.secret_key)
    };
    let common = shared
        .then(|| service(options.folder.join("shared")))
        .transpose()?;
    let mut backends = Vec::with_capacity(plans.len());
    for plan in plans {
        let service = match &common {
            Some(service) => service.clone(),
            None => service(options.folder.join(&plan.name).join("data"))?,
        };
        let server = embedded::Server::new(plan, service, lenient)?;
        server.start()?;
        backends.push(Backend::Embedded(server));
    }
    Ok(backends)
}

async fn launch_minio(
    options: &Options,
    program: &Path,
    plans: Vec<Plan>,
) -> Result<Vec<Backend>, Error> {
    let processes = minio::prepare(options, program, plans).await?;
    for process in &processes {
        process.spawn()?;
    }
    for process in &processes {
        process.is_complete().await?;
    }
    let boxed = processes.into_iter().map(Box::new);
    Ok(boxed.map(Backend::Minio).collect())
}

#[cfg(test)]
mod tests;
