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
use elbow_tests::cluster::{Cluster, MINIO_IMAGE, NODE, console};
use elbow_tests::command::{Running, output, stdout, texts};
use elbow_tests::s3::Endpoint;
use elbow_tests::{Ca, Client, Elbow, TempDir, client, elbow, need, need_python, tools, wait};
use serde_json::{Value, json};

const TENANT: &str = "tenant-ns";
const OPERATOR: &str = "minio-operator";

/// A folder of `config/eks` whose objects an API server takes, and what stands on its listeners, `type
/// protocol:port` each. Those that are not here: the mis-indented one, which nobody reads.
struct Row {
    folder: &'static str,
    targets: Targets,
    listeners: &'static [(&'static str, Behind)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Targets {
    Nodes,
    Pods,
    Both,
}

#[derive(Clone, Copy)]
enum Behind {
    /// S3, under this name.
    S3(&'static str),
    /// A console, under this name.
    Console(&'static str),
}
use Behind::{Console, S3};

const ANY: &str = "any.example.com";

/// For what a client reads after the word, on a busy machine.
const READS: Duration = Duration::from_secs(180);

const ROWS: &[Row] = &[
    Row {
        folder: "s01-tenant-clb",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:443", S3(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s02-operator-console-clb",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:9090", Console(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s03-tenant-internal-clb",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:443", S3(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s05-clb-internal",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:9090", Console(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s07-clb-access-logs",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:9090", Console(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s08-clb-security-groups",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:443", S3(ANY)),
            ("classic TCP:9090", Console(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s09-clb-cross-zone",
        targets: Targets::Nodes,
        listeners: &[
            ("classic TCP:9090", Console(ANY)),
            ("classic TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s11-alb-tenant",
        targets: Targets::Pods,
        listeners: &[
            ("application HTTPS:443", S3("minio.example.com")),
            (
                "application HTTPS:443",
                Console("tenant-console.example.com"),
            ),
        ],
    },
    Row {
        folder: "s12-alb-operator-console",
        targets: Targets::Pods,
        listeners: &[("application HTTPS:443", Console("operator.example.com"))],
    },
    Row {
        folder: "s13-nlb-tenant",
        targets: Targets::Nodes,
        listeners: &[
            ("network TCP:443", S3(ANY)),
            ("network TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s14-nlb-tls-termination",
        targets: Targets::Nodes,
        listeners: &[
            ("network TLS:9090", Console(ANY)),
            ("network TCP:9443", Console(ANY)),
        ],
    },
    Row {
        folder: "s15-nlb-scheme",
        targets: Targets::Pods,
        listeners: &[("network TCP:443", S3(ANY))],
    },
    Row {
        folder: "s16-nlb-subnets",
        targets: Targets::Pods,
        listeners: &[("network TCP:443", S3(ANY))],
    },
    Row {
        folder: "s17-nlb-access-logs",
        targets: Targets::Pods,
        listeners: &[("network TLS:443", S3(ANY))],
    },
    Row {
        folder: "s18-nlb-target-type",
        targets: Targets::Both,
        listeners: &[("network TCP:443", S3(ANY))],
    },
];

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
        pods.map(|pod| pod["status"]["podIP"].as_str().unwrap().to_owned())
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
        assert_eq!(
            nodes.is_empty(),
            kinds == Targets::Pods,
            "{}",
            self.row.folder
        );
        assert_eq!(
            others.is_empty(),
            kinds == Targets::Nodes,
            "{}",
            self.row.folder
        );
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
            Console(host) => {
                // Pods show their own TLS where nobody ends it before them.
                let clear = name.ends_with("TCP:9090");
                let mut client = if clear {
                    Client::plain(bound)
                } else {
                    Client::tls(
                        bound,
                        host,
                        &client_that_trusts_all(rustls::ALL_VERSIONS, &[]),
                    )
                    .unwrap()
                };
                let page = client.ask(client::get(host, "/"));
                assert_eq!(
                    page.status, 200,
                    "{}: {name}: {}",
                    self.row.folder, page.head
                );
                assert!(
                    page.text().contains("MinIO Console"),
                    "{}: {}",
                    self.row.folder,
                    page.text()
                );
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

    fn from_file(&self, environment: &Path) -> Elbow {
        let dir = TempDir::new();
        dir.write("dump.yaml", stdout(&mut self.cluster.dump()));
        Elbow::run_manifests(dir, &["--environment", environment.to_str().unwrap()])
    }

    fn from_stdin(&self, environment: &Path) -> Elbow {
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
    for (n, row) in ROWS.iter().enumerate() {
        println!("{}", row.folder);
        let serve = |environment: &Path| match n {
            0 => witness.from_stdin(environment),
            _ => witness.from_file(environment),
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
    let row = ROWS
        .iter()
        .find(|row| row.targets == Targets::Both)
        .unwrap();
    let serve = |environment: &Path| witness.from_file(environment);
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

/// docs/kind.md, step by step.
#[test]
fn the_steps_for_kind_lead_to_s3_through_node_ports_and_pods() {
    let (minio, python) = (need!("minio"), need_python!());
    let cluster = match Cluster::start(&minio) {
        Ok(cluster) => cluster,
        Err(needs) => return tools::skipped(&needs),
    };
    // kubeadm does this to a control plane; kind takes its image from a registry.
    cluster.ask(&["label", "node", "node1", &format!("{EXCLUDE}=")]);
    let mut objects = cluster.read(&tools::repository().join("config/kind/minio.yaml"));
    for object in objects.iter_mut().filter(|o| o["kind"] == "Deployment") {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(MINIO_IMAGE);
    }
    cluster.apply(&objects);
    cluster.wait_for_pods("minio");
    let dump = documented("kubectl get -A $kinds -o yaml | ").replace("elbow run -f -", "cat");
    let dump = format!("{}\n{dump}", documented("kinds="));

    let check = TempDir::new();
    let file = check.write("cluster.yaml", stdout(&mut cluster.shell(&dump)));
    let said = output(elbow::command(&["check", "-f"]).arg(file));
    let said = texts(&said).1;
    assert!(said.contains("warning[excluded-nodes]"), "{said}");

    let label = documented("kubectl label node").replace("elbow-control-plane", "node1");
    stdout(&mut cluster.shell(&label));
    let dir = TempDir::new();
    dir.write("cluster.yaml", stdout(&mut cluster.shell(&dump)));
    let elbow = Elbow::run_manifests(dir, &[]);
    for (balancer, port, host) in [
        ("minio-nodes", 9000, "minio-nodes"),
        ("minio-pods", 9000, "minio-pods"),
        ("minio-alb", 8080, "minio.example.localhost"),
    ] {
        let bound = elbow.bound(balancer, port).unwrap();
        let answer = Client::plain(bound).ask(client::get(host, "/"));
        assert_eq!(answer.status, 403, "{balancer}: {}", answer.head);
        let (url, names) = (format!("http://{host}:{port}"), json!({ host: bound.ip() }));
        let s3 = Endpoint::with_keys(url, ["elbow-demo", "elbow-demo-secret"], &names);
        assert_eq!(
            stdout(&mut s3.scenario(&python, "round-trip", &[])),
            "good\n",
            "{balancer}"
        );
    }
    let routes = documented("kubectl get nodes -o jsonpath=");
    let routes = stdout(&mut cluster.shell(routes.trim_end_matches(" |")));
    assert_eq!(routes, format!("10.244.0.0/24 via {NODE}\n"));
}

const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The line of docs/kind.md that begins so.
fn documented(start: &str) -> String {
    let text = fs::read_to_string(tools::repository().join("docs/kind.md")).unwrap();
    let line = text.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("docs/kind.md says {start}"))
        .to_owned()
}
