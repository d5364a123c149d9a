//! Passes UDP flows in batches, between READY and GO. Datagrams wait in the sockets meanwhile.
//!
//! ```text
//!   old: length, records as JSON, sockets ->      new: MORE, or ENOUGH if it has no room for them
//!   old: length 0                         ->
//! ```

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use elbow_net::descriptors;
use elbow_plane::{FlowRecord, UdpFlow};
use tracing::warn;

/// Flows in a batch: as many as there are descriptors in a message. The kernel limits how many are on their way.
const BATCH: usize = 253;
/// The most flows that are passed.
const MOST: usize = 65_536;
/// How long that may take. Clients wait for answers meanwhile.
pub(super) const TIME: Duration = Duration::from_secs(2);
/// The longest batch in bytes, without the sockets.
const MAX_LENGTH: u32 = 1024 * 1024;

/// The batch has arrived.
const MORE: u8 = b'M';
/// The batch has not arrived, and no other is wanted.
const ENOUGH: u8 = b'E';

/// Passes the flows of each worker from the last to the first, and returns how many have arrived. The others are beyond a limit of
/// number, of time, or of the other process.
///
/// # Errors
/// The other process has ended, or does not answer.
pub(super) fn send(mut stream: &UnixStream, flows: &[Vec<UdpFlow>]) -> io::Result<usize> {
    let begun = Instant::now();
    // Those whose last datagram is the most recent first.
    let flows = flows.iter().flat_map(|of_worker| of_worker.iter().rev());
    let flows: Vec<&UdpFlow> = flows.take(MOST).collect();
    let mut arrived = 0;
    for batch in flows.chunks(BATCH) {
        if begun.elapsed() >= TIME {
            break;
        }
        let records: Vec<FlowRecord> = batch.iter().map(|flow| flow.record()).collect();
        let text = serde_json::to_vec(&records)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&text)?;
        let sockets: Vec<_> = batch.iter().map(|flow| flow.socket()).collect();
        descriptors::send(stream, &sockets)?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        if answer != [MORE] {
            break;
        }
        arrived += batch.len();
    }
    stream.write_all(&0_u32.to_be_bytes())?;
    Ok(arrived)
}

/// Receives what [`send`] sends.
///
/// # Errors
/// The other process has ended, or sends something else.
pub(super) fn receive(mut stream: &UnixStream) -> io::Result<Vec<UdpFlow>> {
    let mut flows = Vec::new();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = match u32::from_be_bytes(length) {
            0 => return Ok(flows),
            length if length > MAX_LENGTH => {
                return Err(io::Error::other("a batch of flows is too long"));
            }
            length => length as usize,
        };
        let mut text = vec![0; length];
        stream.read_exact(&mut text)?;
        let records: Vec<FlowRecord> = serde_json::from_slice(&text)?;
        let answer = match descriptors::receive(stream, records.len()) {
            Ok(sockets) => {
                let batch = records.into_iter().zip(sockets);
                flows.extend(batch.map(|(record, socket)| UdpFlow::new(record, socket)));
                MORE
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(error),
            Err(error) => {
                warn!(%error, flows = flows.len(), "not all UDP flows are taken over");
                ENOUGH
            }
        };
        stream.write_all(&[answer])?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::UdpSocket;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use elbow_net::descriptors;
    use elbow_plane::{FlowRecord, UdpFlow};
    use rustix::fs::fstat;

    use super::{BATCH, ENOUGH, MAX_LENGTH, MORE, receive, send};

    fn record(number: usize) -> FlowRecord {
        let text = format!(
            r#"{{"listener":7,"client":"127.0.0.1:{}","local":null,"quicServer":{number},"targetGroup":"web","target":"[::1]:53"}}"#,
            1000 + number
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Flows with numbers. The sockets are copies of one, except those with the numbers `own`.
    fn flows(numbers: impl Iterator<Item = usize>, own: usize) -> Vec<UdpFlow> {
        let shared = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flow = |number| {
            let socket = if number == own {
                UdpSocket::bind("127.0.0.1:0").unwrap()
            } else {
                shared.try_clone().unwrap()
            };
            UdpFlow::new(record(number), OwnedFd::from(socket))
        };
        numbers.map(flow).collect()
    }

    #[test]
    fn flows_arrive_with_their_sockets_and_the_newest_first() {
        let (old, new) = UnixStream::pair().unwrap();
        let workers = [flows(0..300, 10), Vec::new(), flows(300..600, 500)];
        let receiving = thread::spawn(move || receive(&new).unwrap());
        assert_eq!(send(&old, &workers).unwrap(), 600);
        let received = receiving.join().unwrap();
        let records = |flows: &[UdpFlow]| flows.iter().map(UdpFlow::record).collect::<Vec<_>>();
        let expected = (0..300).rev().chain((300..600).rev());
        assert_eq!(records(&received), expected.map(record).collect::<Vec<_>>());
        let inode = |flow: &UdpFlow| fstat(flow.socket().as_fd()).unwrap().st_ino;
        for (flow, sent) in [(289, &workers[0][10]), (399, &workers[2][200])] {
            assert_eq!(inode(&received[flow]), inode(sent));
            assert_ne!(inode(&received[flow]), inode(&received[0]));
        }
    }

    #[test]
    fn nothing_is_sent_after_enough() {
        let (old, mut new) = UnixStream::pair().unwrap();
        let sending = thread::spawn(move || send(&old, &[flows(0..600, 0)]).unwrap());
        for answer in [MORE, ENOUGH] {
            let mut length = [0; 4];
            new.read_exact(&mut length).unwrap();
            let mut text = vec![0; u32::from_be_bytes(length) as usize];
            new.read_exact(&mut text).unwrap();
            descriptors::receive(&new, BATCH).unwrap();
            new.write_all(&[answer]).unwrap();
        }
        let mut rest = Vec::new();
        new.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [0; 4]);
        assert_eq!(sending.join().unwrap(), BATCH);
    }

    #[test]
    fn batch_without_its_sockets_is_the_last_one() {
        let (mut old, new) = UnixStream::pair().unwrap();
        let text = serde_json::to_vec(&[record(1)]).unwrap();
        old.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        old.write_all(&text).unwrap();
        // Says that a socket comes with it.
        old.write_all(&[1]).unwrap();
        old.write_all(&[0; 4]).unwrap();
        assert!(receive(&new).unwrap().is_empty());
        let mut answer = [0];
        old.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [ENOUGH]);
    }

    #[test]
    fn long_batches_and_an_early_end_are_errors() {
        let refused = |bytes: &[u8]| {
            let (mut old, new) = UnixStream::pair().unwrap();
            old.write_all(bytes).unwrap();
            drop(old);
            receive(&new).unwrap_err().to_string()
        };
        let long = (MAX_LENGTH + 1).to_be_bytes();
        assert_eq!(refused(&long), "a batch of flows is too long");
        refused(&[0; 3]);
        refused(&[0, 0, 0, 2, b'{', b'}']);
        let (old, new) = UnixStream::pair().unwrap();
        drop(new);
        assert!(send(&old, &[flows(0..1, 0)]).is_err());
    }
}
