//! What counts as a change of the files that `elbow run` reads: each is one reload.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use elbow_tests::command::{output, texts};
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::{Ca, Client, Elbow, TempDir, address, client, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An ALB that answers `text`.
fn config(ip: Ipv4Addr, text: &str) -> String {
    let listener = listener(8080, "HTTP", &fixed(200, text));
    file(&[alb("alb", ip, &[listener])], &[]).to_string()
}

fn text_at(ip: Ipv4Addr) -> String {
    Client::plain((ip, 8080))
        .ask(client::get("a.example", "/"))
        .text()
}

fn wait_for(ip: Ipv4Addr, text: &str) {
    wait::until(&format!("{text} to be in force"), || {
        (text_at(ip) == text).then_some(())
    });
}

/// Says that it took this many configurations, that of its start included, and refused none.
fn assert_reloads(elbow: &Elbow, expected: f64) {
    // They are counted when they serve already.
    wait::until("the reload to be counted", || {
        (reloads(elbow).0 >= expected).then_some(())
    });
    assert_eq!(reloads(elbow), (expected, 0.0), "{}", elbow.said());
}

/// How many configurations it took and refused.
fn reloads(elbow: &Elbow) -> (f64, f64) {
    let of = |result| {
        let label = format!("result=\"{result}\"");
        elbow
            .metric("elbow_config_reloads_total", &[&label])
            .unwrap()
    };
    (of("ok"), of("failed"))
}

/// A later change shows that what came before it was taken up once.
#[test]
fn every_way_to_change_a_file_is_one_reload() {
    let ip = address();
    let elbow = Elbow::run(&serde_json::from_str(&config(ip, "zero")).unwrap());
    let path = elbow.dir().join("elbow.yaml");
    assert_reloads(&elbow, 1.0);

    // As an editor that truncates and then writes.
    let mut editor = File::create(&path).unwrap();
    editor.flush().unwrap();
    thread::sleep(Duration::from_millis(300));
    editor.write_all(config(ip, "one").as_bytes()).unwrap();
    drop(editor);
    wait_for(ip, "one");
    assert_reloads(&elbow, 2.0);

    // As an editor that replaces.
    elbow.write_config(&config(ip, "two"));
    wait_for(ip, "two");
    assert_reloads(&elbow, 3.0);

    // As a ConfigMap is mounted, and changed: by a link that is swapped.
    for (version, text) in [("..1", "three"), ("..2", "four")] {
        fs::create_dir(elbow.dir().join(version)).unwrap();
        let name = format!("{version}/elbow.yaml");
        elbow.dir().write(name, config(ip, text));
    }
    let link = |to: &str, name: &str| {
        symlink(to, elbow.dir().join("next")).unwrap();
        fs::rename(elbow.dir().join("next"), elbow.dir().join(name)).unwrap();
    };
    link("..1", "..data");
    link("..data/elbow.yaml", "elbow.yaml");
    wait_for(ip, "three");
    link("..2", "..data");
    wait_for(ip, "four");
    assert_reloads(&elbow, 5.0);

    // Of a change there no event is told, as of one in a network file system.
    let elsewhere = TempDir::new();
    let far = elsewhere.write("far.yaml", config(ip, "five"));
    link(far.to_str().unwrap(), "elbow.yaml");
    wait_for(ip, "five");
    fs::write(&far, config(ip, "six")).unwrap();
    wait_for(ip, "six");
    assert_reloads(&elbow, 7.0);

    // What does not change is no reload.
    fs::write(&far, config(ip, "six")).unwrap();
    elbow.dir().write("other.yaml", "of somebody else");
    let mut log = OpenOptions::new();
    let log = log.append(true).create(true);
    for _ in 0..100 {
        let mut log = log.open(elbow.dir().join("other.log")).unwrap();
        log.write_all(b"a line of another program\n").unwrap();
    }
    fs::write(&far, config(ip, "seven")).unwrap();
    wait_for(ip, "seven");
    assert_reloads(&elbow, 8.0);
}

fn git(folder: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example"];
    let mut git = Command::new("git");
    let done = output(git.arg("-C").arg(folder).args(identity).args(args));
    assert!(done.status.success(), "{:?}", texts(&done));
}

/// An Ingress that answers `text` itself.
fn ingress(name: &str, text: &str) -> String {
    let answer = json!({"type": "fixed-response", "fixedResponseConfig":
        {"statusCode": "200", "contentType": "text/plain", "messageBody": text}});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": {
            "kubernetes.io/ingress.class": "alb",
            "alb.ingress.kubernetes.io/load-balancer-name": name,
            "alb.ingress.kubernetes.io/group.name": "one",
            "alb.ingress.kubernetes.io/actions.answer": answer.to_string()}},
        "spec": {"rules": [{"host": format!("{name}.example"), "http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "answer", "port": {"name": "use-annotation"}}}}]}}]}})
    .to_string()
}

#[test]
fn a_checkout_of_a_folder_is_one_reload() {
    const FILES: usize = 40;
    if Command::new("git").arg("--version").output().is_err() {
        return println!("skipped: git is not there");
    }
    let dir = TempDir::new();
    git(dir.path(), &["init", "-q", "-b", "old"]);
    let commit = |text: &str| {
        for n in 0..FILES {
            let ingress = ingress(&format!("i{n}"), text);
            let ingress = ingress.replace(&format!("-name\":\"i{n}\""), "-name\":\"i\"");
            dir.write(format!("{n}.yaml"), ingress);
        }
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-q", "-m", text]);
    };
    commit("old");
    git(dir.path(), &["checkout", "-q", "-b", "new"]);
    commit("new");
    git(dir.path(), &["checkout", "-q", "old"]);
    let elbow = Elbow::run_manifests(dir, &[]);
    let at = elbow.bound("i", 80).unwrap();
    let text = |n: usize| {
        let mut client = Client::plain(at);
        client
            .ask(client::get(&format!("i{n}.example"), "/"))
            .text()
    };
    assert_eq!((text(0), text(FILES - 1)), ("old".into(), "old".into()));
    for (branch, count) in [("new", 2.0), ("old", 3.0)] {
        git(elbow.dir().path(), &["checkout", "-q", branch]);
        wait::until("the other branch to be in force", || {
            (text(FILES - 1) == branch).then_some(())
        });
        assert_eq!(text(0), branch);
        assert_reloads(&elbow, count);
    }
}

#[test]
fn a_reload_says_what_changed() {
    let ip = address();
    let ca = Ca::new();
    let dir = TempDir::new();
    let issue = |dir: &TempDir| {
        let leaf = ca.leaf(&["a.example"]);
        dir.write("key.pem", &leaf.key);
        dir.write("web.pem", &leaf.certificate);
    };
    issue(&dir);
    let config = |text: &str, targets: usize| -> Value {
        let mut https = listener(8443, "HTTPS", &fixed(200, text));
        https["certificates"] = json!(["web"]);
        let plain = listener(8080, "HTTP", &fixed(200, text));
        let mut file = file(&[alb("alb", ip, &[https, plain])], &[]);
        let targets = (0..targets).map(|n| json!({"id": format!("10.0.0.{n}"), "port": 80}));
        let targets: Vec<Value> = targets.collect();
        file["targetGroups"] =
            json!([{"name": "pods", "protocol": "HTTP", "port": 80, "targets": targets}]);
        file["certificates"] =
            json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "key.pem"}]);
        file
    };
    let mut elbow = Elbow::run_in(dir, &config("one", 2), &[]);
    let says = |elbow: &Elbow, what: &str| {
        wait::until(&format!("the log to say {what}"), || {
            elbow.said().contains(what).then_some(())
        });
    };
    elbow.write_config(&config("two", 1).to_string());
    says(
        &elbow,
        "reloaded, 2 listeners changed, 1 target removed source=",
    );
    assert!(elbow.said().contains("target pods/10.0.0.1:80 removed"));

    elbow.write_config(&config("two", 200).to_string());
    says(&elbow, "reloaded, 199 targets added source=");
    says(&elbow, "and 179 more: 199 targets added");
    let lines = elbow.said().matches(":80 added generation=3").count();
    assert_eq!(lines, 20, "many are summarised");

    issue(elbow.dir());
    says(&elbow, "reloaded, 1 certificate changed source=");
    assert!(
        elbow
            .said()
            .contains("certificate web: content changed from PEM ")
    );

    elbow.process().signal(Signal::HUP);
    says(&elbow, "reloaded, nothing changed source=");
}
