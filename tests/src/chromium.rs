//! Chromium without a window, driven by the DevTools protocol over pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::{fs, thread};

use serde_json::{Value, json};

use crate::{TempDir, wait};

/// The file in the profile that gets its stderr.
const STDERR: &str = "stderr";

const OPTIONS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
    "--remote-debugging-pipe",
];

/// A browser with one tab and a profile of its own. It takes any certificate, and ends when it is dropped.
#[derive(Debug)]
pub struct Chromium {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// The last number of a command.
    last: u64,
    /// Of the tab.
    session: Option<String>,
    profile: TempDir,
}

impl Chromium {
    /// Starts `program`.
    pub fn start(program: &Path) -> Self {
        let profile = TempDir::new();
        // The browser reads commands from 3 and writes messages to 4.
        let pipes = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>\"$STDERR\"";
        let mut process = Command::new("sh")
            .args(["-c", pipes])
            .arg(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("STDERR", profile.join(STDERR))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(1..)) {
                message.pop();
                let parsed: Value = serde_json::from_slice(&message).unwrap_or_default();
                if sender.send(parsed).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            process,
            commands,
            messages,
            last: 0,
            session: None,
            profile,
        };
        let tab = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": tab["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// Opens `url`.
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", &json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
    }

    /// Evaluates a JavaScript expression in the page; null until the page has a value for it.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let evaluate =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.call("Runtime.evaluate", &evaluate)["result"]["value"].clone()
    }

    /// Waits until an expression is true in a page that is loaded. A browser needs more of a busy machine than other clients.
    pub fn wait_for(&mut self, expression: &str) {
        let loaded = format!("document.readyState === 'complete' && ({expression})");
        wait::until_for(wait::TIMEOUT * 2, expression, || {
            (self.evaluate(&loaded) == json!(true)).then_some(())
        });
    }

    /// All cookies, also those that scripts cannot see.
    pub fn cookies(&mut self) -> Vec<Value> {
        let all = self.call("Network.getAllCookies", &json!({}));
        all["cookies"].as_array().cloned().unwrap_or_default()
    }

    /// The result of a command; what goes wrong in the page is in it.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands
            .write_all(format!("{command}\0").as_bytes())
            .unwrap_or_else(|e| panic!("{method}: {e}"));
        loop {
            let message = self.messages.recv_timeout(wait::TIMEOUT);
            let message = message.unwrap_or_else(|e| panic!("no answer to {method}: {e}"));
            if message["id"] == self.last {
                return message["result"].clone();
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if thread::panicking() {
            let state = self.process.try_wait();
            let stderr = fs::read(self.profile.join(STDERR)).unwrap_or_default();
            let stderr = String::from_utf8_lossy(&stderr);
            println!("--- Chromium, status {state:?}; its stderr:\n{stderr}");
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
