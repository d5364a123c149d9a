//! The command line of this process, to run it again.

use std::env;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::UPGRADE;
use crate::systemd;

/// The command line of this process.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The file as it was named at the start. Not what it pointed to: a symbolic link may lead to a newer version by now.
    path: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// The command line of this process. Call it before the working directory changes.
    pub(super) fn current() -> Self {
        let mut words = env::args_os();
        let name = words.next().unwrap_or_else(|| "elbow".into());
        Self {
            path: path_of(Path::new(&name)),
            arguments: words.collect(),
            name,
        }
    }

    /// Starts it again, from `binary` if given, with `stdin`. Arguments and environment are those of this process, but what
    /// systemd passed to this process alone is left out.
    pub(super) fn start(&self, binary: Option<&Path>, stdin: OwnedFd) -> Result<Child, String> {
        let path = binary.unwrap_or(&self.path);
        let mut command = Command::new(path);
        command
            .arg0(&self.name)
            .args(&self.arguments)
            .env(UPGRADE, std::process::id().to_string())
            .stdin(stdin);
        for variable in systemd::OF_ONE_PROCESS {
            command.env_remove(variable);
        }
        let started = command.spawn();
        started.map_err(|error| format!("cannot start {}: {error}", path.display()))
    }
}

/// The file of the program called `name`, as a shell finds it.
fn path_of(name: &Path) -> PathBuf {
    let found = if name.components().count() > 1 {
        std::path::absolute(name).ok()
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = env::split_paths(&path).map(|folder| folder.join(name));
        folders.find(|file| file.is_file())
    };
    found
        .filter(|file| file.is_file())
        .or_else(|| env::current_exe().ok())
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_found_as_a_shell_finds_it() {
        assert_eq!(path_of(Path::new("/bin/sh")), Path::new("/bin/sh"));
        assert!(path_of(Path::new("sh")).ends_with("sh"));
        let own = env::current_exe().unwrap();
        assert_eq!(path_of(Path::new("no-such-program")), own);
        assert_eq!(path_of(Path::new("./no/such/program")), own);
    }
}
