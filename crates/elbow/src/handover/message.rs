//! What the old process tells the new one: JSON with its length in front, then the sockets.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use elbow_net::descriptors;
use elbow_plane::Heritage;
use serde::{Deserialize, Serialize};

/// The version of the message. A new process refuses others, so that the old one goes on serving.
const VERSION: u32 = 1;
/// The longest message in bytes, most of which can be the content of pipes.
const MAX_LENGTH: u32 = 256 * 1024 * 1024;

/// What the old process tells the new one.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    version: u32,
    /// Whether UDP flows can follow later.
    #[serde(default)]
    pub(super) offers_flows: bool,
    /// The names of the sockets that follow, in their order.
    sockets: Vec<String>,
    pub(super) heritage: Heritage,
    /// The content of pipes, which cannot be read again.
    pub(super) pipes: BTreeMap<PathBuf, String>,
}

/// Sends `sockets` and the rest.
pub(super) fn send(
    mut stream: &UnixStream,
    sockets: &[(String, OwnedFd)],
    heritage: Heritage,
    pipes: BTreeMap<PathBuf, String>,
) -> io::Result<()> {
    let message = Message {
        version: VERSION,
        offers_flows: true,
        sockets: sockets.iter().map(|(name, _)| name.clone()).collect(),
        heritage,
        pipes,
    };
    let text = serde_json::to_vec(&message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&text)?;
    let descriptors: Vec<&OwnedFd> = sockets.iter().map(|(_, socket)| socket).collect();
    descriptors::send(stream, &descriptors)
}

/// Receives what [`send`] sends.
pub(super) fn receive(mut stream: &UnixStream) -> io::Result<(Message, Vec<(String, OwnedFd)>)> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_LENGTH {
        return Err(io::Error::other("the message is too long"));
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text)?;
    let mut message: Message = serde_json::from_slice(&text)?;
    if message.version != VERSION {
        return Err(io::Error::other(format!(
            "expected version {VERSION} of the message, found {}",
            message.version
        )));
    }
    let names = std::mem::take(&mut message.sockets);
    let descriptors = descriptors::receive(stream, names.len())?;
    Ok((message, names.into_iter().zip(descriptors).collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    use elbow_plane::Heritage;

    use super::{MAX_LENGTH, receive, send};

    #[test]
    fn sockets_arrive_with_their_names() {
        let (old, new) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pipes = BTreeMap::from([("-".into(), "kind: List".to_owned())]);
        let sockets = [("admin".to_owned(), listener.into())];
        send(&old, &sockets, Heritage::default(), pipes.clone()).unwrap();
        let (message, mut sockets) = receive(&new).unwrap();
        assert_eq!(message.pipes, pipes);
        assert!(message.offers_flows);
        let (name, socket) = sockets.pop().unwrap();
        assert_eq!(name, "admin");
        assert_eq!(TcpListener::from(socket).local_addr().unwrap(), address);
    }

    #[test]
    fn messages_of_other_versions_are_refused() {
        let refused = |length: u32, text: &str| {
            let (mut old, new) = UnixStream::pair().unwrap();
            old.write_all(&length.to_be_bytes()).unwrap();
            old.write_all(text.as_bytes()).unwrap();
            drop(old);
            receive(&new).unwrap_err().to_string()
        };
        let other = r#"{"version":2,"sockets":[],"heritage":{},"pipes":{}}"#;
        let length = u32::try_from(other.len()).unwrap();
        assert_eq!(
            refused(length, other),
            "expected version 1 of the message, found 2"
        );
        assert_eq!(refused(MAX_LENGTH + 1, ""), "the message is too long");
        refused(length, "{");
        // Unknown fields are of a newer process.
        let newer = r#"{"version":1,"sockets":[],"heritage":{"more":1},"pipes":{},"more":1}"#;
        let (mut old, new) = UnixStream::pair().unwrap();
        let length = u32::try_from(newer.len()).unwrap();
        old.write_all(&length.to_be_bytes()).unwrap();
        old.write_all(newer.as_bytes()).unwrap();
        let (message, _) = receive(&new).unwrap();
        assert!(!message.offers_flows, "an older process sends none");
    }
}
