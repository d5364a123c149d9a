//! Special files and unread outputs do not block elbow.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use elbow_tests::command::{Running, output, texts};
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::{Client, Elbow, TempDir, address, client, elbow, wait};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An ALB that responds with `text`.
fn config(ip: Ipv4Addr, text: &str) -> Value {
    let listener = listener(8080, "HTTP", &fixed(200, text));
    file(&[alb("alb", ip, &[listener])], &[])
}

fn try_text_at(ip: Ipv4Addr) -> Option<String> {
    let mut client = Client::try_plain((ip, 8080).into()).ok()?;
    client.try_send(client::get("a.example", "/")).ok()?;
    Some(client.try_response("GET").ok()?.text())
}

fn wait_for(ip: Ipv4Addr, text: &str) {
    wait::until(&format!("{text} to be in force"), || {
        (try_text_at(ip).as_deref() == Some(text)).then_some(())
    });
}

fn make_fifo(path: &Path) {
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
    spec: {type: LoadBalancer, ports: [{port: 80}]}\n";

#[test]
fn special_file_in_a_folder_is_named_and_not_read() {
    let dir = TempDir::new();
    dir.write("web.yaml", SERVICE);
    make_fifo(&dir.join("fifo.yaml"));
    let check = output(elbow::command(&["check", "-f"]).arg(dir.path()));
    let (_, stderr) = texts(&check);
    assert_eq!(check.status.code(), Some(1), "{stderr}");
    let what = "fifo.yaml: cannot be read: expected a regular file, found a pipe";
    assert!(stderr.contains(what), "{stderr}");
    fs::remove_file(dir.join("fifo.yaml")).unwrap();

    let mut elbow = Elbow::run_manifests(dir, &[]);
    for (name, what) in [("fifo.yaml", "a pipe"), ("zero.yaml", "a device")] {
        let path = elbow.dir().join(name);
        match what {
            "a pipe" => make_fifo(&path),
            _ => symlink("/dev/zero", &path).unwrap(),
        }
        wait::until("the error", || {
            let what = format!("{name}: cannot be read: expected a regular file, found {what}");
            elbow.log().contains(&what).then_some(())
        });
        assert_eq!(elbow.page("/health").status, 200);
        fs::remove_file(&path).unwrap();
        let before = elbow.log().matches("reloaded, ").count();
        elbow.write_manifest("web.yaml", &format!("{SERVICE}# without {name}\n"));
        wait::until("a reload", || {
            (elbow.log().matches("reloaded, ").count() > before).then_some(())
        });
    }
    assert_eq!(elbow.terminate().code(), Some(0));
}

/// A running elbow that reads its configuration from a pipe, and its admin address.
fn piped(path: &Path) -> (Running, SocketAddr) {
    let admin = SocketAddr::from((address(), 9901));
    let mut command = elbow::command(&["run", "--admin", &admin.to_string()]);
    command.arg("--config").arg(path);
    (Running::start(&mut command), admin)
}

#[test]
fn piped_configuration_is_read_once() {
    let ip = address();
    let dir = TempDir::new();
    let fifo = dir.join("config");
    make_fifo(&fifo);
    let (mut elbow, admin) = piped(&fifo);
    // In two pieces, like a slow program.
    let text = config(ip, "piped").to_string();
    let (first, second) = text.split_at(20);
    let mut writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    writer.write_all(first.as_bytes()).unwrap();
    writer.flush().unwrap();
    writer.write_all(second.as_bytes()).unwrap();
    drop(writer);
    wait_for(ip, "piped");
    elbow.signal(Signal::HUP);
    elbow.stderr_with(&[
        &format!("{} was read once and cannot be read again", fifo.display()),
        "reloaded, nothing changed",
    ]);
    assert_eq!(elbow::admin_get(admin, "/health").unwrap().status, 200);
    elbow.signal(Signal::TERM);
    assert_eq!(elbow.wait().code(), Some(0));
}

/// As in a shell: `elbow run --config <(cat elbow.yaml)`.
#[test]
fn process_substitution_is_a_configuration() {
    let ip = address();
    let dir = TempDir::new();
    let file = dir.write("elbow.yaml", config(ip, "substituted").to_string());
    let admin = SocketAddr::from((address(), 9901));
    let script = format!(
        "exec \"$0\" run --admin {admin} --config <(cat {})",
        file.display()
    );
    let mut bash = std::process::Command::new("bash");
    bash.arg("-c").arg(script).arg(elbow::binary());
    let _elbow = Running::start(&mut bash);
    wait_for(ip, "substituted");
}

#[test]
fn elbow_waiting_for_a_pipe_ends_on_a_signal() {
    let dir = TempDir::new();
    let fifo = dir.join("config");
    make_fifo(&fifo);
    let (mut elbow, _) = piped(&fifo);
    wait::until("elbow to wait for the pipe", || {
        elbow.assert_running();
        let status = fs::read_to_string(format!("/proc/{}/wchan", elbow.id())).ok()?;
        status.contains("poll").then_some(())
    });
    elbow.signal(Signal::TERM);
    assert!(!elbow.wait().success());
}

#[test]
fn unread_log_blocks_nothing() {
    let ip = address();
    let dir = TempDir::new();
    let path = dir.write("elbow.yaml", config(ip, "one").to_string());
    let admin = SocketAddr::from((address(), 9901));
    let mut command = elbow::command(&["run", "--admin", &admin.to_string()]);
    command.arg("--config").arg(&path);
    let mut elbow = Running::start_unread(&mut command);
    wait_for(ip, "one");
    // Each reload logs a line for each of these.
    let wrong: Vec<Value> = (0..5000)
        .map(|n| json!({"name": format!("wrong-{n}"), "type": "appliction"}))
        .collect();
    dir.write("wrong", json!({"loadBalancers": wrong}).to_string());
    fs::rename(dir.join("wrong"), &path).unwrap();
    wait::until("lines to be dropped", || {
        elbow.signal(Signal::HUP);
        let metrics = elbow::admin_get(admin, "/metrics")?.text();
        let dropped = metrics
            .lines()
            .find_map(|line| line.strip_prefix("elbow_log_dropped_total "))?;
        (dropped.parse::<f64>().unwrap() > 0.0).then_some(())
    });
    dir.write("right", config(ip, "two").to_string());
    fs::rename(dir.join("right"), &path).unwrap();
    wait_for(ip, "two");
    elbow.signal(Signal::TERM);
    assert_eq!(elbow.wait().code(), Some(0));
}

#[test]
fn unread_access_log_blocks_nothing() {
    let ip = address();
    let dir = TempDir::new();
    let path = dir.write("elbow.yaml", config(ip, "one").to_string());
    let admin = SocketAddr::from((address(), 9901));
    let mut command = elbow::command(&[
        "run",
        "--admin",
        &admin.to_string(),
        "--access-log",
        "stdout",
    ]);
    command.arg("--config").arg(&path);
    let mut elbow = Running::start_unread(&mut command);
    wait_for(ip, "one");
    // More than a pipe holds, in few requests.
    let long = "x".repeat(8000);
    let mut client = Client::plain((ip, 8080));
    for _ in 0..40 {
        let answer = client.ask(client::get("a.example", &format!("/{long}")));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(elbow::admin_get(admin, "/health").unwrap().status, 200);
    dir.write("next", config(ip, "two").to_string());
    fs::rename(dir.join("next"), &path).unwrap();
    wait_for(ip, "two");
    elbow.signal(Signal::TERM);
    assert_eq!(elbow.wait().code(), Some(0));
}

#[test]
fn access_log_to_a_pipe_is_an_error() {
    let dir = TempDir::new();
    let path = dir.write("elbow.yaml", config(address(), "one").to_string());
    make_fifo(&dir.join("log"));
    let mut command = elbow::command(&["run", "--admin", "off", "--access-log"]);
    command.arg(dir.join("log")).arg("--config").arg(path);
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(done.status.code(), Some(3));
    let (_, stderr) = texts(&done);
    assert!(stderr.contains("access log: "), "{stderr}");
}
