//! Rows S1 to S18 of `config/eks`, with MinIO pods.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::cluster::NODE;
use elbow_tests::command::{Running, stdout};
use elbow_tests::{Client, Elbow, TempDir, client, elbow, need, need_python, tools, wait};
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

use crate::live::Live;
use crate::shared::turn;
use crate::table::{ANY, Backend, Both, Nodes, Pods, ROWS, Row, eks, folders};
use crate::witness::{TENANT, Witness, text};

/// How long a client may read after the signal file exists, on a busy machine.
const READS: Duration = Duration::from_secs(180);

/// A row as served by an elbow.
struct Served<'a> {
    witness: &'a Witness<'a>,
    row: &'a Row,
    elbow: &'a Elbow,
}

impl Served<'_> {
    /// Waits until all targets are healthy; returns their ids.
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
            for (_, backend) in self
                .row
                .listeners
                .iter()
                .filter(|(wanted, _)| wanted == name)
            {
                self.ask(name, *bound, *backend);
            }
        }
    }

    /// Every listener with its bound address.
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

    fn ask(&self, name: &str, bound: SocketAddr, backend: Backend) {
        match backend {
            Backend::S3(host) => {
                let answer = stdout(&mut self.witness.s3(host, bound, "round-trip", &[]));
                assert_eq!(answer, "good\n", "{}: {name}", self.row.folder);
            }
            Backend::Nobody => {
                let mut client = Client::plain(bound);
                // The reset may come before or after the request.
                let sent = client.try_send(client::get(ANY, "/"));
                let answer = sent.and_then(|()| client.try_response("GET"));
                assert!(answer.is_err(), "{}: {name}", self.row.folder);
            }
            Backend::PlainToTls => {
                let answer = Client::plain(bound).ask(client::get(ANY, "/"));
                assert_eq!(answer.status, 400, "{}: {}", self.row.folder, answer.head);
            }
            Backend::Console(host) => {
                // Pods show their own TLS certificate unless the load balancer terminates TLS.
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

impl Witness<'_> {
    /// Applies a row to the cluster, runs `check`, and deletes the row.
    fn with(&self, row: &Row, check: impl FnOnce(&Path, &[Value])) {
        let folder = eks(row);
        let objects = self.objects(&folder);
        self.cluster.apply(&objects);
        self.wait_for_endpoints(&objects);
        check(&self.environment(&folder), &objects);
        self.cluster.delete(&objects);
    }

    fn served<'a>(&'a self, row: &'a Row, elbow: &'a Elbow) -> Served<'a> {
        Served {
            witness: self,
            row,
            elbow,
        }
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

/// control-plane.md 3.6: the nodes and endpoints of a cluster are served. S19 is left out: this cluster has only
/// IPv4, and its API server rejects a Service with IPv6.
#[test]
fn every_row_is_served_live_and_from_its_dump() {
    let (minio, python) = (need!("minio"), need_python!());
    let turn = match turn(&minio) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let witness = turn.witness(python);
    assert_eq!(
        folders(),
        ROWS.iter().map(|row| row.folder.to_owned()).collect()
    );
    for (n, row) in ROWS.iter().enumerate() {
        println!("{}", row.folder);
        witness.with(row, |environment, objects| {
            let live = Live::start(
                &turn.cluster,
                &["--environment", environment.to_str().unwrap()],
            );
            let dumped = match n {
                0 => witness.piped(environment),
                _ => witness.dumped(environment),
            };
            witness.served(row, &live.elbow).check();
            witness.served(row, &dumped).check();
            written(&live, objects);
            // Finalizers are removed only while the controller runs.
            turn.cluster.delete(objects);
            assert_eq!(live.elbow.json("/status")["loadBalancers"], json!([]));
        });
    }
}

/// control-plane.md 0.4: the status shows the addresses, and events show success.
fn written(live: &Live<'_>, objects: &[Value]) {
    let status = live.elbow.json("/status");
    let balancers = status["loadBalancers"].as_array().unwrap();
    let served: BTreeSet<&str> = balancers
        .iter()
        .map(|balancer| balancer["dnsName"].as_str().unwrap())
        .collect();
    let mut named = BTreeSet::new();
    for object in objects {
        let (kind, finalizer) = match (object["kind"].as_str().unwrap(), &object["spec"]["type"]) {
            ("Ingress", _) => ("Ingress", "ingress.k8s.aws/resources"),
            ("Service", kind) if kind == "LoadBalancer" => {
                ("Service", service_finalizer(balancers))
            }
            _ => continue,
        };
        let (namespace, name) = (text(object, "namespace"), text(object, "name"));
        live.address(kind, namespace, name);
        named.extend(live.hostname(kind, namespace, name));
        assert_eq!(live.finalizers(kind, namespace, name), json!([finalizer]));
        wait::until(&format!("an event about {name}"), || {
            let events = live.events(kind, namespace, name);
            events.contains("SuccessfullyReconciled").then_some(())
        });
    }
    assert_eq!(
        named.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        served
    );
}

/// The finalizer of the controller that makes such load balancers of Services.
fn service_finalizer(balancers: &[Value]) -> &'static str {
    if balancers
        .iter()
        .any(|balancer| balancer["type"] == "classic")
    {
        "service.kubernetes.io/load-balancer-cleanup"
    } else {
        "service.k8s.aws/resources"
    }
}

/// control-plane.md 3.6, deregistration: a deleted pod gets no traffic once a dump without it is applied, and
/// its successor gets its share.
#[test]
fn fresh_dump_moves_traffic_from_a_deleted_pod_without_errors() {
    let (minio, python) = (need!("minio"), need_python!());
    let turn = match turn(&minio) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let witness = turn.witness(python);
    let row = ROWS.iter().find(|row| row.targets == Both).unwrap();
    witness.with(row, |environment, _| {
        let elbow = witness.dumped(environment);
        let served = witness.served(row, &elbow);
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
