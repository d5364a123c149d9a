//! Which file changes make `elbow run` reload, and that each is one reload.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::iter;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use elbow_tests::command::{output, texts};
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::{Ca, Client, Elbow, TempDir, address, client, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An ALB with a fixed response.
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

/// Asserts the number of applied configurations, including the first, and that none failed.
fn assert_reloads(elbow: &Elbow, expected: f64) {
    // A reload is counted after it serves.
    wait::until("the reload to be counted", || {
        (reloads(elbow).0 >= expected).then_some(())
    });
    assert_eq!(reloads(elbow), (expected, 0.0), "{}", elbow.log());
}

/// The numbers of applied and failed configurations.
fn reloads(elbow: &Elbow) -> (f64, f64) {
    let of = |result| {
        let label = format!("result=\"{result}\"");
        elbow
            .metric("elbow_config_reloads_total", &[&label])
            .unwrap()
    };
    (of("ok"), of("failed"))
}

/// A later reload shows that the earlier changes were reloaded once.
#[test]
fn every_kind_of_change_is_one_reload() {
    let ip = address();
    let elbow = Elbow::run(&serde_json::from_str(&config(ip, "zero")).unwrap());
    let path = elbow.dir().join("elbow.yaml");
    assert_reloads(&elbow, 1.0);

    // Like an editor that truncates and then writes.
    let mut editor = File::create(&path).unwrap();
    editor.flush().unwrap();
    thread::sleep(Duration::from_millis(300));
    editor.write_all(config(ip, "one").as_bytes()).unwrap();
    drop(editor);
    wait_for(ip, "one");
    assert_reloads(&elbow, 2.0);

    // Like an editor that replaces the file.
    elbow.write_config(&config(ip, "two"));
    wait_for(ip, "two");
    assert_reloads(&elbow, 3.0);

    // Like a mounted ConfigMap, which changes by a swapped link.
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

    // A change elsewhere causes no event, like one in a network file system.
    let elsewhere = TempDir::new();
    let far = elsewhere.write("far.yaml", config(ip, "five"));
    link(far.to_str().unwrap(), "elbow.yaml");
    wait_for(ip, "five");
    fs::write(&far, config(ip, "six")).unwrap();
    wait_for(ip, "six");
    assert_reloads(&elbow, 7.0);

    // Writing the same content is no change, and other files do not count.
    fs::write(&far, config(ip, "six")).unwrap();
    elbow.dir().write("other.yaml", "another program's file");
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

/// An Ingress with a fixed response.
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
fn checkout_is_one_reload() {
    const FILES: usize = 40;
    if Command::new("git").arg("--version").output().is_err() {
        return println!("skipped: needs git");
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
    for branch in ["new", "old"] {
        let (before, start) = (reloads(&elbow).0, SystemTime::now());
        git(elbow.dir().path(), &["checkout", "-q", branch]);
        wait::until("the other branch to be in force", || {
            (0..FILES).all(|n| text(n) == branch).then_some(())
        });
        wait::until("the reload to be counted", || {
            (reloads(&elbow).0 > before).then_some(())
        });
        let files = (0..FILES).map(|n| elbow.dir().join(format!("{n}.yaml")));
        let most = before + 1.0 + pauses(start, files) as f64;
        let (applied, failed) = reloads(&elbow);
        assert!(applied <= most && failed == 0.0, "{applied}, {failed}");
    }
}

/// The number of times that `files` were left alone, while they were written one after another from `start` on, for so long that
/// elbow may take the change for over: a busy machine keeps git waiting, too.
fn pauses(start: SystemTime, files: impl Iterator<Item = PathBuf>) -> usize {
    // Less than what elbow waits for, because file systems round the times.
    const QUIET: Duration = Duration::from_millis(190);
    let written = files.map(|file| fs::metadata(file).unwrap().modified().unwrap());
    let mut times: Vec<SystemTime> = iter::once(start).chain(written).collect();
    times.sort_unstable();
    let is_pause = |pair: &&[SystemTime]| pair[1].duration_since(pair[0]).unwrap() >= QUIET;
    times.windows(2).filter(is_pause).count()
}

#[test]
fn reload_logs_what_changed() {
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
    elbow.write_config(&config("two", 1).to_string());
    elbow.log_with(&[
        "reloaded, 2 listeners changed, 1 target removed source=",
        "target pods/10.0.0.1:80 removed",
    ]);

    elbow.write_config(&config("two", 200).to_string());
    let log = elbow.log_with(&[
        "and 179 more: 199 targets added",
        "reloaded, 199 targets added source=",
    ]);
    let lines = log.matches(":80 added generation=3").count();
    assert_eq!(lines, 20, "further changes are summarised");

    issue(elbow.dir());
    elbow.log_with(&[
        "certificate web: content changed from PEM ",
        "reloaded, 1 certificate changed source=",
    ]);

    elbow.process().signal(Signal::HUP);
    elbow.log_with(&["reloaded, nothing changed source="]);
}

/// What else changes is served, and the load balancer keeps the certificate that it had, until its files are good again.
#[test]
fn change_beside_an_unusable_certificate_is_served() {
    let ip = address();
    let ca = Ca::new();
    let dir = TempDir::new();
    let old = ca.leaf(&["a.example"]);
    old.write(&dir, "web");
    let config = |text: &str| -> Value {
        let mut https = listener(8443, "HTTPS", &fixed(200, text));
        https["certificates"] = json!(["web"]);
        let mut file = file(&[alb("alb", ip, &[https])], &[]);
        file["certificates"] =
            json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "web.key"}]);
        file
    };
    let elbow = Elbow::run_in(dir, &config("one"), &[]);
    let trusts = ca.client(&[]);
    let wait_for = |expected: &str| {
        wait::until(&format!("{expected} to be in force"), || {
            let mut client = Client::tls((ip, 8443), "a.example", &trusts).unwrap();
            let leaf = client.peer_certificate().unwrap();
            let text = client.ask(client::get("a.example", "/")).text();
            (text == expected).then_some(leaf)
        })
    };
    elbow.dir().write("web.pem", "nothing");
    elbow.log_with(&["the previous content stays in force: certificate \"web\": "]);
    elbow.write_config(&config("two").to_string());
    assert_eq!(wait_for("two"), old.der());
    // The second attempt of a reload in which another load balancer fails: its port is taken.
    let elsewhere = address();
    let _taken = TcpListener::bind((elsewhere, 8443)).unwrap();
    let mut both = config("three");
    let twin = alb(
        "twin",
        elsewhere,
        &[listener(8443, "HTTP", &fixed(200, "twin"))],
    );
    both["loadBalancers"].as_array_mut().unwrap().push(twin);
    elbow.write_config(&both.to_string());
    assert_eq!(wait_for("three"), old.der());
    let good = |expected| elbow.wait_for_metric("elbow_config_last_reload_success", &[], expected);
    good(0.0);
    let new = ca.leaf(&["a.example"]);
    new.write(elbow.dir(), "web");
    elbow.write_config(&config("four").to_string());
    wait_for("four");
    good(1.0);
    assert_eq!(wait_for("four"), new.der());
}
