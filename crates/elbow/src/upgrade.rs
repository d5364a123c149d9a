//! `elbow upgrade`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::args::UpgradeArgs;
use crate::handover::{Answer, Order, folders};
use crate::process::Failure;

/// Lets a running elbow hand over to a new process.
///
/// # Errors
/// There is none or more than one, or it goes on serving because the new process failed.
pub(crate) fn upgrade(args: UpgradeArgs) -> Result<(), Failure> {
    let running = find(args.pid)?;
    let binary = args.binary.map(std::path::absolute).transpose();
    let binary = binary.map_err(|e| Failure::environment(e, "name the binary by its full path"))?;
    let order = Order {
        binary,
        timeout: args.timeout,
    };
    let answer = ask(running.stream, &order).map_err(|error| {
        Failure::environment(
            format!("process {} does not answer: {error}", running.process),
            "see its log; it may have been stopped",
        )
    })?;
    match answer {
        Answer::Process(new) => {
            let old = running.process;
            println!("process {new} serves now; process {old} ends when its connections have");
            Ok(())
        }
        Answer::Refused(reason) => Err(Failure::environment(
            format!("process {} goes on serving: {reason}", running.process),
            "see its log for the reason; nothing has changed",
        )),
    }
}

/// A running elbow.
struct Running {
    process: u32,
    stream: UnixStream,
}

/// The running elbow with process id `wanted`, or the only one.
fn find(wanted: Option<u32>) -> Result<Running, Failure> {
    let files = folders()
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok());
    let files = files.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<Running> = files.filter_map(|file| open(&file, wanted)).collect();
    if let (1, Some(running)) = (found.len(), found.pop()) {
        return Ok(running);
    }
    let Some(first) = found.pop() else {
        let what = match wanted {
            Some(id) => format!("no elbow of this user has process id {id}"),
            None => "no elbow of this user is running".to_owned(),
        };
        return Err(Failure::environment(
            what,
            "run `elbow upgrade` as the same user; for a process in a container, run it there",
        ));
    };
    let ids = found
        .iter()
        .chain([&first])
        .map(|one| one.process.to_string());
    Err(Failure::environment(
        "several elbows are running",
        &format!(
            "name one with --pid: {}",
            ids.collect::<Vec<_>>().join(", ")
        ),
    ))
}

/// Connects to the control socket at `path`, if it is one of a running process.
fn open(path: &Path, wanted: Option<u32>) -> Option<Running> {
    let is_socket = path
        .extension()
        .is_some_and(|extension| extension == "sock");
    let process = path.file_stem()?.to_str()?.parse().ok()?;
    if !is_socket || wanted.is_some_and(|wanted| wanted != process) {
        return None;
    }
    match UnixStream::connect(path) {
        Ok(stream) => Some(Running { process, stream }),
        Err(error) => {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                // Its process was killed.
                let _ = fs::remove_file(path);
            }
            None
        }
    }
}

/// Gives an order and waits for the answer.
fn ask(mut stream: UnixStream, order: &Order) -> io::Result<Answer> {
    stream.write_all(&serde_json::to_vec(order)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
