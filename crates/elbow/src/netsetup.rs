//! `elbow netsetup`: the rules by which answers to clients' addresses return to elbow.
//!
//! A target that sees the client's address answers to that address. On their way through this machine, the answers have to be
//! delivered here instead of being forwarded. The first set of rules finds them by their socket, which elbow has bound to the
//! client's address. The second one is for targets on this machine, whose answers pass no hook before routing.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::args::{NetsetupAction, NetsetupArgs};
use crate::process::Failure;

/// Prints, applies or removes the rules.
///
/// # Errors
/// A program is missing or refuses.
pub(crate) fn netsetup(args: &NetsetupArgs) -> Result<(), Failure> {
    let run = |steps: Vec<Step>| steps.iter().try_for_each(Step::run);
    match args.action {
        NetsetupAction::Show => show(),
        NetsetupAction::Apply => {
            // What an earlier version or an interrupted run has left would be there twice.
            run(removal(args.no_loopback))?;
            run(rules(args.no_loopback))
        }
        NetsetupAction::Remove => run(removal(false)),
    }
}

/// One command.
struct Step {
    program: &'static str,
    arguments: Vec<&'static str>,
    stdin: String,
    /// Whether it may fail because there is nothing to remove.
    is_removal: bool,
}

impl Step {
    fn new(line: &'static str) -> Self {
        let mut words = line.split_whitespace();
        Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            stdin: String::new(),
            is_removal: false,
        }
    }

    fn removal(line: &'static str) -> Self {
        Self {
            is_removal: true,
            ..Self::new(line)
        }
    }

    /// As a line for a shell.
    fn line(&self) -> String {
        let command = [&[self.program][..], &self.arguments].concat().join(" ");
        if self.stdin.is_empty() {
            command
        } else {
            format!("{command} <<'END'\n{}END", self.stdin)
        }
    }

    fn run(&self) -> Result<(), Failure> {
        let failed = |why: &str| {
            Failure::environment(
                format!("{}: {why}", self.line()),
                "run it as root, or with CAP_NET_ADMIN; it needs the programs ip (iproute2) and nft (nftables)",
            )
        };
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| failed(&e.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read says why in its status.
            let _ = stdin.write_all(self.stdin.as_bytes());
        }
        let output = child.wait_with_output();
        let output = output.map_err(|e| failed(&e.to_string()))?;
        if output.status.success() || self.is_removal {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn rules(no_loopback: bool) -> Vec<Step> {
    let mut steps = vec![Step {
        stdin: TABLE.to_owned(),
        ..Step::new("nft -f -")
    }];
    steps.extend(REMOTE_RULES.map(Step::new));
    if !no_loopback {
        steps.extend(LOCAL_RULES.map(Step::new));
    }
    steps
}

/// Marks packets that belong to a transparent socket. Other bits of the mark are left alone.
const TABLE: &str = "\
table inet elbow {
  chain divert {
    type filter hook prerouting priority mangle; policy accept;
    meta l4proto { tcp, udp } socket transparent 1 meta mark set meta mark & 0xffff00ff | 0x8100 accept;
  };
}
";

/// The rules for answers of targets behind this machine, of one address family, as lines for a shell.
pub(crate) fn remote_rules(is_ipv4: bool) -> Vec<String> {
    let family = if is_ipv4 { "ip -4 " } else { "ip -6 " };
    let rules = REMOTE_RULES.iter().filter(|line| line.starts_with(family));
    let table = TABLE.split_whitespace().collect::<Vec<_>>().join(" ");
    let table = format!("nft '{table}'");
    [table]
        .into_iter()
        .chain(rules.map(|line| (*line).to_owned()))
        .collect()
}

/// Marked packets are delivered here.
const REMOTE_RULES: [&str; 4] = [
    "ip -4 rule add fwmark 0x8100/0xff00 lookup 8100 pref 8100",
    "ip -6 rule add fwmark 0x8100/0xff00 lookup 8100 pref 8100",
    "ip -4 route replace local default dev lo table 8100",
    "ip -6 route replace local default dev lo table 8100",
];

/// So are answers of targets on this machine.
pub(crate) const LOCAL_RULES: [&str; 4] = [
    "ip -4 rule add from 127.0.0.0/8 iif lo lookup 8102 pref 8102",
    "ip -6 rule add from ::1 iif lo lookup 8102 pref 8102",
    "ip -4 route replace local default dev lo table 8102",
    "ip -6 route replace local default dev lo table 8102",
];

fn removal(only_remote: bool) -> Vec<Step> {
    let mut steps = vec![
        Step::removal("nft delete table inet elbow"),
        Step::removal("ip -4 rule del pref 8100"),
        Step::removal("ip -6 rule del pref 8100"),
        Step::removal("ip -4 route flush table 8100"),
        Step::removal("ip -6 route flush table 8100"),
    ];
    if !only_remote {
        steps.extend([
            Step::removal("ip -4 rule del pref 8102"),
            Step::removal("ip -6 rule del pref 8102"),
            Step::removal("ip -4 route flush table 8102"),
            Step::removal("ip -6 route flush table 8102"),
        ]);
    }
    steps
}

/// Prints the commands of `apply`, for a shell or for a configuration of the network.
fn show() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut print = |text: &str| {
        let written = writeln!(out, "{text}");
        written.map_err(|e| Failure::environment(e, "check the reader of the output"))
    };
    print("# targets behind this machine")?;
    for step in rules(true) {
        print(&step.line())?;
    }
    print("# targets on this machine, at 127.0.0.0/8 and ::1")?;
    LOCAL_RULES.iter().try_for_each(|line| print(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_lines_for_a_shell() {
        let lines: Vec<String> = rules(false).iter().map(Step::line).collect();
        assert!(lines[0].starts_with("nft -f - <<'END'\ntable inet elbow {\n"));
        assert!(lines[0].ends_with("}\nEND"));
        assert_eq!(lines[1..5], REMOTE_RULES);
        assert_eq!(lines[5..], LOCAL_RULES);
        assert_eq!(rules(true).len(), 5);
        let one_family = remote_rules(false);
        let table = "nft 'table inet elbow { chain divert { type filter hook prerouting priority mangle; policy accept; ";
        assert!(one_family[0].starts_with(table), "{one_family:?}");
        assert_eq!(one_family[1..], [REMOTE_RULES[1], REMOTE_RULES[3]]);
    }
}
