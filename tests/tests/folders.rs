//! Folders as they are: kustomizations, charts, templates, old versions, and nothing to serve.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use elbow_tests::{Elbow, TempDir, elbow, wait};
use serde_json::Value;

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]
";

/// A folder with a program `name` that is the shell script `script`, and no other program.
fn program(name: &str, script: &str) -> TempDir {
    let dir = TempDir::new();
    let file = dir.write(name, format!("#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// kubectl that builds a kustomization of `resources: [FILE]` lines without any patch.
const KUBECTL: &str = "\
[ \"$1 $2\" = 'kustomize --' ] || exit 9
build() {
  sed -n 's/^- //p' \"$1/kustomization.yaml\" | while read -r one; do
    if [ -d \"$1/$one\" ]; then build \"$1/$one\"; else cat \"$1/$one\"; echo ---; fi
  done
}
build \"$3\"";

/// `elbow` in `dir`, with the programs in `path`.
fn elbow_in(dir: &TempDir, path: &TempDir, args: &[&str]) -> Output {
    let mut command = elbow::command(args);
    command.current_dir(dir.path()).env("PATH", path.path());
    command.output().unwrap()
}

/// The findings of `elbow check -o json`, as code and file.
fn findings(output: &Output) -> Vec<(String, String)> {
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    found
        .iter()
        .map(|one| (text(one, "code"), text(one, "file")))
        .collect()
}

fn check(dir: &TempDir, path: &TempDir, args: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
    let args: Vec<&str> = ["check", "-o", "json"]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    let output = elbow_in(dir, path, &args);
    (output.status.code(), findings(&output))
}

fn pair(code: &str, file: &str) -> (String, String) {
    (code.to_owned(), file.to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder(dir: &TempDir, name: &str, files: &[(&str, &str)]) {
    fs::create_dir_all(dir.join(name)).unwrap();
    for (file, content) in files {
        dir.write(format!("{name}/{file}"), content);
    }
}

#[test]
fn kustomization_is_built_instead_of_its_files() {
    let dir = TempDir::new();
    let kustomization = "resources:\n- web.yaml\npatches: [{path: patch.yaml}]\n";
    folder(
        &dir,
        "app",
        &[("kustomization.yaml", kustomization), ("web.yaml", SERVICE)],
    );
    dir.write("app/patch.yaml", "kind: Service\nspec: []\n");
    dir.write("app/other.yaml", SERVICE.replace("web", "other"));
    let output = elbow_in(&dir, &program("kubectl", KUBECTL), &["check", "-f", "app"]);
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("good: 1 load balancer"),
        "{stdout}{}",
        text(&output.stderr)
    );

    // Findings are placed in the source.
    dir.write("app/web.yaml", SERVICE.replace("port: 80", "port: 0"));
    let (code, found) = check(&dir, &program("kubectl", KUBECTL), &["-f", "app"]);
    assert_eq!(code, Some(1));
    assert!(
        found.iter().all(|(_, file)| file == "app/web.yaml"),
        "{found:?}"
    );
}

#[test]
fn without_kubectl_the_command_is_told_and_plain_manifests_are_read() {
    let dir = TempDir::new();
    let kustomization =
        "kind: Kustomization\nresources:\n- web.yaml\npatches: [{path: patch.yaml}]\n";
    folder(
        &dir,
        "app",
        &[("kustomization.yaml", kustomization), ("web.yaml", SERVICE)],
    );
    dir.write("app/patch.yaml", "kind: Service\nspec: []\n");
    let nothing = TempDir::new();
    let output = elbow_in(&dir, &nothing, &["check", "-f", "app"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("good: 1 load balancer"), "{stdout}{stderr}");
    assert!(
        stderr.contains("warning[kustomization-not-built] app/kustomization.yaml"),
        "{stderr}"
    );
    assert!(
        stderr.contains("kubectl kustomize app | elbow check -f -"),
        "{stderr}"
    );

    // A shell's `app/*.yaml` names the kustomization as if it were a manifest.
    let (code, found) = check(
        &dir,
        &nothing,
        &["-f", "app/kustomization.yaml", "app/web.yaml"],
    );
    assert_eq!(
        (code, &found[0]),
        (
            Some(0),
            &pair("kustomization-not-built", "app/kustomization.yaml")
        )
    );
}

#[test]
fn failed_build_is_an_error_with_the_message_of_the_tool() {
    let dir = TempDir::new();
    folder(
        &dir,
        "app",
        &[("Kustomization", "resources: [none.yaml]\n")],
    );
    let kubectl = program(
        "kubectl",
        "echo 'error: none.yaml: no such file' >&2; exit 1",
    );
    let output = elbow_in(&dir, &kubectl, &["plan", "--admin", "off", "-f", "app"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let message = "error[kustomization-failed] app/Kustomization: cannot build the kustomization: error: none.yaml: no \
                   such file";
    assert!(stderr.contains(message), "{stderr}");
}

/// No object is served twice: a base is a part of its overlays, and of two overlays one is served.
#[test]
fn overlays_of_one_base_are_alternatives() {
    let dir = TempDir::new();
    folder(
        &dir,
        "base",
        &[
            ("kustomization.yaml", "resources:\n- web.yaml\n"),
            ("web.yaml", SERVICE),
        ],
    );
    let overlay = "resources:\n- ../../base\n";
    folder(&dir, "overlays/dev", &[("kustomization.yaml", overlay)]);
    folder(&dir, "overlays/prod", &[("kustomization.yaml", overlay)]);
    let kubectl = program("kubectl", KUBECTL);
    let (code, found) = check(&dir, &kubectl, &["-f", "."]);
    let left_out = pair(
        "alternative-kustomization",
        "./overlays/prod/kustomization.yaml",
    );
    assert_eq!(code, Some(0), "{found:?}");
    assert!(found.contains(&left_out), "{found:?}");
    assert!(
        !found.iter().any(|(code, _)| code == "duplicate-object"),
        "{found:?}"
    );
    let (code, found) = check(&dir, &kubectl, &["-f", "overlays/prod"]);
    assert_eq!(code, Some(0));
    assert!(
        !found
            .iter()
            .any(|(code, _)| code == "alternative-kustomization"),
        "{found:?}"
    );
}

/// The base is outside of the folder, and is watched all the same.
#[test]
fn kustomization_is_built_again_when_its_base_changes() {
    let dir = TempDir::new();
    let other = SERVICE.replace("name: web,", "name: other,");
    folder(
        &dir,
        "base",
        &[
            ("kustomization.yaml", "resources:\n- web.yaml\n"),
            ("web.yaml", SERVICE),
        ],
    );
    folder(
        &dir,
        "prod",
        &[("kustomization.yaml", "resources:\n- ../base\n")],
    );
    let kubectl = program("kubectl", KUBECTL);
    let served = |elbow: &Elbow| {
        let config = elbow.json("/config");
        let balancers = config["loadBalancers"].as_array().unwrap();
        let stems = balancers
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned());
        stems.collect::<Vec<_>>()
    };
    let elbow = Elbow::run_folder(dir, "prod", kubectl.path());
    wait::until("the Service of the base", || {
        served(&elbow)
            .iter()
            .any(|name| name.starts_with("k8s-shop-web"))
            .then_some(())
    });
    elbow.write_manifest("base/web.yaml", &other);
    wait::until("the Service of the edited base", || {
        let names = served(&elbow);
        (names.len() == 1 && names[0].starts_with("k8s-shop-other")).then_some(())
    });
}

#[test]
fn chart_is_rendered_with_its_options() {
    let dir = TempDir::new();
    folder(&dir, "chart/templates", &[("web.yaml", "{{ nothing }}")]);
    dir.write("chart/Chart.yaml", "name: web\n");
    dir.write("prod.yaml", "a: b\n");
    let rendered = SERVICE
        .replace(", namespace: shop", "")
        .replace("port: 80", "port: 0");
    dir.write(
        "out",
        format!("---\n# Source: web/templates/web.yaml\n{rendered}"),
    );
    let helm = program("helm", "echo \"$*\" >args; cat out");
    let args = [
        "--helm",
        "chart",
        "--values",
        "prod.yaml",
        "--set",
        "a=c",
        "--namespace",
        "ns",
    ];
    let (code, found) = check(&dir, &helm, &args);
    assert_eq!(code, Some(1));
    assert!(
        found
            .iter()
            .all(|(_, file)| file == "chart/templates/web.yaml"),
        "{found:?}"
    );
    let asked = fs::read_to_string(dir.join("args")).unwrap();
    let expected =
        "template --namespace ns --values prod.yaml --set a=c --skip-tests -- release-name chart\n";
    assert_eq!(asked, expected);
    let output = elbow_in(
        &dir,
        &helm,
        &["check", "--helm", "chart", "--namespace", "ns"],
    );
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains(" chart/templates/web.yaml Service/ns/web"),
        "{stderr}"
    );

    let nothing = TempDir::new();
    let output = elbow_in(
        &dir,
        &nothing,
        &["check", "--helm", "chart", "--set", "a=b c"],
    );
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    let command =
        "helm template --set 'a=b c' --skip-tests -- release-name chart | elbow check -f -";
    assert!(
        stderr.contains("error[helm-missing] chart") && stderr.contains(command),
        "{stderr}"
    );
}

#[test]
fn templates_are_one_message() {
    let dir = TempDir::new();
    let template = "{{- if .Values.on }}\nkind: Service\n  bad: {{ .Values.a }}\n{{- end }}\n";
    folder(
        &dir,
        "all/chart/templates",
        &[("a.yaml", template), ("b.yaml", template)],
    );
    dir.write("all/chart/Chart.yaml", "name: web\n");
    dir.write("all/web.yaml", SERVICE);
    let nothing = TempDir::new();
    let (code, found) = check(&dir, &nothing, &["-f", "all/chart"]);
    assert_eq!(
        (code, found),
        (Some(1), vec![pair("helm-chart", "all/chart/Chart.yaml")])
    );
    let (code, found) = check(&dir, &nothing, &["-f", "all"]);
    assert_eq!(
        (code, &found[0]),
        (Some(0), &pair("helm-chart", "all/chart/Chart.yaml"))
    );
    let (code, found) = check(&dir, &nothing, &["-f", "all/chart/templates"]);
    assert_eq!(
        (code, found),
        (
            Some(1),
            vec![pair("not-rendered", "all/chart/templates/a.yaml")]
        )
    );
}

#[test]
fn nothing_to_serve_is_told() {
    let dir = TempDir::new();
    let nothing = TempDir::new();
    dir.write("empty.yaml", "");
    fs::create_dir(dir.join("empty")).unwrap();
    dir.write("comment.yaml", "# only\r\n---\r\n");
    let plain = SERVICE
        .replace("type: LoadBalancer", "type: ClusterIP")
        .replace("  loadBalancerClass: service.k8s.aws/nlb\n", "")
        .replace(", nodePort: 30080", "");
    let deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";
    dir.write("plain.yaml", format!("{plain}{deployment}"));
    for (input, says) in [
        ("empty.yaml", "the input has no objects"),
        ("empty", "the input has no objects"),
        ("comment.yaml", "the input has no objects"),
        (
            "plain.yaml",
            "seen: 1 Deployment, 1 Service of type ClusterIP",
        ),
    ] {
        let output = elbow_in(&dir, &nothing, &["check", "-f", input]);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{input}: {stderr}");
        assert!(
            stderr.contains("warning[nothing-to-serve]") && stderr.contains(says),
            "{input}: {stderr}"
        );
        assert_eq!(stdout, format!("{input}: nothing to serve\n"));
        let output = elbow_in(&dir, &nothing, &["plan", "--admin", "off", "-f", input]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{input}: {stderr}");
        assert!(
            stderr.contains("warning[nothing-to-serve]"),
            "{input}: {stderr}"
        );
    }
    dir.write("native.yaml", "loadBalancers: []\n");
    let output = elbow_in(&dir, &nothing, &["check", "--config", "native.yaml"]);
    assert!(text(&output.stderr).contains("warning[nothing-to-serve] native.yaml"));
}

/// An empty folder may get its manifests later.
#[test]
fn run_waits_for_manifests() {
    let nothing = TempDir::new();
    let dir = TempDir::new();
    fs::create_dir(dir.join("later")).unwrap();
    let elbow = Elbow::run_folder(dir, "later", nothing.path());
    elbow.log_with(&["warning[nothing-to-serve]"]);
    elbow.write_manifest("later/web.yaml", SERVICE);
    wait::until("the Service to be served", || {
        let config = elbow.json("/config");
        (config["loadBalancers"].as_array().unwrap().len() == 1).then_some(())
    });
}

/// The warnings of an Ingress follow its tree, also beside a Service of its name, whose stack has the same id.
#[test]
fn warnings_follow_the_tree_of_their_object() {
    let dir = TempDir::new();
    let ingress = "\
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations: {alb.ingress.kubernetes.io/certificate-arn: 'arn:aws:acm:us-east-1:111122223333:certificate/x'}
spec:
  ingressClassName: alb
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
";
    dir.write("in.yaml", format!("{SERVICE}{ingress}"));
    let nothing = TempDir::new();
    let script = "exec \"$ELBOW\" plan --admin off -f in.yaml 2>&1";
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", script]).env("ELBOW", elbow::binary());
    command
        .current_dir(dir.path())
        .env("PATH", nothing.path())
        .env("NO_COLOR", "1");
    let shown = text(&command.output().unwrap().stdout);
    let at = |part: &str| {
        shown
            .find(part)
            .unwrap_or_else(|| panic!("{part}: {shown}"))
    };
    let (of_service, of_ingress) = (at("from Service/shop/web"), at("from Ingress/shop/web"));
    let warning = at("warning[certificate-not-found]");
    assert!(of_service < of_ingress && of_ingress < warning, "{shown}");
}

/// The Service is not blamed for an Ingress that cannot be read.
#[test]
fn old_version_is_one_error_that_says_what_to_write() {
    let dir = TempDir::new();
    let old = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {alb.ingress.kubernetes.io/healthcheck-path: /hc}}
spec: {type: NodePort, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: old, namespace: shop, annotations: {kubernetes.io/ingress.class: alb}}
spec: {rules: [{http: {paths: [{path: /*, backend: {serviceName: web, servicePort: 80}}]}}]}
";
    dir.write("in.yaml", old);
    let nothing = TempDir::new();
    let (code, found) = check(&dir, &nothing, &["-f", "in.yaml"]);
    assert_eq!(
        (code, found),
        (Some(1), vec![pair("old-api-version", "in.yaml")])
    );
    let output = elbow_in(&dir, &nothing, &["check", "-f", "in.yaml"]);
    let stderr = text(&output.stderr);
    for part in ["in.yaml:6:13", "backend.service.name", "pathType"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

/// One note for each kind whose objects are rendered, made or routed elsewhere.
#[test]
fn wrappers_are_named_once_for_each_kind() {
    let dir = TempDir::new();
    let object = |version: &str, kind: &str, name: &str| {
        format!("---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n")
    };
    let objects = [
        object("argoproj.io/v1alpha1", "Application", "a"),
        object("argoproj.io/v1alpha1", "Application", "b"),
        object("helm.toolkit.fluxcd.io/v2", "HelmRelease", "a"),
        object("gateway.networking.k8s.io/v1", "Gateway", "a"),
        object("elbv2.services.k8s.aws/v1alpha1", "LoadBalancer", "a"),
        object("traefik.io/v1alpha1", "IngressRoute", "a"),
    ];
    dir.write("in.yaml", objects.concat());
    let (code, found) = check(&dir, &TempDir::new(), &["-f", "in.yaml"]);
    let codes: Vec<&str> = found.iter().map(|(code, _)| &**code).collect();
    let expected = [
        "rendered-elsewhere",
        "rendered-elsewhere",
        "not-supported",
        "made-elsewhere",
        "other-proxy",
        "nothing-to-serve",
    ];
    assert_eq!((code, &codes[..]), (Some(0), &expected[..]));
}
