//! `elbow plan`: manifests become the stacks that AWS's controller recorded, shown to people and
//! machines.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use elbow_tests::{Elbow, TempDir, address, elbow};
use serde_json::{Value, json};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/lbc")
        .join(path)
}

fn plan(manifests: &[PathBuf]) -> Output {
    let mut arguments = vec!["plan".to_owned(), "-o".into(), "stack".into()];
    arguments.extend([
        "--environment".into(),
        golden("environment.yaml").display().to_string(),
    ]);
    for path in manifests {
        arguments.extend(["-f".into(), path.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    elbow::command(&arguments).output().unwrap()
}

fn ids(output: &Output) -> Vec<String> {
    let stacks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = stacks
        .as_array()
        .unwrap()
        .iter()
        .map(|stack| stack["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn recorded_id(case: &str) -> String {
    let text = std::fs::read_to_string(golden(case).join("expected.json")).unwrap();
    let stack: Value = serde_json::from_str(&text).unwrap();
    stack["id"].as_str().unwrap().to_owned()
}

#[test]
fn manifest_becomes_its_stack() {
    let output = plan(&[golden("v003-service/input.yaml")]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(ids(&output), [recorded_id("v003-service")]);
}

#[test]
fn refused_stack_is_left_out_and_reported() {
    let output = plan(&[golden("v098-service/input.yaml")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(ids(&output), [""; 0]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("error["), "{stderr}");
    assert!(stderr.contains("v098-service/input.yaml:"), "{stderr}");
}

#[test]
fn missing_file_is_an_input_error() {
    let output = plan(&[golden("none.yaml")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[unreadable-file]"));
}

/// A Service on node ports behind an Ingress, with fixed names.
const STORE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: minio, namespace: shop}
spec:
  type: NodePort
  ports: [{name: s3, port: 9000, nodePort: 30900}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: store
  namespace: shop
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/load-balancer-name: store
    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=120,routing.http2.enabled=true
    alb.ingress.kubernetes.io/backend-protocol: HTTPS
spec:
  rules:
  - host: minio.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: minio, port: {number: 9000}}}}
";

/// `elbow plan` for `manifest` with more arguments; compares with no elbow unless they say so.
fn plan_of(manifest: &str, args: &[&str]) -> Output {
    let dir = TempDir::new();
    let file = dir.write("store.yaml", manifest);
    let mut command = elbow::command(&["plan", "-f", "store.yaml"]);
    command.current_dir(file.parent().unwrap());
    if !args.contains(&"--admin") {
        command.args(["--admin", "off"]);
    }
    command.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Replaces names that depend on the cluster by their stems.
fn named(text: &str) -> String {
    let mut named = String::new();
    for (number, part) in text.split("k8s-shop-").enumerate() {
        if number == 0 {
            named.push_str(part);
            continue;
        }
        let (name, hash_and_more) = part.split_once('-').unwrap();
        assert!(
            hash_and_more[..10].chars().all(|c| c.is_ascii_hexdigit()),
            "{part}"
        );
        named.push_str(&format!("{{{name}}}{}", &hash_and_more[10..]));
    }
    named
}

const UNVERIFIED: &str = "note[unverified-backend] store.yaml:8:1: targets of {minio} are reached over TLS and their certificates are not verified, as on AWS\n";

#[test]
fn tree_shows_the_plan() {
    let output = plan_of(STORE, &[]);
    assert_eq!(
        named(&text(&output.stdout)),
        "\
shop/store from Ingress/shop/store
├─ ALB store internal, ipv4
│  ├─ DNS name: internal-store-{digits}.us-east-1.elb.amazonaws.com
│  ├─ subnets: subnet-private-a (us-east-1a), subnet-private-b (us-east-1b), subnet-private-c (us-east-1c)
│  ├─ security groups: {store}, sg-auto
│  ├─ attributes: idle_timeout.timeout_seconds=120
│  └─ listener HTTP:80
│     ├─ 1: host-header is minio.example.com and path-pattern is /* -> forward to {minio}
│     └─ default: fixed response 404 text/plain
├─ target group {minio} HTTPS:30900, instance, Service shop/minio:9000
│  └─ health check: HTTPS traffic-port /, expects 200, every 15s, timeout 5s, healthy after 2, unhealthy after 2
└─ security group {store} tcp 80 from 0.0.0.0/0

1 stack: 1 load balancer, 1 listener, 2 rules, 1 target group
"
    );
    assert_eq!(named(&text(&output.stderr)), UNVERIFIED);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn table_has_a_row_per_resource() {
    let output = plan_of(STORE, &["-o", "table"]);
    let out = text(&output.stdout);
    let tables: Vec<Vec<&str>> = out
        .split("\n\n")
        .map(|table| table.lines().collect())
        .collect();
    let heads: Vec<&str> = tables
        .iter()
        .map(|table| table[0].split("  ").next().unwrap())
        .collect();
    assert_eq!(heads, ["LOAD BALANCER", "LISTENER", "RULE", "TARGET GROUP"]);
    assert_eq!(
        tables[0],
        [
            "LOAD BALANCER  TYPE         SCHEME    LISTENERS  STACK",
            "store          application  internal  HTTP:80    shop/store"
        ]
    );
    assert_eq!(tables[1][1], "store:80  HTTP      2 rules  -       -");
    assert_eq!(tables[2].len(), 3);
    assert!(tables[2][2].starts_with("store:80/default  -  "), "{out}");
    assert_eq!(named(&text(&output.stderr)), UNVERIFIED);
}

#[test]
fn json_and_yaml_have_the_same_structure() {
    let json = plan_of(STORE, &["-o", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(text(&json.stderr), "");
    assert_eq!(
        report["summary"],
        json!({"stacks": 1, "loadBalancers": 1, "listeners": 1, "rules": 2, "targetGroups": 1,
               "services": 0, "errors": 0, "warnings": 0, "notes": 1})
    );
    let stack = &report["stacks"][0];
    assert_eq!(stack["objects"], json!(["Ingress/shop/store"]));
    let balancer = &stack["loadBalancers"][0];
    assert_eq!(balancer["type"], "application");
    assert_eq!(
        balancer["attributes"],
        json!({"idle_timeout.timeout_seconds": "120"})
    );
    assert_eq!(
        balancer["listeners"][0]["rules"][0]["conditions"],
        json!(["host-header is minio.example.com", "path-pattern is /*"])
    );
    assert_eq!(stack["targetGroups"][0]["service"], "shop/minio:9000");
    let rules = stack["quotas"].as_array().unwrap().iter();
    let rules = rules
        .clone()
        .find(|one| one["quota"] == "rules-per-application-load-balancer");
    assert_eq!(
        rules.unwrap(),
        &json!({"resource": "store", "quota": "rules-per-application-load-balancer",
                "used": 1, "limit": 100, "adjustable": true})
    );
    assert_eq!(report["quotas"][0]["resource"], "us-east-1");
    let found = &report["diagnostics"][0];
    assert_eq!(
        (&found["stack"], &found["code"]),
        (&json!("shop/store"), &json!("unverified-backend"))
    );
    assert_eq!(
        (&found["file"], &found["line"]),
        (&json!("store.yaml"), &json!(8))
    );
    assert_eq!(report["changes"], Value::Null);

    let yaml = text(&plan_of(STORE, &["-o", "yaml"]).stdout);
    assert!(
        yaml.starts_with("summary:\n  stacks: 1\n  loadBalancers: 1\n"),
        "{yaml}"
    );
    let keys = yaml.lines().filter(|line| !line.starts_with([' ', '-']));
    let keys: Vec<&str> = keys.map(|line| line.split(':').next().unwrap()).collect();
    let of_json: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, of_json);
}

#[test]
fn classic_load_balancers_and_tenants() {
    let tenant = "apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: store, namespace: shop, uid: 00000000-1111-2222-3333-444444444444}
spec: {exposeServices: {minio: true}, pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]}
";
    let output = plan_of(tenant, &["--personality", "intree"]);
    let out = text(&output.stdout);
    assert!(
        out.contains("├─ Service minio LoadBalancer, 443 -> 9000 (https-minio)\n"),
        "{out}"
    );
    assert!(
        out.contains("├─ Service store-console ClusterIP, 9443 -> 9443 (https-console)\n"),
        "{out}"
    );
    assert!(
        out.contains("└─ Service store-hl headless, 9000 -> 9000 (https-minio)\n"),
        "{out}"
    );
    assert!(out.contains("├─ Classic a"), "{out}");
    assert!(out.contains(" internet-facing\n"), "{out}");
    assert!(
        out.contains("│  └─ listener TCP:443 to instances TCP:"),
        "{out}"
    );
    assert!(
        out.contains(", every 10s, timeout 5s, healthy after 2, unhealthy after 6\n"),
        "{out}"
    );
    let node = "---
apiVersion: v1
kind: Node
metadata: {name: a}
spec: {providerID: aws:///us-east-1a/i-1}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}]
  conditions: [{type: Ready, status: 'True'}]
";
    let output = plan_of(&format!("{tenant}{node}"), &["--personality", "intree"]);
    let out = text(&output.stdout);
    // MinIO's operator has not made the Service, so its node port is unknown.
    assert!(out.contains(" internet-facing\n"), "{out}");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("warning[no-node-ports]"), "{stderr}");
    let lbc = text(&plan_of(tenant, &["--personality", "lbc-default"]).stdout);
    assert!(lbc.contains("├─ NLB k8s-shop-minio-"), "{lbc}");
}

/// A quota is shown when more than half used, with a warning when AWS would refuse.
#[test]
fn exceeded_quotas_are_warnings() {
    let (head, path) = STORE.split_at(STORE.find("  - host").unwrap());
    let with_rules = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|n| path.replace("minio.example.com", &format!("h{n}.example.com")))
            .collect();
        plan_of(&format!("{head}{}", rules.concat()), &[])
    };
    let shown = |output: &Output| text(&output.stdout).contains("quota");
    assert!(!shown(&with_rules(50)));
    let output = with_rules(51);
    assert!(text(&output.stdout).contains("└─ quota 51/100 rules of store\n"));
    assert!(!text(&output.stderr).contains("quota-exceeded"));
    let output = with_rules(101);
    assert_eq!(
        output.status.code(),
        Some(0),
        "a warning, since elbow serves it"
    );
    assert!(text(&output.stderr).contains(
        "warning[quota-exceeded] store.yaml:8:1: store has 101 rules; AWS allows at most 100 (rules-per-application-load-balancer)\n  hint: AWS raises this quota on request"
    ));
}

/// A refused stack is reported, and the others are shown.
#[test]
fn error_in_one_stack_leaves_the_others() {
    let broken = STORE
        .replace("name: store\n", "name: broken\n")
        .replace("backend-protocol: HTTPS", "backend-protocol: FTP");
    let (_, broken) = broken.split_once("---\n").unwrap();
    let manifest = format!("{STORE}---\n{broken}");
    let output = plan_of(&manifest, &[]);
    assert_eq!(output.status.code(), Some(1));
    let out = text(&output.stdout);
    assert!(
        out.starts_with("shop/store from Ingress/shop/store\n"),
        "{out}"
    );
    assert!(!out.contains("broken"), "{out}");
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("error[") && stderr.ends_with("1 error\n"),
        "{stderr}"
    );
}

/// no-color.org; a pipe never has colour.
#[test]
fn pipes_have_no_colour() {
    for no_color in [None, Some("1")] {
        let dir = TempDir::new();
        let file = dir.write("store.yaml", STORE);
        let mut command = elbow::command(&["plan", "--admin", "off", "-f", file.to_str().unwrap()]);
        match no_color {
            Some(value) => command.env("NO_COLOR", value),
            None => command.env_remove("NO_COLOR"),
        };
        let output = command.output().unwrap();
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    }
}

#[test]
fn wrong_usage_exits_2() {
    assert_eq!(plan_of(STORE, &["-o", "xml"]).status.code(), Some(2));
    assert_eq!(
        plan_of(STORE, &["--personality", "eks"]).status.code(),
        Some(2)
    );
}

/// interface.md, exit codes: 3 if no elbow answers at the given address.
#[test]
fn missing_elbow_at_the_given_address_exits_3() {
    let nobody = SocketAddr::from((address(), 9901)).to_string();
    let output = plan_of(STORE, &["--admin", &nobody]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains(&format!("no elbow answers on the admin address {nobody}"))
    );
    assert_eq!(text(&output.stdout), "");
    let output = plan_of(STORE, &["--detailed-exitcode"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

const ENDPOINTS: &str = "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: minio, namespace: shop, labels: {kubernetes.io/service-name: minio}}
addressType: IPv4
ports: [{name: s3, port: 9000}]
endpoints: [{addresses: [127.0.0.1]}]
";

/// Equal manifests: nothing to do. Another attribute and another rule: one change and one
/// new rule. Empty manifests: everything is deleted.
#[test]
fn changes_are_compared_with_a_running_elbow() {
    let manifest =
        format!("{STORE}{ENDPOINTS}").replace("backend-protocol: HTTPS", "target-type: ip");
    let dir = TempDir::new();
    dir.write("store.yaml", &manifest);
    let elbow = Elbow::run_manifests(dir, &["--port-offset", "10000"]);
    let admin = elbow.admin().to_string();
    let compare = |manifest: &str, more: &[&str]| {
        let args = [&["--admin", &admin, "--detailed-exitcode"], more].concat();
        plan_of(manifest, &args)
    };

    let same = compare(&manifest, &[]);
    let out = text(&same.stdout);
    assert!(
        out.contains(&format!(
            "\nchanges at {admin}: 0 to create, 0 to change, 0 to delete\n"
        )),
        "{out}"
    );
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stderr));

    let second = "  - host: other.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: minio, port: {number: 9000}}}}
---
apiVersion: discovery";
    let other = manifest
        .replace("timeout_seconds=120", "timeout_seconds=90")
        .replace("---\napiVersion: discovery", second);
    let changed = compare(&other, &[]);
    let out = text(&changed.stdout);
    assert!(
        out.contains(&format!(
            "changes at {admin}: 1 to create, 1 to change, 0 to delete
├─ ~ load balancer store
│  └─ attributes.idle_timeout.timeout_seconds: 120 -> 90
└─ + rule store:80/2
"
        )),
        "{out}"
    );
    assert_eq!(changed.status.code(), Some(4), "{}", text(&changed.stderr));

    let json = compare(&other, &["-o", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    let changes = &report["changes"];
    assert_eq!(changes["against"], admin);
    assert_eq!(
        (&changes["create"], &changes["change"], &changes["delete"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(
        changes["items"][0],
        json!({"action": "change", "kind": "load balancer", "name": "store",
               "fields": [{"field": "attributes.idle_timeout.timeout_seconds", "from": "120", "to": "90"}]})
    );
    let table = text(&compare(&other, &["-o", "table"]).stdout);
    assert!(
        table.contains(
            "\nchange  load balancer  store       attributes.idle_timeout.timeout_seconds\n"
        ),
        "{table}"
    );
    assert_eq!(compare(&other, &["-o", "stack"]).status.code(), Some(4));

    // A reload would keep the refused stack as it is, so the changes are unknown.
    let broken = compare(
        &manifest.replace("target-type: ip", "target-type: pod"),
        &[],
    );
    assert_eq!(broken.status.code(), Some(1));
    let stderr = text(&broken.stderr);
    assert!(
        stderr.contains(&format!(
            "note[not-compared]: cannot compare with {admin}: the input has errors"
        )),
        "{stderr}"
    );

    let nothing = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n";
    let gone = compare(nothing, &["-o", "json"]);
    let report: Value = serde_json::from_slice(&gone.stdout).unwrap();
    let deleted: Vec<&str> = report["changes"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["action"] == "delete")
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        deleted,
        [
            "listener",
            "load balancer",
            "rule",
            "target",
            "target group"
        ]
    );
    // The plan itself changed nothing.
    assert_eq!(elbow.json("/config")["loadBalancers"][0]["name"], "store");
}

/// For all recorded inputs, every format shows the stacks of `-o stack`.
#[test]
fn every_format_shows_every_recorded_stack() {
    for folder in ["lbc", "clb", "tenant"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("golden")
            .join(folder);
        let mut arguments: Vec<PathBuf> = ["plan", "--admin", "off"].map(PathBuf::from).into();
        let environment = folder.join("environment.yaml");
        if environment.exists() {
            arguments.extend(["--environment".into(), environment]);
        }
        let mut cases = 0;
        for case in std::fs::read_dir(&folder).unwrap() {
            let input = case.unwrap().path().join("input.yaml");
            if input.exists() {
                arguments.extend(["-f".into(), input]);
                cases += 1;
            }
        }
        assert!(cases >= 10, "{cases} in {}", folder.display());
        let printed = |form: &str| {
            let mut command = elbow::command(&[]);
            let output = command
                .args(&arguments)
                .args(["-o", form])
                .output()
                .unwrap();
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{form}: {}",
                text(&output.stderr)
            );
            output
        };
        let expected = ids(&printed("stack"));
        let report: Value = serde_json::from_slice(&printed("json").stdout).unwrap();
        let stacks = report["stacks"].as_array().unwrap();
        let shown: Vec<&str> = stacks
            .iter()
            .map(|one| one["id"].as_str().unwrap())
            .collect();
        assert_eq!(shown, expected);
        let tree = text(&printed("tree").stdout);
        let table = text(&printed("table").stdout);
        let yaml = text(&printed("yaml").stdout);
        for stack in stacks {
            let id = stack["id"].as_str().unwrap();
            assert!(tree.contains(&format!("{id} from ")), "{id}");
            assert!(yaml.contains(&format!("- id: {id}\n")), "{id}");
            for balancer in stack["loadBalancers"].as_array().unwrap() {
                let name = balancer["name"].as_str().unwrap();
                let row = format!("\n{name} ");
                assert!(
                    table.contains(&row) && tree.contains(&format!(" {name} ")),
                    "{name}"
                );
            }
        }
    }
}
