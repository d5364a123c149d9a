//! Child processes that end with their test.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running program. Its output is collected; it is killed and reaped when dropped.
#[derive(Debug)]
pub struct Running {
    child: Mutex<Child>,
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
            child: child.into(),
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
            child: child.into(),
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
            child: child.into(),
            stdout: mpsc::channel().1,
            stderr,
            what,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    /// Its stderr so far. A program may write a line later than it acts, and a thread of the test reads it later still.
    pub fn stderr(&self) -> String {
        lock(&self.stderr).clone()
    }

    /// Its stderr, once it contains all of `texts`.
    pub fn stderr_with(&self, texts: &[&str]) -> String {
        wait::until(&format!("{texts:?} on stderr"), || {
            let stderr = self.stderr();
            let mut texts = texts.iter();
            texts.all(|text| stderr.contains(text)).then_some(stderr)
        })
    }

    /// The next line of its stdout.
    pub fn line(&self) -> String {
        self.line_within(wait::TIMEOUT)
    }

    /// The next line of its stdout, within `timeout`.
    pub fn line_within(&self, timeout: Duration) -> String {
        self.stdout.recv_timeout(timeout).unwrap_or_else(|e| {
            // A program that closes its stdout is about to end.
            let late = Instant::now() + wait::TIMEOUT;
            let is_closed = e == RecvTimeoutError::Disconnected;
            while is_closed && self.status().is_none() && Instant::now() < late {
                thread::sleep(Duration::from_millis(20));
            }
            // The drop shows its state and its stderr.
            panic!("{}: no line on stdout ({e})", self.what)
        })
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.status()
    }

    fn status(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().unwrap()
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
        drop(lock(&self.child).kill());
    }

    /// Panics if it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}", self.what);
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
            lock(&collected).push_str(&text);
        }
    });
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            // libtest shows it with the failed test.
            let state = match self.status() {
                Some(status) => format!("ended with {status}"),
                None => "runs".to_owned(),
            };
            println!("--- {} {state}; its stderr:\n{}", self.what, self.stderr());
        }
        let mut child = lock(&self.child);
        drop(child.kill());
        drop(child.wait());
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
