//! elbow as a plugin of kubectl: a link named `kubectl-elbow` on PATH becomes `kubectl elbow`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{CommandFactory, FromArgMatches};

use crate::args::Cli;

const FILE: &str = "kubectl-elbow";
const NAME: &str = "kubectl elbow";

/// Parses the command line.
pub(crate) fn parse() -> Cli {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let mut command = Cli::command();
    if words.first().is_some_and(|program| is_plugin(program)) {
        // Usage and help show the name of the plugin.
        command = command.name(NAME).bin_name(NAME);
        words = default_to_cluster(words);
    }
    let matches = command.get_matches_from(words);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn is_plugin(program: &OsStr) -> bool {
    let stem = Path::new(program).file_stem();
    stem.is_some_and(|stem| stem == FILE || stem == "kubectl_elbow")
}

/// Adds `--cluster`, which users of kubectl expect, unless the arguments name another source.
fn default_to_cluster(mut words: Vec<OsString>) -> Vec<OsString> {
    let others: &[&str] = match words.get(1).and_then(|word| word.to_str()) {
        Some("plan") => &["-f", "--filename", "--cluster"],
        Some("get") => &["--admin", "--cluster"],
        _ => return words,
    };
    let named = |word: &OsString| {
        let word = word.to_string_lossy();
        others.iter().any(|other| word.starts_with(other))
    };
    if cfg!(feature = "controller") && !words.iter().any(named) {
        words.push("--cluster".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_plugin_is_recognized() {
        assert!(is_plugin(OsStr::new("/usr/local/bin/kubectl-elbow")));
        assert!(is_plugin(OsStr::new("kubectl-elbow.exe")));
        assert!(!is_plugin(OsStr::new("/usr/bin/elbow")));
    }

    #[cfg(feature = "controller")]
    #[test]
    fn cluster_is_the_default_source() {
        let completed = |words: &str| {
            let words = words.split(' ').map(OsString::from).collect();
            let words: Vec<_> = default_to_cluster(words)
                .into_iter()
                .map(|w| w.into_string().unwrap())
                .collect();
            words.join(" ")
        };
        assert_eq!(
            completed("kubectl-elbow plan"),
            "kubectl-elbow plan --cluster"
        );
        assert_eq!(
            completed("kubectl-elbow plan -o json"),
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
            assert_eq!(completed(&words), words);
        }
    }
}
