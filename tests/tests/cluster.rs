//! On a real Kubernetes cluster, with real MinIO pods: what its API server says of them is served.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::cluster::pool::{Pool, SERVERS};
use elbow_tests::cluster::{Cluster, NODE, console};
use elbow_tests::command::{Running, stdout};
use elbow_tests::s3::Endpoint;
use elbow_tests::{Ca, Client, Elbow, TempDir, client, elbow, need, need_python, tools, wait};
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

const TENANT: &str = "tenant-ns";
const OPERATOR: &str = "minio-operator";

/// Folders of `config/eks` that the API server does not take: nobody can read the first, and this cluster
/// has IPv4 alone.
const NOT_TAKEN: [&str; 2] = ["mis-indented", "s19-nlb-dualstack"];

/// A folder of `config/eks` whose objects the API server takes.
struct Row {
    folder: &'static str,
    targets: Targets,
    listeners: &'static [Listener],
}

/// `type protocol:port`, and what stands behind it.
type Listener = (&'static str, Behind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Targets {
    Nodes,
    Pods,
    Both,
}
use Targets::{Both, Nodes, Pods};

#[derive(Clone, Copy)]
enum Behind {
    /// S3, under this name.
    S3(&'static str),
    /// A console, under this name.
    Console(&'static str),
    /// A console that expects TLS and is spoken to in clear, as control-plane.md S4 has it.
    Misled,
    /// Clients are turned away.
    Nobody,
}
use Behind::{Console, Misled, Nobody, S3};

const ANY: &str = "any.example.com";

/// For what a client reads after the word, on a busy machine.
const READS: Duration = Duration::from_secs(180);

const fn row(folder: &'static str, targets: Targets, listeners: &'static [Listener]) -> Row {
    Row {
        folder,
        targets,
        listeners,
    }
}

const ROWS: &[Row] = &[
    row("s01-tenant-clb", Nodes, CLASSIC_TENANT),
    row("s02-operator-console-clb", Nodes, CLASSIC_CONSOLE),
    row("s03-tenant-internal-clb", Nodes, CLASSIC_TENANT),
    row("s04-clb-tls-termination", Nodes, CLASSIC_TLS),
    row("s05-clb-internal", Nodes, CLASSIC_CONSOLE),
    row("s06-clb-cipher-policy", Nodes, CLASSIC_TLS),
    row("s07-clb-access-logs", Nodes, CLASSIC_CONSOLE),
    row("s08-clb-security-groups", Nodes, CLASSIC_BOTH),
    row("s09-clb-cross-zone", Nodes, CLASSIC_CONSOLE),
    row("s10-clb-end-to-end-tls", Nodes, CLASSIC_END_TO_END),
    row("s11-alb-tenant", Pods, ALB_TENANT),
    row("s12-alb-operator-console", Pods, ALB_OPERATOR),
    row("s13-nlb-tenant", Nodes, NLB_TENANT),
    row("s14-nlb-tls-termination", Nodes, NLB_TLS),
    row("s15-nlb-scheme", Pods, NLB_S3),
    row("s16-nlb-subnets", Pods, NLB_S3),
    row("s17-nlb-access-logs", Pods, &[("network TLS:443", S3(ANY))]),
    row("s18-nlb-target-type", Both, NLB_S3),
];
const CLASSIC_TENANT: &[Listener] = &[
    ("classic TCP:443", S3(ANY)),
    ("classic TCP:9443", Console(ANY)),
];
const CLASSIC_CONSOLE: &[Listener] = &[
    ("classic TCP:9090", Console(ANY)),
    ("classic TCP:9443", Console(ANY)),
];
/// A security group of the environment lets clients in at 9443 alone.
const CLASSIC_BOTH: &[Listener] = &[
    ("classic TCP:443", S3(ANY)),
    ("classic TCP:9090", Nobody),
    ("classic TCP:9443", Console(ANY)),
];
const CLASSIC_TLS: &[Listener] = &[
    ("classic HTTPS:9090", Console(ANY)),
    ("classic HTTP:9443", Misled),
];
const CLASSIC_END_TO_END: &[Listener] =
    &[("classic HTTPS:443", S3(ANY)), ("classic SSL:443", S3(ANY))];
const ALB_TENANT: &[Listener] = &[
    ("application HTTPS:443", S3("minio.example.com")),
    (
        "application HTTPS:443",
        Console("tenant-console.example.com"),
    ),
];
const ALB_OPERATOR: &[Listener] = &[("application HTTPS:443", Console("operator.example.com"))];
const NLB_TENANT: &[Listener] = &[
    ("network TCP:443", S3(ANY)),
    ("network TCP:9443", Console(ANY)),
];
const NLB_TLS: &[Listener] = &[
    ("network TLS:9090", Console(ANY)),
    ("network TCP:9443", Console(ANY)),
];
const NLB_S3: &[Listener] = &[("network TCP:443", S3(ANY))];

/// A cluster with a Tenant's pods, under TLS, and an operator's console.
struct Witness {
    cluster: Cluster,
    python: PathBuf,
    /// For the environment of a row, and its certificate.
    dir: TempDir,
}

impl Witness {
    fn start(minio: &Path, python: PathBuf) -> Result<Self, String> {
        let cluster = Cluster::start(minio)?;
        let ca = Ca::new();
        let pool = Pool {
            namespace: TENANT,
            labels: &[("v1.min.io/tenant", "tenant-1")],
            number: 0,
            tls: Some(&ca),
        };
        cluster.apply(&pool.objects());
        cluster.apply(&console::objects(OPERATOR, &ca));
        for namespace in [TENANT, OPERATOR] {
            cluster.wait_for_pods(namespace);
        }
        let dir = TempDir::new();
        ca.leaf(&["*.example.com"]).write(&dir, "acm");
        Ok(Self {
            cluster,
            python,
            dir,
        })
    }

    /// The objects of a row, and the Services that MinIO's operator would make of its Tenant: there is
    /// no operator here.
    fn objects(&self, folder: &Path) -> Vec<Value> {
        let mut objects = Vec::new();
        for manifest in manifests(folder) {
            objects.extend(self.cluster.read(&manifest));
        }
        let plan = elbow::command(&["plan", "-o", "stack", "-f"])
            .args(manifests(folder))
            .output()
            .unwrap();
        let stacks: Value = serde_json::from_slice(&plan.stdout).unwrap();
        for stack in stacks.as_array().unwrap() {
            let services = stack["resources"]["K8S::Service"].as_object();
            objects.extend(services.into_iter().flatten().map(|(_, s)| s.clone()));
        }
        objects
    }

    /// Waits until every Service of `objects` has all its pods.
    fn wait_for_endpoints(&self, objects: &[Value]) {
        for service in objects.iter().filter(|o| o["kind"] == "Service") {
            let (namespace, name) = (text(service, "namespace"), text(service, "name"));
            let label = format!("kubernetes.io/service-name={name}");
            let pods = if namespace == TENANT {
                SERVERS
            } else {
                console::PODS
            };
            wait::until(&format!("the endpoints of {name}"), || {
                let slices = self
                    .cluster
                    .get(&["endpointslices", "-n", namespace, "-l", &label]);
                let endpoints = slices["items"].as_array().unwrap().iter();
                let endpoints = endpoints
                    .filter_map(|slice| slice["endpoints"].as_array())
                    .flatten();
                (endpoints
                    .filter(|e| e["conditions"]["ready"] == true)
                    .count()
                    == pods)
                    .then_some(())
            });
        }
    }

    /// The environment of a row, with a certificate behind every ARN.
    fn environment(&self, folder: &Path) -> PathBuf {
        let text = fs::read_to_string(folder.join("environment.yaml")).unwrap();
        let certificate = "certificates: [{arn: 'arn:aws:acm:*:certificate/*', certificateFile: acm.pem, privateKeyFile: acm.key}]";
        self.dir
            .write("environment.yaml", format!("{text}\n{certificate}\n"))
    }

    /// The addresses of all pods.
    fn pods(&self) -> BTreeSet<String> {
        let pods = self.cluster.get(&["pods", "--all-namespaces"]);
        let pods = pods["items"].as_array().unwrap().iter();
        pods.filter_map(|pod| pod["status"]["podIP"].as_str().map(str::to_owned))
            .collect()
    }

    fn s3(&self, host: &str, bound: SocketAddr, scenario: &str, args: &[&str]) -> Command {
        let url = format!("https://{host}:{}", bound.port());
        let settings = json!({"endpoint": url, "verify": false, "resolve": {host: bound.ip()}});
        let s3 = Endpoint::new(settings, true);
        s3.scenario(&self.python, scenario, args)
    }
}

fn eks(row: &Row) -> PathBuf {
    tools::repository().join("config/eks").join(row.folder)
}

/// All folders of `config/eks` that the API server takes.
fn folders() -> BTreeSet<String> {
    let folders = fs::read_dir(tools::repository().join("config/eks")).unwrap();
    folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !NOT_TAKEN.contains(&name.as_str()))
        .collect()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap()
}

/// The manifests of a row that a user applies: where pods and nodes are, a cluster knows by itself.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let others = ["environment.yaml", "endpoints.yaml"];
    files
        .filter(|file| !others.iter().any(|other| file.ends_with(other)))
        .collect()
}

/// What elbow serves of a row.
struct Served<'a> {
    witness: &'a Witness,
    row: &'a Row,
    elbow: Elbow,
}

impl Served<'_> {
    /// Waits until all targets are healthy, and says where they are.
    fn healthy(&self) -> BTreeSet<String> {
        let what = format!("the targets of {} to be healthy", self.row.folder);
        wait::until_for(Duration::from_secs(60), &what, || {
            let rows = elbow::rows(&self.elbow.json("/targets"));
            let good = |row: &Value| row["state"] == "healthy" || row["state"] == "InService";
            let healthy = !rows.is_empty() && rows.iter().all(good);
            healthy.then(|| {
                let ids = rows
                    .iter()
                    .map(|row| row["id"].as_str().unwrap().to_owned());
                ids.collect()
            })
        })
    }

    fn check(&self) {
        let (targets, pods) = (self.healthy(), self.witness.pods());
        let node = NODE.to_string();
        let (nodes, others): (BTreeSet<_>, BTreeSet<_>) =
            targets.into_iter().partition(|target| *target == node);
        let kinds = self.row.targets;
        assert_eq!(nodes.is_empty(), kinds == Pods, "{}", self.row.folder);
        assert_eq!(others.is_empty(), kinds == Nodes, "{}", self.row.folder);
        assert!(
            others.is_subset(&pods),
            "{}: {others:?} of {pods:?}",
            self.row.folder
        );
        let listeners = self.listeners();
        let found: BTreeSet<&str> = listeners.iter().map(|(name, _)| name.as_str()).collect();
        let wanted: BTreeSet<&str> = self.row.listeners.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, wanted, "{}", self.row.folder);
        for (name, bound) in &listeners {
            for (_, behind) in self
                .row
                .listeners
                .iter()
                .filter(|(wanted, _)| wanted == name)
            {
                self.ask(name, *bound, *behind);
            }
        }
    }

    /// Every listener, and where it is bound.
    fn listeners(&self) -> Vec<(String, SocketAddr)> {
        let config = self.elbow.json("/status");
        let mut listeners = Vec::new();
        for balancer in config["loadBalancers"].as_array().unwrap() {
            for listener in balancer["listeners"].as_array().unwrap() {
                let word = |value: &Value| value.as_str().unwrap().to_owned();
                let (kind, protocol) = (word(&balancer["type"]), word(&listener["protocol"]));
                let name = format!("{kind} {protocol}:{}", listener["port"]);
                listeners.push((name, word(&listener["bound"]).parse().unwrap()));
            }
        }
        listeners
    }

    fn ask(&self, name: &str, bound: SocketAddr, behind: Behind) {
        match behind {
            S3(host) => {
                let answer = stdout(&mut self.witness.s3(host, bound, "round-trip", &[]));
                assert_eq!(answer, "good\n", "{}: {name}", self.row.folder);
            }
            Nobody => {
                let mut client = Client::plain(bound);
                // The reset may come before or after the request.
                let sent = client.try_send(client::get(ANY, "/"));
                let answer = sent.and_then(|()| client.try_response("GET"));
                assert!(answer.is_err(), "{}: {name}", self.row.folder);
            }
            Misled => {
                let answer = Client::plain(bound).ask(client::get(ANY, "/"));
                assert_eq!(answer.status, 400, "{}: {}", self.row.folder, answer.head);
            }
            Console(host) => {
                // Pods show their own TLS where nobody ends it before them.
                let mut client = if name.ends_with("TCP:9090") {
                    Client::plain(bound)
                } else {
                    Client::tls(bound, host, &client_that_trusts_all(ALL_VERSIONS, &[])).unwrap()
                };
                let page = client.ask(client::get(host, "/"));
                assert_eq!(
                    page.status, 200,
                    "{}: {name}: {}",
                    self.row.folder, page.head
                );
                assert!(page.text().contains("MinIO Console"), "{}", page.text());
            }
        }
    }
}

impl Witness {
    /// Puts a row into the cluster, has elbow serve what the API server says of it then, and takes it
    /// out again.
    fn with(&self, row: &Row, serve: impl FnOnce(&Path) -> Elbow, check: impl FnOnce(&Served<'_>)) {
        let folder = eks(row);
        let objects = self.objects(&folder);
        self.cluster.apply(&objects);
        self.wait_for_endpoints(&objects);
        let elbow = serve(&self.environment(&folder));
        check(&Served {
            witness: self,
            row,
            elbow,
        });
        self.cluster.delete(&objects);
    }

    fn dumped(&self, environment: &Path) -> Elbow {
        let dir = TempDir::new();
        dir.write("dump.yaml", stdout(&mut self.cluster.dump()));
        Elbow::run_manifests(dir, &["--environment", environment.to_str().unwrap()])
    }

    fn piped(&self, environment: &Path) -> Elbow {
        let mut kubectl = self.cluster.dump().stdout(Stdio::piped()).spawn().unwrap();
        let manifests = kubectl.stdout.take().unwrap();
        let environment = environment.to_str().unwrap();
        let elbow = Elbow::run_piped(manifests.into(), &["--environment", environment]);
        assert!(kubectl.wait().unwrap().success());
        elbow
    }
}

/// control-plane.md 3.6: what a cluster says of its nodes and endpoints is what is served.
#[test]
fn every_row_that_an_api_server_takes_is_served_from_its_dump() {
    let (minio, python) = (need!("minio"), need_python!());
    let witness = match Witness::start(&minio, python) {
        Ok(witness) => witness,
        Err(needs) => return tools::skipped(&needs),
    };
    assert_eq!(
        folders(),
        ROWS.iter().map(|row| row.folder.to_owned()).collect()
    );
    for (n, row) in ROWS.iter().enumerate() {
        println!("{}", row.folder);
        let serve = |environment: &Path| match n {
            0 => witness.piped(environment),
            _ => witness.dumped(environment),
        };
        witness.with(row, serve, |served| served.check());
    }
}

/// control-plane.md 3.6, deregistration: a pod that is gone gets nothing once a dump without it is applied, and
/// its successor gets its share.
#[test]
fn a_pod_is_deleted_and_a_fresh_dump_moves_the_traffic_without_an_error() {
    let (minio, python) = (need!("minio"), need_python!());
    let witness = match Witness::start(&minio, python) {
        Ok(witness) => witness,
        Err(needs) => return tools::skipped(&needs),
    };
    let row = ROWS.iter().find(|row| row.targets == Both).unwrap();
    let serve = |environment: &Path| witness.dumped(environment);
    witness.with(row, serve, |served| {
        served.healthy();
        let word = witness.dir.join("word");
        let clients: Vec<Running> = served
            .listeners()
            .into_iter()
            .map(|(_, bound)| {
                let word = word.to_str().unwrap();
                Running::start(&mut witness.s3(ANY, bound, "steady", &[word]))
            })
            .collect();
        for client in &clients {
            assert_eq!(client.line(), "at work");
        }

        let before = witness.pods();
        witness
            .cluster
            .ask(&["delete", "pod", "-n", TENANT, "pool-0-1"]);
        witness.cluster.wait_for_pods(TENANT);
        witness.wait_for_endpoints(&witness.objects(&eks(row)));
        let after = witness.pods();
        let gone = before.difference(&after).next().unwrap();
        let come = after.difference(&before).next().unwrap();
        served
            .elbow
            .write_manifest("dump.yaml", &stdout(&mut witness.cluster.dump()));
        wait::until("the fresh dump to be in force", || {
            let rows = elbow::rows(&served.elbow.json("/targets"));
            let in_state = |id: &str, state: &str| {
                rows.iter()
                    .any(|row| row["id"] == *id && row["state"] == state)
            };
            (in_state(come, "healthy") && !in_state(gone, "healthy")).then_some(())
        });

        fs::write(&word, "").unwrap();
        for client in &clients {
            println!("{}", client.line());
            assert_eq!(client.line_within(READS), "good", "{}", client.stderr());
        }
        let rows = elbow::rows(&served.elbow.json("/targets"));
        let successor = rows.iter().find(|row| row["id"] == **come).unwrap();
        assert!(successor["requests"].as_u64() > Some(0), "{successor}");
    });
}
