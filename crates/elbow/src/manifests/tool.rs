//! External programs that build manifests, run within bounds.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may run: a build may fetch remote bases.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How much of an error message is read, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;
/// How much of an error message is shown, in characters.
const SHOWN: usize = 1000;

/// The variables that a program gets: where programs, caches and proxies are. Everything else stays here, so that no
/// build copies a secret of the environment into an object.
const VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "HELM_CACHE_HOME",
    "HELM_CONFIG_HOME",
    "HELM_DATA_HOME",
    "HELM_REGISTRY_CONFIG",
    "HELM_REPOSITORY_CACHE",
    "HELM_REPOSITORY_CONFIG",
];

/// Why a program gave no output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It cannot be started or read.
    NotRun(String),
    /// It failed; the end of what it wrote to stderr, in one line.
    Failed(String),
    /// It did not end in time.
    TooSlow,
    /// Its output has more than this many bytes.
    TooLarge(usize),
    /// Its output is not UTF-8.
    NotUtf8,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun(error) => write!(f, "cannot run: {error}"),
            Self::Failed(message) if message.is_empty() => f.write_str("failed without a message"),
            Self::Failed(message) => f.write_str(message),
            Self::TooSlow => write!(f, "did not end within {} s", TIMEOUT.as_secs()),
            Self::TooLarge(limit) => write!(f, "prints more than {limit} bytes"),
            Self::NotUtf8 => f.write_str("prints text that is not UTF-8"),
        }
    }
}

/// The program called `name` on `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut files = env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| {
        let metadata = file.metadata();
        metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

/// What `program` prints, at most `limit` bytes.
///
/// # Errors
/// The program fails, does not end in time, or prints something else than so much text.
pub(super) fn run<I, S>(program: &Path, arguments: I, limit: usize) -> Result<String, Failure>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    let kept = VARIABLES.iter().filter_map(|name| {
        let value: OsString = env::var_os(name)?;
        Some((name, value))
    });
    command
        .args(arguments)
        .env_clear()
        .envs(kept)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(not_run)?;
    let outcome = output(&mut child, limit);
    if outcome.is_err() {
        // Fails if it has ended already.
        let _ = child.kill();
    }
    let status = child.wait().map_err(not_run)?;
    let (text, message) = outcome?;
    if !status.success() {
        return Err(Failure::Failed(one_line(&message)));
    }
    String::from_utf8(text).map_err(|_| Failure::NotUtf8)
}

/// Stdout and stderr of a program that is running.
fn output(child: &mut Child, limit: usize) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let end = Instant::now() + TIMEOUT;
    let text = read(child.stdout.take(), move |pipe| first(pipe, limit));
    // A message that nobody reads to its end blocks the program.
    let message = read(child.stderr.take(), last);
    let text = text.receive(end)?;
    if text.len() > limit {
        return Err(Failure::TooLarge(limit));
    }
    Ok((text, message.receive(end)?))
}

/// A pipe that a thread reads to its end. A program that is killed may leave children behind that keep the pipe open, so
/// nobody waits for the thread.
struct Reading(Receiver<io::Result<Vec<u8>>>);

fn read<P: Read + Send + 'static>(
    pipe: Option<P>,
    content: impl FnOnce(P) -> io::Result<Vec<u8>> + Send + 'static,
) -> Reading {
    let (done, reading) = mpsc::channel();
    thread::spawn(move || {
        // Nobody receives it after the time is over.
        let _ = done.send(pipe.map_or_else(|| Ok(Vec::new()), content));
    });
    Reading(reading)
}

/// One byte more than `limit` at most.
fn first(pipe: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last bytes.
fn last(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        let read = pipe.read(&mut block)?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&block[..read]);
        let surplus = bytes.len().saturating_sub(MAX_MESSAGE);
        bytes.drain(..surplus);
    }
}

impl Reading {
    fn receive(self, end: Instant) -> Result<Vec<u8>, Failure> {
        let left = end.saturating_duration_since(Instant::now());
        match self.0.recv_timeout(left) {
            Ok(read) => read.map_err(not_run),
            Err(RecvTimeoutError::Timeout) => Err(Failure::TooSlow),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::NotRun("its pipe closed".into())),
        }
    }
}

fn not_run(error: impl fmt::Display) -> Failure {
    Failure::NotRun(error.to_string())
}

/// The end of a message in one line, without control characters and without warnings, as Kustomize writes them.
fn one_line(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# Warning"));
    let text: String = lines.collect::<Vec<_>>().join("; ");
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    let surplus = text.chars().count().saturating_sub(SHOWN);
    if surplus == 0 {
        return text;
    }
    let end: String = text.chars().skip(surplus).collect();
    format!("… {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: usize) -> Result<String, Failure> {
        run(Path::new("/bin/sh"), ["-c", script], limit)
    }

    #[test]
    fn output_and_message_are_bounded() {
        assert_eq!(shell("printf abc", 3).as_deref(), Ok("abc"));
        assert_eq!(shell("printf abcd", 3), Err(Failure::TooLarge(3)));
        assert_eq!(shell("yes", 1000), Err(Failure::TooLarge(1000)));
        let failed = shell(
            "echo first >&2; echo; echo '# Warning: x' >&2; echo ' second' >&2; exit 3",
            9,
        );
        assert_eq!(failed, Err(Failure::Failed("first; second".into())));
        let long = shell("yes | head -c 300000 >&2; echo the end >&2; exit 1", 9);
        let Err(Failure::Failed(message)) = long else {
            panic!("{long:?}")
        };
        assert!(message.ends_with("the end") && message.chars().count() == SHOWN + 2);
        assert_eq!(shell(r"printf '\377'", 9), Err(Failure::NotUtf8));
    }

    /// Secrets of the environment, such as AWS's, do not reach a program.
    #[test]
    fn environment_is_not_passed_on() {
        let names = shell("env | cut -d= -f1", 10_000).unwrap();
        let set_by_shell = ["PWD", "SHLVL", "_", "OLDPWD"];
        let foreign = |name: &&str| !VARIABLES.contains(name) && !set_by_shell.contains(name);
        assert_eq!(names.lines().find(foreign), None, "{names}");
        assert!(
            env::var_os("CARGO_MANIFEST_DIR").is_some(),
            "there is one to pass on"
        );
    }

    #[test]
    fn missing_program_is_said() {
        assert_eq!(find("no-such-program-of-elbow"), None);
        assert!(find("sh").is_some());
        let none = run(Path::new("/no/such/program"), ["x"], 1);
        assert!(matches!(none, Err(Failure::NotRun(_))), "{none:?}");
    }
}
