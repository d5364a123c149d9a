//! `cargo demo`: builds elbow in the profile `try` with only the demo's features, and runs it.
//!
//! The first build takes minutes, which a cargo alias cannot announce. This program can: it builds in a second.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// CPU seconds of the whole build on an x86_64 server of 2026: `time cargo build --profile try -p elbow
/// --no-default-features --features demo` with an empty target folder.
const BUILD: u64 = 230;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !cfg!(target_os = "linux") {
        eprintln!(
            "cargo demo: elbow runs on Linux; on this system, run it in a container: docker compose up"
        );
        return ExitCode::from(3);
    }
    if !is_built() {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        eprintln!("{}", announcement(cores));
    }
    start(&arguments)
}

/// Whether elbow has been built before; a rebuild takes seconds.
fn is_built() -> bool {
    // This program is target/debug/elbow-launch.
    let target = env::current_exe()
        .ok()
        .and_then(|program| program.ancestors().nth(2).map(Path::to_owned));
    target.is_some_and(|target: PathBuf| target.join("try/elbow").exists())
}

/// The announcement of the first build, with this many cores.
fn announcement(cores: usize) -> String {
    let cores = u64::try_from(cores).unwrap_or(1);
    let minutes = BUILD.div_ceil(60 * cores);
    let (minutes, cores) = (counted(minutes, "minute"), counted(cores, "core"));
    format!(
        "Compiling elbow for the first time: about {minutes} on {cores}. The next start takes a second."
    )
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Replaces this process with cargo, which replaces itself with elbow: signals and the exit code are elbow's.
#[cfg(unix)]
fn start(arguments: &[String]) -> ExitCode {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // The demo must not inherit what cargo told this program about its own package.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
    }
    command
        .args(["run", "--profile", "try", "--package", "elbow"])
        .args(["--no-default-features", "--features", "demo", "--", "demo"])
        .args(arguments);
    let failure = command.exec();
    eprintln!("cargo demo: cannot run {command:?}: {failure}");
    ExitCode::from(3)
}

#[cfg(not(unix))]
fn start(_: &[String]) -> ExitCode {
    ExitCode::from(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcement_has_minutes_and_cores() {
        assert!(announcement(2).contains("about 2 minutes on 2 cores."));
        assert!(announcement(64).contains("about 1 minute on 64 cores."));
        assert!(announcement(1).contains("about 4 minutes on 1 core."));
    }
}
