//! Tools that `tests/tools.sh` installs, and how tests report missing ones.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, thread};

use crate::command::stdout;

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The tools' folder: `$ELBOW_TOOLS`, or `target/tools`.
pub fn folder() -> PathBuf {
    env::var_os("ELBOW_TOOLS").map_or_else(|| repository().join("target/tools"), PathBuf::from)
}

/// Finds a program in the tools' folder, in their Python environment, or on PATH. `mc` is not searched
/// on PATH, where it may be Midnight Commander.
pub fn find(name: &str) -> Option<PathBuf> {
    let folder = folder();
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|_| name != "mc");
    [folder.clone(), folder.join("venv/bin")]
        .into_iter()
        .chain(on_path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The program that makes [`debian`].
pub const MMDEBSTRAP: &str = "/usr/bin/mmdebstrap";

/// A tar of a small Debian with `setcap`, the base of images; [`MMDEBSTRAP`] creates it if missing.
pub fn debian() -> PathBuf {
    let base = folder().join("bookworm-setcap.tar");
    // The first test that needs it creates it; others wait.
    let lock = File::create(base.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !base.exists() {
        let next = base.with_extension("next.tar");
        // Its mounts of /dev and /sys end with it, however it ends: whoever removes what a killed test left must not
        // remove what is mounted there.
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            MMDEBSTRAP,
            "--variant=minbase",
            "--include=ca-certificates,libcap2-bin",
            "bookworm",
        ]);
        stdout(command.arg(&next));
        fs::rename(next, &base).unwrap();
    }
    base
}

/// The Python with the packages of `tests/pins.sh`.
pub fn python() -> Option<PathBuf> {
    let python = folder().join("venv/bin/python3");
    folder().join("venv/ready").exists().then_some(python)
}

/// The same if it has `package`.
pub fn python_with(package: &str) -> Option<PathBuf> {
    let python = python()?;
    let import = format!("import {package}");
    let found = Command::new(&python).args(["-c", &import]).output();
    found.is_ok_and(|o| o.status.success()).then_some(python)
}

/// A client script of `tests/clients`.
pub fn client_script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(repository().join("tests/clients").join(name));
    command
}

/// Reports that the running test is skipped and what it needs: on the terminal, past the capture of
/// test output, and in `$ELBOW_SKIPPED`, which `./test` prints at its end.
pub fn skipped(needs: &str) {
    let thread = thread::current();
    let line = format!(
        "{}: skipped: needs {needs}\n",
        thread.name().unwrap_or("a test")
    );
    drop(io::stderr().write_all(line.as_bytes()));
    if let Some(path) = env::var_os("ELBOW_SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        drop(file.and_then(|mut file| file.write_all(line.as_bytes())));
    }
}

/// The program `$name`; skips the test if it is missing.
#[macro_export]
macro_rules! need {
    ($name:expr) => {
        match $crate::tools::find($name) {
            Some(program) => program,
            None => {
                $crate::tools::skipped($name);
                return;
            }
        }
    };
}

/// The Python with the packages of `tests/pins.sh`; skips the test if it is missing.
#[macro_export]
macro_rules! need_python {
    () => {
        match $crate::tools::python() {
            Some(python) => python,
            None => {
                $crate::tools::skipped("the Python packages of tests/pins.sh");
                return;
            }
        }
    };
}

/// The Python with boto3 and the package `$name`; skips the test if it is missing.
#[macro_export]
macro_rules! need_python_with {
    ($name:expr) => {
        match $crate::tools::python_with($name) {
            Some(python) => python,
            None => {
                $crate::tools::skipped($name);
                return;
            }
        }
    };
}
