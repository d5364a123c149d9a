//! Child processes that end with their test.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running program. Its output is collected; it is killed and reaped when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    what: String,
}

impl Running {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// Starts `command`, which reads `stdin`.
    pub fn start_with(command: &mut Command, stdin: Stdio) -> Self {
        let what = format!("{command:?}");
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let (lines, stdout) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
            what,
        }
    }

    /// Starts `command` without reading its output, so that its pipes fill up.
    pub fn start_unread(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        Self {
            child,
            stdout: mpsc::channel().1,
            stderr: Arc::default(),
            what,
        }
    }

    /// Starts `command`, whose stdin and stdout are set; only its stderr is collected.
    pub fn adopt(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|e| panic!("{what}: {e}"));
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            child,
            stdout: mpsc::channel().1,
            stderr,
            what,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The next line of its stdout.
    pub fn line(&self) -> String {
        self.line_within(wait::TIMEOUT)
    }

    /// The next line of its stdout, within `timeout`.
    pub fn line_within(&self, timeout: Duration) -> String {
        self.stdout.recv_timeout(timeout).unwrap_or_else(|e| {
            panic!(
                "{}: no line on stdout ({e}); stderr:\n{}",
                self.what,
                self.stderr()
            )
        })
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends; returns its exit status.
    pub fn wait(&mut self) -> ExitStatus {
        wait::until(&format!("the end of {}", self.what.clone()), || {
            self.ended()
        })
    }

    /// Sends `signal` and waits until it ends; kills it after a timeout.
    pub fn end(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        self.signal(signal);
        let deadline = Instant::now() + wait::TIMEOUT;
        while self.ended().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
    }

    /// Panics if it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!(
                "{} ended with {status}; stderr:\n{}",
                self.what,
                self.stderr()
            );
        }
    }
}

/// The text from `stderr` so far.
fn collect(mut stderr: ChildStderr) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let collected = Arc::clone(&text);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = stderr.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..n]).into_owned();
            collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
        }
    });
    text
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            // libtest shows the program's stderr with the failed test.
            println!("--- stderr of {}\n{}", self.what, self.stderr());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A program of this workspace, beside the running test program.
pub fn beside_tests(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} not found; run cargo build",
        path.display()
    );
    path
}

/// Runs `command` to its end.
pub fn output(command: &mut Command) -> Output {
    let what = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{what}: {e}"))
}

/// Runs `command`, which must succeed, and returns its stdout.
pub fn stdout(command: &mut Command) -> String {
    let what = format!("{command:?}");
    let output = output(command);
    let (out, err) = texts(&output);
    assert!(
        output.status.success(),
        "{what}: {}\n{out}\n{err}",
        output.status
    );
    out
}

/// Both outputs as text.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
