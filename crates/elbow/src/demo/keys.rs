//! Single keys from the terminal, without Enter.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc;

/// Reads keys for as long as it lives; then the terminal is as before.
pub(super) struct Keys {
    before: Termios,
    keys: mpsc::UnboundedReceiver<u8>,
}

impl Keys {
    /// `None` where there is no terminal to read from.
    pub(super) fn open() -> Option<Self> {
        let stdin = io::stdin();
        // In the background a terminal must be left alone.
        let foreground = tcgetpgrp(&stdin).ok()? == rustix::process::getpgrp();
        if !stdin.is_terminal() || !foreground {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        // Signals stay, so that Ctrl-C ends the demo.
        raw.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        let (sender, keys) = mpsc::unbounded_channel();
        // Blocks in read until the process ends; nothing else reads the terminal.
        std::thread::spawn(move || {
            for key in io::stdin().lock().bytes() {
                let Ok(key) = key else { return };
                if sender.send(key).is_err() {
                    return;
                }
            }
        });
        Some(Self { before, keys })
    }

    /// The next key; never, when the terminal is gone.
    pub(super) async fn next(&mut self) -> u8 {
        match self.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
