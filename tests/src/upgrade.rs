//! Processes that take over from others, which no test has started itself.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::command::texts;
use crate::{command, elbow, wait};

/// A process that has taken over; it is killed when dropped.
#[derive(Debug)]
pub struct Successor(u32);

impl Successor {
    /// Lets the process `running` hand over with `elbow upgrade`.
    pub fn of(running: u32, args: &[&str]) -> Self {
        let (out, err, status) = order(running, args);
        assert!(status, "{out}\n{err}");
        let words: Vec<&str> = out.split_whitespace().collect();
        let expected = format!("serves now; process {running} ends when its connections have");
        assert_eq!(words[2..].join(" "), expected, "{out}");
        Self(words[1].parse().unwrap())
    }

    /// The process that has taken over with this id.
    pub fn at(id: u32) -> Self {
        Self(id)
    }

    /// Lets it hand over.
    #[must_use]
    pub fn next(self) -> Self {
        let next = Self::of(self.0, &[]);
        // Its own end is its own.
        std::mem::forget(self);
        next
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.0), signal).unwrap();
    }

    /// Sends SIGTERM and waits until it has ended.
    pub fn terminate(self) {
        // It may have ended after an earlier signal.
        let _ = kill_process(pid(self.0), Signal::TERM);
        wait::until("the end of the new process", || {
            test_kill_process(pid(self.0)).is_err().then_some(())
        });
        // Its process id may soon be that of another process.
        std::mem::forget(self);
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // It may have ended.
        let _ = kill_process(pid(self.0), Signal::KILL);
    }
}

/// The error of `elbow upgrade` of the process `running`, which must fail.
pub fn refusal(running: u32, args: &[&str]) -> String {
    let (out, err, status) = order(running, args);
    assert!(!status && out.is_empty(), "{out}\n{err}");
    err
}

fn order(running: u32, args: &[&str]) -> (String, String, bool) {
    let mut command = elbow::command(&["upgrade", "--pid", &running.to_string()]);
    let output = command::output(command.args(args));
    let (out, err) = texts(&output);
    (out, err, output.status.success())
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}
