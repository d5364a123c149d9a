//! Single keys from the terminal, without Enter.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc;

/// Reads single keys; dropping restores the terminal.
pub(super) struct Keys {
    before: Termios,
    keys: mpsc::UnboundedReceiver<u8>,
}

impl Keys {
    /// Opens the terminal; `None` if stdin is not a terminal or the process runs in the background.
    pub(super) fn open() -> Option<Self> {
        let stdin = io::stdin();
        // A background process must not change the terminal.
        let foreground = tcgetpgrp(&stdin).ok()? == rustix::process::getpgrp();
        if !stdin.is_terminal() || !foreground {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        // ISIG stays set, so that Ctrl-C ends the demo.
        raw.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        let (sender, keys) = mpsc::unbounded_channel();
        // The thread blocks in read until the process ends; nothing else reads the terminal.
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

    /// The next key; pending forever when the terminal is gone.
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
