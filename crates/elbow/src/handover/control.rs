//! The control socket, by which `elbow upgrade` reaches a running process of the same user.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, info, warn};

/// The longest order in bytes.
const MAX_ORDER: u64 = 64 * 1024;
/// How long a client may take to send its order or to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after a failed accept.
const BACK_OFF: Duration = Duration::from_millis(500);

/// An order to hand over, as JSON.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Order {
    /// The binary of the new process, instead of the same one.
    pub(crate) binary: Option<PathBuf>,
    /// How long it may take to be ready.
    pub(crate) timeout: Option<Duration>,
}

/// The answer to an order: the id of the process that has taken over, or why none has.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    Process(u32),
    Refused(String),
}

/// A client that waits for an answer.
pub(super) struct Client(UnixStream);

impl Client {
    /// Reads its order. Only the same user and root may give one, because an order names the program to run.
    async fn order(&mut self) -> io::Result<Order> {
        let user = self.0.peer_cred()?.uid();
        if user != 0 && user != geteuid().as_raw() {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        let mut text = Vec::new();
        (&mut self.0).take(MAX_ORDER).read_to_end(&mut text).await?;
        if text.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&text)?)
    }

    /// Answers an order.
    pub(super) async fn answer(mut self, result: Result<u32, String>) {
        let answer = result.map_or_else(Answer::Refused, Answer::Process);
        let text = serde_json::to_vec(&answer).unwrap_or_default();
        // A client that does not wait for its answer gets none.
        let _ = tokio::time::timeout(CLIENT_TIMEOUT, self.0.write_all(&text)).await;
    }
}

/// The control socket of this process, removed when dropped.
pub(super) struct Control(Option<(UnixListener, PathBuf)>);

impl Control {
    /// Opens it. Without one, SIGUSR2 remains.
    pub(super) fn open() -> Self {
        let open = || {
            let folder = folders().into_iter().next();
            let folder = folder.ok_or_else(|| io::Error::other("no folder for it"))?;
            create(&folder)?;
            let path = folder.join(format!("{}.sock", std::process::id()));
            // A process with the same id that was killed may have left one.
            let _ = fs::remove_file(&path);
            Ok::<_, io::Error>((UnixListener::bind(&path)?, path))
        };
        match open() {
            Ok(opened) => Self(Some(opened)),
            Err(error) => {
                info!(%error, "no control socket: send SIGUSR2 instead of `elbow upgrade`");
                Self(None)
            }
        }
    }

    /// Waits for the next order.
    pub(super) async fn next(&self) -> (Order, Client) {
        let Some((listener, _)) = &self.0 else {
            return std::future::pending().await;
        };
        loop {
            let mut client = match listener.accept().await {
                Ok((stream, _)) => Client(stream),
                Err(error) => {
                    debug!(%error, "accept failed on the control socket");
                    tokio::time::sleep(BACK_OFF).await;
                    continue;
                }
            };
            match tokio::time::timeout(CLIENT_TIMEOUT, client.order()).await {
                Ok(Ok(order)) => return (order, client),
                // `elbow upgrade` looks which processes run.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Ok(Err(error)) => {
                    warn!(%error, "refused an order on the control socket");
                    let refused = Err(format!("order refused: {error}"));
                    client.answer(refused).await;
                }
                Err(_) => debug!("a client of the control socket sends no order"),
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.0 {
            // Someone else may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}

/// The folders in which control sockets may be; a process uses the first one.
pub(crate) fn folders() -> Vec<PathBuf> {
    let user = geteuid();
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    // Of systemd, for a unit with RuntimeDirectory=; the first of a list.
    let unit = variable("RUNTIME_DIRECTORY");
    let unit = unit.and_then(|folders| env::split_paths(&folders).next());
    let of_root = user.is_root().then(|| PathBuf::from("/run/elbow"));
    let of_user = variable("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("elbow"));
    let last = env::temp_dir().join(format!("elbow-{}", user.as_raw()));
    let mut folders: Vec<PathBuf> = unit
        .into_iter()
        .chain(of_root)
        .chain(of_user.filter(|_| !user.is_root()))
        .chain([last])
        .collect();
    folders.dedup();
    folders
}

/// Creates `folder`, which nobody else may write to.
fn create(folder: &Path) -> io::Result<()> {
    let created = DirBuilder::new().mode(0o700).create(folder);
    if let Err(error) = created
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    // Not metadata(): another user could lead elsewhere by a symbolic link.
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        let folder = folder.display();
        return Err(io::Error::other(format!(
            "{folder} is not a folder that only this user may write to"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn folder_of_control_sockets_is_private() {
        let base = env::temp_dir().join(format!("elbow-control-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        let folder = base.join("own");
        create(&folder).unwrap();
        create(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        let link = base.join("link");
        symlink(&folder, &link).unwrap();
        assert!(create(&link).is_err());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(create(&folder).is_err());
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn order_and_answer_are_json() {
        let order: Order = serde_json::from_str(r#"{"binary":"/bin/elbow"}"#).unwrap();
        assert_eq!(order.binary.as_deref(), Some(Path::new("/bin/elbow")));
        assert_eq!(order.timeout, None);
        let text = serde_json::to_string(&Answer::Process(7)).unwrap();
        assert_eq!(text, r#"{"process":7}"#);
    }
}
