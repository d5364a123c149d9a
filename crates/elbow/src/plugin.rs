//! elbow as a plugin of kubectl: a link to it called `kubectl-elbow` on PATH is `kubectl elbow`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;

const FILE: &str = "kubectl-elbow";
const NAME: &str = "kubectl elbow";

/// What was typed.
pub(crate) fn parse() -> Cli {
    let mut typed: Vec<OsString> = std::env::args_os().collect();
    let mut command = Cli::command();
    if typed.first().is_some_and(|program| is_plugin(program)) {
        // The first word is how usage and help call it.
        command = command.name(NAME).bin_name(NAME);
        typed = look_at_cluster(typed);
    }
    let matches = command.get_matches_from(typed);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn is_plugin(program: &OsStr) -> bool {
    let stem = Path::new(program).file_stem();
    stem.is_some_and(|stem| stem == FILE || stem == "kubectl_elbow")
}

/// Who types `kubectl` means the cluster, unless something else is named.
fn look_at_cluster(mut typed: Vec<OsString>) -> Vec<OsString> {
    let others: &[&str] = match typed.get(1).and_then(|word| word.to_str()) {
        Some("plan") => &["-f", "--filename", "--cluster"],
        Some("get") => &["--admin", "--cluster"],
        _ => return typed,
    };
    let named = |word: &OsString| {
        let word = word.to_string_lossy();
        others.iter().any(|other| word.starts_with(other))
    };
    if cfg!(feature = "controller") && !typed.iter().any(named) {
        typed.push("--cluster".into());
    }
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plugins_name_makes_a_plugin() {
        assert!(is_plugin(OsStr::new("/usr/local/bin/kubectl-elbow")));
        assert!(is_plugin(OsStr::new("kubectl-elbow.exe")));
        assert!(!is_plugin(OsStr::new("/usr/bin/elbow")));
    }

    #[cfg(feature = "controller")]
    #[test]
    fn the_cluster_is_meant_unless_something_else_is_named() {
        let looked = |words: &str| {
            let words = words.split(' ').map(OsString::from).collect();
            let words: Vec<_> = look_at_cluster(words)
                .into_iter()
                .map(|w| w.into_string().unwrap())
                .collect();
            words.join(" ")
        };
        assert_eq!(looked("kubectl-elbow plan"), "kubectl-elbow plan --cluster");
        assert_eq!(
            looked("kubectl-elbow plan -o json"),
            "kubectl-elbow plan -o json --cluster"
        );
        for named in [
            "plan -fa.yaml",
            "plan --filename=a",
            "plan --cluster",
            "get targets --admin=127.0.0.1:1",
            "check",
        ] {
            let words = format!("kubectl-elbow {named}");
            assert_eq!(looked(&words), words);
        }
    }
}
