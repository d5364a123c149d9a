use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::certificate::Identity;
use crate::plan::Plan;
use crate::port::Port;
use crate::{Error, Options, probe};

/// How long a process may take to start; a busy machine takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The time between probes of a starting process.
const PAUSE: Duration = Duration::from_millis(50);
/// The fewest processes that form a distributed deployment that survives the loss of one.
const MIN_DISTRIBUTED: usize = 4;
/// The number of log lines shown in an error.
const LOG_LINES: usize = 15;

/// 200 if the process serves.
const LIVE: &str = "/minio/health/live";
/// 200 if the deployment has a quorum and accepts writes.
const CLUSTER: &str = "/minio/health/cluster";
/// 200 if the deployment would keep its quorum without this process: the process sees all others. A quorum alone is too
/// little at a start: one process may write to three stores while another reads from the fourth, and does not find what
/// was written.
const CLUSTER_WITHOUT_THIS: &str = "/minio/health/cluster?maintenance=true";

/// The program `minio` on `PATH`.
pub fn find_minio() -> Option<PathBuf> {
    on_path("minio")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| executable(file).is_ok())
}

/// Checks that a program can be run; `setpriv` would report the failure in its own words.
fn executable(program: &Path) -> io::Result<()> {
    let metadata = program.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

/// A pod that is a MinIO process.
pub(crate) struct Process {
    name: String,
    command: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    log: PathBuf,
    s3: Port,
    _console: Port,
    tls: Arc<ClientConfig>,
    distributed: bool,
    child: RefCell<Option<Child>>,
}

/// Prepares folders and commands of one deployment, or of separate stores if there are too few pods.
pub(crate) async fn prepare(
    options: &Options,
    program: &Path,
    plans: Vec<Plan>,
) -> Result<Vec<Process>, Error> {
    executable(program).map_err(|source| Error::Run {
        program: program.to_owned(),
        source,
    })?;
    let data = |plan: &Plan| options.folder.join(&plan.name).join("data");
    let distributed = plans.len() >= MIN_DISTRIBUTED;
    let endpoints: Vec<OsString> = plans
        .iter()
        .map(|plan| {
            let mut endpoint = OsString::from(format!("https://{}", plan.s3.address()));
            endpoint.push(data(plan));
            endpoint
        })
        .collect();
    let certificates: Vec<String> = plans
        .iter()
        .map(|p| p.identity.certificate_pem.clone())
        .collect();
    let prefix = dies_with_parent().await;

    let mut processes = Vec::with_capacity(plans.len());
    for plan in plans {
        let folder = options.folder.join(&plan.name);
        let certs = folder.join("certs");
        let own_data = data(&plan);
        fs::create_dir_all(&own_data).map_err(Error::write(&own_data))?;
        write_certificates(&certs, &plan.identity, &certificates)?;
        let stores = if distributed {
            endpoints.clone()
        } else {
            vec![own_data.into()]
        };
        let arguments = arguments(&certs, plan.s3.address(), plan.console.address());
        let command = prefix.iter().cloned().chain([program.into()]);
        processes.push(Process {
            command: command.chain(arguments).chain(stores).collect(),
            environment: environment(options, &folder, plan.s3.address()),
            log: folder.join("log"),
            tls: Arc::new(plan.identity.client()?),
            name: plan.name,
            s3: plan.s3,
            _console: plan.console,
            distributed,
            child: RefCell::new(None),
        });
    }
    Ok(processes)
}

fn arguments(certs: &Path, s3: SocketAddr, console: SocketAddr) -> [OsString; 8] {
    [
        "server".into(),
        "--quiet".into(),
        "--address".into(),
        s3.to_string().into(),
        "--console-address".into(),
        console.to_string().into(),
        "--certs-dir".into(),
        certs.into(),
    ]
}

/// The environment of MinIO. It inherits nothing else, because every setting of MinIO can be a variable.
fn environment(options: &Options, folder: &Path, s3: SocketAddr) -> Vec<(&'static str, OsString)> {
    let mut environment = vec![
        ("HOME", folder.into()),
        ("MINIO_ROOT_USER", options.access_key.clone().into()),
        ("MINIO_ROOT_PASSWORD", options.secret_key.clone().into()),
        ("MINIO_UPDATE", "off".into()),
        // Lets a deployment keep its data on the system disk.
        ("MINIO_CI_CD", "1".into()),
        // In a container MinIO waits for an address beyond loopback unless this says that the
        // endpoint is its own.
        ("_MINIO_SERVER_LOCAL", s3.to_string().into()),
    ];
    environment.extend(env::var_os("PATH").map(|path| ("PATH", path)));
    environment
}

/// Writes MinIO's folder of certificates: its own certificate and key, and in `CAs` the certificates of all pods.
fn write_certificates(
    folder: &Path,
    identity: &Identity,
    siblings: &[String],
) -> Result<(), Error> {
    let authorities = folder.join("CAs");
    fs::create_dir_all(&authorities).map_err(Error::write(&authorities))?;
    for (path, text) in [
        (folder.join("public.crt"), &identity.certificate_pem),
        (folder.join("private.key"), &identity.key_pem),
        (authorities.join("pods.crt"), &siblings.concat()),
    ] {
        fs::write(&path, text).map_err(Error::write(&path))?;
    }
    Ok(())
}

/// A command prefix: `setpriv` (util-linux) makes the kernel kill a process when its parent dies, for whatever
/// reason. Without it, pods still end with [`Pods`](crate::Pods), but not when elbow is killed.
async fn dies_with_parent() -> Vec<OsString> {
    let Some(setpriv) = on_path("setpriv") else {
        return Vec::new();
    };
    let prefix = [
        setpriv.into(),
        "--pdeathsig".into(),
        "KILL".into(),
        "--".into(),
    ];
    let probe = Command::new(&prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    match probe {
        Ok(status) if status.success() => prefix.into(),
        _ => Vec::new(),
    }
}

impl Process {
    /// Starts the process without waiting until it serves.
    pub(crate) fn spawn(&self) -> Result<(), Error> {
        let mut child = self.child.borrow_mut();
        if let Some(child) = child.as_mut()
            && matches!(child.try_wait(), Ok(None))
        {
            return Ok(());
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(Error::write(&self.log))?;
        let errors = log.try_clone().map_err(Error::write(&self.log))?;
        let run = |source: io::Error| Error::Run {
            program: self.command.first().map(PathBuf::from).unwrap_or_default(),
            source,
        };
        let mut command = Command::new(
            self.command
                .first()
                .map(OsString::as_os_str)
                .unwrap_or_default(),
        );
        command
            .args(self.command.iter().skip(1))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C is for elbow, which ends its pods after draining.
            .process_group(0)
            .kill_on_drop(true);
        *child = Some(command.spawn().map_err(run)?);
        Ok(())
    }

    /// Waits until the process serves.
    pub(crate) async fn is_live(&self) -> Result<(), Error> {
        self.answers(LIVE).await
    }

    /// Waits until the deployment accepts writes and this process sees all of its stores.
    pub(crate) async fn is_complete(&self) -> Result<(), Error> {
        let path = if self.distributed {
            CLUSTER_WITHOUT_THIS
        } else {
            CLUSTER
        };
        self.answers(path).await
    }

    async fn answers(&self, path: &str) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            self.still_runs()?;
            if probe::is_ok(self.s3.address(), &self.tls, path).await {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::NotServing {
                    pod: self.name.clone(),
                    after: START_TIMEOUT,
                    log: self.end_of_log(),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn still_runs(&self) -> Result<(), Error> {
        let mut child = self.child.borrow_mut();
        let child = child
            .as_mut()
            .ok_or_else(|| Error::Stopped(self.name.clone()))?;
        match child.try_wait() {
            Ok(Some(status)) => Err(Error::Exited {
                pod: self.name.clone(),
                status,
                log: self.end_of_log(),
            }),
            _ => Ok(()),
        }
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Kills the process and waits until it is gone.
    pub(crate) async fn stop(&self) {
        let child = self.child.borrow_mut().take();
        if let Some(mut child) = child
            && let Err(error) = child.kill().await
        {
            tracing::warn!(%error, pod = self.name, "cannot kill a pod");
        }
    }
}
