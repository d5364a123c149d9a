//! `elbow demo`: three load balancers, or those of manifests, in front of S3 pods on this machine, without any setup.

mod files;
mod guide;
mod keys;
mod login;
mod page;
mod provider;
mod scene;
mod screen;
mod stand_in;

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use elbow_admin::{Access, Actions, Done, Pages};
use elbow_model::addresses::{DEFAULT_IPV6_POOL, Ipv4Net};
use elbow_model::{Condition, DnsZone, Listener, Model, Patterns};
use elbow_plane::{Cause, DataPath, Options, Plane, Status, TargetGroupStatus, TargetStatus};
use elbow_pods::{Kind, Pod, Pods};
use elbow_telemetry::LineQueue;
use tokio::net::TcpListener;

use crate::args::{AccessLogArg, DEFAULT_ADMIN, DemoArgs, TextOrJson};
use crate::authority::Authority;
use crate::demo::files::Folder;
use crate::demo::login::Login;
use crate::demo::scene::Scene;
use crate::deploy::{apply_all, refused};
use crate::handover::{Handing, Start, Upgrades};
use crate::process::{Failure, LAST_WORDS};
use crate::run::{End, Signals, start_plane};
use crate::sockets::Sockets;
use crate::{dualstack, systemd};

/// The credentials of the only user of the pods.
const ACCESS_KEY: &str = "elbowdemo";
const SECRET_KEY: &str = "elbow-demo-secret";
/// The hosts in the rules of the ALB.
const MINIO_HOST: &str = "minio.example.localhost";
const CONSOLE_HOST: &str = "console.example.localhost";
/// Added to every port if ports below 1024 are not allowed.
const UNPRIVILEGED_OFFSET: u16 = 8000;
/// How long targets may take to become healthy.
const HEALTHY_TIMEOUT: Duration = Duration::from_secs(60);
/// The time between two checks of the targets.
const POLL: Duration = Duration::from_millis(50);
/// How long connections may take to finish at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until SIGINT or SIGTERM, then removes all files.
///
/// # Errors
/// The manifests have errors, or pods or load balancers cannot start.
pub(crate) fn demo(args: DemoArgs) -> Result<(), Failure> {
    crate::process::log_to_stderr("warn")?;
    let begin = Start::find()?;
    let stdout = LineQueue::start(io::stdout())
        .map_err(|e| Failure::environment(e, "raise the limits of threads and open files"))?;
    let stdout = STDOUT.get_or_init(|| stdout);
    let shown = show(args, begin);
    stdout.flush(LAST_WORDS);
    shown
}

fn show(args: DemoArgs, begin: Start) -> Result<(), Failure> {
    let text = args.output == TextOrJson::Text;
    let scene = Scene::new(&args)?;
    let default = if scene.is_own() { "auto" } else { "never" };
    let minio = find_minio(args.minio.as_deref().unwrap_or(default))?;
    if text {
        let what = minio
            .as_ref()
            .map_or_else(|| "embedded".into(), |p| p.display().to_string());
        say(&format!(
            "elbow demo: starting {} S3 pods ({what}) …",
            args.pods
        ));
    }
    let folder = Folder::create(args.dir.clone()).map_err(|e| {
        Failure::environment(
            format!("cannot create the folder of the demo: {e}"),
            "name another with --dir",
        )
    })?;
    crate::process::runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let mut upgrades = Upgrades::listen()?;
        let pods = tokio::select! {
            pods = start_pods(&args, minio, &folder) => pods?,
            () = signals.until_stop(|| {}) => {
                folder.remove();
                return Ok(());
            }
        };
        let own = scene.is_own();
        let set = Stage::set(scene, &args, pods.list(), &folder, &begin);
        let stage = match set.await {
            Ok(stage) => stage,
            Err(failure) => {
                pods.shutdown();
                folder.remove();
                return Err(failure);
            }
        };
        let demo = Demo::start(pods, folder, stage, own);
        let handing = demo.handing();
        let present = async {
            let status = demo.until_healthy().await?;
            begin.accept(&demo.plane).await?;
            systemd::ready();
            demo.present(text, &status).await;
            Ok(())
        };
        let (end, presented) = tokio::select! {
            presented = present => (End::Stopped, presented),
            () = signals.until_stop(|| {}) => (End::Stopped, Ok(())),
            () = upgrades.handed_over(&handing) => (End::HandedOver, Ok(())),
        };
        drop(handing);
        demo.end(signals, end).await;
        presented
    })
}

/// Standard output. Writing does not block, because nobody may read the pipe.
static STDOUT: OnceLock<LineQueue> = OnceLock::new();

fn say(line: &str) {
    print(format!("{line}\n"));
}

fn print(lines: String) {
    if let Some(stdout) = STDOUT.get() {
        stdout.push(lines.into_bytes());
    }
}

fn find_minio(asked: &str) -> Result<Option<PathBuf>, Failure> {
    match asked {
        "never" => Ok(None),
        "auto" => Ok(elbow_pods::find_minio()),
        path if Path::new(path).is_file() => Ok(Some(path.into())),
        path => Err(Failure::environment(
            format!("--minio {path}: no such file"),
            "give the path of a minio binary, or --minio never for embedded pods",
        )),
    }
}

async fn start_pods(
    args: &DemoArgs,
    minio: Option<PathBuf>,
    folder: &Folder,
) -> Result<Pods, Failure> {
    let options = elbow_pods::Options {
        count: usize::from(args.pods),
        folder: folder.file(files::PODS),
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        names: Vec::new(),
        // All pods of a deployment have the same objects.
        kind: match minio {
            Some(program) => Kind::Minio { program },
            None => Kind::Embedded {
                shared: true,
                // Services of manifests choose HTTP or HTTPS.
                lenient: !args.manifests.is_empty(),
            },
        },
    };
    Pods::launch(options).await.map_err(|e| {
        let hint = "use embedded pods with --minio never";
        Failure::environment(format!("cannot start the pods: {e}"), hint)
    })
}

/// The pods and the names of stopped ones. Keys and `POST /demo/pods/minio-0/stop` or `/start` switch them.
struct Switch {
    pods: Pods,
    stopped: Mutex<HashSet<String>>,
}

impl Switch {
    fn is_stopped(&self, name: &str) -> bool {
        self.stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    async fn set(self: Arc<Self>, name: String, stop: bool) -> Result<String, String> {
        let done = if stop {
            self.pods.stop(&name).await
        } else {
            self.pods.start(&name).await
        };
        done.map_err(|e| e.to_string())?;
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if stop {
            stopped.insert(name.clone());
        } else {
            stopped.remove(&name);
        }
        Ok(format!(
            "{name} {}",
            if stop { "stopped" } else { "started" }
        ))
    }
}

/// The switch for the admin address.
struct PodActions(Arc<Switch>);

impl Actions for PodActions {
    fn post(&self, path: &str) -> Option<Done> {
        let (name, action) = path.strip_prefix("/demo/pods/")?.split_once('/')?;
        let stop = match action {
            "stop" => true,
            "start" => false,
            _ => return None,
        };
        Some(Box::pin(Arc::clone(&self.0).set(name.to_owned(), stop)))
    }
}

/// The hosts in the rules of `listener`, without patterns.
fn hosts_of(listener: &Listener) -> impl Iterator<Item = &str> {
    let conditions = listener.rules.iter().flat_map(|rule| &rule.conditions);
    let hosts = conditions.filter_map(|condition| match condition {
        Condition::HostHeader(Patterns::Wildcards(hosts)) => Some(hosts),
        _ => None,
    });
    let mut seen = HashSet::new();
    hosts
        .flatten()
        .map(|host| &**host)
        .filter(|host| !host.contains(['*', '?']))
        .filter(move |host| seen.insert(*host))
}

/// A running demo.
struct Demo {
    /// Whether the load balancers are those of the demo itself.
    own: bool,
    switch: Arc<Switch>,
    plane: Arc<Plane>,
    folder: Folder,
    admin: SocketAddr,
    sockets: Arc<Sockets>,
    port_offset: u16,
    /// Where a browser finds the login.
    login: Option<String>,
}

/// The parts that serve.
struct Stage {
    plane: Arc<Plane>,
    admin: (TcpListener, SocketAddr),
    sockets: Arc<Sockets>,
    port_offset: u16,
    login: Option<Login>,
}

impl Stage {
    async fn set(
        scene: Scene,
        args: &DemoArgs,
        pods: &[Pod],
        folder: &Folder,
        begin: &Start,
    ) -> Result<Self, Failure> {
        let port_offset = if may_bind_low_ports() {
            0
        } else {
            UNPRIVILEGED_OFFSET
        };
        let login = if args.login {
            Some(bind_login(port_offset).await?)
        } else {
            None
        };
        let model = scene
            .model(pods, folder, port_offset, login.as_ref())
            .await?;
        let sockets = Sockets::new(begin.sockets());
        let plane = serve(&model, args.address_pool, port_offset, begin)?;
        if login.is_some() {
            trust_own_certificates(&plane, folder)?;
        }
        Ok(Self {
            plane: Arc::new(plane),
            admin: bind_admin(&sockets).await?,
            sockets,
            port_offset,
            login,
        })
    }
}

impl Demo {
    fn start(pods: Pods, folder: Folder, stage: Stage, own: bool) -> Self {
        let Stage {
            plane,
            admin: (listener, admin),
            sockets,
            port_offset,
            login,
        } = stage;
        let switch = Arc::new(Switch {
            pods,
            stopped: Mutex::default(),
        });
        let actions = Arc::new(PodActions(Arc::clone(&switch)));
        let pages = Pages::new(plane.view(), actions);
        sockets.serve(pages.serve(listener, Access::default()));
        let login = login.map(|login| {
            let url = login.url().to_owned();
            sockets.serve(login.serve());
            url
        });
        Self {
            own,
            switch,
            plane,
            folder,
            admin,
            sockets,
            port_offset,
            login,
        }
    }

    fn handing(&self) -> Handing {
        Handing {
            plane: Arc::clone(&self.plane),
            sockets: Arc::clone(&self.sockets),
        }
    }

    fn pods(&self) -> &[Pod] {
        self.switch.pods.list()
    }

    /// Shows the demo until the user quits; with JSON output, until the process ends.
    async fn present(&self, text: bool, status: &Status) {
        if text && self.own {
            screen::introduce(self, status);
            screen::live(self).await;
        } else if text {
            guide::introduce(self, status);
            screen::live(self).await;
        } else {
            say(&screen::json(self, status).to_string());
            std::future::pending::<()>().await;
        }
    }

    /// Waits until every target is healthy. Health checks of manifests may fail at the pods, so there it waits until
    /// every target has a result.
    async fn until_healthy(&self) -> Result<Status, Failure> {
        let is_ready = |group: &TargetGroupStatus| {
            if self.own {
                group.healthy == group.targets.len()
            } else {
                group.targets.iter().all(has_result)
            }
        };
        let ready = async {
            loop {
                let status = self.plane.view().status();
                if status.target_groups.iter().all(is_ready) {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(HEALTHY_TIMEOUT, ready).await {
            Ok(status) => Ok(status),
            Err(_) if self.own => {
                let hint = "see the reasons with `elbow get targets -o wide`";
                let what = "not every pod became healthy in time";
                Err(Failure::environment(what, hint))
            }
            Err(_) => Ok(self.plane.view().status()),
        }
    }

    /// Drains, stops the pods and removes the folder; a second signal ends the draining.
    async fn end(self, signals: Signals, end: End) {
        signals.drain(&self.plane, DRAIN_TIMEOUT, end).await;
        self.sockets.release();
        // Requests in progress drop their switches with the runtime. The folder is removed last.
        let Self { switch, folder, .. } = self;
        if let Some(switch) = Arc::into_inner(switch) {
            switch.pods.shutdown();
        }
        folder.remove();
    }
}

/// Whether health checks have a result. Until then, an instance of a Classic Load Balancer is out of service with the
/// reason "ELB".
fn has_result(target: &TargetStatus) -> bool {
    target.state != "initial" && target.reason.as_deref() != Some("ELB")
}

/// Starts a plane with `pool`, or with the first free pool, so that several demos can run at once.
fn serve(
    model: &Model,
    pool: Option<Ipv4Net>,
    port_offset: u16,
    begin: &Start,
) -> Result<Plane, Failure> {
    let default_pool = |third| Ipv4Net::new_assert(Ipv4Addr::new(127, 0, third, 0), 24);
    let pools = pool.map_or_else(|| (10..20).map(default_pool).collect(), |pool| vec![pool]);
    let mut last = None;
    for address_pool in pools {
        let options = Options {
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            address_pool,
            ipv6: dualstack::source(DEFAULT_IPV6_POOL, address_pool),
            port_offset,
            data_path: DataPath::Auto,
            dns: DnsZone::default(),
            max_connections: None,
            targets_within: true,
            drain_timeout: DRAIN_TIMEOUT,
        };
        let plane = start_plane(options, &AccessLogArg::Off)?;
        begin.inherit(&plane);
        match apply_all(&plane, model.clone()) {
            Ok(()) => return Ok(plane),
            Err(failure) => {
                plane.drain(Duration::ZERO);
                let is_taken = |cause: &Cause| matches!(cause, Cause::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse);
                if !failure.failures.iter().all(|one| is_taken(&one.cause)) {
                    return Err(refused(&failure));
                }
                last = Some(failure);
            }
        }
    }
    Err(last.as_ref().map_or(Failure::Input, refused))
}

fn may_bind_low_ports() -> bool {
    let probe = std::net::TcpListener::bind("127.0.9.254:443");
    !matches!(probe, Err(e) if e.kind() == io::ErrorKind::PermissionDenied)
}

async fn bind_login(port_offset: u16) -> Result<Login, Failure> {
    let refused = |error| {
        let what = format!("cannot listen for the login of the demo: {error}");
        Failure::environment(what, "end other demos, or leave --login out")
    };
    Login::bind(port_offset).await.map_err(refused)
}

/// Lets the load balancers ask the provider of the demo, whose certificate the demo's authority issued.
fn trust_own_certificates(plane: &Plane, folder: &Folder) -> Result<(), Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        let what = format!("cannot trust the certificates of the demo: {error}");
        Failure::environment(what, "name another folder with --dir")
    };
    let authority = Authority::open(&folder.authority()).map_err(|error| unusable(&error))?;
    let trusted = plane.trust_identity_providers(authority.pem());
    trusted.map_err(|error| unusable(&error))
}

/// Binds the default admin address, or any free port if it is taken.
async fn bind_admin(sockets: &Sockets) -> Result<(TcpListener, SocketAddr), Failure> {
    let refused =
        |e| Failure::environment(format!("admin address: {e}"), "check that 127.0.0.1 exists");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = match sockets
        .tcp("admin", DEFAULT_ADMIN.parse().unwrap_or(any))
        .await
    {
        Ok(listener) => listener,
        Err(_) => sockets.tcp("admin", any).await.map_err(refused)?,
    };
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}
