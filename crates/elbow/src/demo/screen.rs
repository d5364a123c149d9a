//! The output of the demo.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use elbow_plane::{LoadBalancerStatus, Status, TargetStatus};
use elbow_pods::Pod;
use serde_json::{Value, json};

use super::keys::Keys;
use super::provider::{PASSWORD, USER};
use super::{ACCESS_KEY, CONSOLE_HOST, Demo, MINIO_HOST, SECRET_KEY, hosts_of, print, say};

/// The region that S3 clients use.
pub(super) const REGION: &str = "us-east-1";
/// The time between two updates of the screen.
const REFRESH: Duration = Duration::from_millis(500);

/// The line of JSON output.
pub(super) fn json(demo: &Demo, status: &Status) -> Value {
    let balancer = |lb: &LoadBalancerStatus| {
        let listeners = lb
            .listeners
            .iter()
            .map(|l| json!({"port": l.port, "protocol": l.protocol, "bound": l.bound}));
        json!({
            "name": lb.name, "type": lb.kind, "dnsName": lb.dns_name, "address": lb.address,
            "listeners": listeners.collect::<Vec<_>>(),
        })
    };
    let target = |t: &TargetStatus| json!({"targetGroup": t.target_group, "id": t.id, "port": t.port, "pod": pod(demo, t)});
    json!({
        "loadBalancers": status.load_balancers.iter().map(balancer).collect::<Vec<_>>(),
        "targets": targets(status).map(target).collect::<Vec<_>>(),
        "hosts": hosts(demo, status),
        "caFile": demo.folder.file("ca.pem"),
        "accessKey": ACCESS_KEY,
        "secretKey": SECRET_KEY,
        "region": REGION,
        "admin": demo.admin.to_string(),
        "login": demo.login.as_ref().map(|url| json!({"url": url, "user": USER, "password": PASSWORD})),
    })
}

/// The pod with the port of `target`.
fn pod<'a>(demo: &'a Demo, target: &TargetStatus) -> Option<&'a str> {
    let has_port = |pod: &&Pod| [pod.s3.port(), pod.console.port()].contains(&target.port);
    demo.pods()
        .iter()
        .find(has_port)
        .map(|pod| pod.name.as_str())
}

fn targets(status: &Status) -> impl Iterator<Item = &TargetStatus> {
    status.target_groups.iter().flat_map(|group| &group.targets)
}

pub(super) fn balancer<'a>(status: &'a Status, name: &str) -> Option<&'a LoadBalancerStatus> {
    status.load_balancers.iter().find(|lb| lb.name == name)
}

fn address(status: &Status, name: &str) -> String {
    balancer(status, name).map_or_else(String::new, |lb| lb.address.clone())
}

/// The load balancer address of each host in a rule.
fn hosts(demo: &Demo, status: &Status) -> Value {
    let mut hosts = serde_json::Map::new();
    for config in &demo.plane.view().model().load_balancers {
        for host in config.listeners.iter().flat_map(hosts_of) {
            let at = address(status, &config.name);
            hosts.entry(host).or_insert_with(|| at.into());
        }
    }
    hosts.into()
}

/// Prints a note if ports are offset.
pub(super) fn port_note(demo: &Demo) {
    if demo.port_offset > 0 {
        say(&format!(
            "\nPorts below 1024 need root here, so {} is added to every port.",
            demo.port_offset
        ));
    }
}

/// Prints the addresses and commands to try.
pub(super) fn introduce(demo: &Demo, status: &Status) {
    let ca = demo.folder.file("ca.pem");
    let ca = ca.display();
    let port = 443 + demo.port_offset;
    let nlb = address(status, "minio-nlb");
    let (console, console_name) = balancer(status, "console-nlb")
        .map(|lb| (lb.address.clone(), lb.dns_name.clone()))
        .unwrap_or_default();
    let alb = address(status, "minio-alb");
    let credentials = format!(
        "AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_REGION={REGION}"
    );
    port_note(demo);
    let console_kind = if demo.pods().iter().all(|pod| pod.console_tls) {
        "TLS"
    } else {
        "TCP"
    };
    if let Some(url) = &demo.login {
        say(&format!(
            "
login-alb    ALB, users log in at an OpenID Connect provider of the demo before a page
    open {url} in a browser, as {USER} with the password {PASSWORD}
    (the browser does not know the demo's CA: accept the certificate, or import {ca})"
        ));
    }
    say(&format!(
        "
minio-nlb    NLB, TCP passthrough to the pods' TLS: you see a pod's own certificate
    curl -k https://{nlb}:{port}/
    {credentials} aws --no-verify-ssl --endpoint-url https://{nlb}:{port} s3 mb s3://demo

console-nlb  NLB, TLS terminated with a certificate of the demo's CA, {console_kind} to the consoles
    curl --cacert {ca} --resolve {console_name}:{port}:{console} https://{console_name}:{port}/

minio-alb    ALB, HTTPS by host name to HTTPS pods, 404 for other hosts, HTTP redirects
    curl --cacert {ca} --resolve {MINIO_HOST}:{port}:{alb} https://{MINIO_HOST}:{port}/
    curl --cacert {ca} --resolve {CONSOLE_HOST}:{port}:{alb} https://{CONSOLE_HOST}:{port}/
    curl -i http://{alb}:{}/
    {credentials} AWS_CA_BUNDLE={ca} aws --endpoint-url https://{MINIO_HOST}:{port} s3 ls
        (needs this line in /etc/hosts: {alb} {MINIO_HOST} {CONSOLE_HOST})

Configuration: {}   Admin: http://{}/targets /metrics /health /config
Try: stop a pod, and see its targets turn unhealthy and traffic move without errors.",
        80 + demo.port_offset,
        demo.folder.file("elbow.yaml").display(),
        demo.admin,
    ));
}

/// Shows the targets and handles the keys that stop and start pods, until `q`.
pub(super) async fn live(demo: &Demo) {
    let mut keys = Keys::open();
    let names: Vec<String> = demo.pods().iter().map(|pod| pod.name.clone()).collect();
    match &keys {
        Some(_) => say(&format!(
            "Keys: 1-{} stop or start a pod, q or Ctrl-C quits.\n",
            names.len()
        )),
        None => say(&format!(
            "curl -X POST http://{}/demo/pods/{}/stop (or /start); Ctrl-C quits.\n",
            demo.admin,
            names.first().map_or("minio-0", String::as_str)
        )),
    }
    let mut view = View::new(io::stdout().is_terminal());
    let mut health = demo.plane.view().health_changes();
    loop {
        view.show(demo, &demo.plane.view().status());
        let terminal = view.terminal;
        let next_update = async {
            if terminal {
                // The lines have request counts, which change without health changes.
                tokio::time::sleep(REFRESH).await;
            } else if health.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let key = async {
            match &mut keys {
                Some(keys) => keys.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next_update => {}
            key = key => match key {
                b'q' => return,
                b'1'..=b'9' => {
                    if let Some(name) = names.get(usize::from(key - b'1')) {
                        toggle(demo, name).await;
                    }
                }
                _ => {}
            }
        }
    }
}

async fn toggle(demo: &Demo, name: &str) {
    let stop = !demo.switch.is_stopped(name);
    if let Err(error) = Arc::clone(&demo.switch).set(name.to_owned(), stop).await {
        tracing::warn!(pod = name, %error, "cannot stop or start the pod");
    }
}

/// The table of targets: redrawn in place on a terminal, otherwise a line for each change.
struct View {
    terminal: bool,
    drawn: usize,
    states: HashMap<String, &'static str>,
}

impl View {
    fn new(terminal: bool) -> Self {
        Self {
            terminal,
            drawn: 0,
            states: HashMap::new(),
        }
    }

    fn show(&mut self, demo: &Demo, status: &Status) {
        let lines: Vec<String> = if self.terminal {
            targets(status).map(|t| line(demo, t)).collect()
        } else {
            targets(status)
                .filter(|t| self.is_changed(t))
                .map(|t| line(demo, t))
                .collect()
        };
        let up = if self.terminal && self.drawn > 0 {
            format!("\x1b[{}A", self.drawn)
        } else {
            String::new()
        };
        let clear = if self.terminal { "\x1b[K" } else { "" };
        self.drawn = lines.len();
        let text: String = lines
            .iter()
            .map(|line| format!("{line}{clear}\n"))
            .collect();
        print(format!("{up}{text}"));
    }

    fn is_changed(&mut self, target: &TargetStatus) -> bool {
        let key = format!("{} {}:{}", target.target_group, target.id, target.port);
        self.states.insert(key, target.state) != Some(target.state)
    }
}

fn line(demo: &Demo, target: &TargetStatus) -> String {
    format!(
        "{:<8} {:<12} {:<16} {:<10} {:<28} in flight {:<3} requests {}",
        pod(demo, target).unwrap_or("-"),
        target.target_group,
        format!("{}:{}", target.id, target.port),
        target.state,
        target.reason.as_deref().unwrap_or("-"),
        target.in_flight,
        target.requests
    )
}
