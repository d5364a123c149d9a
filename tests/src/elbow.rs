//! The program under test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, fs};

use rustix::process::Signal;
use serde_json::Value;

use crate::address::network;
use crate::command::{Running, beside_tests, stdout};
use crate::{Ca, Client, Response, TempDir, address, client, wait};

/// The `elbow` binary: `$ELBOW_BIN`, or the one beside this test program, which `cargo build -p elbow` makes.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("ELBOW_BIN") {
        return path.into();
    }
    beside_tests("elbow")
}

/// `elbow` with these arguments and a clean environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args);
    with_environment(command)
}

/// The same with a limit of `files` open files.
fn command_with_open_files(files: u32, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let limit = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    command.args(["-c", &limit]).arg(binary()).args(args);
    with_environment(command)
}

fn with_environment(mut command: Command) -> Command {
    command
        .env_remove("RUST_LOG")
        // Do not use the local CA of this machine's user.
        .env("ELBOW_CA_DIR", env::temp_dir().join("elbow-test-ca"))
        .env("NO_COLOR", "1");
    command
}

/// `elbow demo` with addresses that no other test uses.
pub fn demo(args: &[&str]) -> Command {
    let mut command = command(&["demo", "--address-pool", &network()]);
    command.args(args);
    command
}

/// The cluster and the addresses of an `elbow controller`, to restart it with the same ones.
#[derive(Clone, Debug)]
pub struct Place {
    kubeconfig: PathBuf,
    admin: SocketAddr,
    pool: String,
}

impl Place {
    /// Addresses that no other test uses.
    pub fn new(kubeconfig: PathBuf) -> Self {
        Self {
            kubeconfig,
            admin: SocketAddr::from((address(), 9901)),
            pool: network(),
        }
    }

    /// Another replica: an admin address of its own, and the same pool of addresses.
    #[must_use]
    pub fn replica(&self) -> Self {
        Self {
            admin: SocketAddr::from((address(), 9901)),
            ..self.clone()
        }
    }

    /// The pool of addresses of load balancers, a network of 14.
    pub fn pool(&self) -> &str {
        &self.pool
    }
}

/// A running `elbow run` or `elbow controller`, with its own configuration folder.
pub struct Elbow {
    running: Running,
    admin: SocketAddr,
    dir: TempDir,
}

impl Elbow {
    /// Runs `config` and waits until every listener serves.
    pub fn run(config: &Value) -> Self {
        Self::run_with(config, &[])
    }

    /// Runs `config` with more arguments.
    pub fn run_with(config: &Value, args: &[&str]) -> Self {
        Self::run_in(TempDir::new(), config, args)
    }

    /// Runs `config` with more arguments, and `data` as the folder of the user's data.
    pub fn run_with_data(config: &Value, data: &str, args: &[&str]) -> Self {
        let dir = TempDir::new();
        let file = dir.write("elbow.yaml", config.to_string());
        let admin = SocketAddr::from((address(), 9901));
        let mut command = command(&["run", "--config", file.to_str().unwrap()]);
        command.args(args).env("ELBOW_CA_DIR", data);
        Self::spawn(dir, Stdio::null(), admin, &mut command)
    }

    /// Runs `config` with a limit of `files` open files.
    pub fn run_with_open_files(config: &Value, files: u32) -> Self {
        let dir = TempDir::new();
        let file = dir.write("elbow.yaml", config.to_string());
        let args = ["run", "--config", file.to_str().unwrap()];
        let mut command = command_with_open_files(files, &args);
        let admin = SocketAddr::from((address(), 9901));
        Self::spawn(dir, Stdio::null(), admin, &mut command)
    }

    /// Runs `config` in `dir`, which has its certificates.
    pub fn run_in(dir: TempDir, config: &Value, args: &[&str]) -> Self {
        let file = dir.write("elbow.yaml", config.to_string());
        Self::start(dir, &["--config", file.to_str().unwrap()], args)
    }

    /// Runs `config` in `dir`, which has its certificates. Identity providers with a certificate of `roots` are trusted,
    /// and no others.
    pub fn run_trusting(dir: TempDir, config: &Value, roots: &Ca, args: &[&str]) -> Self {
        let file = dir.write("elbow.yaml", config.to_string());
        let input = ["--config", file.to_str().unwrap()];
        Self::spawn_trusting(dir, &input, roots, args)
    }

    /// Runs the manifests in `dir` with addresses of `pool`. Identity providers are trusted as by [`Self::run_trusting`].
    pub fn run_manifests_trusting(dir: TempDir, pool: &str, roots: &Ca) -> Self {
        let folder = dir.path().to_str().unwrap().to_owned();
        Self::spawn_trusting(dir, &["-f", &folder, "--address-pool", pool], roots, &[])
    }

    fn spawn_trusting(dir: TempDir, input: &[&str], roots: &Ca, args: &[&str]) -> Self {
        let admin = SocketAddr::from((address(), 9901));
        let mut command = command(&["run"]);
        command.args(input).args(args);
        command.env("SSL_CERT_FILE", dir.write("roots.pem", roots.pem()));
        command.env_remove("SSL_CERT_DIR");
        Self::spawn(dir, Stdio::null(), admin, &mut command)
    }

    /// Runs the manifests in `dir` with addresses that no other test uses, and waits
    /// until every listener serves.
    pub fn run_manifests(dir: TempDir, args: &[&str]) -> Self {
        let folder = dir.path().to_str().unwrap().to_owned();
        let input = ["-f", &folder, "--address-pool", &network()];
        Self::start(dir, &input, args)
    }

    /// Runs the manifests in the folder `name` of `dir`, with the programs in `path`.
    pub fn run_folder(dir: TempDir, name: &str, path: &Path) -> Self {
        let folder = dir.join(name);
        let admin = SocketAddr::from((address(), 9901));
        let mut command = command(&["run", "--address-pool", &network(), "-f"]);
        command.arg(folder).env("PATH", path);
        Self::spawn(dir, Stdio::null(), admin, &mut command)
    }

    /// Runs the manifests on stdin.
    pub fn run_piped(manifests: Stdio, args: &[&str]) -> Self {
        let input = ["-f", "-", "--address-pool", &network()];
        Self::start_with(TempDir::new(), manifests, &input, args)
    }

    fn start(dir: TempDir, input: &[&str], args: &[&str]) -> Self {
        Self::start_with(dir, Stdio::null(), input, args)
    }

    fn start_with(dir: TempDir, stdin: Stdio, input: &[&str], args: &[&str]) -> Self {
        let admin = SocketAddr::from((address(), 9901));
        let mut command = command(&["run"]);
        command.args(input).args(args);
        Self::spawn(dir, stdin, admin, &mut command)
    }

    /// Runs `elbow controller` with `place`, and waits until it is ready.
    pub fn control(place: &Place, args: &[&str]) -> Self {
        let mut command = command(&["controller", "--address-pool", &place.pool, "--kubeconfig"]);
        command.arg(&place.kubeconfig).args(args);
        let elbow = Self::spawn(TempDir::new(), Stdio::null(), place.admin, &mut command);
        wait::until("elbow to serve the cluster", || {
            admin_get(elbow.admin, "/ready").filter(|r| r.status == 200)
        });
        elbow
    }

    fn spawn(dir: TempDir, stdin: Stdio, admin: SocketAddr, command: &mut Command) -> Self {
        command
            .args(["--workers", "2", "--admin", &admin.to_string()])
            .arg("--access-log")
            .arg(dir.join("access.log"));
        let mut elbow = Self {
            running: Running::start_with(command, stdin),
            admin,
            dir,
        };
        elbow.wait_until_healthy();
        elbow
    }

    fn wait_until_healthy(&mut self) {
        let admin = self.admin;
        wait::until("elbow to serve every listener", || {
            self.running.assert_running();
            admin_get(admin, "/health").filter(|r| r.status == 200)
        });
    }

    /// The process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Its log (stderr) so far. A thread of elbow writes it, later than elbow acts.
    pub fn log(&self) -> String {
        self.running.stderr()
    }

    /// Its log, once it contains all of `texts`.
    pub fn log_with(&self, texts: &[&str]) -> String {
        self.running.stderr_with(texts)
    }

    /// Its folder.
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// The admin address.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// An admin page.
    pub fn page(&self, path: &str) -> Response {
        admin_get(self.admin, path).unwrap_or_else(|| panic!("no answer to {path}"))
    }

    /// An admin page as JSON.
    pub fn json(&self, path: &str) -> Value {
        let page = self.page(path);
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        serde_json::from_slice(&page.body).unwrap()
    }

    /// The sum of all samples of a metric with `labels` among their labels; `None` if there are none.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let text = self.page("/metrics").text();
        let samples: Vec<f64> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        (!samples.is_empty()).then(|| samples.iter().sum())
    }

    /// Waits until [`Self::metric`] is `value`: elbow counts some things only after its client knows of them.
    pub fn wait_for_metric(&self, name: &str, labels: &[&str], value: f64) {
        let mut last = None;
        wait::until(&format!("{name} {labels:?} to be {value}"), || {
            let now = self.metric(name, labels);
            if now != last {
                println!("{name} {labels:?}: {now:?}");
                last = now;
            }
            (now == Some(value)).then_some(())
        });
    }

    /// The address of the listener of `load_balancer` on `port`; `None` if there is none.
    pub fn bound(&self, load_balancer: &str, port: u16) -> Option<SocketAddr> {
        let admin = self.admin.to_string();
        let args = ["get", "load-balancers", "-o", "json", "--admin", &admin];
        let all: Value = serde_json::from_str(&stdout(&mut command(&args))).unwrap();
        let of = all
            .as_array()?
            .iter()
            .find(|lb| lb["name"] == load_balancer)?;
        let listener = of["listeners"]
            .as_array()?
            .iter()
            .find(|l| l["port"] == port)?;
        let bound = listener["bound"].as_str()?;
        bound.strip_suffix("/udp").unwrap_or(bound).parse().ok()
    }

    /// Waits until `target` of `group` is in `state`.
    pub fn wait_for_state(&self, group: &str, target: SocketAddr, state: &str) -> Value {
        wait::until(&format!("{target} of {group} to be {state}"), || {
            target_row(&self.json("/targets"), group, target).filter(|row| row["state"] == state)
        })
    }

    /// Replaces the configuration file by a rename, as editors do.
    pub fn write_config(&self, config: &str) {
        let next = self.dir.write("elbow.yaml.next", config);
        fs::rename(next, self.dir.join("elbow.yaml")).unwrap();
    }

    /// Replaces the configuration and waits until it is in force.
    pub fn reload(&self, config: &Value) {
        let before = self.page("/config").text();
        self.write_config(&config.to_string());
        wait::until("the new configuration to be in force", || {
            (self.page("/config").text() != before).then_some(())
        });
    }

    /// Replaces a manifest by a rename, as editors do.
    pub fn write_manifest(&self, name: &str, manifest: &str) {
        let next = self.dir.write(format!("{name}.next"), manifest);
        fs::rename(next, self.dir.join(name)).unwrap();
    }

    /// The lines of the access log, once there are `n`.
    pub fn access_log(&self, n: usize) -> Vec<String> {
        wait::until(&format!("{n} lines of access log"), || {
            let text = fs::read_to_string(self.dir.join("access.log")).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
            (lines.len() >= n).then_some(lines)
        })
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.running.signal(Signal::TERM);
        self.running.wait()
    }
}

/// A page of the admin address, if it answers.
pub fn admin_get(admin: SocketAddr, path: &str) -> Option<Response> {
    admin_ask(admin, "GET", path)
}

/// The response of the admin address to a request without a body, if any.
pub fn admin_ask(admin: SocketAddr, method: &str, path: &str) -> Option<Response> {
    // A refused connection means that it does not listen yet or any more.
    let mut client = Client::try_plain(admin).ok()?;
    let get = client::get(&admin.to_string(), path);
    let request = get.replacen("GET", method, 1);
    client
        .try_send(request.replace(
            "\r\n\r\n",
            "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ))
        .ok()?;
    client.try_response(method).ok()
}

/// The row of `/targets` for `target` of `group`.
pub fn target_row(targets: &Value, group: &str, target: SocketAddr) -> Option<Value> {
    let address = target.to_string();
    rows(targets)
        .into_iter()
        .find(|row| row["targetGroup"] == group && row["address"] == *address)
}

/// All targets in `/targets`, however grouped.
pub fn rows(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) if map.contains_key("state") => vec![value.clone()],
        Value::Object(map) => map.values().flat_map(rows).collect(),
        Value::Array(list) => list.iter().flat_map(rows).collect(),
        _ => Vec::new(),
    }
}

/// The fields of an access-log line, without their quotes.
pub fn log_fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (field, end) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted
                    .find('"')
                    .unwrap_or_else(|| panic!("an open quote in {line}"));
                (&quoted[..end], end + 2)
            }
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        fields.push(field.to_owned());
        rest = rest[end..].strip_prefix(' ').unwrap_or_default();
    }
    fields
}

/// The rest of a line in a Classic load balancer's access log after the three times. Checks the fields before:
/// time, load balancer, client and instance.
pub fn classic_log_tail<'l>(
    line: &'l str,
    load_balancer: &str,
    client: SocketAddr,
    instance: SocketAddr,
) -> &'l str {
    let fields: Vec<&str> = line.splitn(8, ' ').collect();
    assert!(fields[0].len() == 27 && fields[0].ends_with('Z'), "{line}");
    let (client, instance) = (client.to_string(), instance.to_string());
    assert_eq!(fields[1..4], [load_balancer, &client, &instance]);
    for seconds in &fields[4..7] {
        let (_, decimals) = seconds.split_once('.').unwrap();
        assert_eq!(decimals.len(), 6, "{line}");
    }
    fields[7]
}
